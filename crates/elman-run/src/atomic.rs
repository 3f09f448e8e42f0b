//! Writing a file so that it is either the old one or the new one, whatever happens in between.

use crate::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes `path` through `write`: into a temporary file beside it, flushed to the disk, then renamed over it.
///
/// If anything fails, a full disk included, the former file is as it was and the temporary one is removed. Killed at any
/// moment, the program leaves the old file or the new one, and at most one temporary file, `.NAME.tmp`, which the next
/// write replaces.
///
/// # Errors
/// [`Error::Write`].
pub fn write(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let temporary = temporary(path);
    let result = replace(path, &temporary, write);
    result.map_err(|source| {
        // It may not exist; the error to be told is the first.
        let _ = fs::remove_file(&temporary);
        let advice = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space; a former file is unchanged",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "choose a folder that can be written"
            }
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "create the folder first",
            _ => "a former file is unchanged",
        };
        Error::Write { path: path.to_path_buf(), source, advice }
    })
}

/// The temporary file of `path`: in the same folder, since a rename does not cross file systems.
fn temporary(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

fn replace(path: &Path, temporary: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {} // Left by a killed program, or not there.
    }
    let file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
    let mut writer = BufWriter::with_capacity(1 << 16, file);
    write(&mut writer)?;
    let file = writer.into_inner().map_err(|error| error.into_error())?;
    // Before the rename: otherwise a loss of power could leave the new name with the old disk's content.
    file.sync_all()?;
    drop(file);
    fs::rename(temporary, path)?;
    #[cfg(unix)]
    {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_failure_at_any_byte_leaves_the_former_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        write(&path, |w| w.write_all(b"former")).unwrap();
        // Within the buffer, and after part of it has reached the disk.
        for written in [0, 1, 1 << 16, (1 << 16) + 1, 1 << 20] {
            let error = write(&path, |w| {
                w.write_all(&vec![7; written])?;
                Err(io::Error::from(io::ErrorKind::StorageFull))
            })
            .unwrap_err();
            assert!(error.to_string().contains("free some space"), "{error}");
            assert!(error.is_failure());
            assert_eq!(fs::read(&path).unwrap(), b"former");
            assert_eq!(names(folder.path()), ["model"]);
        }
    }

    #[test]
    fn what_a_killed_program_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        fs::write(folder.path().join(".model.tmp"), b"half").unwrap();
        write(&path, |w| w.write_all(b"whole")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(names(folder.path()), ["model"]);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("no/model"), |w| w.write_all(b"x")).unwrap_err();
        assert!(error.to_string().contains("create the folder first"), "{error}");
    }
}

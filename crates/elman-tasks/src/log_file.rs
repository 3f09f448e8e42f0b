//! A file that grows line by line while a run goes on, and can be cut back to what it was at a checkpoint.

use crate::Error;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A growing text file.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    path: PathBuf,
    length: u64,
}

impl LogFile {
    /// Opens the file, cut back to its first `length` bytes; creates it if it is not there. As long as it is open no other process can open
    /// it so, where the file system has locks.
    ///
    /// What a run wrote after its last checkpoint is thus written again when it is resumed, and only once. A file that is shorter goes on after its
    /// last whole line.
    ///
    /// # Errors
    /// It cannot be written, or another process has it.
    pub fn open(path: &Path, length: u64) -> Result<LogFile, Error> {
        LogFile::open_if(path, length, || Ok(()))
    }

    /// The same if `allowed` says so, which is asked before anything is cut and once no other process can write the file.
    ///
    /// # Errors
    /// The same, and what `allowed` says.
    pub fn open_if(path: &Path, length: u64, allowed: impl FnOnce() -> Result<(), Error>) -> Result<LogFile, Error> {
        let wrong = |source| Error::unwritable(path, source);
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(wrong)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::Usage(format!(
                "{}: another process is writing this run; let it end or stop it, or choose another --out",
                path.display()
            )));
        }
        allowed()?;
        let found = file.metadata().map_err(wrong)?.len();
        let length = if found < length { whole_lines(path).map_err(wrong)? } else { length };
        file.set_len(length).map_err(wrong)?;
        file.seek(SeekFrom::End(0)).map_err(wrong)?;
        Ok(LogFile { file, path: path.to_path_buf(), length })
    }

    /// Adds a text in one write.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&mut self, text: &str) -> Result<(), Error> {
        self.file.write_all(text.as_bytes()).map_err(|source| Error::unwritable(&self.path, source))?;
        self.length += text.len() as u64;
        Ok(())
    }

    /// Makes sure that what was added is on the disk, and says how long the file is: to be kept in the checkpoint.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn sync(&mut self) -> Result<u64, Error> {
        self.file.sync_data().map_err(|source| Error::unwritable(&self.path, source))?;
        Ok(self.length)
    }
}

/// The length of a file up to the end of its last whole line.
fn whole_lines(path: &Path) -> std::io::Result<u64> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end as u64 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_writes_it_at_the_same_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = LogFile::open(&path, 0).unwrap();
        let error = LogFile::open(&path, 0).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("log: another process is writing this run; let it end or stop it, or choose another --out")
        );
        assert_eq!(error.status(), 2);
        drop(log);
        LogFile::open(&path, 0).unwrap();
    }

    #[test]
    fn it_is_cut_back_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = LogFile::open(&path, 0).unwrap();
        log.append("one\n").unwrap();
        let length = log.sync().unwrap();
        log.append("two\n").unwrap();
        drop(log);
        let mut log = LogFile::open(&path, length).unwrap();
        log.append("2\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n2\n");
        drop(log);
        // Shorter than the checkpoint knew: somebody cut it. It goes on after the whole lines that are there.
        for (cut, left) in [("o", ""), ("a\nb", "a\n"), ("a\n", "a\n")] {
            std::fs::write(&path, cut).unwrap();
            let mut log = LogFile::open(&path, 100).unwrap();
            log.append("n\n").unwrap();
            assert_eq!(log.sync().unwrap(), left.len() as u64 + 2);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{left}n\n"));
        }
    }
}

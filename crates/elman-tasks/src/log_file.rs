//! A file that grows line by line while a run goes on, and can be cut back to what it was at a checkpoint.

use crate::Error;
use std::fs::{File, OpenOptions};
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
    /// Opens the file, cut back to its first `length` bytes; creates it if it is not there.
    ///
    /// What a run wrote after its last checkpoint is thus written again when it is resumed, and only once.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(path: &Path, length: u64) -> Result<LogFile, Error> {
        let wrong = |source| Error::unwritable(path, source);
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(wrong)?;
        let length = length.min(file.metadata().map_err(wrong)?.len());
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

#[cfg(test)]
mod tests {
    use super::*;

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
        // Shorter than the checkpoint knew: somebody cut it. It goes on from what is there.
        std::fs::write(&path, "o").unwrap();
        let mut log = LogFile::open(&path, length).unwrap();
        log.append("n").unwrap();
        assert_eq!(log.sync().unwrap(), 2);
    }
}

//! The directory of a run: everything needed to use, resume or audit a model.
//!
//! ```text
//! config.toml             every setting, resolved
//! vocabulary.json         the characters in order of their ids
//! model.safetensors       the model after the last checkpoint
//! best.safetensors        the model with the lowest held-out loss so far
//! checkpoint.safetensors  model, optimiser, random numbers, place in the data, carried state: where --resume goes on
//! metrics.jsonl           a line for each measurement
//! events.out.tfevents.*   the same for TensorBoard
//! plots/loss.svg          the same as a picture
//! samples.txt             what the model wrote while it learnt
//! ```

use crate::Error;
use elman_run::atomic;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory of a run.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates the directory for a new run.
    ///
    /// # Errors
    /// It cannot be created or written, or holds a run already.
    pub fn create(path: &Path) -> Result<RunDir, Error> {
        let dir = RunDir { path: path.to_path_buf() };
        dir.check_free()?;
        fs::create_dir_all(dir.plots()).map_err(|source| Error::unwritable(path, source))?;
        Ok(dir)
    }

    /// A run that is there.
    ///
    /// # Errors
    /// There is none.
    pub fn open(path: &Path) -> Result<RunDir, Error> {
        let dir = RunDir { path: path.to_path_buf() };
        match fs::metadata(dir.config()) {
            Ok(_) => Ok(dir),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Err(Error::Usage(format!(
                    "{}: there is no run (no config.toml); give the directory that `elman train` wrote",
                    path.display()
                )))
            }
            Err(error) => Err(Error::unreadable(&dir.config(), error)),
        }
    }

    /// Refuses a directory that holds a run.
    pub(crate) fn check_free(&self) -> Result<(), Error> {
        match self.config().exists() {
            false => Ok(()),
            true => Err(Error::Usage(format!(
                "{}: there is a run already; continue it with --resume, or choose another --out",
                self.path.display()
            ))),
        }
    }

    /// Makes the first `runs/NAME-1`, `runs/NAME-2`, ... that is not there, so that no other process takes it.
    pub fn free(name: &str) -> PathBuf {
        let path = |number: u32| Path::new("runs").join(format!("{name}-{number}"));
        // Where it cannot be made, the first file that is written there tells why.
        let _ = fs::create_dir_all("runs");
        let is_taken = |path: &PathBuf| fs::create_dir(path).is_err_and(|e| e.kind() == io::ErrorKind::AlreadyExists);
        (1..).map(path).find(|path| !is_taken(path)).unwrap_or_else(|| path(1))
    }

    /// Removes a directory that [`free`](RunDir::free) made, if nothing was written there.
    pub(crate) fn give_back(path: &Path) {
        // Neither is removed unless it is empty.
        let _ = fs::remove_dir(path.join("plots"));
        let _ = fs::remove_dir(path);
    }

    /// The model file of a run, the best one or the last.
    ///
    /// # Errors
    /// The run has not come to its first checkpoint.
    pub fn trained(&self, best: bool) -> Result<PathBuf, Error> {
        let path = if best { self.best() } else { self.model() };
        if path.exists() {
            return Ok(path);
        }
        let table = crate::settings::read_table(&self.config())?;
        let task = table.get("task").and_then(|task| task.as_str()).unwrap_or("TASK");
        Err(Error::Usage(format!(
            "{}: the run has no model yet; train it to its first checkpoint with `{}`",
            path.display(),
            self.resume_command(task)
        )))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every setting.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// The last model.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// The model with the lowest held-out loss.
    pub fn best(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// Where a resumed run goes on.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    /// The vocabulary.
    pub fn vocabulary(&self) -> PathBuf {
        self.path.join("vocabulary.json")
    }

    /// The measurements.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// What the model wrote.
    pub fn samples(&self) -> PathBuf {
        self.path.join("samples.txt")
    }

    /// The pictures' folder.
    pub fn plots(&self) -> PathBuf {
        self.path.join("plots")
    }

    /// Writes a text file atomically.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &Path, text: &str) -> Result<(), Error> {
        Ok(atomic::write(path, |writer| writer.write_all(text.as_bytes()))?)
    }

    /// The command that continues this run.
    pub fn resume_command(&self, task: &str) -> String {
        let path = self.path.display().to_string();
        let quoted = if path.chars().any(|c| c.is_whitespace() || "'\"$\\&;".contains(c)) {
            format!("'{}'", path.replace('\'', "'\\''"))
        } else {
            path
        };
        format!("elman train {task} --out {quoted} --resume")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        assert!(RunDir::open(&path).unwrap_err().to_string().contains("there is no run"));
        let dir = RunDir::create(&path).unwrap();
        dir.write(&dir.config(), "x").unwrap();
        assert!(RunDir::create(&path).unwrap_err().to_string().contains("--resume"));
        assert!(RunDir::open(&path).is_ok());
    }

    #[test]
    fn a_directory_that_was_reserved_and_not_used_goes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        RunDir::create(&path).unwrap();
        RunDir::give_back(&path);
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        fs::write(path.join("x"), "x").unwrap();
        RunDir::give_back(&path);
        assert!(path.join("x").exists());
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = RunDir::create(&file.path().join("run")).unwrap_err();
        assert!(error.to_string().contains("cannot be written"), "{error}");
        assert_eq!(error.status(), 1);
    }
}

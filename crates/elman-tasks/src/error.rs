//! Everything that can go wrong here. Each message is one line: what, where, what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why a run cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command or its input is wrong.
    #[error("{0}")]
    Usage(String),
    /// It failed while running.
    #[error("{0}")]
    Failed(String),
    /// Asked to stop; the text says what was saved.
    #[error("{0}")]
    Interrupted(String),
    /// The text cannot be used.
    #[error(transparent)]
    Text(#[from] elman_data::TextError),
    /// No streams can be cut from the text.
    #[error(transparent)]
    Streams(#[from] elman_data::StreamsError),
    /// A model, a vocabulary or a file of theirs.
    #[error(transparent)]
    Run(#[from] elman_run::Error),
}

impl Error {
    /// The program's exit status: 1 failed while running, 2 the command or its input is wrong, 130 interrupted.
    pub fn status(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::Text(_) | Error::Streams(_) => 2,
            Error::Failed(_) => 1,
            Error::Interrupted(_) => 130,
            Error::Run(error) if error.is_failure() => 1,
            Error::Run(_) => 2,
        }
    }

    /// For `path`, which cannot be read.
    pub(crate) fn unreadable(path: &Path, source: io::Error) -> Error {
        elman_run::Error::Unreadable { path: path.to_path_buf(), source }.into()
    }

    /// For `path`, which cannot be written.
    pub(crate) fn unwritable(path: impl Into<PathBuf>, source: io::Error) -> Error {
        let advice = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space, then continue the run with --resume"
            }
            io::ErrorKind::FileTooLarge => "raise the limit on file sizes (ulimit -f), then continue with --resume",
            _ => "choose a folder that can be written",
        };
        elman_run::Error::Write { path: path.into(), source, advice }.into()
    }
}

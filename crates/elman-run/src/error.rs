//! Everything that can go wrong here. Each message is one line: what, where, what to do.

use std::io;
use std::path::PathBuf;

/// Why a model cannot be read, written or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file.
    #[error("{}: there is no such file; check the path", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses to read it.
    #[error("{}: cannot be read ({source})", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is no Elman file, or one that was truncated or altered.
    #[error("{}: damaged or not a model file: {what}; take another copy, or train again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A safetensors file of another program.
    #[error("{}: a safetensors file that Elman did not write (no `elman.format` in its metadata)", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version of Elman.
    #[error("{}: written in format {found}, this program reads up to {known}; use a newer Elman", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's format.
        found: u32,
        /// The last format known here.
        known: u32,
    },
    /// A cell that this program does not have.
    #[error("unknown cell `{name}`; {advice}")]
    UnknownCell {
        /// The name.
        name: String,
        /// The nearest known name, or how to list them.
        advice: String,
    },
    /// An option of a cell that it does not have, or that has another range.
    #[error("cell `{cell}`: {what}")]
    CellOption {
        /// The cell as it was given.
        cell: String,
        /// What is wrong, and what would be right.
        what: elman_core::options::WrongOption,
    },
    /// The text of a cell that is none: `FILE:LINE:COLUMN: what; what to do`.
    #[error("{origin}:{source}")]
    CellText {
        /// The file, or the name in the text.
        origin: String,
        /// Where and what.
        source: elman_core::text_cell::TextCellError,
    },
    /// The configuration contradicts itself.
    #[error("the model's configuration is wrong: {what}")]
    Config {
        /// What is wrong.
        what: String,
    },
    /// The parameters are not those of the configuration.
    #[error("the model's parameters do not fit its configuration: {what}")]
    Shape {
        /// What is wrong.
        what: String,
    },
    /// An error of a file's content, with the file.
    #[error("{}: {source}", path.display())]
    In {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// A model that reads and predicts numbers.
    #[error("{}: a model of numbers, not of characters or words; `elman eval` scores its run", path.display())]
    Numbers {
        /// The file.
        path: PathBuf,
    },
    /// A vocabulary that cannot be used.
    #[error("the vocabulary is wrong: {what}")]
    Vocabulary {
        /// What is wrong.
        what: String,
    },
    /// A character that the vocabulary lacks.
    #[error("character {position} is {character:?}, which the vocabulary lacks; {advice}")]
    UnknownCharacter {
        /// The character.
        character: char,
        /// Its position in characters, from 1.
        position: usize,
        /// What to write instead.
        advice: String,
    },
    /// A file cannot be written. What was there before is still there.
    #[error("{}: cannot be written ({source}); {advice}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// A setting of sampling is out of range.
    #[error("{name} is {value}; it must be {range}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be.
        range: &'static str,
    },
    /// The network's outputs are not numbers.
    #[error("the model's outputs are not finite numbers; it was damaged in training: use an earlier checkpoint")]
    NotFinite,
}

impl Error {
    /// The same error with the file that it is about.
    pub(crate) fn within(self, path: &std::path::Path) -> Error {
        Error::In { path: path.to_path_buf(), source: Box::new(self) }
    }

    /// Whether the system failed while running (exit status 1) rather than the command or its input being wrong (2).
    pub fn is_failure(&self) -> bool {
        match self {
            Error::In { source, .. } => source.is_failure(),
            Error::Write { .. } | Error::NotFinite => true,
            _ => false,
        }
    }
}

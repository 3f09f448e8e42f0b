//! What can be wrong with a question to a model.

/// Why an analysis cannot be made. Each message is one line: what, where, what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnalysisError {
    /// The text or series is too short for the question. A text has a step less than characters.
    #[error(
        "the text or series has {found} steps, this needs at least {least}; give a longer one, or look back over fewer steps"
    )]
    TooShort {
        /// Steps that there are.
        found: usize,
        /// Steps that it takes.
        least: usize,
    },
    /// A number of lags, ends or positions is zero.
    #[error("{what} is 0; it must be at least 1")]
    Zero {
        /// The number's name.
        what: &'static str,
    },
    /// The cell asks for inputs at every step that a text does not have.
    #[error(
        "cell `{cell}` has feeds (numbers for every step, given by the caller), which an analysis has no values for"
    )]
    Feeds {
        /// The cell.
        cell: String,
    },
    /// Numbers do not fit each other.
    #[error("{what}")]
    Shape {
        /// Which, and how.
        what: String,
    },
    /// A parameter or a result is not a finite number.
    #[error("the model's numbers are not finite; it was damaged in training: use an earlier checkpoint")]
    NotFinite,
}

//! What can be wrong with a network's definition.

use elman_core::LayerError;

/// Why a network cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkError {
    /// A recurrent layer cannot be made.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A number is outside its range.
    #[error("{what} is {value}, which is not in {least}..={most}")]
    Range {
        /// The number's name.
        what: &'static str,
        /// Its value.
        value: usize,
        /// The least value allowed.
        least: usize,
        /// The greatest value allowed.
        most: usize,
    },
    /// A probability of dropout is not in [0, 1).
    #[error("the dropout probability {value} is not in [0, 1)")]
    Dropout {
        /// It, as text.
        value: String,
    },
    /// No activation has this name.
    #[error("there is no activation `{name}`; there are: {}", elman_core::algebra::Activation::ALL.map(|(name, _)| name).join(", "))]
    Activation {
        /// The unknown name.
        name: String,
    },
    /// A layer does not take what the one before it gives.
    #[error("layer {layer} takes inputs of width {takes}, and what comes before it has width {given}")]
    Widths {
        /// The layer, counted from 0.
        layer: usize,
        /// Its input width.
        takes: usize,
        /// The width that it is given.
        given: usize,
    },
    /// A residual connection would add values of different widths.
    #[error(
        "layer {layer} cannot add its input of width {input} to its output of width {output}: make them equal, or do without residual"
    )]
    Residual {
        /// The layer, counted from 0.
        layer: usize,
        /// Its input width.
        input: usize,
        /// Its output width.
        output: usize,
    },
    /// The cell wants feeds (noise, masks of single units), which this network has not.
    #[error("cell `{cell}` reads feeds, which this network does not pass on: use `Recurrent` itself")]
    Feeds {
        /// The cell.
        cell: &'static str,
    },
}

impl NetworkError {
    /// Whether a number is in `least..=most`.
    pub(crate) fn check(what: &'static str, value: usize, least: usize, most: usize) -> Result<(), NetworkError> {
        if (least..=most).contains(&value) { Ok(()) } else { Err(NetworkError::Range { what, value, least, most }) }
    }

    /// Whether `p` may be a probability of dropout.
    pub(crate) fn check_dropout(p: f64) -> Result<(), NetworkError> {
        if (0.0..1.0).contains(&p) { Ok(()) } else { Err(NetworkError::Dropout { value: p.to_string() }) }
    }
}

/// The greatest width, number of layers, lag or delay that a network may be asked for: far above any sensible one, so that a
/// wrong unit or a number taken below zero gives a message instead of a full memory.
pub const LARGEST: usize = 1_000_000;

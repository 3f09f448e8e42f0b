//! What can be wrong with learning online.

use crate::init::InitError;
use crate::train::CheckpointError;
use elman_core::LayerError;

/// Numbers that the influence may have: 2 GB, and a trainer holds it a few times.
pub(super) const LIMIT: usize = 1 << 29;

/// What can be wrong with learning online.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnlineError {
    /// The layer's definition.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The initial parameters.
    #[error(transparent)]
    Init(#[from] InitError),
    /// More than one layer.
    #[error(
        "{layers} layers: real-time recurrent learning takes one. The influence of a lower layer's parameters would have to be carried through the \
         state of every layer above it; set `layers` to 1 and make it wider, or train the stack by backpropagation through time"
    )]
    Stacked {
        /// How many were asked for.
        layers: usize,
    },
    /// A width of zero.
    #[error("`{what}` must be at least 1")]
    ZeroSize {
        /// Which.
        what: &'static str,
    },
    /// Inputs with one number a step and a unit.
    #[error(
        "cell `{cell}` takes feeds (the masks of zoneout are feeds), which a stream of samples does not bring: they go with backpropagation \
         through time only; choose a cell without, or use `LinearStep` with them"
    )]
    Feeds {
        /// The cell.
        cell: &'static str,
    },
    /// Nothing is left when errors are cut at the gates.
    #[error(
        "cell `{cell}` carries nothing past its matrices: the truncated rule would send no error back in time; take a cell such as `lstm-1997`, or \
         another method"
    )]
    NoCarousel {
        /// The cell.
        cell: &'static str,
    },
    /// A setting outside its range.
    #[error("`{option}` is {value}; it must be {range}")]
    Setting {
        /// The setting.
        option: &'static str,
        /// What was given.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// What only backpropagation through time can do.
    #[error("{option} goes with backpropagation through time only; leave it out, or do not learn forward in time")]
    Option {
        /// What was asked for.
        option: &'static str,
    },
    /// More numbers than a machine holds.
    #[error(
        "the influence has {numbers} numbers for {streams} stream(s), at most {LIMIT} are possible; lower the number of units, the width of the \
         embedding or the number of streams, or take UORO, which keeps the fewest"
    )]
    Large {
        /// All of them.
        numbers: usize,
        /// Rows of a batch.
        streams: usize,
    },
    /// A vector of the wrong width.
    #[error("{what} has {got} numbers, expected {expected}")]
    Length {
        /// Which vector.
        what: &'static str,
        /// Its length.
        got: usize,
        /// What it should be.
        expected: usize,
    },
    /// A token that the table does not have.
    #[error("token {token} is not below the vocabulary's size {vocabulary}")]
    Token {
        /// The token.
        token: usize,
        /// Rows of the embedding table.
        vocabulary: usize,
    },
    /// Tokens without a table, or numbers where there is one.
    #[error("this layer takes {expected}, and {got} was given")]
    Kind {
        /// What it takes.
        expected: &'static str,
        /// What was given.
        got: &'static str,
    },
    /// A class that the readout does not have, or a target of the other kind.
    #[error("the target does not fit the loss: {got}; expected {expected}")]
    Target {
        /// What was given.
        got: String,
        /// What the loss takes.
        expected: String,
    },
    /// A target came before any input.
    #[error("there is no prediction to correct: call `predict` before `correct`, once for each target")]
    NoPrediction,
    /// NaN or infinity.
    #[error("step {step}: {what} is not finite. Parameters are those before it; {advice}")]
    NotFinite {
        /// The step, counted from 1.
        step: u64,
        /// What is not finite.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// Saving or going on.
    #[error(transparent)]
    Saved(#[from] CheckpointError),
}

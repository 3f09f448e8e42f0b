//! Networks: what is built from recurrent layers and a readout.

pub mod language_model;
pub mod readout;
pub mod sequence;

pub use language_model::{LanguageModel, LanguageModelConfig, TokenBatch};
pub use sequence::{Predict, SequenceBatch, SequenceNetwork, SequenceNetworkConfig, Target};

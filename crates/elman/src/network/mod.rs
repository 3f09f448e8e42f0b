//! Networks: what is built from recurrent layers and a readout, and those that are no layers: memories.

pub mod hopfield;
pub mod language_model;
pub mod modern_hopfield;
pub mod readout;

pub use language_model::{LanguageModel, LanguageModelConfig, TokenBatch};

//! Networks: what is built from recurrent layers and a readout, and those that are no layers: memories.

#[cfg(test)]
mod check;
pub mod hopfield;
pub mod language_model;
pub mod modern_hopfield;
pub mod readout;
mod rows;
pub mod second_order;
pub mod tree;

pub use language_model::{LanguageModel, LanguageModelConfig, TokenBatch};

//! Networks: what is built from recurrent layers and a readout.

pub mod bidirectional;
pub mod dense;
pub mod error;
pub mod language_model;
pub mod readout;
#[cfg(test)]
pub(crate) mod testing;

pub use bidirectional::{Bidirectional, BidirectionalConfig, Merge};
pub use dense::{Dense, Mlp, MlpConfig, activation_named};
pub use error::NetworkError;
pub use language_model::{LanguageModel, LanguageModelConfig, TokenBatch};

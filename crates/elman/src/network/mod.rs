//! Networks: what is built from recurrent layers and a readout, and those that are no layers: memories.

pub(crate) mod activation;
pub mod bidirectional;
pub mod deep;
pub mod dense;
pub mod error;
pub mod forcing;
pub mod hopfield;
pub mod language_model;
pub mod modern_hopfield;
pub mod narx;
pub mod output_fed;
pub mod readout;
pub mod rmlp;
mod rows;
pub mod second_order;
pub mod sequence;
pub mod series;
pub mod stack;
pub mod system;
pub mod tdnn;
#[cfg(test)]
pub(crate) mod testing;
pub mod tree;

pub use activation::activation_named;
pub use bidirectional::{Bidirectional, BidirectionalConfig, Merge};
pub use deep::{DeepConfig, DeepRecurrent, Hold};
pub use dense::{Dense, Mlp, MlpConfig};
pub use error::NetworkError;
pub use forcing::Forcing;
pub use language_model::{LanguageModel, LanguageModelConfig, TokenBatch};
pub use narx::{Narx, NarxConfig};
pub use output_fed::{OutputFed, OutputFedError, OutputFedModel};
pub use rmlp::{Rmlp, RmlpConfig};
pub use sequence::{Predict, SequenceBatch, SequenceNetwork, SequenceNetworkConfig, Target};
pub use series::{Scaling, Score, Series, SeriesBatch, SeriesError, Units, Windows, scores};
pub use stack::{Read, Stack, StackConfig, StackLayer};
pub use system::{SequenceMap, SequenceModel, SystemModel, Training};
pub use tdnn::{Context, Tdnn, TdnnConfig, TdnnStream};

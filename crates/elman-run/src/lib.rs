//! What a trained network needs to run, and no more: no tensor framework, no training.
//!
//! * [`Model`]: embedding, stack of layers, readout and [`Vocabulary`], read from one versioned file and written to it.
//! * [`Stream`]: the model one step at a time, in constant memory.
//! * [`Scorer`]: how well it predicts a sequence. [`Generator`]: what it writes.
//! * [`analysis`]: where its gradient goes, what its gates do.
//!
//! ```no_run
//! use elman_core::engine::Engine;
//! use elman_run::{Generator, Model, SampleSettings};
//! let model = Model::load("runs/first/model.safetensors")?;
//! let engine = Engine::new(1).into();
//! for written in Generator::new(&model, &engine, "Once", SampleSettings::default())?.take(100) {
//!     print!("{}", written?);
//! }
//! # Ok::<(), elman_run::Error>(())
//! ```

pub mod analysis;
pub mod atomic;
pub mod cell;
mod cell_options;
mod error;
pub mod model;
pub mod sample;
pub mod score;
pub mod stream;
pub mod suggest;
pub mod tensor_file;
pub mod vocabulary;

pub use error::Error;
pub use model::{Model, ModelConfig};
pub use sample::{Generator, SampleSettings, Sampler};
pub use score::{Score, Scorer};
pub use stream::Stream;
pub use suggest::nearest;
pub use tensor_file::{Tensor, TensorFile};
pub use vocabulary::Vocabulary;

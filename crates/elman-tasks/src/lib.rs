//! What Elman can be trained for: one file an application, and what they all share.
//!
//! A task is data -> batches, network, loss, metric, output. The tasks stand in [`tasks::REGISTRY`]; the program, its
//! help texts and its checks all read that list. Shared by all: the way through training (`training.rs`), [`settings`], the [run's directory](run_dir), the files that
//! grow in it ([`log_file`], [`metrics`], [`events`]), its [`plot`]s, and the [`observer`] that watches a run.

mod checkpoint;
mod error;
#[macro_use]
mod language_model;
pub mod events;
pub mod inspect;
pub mod log_file;
pub mod metrics;
pub mod observer;
mod optimisation;
pub mod paths;
pub mod plot;
pub mod reproduce;
pub mod run_dir;
pub mod settings;
mod stopping;
pub mod tasks;
mod training;
pub mod unroll;

pub use elman::init;
pub use elman::train::Truncation;
pub use error::Error;
pub use language_model::initial::cell_of;
pub use observer::{Loss, Observer, Plan, Silent, Stop};
pub use run_dir::RunDir;
pub use tasks::{Report, Request, Task};

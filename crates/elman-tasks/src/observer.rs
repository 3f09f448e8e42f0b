//! What a task tells whoever watches it: the program prints it, a test may collect it.

use elman_run::Score;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is about to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Steps done before.
    pub first: u64,
    /// The last step.
    pub last: u64,
    /// Tokens or samples learnt from in a step.
    pub tokens: usize,
    /// What they are: `character`, `word` or `sample`.
    pub unit: &'static str,
    /// What the loss is.
    pub loss: Loss,
}

/// What a loss measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Cross-entropy, in nats.
    Nats,
    /// The mean square of an error, beside the variance of what is predicted.
    MeanSquare,
}

/// Watches a run. Every method does nothing unless it is written.
pub trait Observer {
    /// Something worth knowing: a line.
    fn note(&mut self, _text: &str) {}
    /// Training begins.
    fn begin(&mut self, _plan: &Plan) {}
    /// A step is done; its loss.
    fn step(&mut self, _step: u64, _loss: f64) {}
    /// The held-out part was scored.
    fn held_out(&mut self, _step: u64, _score: &Score) {}
    /// The model wrote this.
    fn sample(&mut self, _step: u64, _text: &str) {}
    /// So many tokens of a part are scored; what they are.
    fn scoring(&mut self, _done: u64, _of: u64, _unit: &'static str) {}
    /// Nothing more comes.
    fn end(&mut self) {}
}

/// Does nothing.
pub struct Silent;

impl Observer for Silent {}

/// A request to stop, from a signal or another thread.
pub type Stop = AtomicBool;

/// Whether the run is to stop.
pub(crate) fn asked(stop: &Stop) -> bool {
    stop.load(Ordering::Relaxed)
}

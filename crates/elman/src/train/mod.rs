//! Training: clipping, optimisers, schedules, the loop, checkpoints.

pub mod accumulate;
pub mod checkpoint;
pub mod clip;
pub mod constraint;
pub mod early_stopping;
pub mod gradient_noise;
pub mod optimiser;
#[cfg(test)]
mod options_test;
pub mod rate_finder;
pub mod schedule;
pub mod trainer;
pub mod truncation;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use clip::Clip;
pub use constraint::{Constraint, ConstraintError, Constraints};
pub use early_stopping::EarlyStopping;
pub use gradient_noise::GradientNoise;
pub use optimiser::{Optimiser, Rule};
pub use rate_finder::{RateError, RateFinder, RatePoint, RateSweep};
pub use schedule::Schedule;
pub use trainer::{BatchSource, Learnt, Network, Report, TrainError, Trainer};
pub use truncation::{Overlapping, Truncation, TruncationError, Window};

/// Numbers that a thread takes at a time in passes over all parameters: enough to be worth a thread.
const CHUNK: usize = 1 << 16;

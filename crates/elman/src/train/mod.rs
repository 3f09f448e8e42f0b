//! Training: clipping, optimisers, schedules, the loop, checkpoints.

pub mod accumulate;
pub mod checkpoint;
pub mod clip;
pub mod constraint;
pub mod early_stopping;
pub mod gradient;
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
pub use gradient::Gradient;
pub use gradient_noise::GradientNoise;
pub use optimiser::{Optimiser, Rule};
pub use rate_finder::{RateError, RateFinder, RatePoint, RateSweep};
pub use schedule::Schedule;
pub use trainer::{BatchSource, Learnt, Network, Report, TrainError, Trainer};
pub use truncation::{Overlapping, Truncation, TruncationError, Window};

use elman_core::cell::OptionError;

/// Refuses a number that is outside its range.
fn check_option(option: &'static str, value: f64, fits: bool, range: &'static str) -> Result<(), OptionError> {
    if fits { Ok(()) } else { Err(OptionError { option, value, range }) }
}

/// Whether a number is finite and not negative; and the words for it.
fn is_not_negative(value: f64) -> bool {
    value >= 0.0 && value.is_finite()
}
const NOT_NEGATIVE: &str = "a finite number, 0 or above";

/// Numbers that a thread takes at a time in passes over all parameters: enough to be worth a thread.
const CHUNK: usize = 1 << 16;

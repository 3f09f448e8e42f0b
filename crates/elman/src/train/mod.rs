//! Training: clipping, optimisers, schedules, the loop, checkpoints.

pub mod checkpoint;
pub mod clip;
pub mod constraint;
pub mod optimiser;
pub mod schedule;
pub mod trainer;
pub mod truncation;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use constraint::{Constraint, ConstraintError, Constraints};
pub use optimiser::{Optimiser, Rule};
pub use schedule::Schedule;
pub use trainer::{BatchSource, Network, Report, TrainError, Trainer};
pub use truncation::{Overlapping, Truncation, TruncationError, Window};

/// Numbers that a thread takes at a time in passes over all parameters: enough to be worth a thread.
const CHUNK: usize = 1 << 16;

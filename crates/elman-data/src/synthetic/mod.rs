//! Data that is made, not read: the synthetic tasks of the literature, each a pure function of a seed.

pub mod adding;
pub mod agreement;
pub mod drifting;
pub mod elman_grammar;
mod random;
pub mod reber;
pub mod temporal_order;

pub use random::Random;

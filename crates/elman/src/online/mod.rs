//! Learning at every step, in constant memory: real-time recurrent learning and what approximates it.
//!
//! Backpropagation through time waits for the end of a sequence and keeps every step of it. Here the influence of the parameters on the state goes
//! forward with the state instead: P = ds/dθ, P ← J P + ∂s/∂θ, and each step's loss has its gradient at once, Pᵀ ∂L/∂s. Nothing grows with time.
//!
//! * [`LinearStep`]: a layer's step with its derivatives, read from the cell's equations;
//! * [`Rtrl`]: exact; [`Sparse`]: SnAp-1, biased, and the truncated rule of the first LSTM; [`Uoro`]: unbiased with a variance.
//! * [`Online`]: a layer and a readout that learn from a stream, with any of these;
//! * [`LanguageModel::with_online`](crate::network::LanguageModel::with_online): a model that a trainer trains with any of these.
//!
//! docs/online.md has the equations, the costs beside those of backpropagation through time, and when to take which.

mod aligned;
mod block;
mod error;
mod influence;
mod layout;
mod learner;
mod linear_step;
mod local;
mod rtrl;
mod saved;
mod sparse;
mod uoro;

pub use block::{Block, Kind};
pub(crate) use block::{axpy, dot};
pub use error::OnlineError;
pub(crate) use influence::SETTLE;
pub use influence::{Cost, Influence};
pub use layout::{Feature, Layout, Rows};
pub(crate) use learner::softmax;
pub use learner::{Loss, Method, Online, OnlineConfig, Started, Target};
pub use linear_step::{Features, Input, LinearStep};
pub use local::Flow;
pub use rtrl::Rtrl;
pub use sparse::Sparse;
pub use uoro::Uoro;

#[cfg(test)]
mod learner_test;
#[cfg(test)]
mod tests;

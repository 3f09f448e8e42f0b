//! Looking into a trained model: where the gradient goes on its way back through time, what gates and states do over a text, and what
//! each way to train costs; of a model of characters or words over a text, or of a network of numbers over a series ([`Path::series`]). Numbers only;
//! nothing is drawn here.
//!
//! Everything is computed in f64 by the engine that trains, one step at a time, so that it holds for every cell and every stack of
//! layers: no derivative is written by hand. L_j is the loss of the prediction that step j makes, s_k the state that step k hands to
//! step k + 1 (all carried values of all layers, such as h and c), W any parameter.
//!
//! * [`Flow`]: ‖∂L_j/∂s_k‖ by the lag j - k, and the gradient ∂L/∂W split by lag, the double sum of backpropagation through time.
//! * [`Paths`]: single terms of that sum.
//! * [`Products`]: the singular values of ∂s_j/∂s_k = Π ∂s_m/∂s_{m-1}; [`Lyapunov`]: their growth rates; [`Verdict`]: vanishing,
//!   healthy or exploding, from that product; [`Example`]: networks whose product is known.
//! * [`Trace`]: every named value of every step; [`Saturation`]: how often a gate is shut or open; [`most_selective`]: which unit follows what.
//! * [`costs`]: memory, operations and serial steps of each way to train; [`Unfolded`]: the network as a feed-forward one.
//! * [`npz`]: an archive for NumPy.
//! * [`linear`]: singular values and eigenvalues of a matrix.
//!
//! Y. Bengio, P. Simard & P. Frasconi, "Learning long-term dependencies with gradient descent is difficult", 1994;
//! R. Pascanu, T. Mikolov & Y. Bengio, "On the difficulty of training recurrent neural networks", 2013.

pub mod cost;
mod error;
pub mod examples;
pub mod flow;
pub mod gates;
pub mod linear;
pub mod lyapunov;
pub mod matrices;
pub mod network;
pub mod npz;
pub mod path;
pub mod paths;
pub mod product;
mod sweep;
pub mod trace;
pub mod unfold;
pub mod verdict;

pub use cost::{Cost, costs};
pub use error::AnalysisError;
pub use examples::Example;
pub use flow::{Flow, FlowSettings, ParameterFlow, StateFlow};
pub use gates::{Feature, Saturation, Selective, features, most_selective, series_features};
pub use lyapunov::Lyapunov;
pub use matrices::{RecurrentMatrix, recurrent_matrices};
pub use network::{Network, NetworkLayer};
pub use path::Path;
pub use paths::Paths;
pub use product::{Products, geometric_lags};
pub use trace::{Nature, Series, Trace};
pub use unfold::{Scanned, Streamed, Unfolded, bptt, bptt_over, from_targets, scanned, streamed};
pub use verdict::{Kind, Verdict};

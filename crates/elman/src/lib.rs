//! Recurrent networks on Burn, with an engine in which every cell runs at full speed.
//!
//! * [`Recurrent`]: one cell, one layer or a stack, as a Burn module: `(y, state) = layer.forward(x, state)`;
//! * [`init`]: what parameters are before training;
//! * [`network`]: networks built from it;
//! * [`regularisation`]: dropout of whole sequences, DropConnect, penalties on activations;
//! * [`online`]: learning at every sample, in constant memory;
//! * [`train`]: truncated backpropagation through time, clipping, optimisers, checkpoints that resume to the bit.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use elman::{RecurrentConfig, Sizes, cells};
//!
//! let device = Device::flex().autodiff();
//! let lstm = RecurrentConfig::new((cells::find("lstm").unwrap().make)(), Sizes::new(3, 5)).init(1, &device).unwrap();
//! let x = Tensor::<3>::ones([7, 2, 3], &device); // T = 7, B = 2, I = 3
//! let (y, state) = lstm.forward(x, None);
//! assert_eq!(y.dims(), [7, 2, 5]);
//! assert_eq!(state.layers[0].len(), 2); // h and c
//! let gradients = y.sum().backward();
//! # let _ = gradients;
//! ```

pub use elman_core::engine::{Bf16Kernel, BudgetError, NoBf16, NotLinear, Recompute};
pub use elman_core::{LayerError, Sizes, cells};

mod flex;
pub mod init;
pub mod network;
pub mod online;
pub mod parameters;
pub mod random;
pub mod recurrent;
pub mod regularisation;
mod runtime;
mod tap;
pub mod train;

pub use random::Random;
pub use recurrent::{Recurrent, RecurrentConfig, State};
pub use runtime::{Runtime, set_threads};

//! Describing a layer: its equations, shapes, costs and computational graph, all read from the recorded expressions.
//!
//! ```
//! use elman_core::describe::{self, Notation};
//! use elman_core::{Layer, cells, layer::Sizes};
//!
//! let cell = (cells::find("lstm").unwrap().make)();
//! let layer = Layer::new(cell, Sizes::new(65, 256)).unwrap();
//! let text = describe::text(&layer, Notation::Elman).unwrap();
//! assert!(text.contains("i_t = σ(W_ix x_t + W_ih h_{t-1} + b_i)"));
//! assert!(text.contains("δo_t = δh_t ⊙ tanh(c_t)"));
//! ```

mod equations;
mod graph;
mod layout;
mod math;
mod notation;
mod sizes;
mod svg;
mod symbols;
mod text;
mod write;

pub use graph::{graph_dot, graph_svg};
pub use notation::{Notation, NotationError};
pub(crate) use text::SOURCE;
pub use text::{latex, text};
pub(crate) use write::greek_name;

#[cfg(test)]
mod tests;

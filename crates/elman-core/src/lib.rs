//! Recurrent cells written once as equations, and the engine that runs them.
//!
//! Slices in, slices out, in `f32` and `f64`; no tensor framework.

pub mod algebra;
mod altered;
pub mod cell;
pub mod cells;
pub mod describe;
mod draw;
pub mod elementwise;
pub mod engine;
pub mod layer;
mod mean_feeds;
pub mod options;
mod recorded_cell;
pub mod testing;
pub mod text_cell;
mod zoneout;

pub use algebra::Real;
pub use altered::{with_name, without_bias};
pub use cell::{Cell, CellSpec};
pub use draw::Draw;
pub use layer::{Layer, LayerError, Sizes};
pub use mean_feeds::with_mean_feeds;
pub use zoneout::Zoneout;

//! The registry of cells: one line each, and nothing else.

use crate::algebra::Activation;
use crate::cell::Cell;
use std::sync::Arc;

mod elman;
mod gru;
mod gru_reset_after;
mod jordan;
mod leaky;
mod lstm;
mod lstm_cifg;
mod lstm_layer_norm;
mod lstm_peephole;
mod lstm_projected;
mod residual;

pub use self::elman::Elman;
pub use gru::Gru;
pub use gru_reset_after::GruResetAfter;
pub use jordan::Jordan;
pub use leaky::Leaky;
pub use lstm::Lstm;
pub use lstm_cifg::LstmCifg;
pub use lstm_layer_norm::LstmLayerNorm;
pub use lstm_peephole::LstmPeephole;
pub use lstm_projected::LstmProjected;
pub use residual::Residual;

/// A line of the registry.
pub struct Entry {
    /// The name on the command line and in model files.
    pub name: &'static str,
    /// The file in `cells/`, without ending.
    pub file: &'static str,
    /// Makes the cell with the preset's hyper-parameters.
    pub make: fn() -> Arc<dyn Cell>,
}

/// Every cell that Elman has, in the order in which they are listed.
#[rustfmt::skip]
pub const REGISTRY: &[Entry] = &[
    Entry { name: "elman", file: "elman", make: || Arc::new(Elman { activation: Activation::Tanh }) },
    Entry { name: "elman-relu", file: "elman", make: || Arc::new(Elman { activation: Activation::Relu }) },
    Entry { name: "jordan", file: "jordan", make: || Arc::new(Jordan {}) },
    Entry { name: "leaky", file: "leaky", make: || Arc::new(Leaky {}) },
    Entry { name: "residual", file: "residual", make: || Arc::new(Residual {}) },
    Entry { name: "lstm", file: "lstm", make: || Arc::new(Lstm {}) },
    Entry { name: "lstm-peephole", file: "lstm_peephole", make: || Arc::new(LstmPeephole {}) },
    Entry { name: "lstm-cifg", file: "lstm_cifg", make: || Arc::new(LstmCifg {}) },
    Entry { name: "lstm-projected", file: "lstm_projected", make: || Arc::new(LstmProjected {}) },
    Entry { name: "lstm-layer-norm", file: "lstm_layer_norm", make: || Arc::new(LstmLayerNorm {}) },
    Entry { name: "gru", file: "gru", make: || Arc::new(Gru {}) },
    Entry { name: "gru-reset-after", file: "gru_reset_after", make: || Arc::new(GruResetAfter {}) },
];

/// The cell registered as `name`.
pub fn find(name: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.name == name)
}

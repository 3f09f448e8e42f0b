//! The registry of cells: one line each, and nothing else.

use crate::algebra::Activation;
use crate::cell::Cell;
use std::sync::Arc;

mod elman;
mod gru;
mod gru_minimal;
mod gru_reset_after;
mod jordan;
mod leaky;
mod lstm;
mod lstm_1997;
mod lstm_1999;
mod lstm_cifg;
mod lstm_fgr;
mod lstm_layer_norm;
mod lstm_nfg;
mod lstm_nig;
mod lstm_nog;
mod lstm_peephole;
mod lstm_projected;
mod lstm_show_and_tell;
mod mgu;
mod min_gru;
mod min_lstm;
mod residual;
mod unit_feedback;

pub use self::elman::Elman;
pub use gru::Gru;
pub use gru_minimal::GruMinimal;
pub use gru_reset_after::GruResetAfter;
pub use jordan::Jordan;
pub use leaky::Leaky;
pub use lstm::Lstm;
pub use lstm_1997::Lstm1997;
pub use lstm_1999::Lstm1999;
pub use lstm_cifg::LstmCifg;
pub use lstm_fgr::LstmFgr;
pub use lstm_layer_norm::LstmLayerNorm;
pub use lstm_nfg::LstmNfg;
pub use lstm_nig::LstmNig;
pub use lstm_nog::LstmNog;
pub use lstm_peephole::LstmPeephole;
pub use lstm_projected::LstmProjected;
pub use lstm_show_and_tell::LstmShowAndTell;
pub use mgu::Mgu;
pub use min_gru::MinGru;
pub use min_lstm::MinLstm;
pub use residual::Residual;
pub use unit_feedback::UnitFeedback;

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
    Entry { name: "unit-feedback", file: "unit_feedback", make: || Arc::new(UnitFeedback {}) },
    Entry { name: "residual", file: "residual", make: || Arc::new(Residual {}) },
    Entry { name: "lstm", file: "lstm", make: || Arc::new(Lstm {}) },
    Entry { name: "lstm-1997", file: "lstm_1997", make: || Arc::new(Lstm1997 {}) },
    Entry { name: "lstm-1999", file: "lstm_1999", make: || Arc::new(Lstm1999 {}) },
    Entry { name: "lstm-peephole", file: "lstm_peephole", make: || Arc::new(LstmPeephole { input: Activation::Tanh, output: Activation::Tanh }) },
    Entry { name: "lstm-nig", file: "lstm_nig", make: || Arc::new(LstmNig {}) },
    Entry { name: "lstm-nfg", file: "lstm_nfg", make: || Arc::new(LstmNfg {}) },
    Entry { name: "lstm-nog", file: "lstm_nog", make: || Arc::new(LstmNog {}) },
    Entry { name: "lstm-niaf", file: "lstm_peephole", make: || Arc::new(LstmPeephole { input: Activation::Identity, output: Activation::Tanh }) },
    Entry { name: "lstm-noaf", file: "lstm_peephole", make: || Arc::new(LstmPeephole { input: Activation::Tanh, output: Activation::Identity }) },
    Entry { name: "lstm-np", file: "lstm", make: || Arc::new(Lstm {}) },
    Entry { name: "lstm-cifg", file: "lstm_cifg", make: || Arc::new(LstmCifg {}) },
    Entry { name: "lstm-fgr", file: "lstm_fgr", make: || Arc::new(LstmFgr {}) },
    Entry { name: "lstm-show-and-tell", file: "lstm_show_and_tell", make: || Arc::new(LstmShowAndTell {}) },
    Entry { name: "lstm-projected", file: "lstm_projected", make: || Arc::new(LstmProjected {}) },
    Entry { name: "lstm-layer-norm", file: "lstm_layer_norm", make: || Arc::new(LstmLayerNorm {}) },
    Entry { name: "gru", file: "gru", make: || Arc::new(Gru {}) },
    Entry { name: "gru-reset-after", file: "gru_reset_after", make: || Arc::new(GruResetAfter {}) },
    Entry { name: "gru-minimal", file: "gru_minimal", make: || Arc::new(GruMinimal {}) },
    Entry { name: "mgu", file: "mgu", make: || Arc::new(Mgu {}) },
    Entry { name: "min-gru", file: "min_gru", make: || Arc::new(MinGru {}) },
    Entry { name: "min-lstm", file: "min_lstm", make: || Arc::new(MinLstm {}) },
];

/// The cell registered as `name`.
pub fn find(name: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.name == name)
}

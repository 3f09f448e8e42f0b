//! The registry of cells: one line each, and nothing else.

use crate::algebra::Activation;
use crate::altered::preset;
use crate::cell::Cell;
use std::sync::Arc;

mod deep_output;
mod deep_output_shortcut;
mod deep_transition;
mod deep_transition_shortcut;
mod elman;
mod elman_residual;
mod gru;
mod gru_layer_norm;
mod gru_minimal;
mod gru_reset_after;
mod indrnn;
mod jordan;
mod leaky;
mod leaky_fixed;
mod lru;
mod lstm;
mod lstm_1997;
mod lstm_1999;
mod lstm_cifg;
mod lstm_fgr;
mod lstm_layer_norm;
mod lstm_nfg;
mod lstm_nig;
mod lstm_nog;
mod lstm_output_feedback;
mod lstm_peephole;
mod lstm_projected;
mod lstm_show_and_tell;
mod mgu;
mod min_gru;
mod min_lstm;
mod output_feedback;
mod output_feedback_preprocessed;
mod residual;
mod residual_before;
mod residual_forget_gate;
mod residual_input_gate;
mod residual_output_gate;
mod second_order;
mod slstm;
mod state_space;
mod unit_feedback;

pub use self::elman::Elman;
pub use deep_output::DeepOutput;
pub use deep_output_shortcut::DeepOutputShortcut;
pub use deep_transition::DeepTransition;
pub use deep_transition_shortcut::DeepTransitionShortcut;
pub use elman_residual::ElmanResidual;
pub use gru::Gru;
pub use gru_layer_norm::GruLayerNorm;
pub use gru_minimal::GruMinimal;
pub use gru_reset_after::GruResetAfter;
pub use indrnn::IndRnn;
pub use jordan::Jordan;
pub use leaky::Leaky;
pub use leaky_fixed::LeakyFixed;
pub use lru::Lru;
pub use lstm::Lstm;
pub use lstm_1997::Lstm1997;
pub use lstm_1999::Lstm1999;
pub use lstm_cifg::LstmCifg;
pub use lstm_fgr::LstmFgr;
pub use lstm_layer_norm::LstmLayerNorm;
pub use lstm_nfg::LstmNfg;
pub use lstm_nig::LstmNig;
pub use lstm_nog::LstmNog;
pub use lstm_output_feedback::LstmOutputFeedback;
pub use lstm_peephole::LstmPeephole;
pub use lstm_projected::LstmProjected;
pub use lstm_show_and_tell::LstmShowAndTell;
pub use mgu::Mgu;
pub use min_gru::MinGru;
pub use min_lstm::MinLstm;
pub use output_feedback::OutputFeedback;
pub use output_feedback_preprocessed::OutputFeedbackPreprocessed;
pub use residual::Residual;
pub use residual_before::ResidualBefore;
pub use residual_forget_gate::ResidualForgetGate;
pub use residual_input_gate::ResidualInputGate;
pub use residual_output_gate::ResidualOutputGate;
pub use second_order::SecondOrder;
pub use slstm::Slstm;
pub use state_space::StateSpace;
pub use unit_feedback::UnitFeedback;

/// A line of the registry.
#[derive(Debug)]
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
    Entry { name: "elman-relu", file: "elman", make: || preset("elman-relu", "The simple recurrent network with the rectifier as its activation.", None, Elman { activation: Activation::Relu }) },
    Entry { name: "elman-sigmoid", file: "elman", make: || preset("elman-sigmoid", "The simple recurrent network with the logistic function as its activation.", None, Elman { activation: Activation::Sigmoid }) },
    Entry { name: "elman-residual", file: "elman_residual", make: || Arc::new(ElmanResidual {}) },
    Entry { name: "jordan", file: "jordan", make: || Arc::new(Jordan { hidden: Activation::Tanh, output: Activation::Sigmoid }) },
    Entry { name: "output-feedback", file: "output_feedback", make: || Arc::new(OutputFeedback { hidden: Activation::Tanh, output: Activation::Tanh }) },
    Entry { name: "output-feedback-preprocessed", file: "output_feedback_preprocessed", make: || Arc::new(OutputFeedbackPreprocessed {}) },
    Entry { name: "state-space", file: "state_space", make: || Arc::new(StateSpace {}) },
    Entry { name: "deep-transition", file: "deep_transition", make: || Arc::new(DeepTransition {}) },
    Entry { name: "deep-transition-shortcut", file: "deep_transition_shortcut", make: || Arc::new(DeepTransitionShortcut {}) },
    Entry { name: "deep-output", file: "deep_output", make: || Arc::new(DeepOutput {}) },
    Entry { name: "deep-output-shortcut", file: "deep_output_shortcut", make: || Arc::new(DeepOutputShortcut {}) },
    Entry { name: "second-order", file: "second_order", make: || Arc::new(SecondOrder {}) },
    Entry { name: "leaky", file: "leaky", make: || Arc::new(Leaky {}) },
    Entry { name: "leaky-fixed", file: "leaky_fixed", make: || Arc::new(LeakyFixed { alpha: 0.9 }) },
    Entry { name: "indrnn", file: "indrnn", make: || Arc::new(IndRnn {}) },
    Entry { name: "unit-feedback", file: "unit_feedback", make: || Arc::new(UnitFeedback {}) },
    Entry { name: "residual", file: "residual", make: || Arc::new(Residual {}) },
    Entry { name: "residual-before", file: "residual_before", make: || Arc::new(ResidualBefore {}) },
    Entry { name: "residual-input-gate", file: "residual_input_gate", make: || Arc::new(ResidualInputGate {}) },
    Entry { name: "residual-forget-gate", file: "residual_forget_gate", make: || Arc::new(ResidualForgetGate {}) },
    Entry { name: "residual-output-gate", file: "residual_output_gate", make: || Arc::new(ResidualOutputGate {}) },
    Entry { name: "lstm-output-feedback", file: "lstm_output_feedback", make: || Arc::new(LstmOutputFeedback {}) },
    Entry { name: "lstm", file: "lstm", make: || Arc::new(Lstm {}) },
    Entry { name: "lstm-1997", file: "lstm_1997", make: || Arc::new(Lstm1997 {}) },
    Entry { name: "lstm-1999", file: "lstm_1999", make: || Arc::new(Lstm1999 {}) },
    Entry { name: "lstm-peephole", file: "lstm_peephole", make: || Arc::new(LstmPeephole { input: Activation::Tanh, output: Activation::Tanh }) },
    Entry { name: "lstm-nig", file: "lstm_nig", make: || Arc::new(LstmNig {}) },
    Entry { name: "lstm-nfg", file: "lstm_nfg", make: || Arc::new(LstmNfg {}) },
    Entry { name: "lstm-nog", file: "lstm_nog", make: || Arc::new(LstmNog {}) },
    Entry { name: "lstm-niaf", file: "lstm_peephole", make: || preset("lstm-niaf", "Long short-term memory with peepholes and no activation of what is let in.", Some("Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber, \"LSTM: a search space odyssey\", IEEE TNNLS 28(10), 2017, variant NIAF"), LstmPeephole { input: Activation::Identity, output: Activation::Tanh }) },
    Entry { name: "lstm-noaf", file: "lstm_peephole", make: || preset("lstm-noaf", "Long short-term memory with peepholes and no activation of what is put out.", Some("Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber, \"LSTM: a search space odyssey\", IEEE TNNLS 28(10), 2017, variant NOAF"), LstmPeephole { input: Activation::Tanh, output: Activation::Identity }) },
    Entry { name: "lstm-np", file: "lstm", make: || preset("lstm-np", "Long short-term memory without peepholes: `lstm` by its name among the variants of the search space odyssey.", Some("Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber, \"LSTM: a search space odyssey\", IEEE TNNLS 28(10), 2017, variant NP"), Lstm {}) },
    Entry { name: "lstm-cifg", file: "lstm_cifg", make: || Arc::new(LstmCifg {}) },
    Entry { name: "lstm-fgr", file: "lstm_fgr", make: || Arc::new(LstmFgr {}) },
    Entry { name: "lstm-show-and-tell", file: "lstm_show_and_tell", make: || Arc::new(LstmShowAndTell {}) },
    Entry { name: "lstm-projected", file: "lstm_projected", make: || Arc::new(LstmProjected {}) },
    Entry { name: "lstm-layer-norm", file: "lstm_layer_norm", make: || Arc::new(LstmLayerNorm {}) },
    Entry { name: "slstm", file: "slstm", make: || Arc::new(Slstm {}) },
    Entry { name: "gru", file: "gru", make: || Arc::new(Gru {}) },
    Entry { name: "gru-reset-after", file: "gru_reset_after", make: || Arc::new(GruResetAfter {}) },
    Entry { name: "gru-minimal", file: "gru_minimal", make: || Arc::new(GruMinimal {}) },
    Entry { name: "gru-layer-norm", file: "gru_layer_norm", make: || Arc::new(GruLayerNorm {}) },
    Entry { name: "mgu", file: "mgu", make: || Arc::new(Mgu {}) },
    Entry { name: "min-gru", file: "min_gru", make: || Arc::new(MinGru {}) },
    Entry { name: "min-lstm", file: "min_lstm", make: || Arc::new(MinLstm {}) },
    Entry { name: "lru", file: "lru", make: || Arc::new(Lru {}) },
];

/// The cell registered as `name`.
pub fn find(name: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.name == name)
}

//! Cells with their initialisation as one name: the first deck's table.

use super::{Bias, Init, Initialiser, find};

/// A row of the table of Talathi & Vartak, "Improving performance of recurrent neural network with ReLU nonlinearity", 2015, as the
/// first lecture deck quotes it: a simple recurrent network with this activation and recurrent matrix.
///
/// The table says nothing of input matrices and biases. Input matrices are the default's; biases are zero, as for the IRNN of
/// Le, Jaitly & Hinton, but for `srnn`, which is the network as it is without the table.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name on the command line.
    pub name: &'static str,
    /// The name in the table, where case matters.
    pub title: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// The registered cell.
    pub cell: &'static str,
    /// Name of the recurrent matrix.
    pub recurrent: &'static str,
    /// Biases.
    pub bias: Bias,
}

/// The table.
#[rustfmt::skip]
pub const PRESETS: &[Preset] = &[
    Preset { name: "srnn", title: "sRNN", doc: "simple recurrent network of rectifiers", cell: "elman-relu", recurrent: "uniform", bias: Bias::Uniform },
    Preset { name: "irnn", title: "IRNN", doc: "rectifiers, the identity", cell: "elman-relu", recurrent: "identity", bias: Bias::Zeros },
    Preset { name: "irnn-small", title: "iRNN", doc: "rectifiers, 0.01 times the identity", cell: "elman-relu", recurrent: "identity-small", bias: Bias::Zeros },
    Preset { name: "nrnn", title: "nRNN", doc: "rectifiers, normal matrix of spectral radius 1", cell: "elman-relu", recurrent: "normalised", bias: Bias::Zeros },
    Preset { name: "np-rnn", title: "np-RNN", doc: "rectifiers, positive definite matrix of largest eigenvalue 1", cell: "elman-relu", recurrent: "normalised-positive-definite", bias: Bias::Zeros },
    Preset { name: "np-tanh-rnn", title: "np-tanhRNN", doc: "tanh, positive definite matrix of largest eigenvalue 1", cell: "elman", recurrent: "normalised-positive-definite", bias: Bias::Zeros },
    Preset { name: "ornn", title: "oRNN", doc: "rectifiers, random orthogonal matrix", cell: "elman-relu", recurrent: "orthogonal", bias: Bias::Zeros },
    Preset { name: "grnn", title: "gRNN", doc: "rectifiers, random normal matrix", cell: "elman-relu", recurrent: "gaussian", bias: Bias::Zeros },
];

/// The preset of this name, or of this title as the table has it: `iRNN` is `irnn-small`, `IRNN` is `irnn`.
pub fn find_preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name || preset.title == name)
}

impl Preset {
    /// Its initialisation.
    pub fn init(&self) -> Init {
        Init { recurrent: self.recurrent(), bias: self.bias, ..Init::default() }
    }

    fn recurrent(&self) -> &'static Initialiser {
        find(self.recurrent).expect("a test looks every name up")
    }
}

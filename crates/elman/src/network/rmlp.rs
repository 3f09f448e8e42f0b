//! Recurrent multilayer perceptrons.

use super::dense::{Dense, seed_of};
use super::error::{LARGEST, NetworkError};
use super::stack::{Stack, StackConfig, StackLayer};
use super::system::SequenceMap;
use crate::random::Random;
use crate::recurrent::{Input, Options, Recurrent, RecurrentConfig, State};
use crate::regularisation::Regularised;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use elman_core::Sizes;
use elman_core::algebra::Activation;
use elman_core::cells::Elman;
use std::sync::Arc;

/// How an [`Rmlp`] is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RmlpConfig {
    /// Number of inputs.
    pub inputs: usize,
    /// The widths of the hidden layers, from the input on.
    pub hidden: Vec<usize>,
    /// Number of outputs.
    pub outputs: usize,
    /// The activation of the hidden layers; [`activation_named`](super::activation_named) gives it for a name.
    pub activation: Activation,
    /// Whether the output layer, too, is fed its own output of the step before.
    pub recurrent_output: bool,
}

impl RmlpConfig {
    /// tanh, and a plain linear output layer.
    pub fn new(inputs: usize, hidden: &[usize], outputs: usize) -> RmlpConfig {
        let (hidden, activation) = (hidden.to_vec(), Activation::Tanh);
        RmlpConfig { inputs, hidden, outputs, activation, recurrent_output: false }
    }

    /// Draws a network from `seed`: the recurrent layers as [`RecurrentConfig::init`] says, a plain output layer as [`Dense::init`].
    ///
    /// # Errors
    /// If there is no hidden layer, or a width is 0.
    pub fn init(&self, seed: u64, device: &Device) -> Result<Rmlp, NetworkError> {
        NetworkError::check("the number of hidden layers", self.hidden.len(), 1, LARGEST)?;
        NetworkError::check("the number of inputs", self.inputs, 1, LARGEST)?;
        NetworkError::check("the number of outputs", self.outputs, 1, LARGEST)?;
        for &width in &self.hidden {
            NetworkError::check("the width of a hidden layer", width, 1, LARGEST)?;
        }
        let cell = Arc::new(Elman { activation: self.activation });
        let layers = self.hidden.iter().map(|&hidden| StackLayer::new(cell.clone(), hidden)).collect();
        let hidden = StackConfig::new(self.inputs, layers).init(seed, device)?;
        let width = hidden.output_width();
        let (mut output, mut recurrent_output) = (None, None);
        if self.recurrent_output {
            let linear = Arc::new(Elman { activation: Activation::Identity });
            let config = RecurrentConfig::new(linear, Sizes::new(width, self.outputs));
            recurrent_output = Some(config.init(seed_of(seed, "recurrent_output"), device)?);
        } else {
            output = Some(Dense::init(width, self.outputs, seed, "output", device)?);
        }
        Ok(Rmlp { hidden, output, recurrent_output })
    }
}

/// A recurrent multilayer perceptron (Puskorius & Feldkamp 1994; the first deck): a perceptron each of whose layers is fed
/// its own output of the step before.
///
/// h¹_t = σ(W¹ u_t + V¹ h¹_{t-1} + b¹), hˡ_t = σ(Wˡ hˡ⁻¹_t + Vˡ hˡ_{t-1} + bˡ), y_t = W h^L_t + b; with a recurrent output layer
/// y_t = W h^L_t + V y_{t-1} + b. Layers may have different widths.
///
/// As a model of a dynamic system the state is in the hidden layers: wrap it in a [`SequenceModel`](super::SequenceModel). The
/// layers run on the engine.
/// Parameters: `hidden.layers.0.weight_ih_l0`, ..., `output.weight`, `output.bias`, or `recurrent_output.weight_ih_l0`, ...
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use elman::network::{RmlpConfig, SequenceMap};
///
/// let network = RmlpConfig::new(2, &[10, 5], 1).init(1, &Device::flex()).unwrap();
/// let (y, state) = network.forward(Tensor::ones([20, 4, 2], &Device::flex()), None);
/// assert_eq!(y.dims(), [20, 4, 1]);
/// assert_eq!((state.layers[0][0].dims(), state.layers[1][0].dims()), ([4, 10], [4, 5]));
/// ```
#[derive(Module, Debug)]
pub struct Rmlp {
    /// The recurrent hidden layers.
    pub hidden: Stack,
    /// The linear output layer, if it is plain.
    pub output: Option<Dense>,
    /// The linear output layer, if it is recurrent.
    pub recurrent_output: Option<Recurrent>,
}

impl SequenceMap for Rmlp {
    fn widths(&self) -> [usize; 2] {
        let outputs = match (&self.output, &self.recurrent_output) {
            (Some(dense), _) => dense.widths()[1],
            (None, recurrent) => recurrent.as_ref().map_or(0, Recurrent::output_width),
        };
        [self.hidden.input_width(), outputs]
    }

    /// The state has hˡ of each layer, and y after them if the output layer is recurrent.
    fn forward(&self, x: Tensor<3>, state: Option<State>) -> (Tensor<3>, State) {
        let Regularised { y, state, .. } = self.run(x, state, None);
        (y, state)
    }

    fn training(&self, x: Tensor<3>, state: Option<State>, random: &mut Random) -> Regularised {
        self.run(x, state, Some(random))
    }
}

impl Rmlp {
    fn run(&self, x: Tensor<3>, state: Option<State>, mut dropout: Option<&mut Random>) -> Regularised {
        let (hidden, output) = match state {
            None => (None, None),
            Some(mut state) => {
                let output = self.recurrent_output.is_some().then(|| state.layers.pop()).flatten();
                (Some(state), output.map(|values| State { layers: vec![values] }))
            }
        };
        let Regularised { y: h, state: mut after, penalty, .. } =
            self.hidden.run_regularised(Input::Dense(x), hidden, None, dropout.as_deref_mut());
        let y = match (&self.output, &self.recurrent_output) {
            (Some(dense), _) => dense.forward_steps(h),
            (None, Some(layer)) => {
                let (y, last) = layer.run(Input::Dense(h), output, Options { dropout, ..Options::default() });
                after.layers.extend(last.layers);
                y
            }
            (None, None) => h,
        };
        Regularised { y, state: after, output_mask: None, penalty }
    }
}

#[cfg(test)]
#[path = "rmlp_test.rs"]
mod tests;

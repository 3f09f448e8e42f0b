//! Deep recurrent networks: a perceptron before, several internal steps, a perceptron after.

use super::dense::{Mlp, MlpConfig};
use super::error::{LARGEST, NetworkError};
use super::stack::{Stack, StackConfig};
use super::system::SequenceMap;
use crate::random::Random;
use crate::recurrent::{Input, State};
use crate::regularisation::Regularised;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use elman_core::algebra::Activation;
use std::sync::Arc;

/// What the internal steps after the first read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// The same input again.
    #[default]
    Repeat,
    /// Zeros: the network goes on from its state alone.
    Zero,
}

/// How a [`DeepRecurrent`] is made.
#[derive(Clone, Debug)]
pub struct DeepConfig {
    /// Number of inputs.
    pub inputs: usize,
    /// Widths of the layers between the input and the recurrent layers; none: the recurrent layers read the input.
    pub before: Vec<usize>,
    /// The recurrent layers. Their `inputs` is the last width of `before`, or `inputs` where there is none.
    pub stack: StackConfig,
    /// k, the number of internal steps for each input, at least 1.
    pub internal_steps: usize,
    /// What the internal steps after the first read.
    pub hold: Hold,
    /// Widths of the hidden layers between the recurrent layers and the output; none: a linear output.
    pub after: Vec<usize>,
    /// Number of outputs.
    pub outputs: usize,
    /// The activation of the layers before and after.
    pub activation: Activation,
}

impl DeepConfig {
    /// One internal step, nothing before, a linear output, tanh.
    pub fn new(stack: StackConfig, outputs: usize) -> DeepConfig {
        DeepConfig {
            inputs: stack.inputs,
            before: Vec::new(),
            stack,
            internal_steps: 1,
            hold: Hold::Repeat,
            after: Vec::new(),
            outputs,
            activation: Activation::Tanh,
        }
    }

    /// Draws a network from `seed`.
    ///
    /// # Errors
    /// If a width or the number of internal steps is 0, the stack does not read what comes before it, or as [`StackConfig::init`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<DeepRecurrent, NetworkError> {
        NetworkError::check("the number of internal steps", self.internal_steps, 1, LARGEST)?;
        let before = match self.before.split_last() {
            None => None,
            Some((&outputs, hidden)) => {
                let (activation, last) = (self.activation, self.activation);
                let config = MlpConfig { activation, last, ..MlpConfig::new(self.inputs, hidden, outputs) };
                Some(config.init(seed, "before", device)?)
            }
        };
        let given = self.before.last().copied().unwrap_or(self.inputs);
        if self.stack.inputs != given {
            return Err(NetworkError::Widths { layer: 0, takes: self.stack.inputs, given });
        }
        let stack = self.stack.init(seed, device)?;
        let after = MlpConfig {
            activation: self.activation,
            ..MlpConfig::new(stack.output_width(), &self.after, self.outputs)
        };
        let after = after.init(seed, "after", device)?;
        Ok(DeepRecurrent { before, stack, after, internal_steps: self.internal_steps, hold: self.hold })
    }
}

/// A recurrent network made deep in each of the ways of Pascanu, Gulcehre, Cho & Bengio 2014 ("How to construct deep
/// recurrent neural networks", the first deck) that need no cell of their own:
///
/// * *deep input to hidden*: a perceptron before the recurrent layers;
/// * *stacked*: the [`Stack`] itself;
/// * *deep hidden to output*: a perceptron after them;
/// * *internal steps*: for each input the recurrent layers make k steps and the last one is read. With a sequence of length 1 this is the fourth
///   deck's "single input, single output": depth comes from recurrence alone, with the same weights at each level.
///
/// A deep transition between two steps is a matter of the cell. Parameters: `before.layers.0.weight`, ..., `stack.layers.0.weight_ih_l0`, ...,
/// `after.layers.0.weight`, ...
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use elman::cells;
/// use elman::network::{DeepConfig, StackConfig, StackLayer};
///
/// let gru = StackLayer::new((cells::find("gru").unwrap().make)(), 6);
/// let plain = DeepConfig::new(StackConfig::new(5, vec![gru]), 2);
/// let config = DeepConfig { inputs: 3, before: vec![8, 5], internal_steps: 4, after: vec![7], ..plain };
/// let network = config.init(1, &Device::flex()).unwrap();
/// let (y, _) = network.forward(Tensor::ones([10, 4, 3], &Device::flex()), None);
/// assert_eq!(y.dims(), [10, 4, 2]);
/// ```
#[derive(Module, Debug)]
pub struct DeepRecurrent {
    /// The perceptron before the recurrent layers; its last layer, too, has the activation.
    pub before: Option<Mlp>,
    /// The recurrent layers.
    pub stack: Stack,
    /// The perceptron after them; its last layer is linear.
    pub after: Mlp,
    internal_steps: usize,
    #[module(skip)]
    hold: Hold,
}

impl DeepRecurrent {
    /// Runs `x` (T, B, inputs) from `state`, or from zeros, without dropout: (T, B, outputs) and the state after the last internal step.
    ///
    /// # Panics
    /// If a shape is not the network's.
    pub fn forward(&self, x: Tensor<3>, state: Option<State>) -> (Tensor<3>, State) {
        self.run(x, state, None, None)
    }

    /// The same with the number of valid inputs of each row, and dropout in the recurrent layers. Beyond a row's length the output is
    /// what the perceptron makes of zeros.
    ///
    /// # Panics
    /// If a shape is not the network's.
    pub fn run(
        &self,
        x: Tensor<3>,
        state: Option<State>,
        lengths: Option<Arc<[usize]>>,
        dropout: Option<&mut Random>,
    ) -> (Tensor<3>, State) {
        let Regularised { y, state, .. } = self.run_regularised(x, state, lengths, dropout);
        (y, state)
    }

    /// The same, with the penalty of a regularised [`stack`](DeepRecurrent::stack).
    fn run_regularised(
        &self,
        x: Tensor<3>,
        state: Option<State>,
        lengths: Option<Arc<[usize]>>,
        dropout: Option<&mut Random>,
    ) -> Regularised {
        let x = match &self.before {
            None => x,
            Some(before) => before.forward_steps(x),
        };
        let ([t, b, width], k) = (x.dims(), self.internal_steps);
        let x = match self.hold {
            _ if k == 1 => x,
            Hold::Repeat => x.unsqueeze_dim::<4>(1).repeat_dim(1, k).reshape([t * k, b, width]),
            Hold::Zero => {
                let zeros = Tensor::zeros([t, k - 1, b, width], (&x.device(), x.dtype()));
                Tensor::cat(vec![x.unsqueeze_dim::<4>(1), zeros], 1).reshape([t * k, b, width])
            }
        };
        let lengths = lengths.map(|lengths| lengths.iter().map(|l| l * k).collect());
        let Regularised { y: h, state, penalty, .. } =
            self.stack.run_regularised(Input::Dense(x), state, lengths, dropout);
        let width = h.dims()[2];
        let h = match k {
            1 => h,
            _ => h.reshape([t, k, b, width]).slice_dim(1, k - 1..k).reshape([t, b, width]),
        };
        // The mask is of what the perceptron reads, not of what it gives.
        Regularised { y: self.after.forward_steps(h), state, output_mask: None, penalty }
    }
}

impl SequenceMap for DeepRecurrent {
    fn widths(&self) -> [usize; 2] {
        let inputs = self.before.as_ref().map_or(self.stack.input_width(), Mlp::inputs);
        [inputs, self.after.outputs()]
    }

    fn forward(&self, x: Tensor<3>, state: Option<State>) -> (Tensor<3>, State) {
        DeepRecurrent::forward(self, x, state)
    }

    fn training(&self, x: Tensor<3>, state: Option<State>, random: &mut Random) -> Regularised {
        self.run_regularised(x, state, None, Some(random))
    }
}

#[cfg(test)]
#[path = "deep_test.rs"]
mod tests;

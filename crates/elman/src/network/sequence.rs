//! A network for sequences of vectors: recurrent layers and a linear readout, at the last step or at every step.

use super::language_model::Readout;
use super::readout;
use crate::init::{Init, InitError};
use crate::random::Random;
use crate::recurrent::{InitialState, Input, Options, Recurrent, RecurrentConfig, State, leaf};
use crate::regularisation::{Regularisation, Regularised, with_penalty};
use crate::train::Network;
use crate::train::accumulate::{Part, columns, rows_of_parts};
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use elman_core::cell::OptionError;
use elman_core::{Cell, LayerError, Sizes};
use std::sync::Arc;

/// Where the network predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predict {
    /// Once, after the last valid step of a row: N = B predictions.
    Last,
    /// At every step: N = T·B predictions, time-major.
    Every,
}

/// How a [`SequenceNetwork`] is made.
#[derive(Clone, Debug)]
pub struct SequenceNetworkConfig {
    /// The cell.
    pub cell: Arc<dyn Cell>,
    /// I, H and P of the first layer.
    pub sizes: Sizes,
    /// Number of recurrent layers.
    pub layers: usize,
    /// K, the numbers or classes that the readout gives.
    pub outputs: usize,
    /// Where it predicts.
    pub predict: Predict,
    /// The recurrent layers before training.
    pub init: Init,
    /// Whether the state before the first step is learned; else it is zero.
    pub learn_initial_state: bool,
}

impl SequenceNetworkConfig {
    /// Draws a network from `seed`: the readout uniform in ±1/√(its input width), as PyTorch's, the rest as `init` says.
    ///
    /// # Errors
    /// A size is zero, or `init` does not fit the cell.
    pub fn init(&self, seed: u64, device: &Device) -> Result<SequenceNetwork, InitError> {
        if self.outputs == 0 {
            return Err(LayerError::ZeroSize { what: "number of outputs" }.into());
        }
        let config = RecurrentConfig { cell: self.cell.clone(), sizes: self.sizes, layers: self.layers, dropout: 0.0 };
        let rnn = config.init_with(&self.init, seed, device)?;
        let width = rnn.output_width();
        let bound = 1.0 / (width as f32).sqrt();
        let draw = |name: &str, len: usize| -> Vec<f32> {
            let mut random = Random::new(seed, &format!("init/{name}"));
            (0..len).map(|_| random.symmetric(bound)).collect()
        };
        let weight = TensorData::new(draw("readout.weight", self.outputs * width), [self.outputs, width]);
        let bias = TensorData::new(draw("readout.bias", self.outputs), [self.outputs]);
        let initial = self.learn_initial_state.then(|| InitialState::zeros(&rnn, device));
        Ok(SequenceNetwork {
            rnn,
            initial,
            readout: Readout {
                weight: leaf(Tensor::<2>::from_data(weight, device)),
                bias: leaf(Tensor::<1>::from_data(bias, device)),
            },
            predict: self.predict,
            regularisation: Regularisation::default(),
        })
    }
}

/// What is to be predicted: N predictions.
#[derive(Clone, Debug)]
pub enum Target {
    /// Numbers (N, K). The loss is the mean of (prediction - target)² over all of them; beyond a row's length they do not count.
    Values(Vec<f32>),
    /// Classes (N), each below K, or [`readout::IGNORE`]. The loss is the mean cross-entropy in nats over those that count.
    Classes(Vec<u32>),
}

/// A batch of sequences of vectors, time-major.
#[derive(Clone, Debug)]
pub struct SequenceBatch {
    /// (T, B, I).
    pub x: Vec<f32>,
    /// B.
    pub batch: usize,
    /// The number of valid steps of each row.
    pub lengths: Option<Arc<[usize]>>,
    /// What is to be predicted.
    pub target: Target,
    /// Whether the sequences begin here, rather than continue the batch before.
    pub fresh: bool,
}

/// Recurrent layers and a linear readout: `prediction = W y + b`. Parameters: `rnn.weight_ih_l0`, ..., `readout.weight`, `readout.bias`.
///
/// ```
/// use burn::tensor::Device;
/// use elman::network::{Predict, SequenceBatch, SequenceNetworkConfig, Target};
/// use elman::{Sizes, cells, init::Init};
///
/// let config = SequenceNetworkConfig {
///     cell: (cells::find("gru").unwrap().make)(),
///     sizes: Sizes::new(2, 8),
///     layers: 1,
///     outputs: 3,
///     predict: Predict::Last,
///     init: Init::default(),
///     learn_initial_state: false,
/// };
/// let network = config.init(1, &Device::flex().autodiff()).unwrap();
/// let target = Target::Classes(vec![0, 2]);
/// let batch = SequenceBatch { x: vec![0.5; 7 * 2 * 2], batch: 2, lengths: None, target, fresh: true }; // T = 7, B = 2, I = 2
/// assert_eq!(network.predictions(&batch, None).0.dims(), [2, 3]);
/// let (loss, _) = network.loss(&batch, None);
/// let gradients = loss.backward();
/// # let _ = gradients;
/// ```
#[derive(Module, Debug)]
pub struct SequenceNetwork {
    /// The recurrent layers.
    pub rnn: Recurrent,
    /// The learned state before the first step.
    pub initial: Option<InitialState>,
    /// The readout.
    pub readout: Readout,
    #[module(skip)]
    predict: Predict,
    #[module(skip)]
    regularisation: Regularisation,
}

impl SequenceNetwork {
    /// Where it predicts.
    pub fn predict(&self) -> Predict {
        self.predict
    }

    /// The last layer's output at every step (T, B, P) and the final state, from `state`, or from the initial one.
    ///
    /// # Panics
    /// If the number of elements of `x` is not T·B·I for any T.
    pub fn outputs(&self, batch: &SequenceBatch, state: Option<State>) -> (Tensor<3>, State) {
        let Regularised { y, state, .. } = self.run(batch, state, None);
        (y, state)
    }

    /// Regularises training from now on.
    ///
    /// # Errors
    /// A number is out of its range, the cell has nothing that is to be dropped, or an embedding is to be.
    pub fn with_regularisation(mut self, regularisation: Regularisation) -> Result<Self, OptionError> {
        regularisation.check_for(&self.rnn)?;
        let value = regularisation.dropout_words;
        if value > 0.0 {
            return Err(OptionError { option: "dropout-words", value, range: "0 for a network without an embedding" });
        }
        self.regularisation = regularisation;
        Ok(self)
    }

    fn run(&self, batch: &SequenceBatch, state: Option<State>, dropout: Option<&mut Random>) -> Regularised {
        let width = self.rnn.layers()[0].sizes().input;
        let row = batch.batch * width;
        assert!(row > 0 && batch.x.len().is_multiple_of(row), "{} numbers are not T x {row}", batch.x.len());
        let shape = [batch.x.len() / row, batch.batch, width];
        let weight = self.readout.weight.val();
        let x = Tensor::<3>::from_data(TensorData::new(batch.x.clone(), shape), (&weight.device(), weight.dtype()));
        let state = state.or_else(|| self.initial.as_ref().map(|initial| initial.state(batch.batch)));
        let options = Options { lengths: batch.lengths.clone(), dropout, ..Options::default() };
        self.regularisation.run(&self.rnn, Input::Dense(x), state, options)
    }

    /// What the readout sees (N, P), the final state, and the penalty of a regularised network.
    fn read(
        &self,
        batch: &SequenceBatch,
        state: Option<State>,
        dropout: Option<&mut Random>,
    ) -> (Tensor<2>, State, Option<Tensor<1>>) {
        let Regularised { y, state, output_mask, penalty } = self.run(batch, state, dropout);
        let y = match self.predict {
            Predict::Every => {
                let [t, b, width] = y.dims();
                y.reshape([t * b, width])
            }
            // The output is carried: after a row's last valid step it stays.
            Predict::Last => {
                let layer = self.rnn.layers().last().expect("a network has layers");
                let output = layer.carried().iter().position(|&v| v == layer.output());
                let y = state.layers[state.layers.len() - 1][output.expect("an output is carried")].clone();
                match output_mask {
                    Some(mask) => y * mask,
                    None => y,
                }
            }
        };
        (y, state, penalty)
    }

    /// Predictions (N, K): numbers, or logits of classes; and the final state.
    pub fn predictions(&self, batch: &SequenceBatch, state: Option<State>) -> (Tensor<2>, State) {
        let (y, state, _) = self.read(batch, state, None);
        (readout::logits(y, self.readout.weight.val(), self.readout.bias.val()), state)
    }

    /// The loss of a batch, see [`Target`], and the final state.
    ///
    /// # Panics
    /// If the number of targets is not that of predictions.
    pub fn loss(&self, batch: &SequenceBatch, state: Option<State>) -> (Tensor<1>, State) {
        self.loss_with(batch, state, None)
    }

    /// The same; with `dropout`, masks are drawn from it, and the gradient is that of the penalties too, where there are any.
    fn loss_with(
        &self,
        batch: &SequenceBatch,
        state: Option<State>,
        dropout: Option<&mut Random>,
    ) -> (Tensor<1>, State) {
        let (y, state, penalty) = self.read(batch, state, dropout);
        let (weight, bias) = (self.readout.weight.val(), self.readout.bias.val());
        let (device, dtype) = (bias.device(), bias.dtype());
        let options = (&device, dtype);
        let loss = match &batch.target {
            Target::Classes(classes) => {
                let lengths = batch.lengths.as_deref().filter(|_| self.predict == Predict::Every);
                let classes = readout::within(classes, batch.batch, lengths);
                readout::cross_entropy_in(self.rnn.bf16(), y, weight, bias, &classes)
            }
            Target::Values(values) => {
                let error = readout::logits(y, weight, bias);
                let [n, k] = error.dims();
                assert_eq!(values.len(), n * k, "number of targets");
                let error = error - Tensor::from_data(TensorData::new(values.clone(), [n, k]), options);
                match (self.predict, &batch.lengths) {
                    (Predict::Every, Some(lengths)) => {
                        let beyond: Vec<bool> = (0..n).map(|i| i / batch.batch >= lengths[i % batch.batch]).collect();
                        let count = (beyond.iter().filter(|&&beyond| !beyond).count() * k).max(1);
                        let beyond = Tensor::<2, Bool>::from_data(TensorData::new(beyond, [n, 1]), &device);
                        // Not a product with 0, which NaN would survive.
                        let error = error.mask_fill(beyond.expand([n, k]), 0.0);
                        // Not a division: on the way back Burn would take the reciprocal in f32.
                        error.powi_scalar(2).sum().mul_scalar(1.0 / count as f64)
                    }
                    _ => error.powi_scalar(2).mean(),
                }
            }
        };
        (with_penalty(loss, penalty), state)
    }
}

impl Network for SequenceNetwork {
    type Batch = SequenceBatch;

    fn loss(&self, batch: &SequenceBatch, state: Option<State>, random: &mut Random) -> (Tensor<1>, State) {
        self.loss_with(batch, state, Some(random))
    }

    fn is_fresh(batch: &SequenceBatch) -> bool {
        batch.fresh
    }

    fn count(batch: &SequenceBatch) -> usize {
        match &batch.target {
            Target::Classes(classes) => {
                // One a row has no padding.
                let lengths = batch.lengths.as_deref().filter(|_| classes.len() > batch.batch);
                readout::within(classes, batch.batch, lengths).iter().filter(|&&c| c != readout::IGNORE).count()
            }
            Target::Values(values) => values.len(),
        }
    }
    fn split(&self, batch: &SequenceBatch, parts: usize) -> Option<Vec<Part<SequenceBatch>>> {
        let (width, outputs) = (self.rnn.layers()[0].sizes().input, self.readout.bias.shape()[0]);
        let part = |rows: std::ops::Range<usize>| {
            let some = SequenceBatch {
                x: columns(&batch.x, batch.batch, width, &rows),
                batch: rows.len(),
                lengths: batch.lengths.as_ref().map(|lengths| lengths[rows.clone()].into()),
                target: match &batch.target {
                    Target::Values(values) => Target::Values(columns(values, batch.batch, outputs, &rows)),
                    Target::Classes(classes) => Target::Classes(columns(classes, batch.batch, 1, &rows)),
                },
                fresh: batch.fresh,
            };
            let count = match (self.predict, &some.target, &some.lengths) {
                (Predict::Every, Target::Values(_), Some(lengths)) => lengths.iter().sum(),
                _ => Self::count(&some),
            };
            Part { rows, batch: some, count }
        };
        Some(rows_of_parts(batch.batch, parts).into_iter().map(part).collect())
    }
}

#[cfg(test)]
#[path = "sequence_test.rs"]
mod tests;

//! An output-fed network that learns a system from its recorded inputs and outputs.

use super::OutputFed;
use crate::network::error::{LARGEST, NetworkError};
use crate::network::series::{Series, SeriesBatch, SeriesError, Units, to_f64};
use crate::network::system::{SystemModel, Training, measured_rows, predicted_steps, restored, scaled};
use crate::parameters;
use crate::random::Random;
use crate::recurrent::State;
use crate::train::{Gradient, Learnt, Network};
use burn::module::Module;
use burn::tensor::Tensor;

/// An [`OutputFed`] network as a model of a system:
///
/// y_t = f(u_{t-d}, y_{t-1}),
///
/// with u of M channels, the layer's inputs, and y of P channels, its outputs. One step ahead y_{t-1} is measured; in free run it is the model's own.
///
/// A trainer makes the mean square of the scaled error small, on [`Windows`](crate::network::Windows) whose first [`first`](SystemModel::first) or more
/// steps are not scored. [`Training::SeriesParallel`], the default, is teacher forcing: the measured outputs stand in y_{t-1}'s place, and all steps of
/// a window are computed at once, or in [chunks](OutputFedModel::with_chunks). [`Training::Parallel`] goes back through the free run.
///
/// It takes and gives physical units; the network works on numbers scaled by [`with_units`](SystemModel::with_units). The layer's output must
/// reach them: Jordan's logistic function does not, `jordan:output-activation=identity` does. Parameters: `network.rnn.weight_ih_l0`, ...
///
/// ```
/// use burn::tensor::Device;
/// use elman::network::{OutputFed, OutputFedModel, Series, SystemModel, Units};
/// use elman::{RecurrentConfig, Sizes};
/// use elman_core::{algebra::Activation, cells::Jordan};
/// use std::sync::Arc;
///
/// let (u, y) = ((0..50).map(|t| f64::from(t % 7)), (0..50).map(|t| 20.0 + f64::from(t % 5)));
/// let series = Series::new(u.collect(), 1, y.collect(), 1).unwrap();
/// let cell = Arc::new(Jordan { hidden: Activation::Tanh, output: Activation::Identity });
/// let layer = RecurrentConfig::new(cell, Sizes { input: 1, hidden: 8, output: 1 }).init(1, &Device::flex()).unwrap();
/// let model = OutputFedModel::new(OutputFed::new(layer).unwrap(), 1).unwrap().with_units(Units::of(&series));
/// assert_eq!(model.one_step(&series).unwrap().len(), 49);
/// // From the outputs of the first ten steps, the rest with no further measurement.
/// assert_eq!(model.free_run(series.u(), &series.y()[..10]).unwrap().len(), 40);
/// ```
#[derive(Module, Debug)]
pub struct OutputFedModel {
    /// f.
    pub network: OutputFed,
    #[module(skip)]
    delay: usize,
    #[module(skip)]
    units: Units,
    #[module(skip)]
    training: Training,
    #[module(skip)]
    chunk: Option<usize>,
}

impl OutputFedModel {
    /// A model whose input acts `delay` steps later.
    ///
    /// # Errors
    /// The delay is above a million.
    pub fn new(network: OutputFed, delay: usize) -> Result<Self, NetworkError> {
        NetworkError::check("the input delay d", delay, 0, LARGEST)?;
        let sizes = network.recurrent().layers()[0].sizes();
        let units = Units::none(sizes.input, network.recurrent().output_width());
        Ok(OutputFedModel { network, delay, units, training: Training::SeriesParallel, chunk: None })
    }

    /// Is trained in this way from now on.
    pub fn with_training(mut self, training: Training) -> Self {
        self.training = training;
        self
    }

    /// With teacher forcing, so many steps of a window are computed at a time, and forgotten when their gradient is taken: with `n` of T steps
    /// O(T / n) serial steps and O(n) memory. The gradient is that of all steps, within rounding.
    ///
    /// # Errors
    /// There are none in a chunk.
    pub fn with_chunks(mut self, steps: usize) -> Result<Self, NetworkError> {
        NetworkError::check("the number of steps of a chunk", steps, 1, usize::MAX)?;
        self.chunk = Some(steps);
        Ok(self)
    }

    /// The scored steps of a batch, scaled: the network's inputs, what it should give, and the output before the first of them.
    fn forced(&self, batch: &SeriesBatch) -> (Tensor<3>, Tensor<3>, Tensor<2>) {
        let (start, steps) = (batch.warm_up, batch.steps());
        assert_eq!(batch.channels, self.channels(), "channels of the batch and of the model");
        assert!(start >= self.first(), "{start} warm steps, and the model's lags need {}", self.first());
        let [u, y] = scaled(self, &batch.u, &batch.y, batch.batch);
        let x = u.slice_dim(0, start - self.delay..steps - self.delay);
        let first = y.clone().slice_dim(0, start - 1..start).squeeze_dim(0);
        (x, y.slice_dim(0, start..steps), first)
    }
}

/// The state after a batch: every one begins a new sequence.
const NOTHING: State = State { layers: Vec::new() };

impl SystemModel for OutputFedModel {
    fn channels(&self) -> [usize; 2] {
        let rnn = self.network.recurrent();
        [rnn.layers()[0].sizes().input, rnn.output_width()]
    }

    fn units(&self) -> &Units {
        &self.units
    }

    fn units_mut(&mut self) -> &mut Units {
        &mut self.units
    }

    fn first(&self) -> usize {
        self.delay.max(1)
    }

    fn one_step(&self, series: &Series) -> Result<Vec<f64>, SeriesError> {
        let (start, steps) = (self.first(), predicted_steps(self, series)?);
        let plain = self.valid();
        let [u, y] = scaled(&plain, series.u(), series.y(), 1);
        let x = u.slice_dim(0, start - self.delay..steps - self.delay);
        let first = y.clone().slice_dim(0, start - 1..start).squeeze_dim(0);
        let predicted = plain.network.at_once(x, y.slice_dim(0, start..steps), first);
        Ok(self.units.y.restore(&to_f64(predicted)))
    }

    fn free_run(&self, u: &[f64], measured: &[f64]) -> Result<Vec<f64>, SeriesError> {
        let start = measured_rows(self, u, measured)?;
        let [inputs, _] = self.channels();
        let steps = u.len() / inputs;
        let plain = self.valid();
        let [u, y] = scaled(&plain, u, measured, 1);
        let x = u.slice_dim(0, start - self.delay..steps - self.delay);
        let predicted = plain.network.free_run(x, y.slice_dim(0, start - 1..start).squeeze_dim(0));
        restored(predicted, &self.units, start)
    }
}

impl Network for OutputFedModel {
    type Batch = SeriesBatch;

    /// The mean square of the scaled error of the steps from the batch's `warm_up` on.
    ///
    /// # Panics
    /// If the batch has other channels than the model, or fewer warm steps than [`first`](SystemModel::first).
    fn loss(&self, batch: &SeriesBatch, _: Option<State>, _: &mut Random) -> (Tensor<1>, State) {
        let (x, targets, first) = self.forced(batch);
        let predicted = match self.training {
            Training::SeriesParallel => self.network.at_once(x, targets.clone(), first),
            Training::Parallel => self.network.free_run(x, first),
        };
        ((predicted - targets).powi_scalar(2).mean(), NOTHING)
    }

    /// In chunks, each with its own backward pass.
    fn learn(&self, batch: &SeriesBatch, _: Option<State>, _: &mut Random) -> Option<Learnt> {
        let chunk = self.chunk.filter(|_| self.training == Training::SeriesParallel)?;
        let (x, targets, first) = self.forced(batch);
        let steps = targets.dims()[0];
        let mut loss = 0.0;
        let mut sum: Vec<(String, Gradient)> = Vec::new();
        for (predicted, range) in self.network.chunks(x, targets.clone(), first, chunk) {
            let share = range.len() as f64 / steps as f64;
            let part = (predicted - targets.clone().slice_dim(0, range)).powi_scalar(2).mean().mul_scalar(share);
            loss += to_f64(part.clone())[0];
            let gradients = parameters::gradients(self, &mut part.backward());
            if sum.is_empty() {
                sum = gradients;
                continue;
            }
            for ((_, sum), (_, add)) in sum.iter_mut().zip(&gradients) {
                add.add_to(sum.values_mut());
            }
        }
        Some(Learnt { loss, state: NOTHING, gradients: sum })
    }

    fn is_fresh(_: &SeriesBatch) -> bool {
        true
    }

    fn count(batch: &SeriesBatch) -> usize {
        batch.count()
    }
}

#[cfg(test)]
#[path = "model_test.rs"]
mod tests;

//! Nonlinear autoregressive models with exogenous inputs.

use super::dense::{Mlp, MlpConfig};
use super::error::{LARGEST, NetworkError};
use super::series::{Series, SeriesBatch, SeriesError, Units, to_f64};
use super::system::{SystemModel, Training, measured_rows, predicted_steps, restored, scaled};
use crate::random::Random;
use crate::recurrent::State;
use crate::train::Network;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use elman_core::algebra::Activation;
use std::collections::VecDeque;

/// How a [`Narx`] is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarxConfig {
    /// M, the number of input channels.
    pub inputs: usize,
    /// P, the number of output channels.
    pub outputs: usize,
    /// n_u, the number of input lags, at least 1.
    pub input_lags: usize,
    /// n_y, the number of output lags, at least 1. (Without lags of the output it is a [`Tdnn`](super::Tdnn).)
    pub output_lags: usize,
    /// d, the delay from the input to the output in steps: 0 where the input acts at once.
    pub delay: usize,
    /// The widths of the hidden layers; none: a linear model (ARX).
    pub hidden: Vec<usize>,
    /// Their activation; [`activation_named`](super::activation_named) gives it for a name.
    pub activation: Activation,
}

impl NarxConfig {
    /// One input and one output channel, a delay of 1, tanh.
    pub fn new(input_lags: usize, output_lags: usize, hidden: &[usize]) -> NarxConfig {
        let (hidden, activation) = (hidden.to_vec(), Activation::Tanh);
        NarxConfig { inputs: 1, outputs: 1, input_lags, output_lags, delay: 1, hidden, activation }
    }

    /// Draws a model from `seed`. It takes values as they are until [`SystemModel::with_units`].
    ///
    /// # Errors
    /// If a number of channels, of lags or a width is 0, or a lag or the delay is above [`LARGEST`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<Narx, NetworkError> {
        NetworkError::check("the number of input channels", self.inputs, 1, LARGEST)?;
        NetworkError::check("the number of output channels", self.outputs, 1, LARGEST)?;
        NetworkError::check("the number of input lags n_u", self.input_lags, 1, LARGEST)?;
        NetworkError::check("the number of output lags n_y", self.output_lags, 1, LARGEST)?;
        NetworkError::check("the input delay d", self.delay, 0, LARGEST)?;
        let orders = Orders { input: self.input_lags, output: self.output_lags, delay: self.delay };
        let inputs = orders.output * self.outputs + orders.input * self.inputs;
        let mlp = MlpConfig { activation: self.activation, ..MlpConfig::new(inputs, &self.hidden, self.outputs) };
        let mlp = mlp.init(seed, "mlp", device)?;
        let units = Units::none(self.inputs, self.outputs);
        Ok(Narx { mlp, orders, channels: [self.inputs, self.outputs], units, training: Training::SeriesParallel })
    }
}

/// n_u, n_y and d.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Orders {
    input: usize,
    output: usize,
    delay: usize,
}

/// A nonlinear autoregressive model with exogenous inputs:
///
/// y_t = f(y_{t-1}, ..., y_{t-n_y}; u_{t-d}, ..., u_{t-d-n_u+1}),
///
/// with u of M and y of P channels and f a multilayer perceptron with a linear output. (The first deck writes it
/// y_{n+1} = F(y_n, ..., y_{n-q+1}; u_n, ..., u_{n-q+1}): n_y = n_u = q, d = 1.) Its source: Leontaritis & Billings 1985; as a network,
/// Narendra & Parthasarathy 1990.
///
/// It takes and gives physical units; f works on numbers scaled by the mean and deviation of [`with_units`](SystemModel::with_units).
/// Train it with a [`Trainer`](crate::train::Trainer) on [`Windows`](super::Windows) whose first [`first`](SystemModel::first) or more steps are
/// not scored; the loss is the mean square of the scaled error. Parameters: `mlp.layers.0.weight`, ... A trainer's checkpoint has the
/// parameters alone: a model that goes on from one must be given the same units first. [`parameters`](SystemModel::parameters) has both.
///
/// ```
/// use burn::tensor::Device;
/// use elman::network::{NarxConfig, Series, SystemModel, Units};
///
/// let u: Vec<f64> = (0..50).map(|t| f64::from(t % 7)).collect();
/// let y: Vec<f64> = (0..50).map(|t| 20.0 + f64::from(t % 5)).collect();
/// let series = Series::new(u, 1, y, 1).unwrap();
/// let model = NarxConfig { delay: 3, ..NarxConfig::new(2, 3, &[8]) }.init(1, &Device::flex()).unwrap();
/// let model = model.with_units(Units::of(&series));
/// assert_eq!(model.first(), 4); // u_{t-3} and u_{t-4}
/// assert_eq!(model.one_step(&series).unwrap().len(), 46);
/// // From the outputs of the first ten steps, the rest with no further measurement.
/// assert_eq!(model.free_run(series.u(), &series.y()[..10]).unwrap().len(), 40);
/// ```
#[derive(Module, Debug)]
pub struct Narx {
    /// f.
    pub mlp: Mlp,
    #[module(skip)]
    orders: Orders,
    #[module(skip)]
    channels: [usize; 2],
    #[module(skip)]
    units: Units,
    #[module(skip)]
    training: Training,
}

impl Narx {
    /// Is trained in this way from now on.
    pub fn with_training(mut self, training: Training) -> Self {
        self.training = training;
        self
    }

    /// The lags of the input for the steps `start..T` of `u` (T, B, M): (T - start, B, n_u M), the newest first.
    fn input_lags(&self, u: &Tensor<3>, start: usize) -> Tensor<3> {
        lags(u, start, self.orders.delay, self.orders.input)
    }

    /// Scaled predictions of `start..T` from the measured outputs. `u` (T, B, M) and `y` (T, B, P) are scaled.
    fn series_parallel(&self, u: &Tensor<3>, y: &Tensor<3>, start: usize) -> Tensor<3> {
        let past = lags(y, start, 1, self.orders.output);
        self.mlp.forward_steps(Tensor::cat(vec![past, self.input_lags(u, start)], 2))
    }

    /// Scaled predictions of `start..T` from the model's own outputs, after `y` (at least `start`, B, P).
    fn parallel(&self, u: &Tensor<3>, y: &Tensor<3>, start: usize) -> Tensor<3> {
        let inputs = self.input_lags(u, start);
        let step = |x: &Tensor<3>, t: usize| x.clone().slice_dim(0, t..t + 1).squeeze_dim::<2>(0);
        let mut past: VecDeque<Tensor<2>> = (1..=self.orders.output).map(|lag| step(y, start - lag)).collect();
        let mut predicted = Vec::with_capacity(inputs.dims()[0]);
        for t in 0..inputs.dims()[0] {
            let sources = past.iter().cloned().chain([step(&inputs, t)]).collect();
            let y = self.mlp.forward(Tensor::cat(sources, 1));
            past.pop_back();
            past.push_front(y.clone());
            predicted.push(y);
        }
        Tensor::stack(predicted, 0)
    }
}

/// `count` lags from `delay` on, for the steps `start..T` of `x` (T, B, W): (T - start, B, count W), the newest first.
fn lags(x: &Tensor<3>, start: usize, delay: usize, count: usize) -> Tensor<3> {
    let steps = x.dims()[0];
    let lag = |j: usize| x.clone().slice_dim(0, start - delay - j..steps - delay - j);
    Tensor::cat((0..count).map(lag).collect(), 2)
}

impl SystemModel for Narx {
    fn channels(&self) -> [usize; 2] {
        self.channels
    }

    fn units(&self) -> &Units {
        &self.units
    }

    fn units_mut(&mut self) -> &mut Units {
        &mut self.units
    }

    fn first(&self) -> usize {
        self.orders.output.max(self.orders.delay + self.orders.input - 1)
    }

    fn one_step(&self, series: &Series) -> Result<Vec<f64>, SeriesError> {
        predicted_steps(self, series)?;
        let start = self.first();
        let plain = self.valid();
        let [u, y] = scaled(&plain, series.u(), series.y(), 1);
        Ok(self.units.y.restore(&to_f64(plain.series_parallel(&u, &y, start))))
    }

    fn free_run(&self, u: &[f64], measured: &[f64]) -> Result<Vec<f64>, SeriesError> {
        let start = measured_rows(self, u, measured)?;
        let plain = self.valid();
        let [u, y] = scaled(&plain, u, measured, 1);
        restored(plain.parallel(&u, &y, start), &self.units, start)
    }
}

impl Network for Narx {
    type Batch = SeriesBatch;

    /// The mean square of the scaled error of the steps from the batch's `warm_up` on.
    ///
    /// # Panics
    /// If the batch has other channels than the model, or fewer warm steps than [`first`](SystemModel::first).
    fn loss(&self, batch: &SeriesBatch, _: Option<State>, _: &mut Random) -> (Tensor<1>, State) {
        let start = batch.warm_up;
        assert_eq!(batch.channels, self.channels, "channels of the batch and of the model");
        assert!(start >= self.first(), "{start} warm steps, and the model's lags need {}", self.first());
        let [u, y] = scaled(self, &batch.u, &batch.y, batch.batch);
        let predicted = match self.training {
            Training::SeriesParallel => self.series_parallel(&u, &y, start),
            Training::Parallel => self.parallel(&u, &y, start),
        };
        let error = predicted - y.slice_dim(0, start..batch.steps());
        ((error.clone() * error).mean(), State { layers: Vec::new() })
    }

    fn is_fresh(_: &SeriesBatch) -> bool {
        true
    }

    fn count(batch: &SeriesBatch) -> usize {
        batch.count()
    }
}

#[cfg(test)]
#[path = "narx_test.rs"]
mod tests;

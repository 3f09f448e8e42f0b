//! Models of dynamic systems: one step ahead and in free run; and networks over sequences as such models.

use super::series::{Series, SeriesBatch, SeriesError, Units, check_finite, rows, to_f64, to_tensor};
use crate::parameters::{self, Named, ParameterError};
use crate::random::Random;
use crate::recurrent::State;
use crate::regularisation::{Regularised, with_penalty};
use crate::train::Network;
use burn::module::{Module, ModuleDisplay};
use burn::tensor::{DType, Device, Tensor};

/// A model of a system with input u and output y, in physical units. Sequences are row-major, time first.
pub trait SystemModel: Module {
    /// M and P, the numbers of input and output channels.
    fn channels(&self) -> [usize; 2];

    /// The units that it takes and gives numbers in.
    fn units(&self) -> &Units;

    /// The same, to be replaced; of as many channels.
    fn units_mut(&mut self) -> &mut Units;

    /// Works in these units from now on: those of the series that it learns from.
    ///
    /// # Panics
    /// If they have other channels than the model.
    fn with_units(mut self, units: Units) -> Self {
        assert_eq!([units.u.mean.len(), units.y.mean.len()], self.channels(), "channels of the units and of the model");
        *self.units_mut() = units;
        self
    }

    /// Every parameter by name, and the units, for a model file.
    fn parameters(&self) -> Vec<Named> {
        let mut all = parameters::export(self);
        all.extend(self.units().named());
        all
    }

    /// Replaces every parameter and the units.
    ///
    /// # Errors
    /// One is missing, has another shape, or is not this model's.
    fn with_parameters(self, mut parameters: Vec<Named>) -> Result<Self, ParameterError> {
        let units = self.units().take(&mut parameters)?;
        Ok(parameters::import(self, parameters)?.with_units(units))
    }

    /// The first step that can be predicted, counted from 0: how many steps must be there before it.
    fn first(&self) -> usize;

    /// Predicts each step from the *measured* past: rows for the steps [`first`](SystemModel::first)`..T`, (T - first, P).
    ///
    /// # Errors
    /// If the series is too short or has other channels than the model.
    fn one_step(&self, series: &Series) -> Result<Vec<f64>, SeriesError>;

    /// Simulates in closed loop: `u` (T, M) is the input of all steps, `measured` (W, P) the output of the first W; from there on the
    /// model's own outputs take the place of measurements. Gives the steps `W..T`, (T - W, P).
    ///
    /// # Errors
    /// If rows are not whole or hold NaN or infinity, W is less than [`first`](SystemModel::first) or not less than T, or the run
    /// leaves the numbers.
    fn free_run(&self, u: &[f64], measured: &[f64]) -> Result<Vec<f64>, SeriesError>;
}

/// What stands for the past outputs while a model that is fed them is trained (Narendra & Parthasarathy 1990).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Training {
    /// The measured outputs: a problem without recurrence, all steps at once. Quick; the errors of one step ahead become small.
    #[default]
    SeriesParallel,
    /// The model's own outputs after the first, warm steps of a window, with the gradient through the whole free run: what is made
    /// small is the error of simulation. One step after another; use windows of some tens of steps.
    Parallel,
}

/// Checks the arguments of a free run; gives the number of measured rows.
pub(crate) fn measured_rows(model: &impl SystemModel, u: &[f64], measured: &[f64]) -> Result<usize, SeriesError> {
    let [inputs, outputs] = model.channels();
    let (steps, start) = (rows("input", u, inputs)?, rows("output", measured, outputs)?);
    if start < model.first() {
        let why = "the free run starts from the model's lags";
        return Err(SeriesError::TooShort { what: "measured output", steps: start, needed: model.first(), why });
    }
    if steps <= start {
        let why = "the free run goes on where the measured output ends";
        return Err(SeriesError::TooShort { what: "input", steps, needed: start + 1, why });
    }
    Ok(start)
}

/// Checks the series of a prediction one step ahead; gives the number of its steps.
pub(crate) fn predicted_steps(model: &impl SystemModel, series: &Series) -> Result<usize, SeriesError> {
    series.check_channels(model.channels())?;
    let (steps, first) = (series.steps(), model.first());
    if steps <= first {
        let why = "the first ones are the model's lags";
        return Err(SeriesError::TooShort { what: "series", steps, needed: first + 1, why });
    }
    Ok(steps)
}

/// A free run from the step `start` on in physical units, unless it has left the numbers.
pub(crate) fn restored(predicted: Tensor<3>, units: &Units, start: usize) -> Result<Vec<f64>, SeriesError> {
    let predicted = units.y.restore(&to_f64(predicted));
    match check_finite("output", &predicted, units.y.mean.len()) {
        Err(SeriesError::NotFinite { step, .. }) => Err(SeriesError::Diverged { step: start + step }),
        _ => Ok(predicted),
    }
}

/// A network from sequences to sequences, step t depending on the steps up to t only, that can go on from a state.
pub trait SequenceMap: Module + ModuleDisplay {
    /// Numbers of inputs and of outputs.
    fn widths(&self) -> [usize; 2];

    /// `x` (T, B, inputs) from `state`, or from the start of a sequence: (T, B, outputs) and the state after it.
    fn forward(&self, x: Tensor<3>, state: Option<State>) -> (Tensor<3>, State);

    /// The same while it is trained: with what is drawn from `random`, dropout and zoneout, and with the penalty that its loss is to have beside
    /// it ([`with_penalty`]). A network without any need not write it.
    fn training(&self, x: Tensor<3>, state: Option<State>, _: &mut Random) -> Regularised {
        let (y, state) = self.forward(x, state);
        Regularised { y, state, output_mask: None, penalty: None }
    }
}

/// A [`SequenceMap`] as a model of a system. At step t the network's input is u_{t-d}, and with feedback y_{t-1} beside it;
/// its output is y_t. Without feedback it is an output-error model: it never sees the output, and the two kinds of prediction are one.
///
/// It takes and gives physical units, and the network works on scaled numbers. Trained with measured outputs
/// (series-parallel) by truncated or full BPTT; the loss is the mean square of the scaled error. Every batch starts a new sequence.
/// Parameters: `network.…`. A trainer's checkpoint has these alone, [`parameters`](SystemModel::parameters) the units too.
#[derive(Module, Debug)]
pub struct SequenceModel<N: Module> {
    /// The network.
    pub network: N,
    #[module(skip)]
    channels: [usize; 2],
    #[module(skip)]
    delay: usize,
    #[module(skip)]
    feedback: bool,
    #[module(skip)]
    units: Units,
}

impl<N: SequenceMap> SequenceModel<N> {
    /// A model with the network's output channels and, without feedback, its inputs; with feedback the network has M + P inputs, u first.
    ///
    /// # Errors
    /// If the network has too few inputs for the feedback, or the delay is above a million.
    pub fn new(network: N, delay: usize, feedback: bool) -> Result<Self, super::NetworkError> {
        let [inputs, outputs] = network.widths();
        let least = if feedback { outputs + 1 } else { 1 };
        super::NetworkError::check("the network's number of inputs", inputs, least, super::error::LARGEST)?;
        super::NetworkError::check("the input delay d", delay, 0, super::error::LARGEST)?;
        let channels = [inputs - if feedback { outputs } else { 0 }, outputs];
        Ok(SequenceModel { network, channels, delay, feedback, units: Units::none(channels[0], channels[1]) })
    }

    /// The network's inputs of the steps `first..T` of `u` (T, B, M) and `y` (T or more, B, P), both scaled.
    fn inputs(&self, u: &Tensor<3>, y: &Tensor<3>, steps: usize) -> Tensor<3> {
        let first = self.first();
        let u = u.clone().slice_dim(0, first - self.delay..steps - self.delay);
        match self.feedback {
            false => u,
            true => Tensor::cat(vec![u, y.clone().slice_dim(0, first - 1..steps - 1)], 2),
        }
    }
}

/// u (T, B, M) and y (T or fewer, B, P) in the model's own scale, where its tensors live.
pub(super) fn scaled<S: SystemModel>(model: &S, u: &[f64], y: &[f64], batch: usize) -> [Tensor<3>; 2] {
    let ([inputs, outputs], units, options) = (model.channels(), model.units(), options_of(model));
    [
        to_tensor(units.u.normalise(u), batch, inputs, &options),
        to_tensor(units.y.normalise(y), batch, outputs, &options),
    ]
}

/// Where a module's tensors live.
pub(super) fn options_of<M: Module>(module: &M) -> (Device, DType) {
    struct First(Option<(Device, DType)>);
    impl burn::module::ModuleVisitor for First {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            let tensor = param.val();
            self.0.get_or_insert_with(|| (tensor.device(), tensor.dtype()));
        }
    }
    let mut first = First(None);
    module.visit(&mut first);
    first.0.expect("a network has parameters")
}

impl<N: SequenceMap> SystemModel for SequenceModel<N> {
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
        self.delay.max(usize::from(self.feedback))
    }

    fn one_step(&self, series: &Series) -> Result<Vec<f64>, SeriesError> {
        let steps = predicted_steps(self, series)?;
        let plain = self.valid();
        let [u, y] = scaled(&plain, series.u(), series.y(), 1);
        let (predicted, _) = plain.network.forward(plain.inputs(&u, &y, steps), None);
        Ok(self.units.y.restore(&to_f64(predicted)))
    }

    /// The network's state is brought up with the measured steps first.
    fn free_run(&self, u: &[f64], measured: &[f64]) -> Result<Vec<f64>, SeriesError> {
        let start = measured_rows(self, u, measured)?;
        let inputs = self.channels[0];
        let steps = u.len() / inputs;
        let plain = self.valid();
        let first = plain.first();
        let predicted = if !self.feedback {
            // Nothing is fed back, so that the steps need not come one by one.
            let u = to_tensor(self.units.u.normalise(u), 1, inputs, &options_of(&plain));
            let (y, _) = plain.network.forward(plain.inputs(&u, &u, steps), None);
            y.slice_dim(0, start - first..steps - first)
        } else {
            let [u, y] = scaled(&plain, u, measured, 1);
            let warm = (start > first).then(|| plain.network.forward(plain.inputs(&u, &y, start), None).1);
            let mut state = warm;
            let mut last = y.slice_dim(0, start - 1..start);
            let mut predicted = Vec::with_capacity(steps - start);
            for t in start..steps {
                let u = u.clone().slice_dim(0, t - plain.delay..t - plain.delay + 1);
                let (y, after) = plain.network.forward(Tensor::cat(vec![u, last], 2), state);
                state = Some(after);
                last = y.clone();
                predicted.push(y);
            }
            Tensor::cat(predicted, 0)
        };
        restored(predicted, &self.units, start)
    }
}

impl<N: SequenceMap> Network for SequenceModel<N> {
    type Batch = SeriesBatch;

    /// The mean square of the scaled error of the steps from the batch's `warm_up` on; its gradient is that of the network's penalties too.
    ///
    /// # Panics
    /// If the batch has other channels than the model, or fewer warm steps than [`first`](SystemModel::first).
    fn loss(&self, batch: &SeriesBatch, _: Option<State>, random: &mut Random) -> (Tensor<1>, State) {
        let (start, first, steps) = (batch.warm_up, self.first(), batch.steps());
        assert_eq!(batch.channels, self.channels, "channels of the batch and of the model");
        assert!(start >= first, "{start} warm steps, and the model's lags need {first}");
        let [u, y] = scaled(self, &batch.u, &batch.y, batch.batch);
        let Regularised { y: predicted, state, penalty, .. } =
            self.network.training(self.inputs(&u, &y, steps), None, random);
        let error = predicted.slice_dim(0, start - first..steps - first) - y.slice_dim(0, start..steps);
        (with_penalty((error.clone() * error).mean(), penalty), state)
    }

    fn is_fresh(_: &SeriesBatch) -> bool {
        true
    }

    fn count(batch: &SeriesBatch) -> usize {
        batch.count()
    }
}

#[cfg(test)]
#[path = "system_test.rs"]
mod tests;

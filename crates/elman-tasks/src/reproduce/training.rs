//! What experiments share: training a network on batches that are made, one after another, from a counter.

use super::{Options, Outcome, check_stop};
use crate::Error;
use crate::plot::{self, Curve};
use burn::tensor::{Device, Tensor};
use elman::State;
use elman::network::{SequenceBatch, SequenceNetwork, SequenceNetworkConfig};
use elman::train::{BatchSource, Optimiser, Report, Rule, Schedule, TrainError, Trainer};

/// How a network is trained.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Updates.
    pub steps: u64,
    /// Learning rate.
    pub rate: f64,
    /// Largest norm of the gradient; none: as it comes.
    pub clip: Option<f64>,
    /// Their rule.
    pub rule: Rule,
    /// How the rate moves.
    pub schedule: Schedule,
}

impl Plan {
    /// Adam, and clipping by the global norm.
    pub fn adam(steps: u64, rate: f64, clip: f64) -> Plan {
        Plan { steps, rate, clip: Some(clip), rule: Rule::ADAM, schedule: Schedule::Constant }
    }
}

/// What batch `k` of the experiment with this seed is drawn from.
pub fn batch_seed(seed: u64, k: u64) -> u64 {
    seed.wrapping_mul(0x1_0000_0001).wrapping_add(k)
}

/// Batch `k` of a sequence of batches: a pure function of `k`.
struct Made<F>(u64, F);

impl<F: Fn(u64) -> SequenceBatch> BatchSource<SequenceBatch> for Made<F> {
    fn next_batch(&mut self) -> Result<SequenceBatch, String> {
        self.0 += 1;
        Ok((self.1)(self.0 - 1))
    }

    fn cursor(&self) -> String {
        self.0.to_string()
    }

    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.0 = cursor.parse().map_err(|_| format!("`{cursor}` is not a number of batches"))?;
        Ok(())
    }
}

/// Where the networks of experiments are.
pub fn device() -> Device {
    Device::flex().autodiff()
}

/// A trainer of a network drawn from `seed`.
///
/// # Errors
/// The network cannot be made.
pub fn trainer(config: &SequenceNetworkConfig, plan: Plan, seed: u64) -> Result<Trainer<SequenceNetwork>, Error> {
    let network = config.init(seed, &device()).map_err(|error| Error::Failed(error.to_string()))?;
    let mut trainer = Trainer::new(network, Optimiser::new(plan.rule, 0.0), plan.rate, seed);
    trainer.clip = plan.clip;
    trainer.schedule = plan.schedule;
    Ok(trainer)
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All steps were made, or nobody wanted more.
    Done,
    /// In this step the loss or the gradient was no longer finite.
    NotFinite(u64),
}

/// Trains. `after` sees the report of each step and the network; it returns whether to go on.
///
/// # Errors
/// Training is asked to stop.
pub fn run(
    trainer: &mut Trainer<SequenceNetwork>,
    steps: u64,
    options: &Options,
    batch: impl Fn(u64) -> SequenceBatch,
    mut after: impl FnMut(&Report, &SequenceNetwork) -> bool,
) -> Result<End, Error> {
    let mut source = Made(0, batch);
    while trainer.step_count() < steps {
        check_stop(options)?;
        let report = match trainer.step(&mut source) {
            Ok(report) => report,
            Err(TrainError::NotFinite { step, .. }) => return Ok(End::NotFinite(step)),
            Err(other) => return Err(Error::Failed(other.to_string())),
        };
        if !after(&report, trainer.network()) {
            break;
        }
    }
    Ok(End::Done)
}

/// Trains a network drawn from `seed`. `after` sees each step (from 1), its loss and the network; it returns whether to go on.
///
/// # Errors
/// The network cannot be made, training is asked to stop, or its loss is no longer finite.
pub fn train(
    config: &SequenceNetworkConfig,
    plan: Plan,
    seed: u64,
    options: &Options,
    batch: impl Fn(u64) -> SequenceBatch,
    mut after: impl FnMut(u64, f64, &SequenceNetwork) -> bool,
) -> Result<SequenceNetwork, Error> {
    let mut trainer = trainer(config, plan, seed)?;
    match run(&mut trainer, plan.steps, options, batch, |report, network| after(report.step, report.loss, network))? {
        End::Done => Ok(trainer.network().clone()),
        End::NotFinite(step) => {
            Err(Error::Failed(format!("step {step}: the loss or its gradient is no longer finite")))
        }
    }
}

/// The size of dL/dh by lag: how much the loss after the last step would change with the state that many steps before, the root of the mean square
/// over the rows of a batch without lengths, for a network that predicts once.
pub fn gradient_by_lag(network: &SequenceNetwork, batch: &SequenceBatch, lags: &[usize]) -> Vec<(usize, f64)> {
    let row = batch.batch * network.rnn.layers()[0].sizes().input;
    let steps = batch.x.len() / row;
    let part = |from: usize, to: usize| SequenceBatch { x: batch.x[from * row..to * row].to_vec(), ..batch.clone() };
    let size = |lag: usize| {
        let cut = steps - lag;
        let (_, state) = network.outputs(&part(0, cut), None);
        let state = state.detach();
        let layers: Vec<Vec<Tensor<2>>> =
            state.layers.into_iter().map(|l| l.into_iter().map(Tensor::require_grad).collect()).collect();
        let (loss, _) = network.loss(&part(cut, steps), Some(State { layers: layers.clone() }));
        let gradients = loss.backward();
        let squares = layers.iter().flatten().filter_map(|value| value.grad(&gradients));
        let sum: f64 = squares.flat_map(numbers).map(|d| f64::from(d) * f64::from(d)).sum();
        // The loss is a mean over the rows: one row's own gradient is B times as large.
        (sum * batch.batch as f64).sqrt()
    };
    lags.iter().copied().filter(|lag| (1..steps).contains(lag)).map(|lag| (lag, size(lag))).collect()
}

/// Pictures of such sizes before and after training: file and curves of each.
///
/// # Errors
/// A picture cannot be drawn.
pub fn draw_by_lag(
    outcome: &mut Outcome,
    task: &str,
    [before, after]: [(&'static str, Vec<Curve>); 2],
) -> Result<(), Error> {
    for (when, (file, curves)) in [("before", before), ("after", after)] {
        let title = format!("{task}: gradient by lag {when} training");
        let svg = plot::draw_over(&title, "lag", "log10 of the size of dL/dh", &curves, &[]).map_err(Error::Failed)?;
        outcome.pictures.push((file, svg));
    }
    Ok(())
}

/// Some twenty lags from 1 to below `steps`.
pub fn lags(steps: usize) -> Vec<usize> {
    (1..steps).step_by((steps / 20).max(1)).collect()
}

/// Sizes by lag as a curve of their decimal logarithms; zeros are left out.
pub fn logarithms(sizes: &[(usize, f64)]) -> Vec<(f64, f64)> {
    sizes.iter().filter(|(_, size)| *size > 0.0).map(|(lag, size)| (*lag as f64, size.log10())).collect()
}

/// The numbers of a tensor, row-major.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.try_to_vec::<f32>().expect("converted to f32")
}

/// Index of the largest number.
pub fn argmax(values: &[f32]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}

//! What experiments share: training a network on batches that are made, one after another, from a counter.

use super::{Options, check_stop};
use crate::Error;
use burn::tensor::{Device, Tensor};
use elman::network::{SequenceBatch, SequenceNetwork, SequenceNetworkConfig};
use elman::train::{BatchSource, Optimiser, Rule, Trainer};

/// How a network is trained: Adam, and clipping by the global norm.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Updates.
    pub steps: u64,
    /// Learning rate.
    pub rate: f64,
    /// Largest norm of the gradient.
    pub clip: f64,
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
    let network = config.init(seed, &device()).map_err(|error| Error::Failed(error.to_string()))?;
    let mut trainer = Trainer::new(network, Optimiser::new(Rule::ADAM, 0.0), plan.rate, seed);
    trainer.clip = Some(plan.clip);
    let mut source = Made(0, batch);
    while trainer.step_count() < plan.steps {
        check_stop(options)?;
        let report = trainer.step(&mut source).map_err(|error| Error::Failed(error.to_string()))?;
        if !after(report.step, report.loss, trainer.network()) {
            break;
        }
    }
    Ok(trainer.network().clone())
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

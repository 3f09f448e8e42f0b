//! A range test of learning rates.

use super::Schedule;
use super::trainer::{BatchSource, Network, TrainError, Trainer};
use elman_core::cell::OptionError;

/// Tries learning rates from small to large on a copy of the trainer, a step each (Smith, "Cyclical learning rates for training neural
/// networks", 2017; first as a preprint of 2015).
///
/// Step k of n takes the rate `lowest · (highest / lowest)^(k / (n - 1))`. The losses are smoothed: `s ← σ s + (1 - σ) loss`, divided by
/// `1 - σ^(k + 1)` for the start from 0. The sweep ends early where the smoothed loss is above `divergence` times its least, or is no
/// number. The trainer, its network and the source's position are afterwards what they were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateFinder {
    /// The first rate.
    pub lowest: f64,
    /// The last rate.
    pub highest: f64,
    /// n.
    pub steps: usize,
    /// σ.
    pub smoothing: f64,
    /// How much above the least a loss ends the sweep.
    pub divergence: f64,
}

impl Default for RateFinder {
    fn default() -> Self {
        RateFinder { lowest: 1e-6, highest: 10.0, steps: 100, smoothing: 0.9, divergence: 4.0 }
    }
}

/// One rate of a sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatePoint {
    /// The rate.
    pub rate: f64,
    /// The loss of its batch before the update with it.
    pub loss: f64,
    /// The smoothed loss.
    pub smoothed: f64,
}

/// What a sweep found.
#[derive(Clone, Debug, PartialEq)]
pub struct RateSweep {
    /// In the order of the rates.
    pub points: Vec<RatePoint>,
    /// Whether it ended early.
    pub diverged: bool,
}

/// Why there is no sweep.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// A setting is out of its range.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The source failed, or the very first loss is no number.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The source does not go back.
    #[error("the data cannot go back to where they were: {0}")]
    Seek(String),
}

impl RateFinder {
    fn check(&self) -> Result<(), OptionError> {
        let RateFinder { lowest, highest, steps, smoothing, divergence } = *self;
        let positive = |x: f64| x > 0.0 && x.is_finite();
        for (option, value, fits, range) in [
            ("lowest", lowest, positive(lowest), "a finite number above 0"),
            ("highest", highest, positive(highest) && highest > lowest, "a finite number above `lowest`"),
            ("steps", steps as f64, steps >= 3, "at least 3"),
            ("smoothing", smoothing, (0.0..1.0).contains(&smoothing), "from 0 to below 1"),
            ("divergence", divergence, divergence > 1.0, "above 1"),
        ] {
            if !fits {
                return Err(OptionError { option, value, range });
            }
        }
        Ok(())
    }

    /// The rate of a step, counted from 0.
    ///
    /// # Panics
    /// If there are fewer than two steps.
    pub fn rate(&self, step: usize) -> f64 {
        assert!(self.steps > 1, "a sweep of {} steps has no rates between two ends", self.steps);
        self.lowest * (self.highest / self.lowest).powf(step as f64 / (self.steps - 1) as f64)
    }

    /// Sweeps.
    ///
    /// # Errors
    /// A setting is out of its range, the source fails or does not go back, or the first loss is not finite.
    pub fn sweep<N: Network>(
        &self,
        trainer: &Trainer<N>,
        source: &mut impl BatchSource<N::Batch>,
    ) -> Result<RateSweep, RateError> {
        self.check()?;
        let cursor = source.cursor();
        let mut trial = trainer.clone();
        trial.schedule = Schedule::Constant;
        let mut sweep = RateSweep { points: Vec::new(), diverged: false };
        let (mut sum, mut least) = (0.0, f64::INFINITY);
        let mut failed = None;
        for step in 0..self.steps {
            trial.rate = self.rate(step);
            let loss = match trial.step(source) {
                Ok(report) => report.loss,
                Err(TrainError::NotFinite { .. }) if step > 0 => {
                    sweep.diverged = true;
                    break;
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            sum = self.smoothing * sum + (1.0 - self.smoothing) * loss;
            let smoothed = sum / (1.0 - self.smoothing.powi(step as i32 + 1));
            sweep.points.push(RatePoint { rate: trial.rate, loss, smoothed });
            least = least.min(smoothed);
            if smoothed > self.divergence * least {
                sweep.diverged = true;
                break;
            }
        }
        source.seek(&cursor).map_err(RateError::Seek)?;
        match failed {
            Some(error) => Err(error.into()),
            None => Ok(sweep),
        }
    }
}

impl RateSweep {
    /// The rate at which the smoothed loss falls most steeply against the rate's logarithm, before its least; none where it does not fall.
    /// It is a place to begin from, not the best rate: Smith reads the range off the curve.
    pub fn suggestion(&self) -> Option<f64> {
        let s = |k: usize| self.points[k].smoothed;
        let lowest = (0..self.points.len()).min_by(|&a, &b| s(a).total_cmp(&s(b)))?;
        // Rates are geometric: the slope against the logarithm is the difference of neighbours.
        let slope = |k: usize| s(k + 1) - s(k - 1);
        let steepest = (1..lowest).min_by(|&a, &b| slope(a).total_cmp(&slope(b)))?;
        (slope(steepest) < 0.0).then(|| self.points[steepest].rate)
    }
}

#[cfg(test)]
#[path = "rate_finder_test.rs"]
mod tests;

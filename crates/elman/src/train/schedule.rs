//! Learning-rate schedules: a pure function of the step, so that resuming needs nothing but the step's number.

use super::{NOT_NEGATIVE, check_option, is_not_negative};
use elman_core::cell::OptionError;

/// How the learning rate moves from step to step. Steps count from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Schedule {
    /// The base rate throughout.
    Constant,
    /// Rises linearly to the base rate over the first `steps` steps: step k has (k + 1) / steps of it.
    Warmup {
        /// Length of the rise.
        steps: u64,
    },
    /// Multiplied by `gamma` after every `every` steps.
    Step {
        /// Steps between multiplications.
        every: u64,
        /// The factor.
        gamma: f64,
    },
    /// The base rate for `hold` steps; then multiplied by `gamma`, and again after every `every` steps (Zaremba, Sutskever & Vinyals 2014, with the
    /// steps of an epoch for `every`).
    HoldThenStep {
        /// Steps at the base rate.
        hold: u64,
        /// Steps between multiplications.
        every: u64,
        /// The factor.
        gamma: f64,
    },
    /// Half a cosine from the base rate to `floor` times it over `steps` steps, then constant.
    Cosine {
        /// Length of the fall.
        steps: u64,
        /// What remains, as a share of the base rate.
        floor: f64,
    },
    /// Multiplied by `gamma` after every step.
    Exponential {
        /// The factor.
        gamma: f64,
    },
}

impl Schedule {
    /// Whether its factor is in its range.
    ///
    /// # Errors
    /// γ is negative or not finite, or what remains is not from 0 to 1.
    pub fn check(&self) -> Result<(), OptionError> {
        match *self {
            Schedule::Constant | Schedule::Warmup { .. } => Ok(()),
            Schedule::Step { gamma, .. } | Schedule::HoldThenStep { gamma, .. } | Schedule::Exponential { gamma } => {
                check_option("gamma", gamma, is_not_negative(gamma), NOT_NEGATIVE)
            }
            Schedule::Cosine { floor, .. } => check_option("floor", floor, (0.0..=1.0).contains(&floor), "from 0 to 1"),
        }
    }

    /// The learning rate of step `step`.
    pub fn rate(&self, base: f64, step: u64) -> f64 {
        match *self {
            Schedule::Constant => base,
            Schedule::Warmup { steps } if step < steps => base * (step + 1) as f64 / steps as f64,
            Schedule::Warmup { .. } => base,
            Schedule::Step { every, gamma } => base * gamma.powf((step / every.max(1)) as f64),
            Schedule::HoldThenStep { hold, .. } if step < hold => base,
            Schedule::HoldThenStep { hold, every, gamma } => {
                base * gamma.powf(((step - hold) / every.max(1) + 1) as f64)
            }
            Schedule::Cosine { steps, floor } => {
                let part = (step as f64 / steps.max(1) as f64).min(1.0);
                base * (floor + (1.0 - floor) * 0.5 * (1.0 + (core::f64::consts::PI * part).cos()))
            }
            Schedule::Exponential { gamma } => base * gamma.powf(step as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule::*;

    #[test]
    fn known_points() {
        assert_eq!(Constant.rate(0.1, 1_000_000), 0.1);
        let warmup = Warmup { steps: 4 };
        assert_eq!([0, 1, 3, 4, 9].map(|k| warmup.rate(1.0, k)), [0.25, 0.5, 1.0, 1.0, 1.0]);
        let step = Step { every: 3, gamma: 0.5 };
        assert_eq!([0, 2, 3, 6].map(|k| step.rate(8.0, k)), [8.0, 8.0, 4.0, 2.0]);
        let hold = HoldThenStep { hold: 4, every: 3, gamma: 0.5 };
        assert_eq!([0, 3, 4, 6, 7, 10].map(|k| hold.rate(8.0, k)), [8.0, 8.0, 4.0, 4.0, 2.0, 1.0]);
        let cosine = Cosine { steps: 10, floor: 0.1 };
        assert_eq!(cosine.rate(1.0, 0), 1.0);
        // cos(pi / 2) and cos(pi) are exact to one unit in the last place of 1.
        assert!((cosine.rate(1.0, 5) - 0.55).abs() < 1e-15 && (cosine.rate(1.0, 10) - 0.1).abs() < 1e-15);
        assert_eq!(cosine.rate(1.0, 10), cosine.rate(1.0, 99));
        assert_eq!([0, 1, 2].map(|k| Exponential { gamma: 0.5 }.rate(1.0, k)), [1.0, 0.5, 0.25]);
    }
}

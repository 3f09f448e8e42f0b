//! A signal whose law changes.

use super::Random;

/// A resonance whose frequency is drawn anew every so many steps: x_t = 2 r cos(ω) x_{t-1} - r² x_{t-2} + e_t.
///
/// An autoregressive process of second order with poles r e^{±iω}; e is uniform with the variance that makes that of x 1. Who knows ω predicts the
/// next value with the mean squared error [`Sample::noise`], and nobody does better; who always answers 0 has 1. ω is uniform in 0.2 to 2.8 radians a
/// step, and at least 0.5 away from the former one.
///
/// ```
/// use elman_data::synthetic::drifting::Drifting;
/// let first: Vec<_> = Drifting::new(1000, 0.95, 7).take(2500).collect();
/// assert_eq!(first, Drifting::new(1000, 0.95, 7).take(2500).collect::<Vec<_>>());
/// assert_eq!((first[999].phase, first[1000].phase, first[2499].phase), (0, 1, 2));
/// assert_ne!(first[999].frequency, first[1000].frequency);
/// ```
#[derive(Clone, Debug)]
pub struct Drifting {
    random: Random,
    period: usize,
    radius: f64,
    step: usize,
    frequency: f64,
    last: [f64; 2],
}

/// One value of the signal, and its law.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// x.
    pub value: f32,
    /// How often the law has changed.
    pub phase: usize,
    /// ω, in radians a step.
    pub frequency: f64,
    /// The variance of e: the least mean squared error of a prediction of this value.
    pub noise: f64,
}

impl Drifting {
    /// A signal whose frequency changes every `period` steps, with poles at `radius`: near 1 a pure tone, near 0 noise.
    ///
    /// # Panics
    /// If `period` is 0 or `radius` is not between 0 and 1.
    #[track_caller]
    pub fn new(period: usize, radius: f64, seed: u64) -> Drifting {
        assert!(period > 0, "a frequency lasts at least a step");
        assert!(radius > 0.0 && radius < 1.0, "the radius is {radius}; it must be between 0 and 1");
        Drifting { random: Random::new(seed), period, radius, step: 0, frequency: 0.0, last: [0.0; 2] }
    }
}

impl Iterator for Drifting {
    type Item = Sample;

    /// The next value; there is always one.
    fn next(&mut self) -> Option<Sample> {
        if self.step.is_multiple_of(self.period) {
            let former = self.frequency;
            while (self.frequency - former).abs() < 0.5 {
                self.frequency = 0.2 + 2.6 * f64::from(self.random.uniform());
            }
        }
        let square = self.radius * self.radius;
        // The variance of such a process over that of e is (1 + r²) / ((1 - r²) (1 + r⁴ - 2 r² cos 2ω)).
        let rest = 1.0 + square * square - 2.0 * square * (2.0 * self.frequency).cos();
        let noise = (1.0 - square) * rest / (1.0 + square);
        let e = (f64::from(self.random.uniform()) - 0.5) * (12.0 * noise).sqrt();
        let x = 2.0 * self.radius * self.frequency.cos() * self.last[0] - square * self.last[1] + e;
        self.last = [x, self.last[0]];
        let phase = self.step / self.period;
        self.step += 1;
        Some(Sample { value: x as f32, phase, frequency: self.frequency, noise })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_variance_is_one_and_its_law_is_the_best_prediction() {
        for seed in 1..6 {
            let n = 40_000;
            let all: Vec<Sample> = Drifting::new(n, 0.9, seed).take(n).collect();
            let omega = all[0].frequency;
            let variance = all.iter().map(|s| f64::from(s.value).powi(2)).sum::<f64>() / n as f64;
            // The squares remember some 1/(1 - 0.81) steps: about 7,600 independent ones, whose mean has a standard error below 0.017. Six of them.
            assert!((variance - 1.0).abs() < 0.1, "{variance}");
            let x = |t: usize| f64::from(all[t].value);
            let error = |t: usize| x(t) - (1.8 * omega.cos() * x(t - 1) - 0.81 * x(t - 2));
            let least = (2..n).map(|t| error(t).powi(2)).sum::<f64>() / (n - 2) as f64;
            // A uniform number's square has a standard deviation of 0.9 times its mean: six standard errors.
            assert!((least / all[0].noise - 1.0).abs() < 6.0 * 0.9 / (n as f64).sqrt(), "{least} {}", all[0].noise);
        }
    }

    #[test]
    fn every_change_is_one() {
        let all: Vec<Sample> = Drifting::new(10, 0.9, 1).take(500).collect();
        for pair in all.windows(2) {
            let far = (pair[0].frequency - pair[1].frequency).abs();
            assert_eq!(far != 0.0, pair[0].phase != pair[1].phase);
            assert!(far == 0.0 || far >= 0.5);
            assert!((0.2..2.8).contains(&pair[1].frequency) && pair[1].noise > 0.0 && pair[1].noise < 1.0);
        }
        assert_eq!(all[499].phase, 49);
    }

    #[test]
    #[should_panic(expected = "the radius is 1")]
    fn an_unstable_process_is_refused() {
        Drifting::new(10, 1.0, 1);
    }
}

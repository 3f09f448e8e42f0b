//! Noise added to gradients.

use super::{CHUNK, Gradient};
use crate::random::Random;

/// Gaussian noise on every element of the gradient, annealed: at step t, counted from 0, its variance is `η / (1 + t)^γ` (Neelakantan,
/// Vilnis, Le, Sutskever, Kaiser, Kurach & Martens, "Adding gradient noise improves learning for very deep networks", 2015; they take η
/// from 0.01, 0.3 and 1, and γ = 0.55). It is added after clipping, so that its size is what is asked for.
///
/// ```
/// use elman::train::GradientNoise;
/// let noise = GradientNoise::new(0.3).unwrap();
/// assert_eq!(noise.variance(0), 0.3);
/// assert!((noise.variance(999) - 0.3 / 1000f64.powf(0.55)).abs() < 1e-15);
/// assert_eq!(GradientNoise::new(-1.0).unwrap_err().to_string(), "gradient-noise is -1; it must be a finite number, 0 or above");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientNoise {
    eta: f64,
}

/// γ.
const DECAY: f64 = 0.55;

impl GradientNoise {
    /// With η, the variance at the first step.
    ///
    /// # Errors
    /// η is negative or not finite.
    pub fn new(eta: f64) -> Result<GradientNoise, elman_core::cell::OptionError> {
        if eta >= 0.0 && eta.is_finite() {
            return Ok(GradientNoise { eta });
        }
        let range = "a finite number, 0 or above";
        Err(elman_core::cell::OptionError { option: "gradient-noise", value: eta, range })
    }

    /// The variance at a step, counted from 0.
    pub fn variance(&self, step: u64) -> f64 {
        self.eta / (1.0 + step as f64).powf(DECAY)
    }

    /// g ← `factor` g + noise.
    pub(super) fn add(&self, gradients: &mut [(String, Gradient)], factor: f32, step: u64, random: &mut Random) {
        let deviation = self.variance(step).sqrt() as f32;
        for (_, gradient) in gradients {
            for chunk in gradient.values_mut().chunks_mut(CHUNK) {
                chunk.iter_mut().for_each(|g| *g = factor * *g + deviation * random.normal());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_noise_has_the_variance_of_its_step_and_no_mean() {
        let noise = GradientNoise::new(0.3).unwrap();
        let n = 100_000;
        for step in [0, 50] {
            let mut gradients = vec![("w".to_string(), Gradient::from(vec![2.0; n]))];
            noise.add(&mut gradients, 0.5, step, &mut Random::new(1, "noise"));
            let values = gradients[0].1.to_vec();
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
            let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n as f64;
            let want = 0.3 / (1.0 + step as f64).powf(0.55);
            // Five standard errors of the mean, √(v / n), and of the variance, v √(2 / n).
            assert!((mean - 1.0).abs() < 5.0 * (want / n as f64).sqrt(), "{mean}");
            assert!((variance - want).abs() < 5.0 * want * (2.0 / n as f64).sqrt(), "{variance} {want}");
        }
        assert!(GradientNoise::new(f64::NAN).is_err());
    }
}

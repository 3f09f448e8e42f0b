//! Benchmark plants for system identification, made from their difference equations.
//!
//! The plants are from Narendra & Parthasarathy, "Identification and control of dynamical systems using neural networks", IEEE
//! Transactions on Neural Networks 1(1), 1990. As in the paper, a model learns from an input that is uniform noise and is
//! tested with sinusoids, which it has not seen. All numbers are without units; a step is one sample.

use std::f64::consts::TAU;

/// A plant: y_{k+1} from the outputs and inputs up to k, from rest.
///
/// ```
/// use elman_data::Plant;
/// // From rest y_1 = u_0, and y_2 = 0 * u_0 + u_1.
/// assert_eq!(Plant::ModelTwo.run(&[1.0, 0.5, 0.0]), [0.0, 1.0, 0.5]);
/// let record = Plant::ModelFour.record(&Plant::ModelFour.test_input(800), 0.0, 1);
/// assert_eq!(record.y.len(), 800);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// Model II, nonlinear in the outputs, linear in the input:
    /// y_{k+1} = y_k y_{k-1} (y_k + 2.5) / (1 + y_k² + y_{k-1}²) + u_k.
    ModelTwo,
    /// Model IV, nonlinear in both together: y_{k+1} = f(y_k, y_{k-1}, y_{k-2}, u_k, u_{k-1}) with
    /// f(a, b, c, u, v) = (a b c v (c - 1) + u) / (1 + b² + c²).
    ModelFour,
    /// Two inputs and two outputs: y¹_{k+1} = y¹_k / (1 + (y²_k)²) + u¹_k, y²_{k+1} = y¹_k y²_k / (1 + (y²_k)²) + u²_k.
    TwoByTwo,
}

/// An input and the output that was measured, row-major with time first.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// (T, inputs).
    pub u: Vec<f64>,
    /// (T, outputs).
    pub y: Vec<f64>,
}

impl Plant {
    /// All of them.
    pub const ALL: [Plant; 3] = [Plant::ModelTwo, Plant::ModelFour, Plant::TwoByTwo];

    /// A name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Plant::ModelTwo => "model II",
            Plant::ModelFour => "model IV",
            Plant::TwoByTwo => "two by two",
        }
    }

    /// Number of inputs, and of outputs.
    pub fn channels(self) -> usize {
        match self {
            Plant::ModelTwo | Plant::ModelFour => 1,
            Plant::TwoByTwo => 2,
        }
    }

    /// Half the width of the interval from which the learning input is drawn: 2 for model II, 1 for the others.
    pub fn amplitude(self) -> f64 {
        match self {
            Plant::ModelTwo => 2.0,
            Plant::ModelFour | Plant::TwoByTwo => 1.0,
        }
    }

    /// The plant's output without noise for `u` (T, channels), from rest: y_0 = 0, (T, channels).
    ///
    /// # Panics
    /// If `u` is not whole rows.
    pub fn run(self, u: &[f64]) -> Vec<f64> {
        let channels = self.channels();
        assert!(u.len().is_multiple_of(channels), "{} numbers are not whole rows of {channels}", u.len());
        let steps = u.len() / channels;
        let mut y = vec![0.0; u.len()];
        for k in 0..steps.saturating_sub(1) {
            // What was before the beginning is zero.
            let before = |values: &[f64], lag: usize| if lag > k { 0.0 } else { values[k - lag] };
            match self {
                Plant::ModelTwo => {
                    let (a, b) = (before(&y, 0), before(&y, 1));
                    y[k + 1] = a * b * (a + 2.5) / (1.0 + a * a + b * b) + u[k];
                }
                Plant::ModelFour => {
                    let (a, b, c) = (before(&y, 0), before(&y, 1), before(&y, 2));
                    y[k + 1] = (a * b * c * before(u, 1) * (c - 1.0) + u[k]) / (1.0 + b * b + c * c);
                }
                Plant::TwoByTwo => {
                    let (a, b) = (y[2 * k], y[2 * k + 1]);
                    y[2 * k + 2] = a / (1.0 + b * b) + u[2 * k];
                    y[2 * k + 3] = a * b / (1.0 + b * b) + u[2 * k + 1];
                }
            }
        }
        y
    }

    /// An input to learn from: T rows, uniform in ±[`amplitude`](Plant::amplitude), independent from step to step.
    pub fn training_input(self, steps: usize, seed: u64) -> Vec<f64> {
        let mut noise = Noise::new(seed);
        (0..steps * self.channels()).map(|_| self.amplitude() * (2.0 * noise.uniform() - 1.0)).collect()
    }

    /// The paper's input to test with: sin(2πk/25) for model II; for model IV sin(2πk/250), from step 500 on
    /// 0.8 sin(2πk/250) + 0.2 sin(2πk/25); sin(2πk/25) and cos(2πk/25) for two by two.
    pub fn test_input(self, steps: usize) -> Vec<f64> {
        let wave = |k: usize, period: f64| (TAU * k as f64 / period).sin();
        match self {
            Plant::ModelTwo => (0..steps).map(|k| wave(k, 25.0)).collect(),
            Plant::ModelFour => (0..steps)
                .map(|k| if k < 500 { wave(k, 250.0) } else { 0.8 * wave(k, 250.0) + 0.2 * wave(k, 25.0) })
                .collect(),
            Plant::TwoByTwo => (0..steps).flat_map(|k| [wave(k, 25.0), (TAU * k as f64 / 25.0).cos()]).collect(),
        }
    }

    /// Input and measured output: the plant's own plus normal noise of this standard deviation, drawn from `seed`. The noise is in the
    /// measurement alone; the plant does not feel it.
    ///
    /// # Panics
    /// If `u` is not whole rows, or `deviation` is negative or not finite.
    pub fn record(self, u: &[f64], deviation: f64, seed: u64) -> Record {
        assert!(deviation >= 0.0 && deviation.is_finite(), "a deviation of {deviation}");
        let mut noise = Noise::new(seed ^ 0x6e6f_6973_6521);
        let mut y = self.run(u);
        if deviation > 0.0 {
            y.iter_mut().for_each(|y| *y += deviation * noise.normal());
        }
        Record { u: u.to_vec(), y }
    }
}

/// Random numbers for generators: SplitMix64 (Steele, Lea & Flood 2014).
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Noise {
        Noise(seed)
    }

    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard normal (Box & Muller 1958), one of the pair.
    fn normal(&mut self) -> f64 {
        // 1 - u is in (0, 1], so that the logarithm is finite.
        let (u, v) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (TAU * v).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first steps, computed by hand.
    #[test]
    fn plants_are_their_equations() {
        let close = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-15);
        let y = Plant::ModelTwo.run(&[1.0, 0.5, -1.0, 7.0]);
        // y_3 = 1 * 0.5 (0.5 + 2.5) / (1 + 0.25 + 1) - 1
        assert!(close(&y, &[0.0, 1.0, 0.5, 1.5 / 2.25 - 1.0]), "{y:?}");

        let y = Plant::ModelFour.run(&[1.0, 0.5, 2.0, -1.0, 7.0]);
        // y_1 = u_0; y_2 = u_1 / (1 + 0 + 0); y_3 = 2 / (1 + 1); y_4 = (1 * 0.5 * 1 * 2 * 0 - 1) / (1 + 0.25 + 1)
        assert!(close(&y, &[0.0, 1.0, 0.5, 1.0, -1.0 / 2.25]), "{y:?}");
        // The last input is not felt any more; the one before is, in the product too:
        // y_5 = (y_4 y_3 y_2 u_3 (y_2 - 1) + u_4) / (1 + y_3² + y_2²)
        let y = Plant::ModelFour.run(&[1.0, 0.5, 2.0, -1.0, 7.0, 9.0]);
        let (y2, y3, y4, u3) = (0.5, 1.0, -1.0 / 2.25, -1.0);
        let product = y4 * y3 * y2 * u3 * (y2 - 1.0);
        assert!((y[5] - (product + 7.0) / 2.25).abs() < 1e-15, "{y:?}");

        let y = Plant::TwoByTwo.run(&[1.0, 2.0, 0.5, -1.0, 3.0, 3.0]);
        assert!(close(&y, &[0.0, 0.0, 1.0, 2.0, 1.0 / 5.0 + 0.5, 2.0 / 5.0 - 1.0]), "{y:?}");
        for plant in Plant::ALL {
            assert_eq!(plant.run(&[]), []);
            assert_eq!(plant.run(&vec![1.0; plant.channels()]), vec![0.0; plant.channels()]);
        }
    }

    #[test]
    fn inputs_are_those_of_the_paper() {
        for plant in Plant::ALL {
            let u = plant.training_input(20_000, 3);
            assert_eq!(u.len(), 20_000 * plant.channels());
            let (a, n) = (plant.amplitude(), u.len() as f64);
            assert!(u.iter().all(|u| u.abs() <= a));
            // Five standard errors of the mean, and of the mean square (whose deviation is 0.3 a²).
            let mean = u.iter().sum::<f64>() / n;
            let square = u.iter().map(|u| u * u).sum::<f64>() / n;
            assert!(mean.abs() < 5.0 * a / (3.0 * n).sqrt(), "{mean}");
            assert!((square - a * a / 3.0).abs() < 1.5 * a * a / n.sqrt(), "{square}");
            assert_ne!(plant.training_input(10, 1), plant.training_input(10, 2));
            // Bounded inputs leave the plants bounded.
            assert!(plant.run(&u).iter().all(|y| y.abs() < 20.0));
        }
        let u = Plant::ModelFour.test_input(800);
        assert!((u[62] - (TAU * 62.0 / 250.0).sin()).abs() < 1e-15);
        let want = 0.8 * (TAU * 506.0 / 250.0).sin() + 0.2 * (TAU * 506.0 / 25.0).sin();
        assert!((u[506] - want).abs() < 1e-15);
        assert_eq!(Plant::TwoByTwo.test_input(1), [0.0, 1.0]);
    }

    #[test]
    fn noise_is_in_the_measurement_alone_and_of_the_given_size() {
        let plant = Plant::ModelTwo;
        let u = plant.training_input(20_000, 1);
        let (clean, noisy) = (plant.record(&u, 0.0, 5), plant.record(&u, 0.1, 5));
        assert_eq!(clean.y, plant.run(&u));
        let error: Vec<f64> = noisy.y.iter().zip(&clean.y).map(|(a, b)| a - b).collect();
        let n = error.len() as f64;
        let mean = error.iter().sum::<f64>() / n;
        let square = error.iter().map(|e| e * e).sum::<f64>() / n;
        // Five standard errors: sigma / √n, and sigma² √(2 / n).
        assert!(mean.abs() < 0.5 / n.sqrt(), "{mean}");
        assert!((square - 0.01).abs() < 0.05 * (2.0 / n).sqrt(), "{square}");
        assert_eq!(noisy, plant.record(&u, 0.1, 5));
        assert_ne!(noisy, plant.record(&u, 0.1, 6));
    }
}

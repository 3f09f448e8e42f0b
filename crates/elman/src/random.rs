//! Random numbers whose position can be saved: a counter-based generator (ChaCha8).
//!
//! Every draw in training comes from here. A stream is named by its purpose, so that adding a parameter or a draw in one
//! place does not shift the numbers of another, and the number of threads plays no part.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A stream of random numbers: a seed, a purpose and a position.
#[derive(Clone, Debug)]
pub struct Random {
    generator: ChaCha8Rng,
}

impl Random {
    /// The stream of `seed` for `purpose`, at its start.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(fnv(purpose));
        Random { generator }
    }

    /// How many 32-bit words have been drawn.
    pub fn position(&self) -> u128 {
        self.generator.get_word_pos()
    }

    /// Goes to a position that [`position`](Random::position) gave.
    pub fn seek(&mut self, position: u128) {
        self.generator.set_word_pos(position);
    }

    /// A 32-bit word.
    pub fn word(&mut self) -> u32 {
        self.generator.next_u32()
    }

    /// Uniform in [0, 1), 24 bits of it: every value is exact in `f32`.
    pub fn uniform(&mut self) -> f32 {
        (self.word() >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Uniform in [-bound, bound).
    pub fn symmetric(&mut self, bound: f32) -> f32 {
        (2.0 * self.uniform() - 1.0) * bound
    }

    /// Standard normal (Box & Muller 1958), one of the pair.
    pub fn normal(&mut self) -> f32 {
        // 1 - u is in (0, 1], so the logarithm is finite.
        let u = 1.0 - f64::from(self.uniform());
        let v = f64::from(self.uniform());
        ((-2.0 * u.ln()).sqrt() * (core::f64::consts::TAU * v).cos()) as f32
    }

    /// 1 with probability `p`, else 0.
    ///
    /// # Panics
    /// Unless 0 <= p < 1.
    pub fn bernoulli(&mut self, p: f64, out: &mut [f32]) {
        assert!((0.0..1.0).contains(&p), "probability {p} is not in [0, 1)");
        let threshold = (p * 4294967296.0) as u32;
        for slot in out {
            *slot = f32::from(u8::from(self.word() < threshold));
        }
    }

    /// A dropout mask: 0 with probability `p`, else 1 / (1 - p).
    ///
    /// # Panics
    /// Unless 0 <= p < 1.
    pub fn dropout(&mut self, p: f64, out: &mut [f32]) {
        assert!((0.0..1.0).contains(&p), "dropout probability {p} is not in [0, 1)");
        let keep = (1.0 / (1.0 - p)) as f32;
        let threshold = (p * 4294967296.0) as u32;
        for slot in out {
            *slot = if self.word() < threshold { 0.0 } else { keep };
        }
    }
}

/// The 64-bit hash of Fowler, Noll & Vo (FNV-1a): fixed for ever, unlike the standard library's.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_purpose_and_seed() {
        let draw = |seed, purpose: &str| {
            let mut random = Random::new(seed, purpose);
            (0..8).map(|_| random.word()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, "dropout"), draw(1, "dropout"));
        assert_ne!(draw(1, "dropout"), draw(1, "shuffle"));
        assert_ne!(draw(1, "dropout"), draw(2, "dropout"));
    }

    #[test]
    fn a_saved_position_continues_the_stream() {
        let mut random = Random::new(3, "dropout");
        let mut mask = [0.0; 37];
        random.dropout(0.5, &mut mask);
        let position = random.position();
        let next: Vec<u32> = (0..5).map(|_| random.word()).collect();
        let mut again = Random::new(3, "dropout");
        again.seek(position);
        assert_eq!(next, (0..5).map(|_| again.word()).collect::<Vec<_>>());
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut random = Random::new(5, "moments");
        let n = 100_000;
        let moments = |xs: &[f64]| {
            let mean = xs.iter().sum::<f64>() / n as f64;
            (mean, xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64)
        };
        let uniform: Vec<f64> = (0..n).map(|_| random.symmetric(1.0).into()).collect();
        let normal: Vec<f64> = (0..n).map(|_| random.normal().into()).collect();
        let mut mask = vec![0.0f32; n];
        random.dropout(0.25, &mut mask);
        // Five standard errors of the mean (sigma / sqrt n) and of the variance.
        let (mean, variance) = moments(&uniform);
        assert!(mean.abs() < 0.01 && (variance - 1.0 / 3.0).abs() < 0.005, "{mean} {variance}");
        let (mean, variance) = moments(&normal);
        assert!(mean.abs() < 0.016 && (variance - 1.0).abs() < 0.023, "{mean} {variance}");
        let kept = mask.iter().filter(|&&m| m > 0.0).count() as f64 / n as f64;
        assert!((kept - 0.75).abs() < 0.007, "{kept}");
        assert!(mask.iter().all(|&m| m == 0.0 || m == 4.0 / 3.0));
        random.bernoulli(0.25, &mut mask);
        let ones = mask.iter().sum::<f32>() / n as f32;
        assert!((ones - 0.25).abs() < 0.007 && mask.iter().all(|&m| m == 0.0 || m == 1.0), "{ones}");
    }
}

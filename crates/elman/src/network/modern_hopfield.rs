//! The modern Hopfield network of continuous states: a memory whose capacity is exponential in its width.
//!
//! The patterns are the columns of X (D, N); β > 0 is the inverse temperature. With `lse(β, z) = 1/β ln Σ_i exp(β z_i)` the energy is
//!
//! ```text
//! E(ξ) = -lse(β, X'ξ) + 1/2 ξ'ξ + 1/β ln N + 1/2 M²,    M the largest length of a pattern
//! ```
//!
//! which is in [0, 2M²] for ξ within the patterns' convex hull, and the update
//!
//! ```text
//! ξ ← X softmax(β X'ξ)
//! ```
//!
//! never raises it. A pattern that is well apart from the others is retrieved in one update, up to an error that is exponentially small
//! in β times its distance `Δ = x·x - max x·x'` from them; a small β gives means of similar patterns instead. The update is the
//! attention of transformers with β = 1/√D.
//!
//! Source: H. Ramsauer et al., "Hopfield networks is all you need", 2020 (theorems 1 to 4).
//!
//! ```
//! use elman::network::modern_hopfield::ModernHopfield;
//!
//! let memory = ModernHopfield::new(&[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], 20.0).unwrap();
//! let cue = [0.9, 0.3, -0.1];
//! let retrieved = memory.update(&cue).unwrap();
//! assert!((retrieved[0] - 1.0).abs() < 1e-4 && retrieved[1].abs() < 1e-4);
//! assert!(memory.energy(&retrieved).unwrap() < memory.energy(&cue).unwrap());
//! ```

/// What is wrong with patterns, β or a state.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModernHopfieldError {
    /// There is nothing to store.
    #[error("there are no patterns; a memory needs at least one")]
    NoPatterns,
    /// A pattern of no numbers.
    #[error("the patterns have no values; they need at least one each")]
    NoWidth,
    /// A length is not the width of the memory.
    #[error("{what} has {found} values, and {expected} are needed, the width of pattern 0")]
    Length {
        /// What.
        what: String,
        /// Its length.
        found: usize,
        /// The width.
        expected: usize,
    },
    /// A value is NaN or infinite.
    #[error("{what}: value {at} is {value}; it must be finite")]
    NotFinite {
        /// Where.
        what: String,
        /// The place, from 0.
        at: usize,
        /// The value.
        value: f64,
    },
    /// β is not a positive number.
    #[error("the inverse temperature beta is {0}; it must be finite and above 0")]
    Beta(f64),
}

/// What a retrieval gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieval {
    /// The last state.
    pub state: Vec<f64>,
    /// Updates made.
    pub updates: usize,
    /// Whether the last one moved the state by no more than the tolerance.
    pub converged: bool,
}

/// N patterns of D numbers and an inverse temperature: see the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct ModernHopfield {
    /// (N, D), row-major.
    patterns: Vec<f64>,
    width: usize,
    beta: f64,
    /// M.
    longest: f64,
}

impl ModernHopfield {
    /// A memory of the patterns.
    ///
    /// # Errors
    /// Without patterns or values, where the lengths differ, where a value is not finite, and unless β is finite and above 0.
    pub fn new<R: AsRef<[f64]>>(patterns: &[R], beta: f64) -> Result<ModernHopfield, ModernHopfieldError> {
        let width = patterns.first().ok_or(ModernHopfieldError::NoPatterns)?.as_ref().len();
        if width == 0 {
            return Err(ModernHopfieldError::NoWidth);
        }
        if !(beta.is_finite() && beta > 0.0) {
            return Err(ModernHopfieldError::Beta(beta));
        }
        let mut all = Vec::with_capacity(patterns.len() * width);
        for (i, pattern) in patterns.iter().enumerate() {
            check(pattern.as_ref(), width, || format!("pattern {i}"))?;
            all.extend_from_slice(pattern.as_ref());
        }
        let longest = all.chunks(width).map(|x| dot(x, x).sqrt()).fold(0.0, f64::max);
        Ok(ModernHopfield { patterns: all, width, beta, longest })
    }

    /// N.
    pub fn count(&self) -> usize {
        self.patterns.len() / self.width
    }

    /// D.
    pub fn width(&self) -> usize {
        self.width
    }

    /// β.
    pub fn beta(&self) -> f64 {
        self.beta
    }

    /// softmax(β X'ξ): what each pattern contributes to the next state; they sum to 1.
    ///
    /// # Errors
    /// Unless the state has D finite values.
    pub fn weights(&self, state: &[f64]) -> Result<Vec<f64>, ModernHopfieldError> {
        check(state, self.width, || "the state".into())?;
        Ok(self.softmax(state).0)
    }

    /// E(ξ).
    ///
    /// # Errors
    /// Unless the state has D finite values.
    pub fn energy(&self, state: &[f64]) -> Result<f64, ModernHopfieldError> {
        check(state, self.width, || "the state".into())?;
        let lse = self.softmax(state).1;
        let constant = (self.count() as f64).ln() / self.beta + 0.5 * self.longest * self.longest;
        Ok(0.5 * dot(state, state) - lse + constant)
    }

    /// One update: X softmax(β X'ξ).
    ///
    /// # Errors
    /// Unless the state has D finite values.
    pub fn update(&self, state: &[f64]) -> Result<Vec<f64>, ModernHopfieldError> {
        let weights = self.weights(state)?;
        let mut next = vec![0.0; self.width];
        for (x, p) in self.patterns.chunks(self.width).zip(weights) {
            next.iter_mut().zip(x).for_each(|(n, x)| *n += p * x);
        }
        Ok(next)
    }

    /// Updates until the state moves by no more than `tolerance` (Euclidean), or so many updates are made.
    ///
    /// # Errors
    /// Unless the state has D finite values.
    pub fn retrieve(&self, state: &[f64], tolerance: f64, most: usize) -> Result<Retrieval, ModernHopfieldError> {
        check(state, self.width, || "the state".into())?;
        let mut state = state.to_vec();
        for updates in 1..=most {
            let next = self.update(&state)?;
            let moved: f64 = next.iter().zip(&state).map(|(a, b)| (a - b) * (a - b)).sum();
            state = next;
            if moved.sqrt() <= tolerance {
                return Ok(Retrieval { state, updates, converged: true });
            }
        }
        Ok(Retrieval { state, updates: most, converged: false })
    }

    /// The softmax of β X'ξ, and lse(β, X'ξ); exponentials are taken of differences from the largest, so that none overflows.
    fn softmax(&self, state: &[f64]) -> (Vec<f64>, f64) {
        let mut z: Vec<f64> = self.patterns.chunks(self.width).map(|x| dot(x, state)).collect();
        let largest = z.iter().fold(f64::NEG_INFINITY, |m, &z| m.max(z));
        z.iter_mut().for_each(|z| *z = (self.beta * (*z - largest)).exp());
        let sum: f64 = z.iter().sum();
        z.iter_mut().for_each(|p| *p /= sum);
        (z, largest + sum.ln() / self.beta)
    }
}

fn check(values: &[f64], width: usize, what: impl Fn() -> String) -> Result<(), ModernHopfieldError> {
    if values.len() != width {
        return Err(ModernHopfieldError::Length { what: what(), found: values.len(), expected: width });
    }
    match values.iter().position(|v| !v.is_finite()) {
        Some(at) => Err(ModernHopfieldError::NotFinite { what: what(), at, value: values[at] }),
        None => Ok(()),
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn draw(count: usize, width: usize, random: &mut Random) -> Vec<Vec<f64>> {
        (0..count).map(|_| (0..width).map(|_| random.normal().into()).collect()).collect()
    }

    #[test]
    fn the_energy_never_rises_and_every_start_converges() {
        let mut random = Random::new(1, "modern");
        for (count, width, beta) in [(1, 1, 1.0), (3, 2, 0.3), (10, 5, 1.0), (40, 8, 4.0), (7, 30, 0.05)] {
            let memory = ModernHopfield::new(&draw(count, width, &mut random), beta).unwrap();
            for start in draw(20, width, &mut random) {
                let mut state = start.clone();
                let mut last = memory.energy(&state).unwrap();
                for _ in 0..50 {
                    state = memory.update(&state).unwrap();
                    let now = memory.energy(&state).unwrap();
                    // Sums of up to 40 numbers of the size of M².
                    let rounding = 1e-14 * (1.0 + memory.longest.powi(2));
                    assert!(now <= last + rounding, "{last} -> {now}");
                    // After the first update the state is in the patterns' convex hull.
                    assert!(now >= -rounding && now <= 2.0 * memory.longest.powi(2) + rounding);
                    last = now;
                }
                let retrieval = memory.retrieve(&start, 1e-10, 100_000).unwrap();
                assert!(retrieval.converged);
                let next = memory.update(&retrieval.state).unwrap();
                assert!(next.iter().zip(&retrieval.state).all(|(a, b)| (a - b).abs() < 1e-9));
            }
        }
    }

    /// The update is one step of gradient descent of length 1: ξ - dE/dξ.
    #[test]
    fn the_update_is_the_negative_gradient_of_the_energy() {
        let mut random = Random::new(2, "modern");
        let memory = ModernHopfield::new(&draw(6, 4, &mut random), 0.7).unwrap();
        let state: Vec<f64> = draw(1, 4, &mut random).remove(0);
        let update = memory.update(&state).unwrap();
        for i in 0..4 {
            let at = |shift: f64| {
                let mut state = state.clone();
                state[i] += shift;
                memory.energy(&state).unwrap()
            };
            let gradient = (at(1e-5) - at(-1e-5)) / 2e-5;
            // Central differences: the step squared, and rounding over the step.
            assert!((state[i] - gradient - update[i]).abs() < 1e-9);
        }
    }

    /// More patterns than the classic network has units, each found in one update from a tenth of its signs turned over.
    #[test]
    fn one_update_retrieves_exponentially_many_patterns() {
        let mut random = Random::new(3, "modern");
        let (width, count) = (40, 1024);
        let sign = |random: &mut Random| if random.word() & 1 == 1 { 1.0 } else { -1.0 };
        let patterns: Vec<Vec<f64>> = (0..count).map(|_| (0..width).map(|_| sign(&mut random)).collect()).collect();
        let memory = ModernHopfield::new(&patterns, 1.0).unwrap();
        let mut found = 0;
        for pattern in patterns.iter().take(200) {
            let mut cue = pattern.clone();
            cue.iter_mut().take(4).for_each(|v| *v = -*v);
            let state = memory.update(&cue).unwrap();
            found += usize::from(state.iter().zip(pattern).all(|(s, p)| s * p > 0.0));
        }
        // The nearest of 1,023 others has an overlap of about 0.5, after the noise 0.7 at most against 0.8: e^-4 and less of the weight.
        assert!(found >= 190, "{found} of 200");
    }

    #[test]
    fn the_golden_is_met() {
        let golden = crate::network::testing::Golden::read("modern-hopfield");
        let rows = |name: &str| golden.values(name).chunks(golden.shape(name)[1]).map(<[f64]>::to_vec);
        let memory = ModernHopfield::new(&rows("patterns").collect::<Vec<_>>(), golden.values("beta")[0]).unwrap();
        let each = |f: &dyn Fn(&[f64]) -> Vec<f64>| rows("states").flat_map(|s| f(&s)).collect::<Vec<_>>();
        golden.compare("weights", &each(&|s| memory.weights(s).unwrap()));
        golden.compare("energy", &each(&|s| vec![memory.energy(s).unwrap()]));
        golden.compare("update", &each(&|s| memory.update(s).unwrap()));
        golden.compare("after_4", &each(&|s| memory.retrieve(s, 0.0, 4).unwrap().state));
    }

    #[test]
    fn a_low_beta_gives_the_mean_and_a_huge_one_does_not_overflow() {
        let patterns = [[1.0, 3.0], [3.0, -1.0]];
        let mean = ModernHopfield::new(&patterns, 1e-9).unwrap().update(&[1.0, 1.0]).unwrap();
        assert!((mean[0] - 2.0).abs() < 1e-7 && (mean[1] - 1.0).abs() < 1e-7);
        let sharp = ModernHopfield::new(&patterns, 1e300).unwrap();
        assert_eq!(sharp.update(&[1.0, 3.0]).unwrap(), [1.0, 3.0]);
        assert!(sharp.energy(&[1.0, 3.0]).unwrap().abs() < 1e-12);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let none: [[f64; 2]; 0] = [];
        let error = |patterns: &[&[f64]], beta| ModernHopfield::new(patterns, beta).unwrap_err().to_string();
        assert_eq!(ModernHopfield::new(&none, 1.0).unwrap_err(), ModernHopfieldError::NoPatterns);
        assert_eq!(error(&[&[]], 1.0), "the patterns have no values; they need at least one each");
        assert_eq!(
            error(&[&[1.0, 2.0], &[1.0]], 1.0),
            "pattern 1 has 1 values, and 2 are needed, the width of pattern 0"
        );
        assert_eq!(error(&[&[1.0, f64::NAN]], 1.0), "pattern 0: value 1 is NaN; it must be finite");
        assert_eq!(error(&[&[1.0]], 0.0), "the inverse temperature beta is 0; it must be finite and above 0");
        let memory = ModernHopfield::new(&[[1.0]], 1.0).unwrap();
        assert!(memory.update(&[1.0, 1.0]).unwrap_err().to_string().starts_with("the state has 2 values"));
        assert!(memory.energy(&[f64::INFINITY]).is_err());
        assert_eq!(memory.retrieve(&[1.0], 1e-12, 5).unwrap().updates, 1);
    }
}

//! The Hopfield network: a memory that is addressed by its content.
//!
//! N units of ±1, symmetric weights W without a diagonal, thresholds θ. From an initial condition the units follow their
//! local fields
//!
//! ```text
//! h_i = Σ_j W_ij s_j - θ_i        s_i ← +1 if h_i > 0,  -1 if h_i < 0,  as it was if h_i = 0
//! ```
//!
//! one after another (asynchronous), which never raises the energy `E = -1/2 s'Ws + θ's` and so ends in a fixed point; or
//! all at once (synchronous), which ends in a fixed point or a cycle of two states (Goles, Fogelman-Soulié & Pellegrin 1985).
//! Patterns are stored such that they are fixed points, and a start near one ends in it.
//!
//! Hopfield (1982) wrote the units as bits V of 0 and 1. With `s = 2V - 1` his network with weights T and thresholds U is this one
//! with `W = T/2` and `θ_i = U_i - 1/2 Σ_j T_ij`.
//!
//! Sources: J. J. Hopfield, "Neural networks and physical systems with emergent collective computational abilities", 1982; projection:
//! L. Personnaz, I. Guyon & G. Dreyfus 1985, and with a zero diagonal I. Kanter & H. Sompolinsky 1987; capacity: D. J. Amit,
//! H. Gutfreund & H. Sompolinsky 1985, 1987.
//!
//! ```
//! use elman::network::hopfield::{Hopfield, Outcome, Patterns, Update};
//!
//! let stored = [[1, 1, 1, 1, -1, -1, -1, -1], [1, -1, 1, -1, 1, -1, 1, -1]];
//! let memory = Hopfield::hebbian(&Patterns::new(&stored).unwrap());
//! let noisy = [-1, 1, 1, 1, -1, -1, -1, -1]; // the first pattern with one unit turned over
//! let recall = memory.recall(&noisy, Update::InOrder, 10).unwrap();
//! assert_eq!(recall.state, stored[0]);
//! assert_eq!((recall.outcome, recall.sweeps), (Outcome::FixedPoint, 2));
//! assert!(memory.energy(&recall.state) < memory.energy(&noisy));
//! ```

mod capacity;
mod patterns;

pub use capacity::{CapacityCurve, CapacityPoint, CapacitySettings};
pub use patterns::{Patterns, add_noise, overlap};

use crate::random::Random;
use patterns::shuffle;

/// What is wrong with weights, patterns, a state or settings.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HopfieldError {
    /// There is nothing to store.
    #[error("there are no patterns; a memory needs at least one")]
    NoPatterns,
    /// There are no units.
    #[error("there are no units; a Hopfield network needs at least one")]
    NoUnits,
    /// A length is not the number of units.
    #[error("{what} has {found} values, and {expected} are needed, one a unit")]
    Length {
        /// What.
        what: String,
        /// Its length.
        found: usize,
        /// The number of units.
        expected: usize,
    },
    /// A value is neither +1 nor -1.
    #[error("{what}: unit {unit} is {value}; write +1 or -1 (2 v - 1 for a bit v)")]
    NotASign {
        /// Where.
        what: String,
        /// The unit, from 0.
        unit: usize,
        /// Its value.
        value: i8,
    },
    /// The matrix is not square.
    #[error("{found} weights are no square matrix; {units} units (the number of thresholds) need {units} x {units}")]
    NotSquare {
        /// Number of weights.
        found: usize,
        /// Number of units.
        units: usize,
    },
    /// A weight or threshold is NaN or infinite.
    #[error("{what} is {value}; weights and thresholds must be finite")]
    NotFinite {
        /// `weight (row, column)` or `threshold unit`.
        what: String,
        /// Its value.
        value: f64,
    },
    /// A unit acts on itself.
    #[error("weight ({unit}, {unit}) is {value}; a unit must not act on itself: set the diagonal to 0")]
    Diagonal {
        /// The unit, from 0.
        unit: usize,
        /// The weight.
        value: f64,
    },
    /// The matrix is not symmetric.
    #[error(
        "weight ({row}, {column}) is {value} and weight ({column}, {row}) is {mirrored}; they must be equal: \
         without symmetric weights there is no energy (take (W + W') / 2 if it is rounding)"
    )]
    NotSymmetric {
        /// From 0.
        row: usize,
        /// From 0.
        column: usize,
        /// The weight there.
        value: f64,
        /// The weight across the diagonal.
        mirrored: f64,
    },
    /// A setting of the capacity curve is out of its range.
    #[error("{name} is {value}; it must be {range}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
}

/// The way in which patterns become weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// [`Hopfield::hebbian`].
    Hebbian,
    /// [`Hopfield::pseudo_inverse`].
    PseudoInverse,
}

/// The order in which units follow their fields.
#[derive(Debug)]
pub enum Update<'a> {
    /// One after another, from the first unit to the last in each sweep.
    InOrder,
    /// One after another, each sweep in a new random order.
    InRandomOrder(&'a mut Random),
    /// All at once.
    Synchronous,
}

/// How a recall ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No unit wants to change.
    FixedPoint,
    /// Synchronous updates go back and forth between two states.
    TwoCycle,
    /// The sweeps were used up before.
    Unsettled,
}

/// What a recall gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    /// The last state.
    pub state: Vec<i8>,
    /// Sweeps made. A fixed point is known after the one that changes nothing, which is counted.
    pub sweeps: usize,
    /// How it ended.
    pub outcome: Outcome,
}

impl Recall {
    /// Whether it is at a fixed point.
    pub fn converged(&self) -> bool {
        self.outcome == Outcome::FixedPoint
    }
}

/// A Hopfield network of N units: see the [module](self).
///
/// It has N² weights in f64. A recall computes the fields once, N² operations, and then N for each unit that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Hopfield {
    /// (N, N), row-major.
    weights: Vec<f64>,
    /// N.
    thresholds: Vec<f64>,
    /// A field within this of 0 is 0: sums of weights round.
    rounding: f64,
}

impl Hopfield {
    /// A network of given weights (N, N), row-major, and thresholds (N).
    ///
    /// # Errors
    /// Unless the weights are finite, exactly symmetric and zero on the diagonal; the first entry that is not is named.
    pub fn new(weights: Vec<f64>, thresholds: Vec<f64>) -> Result<Hopfield, HopfieldError> {
        let n = thresholds.len();
        if n == 0 {
            return Err(HopfieldError::NoUnits);
        }
        if weights.len() != n * n {
            return Err(HopfieldError::NotSquare { found: weights.len(), units: n });
        }
        if let Some(k) = weights.iter().position(|w| !w.is_finite()) {
            return Err(HopfieldError::NotFinite { what: format!("weight ({}, {})", k / n, k % n), value: weights[k] });
        }
        if let Some(i) = thresholds.iter().position(|t| !t.is_finite()) {
            return Err(HopfieldError::NotFinite { what: format!("threshold {i}"), value: thresholds[i] });
        }
        for row in 0..n {
            if weights[row * n + row] != 0.0 {
                return Err(HopfieldError::Diagonal { unit: row, value: weights[row * n + row] });
            }
            for column in 0..row {
                let (value, mirrored) = (weights[row * n + column], weights[column * n + row]);
                if value != mirrored {
                    return Err(HopfieldError::NotSymmetric { row, column, value, mirrored });
                }
            }
        }
        // The rounding of a sum of N terms is below N 2^-53 of the sum of their sizes; 1e-12 is that of 9,000 units.
        let sizes =
            weights.chunks(n).zip(&thresholds).map(|(row, t)| row.iter().map(|w| w.abs()).sum::<f64>() + t.abs());
        let rounding = 1e-12 * sizes.fold(0.0, f64::max);
        Ok(Hopfield { weights, thresholds, rounding })
    }

    /// Hebb's rule: `W_ij = 1/N Σ_μ ξ_i^μ ξ_j^μ` for i ≠ j, no thresholds. For random patterns recall breaks down at about 0.138 N
    /// of them.
    pub fn hebbian(patterns: &Patterns) -> Hopfield {
        let n = patterns.units();
        let mut weights = patterns.correlations();
        weights.iter_mut().for_each(|w| *w /= n as f64);
        Hopfield::without_diagonal(weights, n)
    }

    /// The pseudo-inverse (projection) rule: W is the orthogonal projection `Ξ Ξ⁺` on the patterns' span, and its diagonal is then set
    /// to 0; no thresholds. Any number of linearly independent patterns below N is stored without errors, however alike they are, since
    /// `Σ_j W_ij ξ_j = (1 - P_ii) ξ_i` with P_ii ≤ 1, P the projection. Patterns that depend on others add nothing to it.
    pub fn pseudo_inverse(patterns: &Patterns) -> Hopfield {
        let n = patterns.units();
        let mut basis: Vec<Vec<f64>> = Vec::new();
        for p in 0..patterns.count() {
            let mut rest: Vec<f64> = patterns.get(p).into_iter().map(f64::from).collect();
            // Gram and Schmidt, twice: the second time removes what the first leaves by rounding.
            for _ in 0..2 {
                for direction in &basis {
                    let along = dot(direction, &rest);
                    rest.iter_mut().zip(direction).for_each(|(r, d)| *r -= along * d);
                }
            }
            let length = dot(&rest, &rest).sqrt();
            // A pattern has the length √N; what is this much shorter is the rounding of a dependent one.
            if length > 1e-8 * (n as f64).sqrt() {
                basis.push(rest.into_iter().map(|r| r / length).collect());
            }
        }
        let mut weights = vec![0.0; n * n];
        for i in 0..n {
            // A row stays in the cache while all directions pass; the other half is its mirror image.
            let row = &mut weights[i * n + i..(i + 1) * n];
            for direction in &basis {
                row.iter_mut().zip(&direction[i..]).for_each(|(w, d)| *w += direction[i] * d);
            }
            (i + 1..n).for_each(|j| weights[j * n + i] = weights[i * n + j]);
        }
        Hopfield::without_diagonal(weights, n)
    }

    /// Stores patterns by either rule.
    pub fn store(patterns: &Patterns, storage: Storage) -> Hopfield {
        match storage {
            Storage::Hebbian => Hopfield::hebbian(patterns),
            Storage::PseudoInverse => Hopfield::pseudo_inverse(patterns),
        }
    }

    fn without_diagonal(mut weights: Vec<f64>, n: usize) -> Hopfield {
        (0..n).for_each(|i| weights[i * n + i] = 0.0);
        // Both rules give each pair of units one number.
        Hopfield::new(weights, vec![0.0; n]).expect("symmetric, finite and without a diagonal")
    }

    /// N.
    pub fn units(&self) -> usize {
        self.thresholds.len()
    }

    /// (N, N), row-major.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// (N).
    pub fn thresholds(&self) -> &[f64] {
        &self.thresholds
    }

    /// The same network with these thresholds.
    ///
    /// # Errors
    /// Unless there are N and all are finite.
    pub fn with_thresholds(self, thresholds: Vec<f64>) -> Result<Hopfield, HopfieldError> {
        let n = self.units();
        if thresholds.len() != n {
            return Err(HopfieldError::Length {
                what: "the list of thresholds".into(),
                found: thresholds.len(),
                expected: n,
            });
        }
        Hopfield::new(self.weights, thresholds)
    }

    /// The local fields `h = W s - θ`.
    ///
    /// # Panics
    /// Unless the state has N values.
    pub fn fields(&self, state: &[i8]) -> Vec<f64> {
        assert_eq!(state.len(), self.units(), "values of the state");
        let s: Vec<f64> = state.iter().map(|&v| f64::from(v)).collect();
        self.weights.chunks(s.len()).zip(&self.thresholds).map(|(row, t)| dot(row, &s) - t).collect()
    }

    /// `E = -1/2 s'Ws + θ's`.
    ///
    /// # Panics
    /// Unless the state has N values.
    pub fn energy(&self, state: &[i8]) -> f64 {
        // h = W s - θ, hence -1/2 s'h + 1/2 θ's.
        let terms = self.fields(state).into_iter().zip(&self.thresholds).zip(state);
        terms.map(|((h, t), &s)| 0.5 * (t - h) * f64::from(s)).sum()
    }

    /// Whether no unit wants to change.
    ///
    /// # Panics
    /// Unless the state has N values.
    pub fn is_stable(&self, state: &[i8]) -> bool {
        self.fields(state).into_iter().zip(state).all(|(h, &s)| self.next(h, s) == s)
    }

    /// The value that a unit of value `s` takes in the field `h`.
    fn next(&self, h: f64, s: i8) -> i8 {
        match h {
            h if h > self.rounding => 1,
            h if h < -self.rounding => -1,
            _ => s,
        }
    }

    /// Runs from an initial condition until nothing changes any more, for at most so many sweeps over all units.
    ///
    /// # Errors
    /// Unless `start` has N values of +1 or -1.
    pub fn recall(&self, start: &[i8], update: Update, sweeps: usize) -> Result<Recall, HopfieldError> {
        let n = self.units();
        if start.len() != n {
            return Err(HopfieldError::Length { what: "the initial state".into(), found: start.len(), expected: n });
        }
        if let Some(unit) = start.iter().position(|&v| v != 1 && v != -1) {
            return Err(HopfieldError::NotASign { what: "the initial state".into(), unit, value: start[unit] });
        }
        Ok(match update {
            Update::InOrder => self.one_by_one(start.to_vec(), None, sweeps),
            Update::InRandomOrder(random) => self.one_by_one(start.to_vec(), Some(random), sweeps),
            Update::Synchronous => self.all_at_once(start.to_vec(), sweeps),
        })
    }

    fn one_by_one(&self, mut state: Vec<i8>, mut random: Option<&mut Random>, sweeps: usize) -> Recall {
        let mut fields = self.fields(&state);
        let mut order: Vec<usize> = (0..state.len()).collect();
        for sweep in 1..=sweeps {
            if let Some(random) = random.as_deref_mut() {
                // From the same order each time, so that a recall sweep by sweep is the same as a whole one.
                order.iter_mut().enumerate().for_each(|(i, unit)| *unit = i);
                shuffle(&mut order, random);
            }
            let mut changed = false;
            for &i in &order {
                if self.next(fields[i], state[i]) != state[i] {
                    self.turn(i, &mut state, &mut fields);
                    changed = true;
                }
            }
            if !changed {
                return Recall { state, sweeps: sweep, outcome: Outcome::FixedPoint };
            }
        }
        Recall { state, sweeps, outcome: Outcome::Unsettled }
    }

    fn all_at_once(&self, mut state: Vec<i8>, sweeps: usize) -> Recall {
        let mut fields = self.fields(&state);
        let mut before: Vec<i8> = Vec::new();
        for sweep in 1..=sweeps {
            let next: Vec<i8> = fields.iter().zip(&state).map(|(&h, &s)| self.next(h, s)).collect();
            if next == state {
                return Recall { state, sweeps: sweep, outcome: Outcome::FixedPoint };
            }
            if next == before {
                return Recall { state: next, sweeps: sweep, outcome: Outcome::TwoCycle };
            }
            before = state.clone();
            for i in (0..next.len()).filter(|&i| next[i] != before[i]) {
                self.turn(i, &mut state, &mut fields);
            }
        }
        Recall { state, sweeps, outcome: Outcome::Unsettled }
    }

    /// Turns a unit over and brings all fields up to date. By symmetry its column of weights is its row.
    fn turn(&self, unit: usize, state: &mut [i8], fields: &mut [f64]) {
        state[unit] = -state[unit];
        let twice = 2.0 * f64::from(state[unit]);
        let row = &self.weights[unit * state.len()..][..state.len()];
        fields.iter_mut().zip(row).for_each(|(h, w)| *h += twice * w);
    }
}

/// In four running sums, so that the processor need not wait for one addition before the next.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let ((a, rest_a), (b, rest_b)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (a, b) in a.iter().zip(b) {
        for k in 0..4 {
            sums[k] += a[k] * b[k];
        }
    }
    sums.iter().sum::<f64>() + rest_a.iter().zip(rest_b).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests;

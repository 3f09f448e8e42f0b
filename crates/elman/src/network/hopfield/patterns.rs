//! Patterns of ±1, a bit a unit.

use super::HopfieldError;
use crate::random::Random;

/// P patterns over N units of ±1, kept as bits (1 for +1): 1,000 patterns of 1,000 units take 128 kB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns {
    units: usize,
    count: usize,
    /// One row a pattern, in whole words; the bits beyond the last unit are 0.
    words: Vec<u64>,
}

impl Patterns {
    /// Patterns from their values, each +1 or -1.
    ///
    /// # Errors
    /// Without patterns or units, where the lengths differ, and where a value is neither +1 nor -1.
    pub fn new<R: AsRef<[i8]>>(rows: &[R]) -> Result<Patterns, HopfieldError> {
        let units = rows.first().ok_or(HopfieldError::NoPatterns)?.as_ref().len();
        if units == 0 {
            return Err(HopfieldError::NoUnits);
        }
        let mut patterns = Patterns { units, count: rows.len(), words: vec![0; rows.len() * units.div_ceil(64)] };
        for (p, row) in rows.iter().enumerate() {
            let row = row.as_ref();
            if row.len() != units {
                return Err(HopfieldError::Length { what: format!("pattern {p}"), found: row.len(), expected: units });
            }
            if let Some(unit) = row.iter().position(|&v| v != 1 && v != -1) {
                return Err(HopfieldError::NotASign { what: format!("pattern {p}"), unit, value: row[unit] });
            }
            (0..units).filter(|&i| row[i] == 1).for_each(|i| patterns.raise(p, i));
        }
        Ok(patterns)
    }

    /// Patterns of independent units, +1 with probability a half.
    ///
    /// # Errors
    /// Without patterns or units.
    pub fn random(count: usize, units: usize, random: &mut Random) -> Result<Patterns, HopfieldError> {
        if count == 0 {
            return Err(HopfieldError::NoPatterns);
        }
        if units == 0 {
            return Err(HopfieldError::NoUnits);
        }
        let mut patterns = Patterns { units, count, words: vec![0; count * units.div_ceil(64)] };
        for p in 0..count {
            (0..units).filter(|_| random.word() & 1 == 1).for_each(|i| patterns.raise(p, i));
        }
        Ok(patterns)
    }

    /// P.
    pub fn count(&self) -> usize {
        self.count
    }

    /// N.
    pub fn units(&self) -> usize {
        self.units
    }

    /// A pattern's values.
    ///
    /// # Panics
    /// Unless `pattern` is below [`count`](Patterns::count).
    pub fn get(&self, pattern: usize) -> Vec<i8> {
        let row = self.row(pattern);
        (0..self.units).map(|i| if row[i / 64] >> (i % 64) & 1 == 1 { 1 } else { -1 }).collect()
    }

    fn raise(&mut self, pattern: usize, unit: usize) {
        let width = self.units.div_ceil(64);
        self.words[pattern * width + unit / 64] |= 1 << (unit % 64);
    }

    fn row(&self, pattern: usize) -> &[u64] {
        assert!(pattern < self.count, "there are {} patterns, none has number {pattern}", self.count);
        let width = self.units.div_ceil(64);
        &self.words[pattern * width..][..width]
    }

    /// The same bits with a row for each unit.
    fn transposed(&self) -> Patterns {
        let mut columns =
            Patterns { units: self.count, count: self.units, words: vec![0; self.units * self.count.div_ceil(64)] };
        for p in 0..self.count {
            let row = self.row(p);
            (0..self.units).filter(|&i| row[i / 64] >> (i % 64) & 1 == 1).for_each(|i| columns.raise(i, p));
        }
        columns
    }

    /// Σ_μ ξ_i ξ_j for all pairs of units, (N, N), as whole numbers: P less twice the number of patterns in which the two
    /// units differ.
    pub(super) fn correlations(&self) -> Vec<f64> {
        let columns = self.transposed();
        let n = self.units;
        let mut sums = vec![0.0; n * n];
        for i in 0..n {
            for j in i..n {
                let differ: u32 = columns.row(i).iter().zip(columns.row(j)).map(|(a, b)| (a ^ b).count_ones()).sum();
                let sum = self.count as f64 - 2.0 * f64::from(differ);
                sums[i * n + j] = sum;
                sums[j * n + i] = sum;
            }
        }
        sums
    }
}

/// The overlap m = 1/N Σ_i a_i b_i of two states: 1 where they are equal, -1 where they are opposite, about 0 by chance.
///
/// # Panics
/// If the lengths differ.
pub fn overlap(a: &[i8], b: &[i8]) -> f64 {
    assert_eq!(a.len(), b.len(), "lengths of the two states");
    let sum: i64 = a.iter().zip(b).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
    sum as f64 / a.len() as f64
}

/// Turns over a fraction of the units (rounded to a whole number of them), chosen at random.
///
/// # Panics
/// Unless the fraction is in [0, 1].
pub fn add_noise(state: &mut [i8], fraction: f64, random: &mut Random) {
    assert!((0.0..=1.0).contains(&fraction), "the fraction {fraction} of units to turn over is not in [0, 1]");
    let mut order: Vec<usize> = (0..state.len()).collect();
    shuffle(&mut order, random);
    for &unit in &order[..(fraction * state.len() as f64).round() as usize] {
        state[unit] = -state[unit];
    }
}

/// A random order (Fisher & Yates).
pub(super) fn shuffle(order: &mut [usize], random: &mut Random) {
    for i in (1..order.len()).rev() {
        let j = (u64::from(random.word()) * (i as u64 + 1)) >> 32;
        order.swap(i, j as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_bits_and_correlations_are_their_sums() {
        let mut random = Random::new(1, "patterns");
        for (count, units) in [(1, 1), (3, 64), (70, 65), (5, 130)] {
            let patterns = Patterns::random(count, units, &mut random).unwrap();
            let rows: Vec<Vec<i8>> = (0..count).map(|p| patterns.get(p)).collect();
            assert_eq!(Patterns::new(&rows).unwrap(), patterns);
            let sums = patterns.correlations();
            for i in 0..units {
                for j in 0..units {
                    let sum: i64 = rows.iter().map(|r| i64::from(r[i]) * i64::from(r[j])).sum();
                    assert_eq!(sums[i * units + j], sum as f64);
                }
            }
        }
    }

    #[test]
    fn noise_turns_over_as_many_units_as_asked() {
        let mut random = Random::new(2, "noise");
        for (fraction, turned) in [(0.0, 0), (0.1, 10), (0.254, 25), (1.0, 100)] {
            let mut state = vec![1i8; 100];
            add_noise(&mut state, fraction, &mut random);
            assert_eq!(state.iter().filter(|&&v| v == -1).count(), turned);
        }
    }
}

//! The adding problem.

use super::Random;

/// A sequence of numbers, two of which are marked; the answer is their sum.
///
/// Hochreiter & Schmidhuber 1997, experiment 4, in the form of Le, Jaitly & Hinton 2015: numbers uniform in [0, 1), a fixed length, one
/// mark in each half. Whoever always answers 1 has a mean squared error of 1/6, the variance of the sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Adding {
    /// The numbers.
    pub values: Vec<f32>,
    /// The two marked places, ascending.
    pub marked: [usize; 2],
}

impl Adding {
    /// A sequence.
    ///
    /// ```
    /// use elman_data::synthetic::{Random, adding::Adding};
    /// let one = Adding::new(10, &mut Random::new(1));
    /// assert_eq!(one, Adding::new(10, &mut Random::new(1)));
    /// assert_eq!(one.sum(), one.values[one.marked[0]] + one.values[one.marked[1]]);
    /// ```
    ///
    /// # Panics
    /// If `length` is below 2.
    #[track_caller]
    pub fn new(length: usize, random: &mut Random) -> Adding {
        assert!(length >= 2, "two numbers are marked, and there are {length}");
        let values = (0..length).map(|_| random.uniform()).collect();
        let half = length / 2;
        Adding { values, marked: [random.below(half), half + random.below(length - half)] }
    }

    /// The answer.
    pub fn sum(&self) -> f32 {
        self.values[self.marked[0]] + self.values[self.marked[1]]
    }

    /// The inputs at a step: the number, and 1 where it is marked.
    pub fn input(&self, step: usize) -> [f32; 2] {
        [self.values[step], f32::from(self.marked.contains(&step))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mark_in_each_half_and_the_baseline_is_a_sixth() {
        let mut random = Random::new(3);
        let (mut squares, n) = (0.0, 20_000);
        let (mut least, mut most) = (9, 0);
        for _ in 0..n {
            let one = Adding::new(9, &mut random);
            assert!(one.marked[0] < 4 && (4..9).contains(&one.marked[1]));
            assert_eq!((0..9).map(|t| one.input(t)[1]).sum::<f32>(), 2.0);
            squares += f64::from(one.sum() - 1.0).powi(2);
            (least, most) = (least.min(one.marked[0]), most.max(one.marked[1]));
        }
        assert_eq!((least, most), (0, 8));
        // Six standard errors: the variance of (sum - 1)² is 1/15 - 1/36.
        let error = 6.0 * ((1.0 / 15.0 - 1.0 / 36.0) / f64::from(n)).sqrt();
        assert!((squares / f64::from(n) - 1.0 / 6.0).abs() < error, "{}", squares / f64::from(n));
    }
}

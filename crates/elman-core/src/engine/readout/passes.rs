//! The readout's passes over memory besides its products.

use crate::algebra::Element;
use crate::algebra::lanes::{LaneTask, Lanes};
use crate::engine::memory::{Matrix, Panels};
use core::ops::Range;

/// The most numbers that a register has.
const MOST_LANES: usize = 16;

/// A sum of products, in strands that need not wait for each other; the order is fixed.
pub(super) fn dot<F: Element>(a: &[F], b: &[F]) -> F {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<MOST_LANES>(), b.as_chunks::<MOST_LANES>());
    let mut strands = [F::constant(0.0); MOST_LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..MOST_LANES {
            strands[i] = strands[i] + a[i] * b[i];
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(F::constant(0.0), |sum, (&a, &b)| sum + a * b);
    strands.iter().fold(rest, |sum, &strand| sum + strand)
}

/// Maxima over a block of words, for each row of a panel; NaN is passed over (the sum will have it).
pub(super) struct Maxima<'a, F> {
    pub scores: Matrix<F>,
    /// Panel, words, registers.
    pub place: (usize, Range<usize>, usize),
    pub bias: &'a [F],
    pub max: *mut F,
}

impl<F: Element> LaneTask<F> for Maxima<'_, F> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        let (panel, block, vectors) = self.place;
        for shift in (0..vectors).map(|v| v * V::COUNT) {
            // SAFETY: the caller's promise.
            unsafe {
                let mut max = V::load(self.max.add(shift));
                for word in block.clone() {
                    let score = V::load(self.scores.at(panel, word).add(shift)) + V::splat(self.bias[word]);
                    max = score.max_or(max);
                }
                max.store(self.max.add(shift));
            }
        }
    }
}

/// Exponentials of a block of words, added up for each row of a panel.
pub(super) struct Exponentials<'a, F> {
    pub scores: Matrix<F>,
    /// Panel, words, registers.
    pub place: (usize, Range<usize>, usize),
    pub bias: &'a [F],
    pub reference: *const F,
    pub sum: *mut F,
}

impl<F: Element> LaneTask<F> for Exponentials<'_, F> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        let (panel, block, vectors) = self.place;
        for shift in (0..vectors).map(|v| v * V::COUNT) {
            // SAFETY: the caller's promise.
            unsafe {
                let reference = V::load(self.reference.add(shift));
                let mut sum = V::constant(0.0);
                for word in block.clone() {
                    let at = self.scores.at(panel, word).add(shift);
                    let e = (V::load(at) + V::splat(self.bias[word]) - reference).exp();
                    sum = sum + e;
                    e.store(at);
                }
                (V::load(self.sum.add(shift)) + sum).store(self.sum.add(shift));
            }
        }
    }
}

/// The sum of matrices of a panel, each column times its factor.
pub(super) struct WeightedSum<'a, F> {
    pub parts: &'a [*const F],
    pub factor: *const F,
    pub out: Matrix<F>,
    pub vectors: usize,
}

impl<F: Element> LaneTask<F> for WeightedSum<'_, F> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        for k in 0..self.out.rows {
            for shift in (0..self.vectors).map(|v| v * V::COUNT) {
                // SAFETY: the caller's promise.
                unsafe {
                    let mut sum = V::constant(0.0);
                    for part in self.parts {
                        sum = sum + V::load(part.add(k * self.out.width + shift));
                    }
                    (sum * V::load(self.factor.add(shift))).store(self.out.at(0, k).add(shift));
                }
            }
        }
    }
}

/// Sums over rows of exponentials times their row's factor, for each word.
pub(super) struct BiasGradient<'a, F> {
    pub scores: Matrix<F>,
    pub factor: *const F,
    pub d_bias: &'a mut [F],
    pub add: bool,
    pub panels: Panels,
    pub columns: usize,
}

impl<F: Element> LaneTask<F> for BiasGradient<'_, F> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        for (word, d_bias) in self.d_bias.iter_mut().enumerate() {
            let mut sum = V::constant(0.0);
            for register in 0..self.panels.blocks(self.columns) {
                let column = register * V::COUNT;
                let (panel, shift) = (column / self.panels.width, column % self.panels.width);
                // SAFETY: the caller's promise.
                unsafe {
                    let e = V::load(self.scores.at(panel, word).add(shift));
                    sum = e.mul_add(V::load(self.factor.add(column)), sum);
                }
            }
            let mut lanes = [F::constant(0.0); MOST_LANES];
            // SAFETY: no register has more lanes.
            unsafe { sum.store(lanes.as_mut_ptr()) };
            let start = if self.add { *d_bias } else { F::constant(0.0) };
            *d_bias = lanes[..V::COUNT].iter().fold(start, |all, &lane| all + lane);
        }
    }
}

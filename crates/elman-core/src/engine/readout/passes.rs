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

/// Scores over which exponentials are added in f32 before they go to sums in f64.
const RUN: usize = 64;

/// The logarithm of the sum of the scores' exponentials over that of the largest, and the largest; NaN where a score is.
pub(super) struct LogSum<'a, F> {
    pub scores: &'a [F],
    pub result: &'a mut (f64, F),
}

impl<F: Element> LaneTask<F> for LogSum<'_, F> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        let whole = self.scores.len() / V::COUNT * V::COUNT;
        let (scores, rest) = self.scores.split_at(whole);
        let mut lanes = [F::constant(0.0); MOST_LANES];
        let mut largest = F::constant(f64::NEG_INFINITY);
        // SAFETY (of each register): inside the scores or the lanes, of which no register has more.
        let mut max = V::splat(largest);
        for at in (0..whole).step_by(V::COUNT) {
            max = unsafe { V::load(scores.as_ptr().add(at)) }.max_or(max);
        }
        unsafe { max.store(lanes.as_mut_ptr()) };
        for &x in lanes[..V::COUNT].iter().chain(rest) {
            if x > largest {
                largest = x;
            }
        }
        let max = V::splat(largest);
        let mut total = 0.0;
        for start in (0..whole).step_by(RUN * V::COUNT) {
            let mut sum = V::constant(0.0);
            for at in (start..whole.min(start + RUN * V::COUNT)).step_by(V::COUNT) {
                sum = sum + (unsafe { V::load(scores.as_ptr().add(at)) } - max).exp();
            }
            unsafe { sum.store(lanes.as_mut_ptr()) };
            total += lanes[..V::COUNT].iter().map(|lane| lane.to_f64()).sum::<f64>();
        }
        // The others in the lanes of one register, of which as many count.
        lanes = [largest; MOST_LANES];
        lanes[..rest.len()].copy_from_slice(rest);
        unsafe { (V::load(lanes.as_ptr()) - max).exp().store(lanes.as_mut_ptr()) };
        total += lanes[..rest.len()].iter().map(|lane| lane.to_f64()).sum::<f64>();
        *self.result = (total.ln(), largest);
    }
}

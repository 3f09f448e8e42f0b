//! A kernel against the plain one: before its first use on a processor, and in tests.

use super::product::{LARGEST, ROWS, Right, with};
use super::{Bf16Kernel, Block, pairs, plain};
use crate::engine::product::{Init, Product, Segment, Soon};

/// Registers and panels of AVX-512, for which the instructions' kernels are written.
const LANES: usize = 16;
const WIDTH: usize = 64;

/// How A stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left {
    Rows,
    Columns,
}

/// A product of awkward shape.
#[derive(Clone, Debug)]
pub(super) struct Case {
    rows: usize,
    vectors: usize,
    panels: usize,
    depths: Vec<usize>,
    left: Left,
    right: Right,
}

/// Kernels that sum in the same order give the same bits.
#[cfg(test)]
pub(super) const EXACT: f64 = 0.0;

impl Case {
    /// Fewer rows than a tile has and more, every number of registers, odd depths, depths of one number and of several chunks.
    pub fn all() -> Vec<Case> {
        let mut list = Vec::new();
        for (rows, vectors, panels, depths) in [
            (1, 1, 1, vec![1]),
            (16, 4, 1, vec![32]),
            (37, 3, 2, vec![33, 1, 70]),
            (7, 2, 3, vec![64, 64, 5]),
            (64, 4, 2, vec![96]),
            (50, 1, 1, vec![31, 2]),
            (300, 4, 1, vec![18]),
        ] {
            for left in [Left::Rows, Left::Columns] {
                for right in [Right::Numbers, Right::Pairs] {
                    list.push(Case { rows, vectors, panels, depths: depths.clone(), left, right });
                }
            }
        }
        list
    }

    /// How far two kernels may differ. Operands are at most 1 in size, sums start at most at 1, so that each of at most 2 n + 1
    /// additions on a chain of n numbers is off by at most 2^-24 (n + 1); and so for either kernel.
    pub fn bound(&self) -> f64 {
        let n = self.depths.iter().sum::<usize>() as f64;
        2.0 * (2.0 * n + 1.0) * (n + 1.0) * 2f64.powi(-24)
    }

    /// The result of a kernel: [panel][row][column], with all that is around it.
    fn result(&self, kernel: &dyn Fn(&Block)) -> Vec<f32> {
        let mut noise = Noise(17);
        let depth: usize = self.depths.iter().sum();
        let a = noise.take(self.rows * depth);
        let b = noise.take(self.panels * depth * WIDTH);
        let init = noise.take(self.panels * WIDTH);
        let (row, column) = match self.left {
            Left::Rows => (depth, 1),
            Left::Columns => (1, self.rows),
        };
        // Packed as weights are: rows of pairs, each segment in whole chunks.
        let pair_rows = || self.depths.iter().map(|&d| pairs::pair_rows(d));
        let mut packed = vec![0u32; self.panels * pair_rows().sum::<usize>() * WIDTH];
        let (mut segments, mut first, mut first_pair) = (Vec::new(), 0, 0);
        for (&d, rows) in self.depths.iter().zip(pair_rows()) {
            let (b, next) = match self.right {
                Right::Numbers => (b.as_ptr().wrapping_add(first * WIDTH), depth * WIDTH),
                Right::Pairs => {
                    let next = pair_rows().sum::<usize>() * WIDTH;
                    for panel in 0..self.panels {
                        let from = b.as_ptr().wrapping_add((panel * depth + first) * WIDTH);
                        // SAFETY: `d` rows from there, and room for their pairs.
                        unsafe {
                            let to = packed.as_mut_ptr().add(panel * next + first_pair * WIDTH);
                            pairs::right(from, WIDTH, d, WIDTH, to);
                        }
                    }
                    (packed.as_ptr().wrapping_add(first_pair * WIDTH).cast(), next)
                }
            };
            segments.push(Segment { a: a.as_ptr().wrapping_add(first * column), row, column, b, depth: d, next });
            (first, first_pair) = (first + d, first_pair + rows);
        }
        let mut out = vec![0.25; self.panels * self.rows * WIDTH];
        let product = Product {
            rows: self.rows,
            panels: self.panels,
            vectors: self.vectors,
            width: WIDTH,
            init: Init::Rows { ptr: init.as_ptr(), stride: 0 },
            init_next: WIDTH,
            segments: &segments,
            out: out.as_mut_ptr(),
            out_stride: WIDTH,
            out_next: self.rows * WIDTH,
            scales: core::ptr::null(),
            soon: Soon::NOTHING,
            same_left: false,
        };
        // The tallest case in blocks of rows.
        let largest = if self.rows > ROWS { 0 } else { LARGEST };
        // SAFETY: the operands and the result were laid out above.
        unsafe { with(product, LANES, self.right, largest, kernel) };
        out
    }
}

/// Numbers from -1 to 1 (a linear congruential generator): the check is no test's, and needs none of their tools.
struct Noise(u32);

impl Noise {
    fn take(&mut self, len: usize) -> Vec<f32> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }
}

/// Compares a kernel with the plain one.
///
/// # Errors
/// An element is further away than `bound`, or not a number.
pub(super) fn compare(case: &Case, kernel: &dyn Fn(&Block), bound: f64) -> Result<(), String> {
    let got = case.result(kernel);
    // SAFETY: the block of a case is valid.
    let want = case.result(&|block| unsafe { plain::run(block) });
    for (i, (&g, &w)) in got.iter().zip(&want).enumerate() {
        // Written so that NaN fails.
        let near = (f64::from(g) - f64::from(w)).abs() <= bound;
        if !near {
            return Err(format!(
                "its products are wrong ({g:e} for {w:e}, element {i} of {} rows, depths {:?}, A by {:?}, B as {:?})",
                case.rows, case.depths, case.left, case.right
            ));
        }
    }
    Ok(())
}

/// Checks a kernel of instructions on this processor.
///
/// # Errors
/// It disagrees with the plain kernel; the reason as a clause.
pub(super) fn check(kernel: Bf16Kernel) -> Result<(), String> {
    // SAFETY: the processor has its instructions, and the block of a case is valid.
    Case::all().iter().try_for_each(|case| compare(case, &|block| unsafe { super::run(kernel, block) }, case.bound()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a case computes is the product of the rounded operands.
    #[test]
    fn the_plain_kernel_is_the_product() {
        for case in Case::all() {
            let half = |x: f32| f64::from(f32::from_bits(u32::from(crate::engine::compressed::bf16(x)) << 16));
            let mut noise = Noise(17);
            let depth: usize = case.depths.iter().sum();
            let a = noise.take(case.rows * depth);
            let b = noise.take(case.panels * depth * WIDTH);
            let init = noise.take(case.panels * WIDTH);
            let got = case.result(&|block| unsafe { plain::run(block) });
            for (i, &got) in got.iter().enumerate() {
                let (panel, row, c) = (i / WIDTH / case.rows, i / WIDTH % case.rows, i % WIDTH);
                let term = |k: usize| {
                    let a = match case.left {
                        Left::Rows => a[row * depth + k],
                        Left::Columns => a[k * case.rows + row],
                    };
                    half(a) * half(b[(panel * depth + k) * WIDTH + c])
                };
                let want = match c < case.vectors * LANES {
                    true => f64::from(init[panel * WIDTH + c]) + (0..depth).map(term).sum::<f64>(),
                    false => 0.25,
                };
                assert!((f64::from(got) - want).abs() <= case.bound() / 2.0, "{case:?}: {got} for {want} at {i}");
            }
        }
    }

    #[test]
    fn a_wrong_kernel_is_found() {
        let case = &Case::all()[8];
        // SAFETY: the block of a case is valid.
        let right = |block: &Block| unsafe { plain::run(block) };
        let swapped = |block: &Block| {
            let strips: Vec<_> =
                block.strips.iter().map(|s| super::super::Strip { pairs: s.pairs - 1, ..*s }).collect();
            right(&Block { strips: &strips, ..*block });
        };
        assert!(compare(case, &right, EXACT).is_ok());
        assert!(compare(case, &swapped, case.bound()).unwrap_err().contains("its products are wrong"));
        // SAFETY: every row of the block has its first number.
        let nan = |block: &Block| unsafe { *block.c = f32::NAN };
        assert!(compare(case, &nan, f64::MAX).is_err());
    }

    #[test]
    fn every_kernel_of_this_machine_passes() {
        for kernel in Bf16Kernel::available() {
            assert_eq!(check(kernel), Ok(()), "{kernel}");
        }
    }
}

//! The one matrix product of the engine: `out = init + Σ A B` over segments, B in panels.
//!
//! Every element of the result is summed in the order of the segments and of their depth, one fused multiply-add after
//! another, whatever the number of rows, registers or threads: that is why a sequence, its chunks, its single steps and a
//! single row of the batch give the same bits.

use crate::algebra::Element;
use crate::algebra::lanes::{Isa, LaneTask, Lanes, dispatch};

/// Rows of B that a single-row product asks for ahead of their use: a hardware stream stops at each 4 KB page.
const AHEAD: usize = 32;

/// `A B` over a stretch of the inner dimension: A is `a[r * row + k * column]`, B is `b[k * panel width + c]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<F> {
    pub a: *const F,
    pub row: usize,
    pub column: usize,
    pub b: *const F,
    pub depth: usize,
}

/// What the sum starts from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Init<'a, F> {
    Zero,
    /// Row r starts from `ptr + r * stride`.
    Rows {
        ptr: *const F,
        stride: usize,
    },
    /// Row r starts from `table + ids[r] * stride`.
    Gather {
        table: *const F,
        stride: usize,
        ids: &'a [u32],
    },
}

/// One product: `rows` rows of `vectors` registers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product<'a, F> {
    pub rows: usize,
    /// Registers of the panel to compute; all pointers stand at the first of them.
    pub vectors: usize,
    /// Panel width: the distance between rows of B.
    pub width: usize,
    pub init: Init<'a, F>,
    pub segments: &'a [Segment<F>],
    pub out: *mut F,
    pub out_stride: usize,
}

impl<F: Element> Product<'_, F> {
    /// Computes the product.
    ///
    /// # Safety
    /// The processor has `isa`; every pointer is valid for the rows, columns and depths given, and `out` overlaps the
    /// operands only where `init` is `out` itself.
    pub unsafe fn run(self, isa: Isa) {
        // SAFETY: the caller's promise.
        unsafe { dispatch(isa, self) }
    }
}

impl<F: Element> LaneTask<F> for Product<'_, F> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Element = F>>(self) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.vectors {
                1 => self.panel::<V, 1>(),
                2 => self.panel::<V, 2>(),
                3 => self.panel::<V, 3>(),
                4 => self.panel::<V, 4>(),
                _ => unreachable!("a panel has at most 4 registers"),
            }
        }
    }
}

impl<F: Element> Product<'_, F> {
    #[inline(always)]
    unsafe fn panel<V: Lanes<Element = F>, const N: usize>(&self) {
        let mut row = 0;
        // SAFETY: the caller's promise; each tile stays below `rows`.
        unsafe {
            while row + 6 <= self.rows {
                self.tile::<V, 6, N>(row);
                row += 6;
            }
            if row + 4 <= self.rows {
                self.tile::<V, 4, N>(row);
                row += 4;
            }
            if row + 2 <= self.rows {
                self.tile::<V, 2, N>(row);
                row += 2;
            }
            if row < self.rows {
                self.tile::<V, 1, N>(row);
            }
        }
    }

    /// `M` rows of `N` registers, kept in registers over all segments.
    #[inline(always)]
    unsafe fn tile<V: Lanes<Element = F>, const M: usize, const N: usize>(&self, row: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sum = [[V::constant(0.0); N]; M];
            match self.init {
                Init::Zero => {}
                Init::Rows { ptr, stride } => {
                    for m in 0..M {
                        for n in 0..N {
                            sum[m][n] = V::load(ptr.add((row + m) * stride + n * V::COUNT));
                        }
                    }
                }
                Init::Gather { table, stride, ids } => {
                    for m in 0..M {
                        let id = *ids.get_unchecked(row + m) as usize;
                        for n in 0..N {
                            sum[m][n] = V::load(table.add(id * stride + n * V::COUNT));
                        }
                    }
                }
            }
            for segment in self.segments {
                let mut a = segment.a.add(row * segment.row);
                let mut b = segment.b;
                for _ in 0..segment.depth {
                    if M == 1 {
                        // A single row is bound by reading the weights.
                        for n in 0..N {
                            V::prefetch(b.wrapping_add(AHEAD * self.width + n * V::COUNT));
                        }
                    }
                    let mut right = [V::constant(0.0); N];
                    for n in 0..N {
                        right[n] = V::load(b.add(n * V::COUNT));
                    }
                    for m in 0..M {
                        let left = V::splat(*a.add(m * segment.row));
                        for n in 0..N {
                            sum[m][n] = left.mul_add(right[n], sum[m][n]);
                        }
                    }
                    a = a.wrapping_add(segment.column);
                    b = b.wrapping_add(self.width);
                }
            }
            for m in 0..M {
                for n in 0..N {
                    sum[m][n].store(self.out.add((row + m) * self.out_stride + n * V::COUNT));
                }
            }
        }
    }
}

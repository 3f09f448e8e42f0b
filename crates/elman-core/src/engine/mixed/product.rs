//! One product in mixed precision, with the operands and results of [`Product`].

use super::{Bf16Kernel, Block, Strip, TILE, TILE_SIZE, pairs};
use crate::engine::memory::Buffer;
use crate::engine::product::{Init, Product};
use core::cell::RefCell;

/// Rows that are converted at once, so that scratch stays small whatever the number of rows.
const ROWS: usize = 256;

/// How B is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// As numbers: data, converted for this product.
    Numbers,
    /// As pairs: packed weights. Addresses and distances count words; a row is one of pairs.
    Pairs,
}

/// A thread's converted operands.
#[derive(Default)]
struct Scratch {
    a: Buffer<u32>,
    b: Buffer<u32>,
    strips: Vec<Strip>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Computes a product whose registers have `lanes` numbers. All segments of one product store B alike.
///
/// # Safety
/// As for [`Product::run`]; the kernel is one of [`Bf16Kernel::available`] and fits the panels.
pub(in crate::engine) unsafe fn multiply(product: Product<f32>, lanes: usize, kernel: Bf16Kernel, right: Right) {
    // SAFETY: the caller's promise.
    unsafe { with(product, lanes, right, &|block| super::run(kernel, block)) }
}

/// The same with any kernel.
///
/// # Safety
/// As for [`multiply`].
pub(super) unsafe fn with(product: Product<f32>, lanes: usize, right: Right, kernel: &dyn Fn(&Block)) {
    SCRATCH.with_borrow_mut(|Scratch { a, b, strips }| {
        let chunks: usize = product.segments.iter().map(|s| s.depth.div_ceil(2 * TILE)).sum();
        let columns = product.vectors * lanes;
        let a = a.room(product.rows.min(ROWS).next_multiple_of(TILE) * chunks * TILE);
        let b = match right {
            Right::Pairs => core::ptr::null_mut(),
            Right::Numbers => b.room(chunks * TILE * product.width),
        };
        for first in (0..product.rows).step_by(ROWS) {
            let rows = (product.rows - first).min(ROWS);
            // SAFETY: room was made for all chunks of these rows, and for all rows of pairs; the rest is the caller's promise.
            unsafe {
                let mut to = a;
                for segment in product.segments {
                    pairs::left(segment, first, rows, to, chunks);
                    to = to.add(segment.depth.div_ceil(2 * TILE) * TILE_SIZE);
                }
                for panel in 0..product.panels {
                    strips.clear();
                    let mut to = b;
                    for segment in product.segments {
                        let from = segment.b.add(panel * segment.next);
                        let b = match right {
                            Right::Pairs => from.cast(),
                            Right::Numbers => {
                                pairs::right(from, product.width, segment.depth, columns, to);
                                to.cast_const()
                            }
                        };
                        to = to.wrapping_add(pairs::pair_rows(segment.depth) * product.width);
                        strips.push(Strip { b, pairs: segment.depth.div_ceil(2) });
                    }
                    start(&product, panel, first..first + rows, columns);
                    kernel(&Block {
                        a,
                        rows,
                        chunks,
                        strips,
                        width: product.width,
                        columns,
                        c: product.out.add(panel * product.out_next + first * product.out_stride),
                        stride: product.out_stride,
                    });
                }
            }
        }
    });
}

/// Writes what the sums of some rows start from into the result.
unsafe fn start(product: &Product<f32>, panel: usize, rows: core::ops::Range<usize>, columns: usize) {
    for row in rows {
        let shift = panel * product.init_next;
        // SAFETY: the caller's promise: `out` overlaps `init` only where both are the same.
        unsafe {
            let out = product.out.add(panel * product.out_next + row * product.out_stride);
            let from = match product.init {
                Init::Zero => {
                    core::slice::from_raw_parts_mut(out, columns).fill(0.0);
                    continue;
                }
                Init::Rows { ptr, stride } => ptr.add(shift + row * stride),
                Init::Gather { table, stride, ids } => table.add(shift + ids[row] as usize * stride),
            };
            if from != out.cast_const() {
                out.copy_from_nonoverlapping(from, columns);
            }
        }
    }
}

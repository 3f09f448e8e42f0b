//! One product in mixed precision, with the operands and results of [`Product`].

use super::{Bf16Kernel, Block, Strip, TILE, TILE_SIZE, WIDEST, pairs};
use crate::engine::memory::Buffer;
use crate::engine::product::{Init, Product};
use core::cell::RefCell;

/// Words of a converted A at most, so that scratch stays small whatever the number of rows.
pub(super) const LARGEST: usize = 1 << 20;
/// Rows that are converted at once where all are too many.
pub(super) const ROWS: usize = 256;

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
    /// Rows and chunks of what stands there, where it is a whole A.
    kept: Option<(usize, usize)>,
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
    unsafe { with(product, lanes, right, LARGEST, &|block| super::run(kernel, block)) }
}

/// The same with any kernel, and a converted A of at most `largest` words at once.
///
/// # Safety
/// As for [`multiply`].
pub(super) unsafe fn with(product: Product<f32>, lanes: usize, right: Right, largest: usize, kernel: &dyn Fn(&Block)) {
    SCRATCH.with_borrow_mut(|Scratch { a, kept, b, strips }| {
        let chunks: usize = product.segments.iter().map(|s| s.depth.div_ceil(2 * TILE)).sum();
        let columns = product.vectors * lanes;
        let words = |rows: usize| rows.next_multiple_of(TILE) * chunks * TILE;
        let at_once = if words(product.rows) <= largest { product.rows } else { ROWS };
        let a = a.room(words(at_once));
        let whole = (at_once == product.rows).then_some((product.rows, chunks));
        let convert = !product.same_left || whole.is_none() || *kept != whole;
        *kept = whole;
        let b = match right {
            Right::Pairs => core::ptr::null_mut(),
            Right::Numbers => b.room(chunks * TILE * product.width),
        };
        // There may be no rows.
        for first in (0..product.rows).step_by(at_once.max(1)) {
            let rows = (product.rows - first).min(at_once);
            // SAFETY: room was made for all chunks of these rows, and for all rows of pairs; the rest is the caller's promise.
            unsafe {
                let mut to = a;
                for segment in product.segments.iter().filter(|_| convert) {
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
                    let c = product.out.add(panel * product.out_next + first * product.out_stride);
                    let (start, start_stride) = start(&product, panel, first..first + rows, columns);
                    kernel(&Block {
                        a,
                        rows,
                        chunks,
                        strips,
                        width: product.width,
                        columns,
                        start,
                        start_stride,
                        c,
                        stride: product.out_stride,
                    });
                }
            }
        }
    });
}

/// What a panel's sums start from: the address of its first row, and the distance to the next. Rows that stand anywhere are copied into
/// the result.
unsafe fn start(
    product: &Product<f32>,
    panel: usize,
    rows: core::ops::Range<usize>,
    columns: usize,
) -> (*const f32, usize) {
    static ZEROS: [f32; WIDEST] = [0.0; WIDEST];
    let shift = panel * product.init_next;
    let out = product.out.wrapping_add(panel * product.out_next);
    match product.init {
        Init::Zero => (ZEROS.as_ptr(), 0),
        Init::Rows { ptr, stride } => (ptr.wrapping_add(shift + rows.start * stride), stride),
        Init::Gather { table, stride, ids } => {
            for row in rows.clone() {
                // SAFETY: the caller's promise.
                unsafe {
                    let to = out.add(row * product.out_stride);
                    to.copy_from_nonoverlapping(table.add(shift + ids[row] as usize * stride), columns);
                }
            }
            (out.wrapping_add(rows.start * product.out_stride).cast_const(), product.out_stride)
        }
    }
}

//! The kernel in plain Rust.

use super::{Block, TILE, TILE_SIZE, WIDEST};

/// The numbers of a pair.
pub(super) fn halves(pair: u32) -> (f32, f32) {
    (f32::from_bits(pair << 16), f32::from_bits(pair & 0xffff_0000))
}

/// Of each pair the odd product is added first, then the even one, as VDPBF16PS does. A product is exact, so that an
/// addition after it rounds as a fused multiply-add.
///
/// # Safety
/// The block's addresses are valid for its extents.
pub(super) unsafe fn run(block: &Block) {
    let &Block { rows, chunks, width, columns, .. } = block;
    assert!(columns <= WIDEST, "a panel has at most {WIDEST} columns");
    for row in 0..rows {
        let mut sums = [0.0f32; WIDEST];
        // SAFETY: the block's row of A, of C, and every pair of each strip.
        unsafe {
            let start = block.start.add(row * block.start_stride);
            sums[..columns].copy_from_slice(core::slice::from_raw_parts(start, columns));
            let mut tile = block.a.wrapping_add(row / TILE * chunks * TILE_SIZE + row % TILE * TILE);
            for strip in block.strips {
                for pair in 0..strip.pairs {
                    let a = *tile.add(pair / TILE * TILE_SIZE + pair % TILE);
                    let b = core::slice::from_raw_parts(strip.b.add(pair * width), columns);
                    let (even, odd) = halves(a);
                    for (sum, &b) in sums.iter_mut().zip(b) {
                        let (b_even, b_odd) = halves(b);
                        *sum += odd * b_odd;
                        *sum += even * b_even;
                    }
                }
                tile = tile.wrapping_add(strip.chunks() * TILE_SIZE);
            }
            core::slice::from_raw_parts_mut(block.c.add(row * block.stride), columns).copy_from_slice(&sums[..columns]);
        }
    }
}

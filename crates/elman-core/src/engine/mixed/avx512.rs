//! The kernel of AVX512-BF16: six rows by a panel's registers, each sum in one register over the whole depth.

/// Whether the processor has the instructions.
pub(super) fn present() -> Result<bool, String> {
    #[cfg(target_arch = "x86_64")]
    let present = std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    let present = false;
    Ok(present)
}

/// # Safety
/// The processor has AVX512-BF16, and the block's addresses are valid for its extents.
#[cfg(not(target_arch = "x86_64"))]
pub(super) unsafe fn run(_: &super::Block) {
    unreachable!("found on x86-64 only");
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::run;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::{Block, TILE, TILE_SIZE};
    use core::arch::x86_64::*;

    /// Rows of a tile of sums: with four registers of columns 24 sums, and room for B and a pair of A.
    const ROWS: usize = 6;

    /// `sum + odd products + even products` of 16 columns.
    pub trait Dot {
        /// # Safety
        /// The processor has the instructions.
        unsafe fn dot(sum: __m512, a: __m512i, b: __m512i) -> __m512;
    }

    /// VDPBF16PS.
    pub struct Instruction;

    impl Dot for Instruction {
        #[inline]
        #[target_feature(enable = "avx512f,avx512bf16")]
        unsafe fn dot(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
            // SAFETY: the same 512 bits under another name.
            let (a, b) = unsafe { core::mem::transmute::<(__m512i, __m512i), (__m512bh, __m512bh)>((a, b)) };
            _mm512_dpbf16_ps(sum, a, b)
        }
    }

    /// # Safety
    /// The processor has AVX512-BF16, and the block's addresses are valid for its extents.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub unsafe fn run(block: &Block) {
        // SAFETY: the caller's promise.
        unsafe { every_tile::<Instruction>(block) }
    }

    /// # Safety
    /// The processor has AVX-512 and what `D` needs; the block's addresses are valid for its extents.
    #[inline(always)]
    pub unsafe fn every_tile<D: Dot>(block: &Block) {
        // SAFETY: the caller's promise.
        unsafe {
            match block.columns / TILE {
                1 => rows::<D, 1>(block),
                2 => rows::<D, 2>(block),
                3 => rows::<D, 3>(block),
                4 => rows::<D, 4>(block),
                _ => unreachable!("a panel has at most 4 registers"),
            }
        }
    }

    #[inline(always)]
    unsafe fn rows<D: Dot, const N: usize>(block: &Block) {
        let mut row = 0;
        let mut left = block.rows.div_ceil(ROWS);
        while left > 0 {
            let height = (block.rows - row).div_ceil(left);
            // SAFETY: the caller's promise; each tile stays below `rows`.
            unsafe {
                match height {
                    1 => tile::<D, 1, N>(block, row),
                    2 => tile::<D, 2, N>(block, row),
                    3 => tile::<D, 3, N>(block, row),
                    4 => tile::<D, 4, N>(block, row),
                    5 => tile::<D, 5, N>(block, row),
                    6 => tile::<D, 6, N>(block, row),
                    _ => unreachable!("a tile has at most {ROWS} rows"),
                }
            }
            row += height;
            left -= 1;
        }
    }

    /// `M` rows of `N` registers.
    #[inline(always)]
    unsafe fn tile<D: Dot, const M: usize, const N: usize>(block: &Block, row: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sum = [[_mm512_setzero_ps(); N]; M];
            let mut a = [block.a; M];
            for m in 0..M {
                let r = row + m;
                a[m] = block.a.wrapping_add(r / TILE * block.chunks * TILE_SIZE + r % TILE * TILE);
                for n in 0..N {
                    sum[m][n] = _mm512_loadu_ps(block.start.add(r * block.start_stride + n * TILE));
                }
            }
            for strip in block.strips {
                let mut b = strip.b;
                let mut left = strip.pairs;
                while left > 0 {
                    let pairs = left.min(TILE);
                    for k in 0..pairs {
                        let mut right = [_mm512_setzero_si512(); N];
                        for n in 0..N {
                            right[n] = _mm512_loadu_si512(b.add(n * TILE).cast());
                        }
                        b = b.wrapping_add(block.width);
                        for m in 0..M {
                            let pair = _mm512_set1_epi32(*a[m].add(k) as i32);
                            for n in 0..N {
                                sum[m][n] = D::dot(sum[m][n], pair, right[n]);
                            }
                        }
                    }
                    a = a.map(|a| a.wrapping_add(TILE_SIZE));
                    left -= pairs;
                }
            }
            for m in 0..M {
                for n in 0..N {
                    _mm512_storeu_ps(block.c.add((row + m) * block.stride + n * TILE), sum[m][n]);
                }
            }
        }
    }

    /// The same loops with AVX-512's own fused multiply-adds in place of the instruction.
    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::engine::mixed::check::{Case, EXACT, compare};

        struct Spelt;

        impl Dot for Spelt {
            #[inline]
            #[target_feature(enable = "avx512f")]
            unsafe fn dot(sum: __m512, a: __m512i, b: __m512i) -> __m512 {
                let odd = _mm512_set1_epi32(0xffff_0000u32 as i32);
                let high = |x| _mm512_castsi512_ps(_mm512_and_si512(x, odd));
                let low = |x| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(x));
                _mm512_fmadd_ps(low(a), low(b), _mm512_fmadd_ps(high(a), high(b), sum))
            }
        }

        #[target_feature(enable = "avx512f")]
        unsafe fn spelt(block: &Block) {
            // SAFETY: the caller's promise.
            unsafe { every_tile::<Spelt>(block) }
        }

        #[test]
        fn its_loops_give_the_bits_of_the_plain_kernel() {
            if !std::arch::is_x86_feature_detected!("avx512f") {
                return;
            }
            for case in Case::all() {
                compare(&case, &|block| unsafe { spelt(block) }, EXACT).unwrap();
            }
        }
    }
}

//! AVX-512 and AVX2 registers.

use super::*;
use core::arch::x86_64::*;

/// The upper half of a word.
const UPPER: i32 = 0xffff_0000_u32.cast_signed();

/// What shuffles a byte of one of four words into its highest place, above zeros.
const fn at(word: i32, byte: i32) -> i32 {
    ((4 * word + byte) << 24) | 0x0080_8080
}

macro_rules! x86_lanes {
    (
        $(#[$doc:meta])* $Name:ident, $Vec:ty, $E:ty, $count:literal, $panel:literal, $shift:literal;
        $set1:ident $load:ident $store:ident $add:ident $sub:ident $mul:ident $div:ident $fma:ident $max:ident $min:ident
        $and:ident $andnot:ident $or:ident $xor:ident $cast_int:ident $cast_float:ident $shl:ident;
        words $Words:ty, $shuffle:ident $repeat:expr, $number:ident; pairs $low:expr, $high:expr; step $step:expr
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $Name($Vec);

        real_from_lanes!($Name, $E, add $add, sub $sub, mul $mul, div $div, neg |x| $xor(x, $set1(-0.0)));

        impl Lanes for $Name {
            type Element = $E;
            const COUNT: usize = $count;
            const PANEL: usize = $panel;
            #[inline(always)]
            unsafe fn load(ptr: *const $E) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $Name($load(ptr)) }
            }
            #[inline(always)]
            unsafe fn store(self, ptr: *mut $E) {
                // SAFETY: the caller's promise.
                unsafe { $store(ptr, self.0) }
            }
            #[inline(always)]
            fn prefetch(ptr: *const $E) {
                // SAFETY: a prefetch reads nothing.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(ptr.cast()) }
            }
            #[inline(always)]
            fn prefetch_second(ptr: *const $E) {
                // SAFETY: a prefetch reads nothing.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(ptr.cast()) }
            }
            #[inline(always)]
            unsafe fn load_pairs(ptr: *const u32) -> [Self; 2] {
                // SAFETY: the caller's promise.
                unsafe {
                    let words = ptr.cast::<$Words>().read_unaligned();
                    [$Name($low(words)), $Name($high(words))]
                }
            }
            #[inline(always)]
            unsafe fn load_fours(ptr: *const u32) -> [Self; 4] {
                // SAFETY: the caller's promise.
                unsafe {
                    let words = ptr.cast::<$Words>().read_unaligned();
                    let highest = |byte| $shuffle(words, $repeat(_mm_set_epi32(at(3, byte), at(2, byte), at(1, byte), at(0, byte))));
                    [
                        $Name($number(highest(0))),
                        $Name($number(highest(1))),
                        $Name($number(highest(2))),
                        $Name($number(highest(3))),
                    ]
                }
            }
            #[inline(always)]
            fn splat(value: $E) -> Self {
                // SAFETY: reached only from kernels dispatched to this instruction set; so below.
                unsafe { $Name($set1(value)) }
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                // SAFETY: see `splat`.
                unsafe { $Name($fma(self.0, factor.0, addend.0)) }
            }
            #[inline(always)]
            fn max_or(self, other: Self) -> Self {
                // SAFETY: see `splat`. The instruction returns its second operand where either is NaN.
                unsafe { $Name($max(self.0, other.0)) }
            }
            #[inline(always)]
            fn min_or(self, other: Self) -> Self {
                // SAFETY: see `splat`.
                unsafe { $Name($min(self.0, other.0)) }
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: see `splat`.
                unsafe { $Name($andnot($set1(-0.0), self.0)) }
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                // SAFETY: see `splat`.
                unsafe {
                    let bit = $set1(-0.0);
                    $Name($or($andnot(bit, self.0), $and(bit, sign.0)))
                }
            }
            #[inline(always)]
            fn bits_to_exponent(self) -> Self {
                // SAFETY: see `splat`.
                unsafe { $Name($cast_float($shl::<$shift>($cast_int(self.0)))) }
            }
            #[inline(always)]
            fn step_lanes(self) -> Self {
                // SAFETY: see `splat`.
                unsafe { $Name($step(self.0)) }
            }
        }
    };
}

x86_lanes!(
    /// 16 × f32.
    Avx512F32, __m512, f32, 16, 4, 23;
    _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_div_ps
    _mm512_fmadd_ps _mm512_max_ps _mm512_min_ps _mm512_and_ps _mm512_andnot_ps _mm512_or_ps _mm512_xor_ps
    _mm512_castps_si512 _mm512_castsi512_ps _mm512_slli_epi32;
    words __m512i, _mm512_shuffle_epi8 _mm512_broadcast_i32x4, _mm512_cvtepi32_ps;
    pairs |w| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(w)),
    |w| _mm512_castsi512_ps(_mm512_and_si512(w, _mm512_set1_epi32(UPPER)));
    step |x| {
        let zero = _mm512_setzero_ps();
        let one = _mm512_set1_ps(1.0);
        let y = _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(x, zero), zero, one);
        _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x), y, x)
    }
);

x86_lanes!(
    /// 8 × f64.
    Avx512F64, __m512d, f64, 8, 4, 52;
    _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_div_pd
    _mm512_fmadd_pd _mm512_max_pd _mm512_min_pd _mm512_and_pd _mm512_andnot_pd _mm512_or_pd _mm512_xor_pd
    _mm512_castpd_si512 _mm512_castsi512_pd _mm512_slli_epi64;
    words __m256i, _mm256_shuffle_epi8 _mm256_broadcastsi128_si256, _mm512_cvtepi32_pd;
    pairs |w| _mm512_cvtps_pd(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(w))),
    |w| _mm512_cvtps_pd(_mm256_castsi256_ps(_mm256_and_si256(w, _mm256_set1_epi32(UPPER))));
    step |x| {
        let zero = _mm512_setzero_pd();
        let one = _mm512_set1_pd(1.0);
        let y = _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_GT_OQ>(x, zero), zero, one);
        _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_UNORD_Q>(x, x), y, x)
    }
);

x86_lanes!(
    /// 8 × f32.
    Avx2F32, __m256, f32, 8, 2, 23;
    _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps
    _mm256_fmadd_ps _mm256_max_ps _mm256_min_ps _mm256_and_ps _mm256_andnot_ps _mm256_or_ps _mm256_xor_ps
    _mm256_castps_si256 _mm256_castsi256_ps _mm256_slli_epi32;
    words __m256i, _mm256_shuffle_epi8 _mm256_broadcastsi128_si256, _mm256_cvtepi32_ps;
    pairs |w| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(w)),
    |w| _mm256_castsi256_ps(_mm256_and_si256(w, _mm256_set1_epi32(UPPER)));
    step |x| {
        let y = _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(x, _mm256_setzero_ps()), _mm256_set1_ps(1.0));
        _mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_UNORD_Q>(x, x))
    }
);

x86_lanes!(
    /// 4 × f64.
    Avx2F64, __m256d, f64, 4, 2, 52;
    _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_div_pd
    _mm256_fmadd_pd _mm256_max_pd _mm256_min_pd _mm256_and_pd _mm256_andnot_pd _mm256_or_pd _mm256_xor_pd
    _mm256_castpd_si256 _mm256_castsi256_pd _mm256_slli_epi64;
    words __m128i, _mm_shuffle_epi8 |mask| mask, _mm256_cvtepi32_pd;
    pairs |w| _mm256_cvtps_pd(_mm_castsi128_ps(_mm_slli_epi32::<16>(w))),
    |w| _mm256_cvtps_pd(_mm_castsi128_ps(_mm_and_si128(w, _mm_set1_epi32(UPPER))));
    step |x| {
        let y = _mm256_and_pd(_mm256_cmp_pd::<_CMP_GT_OQ>(x, _mm256_setzero_pd()), _mm256_set1_pd(1.0));
        _mm256_blendv_pd(y, x, _mm256_cmp_pd::<_CMP_UNORD_Q>(x, x))
    }
);

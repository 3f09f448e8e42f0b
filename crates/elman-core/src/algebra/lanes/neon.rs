//! NEON registers.

use super::*;
use core::arch::aarch64::*;

macro_rules! neon_lanes {
    (
        $(#[$doc:meta])* $Name:ident, $Vec:ty, $E:ty, $count:literal, $shift:literal, $ones:literal;
        $set1:ident $load:ident $store:ident $add:ident $sub:ident $mul:ident $div:ident $neg:ident $fma:ident
        $gt:ident $eq:ident $select:ident $abs:ident $to_int:ident $to_float:ident $shl:ident $dup_int:ident
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $Name($Vec);

        real_from_lanes!($Name, $E, add $add, sub $sub, mul $mul, div $div, neg $neg);

        impl Lanes for $Name {
            type Element = $E;
            const COUNT: usize = $count;
            const PANEL: usize = 4;
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
            unsafe fn load_bf16(ptr: *const u16) -> Self {
                // SAFETY: the caller's promise.
                unsafe {
                    let bits = ptr.cast::<[u16; $count]>().read_unaligned();
                    Self::load(bits.map(|b| f32::from_bits(u32::from(b) << 16) as $E).as_ptr())
                }
            }
            #[inline(always)]
            unsafe fn load_i8(ptr: *const i8) -> Self {
                // SAFETY: the caller's promise.
                unsafe {
                    let bytes = ptr.cast::<[i8; $count]>().read_unaligned();
                    Self::load(bytes.map(|b| b as $E).as_ptr())
                }
            }
            #[inline(always)]
            fn splat(value: $E) -> Self {
                // SAFETY: NEON is part of the baseline; so below.
                unsafe { $Name($set1(value)) }
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                // SAFETY: see `splat`.
                unsafe { $Name($fma(addend.0, self.0, factor.0)) }
            }
            #[inline(always)]
            fn max_or(self, other: Self) -> Self {
                // SAFETY: see `splat`. The comparison is false for NaN, which selects `other`.
                unsafe { $Name($select($gt(self.0, other.0), self.0, other.0)) }
            }
            #[inline(always)]
            fn min_or(self, other: Self) -> Self {
                // SAFETY: see `splat`.
                unsafe { $Name($select($gt(other.0, self.0), self.0, other.0)) }
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: see `splat`.
                unsafe { $Name($abs(self.0)) }
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                // SAFETY: see `splat`.
                unsafe { $Name($select($dup_int($ones), sign.0, self.0)) }
            }
            #[inline(always)]
            fn bits_to_exponent(self) -> Self {
                // SAFETY: see `splat`.
                unsafe { $Name($to_float($shl::<$shift>($to_int(self.0)))) }
            }
            #[inline(always)]
            fn step_lanes(self) -> Self {
                // SAFETY: see `splat`.
                unsafe {
                    let y = $select($gt(self.0, $set1(0.0)), $set1(1.0), $set1(0.0));
                    $Name($select($eq(self.0, self.0), y, self.0))
                }
            }
        }
    };
}

neon_lanes!(
    /// 4 × f32.
    NeonF32, float32x4_t, f32, 4, 23, 0x8000_0000;
    vdupq_n_f32 vld1q_f32 vst1q_f32 vaddq_f32 vsubq_f32 vmulq_f32 vdivq_f32 vnegq_f32 vfmaq_f32
    vcgtq_f32 vceqq_f32 vbslq_f32 vabsq_f32 vreinterpretq_u32_f32 vreinterpretq_f32_u32 vshlq_n_u32 vdupq_n_u32
);

neon_lanes!(
    /// 2 × f64.
    NeonF64, float64x2_t, f64, 2, 52, 0x8000_0000_0000_0000;
    vdupq_n_f64 vld1q_f64 vst1q_f64 vaddq_f64 vsubq_f64 vmulq_f64 vdivq_f64 vnegq_f64 vfmaq_f64
    vcgtq_f64 vceqq_f64 vbslq_f64 vabsq_f64 vreinterpretq_u64_f64 vreinterpretq_f64_u64 vshlq_n_u64 vdupq_n_u64
);

//! NEON registers.

use super::*;
use core::arch::aarch64::*;

macro_rules! neon_lanes {
    (
        $(#[$doc:meta])* $Name:ident, $Vec:ty, $E:ty, $count:literal, $shift:literal, $ones:literal;
        $set1:ident $load:ident $store:ident $add:ident $sub:ident $mul:ident $div:ident $neg:ident $fma:ident
        $gt:ident $eq:ident $select:ident $abs:ident $to_int:ident $to_float:ident $shl:ident $dup_int:ident;
        pairs $pairs:expr, fours $fours:expr
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
            unsafe fn load_pairs(ptr: *const u32) -> [Self; 2] {
                // SAFETY: the caller's promise.
                unsafe { $pairs(ptr).map($Name) }
            }
            #[inline(always)]
            unsafe fn load_fours(ptr: *const u32) -> [Self; 4] {
                // SAFETY: the caller's promise.
                unsafe { $fours(ptr).map($Name) }
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
    vcgtq_f32 vceqq_f32 vbslq_f32 vabsq_f32 vreinterpretq_u32_f32 vreinterpretq_f32_u32 vshlq_n_u32 vdupq_n_u32;
    pairs |ptr: *const u32| {
        let words = vld1q_u32(ptr);
        let upper = vandq_u32(words, vdupq_n_u32(0xffff_0000));
        [vreinterpretq_f32_u32(vshlq_n_u32::<16>(words)), vreinterpretq_f32_u32(upper)]
    },
    fours |ptr: *const u32| {
        let (words, highest) = (vreinterpretq_s32_u32(vld1q_u32(ptr)), vdupq_n_s32(0xff00_0000_u32.cast_signed()));
        [
            vcvtq_f32_s32(vshlq_n_s32::<24>(words)),
            vcvtq_f32_s32(vandq_s32(vshlq_n_s32::<16>(words), highest)),
            vcvtq_f32_s32(vandq_s32(vshlq_n_s32::<8>(words), highest)),
            vcvtq_f32_s32(vandq_s32(words, highest)),
        ]
    }
);

neon_lanes!(
    /// 2 × f64.
    NeonF64, float64x2_t, f64, 2, 52, 0x8000_0000_0000_0000;
    vdupq_n_f64 vld1q_f64 vst1q_f64 vaddq_f64 vsubq_f64 vmulq_f64 vdivq_f64 vnegq_f64 vfmaq_f64
    vcgtq_f64 vceqq_f64 vbslq_f64 vabsq_f64 vreinterpretq_u64_f64 vreinterpretq_f64_u64 vshlq_n_u64 vdupq_n_u64;
    pairs |ptr: *const u32| {
        let words = vld1_u32(ptr);
        let upper = vand_u32(words, vdup_n_u32(0xffff_0000));
        let lower = vshl_n_u32::<16>(words);
        [vcvt_f64_f32(vreinterpret_f32_u32(lower)), vcvt_f64_f32(vreinterpret_f32_u32(upper))]
    },
    fours |ptr: *const u32| {
        let (words, highest) = (vreinterpret_s32_u32(vld1_u32(ptr)), vdup_n_s32(0xff00_0000_u32.cast_signed()));
        [
            vcvtq_f64_s64(vmovl_s32(vshl_n_s32::<24>(words))),
            vcvtq_f64_s64(vmovl_s32(vand_s32(vshl_n_s32::<16>(words), highest))),
            vcvtq_f64_s64(vmovl_s32(vand_s32(vshl_n_s32::<8>(words), highest))),
            vcvtq_f64_s64(vmovl_s32(vand_s32(words, highest))),
        ]
    }
);

//! NEON registers.
//!
//! Compressed numbers are loaded together as one whole number. A byte is put into the highest of its lane by a table (an
//! index beyond the table gives 0), and the conversion divides by the power of two: three instructions for a register,
//! where the compiler made eight of an array of bytes; two for bfloat16, where it made seven.

use super::*;
use core::arch::aarch64::*;

macro_rules! neon_lanes {
    (
        $(#[$doc:meta])* $Name:ident, $Vec:ty, $E:ty, $count:literal, $shift:literal, $ones:literal;
        $set1:ident $load:ident $store:ident $add:ident $sub:ident $mul:ident $div:ident $neg:ident $fma:ident
        $gt:ident $eq:ident $select:ident $abs:ident $to_int:ident $to_float:ident $shl:ident $dup_int:ident;
        bf16 $bf16:expr, bytes $bytes:expr
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
                unsafe { $Name($bf16(ptr)) }
            }
            #[inline(always)]
            unsafe fn load_i8(ptr: *const i8) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $Name($bytes(ptr)) }
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
    bf16 |ptr: *const u16| vreinterpretq_f32_u32(vshlq_n_u32::<16>(vmovl_u16(vld1_u16(ptr)))),
    bytes |ptr: *const i8| {
        let four = vdupq_n_u32(u32::from_le_bytes(ptr.cast::<[u8; 4]>().read()));
        let high = vcombine_u8(vcreate_u8(0x01ff_ffff_00ff_ffff), vcreate_u8(0x03ff_ffff_02ff_ffff));
        vcvtq_n_f32_s32::<24>(vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(four), high)))
    }
);

neon_lanes!(
    /// 2 × f64.
    NeonF64, float64x2_t, f64, 2, 52, 0x8000_0000_0000_0000;
    vdupq_n_f64 vld1q_f64 vst1q_f64 vaddq_f64 vsubq_f64 vmulq_f64 vdivq_f64 vnegq_f64 vfmaq_f64
    vcgtq_f64 vceqq_f64 vbslq_f64 vabsq_f64 vreinterpretq_u64_f64 vreinterpretq_f64_u64 vshlq_n_u64 vdupq_n_u64;
    bf16 |ptr: *const u16| {
        let two = vcreate_u16(u64::from(u32::from_le_bytes(ptr.cast::<[u8; 4]>().read())));
        vcvt_f64_f32(vreinterpret_f32_u32(vget_low_u32(vshlq_n_u32::<16>(vmovl_u16(two)))))
    },
    bytes |ptr: *const i8| {
        let two = vdupq_n_u16(u16::from_le_bytes(ptr.cast::<[u8; 2]>().read()));
        let high = vcombine_u8(vcreate_u8(0x00ff_ffff_ffff_ffff), vcreate_u8(0x01ff_ffff_ffff_ffff));
        vcvtq_n_f64_s64::<56>(vreinterpretq_s64_u8(vqtbl1q_u8(vreinterpretq_u8_u16(two), high)))
    }
);

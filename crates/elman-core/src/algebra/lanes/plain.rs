//! Small arrays, for processors without a set of their own here; the compiler makes of them what its baseline has.

use super::*;

macro_rules! plain_lanes {
    ($(#[$doc:meta])* $Name:ident, $E:ty, $count:literal, $shift:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $Name([$E; $count]);

        impl $Name {
            #[inline(always)]
            fn zip(a: [$E; $count], b: [$E; $count], f: impl Fn($E, $E) -> $E) -> [$E; $count] {
                let mut out = a;
                for i in 0..$count {
                    out[i] = f(a[i], b[i]);
                }
                out
            }
        }

        real_from_lanes!($Name, $E,
            add |a, b| $Name::zip(a, b, |x, y| x + y),
            sub |a, b| $Name::zip(a, b, |x, y| x - y),
            mul |a, b| $Name::zip(a, b, |x, y| x * y),
            div |a, b| $Name::zip(a, b, |x, y| x / y),
            neg |a: [$E; $count]| a.map(|x| -x)
        );

        impl Lanes for $Name {
            type Element = $E;
            const COUNT: usize = $count;
            const PANEL: usize = 2;
            #[inline(always)]
            unsafe fn load(ptr: *const $E) -> Self {
                // SAFETY: the caller's promise.
                unsafe { $Name(ptr.cast::<[$E; $count]>().read_unaligned()) }
            }
            #[inline(always)]
            unsafe fn store(self, ptr: *mut $E) {
                // SAFETY: the caller's promise.
                unsafe { ptr.cast::<[$E; $count]>().write_unaligned(self.0) }
            }
            #[inline(always)]
            unsafe fn load_pairs(ptr: *const u32) -> [Self; 2] {
                // SAFETY: the caller's promise.
                let words = unsafe { ptr.cast::<[u32; $count]>().read_unaligned() };
                [
                    $Name(words.map(|w| f32::from_bits(w << 16) as $E)),
                    $Name(words.map(|w| f32::from_bits(w & 0xffff_0000) as $E)),
                ]
            }
            #[inline(always)]
            unsafe fn load_fours(ptr: *const u32) -> [Self; 4] {
                // SAFETY: the caller's promise.
                let words = unsafe { ptr.cast::<[u32; $count]>().read_unaligned() };
                [24, 16, 8, 0].map(|shift| $Name(words.map(|w| ((w << shift) & 0xff00_0000).cast_signed() as $E)))
            }
            #[inline(always)]
            fn splat(value: $E) -> Self {
                $Name([value; $count])
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                // `f32::mul_add` without the instruction is a library call, 20 times slower.
                self * factor + addend
            }
            #[inline(always)]
            fn max_or(self, other: Self) -> Self {
                $Name($Name::zip(self.0, other.0, |a, b| if a > b { a } else { b }))
            }
            #[inline(always)]
            fn min_or(self, other: Self) -> Self {
                $Name($Name::zip(self.0, other.0, |a, b| if a < b { a } else { b }))
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $Name(self.0.map(<$E>::abs))
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                $Name($Name::zip(self.0, sign.0, |a, s| a.copysign(s)))
            }
            #[inline(always)]
            fn bits_to_exponent(self) -> Self {
                $Name(self.0.map(|x| <$E>::from_bits(x.to_bits() << $shift)))
            }
            #[inline(always)]
            fn step_lanes(self) -> Self {
                $Name(self.0.map(Real::step))
            }
        }
    };
}

plain_lanes!(
    /// 4 × f32.
    PlainF32, f32, 4, 23
);
plain_lanes!(
    /// 2 × f64.
    PlainF64, f64, 2, 52
);

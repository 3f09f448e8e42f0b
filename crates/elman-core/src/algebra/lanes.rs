//! Vectors of numbers in one register: the interpretation behind training and streaming.
//!
//! The instruction set is found at run time ([`Isa::detect`]); a kernel generic over [`Lanes`] is inlined into a function
//! compiled for that set ([`dispatch`]). Transcendental functions are exp-based with exact saturation: relative error
//! within 4 units in the last place, tails included, NaN passed through.

use super::{Element, Real};
use core::fmt;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// An instruction set for which kernels are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// x86-64 with AVX-512 F, DQ, BW and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// x86-64 with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 64-bit ARM.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// Whatever the compiler's baseline is; no fused multiply-add.
    Plain,
}

impl Isa {
    /// The fastest set that this processor has.
    pub fn detect() -> Isa {
        Isa::available()[0]
    }

    /// The sets that this processor has, fastest first.
    pub fn available() -> Vec<Isa> {
        let mut list = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
            {
                list.push(Isa::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                list.push(Isa::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        list.push(Isa::Neon);
        list.push(Isa::Plain);
        list
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "NEON",
            Isa::Plain => "plain",
        })
    }
}

/// A register of [`Lanes::COUNT`] numbers.
pub trait Lanes: Real {
    /// The number in a lane.
    type Element: Element;
    /// Numbers in a register.
    const COUNT: usize;
    /// Registers in a panel of the engine's matrix product: with six rows, as many as the accumulators leave room for.
    const PANEL: usize;

    /// Loads `COUNT` numbers.
    ///
    /// # Safety
    /// `ptr` is valid for `COUNT` reads, and the processor has this type's instruction set.
    unsafe fn load(ptr: *const Self::Element) -> Self;
    /// Stores `COUNT` numbers.
    ///
    /// # Safety
    /// `ptr` is valid for `COUNT` writes, and the processor has this type's instruction set.
    unsafe fn store(self, ptr: *mut Self::Element);
    /// Asks for the memory at an address that will be read soon; any address will do.
    #[inline(always)]
    fn prefetch(ptr: *const Self::Element) {
        let _ = ptr;
    }
    /// The same, into the second cache.
    #[inline(always)]
    fn prefetch_second(ptr: *const Self::Element) {
        let _ = ptr;
    }
    /// Loads `COUNT` words of two bfloat16 each (the upper halves of an `f32`): the numbers in the words' lower halves, and those in the
    /// upper ones.
    ///
    /// # Safety
    /// As for `load`.
    unsafe fn load_pairs(ptr: *const u32) -> [Self; 2];
    /// Loads `COUNT` words of four bytes each, whole numbers from -128 to 127, as their 2^24-folds: a byte in the highest place of its word
    /// takes no second shift. Those of the words' lowest bytes come first.
    ///
    /// # Safety
    /// As for `load`.
    unsafe fn load_fours(ptr: *const u32) -> [Self; 4];
    /// The register that holds `value` in every lane.
    fn splat(value: Self::Element) -> Self;
    /// `self * factor + addend`, fused where the hardware fuses.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// The larger of two; `other` where either is NaN.
    fn max_or(self, other: Self) -> Self;
    /// The smaller of two; `other` where either is NaN.
    fn min_or(self, other: Self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// The magnitude of `self` with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    /// The bits shifted left past the mantissa: turns a magic-number sum into a power of two.
    fn bits_to_exponent(self) -> Self;
    /// 1 where positive, 0 where not, NaN where NaN.
    fn step_lanes(self) -> Self;
}

/// The registers and numeric constants of a precision.
pub trait Registers: Sized {
    /// Register of AVX-512.
    #[cfg(target_arch = "x86_64")]
    type Avx512: Lanes<Element = Self>;
    /// Register of AVX2.
    #[cfg(target_arch = "x86_64")]
    type Avx2: Lanes<Element = Self>;
    /// Register of NEON.
    #[cfg(target_arch = "aarch64")]
    type Neon: Lanes<Element = Self>;
    /// Plain array.
    type Plain: Lanes<Element = Self>;
    /// Added and subtracted, it rounds to a whole number: 1.5 × 2^(mantissa bits).
    const ROUND_MAGIC: f64;
    /// Added to a whole number n, its low bits are those of n + the exponent's bias.
    const EXPONENT_MAGIC: f64;
    /// ln 2 in few bits, so that its product with an exponent is exact (Cody & Waite 1980) ...
    const LN2_HIGH: f64;
    /// ... and the rest of ln 2.
    const LN2_LOW: f64;
    /// Below it `e^x` is less than half the smallest number.
    const EXP_LOW: f64;
    /// Above it `e^x` overflows.
    const EXP_HIGH: f64;
    /// Lowest x for which 2^round(x / ln 2) is a normal number.
    const NORMAL_LOW: f64;
    /// A gradient smaller than this has vanished: far above the subnormal numbers, with which processors are many times slower.
    const VANISHED: f64;
    /// 1/n!, ..., 1/3!, 1/2!: the polynomial (e^r - 1 - r) / r².
    const EXPM1_TAYLOR: &'static [f64];
    /// π in three parts, the first two in few bits.
    const PI_PARTS: [f64; 3];
    /// Terms of the sine's Taylor polynomial in x² after the first.
    const SIN_TERMS: usize;
    /// Terms of the inverse hyperbolic tangent's series in s² after the first.
    const ATANH_TERMS: usize;
}

impl Registers for f32 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = Avx512F32;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = Avx2F32;
    #[cfg(target_arch = "aarch64")]
    type Neon = NeonF32;
    type Plain = PlainF32;
    const ROUND_MAGIC: f64 = 12_582_912.0;
    const EXPONENT_MAGIC: f64 = 12_582_912.0 + 127.0;
    const LN2_HIGH: f64 = 0.693_359_375;
    const LN2_LOW: f64 = -2.121_944_4e-4;
    const EXP_LOW: f64 = -104.0;
    const EXP_HIGH: f64 = 89.0;
    const NORMAL_LOW: f64 = -87.0;
    const VANISHED: f64 = 7.888_609_052_210_118e-31; // 2^-100
    const EXPM1_TAYLOR: &'static [f64] = &[1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 1.0 / 2.0];
    const PI_PARTS: [f64; 3] = [3.140_625, 9.675_025_939_941_406e-4, 1.509_957_990_978_376_4e-7];
    const SIN_TERMS: usize = 6;
    const ATANH_TERMS: usize = 7;
}

impl Registers for f64 {
    #[cfg(target_arch = "x86_64")]
    type Avx512 = Avx512F64;
    #[cfg(target_arch = "x86_64")]
    type Avx2 = Avx2F64;
    #[cfg(target_arch = "aarch64")]
    type Neon = NeonF64;
    type Plain = PlainF64;
    const ROUND_MAGIC: f64 = 6_755_399_441_055_744.0;
    const EXPONENT_MAGIC: f64 = 6_755_399_441_055_744.0 + 1023.0;
    const LN2_HIGH: f64 = 0.693_145_751_953_125;
    const LN2_LOW: f64 = 1.428_606_820_309_417_2e-6;
    const EXP_LOW: f64 = -746.0;
    const EXP_HIGH: f64 = 710.0;
    const NORMAL_LOW: f64 = -708.0;
    const VANISHED: f64 = 1.183_052_186_166_774_7e-271; // 2^-900
    const EXPM1_TAYLOR: &'static [f64] = &[
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        1.0 / 2.0,
    ];
    const PI_PARTS: [f64; 3] = [3.141_592_502_593_994, 1.509_957_883_172_319_3e-7, 1.078_060_571_631_623_8e-14];
    const SIN_TERMS: usize = 11;
    const ATANH_TERMS: usize = 16;
}

/// `e^x = 2^n (1 + p)` with n = round(x / ln 2): returns n and p = e^r - 1, r = x - n ln 2, |r| <= ln 2 / 2.
///
/// p is a Taylor polynomial; the first dropped term is below 6e-9 of p in f32 (degree 7) and 5e-18 in f64 (degree 13).
#[inline(always)]
fn reduce_exp<V: Lanes>(x: V) -> (V, V) {
    let magic = V::constant(V::Element::ROUND_MAGIC);
    let n = x.mul_add(V::constant(core::f64::consts::LOG2_E), magic) - magic;
    let r = n.mul_add(V::constant(-V::Element::LN2_HIGH), x);
    let r = n.mul_add(V::constant(-V::Element::LN2_LOW), r);
    let coefficients = V::Element::EXPM1_TAYLOR;
    let mut q = V::constant(coefficients[0]);
    for &c in &coefficients[1..] {
        q = q.mul_add(r, V::constant(c));
    }
    (n, (q * r).mul_add(r, r))
}

/// `2^n` for whole n in the range of normal numbers.
#[inline(always)]
fn power_of_two<V: Lanes>(n: V) -> V {
    (n + V::constant(V::Element::EXPONENT_MAGIC)).bits_to_exponent()
}

#[inline(always)]
fn exp_lanes<V: Lanes>(x: V) -> V {
    // `low.max_or(x)` keeps NaN: the second operand wins.
    let x = V::constant(V::Element::EXP_LOW).max_or(x);
    let x = V::constant(V::Element::EXP_HIGH).min_or(x);
    let (n, p) = reduce_exp(x);
    // Two factors, so that each is a normal number even where the result is not.
    let magic = V::constant(V::Element::ROUND_MAGIC);
    let n1 = n.mul_add(V::constant(0.5), magic) - magic;
    let scale = power_of_two(n1);
    p.mul_add(scale, scale) * power_of_two(n - n1)
}

#[inline(always)]
fn sigmoid_lanes<V: Lanes>(x: V) -> V {
    let (n, p) = reduce_exp(V::constant(V::Element::NORMAL_LOW).max_or(-x.abs()));
    let scale = power_of_two(n);
    let e = p.mul_add(scale, scale);
    // 1 / (1 + e) on the right, e / (1 + e) on the left; e <= 1, so the larger of ±1 and e is the numerator.
    let one = V::constant(1.0);
    one.copysign(x).max_or(e) / (one + e)
}

#[inline(always)]
fn tanh_lanes<V: Lanes>(x: V) -> V {
    // (1 - e) / (1 + e) with e = exp(-2|x|), from e - 1 so that small x keep their relative accuracy.
    let (n, p) = reduce_exp(V::constant(V::Element::NORMAL_LOW).max_or(x.abs() * V::constant(-2.0)));
    let scale = power_of_two(n);
    let e_minus_1 = p.mul_add(scale, scale - V::constant(1.0));
    ((-e_minus_1) / (e_minus_1 + V::constant(2.0))).copysign(x)
}

/// `ln(1 + e^x) = max(x, 0) + ln(1 + e)` with e = e^-|x| <= 1, and ln(1 + e) = 2 artanh(s), s = e / (2 + e) <= 1/3.
///
/// The series Σ s^(2k+1) / (2k + 1) is cut where the first dropped term is below 1e-9 of the sum in f32 and 2e-18 in f64.
#[inline(always)]
fn softplus_lanes<V: Lanes>(x: V) -> V {
    let e = exp_lanes(-x.abs());
    let s = e / (e + V::constant(2.0));
    let square = s * s;
    let terms = V::Element::ATANH_TERMS;
    let mut q = V::constant(1.0 / (2 * terms + 1) as f64);
    for k in (1..terms).rev() {
        q = q.mul_add(square, V::constant(1.0 / (2 * k + 1) as f64));
    }
    let twice = s + s;
    V::constant(0.0).max_or(x) + (q * square).mul_add(twice, twice)
}

/// `(-1)^n sin(r)` with r = x - n π for the multiple n of 1/2 or of 1 that the caller has chosen, |r| <= π/2, and `sign` = ±1 given.
///
/// The first dropped term of the Taylor polynomial is below 1e-9 of sin(r) in f32 (degree 13) and 1e-20 in f64 (degree 23).
#[inline(always)]
fn reduced_sine<V: Lanes>(x: V, n: V, sign: V) -> V {
    let mut r = x;
    for part in V::Element::PI_PARTS {
        r = n.mul_add(V::constant(-part), r);
    }
    let square = r * r;
    let terms = V::Element::SIN_TERMS;
    // Each coefficient is the one before over -(2k)(2k + 1): Horner's scheme in nested form.
    let mut q = V::constant(1.0);
    for k in (1..=terms).rev() {
        q = (q * square).mul_add(V::constant(-1.0 / (2 * k * (2 * k + 1)) as f64), V::constant(1.0));
    }
    q * r * sign
}

/// 1 for an even whole number, -1 for an odd one.
#[inline(always)]
fn parity<V: Lanes>(n: V) -> V {
    let magic = V::constant(V::Element::ROUND_MAGIC);
    let half = n * V::constant(0.5);
    let rest = half - ((half + magic) - magic);
    rest.abs().mul_add(V::constant(-4.0), V::constant(1.0))
}

#[inline(always)]
fn sin_lanes<V: Lanes>(x: V) -> V {
    let magic = V::constant(V::Element::ROUND_MAGIC);
    let n = x.mul_add(V::constant(core::f64::consts::FRAC_1_PI), magic) - magic;
    reduced_sine(x, n, parity(n))
}

/// cos(x) = -(-1)^m sin(x - (m + 1/2) π).
#[inline(always)]
fn cos_lanes<V: Lanes>(x: V) -> V {
    let magic = V::constant(V::Element::ROUND_MAGIC);
    let m = x.mul_add(V::constant(core::f64::consts::FRAC_1_PI), V::constant(-0.5)) + magic - magic;
    reduced_sine(x, m + V::constant(0.5), -parity(m))
}

/// Implements operators and [`Real`] for a register type from its primitive operations.
macro_rules! real_from_lanes {
    ($Name:ident, $E:ty, add $add:expr, sub $sub:expr, mul $mul:expr, div $div:expr, neg $neg:expr) => {
        impl Add for $Name {
            type Output = Self;
            #[inline(always)]
            fn add(self, o: Self) -> Self {
                // SAFETY: values of this type exist only where the instruction set does.
                #[allow(unused_unsafe)]
                unsafe {
                    $Name($add(self.0, o.0))
                }
            }
        }
        impl Sub for $Name {
            type Output = Self;
            #[inline(always)]
            fn sub(self, o: Self) -> Self {
                // SAFETY: as above.
                #[allow(unused_unsafe)]
                unsafe {
                    $Name($sub(self.0, o.0))
                }
            }
        }
        impl Mul for $Name {
            type Output = Self;
            #[inline(always)]
            fn mul(self, o: Self) -> Self {
                // SAFETY: as above.
                #[allow(unused_unsafe)]
                unsafe {
                    $Name($mul(self.0, o.0))
                }
            }
        }
        impl Div for $Name {
            type Output = Self;
            #[inline(always)]
            fn div(self, o: Self) -> Self {
                // SAFETY: as above.
                #[allow(unused_unsafe)]
                unsafe {
                    $Name($div(self.0, o.0))
                }
            }
        }
        impl Neg for $Name {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                // SAFETY: as above.
                #[allow(unused_unsafe)]
                unsafe {
                    $Name($neg(self.0))
                }
            }
        }
        impl Real for $Name {
            #[inline(always)]
            fn constant(value: f64) -> Self {
                <Self as Lanes>::splat(value as $E)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                exp_lanes(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                tanh_lanes(self)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                sigmoid_lanes(self)
            }
            #[inline(always)]
            fn relu(self) -> Self {
                <Self as Real>::constant(0.0).max_or(self)
            }
            #[inline(always)]
            fn softplus(self) -> Self {
                softplus_lanes(self)
            }
            #[inline(always)]
            fn sin(self) -> Self {
                sin_lanes(self)
            }
            #[inline(always)]
            fn cos(self) -> Self {
                cos_lanes(self)
            }
            #[inline(always)]
            fn step(self) -> Self {
                self.step_lanes()
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2F32, Avx2F64, Avx512F32, Avx512F64};

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
pub use neon::{NeonF32, NeonF64};

mod plain;
pub use plain::{PlainF32, PlainF64};

/// Work that is compiled once for each instruction set.
///
/// `run` must be `#[inline(always)]`, and so must all that it calls on registers: it is inlined into a function that is
/// compiled for the set.
pub trait LaneTask<F> {
    /// Does the work with registers of type `V`.
    ///
    /// # Safety
    /// The processor has `V`'s instruction set, and whatever the task's own pointers ask.
    unsafe fn run<V: Lanes<Element = F>>(self);
}

/// Runs a task with the registers of an instruction set.
///
/// # Safety
/// The processor has `isa`, and whatever the task's own pointers ask.
#[inline]
pub unsafe fn dispatch<F: Element, T: LaneTask<F>>(isa: Isa, task: T) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
    unsafe fn avx512<F: Element, T: LaneTask<F>>(task: T) {
        // SAFETY: the caller's promise; this function is compiled for the set.
        unsafe { task.run::<F::Avx512>() }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<F: Element, T: LaneTask<F>>(task: T) {
        // SAFETY: as above.
        unsafe { task.run::<F::Avx2>() }
    }
    // SAFETY: the caller promises that the processor has the set.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512(task),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2(task),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => task.run::<F::Neon>(),
            Isa::Plain => task.run::<F::Plain>(),
        }
    }
}

/// Numbers in a register and registers in a panel, for an instruction set and a precision.
pub(crate) fn shape<F: Element>(isa: Isa) -> (usize, usize) {
    fn of<V: Lanes>() -> (usize, usize) {
        (V::COUNT, V::PANEL)
    }
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => of::<F::Avx512>(),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => of::<F::Avx2>(),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => of::<F::Neon>(),
        Isa::Plain => of::<F::Plain>(),
    }
}

#[cfg(test)]
mod tests;

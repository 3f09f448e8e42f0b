//! Dual numbers: a value and its partial derivative by each argument of a stage.
//!
//! Forward-mode differentiation of one stage gives its whole local Jacobian in one evaluation. Partials that cannot be
//! anything but zero are tracked in [`Dual::live`], a mask that is constant after inlining, so that the compiler drops
//! their arithmetic (`0 * x` alone would not fold: `x` might be NaN).

use super::Real;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// A fixed-size array, as a trait, so that a stage's argument list can be an associated type.
pub trait Array<R>: Copy + AsRef<[R]> + AsMut<[R]> {
    /// Number of elements.
    const LEN: usize;
    /// The array that holds `value` everywhere.
    fn splat(value: R) -> Self;
}

impl<R: Copy, const N: usize> Array<R> for [R; N] {
    const LEN: usize = N;
    #[inline(always)]
    fn splat(value: R) -> Self {
        [value; N]
    }
}

/// A value of type `R` with its partial derivatives by `A::LEN` arguments.
#[derive(Clone, Copy, Debug)]
pub struct Dual<R, A> {
    /// The value.
    pub value: R,
    /// The partial derivatives; entries whose bit in `live` is clear are zero and never read.
    pub partials: A,
    /// Bit `i` is set when partial `i` may differ from zero.
    pub live: u32,
}

impl<R: Real, A: Array<R>> Dual<R, A> {
    /// The `index`-th argument: its own partial is one.
    #[inline(always)]
    pub fn argument(value: R, index: usize) -> Self {
        let mut partials = A::splat(R::constant(0.0));
        partials.as_mut()[index] = R::constant(1.0);
        Dual { value, partials, live: 1 << index }
    }

    /// `f(self)` with value `value` and derivative `slope` there.
    #[inline(always)]
    fn chain(self, value: R, slope: R) -> Self {
        let mut partials = A::splat(R::constant(0.0));
        for i in 0..A::LEN {
            if self.live & (1 << i) != 0 {
                partials.as_mut()[i] = self.partials.as_ref()[i] * slope;
            }
        }
        Dual { value, partials, live: self.live }
    }

    /// `f(self, other)` with value `value`; `left`, `right` and `both` give a partial of the result from the partials of
    /// whichever operands have one.
    #[inline(always)]
    fn combine(
        self,
        other: Self,
        value: R,
        left: impl Fn(R) -> R,
        right: impl Fn(R) -> R,
        both: impl Fn(R, R) -> R,
    ) -> Self {
        let mut partials = A::splat(R::constant(0.0));
        for i in 0..A::LEN {
            let (a, b) = (self.partials.as_ref()[i], other.partials.as_ref()[i]);
            match (self.live & (1 << i) != 0, other.live & (1 << i) != 0) {
                (true, true) => partials.as_mut()[i] = both(a, b),
                (true, false) => partials.as_mut()[i] = left(a),
                (false, true) => partials.as_mut()[i] = right(b),
                (false, false) => {}
            }
        }
        Dual { value, partials, live: self.live | other.live }
    }
}

impl<R: Real, A: Array<R>> Add for Dual<R, A> {
    type Output = Self;
    #[inline(always)]
    fn add(self, o: Self) -> Self {
        self.combine(o, self.value + o.value, |a| a, |b| b, |a, b| a + b)
    }
}

impl<R: Real, A: Array<R>> Sub for Dual<R, A> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, o: Self) -> Self {
        self.combine(o, self.value - o.value, |a| a, |b| -b, |a, b| a - b)
    }
}

impl<R: Real, A: Array<R>> Mul for Dual<R, A> {
    type Output = Self;
    #[inline(always)]
    #[expect(clippy::suspicious_arithmetic_impl, reason = "the product rule has a sum")]
    fn mul(self, o: Self) -> Self {
        let (u, v) = (self.value, o.value);
        self.combine(o, u * v, |a| a * v, |b| u * b, |a, b| a * v + u * b)
    }
}

impl<R: Real, A: Array<R>> Div for Dual<R, A> {
    type Output = Self;
    #[inline(always)]
    fn div(self, o: Self) -> Self {
        let q = self.value / o.value;
        let w = R::constant(1.0) / o.value;
        self.combine(o, q, |a| a * w, |b| -(q * b * w), |a, b| (a - q * b) * w)
    }
}

impl<R: Real, A: Array<R>> Neg for Dual<R, A> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        let mut partials = A::splat(R::constant(0.0));
        for i in 0..A::LEN {
            if self.live & (1 << i) != 0 {
                partials.as_mut()[i] = -self.partials.as_ref()[i];
            }
        }
        Dual { value: -self.value, partials, live: self.live }
    }
}

impl<R: Real, A: Array<R>> Real for Dual<R, A> {
    #[inline(always)]
    fn constant(value: f64) -> Self {
        Dual { value: R::constant(value), partials: A::splat(R::constant(0.0)), live: 0 }
    }
    #[inline(always)]
    fn exp(self) -> Self {
        let e = self.value.exp();
        self.chain(e, e)
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        let t = self.value.tanh();
        self.chain(t, R::constant(1.0) - t * t)
    }
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let s = self.value.sigmoid();
        let slope = s * (R::constant(1.0) - s);
        #[cfg(test)]
        let slope = broken_rule::bend(slope);
        self.chain(s, slope)
    }
    #[inline(always)]
    fn relu(self) -> Self {
        let y = self.value.relu();
        self.chain(y, y.step())
    }
    #[inline(always)]
    fn softplus(self) -> Self {
        self.chain(self.value.softplus(), self.value.sigmoid())
    }
    #[inline(always)]
    fn sin(self) -> Self {
        self.chain(self.value.sin(), self.value.cos())
    }
    #[inline(always)]
    fn cos(self) -> Self {
        self.chain(self.value.cos(), -self.value.sin())
    }
    #[inline(always)]
    fn step(self) -> Self {
        Dual { value: self.value.step(), partials: A::splat(R::constant(0.0)), live: 0 }
    }
}

/// A way to break the derivative of the sigmoid on purpose, so that a test can show that the gradient check notices.
#[cfg(test)]
pub(crate) mod broken_rule {
    use super::Real;
    use std::cell::Cell;

    thread_local! {
        pub(crate) static BROKEN: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn bend<R: Real>(slope: R) -> R {
        if BROKEN.get() { slope * R::constant(1.001) } else { slope }
    }
}

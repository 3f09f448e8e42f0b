//! Plain `f32` and `f64`: the readable reference.

use super::Real;

macro_rules! scalar {
    ($($t:ident),*) => {$(
        impl Real for $t {
            #[inline(always)]
            fn constant(value: f64) -> Self {
                value as $t
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $t::exp(self)
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                $t::tanh(self)
            }
            #[inline(always)]
            fn sigmoid(self) -> Self {
                // e = exp(-|x|) never overflows and keeps the relative accuracy of the left tail.
                let e = (-self.abs()).exp();
                (if self < 0.0 { e } else { 1.0 }) / (1.0 + e)
            }
            #[inline(always)]
            fn relu(self) -> Self {
                // `self > 0.0` is false for NaN; `max` would swallow it.
                if self <= 0.0 { 0.0 } else { self }
            }
            #[inline(always)]
            fn softplus(self) -> Self {
                // e^-|x| <= 1: nothing overflows, and the left tail keeps its relative accuracy.
                (if self > 0.0 { self } else { 0.0 }) + (-self.abs()).exp().ln_1p()
            }
            #[inline(always)]
            fn sin(self) -> Self {
                $t::sin(self)
            }
            #[inline(always)]
            fn cos(self) -> Self {
                $t::cos(self)
            }
            #[inline(always)]
            fn step(self) -> Self {
                if self > 0.0 {
                    1.0
                } else if self <= 0.0 {
                    0.0
                } else {
                    self
                }
            }
        }
    )*};
}
scalar!(f32, f64);

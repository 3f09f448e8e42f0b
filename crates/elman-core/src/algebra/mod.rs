//! The algebra in which cells are written, and its interpretations.
//!
//! A cell's pointwise equations are one generic function over [`Real`]. What comes out depends on the type put in:
//!
//! | type | result |
//! | --- | --- |
//! | `f32`, `f64` | the readable reference |
//! | [`lanes`] | the vector kernel of training and streaming |
//! | [`Dual`] over either | value and exact local Jacobian: the backward pass |
//! | [`Expr`] | the recorded expression: printed equations, graphs, operation counts, tensor operations |

use crate::cell::{Cell, Pointwise};
use crate::engine::product::Multiply;
use core::fmt::Debug;
use core::ops::{Add, Div, Mul, Neg, Sub};

mod dual;
pub mod expression;
#[doc(hidden)]
pub mod kernel;
pub mod lanes;
pub(crate) mod program;
mod scalar;

#[cfg(test)]
pub(crate) use dual::broken_rule;
pub use dual::{Array, Dual};
pub use expression::Expr;

/// A number in which a cell's equations can be evaluated.
///
/// Every function here has its derivative in [`Dual`] and its symbol in [`Expr`]; adding one means adding it to all
/// interpretations, which the compiler enforces.
pub trait Real:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// The number `value` in this interpretation.
    fn constant(value: f64) -> Self;
    /// `e^x`.
    fn exp(self) -> Self;
    /// Hyperbolic tangent; exactly ±1 in the tails, NaN stays NaN.
    fn tanh(self) -> Self;
    /// Logistic function `1 / (1 + e^-x)`; exactly 1 in the right tail, below 2e-38 in the far left one, NaN stays NaN.
    fn sigmoid(self) -> Self;
    /// `max(x, 0)` with derivative 0 at 0 (as in PyTorch); NaN stays NaN.
    fn relu(self) -> Self;
    /// 1 where `x > 0`, 0 elsewhere, NaN where `x` is NaN; its own derivative is 0. The slope of [`Real::relu`].
    fn step(self) -> Self;
    /// `ln(1 + e^x)`, a smooth rectifier; its slope is [`Real::sigmoid`]. NaN stays NaN.
    fn softplus(self) -> Self;
    /// Sine of an angle in radians, meant for |x| up to some thousands; NaN stays NaN, infinity becomes NaN.
    fn sin(self) -> Self;
    /// Cosine, as [`Real::sin`].
    fn cos(self) -> Self;
    /// Gives an intermediate result the name that the equations use; only the recorder listens.
    #[inline(always)]
    fn named(self, _name: &'static str) -> Self {
        self
    }
}

/// A floating-point type that the engine runs in: `f32` or `f64`.
pub trait Element: Real + lanes::Registers + Multiply + Default + PartialOrd + Debug + Send + Sync + 'static {
    /// The value as `f64`.
    fn to_f64(self) -> f64;
    /// Its square root.
    fn sqrt(self) -> Self;
    /// A cell's equations in this precision.
    fn pointwise(cell: &dyn Cell) -> &dyn Pointwise<Self>;
}

impl Element for f32 {
    fn to_f64(self) -> f64 {
        self.into()
    }
    fn sqrt(self) -> f32 {
        self.sqrt()
    }
    fn pointwise(cell: &dyn Cell) -> &dyn Pointwise<f32> {
        cell
    }
}

impl Element for f64 {
    fn to_f64(self) -> f64 {
        self
    }
    fn sqrt(self) -> f64 {
        self.sqrt()
    }
    fn pointwise(cell: &dyn Cell) -> &dyn Pointwise<f64> {
        cell
    }
}

/// Free functions and constants for the bodies of [`cell!`](crate::cell!).
pub mod prelude {
    use super::*;

    /// `σ(x) = 1 / (1 + e^-x)`.
    #[inline(always)]
    pub fn sigmoid<R: Real>(x: R) -> R {
        x.sigmoid()
    }
    /// `tanh(x)`.
    #[inline(always)]
    pub fn tanh<R: Real>(x: R) -> R {
        x.tanh()
    }
    /// `max(x, 0)`.
    #[inline(always)]
    pub fn relu<R: Real>(x: R) -> R {
        x.relu()
    }
    /// `e^x`.
    #[inline(always)]
    pub fn exp<R: Real>(x: R) -> R {
        x.exp()
    }
    /// `ln(1 + e^x)`.
    #[inline(always)]
    pub fn softplus<R: Real>(x: R) -> R {
        x.softplus()
    }
    /// `sin(x)`, x in radians.
    #[inline(always)]
    pub fn sin<R: Real>(x: R) -> R {
        x.sin()
    }
    /// `cos(x)`, x in radians.
    #[inline(always)]
    pub fn cos<R: Real>(x: R) -> R {
        x.cos()
    }

    /// A literal number in an equation: `ONE - z`, `K(0.5) * x`.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub struct K(pub f64);
    /// The number 1: `h = (ONE - z) * h + z * n`.
    pub const ONE: K = K(1.0);

    macro_rules! literal_op {
        ($($trait:ident $method:ident $op:tt),*) => {$(
            impl<R: Real> $trait<R> for K {
                type Output = R;
                #[inline(always)]
                fn $method(self, other: R) -> R {
                    R::constant(self.0) $op other
                }
            }
        )*};
    }
    literal_op!(Add add +, Sub sub -, Mul mul *, Div div /);

    pub use super::Activation;
}

/// A pointwise nonlinearity chosen by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activation {
    /// `tanh(x)`
    Tanh,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// `max(x, 0)`
    Relu,
    /// `x`
    Identity,
    /// `ln(1 + e^x)`
    Softplus,
    /// `x / (1 + |x|)`
    Softsign,
    /// `x` above 0, `x / 100` below (Maas, Hannun & Ng 2013)
    LeakyRelu,
    /// `x` above 0, `e^x - 1` below (Clevert, Unterthiner & Hochreiter 2016)
    Elu,
    /// `x σ(x)`, swish (Elfwing, Uchibe & Doya 2018)
    Silu,
    /// `x` between -1 and 1, these two beyond
    HardTanh,
    /// `x / 6 + 1/2` between 0 and 1, these two beyond
    HardSigmoid,
    /// `sin(x)`
    Sin,
    /// `cos(x)`
    Cos,
}

impl Activation {
    /// All of them by name.
    pub const ALL: [(&str, Activation); 13] = [
        ("tanh", Activation::Tanh),
        ("sigmoid", Activation::Sigmoid),
        ("relu", Activation::Relu),
        ("identity", Activation::Identity),
        ("softplus", Activation::Softplus),
        ("softsign", Activation::Softsign),
        ("leaky-relu", Activation::LeakyRelu),
        ("elu", Activation::Elu),
        ("silu", Activation::Silu),
        ("hard-tanh", Activation::HardTanh),
        ("hard-sigmoid", Activation::HardSigmoid),
        ("sin", Activation::Sin),
        ("cos", Activation::Cos),
    ];

    /// Applies the nonlinearity to a number that gets a name in the equations where they use it more than once.
    #[inline(always)]
    pub fn of_named<R: Real>(self, x: R, name: &'static str) -> R {
        if self.repeats() { self.of(x.named(name)) } else { self.of(x) }
    }

    /// Whether its formula uses the number more than once.
    #[inline(always)]
    pub(crate) fn repeats(self) -> bool {
        matches!(self, Activation::Softsign | Activation::LeakyRelu | Activation::Elu | Activation::Silu)
    }

    /// Applies the nonlinearity.
    #[inline(always)]
    pub fn of<R: Real>(self, x: R) -> R {
        match self {
            Activation::Tanh => x.tanh(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Relu => x.relu(),
            Activation::Identity => x,
            Activation::Softplus => x.softplus(),
            // |x| from the two halves.
            Activation::Softsign => x / (R::constant(1.0) + x.relu() + (-x).relu()),
            // x - relu(x) is the half below, with the slope 1 at 0.
            Activation::LeakyRelu => x.relu() + R::constant(0.01) * (x - x.relu()),
            Activation::Elu => x.relu() + ((x - x.relu()).exp() - R::constant(1.0)),
            Activation::Silu => x * x.sigmoid(),
            Activation::HardTanh => R::constant(1.0) - (R::constant(2.0) - (x + R::constant(1.0)).relu()).relu(),
            Activation::HardSigmoid => {
                let risen = (x * R::constant(1.0 / 6.0) + R::constant(0.5)).relu();
                R::constant(1.0) - (R::constant(1.0) - risen).relu()
            }
            Activation::Sin => x.sin(),
            Activation::Cos => x.cos(),
        }
    }
}

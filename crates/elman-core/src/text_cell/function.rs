//! The functions of equations: a line each.

use crate::algebra::Real;

macro_rules! functions {
    ($($Name:ident = $method:ident, $($spelled:literal),+;)+) => {
        /// A function of one number.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub(super) enum Function {
            $($Name),+
        }

        impl Function {
            /// The function of this name; Greek letters are spelt out.
            pub fn find(name: &str) -> Option<Function> {
                match name {
                    $($($spelled)|+ => Some(Function::$Name),)+
                    _ => None,
                }
            }

            /// Its value.
            #[inline(always)]
            pub fn of<R: Real>(self, x: R) -> R {
                match self {
                    $(Function::$Name => x.$method(),)+
                }
            }
        }

        const NAMES: &[&str] = &[$(stringify!($method)),+];
    };
}

functions! {
    Sigmoid = sigmoid, "sigmoid", "sigma";
    Tanh = tanh, "tanh";
    Relu = relu, "relu";
    Exp = exp, "exp";
    Softplus = softplus, "softplus";
    Sin = sin, "sin";
    Cos = cos, "cos";
}

/// All functions, for messages.
pub(super) fn names() -> String {
    format!("{}, norm", NAMES.join(", "))
}

//! The contract of a recurrent cell, and the [`cell!`](crate::cell!) macro in which cells are written.
//!
//! One time step of a cell is a list of **stages**. A stage has *gates*: affine maps of named *sources* (the input `x`,
//! a value carried from the step before, or a value that an earlier stage wrote in this step). Everything after the
//! affine maps (and the normalisers across units that a gate may have) is pointwise: the stage's equations see, for each unit, its gates, the values it *reads*, its
//! per-*unit* parameters and its *feeds* (inputs for each step and unit), and write values of the stage's width.
//!
//! A name that an earlier stage has written means the new value; until then it means the one carried from the step
//! before.

use crate::Draw;
use crate::algebra::{Expr, Real, lanes::Isa};
use core::fmt::Debug;

/// The width of a stage or value: which of a layer's sizes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Width {
    /// I, the width of `x`.
    Input,
    /// H, the hidden width.
    Hidden,
    /// P, the width of a projection or of an output that is fed back.
    Output,
}

/// Added to the variance by a normaliser, as PyTorch's `LayerNorm` does by default.
pub const NORMALISER_EPSILON: f64 = 1e-5;

/// Layer normalisation of a gate across the units of its stage, before its bias is added (Ba, Kiros & Hinton 2016):
///
/// `gate[u] = gain[u] (a[u] - mean(a)) / sqrt(var(a) + ε) + bias[u]`, with the mean and the biased variance of one row over
/// all units, a gain for each unit, and ε = [`NORMALISER_EPSILON`]. It is not pointwise: the engine computes it, and its
/// backward, between the products and the equations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Normaliser<P> {
    /// The gate is used as it is.
    None,
    /// `a` is the gate's sum of products.
    Sum,
    /// `a` is a value: the gate has no products.
    Value(P),
}

/// One affine map: the sum of a matrix product for each source, plus a bias.
#[derive(Clone, Copy, Debug)]
pub struct GateSpec {
    /// Its name in the equations.
    pub name: &'static str,
    /// Names of the values it multiplies; none for a gate that is its bias alone.
    pub sources: &'static [&'static str],
    /// Whether a bias is added.
    pub bias: bool,
    /// Whether it is normalised across units.
    pub normaliser: Normaliser<&'static str>,
}

/// One stage of a step. The arguments of its equations are, in this order: gates, reads, units, feeds.
#[derive(Clone, Copy, Debug)]
pub struct StageSpec {
    /// Width of its gates, reads, units, feeds and of what it writes.
    pub width: Width,
    /// Affine maps.
    pub gates: &'static [GateSpec],
    /// Values read pointwise.
    pub reads: &'static [&'static str],
    /// Parameters with one number a unit (peepholes, leaks).
    pub units: &'static [&'static str],
    /// For each of these, how it is drawn before training; `None`: as any other parameter.
    pub draws: &'static [Option<Draw>],
    /// Inputs with one number a step and a unit (noise, zoneout masks).
    pub feeds: &'static [&'static str],
    /// For each of these, the probability with which it is 1 while training, and 0 otherwise; evaluation takes the probability itself, its
    /// mean. `None`, or no entry: the caller gives it.
    pub feed_probabilities: &'static [Option<f64>],
    /// Values written.
    pub writes: &'static [&'static str],
}

impl StageSpec {
    /// Number of arguments of the stage's equations.
    pub const fn arguments(&self) -> usize {
        self.gates.len() + self.reads.len() + self.units.len() + self.feeds.len()
    }

    /// The arguments whose gradients are added to what is there: reads and units. Those of gates and feeds are stored.
    pub(crate) fn accumulated(&self) -> core::ops::Range<usize> {
        self.gates.len()..self.gates.len() + self.reads.len() + self.units.len()
    }
}

/// The whole shape of a cell: what is carried, what is the output, its stages.
#[derive(Clone, Copy, Debug)]
pub struct CellSpec {
    /// Registry name of the cell (a preset may be registered under another).
    pub name: &'static str,
    /// The cell's documentation: what it is in its first paragraph, then its differences from other definitions.
    pub doc: &'static str,
    /// Where its equations are from: authors, title, year and the equations' numbers, or a lecture deck. Empty for a cell that does not say.
    pub source: &'static str,
    /// Values kept from step to step.
    pub carry: &'static [&'static str],
    /// The carried value that is the layer's output.
    pub output: &'static str,
    /// Stages in order of evaluation.
    pub stages: &'static [StageSpec],
}

impl CellSpec {
    /// How the unit of this name is drawn before training, where the cell says so.
    pub(crate) fn draw(&self, unit: &str) -> Option<Draw> {
        let mut units = self.stages.iter().flat_map(|stage| stage.units.iter().zip(stage.draws));
        units.find(|(name, _)| **name == unit).and_then(|(_, draw)| *draw)
    }

    /// The carried values that a step reads of the step before; the others are carried for the output alone.
    ///
    /// ```
    /// use elman_core::cells;
    /// let spec = (cells::find("state-space").unwrap().make)().spec();
    /// assert_eq!(spec.carry, ["y", "s"]);
    /// assert_eq!(spec.read_before(), ["s"]);
    /// ```
    pub fn read_before(&self) -> Vec<&'static str> {
        let is_read = |name: &&'static str| {
            let mut before = self.stages.iter().take_while(|stage| !stage.writes.contains(name));
            let writer = self.stages.iter().find(|stage| stage.writes.contains(name));
            let reads = |stage: &StageSpec| {
                let of_gate =
                    |gate: &GateSpec| gate.sources.contains(name) || gate.normaliser == Normaliser::Value(*name);
                stage.gates.iter().any(of_gate) || stage.reads.contains(name)
            };
            before.any(reads) || writer.is_some_and(reads)
        };
        self.carry.iter().copied().filter(is_read).collect()
    }
}

/// The pointwise equations of stage `K` of a cell, generic over the number in which they are evaluated.
///
/// Written by [`cell!`](crate::cell!).
pub trait Stage<const K: usize> {
    /// The argument list: gates, reads, units, feeds.
    type In<R: Real>: crate::algebra::Array<R>;
    /// The values written.
    type Out<R: Real>: crate::algebra::Array<R>;
    /// The equations.
    fn eval<R: Real>(&self, arguments: Self::In<R>) -> Self::Out<R>;
}

/// One argument or result of a stage for a column of lanes: `ptr + row * stride`, one vector a row.
///
/// `stride` is 0 for what is the same in every row (per-unit parameters and their gradients).
#[derive(Clone, Copy, Debug)]
pub struct Column<F> {
    /// First row.
    pub ptr: *mut F,
    /// Distance between rows in elements.
    pub stride: usize,
}

/// A cell's equations with their types erased, in precision `F`.
pub trait Pointwise<F>: Send + Sync {
    /// Evaluates stage `stage` in `rows` rows of one vector each.
    ///
    /// # Safety
    /// `isa` is supported by this processor; `args` and `outs` have the stage's lengths, and each column is valid for
    /// `rows` rows of `isa`'s vector of `F`; outputs do not overlap arguments except where equal.
    unsafe fn forward(&self, stage: usize, isa: Isa, args: &[Column<F>], outs: &[Column<F>], rows: usize);

    /// Backward of [`forward`](Pointwise::forward): from the gradient of each output, the gradient of each argument.
    /// Gates and feeds are stored; reads and units are added to.
    ///
    /// # Safety
    /// As for `forward`; `d_args` has the length of `args`.
    unsafe fn backward(
        &self,
        stage: usize,
        isa: Isa,
        args: &[Column<F>],
        d_outs: &[Column<F>],
        d_args: &[Column<F>],
        rows: usize,
    );

    /// Evaluates one unit in plain numbers: the readable reference.
    fn eval(&self, stage: usize, args: &[F], outs: &mut [F]);

    /// One unit's value and Jacobian: `jacobian[o * args.len() + a]` = d out `o` / d argument `a`.
    fn jacobian(&self, stage: usize, args: &[F], outs: &mut [F], jacobian: &mut [F]);
}

/// An option of a cell outside its range.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{option} is {value}; it must be {range}")]
pub struct OptionError {
    /// The option's name.
    pub option: &'static str,
    /// What was given.
    pub value: f64,
    /// What it may be.
    pub range: &'static str,
}

/// A recurrent cell with its type erased: what the registry holds and the engine runs.
pub trait Cell: Pointwise<f32> + Pointwise<f64> + Debug + 'static {
    /// Stages, carried values and names.
    fn spec(&self) -> &'static CellSpec;
    /// Evaluates a stage on recorded expressions; call it inside [`expression::record`](crate::algebra::expression::record).
    fn record(&self, stage: usize, args: &[Expr]) -> Vec<Expr>;
}

/// Defines a cell from its equations.
///
/// ```
/// use elman_core::cell;
/// cell! {
///     /// Long short-term memory with peepholes.
///     #[derive(Clone, Debug)]
///     pub struct Peephole = "my-peephole" {}
///     source "Gers & Schmidhuber, \"Recurrent nets that time and count\", 2000";
///     carry h, c; output h;
///     stage 0 hidden {
///         gate i, f, g, o = [x, h];
///         read c;
///         unit pi, pf, po;
///     } -> h, c {
///         i = sigmoid(i + pi * c);
///         f = sigmoid(f + pf * c);
///         c = f * c + i * tanh(g);
///         o = sigmoid(o + po * c);
///         h = o * tanh(c);
///     }
/// }
/// use elman_core::Cell;
/// assert_eq!(Peephole {}.spec().stages[0].units, ["pi", "pf", "po"]);
/// ```
///
/// * `struct Name = "name" { field: Type, ... }`: the hyper-parameters; their names stand in the equations.
/// * `source "...";`: where the equations are from, or nothing.
/// * `carry a, b; output a;`: the values kept from step to step and the one that is the layer's output.
/// * `stage K width { ... } -> written { equations }` for K = 0, 1, ...; the width is `hidden` or `output`.
/// * `gate p, q = [x, h];`: affine maps of these sources, with a bias; `[m; no bias]` leaves it out.
/// * `gate p = [norm x, h];` normalises the gate across units, `gate p = (norm c);` does so with the value `c` in place of
///   a sum of products: see [`Normaliser`].
/// * `read`, `unit`, `feed`: see [`StageSpec`]; `unit u in -1.0..1.0;` is drawn from this range before training, and `unit u = Ln(&Uniform(1.0, 2.0));`
///   by this formula: see [`Draw`].
/// * Each equation is `name = expression;` over [`Real`](crate::Real): `+ - * /`, `sigmoid tanh relu softplus exp sin cos`, `ONE`, `K(2.0)`.
#[macro_export]
macro_rules! cell {
    (
        $(#[doc = $doc:literal])*
        $(#[derive($($derive:ident),*)])?
        $vis:vis struct $Name:ident = $name:literal { $($hyper:ident : $Hyper:ty),* $(,)? }
        $( source $source:literal ; )?
        carry $($carry:ident),+ ; output $output:ident ;
        $(
            stage $k:literal $width:ident {
                $( gate $($gate:ident),+ = $sources:tt ; )*
                $( read $($read:ident),+ ; )?
                $( unit $($unit:ident $(in $low:literal .. $high:literal)? $(= $draw:expr)?),+ ; )?
                $( feed $($feed:ident),+ ; )?
            } -> $($write:ident),+ {
                $( $lhs:ident = $rhs:expr ; )+
            }
        )+
    ) => {
        $(#[doc = $doc])*
        $(
            #[doc = ""]
            #[doc = concat!("Source: ", $source, ".")]
        )?
        $(#[derive($($derive),*)])?
        $vis struct $Name {
            $(
                #[doc = concat!("Hyper-parameter `", stringify!($hyper), "` of the equations.")]
                pub $hyper: $Hyper,
            )*
        }

        $crate::__cell_stages! {
            $Name { $($hyper),* }
            $(
                stage $k
                [ $($($gate,)+)* $($($read,)+)? $($($unit,)+)? $($($feed,)+)? ]
                [ $($write),+ ]
                { $( $lhs = $rhs ; )+ }
            )+
        }

        const _: () = {
            use $crate::algebra::lanes::Isa;
            use $crate::algebra::{Expr, kernel};
            use $crate::cell::{Cell, CellSpec, Column, GateSpec, Pointwise, StageSpec};

            $crate::__cell_pointwise!(f32, $Name, $($k [$($($gate)+)*] [$($($read)+)?] [$($($unit)+)?])+);
            $crate::__cell_pointwise!(f64, $Name, $($k [$($($gate)+)*] [$($($read)+)?] [$($($unit)+)?])+);

            static SPEC: CellSpec = CellSpec {
                name: $name,
                doc: concat!($($doc, "\n"),*),
                source: concat!($($source)?),
                carry: &[$(stringify!($carry)),+],
                output: stringify!($output),
                stages: &[$(
                    StageSpec {
                        width: $crate::__cell_width!($width),
                        gates: &[$($(
                            GateSpec {
                                name: stringify!($gate),
                                sources: $crate::__cell_sources!($sources),
                                bias: $crate::__cell_bias!($sources),
                                normaliser: $crate::__cell_normaliser!($sources),
                            },
                        )+)*],
                        reads: &[$($(stringify!($read)),+)?],
                        units: &[$($(stringify!($unit)),+)?],
                        draws: &[$($($crate::__cell_draw!($($low, $high)? $(= $draw)?)),+)?],
                        feeds: &[$($(stringify!($feed)),+)?],
                        feed_probabilities: &[],
                        writes: &[$(stringify!($write)),+],
                    }
                ),+],
            };

            impl Cell for $Name {
                fn spec(&self) -> &'static CellSpec {
                    &SPEC
                }
                fn record(&self, stage: usize, args: &[Expr]) -> Vec<Expr> {
                    match stage {
                        $( $k => kernel::record::<Self, $k>(self, args), )+
                        _ => panic!("{} has no stage {stage}", $name),
                    }
                }
            }
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cell_stages {
    ($Name:ident $hyper:tt) => {};
    (
        $Name:ident { $($hyper:ident),* }
        stage $k:literal [ $($arg:ident,)* ] [ $($write:ident),+ ] { $( $lhs:ident = $rhs:expr ; )+ }
        $($rest:tt)*
    ) => {
        impl $crate::cell::Stage<$k> for $Name {
            type In<R: $crate::Real> = [R; { const NAMES: &[&str] = &[$(stringify!($arg)),*]; NAMES.len() }];
            type Out<R: $crate::Real> = [R; { const NAMES: &[&str] = &[$(stringify!($write)),*]; NAMES.len() }];
            #[inline(always)]
            #[allow(unused_variables, unused_imports)]
            fn eval<R: $crate::Real>(&self, arguments: Self::In<R>) -> Self::Out<R> {
                use $crate::algebra::prelude::*;
                let Self { $($hyper),* } = self;
                let [$($arg),*] = arguments;
                $( let $lhs = R::named($rhs, stringify!($lhs)); )+
                [$($write),+]
            }
        }
        $crate::__cell_stages! { $Name { $($hyper),* } $($rest)* }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cell_pointwise {
    ($F:ty, $Name:ident, $($k:literal [$($gate:ident)*] [$($read:ident)*] [$($unit:ident)*])+) => {
        impl Pointwise<$F> for $Name {
            unsafe fn forward(
                &self, stage: usize, isa: Isa, args: &[Column<$F>], outs: &[Column<$F>], rows: usize,
            ) {
                match stage {
                    // SAFETY: the caller's promise is the kernel's.
                    $( $k => unsafe { kernel::forward::<Self, $k, $F>(self, isa, args, outs, rows) }, )+
                    _ => panic!("no stage {stage}"),
                }
            }
            unsafe fn backward(
                &self, stage: usize, isa: Isa, args: &[Column<$F>], d_outs: &[Column<$F>], d_args: &[Column<$F>],
                rows: usize,
            ) {
                match stage {
                    $( $k => {
                        const GATES: usize = { const N: &[&str] = &[$(stringify!($gate)),*]; N.len() };
                        const READS: usize = { const N: &[&str] = &[$(stringify!($read)),*]; N.len() };
                        const UNITS: usize = { const N: &[&str] = &[$(stringify!($unit)),*]; N.len() };
                        // SAFETY: the caller's promise is the kernel's.
                        unsafe {
                            kernel::backward::<Self, $k, GATES, { READS + UNITS }, $F>(self, isa, args, d_outs, d_args, rows)
                        }
                    } )+
                    _ => panic!("no stage {stage}"),
                }
            }
            fn eval(&self, stage: usize, args: &[$F], outs: &mut [$F]) {
                match stage {
                    $( $k => kernel::eval::<Self, $k, $F>(self, args, outs), )+
                    _ => panic!("no stage {stage}"),
                }
            }
            fn jacobian(&self, stage: usize, args: &[$F], outs: &mut [$F], jacobian: &mut [$F]) {
                match stage {
                    $( $k => kernel::jacobian::<Self, $k, $F>(self, args, outs, jacobian), )+
                    _ => panic!("no stage {stage}"),
                }
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cell_width {
    (hidden) => {
        $crate::cell::Width::Hidden
    };
    (output) => {
        $crate::cell::Width::Output
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cell_sources {
    ((norm $value:ident $(; no bias)?)) => {
        &[]
    };
    ([norm $($source:ident),+ $(; no bias)?]) => {
        &[$(stringify!($source)),+]
    };
    ([$($source:ident),* $(; no bias)?]) => {
        &[$(stringify!($source)),*]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cell_bias {
    ((norm $value:ident; no bias)) => {
        false
    };
    ((norm $value:ident)) => {
        true
    };
    ([norm $($source:ident),+ ; no bias]) => {
        false
    };
    ([$($source:ident),* ; no bias]) => {
        false
    };
    ([$($any:tt)*]) => {
        true
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cell_draw {
    () => {
        None
    };
    ($low:literal, $high:literal) => {
        Some($crate::Draw::Uniform($low, $high))
    };
    (= $draw:expr) => {{
        #[allow(unused_imports)]
        use $crate::Draw::*;
        Some($draw)
    }};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __cell_normaliser {
    ((norm $value:ident $($rest:tt)*)) => {
        $crate::cell::Normaliser::Value(stringify!($value))
    };
    ([norm $source:ident $($rest:tt)*]) => {
        $crate::cell::Normaliser::Sum
    };
    ([$($any:tt)*]) => {
        $crate::cell::Normaliser::None
    };
}

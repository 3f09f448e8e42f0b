//! Any cell without its biases.

use crate::algebra::{Expr, lanes::Isa};
use crate::cell::{Cell, CellSpec, Column, GateSpec, Pointwise, StageSpec};
use std::sync::Arc;

/// A cell whose gates have no bias; its equations are those of the cell within.
#[derive(Debug)]
struct NoBias {
    cell: Arc<dyn Cell>,
    spec: &'static CellSpec,
}

/// The same cell without biases.
///
/// Its specification is a few hundred bytes that stay for the life of the process.
///
/// ```
/// use elman_core::{Layer, Sizes, cells, without_bias};
///
/// let cell = without_bias((cells::find("lstm").unwrap().make)());
/// let layer = Layer::new(cell, Sizes::new(3, 5)).unwrap();
/// let names: Vec<&str> = layer.parameters().iter().map(|p| p.name.as_str()).collect();
/// assert_eq!(names, ["weight_ih", "weight_hh"]);
/// ```
pub fn without_bias(cell: Arc<dyn Cell>) -> Arc<dyn Cell> {
    let spec = cell.spec();
    let stage = |stage: &StageSpec| {
        let gates: Vec<GateSpec> = stage.gates.iter().map(|gate| GateSpec { bias: false, ..*gate }).collect();
        StageSpec { gates: gates.leak(), ..*stage }
    };
    let stages: Vec<StageSpec> = spec.stages.iter().map(stage).collect();
    let spec = Box::leak(Box::new(CellSpec { stages: stages.leak(), ..*spec }));
    Arc::new(NoBias { cell, spec })
}

impl Cell for NoBias {
    fn spec(&self) -> &'static CellSpec {
        self.spec
    }
    fn record(&self, stage: usize, args: &[Expr]) -> Vec<Expr> {
        self.cell.record(stage, args)
    }
}

macro_rules! forward_to_cell {
    ($($F:ty),*) => {$(
        impl Pointwise<$F> for NoBias {
            unsafe fn forward(&self, stage: usize, isa: Isa, args: &[Column<$F>], outs: &[Column<$F>], rows: usize) {
                // SAFETY: the caller's promise is what the cell within asks.
                unsafe { Pointwise::<$F>::forward(&*self.cell, stage, isa, args, outs, rows) }
            }
            unsafe fn backward(
                &self,
                stage: usize,
                isa: Isa,
                args: &[Column<$F>],
                d_outs: &[Column<$F>],
                d_args: &[Column<$F>],
                rows: usize,
            ) {
                // SAFETY: as above.
                unsafe { Pointwise::<$F>::backward(&*self.cell, stage, isa, args, d_outs, d_args, rows) }
            }
            fn eval(&self, stage: usize, args: &[$F], outs: &mut [$F]) {
                Pointwise::<$F>::eval(&*self.cell, stage, args, outs);
            }
            fn jacobian(&self, stage: usize, args: &[$F], outs: &mut [$F], jacobian: &mut [$F]) {
                Pointwise::<$F>::jacobian(&*self.cell, stage, args, outs, jacobian);
            }
        }
    )*};
}
forward_to_cell!(f32, f64);

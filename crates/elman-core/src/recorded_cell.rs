//! Cells whose equations are known only when the program runs: recorded, and run block by block on the vector lanes.

use crate::algebra::expression::record;
use crate::algebra::lanes::Isa;
use crate::algebra::program::{MAX_ARGUMENTS, Program};
use crate::algebra::{Dual, Element, Expr};
use crate::cell::{Cell, CellSpec, Column, Pointwise};
use crate::elementwise::Equations;
use core::fmt;

/// A stage in every form: as it is, and recorded on numbers and on dual numbers.
struct Stage<E> {
    equations: E,
    forward: Program,
    backward: Program,
}

/// A cell of recorded stages.
pub(crate) struct RecordedCell<E> {
    spec: &'static CellSpec,
    stages: Vec<Stage<E>>,
}

impl<E: Equations> RecordedCell<E> {
    /// Records the equations of each stage.
    ///
    /// # Panics
    /// If a stage has more than [`MAX_ARGUMENTS`].
    pub fn new(spec: &'static CellSpec, equations: impl IntoIterator<Item = E>) -> RecordedCell<E> {
        let stages = spec.stages.iter().zip(equations).map(|(spec, equations)| {
            let count = spec.arguments();
            assert!(count <= MAX_ARGUMENTS, "a stage with {count} arguments; at most {MAX_ARGUMENTS} are possible");
            let forward = Program::forward(&record(count, |args| equations.eval(args)));
            let dual = |args: &[_]| equations.eval(args);
            let backward = Program::backward(count, spec.writes.len(), spec.accumulated(), dual);
            Stage { equations, forward, backward }
        });
        RecordedCell { spec, stages: stages.collect() }
    }
}

impl<E> fmt::Debug for RecordedCell<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec.name)
    }
}

impl<E: Equations> Cell for RecordedCell<E> {
    fn spec(&self) -> &'static CellSpec {
        self.spec
    }

    fn record(&self, stage: usize, args: &[Expr]) -> Vec<Expr> {
        self.stages[stage].equations.eval(args)
    }
}

impl<E: Equations, F: Element> Pointwise<F> for RecordedCell<E> {
    unsafe fn forward(&self, stage: usize, isa: Isa, args: &[Column<F>], outs: &[Column<F>], rows: usize) {
        // SAFETY: the caller's promise is the program's.
        unsafe { self.stages[stage].forward.run(isa, [args, &[]], outs, rows) }
    }

    unsafe fn backward(
        &self,
        stage: usize,
        isa: Isa,
        args: &[Column<F>],
        d_outs: &[Column<F>],
        d_args: &[Column<F>],
        rows: usize,
    ) {
        // SAFETY: the caller's promise is the program's.
        unsafe { self.stages[stage].backward.run(isa, [args, d_outs], d_args, rows) }
    }

    fn eval(&self, stage: usize, args: &[F], outs: &mut [F]) {
        outs.copy_from_slice(&self.stages[stage].equations.eval(args));
    }

    fn jacobian(&self, stage: usize, args: &[F], outs: &mut [F], jacobian: &mut [F]) {
        let duals: Vec<Dual<F, [F; MAX_ARGUMENTS]>> =
            args.iter().enumerate().map(|(i, &value)| Dual::argument(value, i)).collect();
        for (o, dual) in self.stages[stage].equations.eval(&duals).iter().enumerate() {
            outs[o] = dual.value;
            // Where nothing flows the partial derivative is zero.
            jacobian[o * args.len()..][..args.len()].copy_from_slice(&dual.partials[..args.len()]);
        }
    }
}

//! Cells with another specification over the same equations: without biases, under a preset's name, with a stage repeated.

use crate::algebra::expression::record;
use crate::algebra::{Expr, Real, lanes::Isa};
use crate::cell::{Cell, CellSpec, Column, GateSpec, Pointwise, StageSpec};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A cell whose equations are those of the cell within, stage `k` those of its stage `stages[k]`.
#[derive(Debug)]
struct Altered {
    cell: Arc<dyn Cell>,
    spec: &'static CellSpec,
    stages: Vec<usize>,
}

/// The cell with another specification. It is a few hundred bytes that stay for the life of the process.
fn altered(cell: Arc<dyn Cell>, spec: CellSpec) -> Arc<dyn Cell> {
    let stages = (0..spec.stages.len()).collect();
    Arc::new(Altered { cell, spec: Box::leak(Box::new(spec)), stages })
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
    altered(cell, CellSpec { stages: stages.leak(), ..*spec })
}

/// The same cell under another name.
///
/// Its specification is a few hundred bytes that stay for the life of the process.
pub fn with_name(cell: Arc<dyn Cell>, name: &str) -> Arc<dyn Cell> {
    let spec = CellSpec { name: name.to_string().leak(), ..*cell.spec() };
    altered(cell, spec)
}

/// The cell of a preset: under the preset's name, with a summary and perhaps a source of its own. Made once.
pub(crate) fn preset(
    name: &'static str,
    summary: &str,
    source: Option<&'static str>,
    cell: impl Cell + 'static,
) -> Arc<dyn Cell> {
    static MADE: Mutex<Option<HashMap<&'static str, Arc<dyn Cell>>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || {
        let spec = cell.spec();
        // Documentation keeps the blanks before its lines.
        let (_, rest) = spec.doc.split_once("\n\n").unwrap_or_default();
        let doc = format!(" {summary}\n\n{rest}").leak();
        let spec = CellSpec { name, doc, source: source.unwrap_or(spec.source), ..*spec };
        altered(Arc::new(cell), spec)
    };
    made.get_or_insert_default().entry(name).or_insert_with(make).clone()
}

/// Per-unit parameters drawn from other ranges before training: of the first stage, in their order.
pub(crate) fn with_unit_ranges(cell: Arc<dyn Cell>, ranges: Vec<Option<(f64, f64)>>) -> Arc<dyn Cell> {
    let spec = cell.spec();
    let mut stages = spec.stages.to_vec();
    stages[0].unit_ranges = ranges.leak();
    altered(cell, CellSpec { stages: stages.leak(), ..*spec })
}

/// A cell of two stages, the second a layer from the first's value `u`, with `layers - 1` of these on top of each other.
pub(crate) fn with_second_stage_repeated(cell: Arc<dyn Cell>, name: &str, doc: String, layers: usize) -> Arc<dyn Cell> {
    let spec = cell.spec();
    let [first, second] = *spec.stages else { unreachable!("a cell of two stages") };
    let between = |k: usize| -> &'static str { format!("{}{k}", first.writes[0]).leak() };
    let one = |name: &'static str| -> &'static [&'static str] { vec![name].leak() };
    let mut stages = vec![StageSpec { writes: one(between(1)), ..first }];
    for k in 1..layers {
        let gate = GateSpec {
            name: format!("{}{k}", second.gates[0].name).leak(),
            sources: one(between(k)),
            ..second.gates[0]
        };
        let writes = if k + 1 == layers { second.writes } else { one(between(k + 1)) };
        stages.push(StageSpec { gates: vec![gate].leak(), writes, ..second });
    }
    let spec = CellSpec { name: name.to_string().leak(), doc: doc.leak(), stages: stages.leak(), ..*spec };
    let stages = (0..layers).map(|k| k.min(1)).collect();
    Arc::new(Altered { cell, spec: Box::leak(Box::new(spec)), stages })
}

impl Cell for Altered {
    fn spec(&self) -> &'static CellSpec {
        self.spec
    }
    fn record(&self, stage: usize, args: &[Expr]) -> Vec<Expr> {
        let within = self.stages[stage];
        let (own, inner) = (self.spec.stages[stage].writes, self.cell.spec().stages[within].writes);
        if own == inner {
            return self.cell.record(within, args);
        }
        // The same equations, what they write under the names of this stage.
        let recording = record(args.len(), |args| self.cell.record(within, args));
        let mut values: Vec<Expr> = Vec::with_capacity(recording.nodes.len());
        for node in &recording.nodes {
            let value = node.eval(args, &values);
            values.push(value);
        }
        for &(name, id) in &recording.names {
            let name = inner.iter().position(|&write| write == name).map_or(name, |k| own[k]);
            values[id].named(name);
        }
        recording.outputs.iter().map(|&id| values[id]).collect()
    }
}

macro_rules! forward_to_cell {
    ($($F:ty),*) => {$(
        impl Pointwise<$F> for Altered {
            unsafe fn forward(&self, stage: usize, isa: Isa, args: &[Column<$F>], outs: &[Column<$F>], rows: usize) {
                // SAFETY: the caller's promise is what the cell within asks.
                unsafe { Pointwise::<$F>::forward(&*self.cell, self.stages[stage], isa, args, outs, rows) }
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
                unsafe { Pointwise::<$F>::backward(&*self.cell, self.stages[stage], isa, args, d_outs, d_args, rows) }
            }
            fn eval(&self, stage: usize, args: &[$F], outs: &mut [$F]) {
                Pointwise::<$F>::eval(&*self.cell, self.stages[stage], args, outs);
            }
            fn jacobian(&self, stage: usize, args: &[$F], outs: &mut [$F], jacobian: &mut [$F]) {
                Pointwise::<$F>::jacobian(&*self.cell, self.stages[stage], args, outs, jacobian);
            }
        }
    )*};
}
forward_to_cell!(f32, f64);

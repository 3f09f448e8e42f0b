//! Cells with another specification over the same equations: without biases, under a preset's name, with a stage repeated.

use crate::Draw;
use crate::algebra::expression::record;
use crate::algebra::{Expr, Real, lanes::Isa};
use crate::cell::{Cell, CellSpec, Column, GateSpec, Pointwise, StageSpec, Width};
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

/// Per-unit parameters drawn otherwise before training: of the first stage, in their order.
pub(crate) fn with_draws(cell: Arc<dyn Cell>, draws: Vec<Option<Draw>>) -> Arc<dyn Cell> {
    let spec = cell.spec();
    let mut stages = spec.stages.to_vec();
    stages[0].draws = draws.leak();
    altered(cell, CellSpec { stages: stages.leak(), ..*spec })
}

/// The same cell with another documentation.
pub(crate) fn with_doc(cell: Arc<dyn Cell>, doc: String) -> Arc<dyn Cell> {
    let spec = CellSpec { doc: doc.leak(), ..*cell.spec() };
    altered(cell, spec)
}

/// Several layers on top of each other in place of stage `at`, which has one gate and writes one value. Those before the last are of the hidden width
/// and see only the layer below, the last what the stage saw too. What they write is called `stem` and a number.
pub(crate) fn with_stage_repeated(cell: Arc<dyn Cell>, at: usize, layers: usize, stem: &str) -> Arc<dyn Cell> {
    let spec = cell.spec();
    let numbered = |name: &str, k: usize| -> &'static str { format!("{name}{k}").leak() };
    let last = spec.stages[at];
    let gate = last.gates[0];
    let first = gate.sources[0];
    // Of a value between two layers, the ones to come go on with its number.
    let is_between = !spec.carry.contains(&first);
    let (mut below, skipped) = if is_between { (numbered(stem, 1), 1) } else { (first, 0) };
    let (mut stages, mut within) = (Vec::new(), Vec::new());
    for (k, stage) in spec.stages.iter().enumerate() {
        if k == at {
            for layer in 1..layers {
                let gates = vec![GateSpec { name: numbered(gate.name, layer), sources: vec![below].leak(), ..gate }];
                below = numbered(stem, layer + skipped);
                let writes = vec![below].leak();
                stages.push(StageSpec { width: Width::Hidden, gates: gates.leak(), writes, ..last });
                within.push(at);
            }
            let sources: Vec<&str> = [below].into_iter().chain(gate.sources[1..].iter().copied()).collect();
            let gates = vec![GateSpec { name: numbered(gate.name, layers), sources: sources.leak(), ..gate }];
            stages.push(StageSpec { gates: gates.leak(), ..last });
        } else if is_between && stage.writes == [first] {
            stages.push(StageSpec { writes: vec![below].leak(), ..*stage });
        } else {
            stages.push(*stage);
        }
        within.push(k);
    }
    let spec = Box::leak(Box::new(CellSpec { stages: stages.leak(), ..*spec }));
    Arc::new(Altered { cell, spec, stages: within })
}

impl Cell for Altered {
    fn spec(&self) -> &'static CellSpec {
        self.spec
    }
    fn record(&self, stage: usize, args: &[Expr]) -> Vec<Expr> {
        let within = self.stages[stage];
        let names = |stage: &StageSpec| -> Vec<&'static str> {
            stage.gates.iter().map(|gate| gate.name).chain(stage.writes.iter().copied()).collect()
        };
        let (own, inner) = (names(&self.spec.stages[stage]), names(&self.cell.spec().stages[within]));
        if own == inner {
            return self.cell.record(within, args);
        }
        // The same equations under the names of this stage.
        let recording = record(args.len(), |args| self.cell.record(within, args));
        let mut values: Vec<Expr> = Vec::with_capacity(recording.nodes.len());
        for node in &recording.nodes {
            let value = node.eval(args, &values);
            values.push(value);
        }
        for &(name, id) in &recording.names {
            let name = inner.iter().position(|&known| known == name).map_or(name, |k| own[k]);
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

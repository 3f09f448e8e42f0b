//! What the engine keeps between calls: packed weights, cached values, scratch.

use super::memory::{Buffer, Matrix, Panels};
use super::mixed::pairs::pair_rows;
use super::mixed::{Bf16Kernel, TILE};
use super::rows::Rows;
use super::weights::{PackedGradients, PackedStage, StageShape};
use super::{Input, Sequence};
use crate::algebra::Element;
use crate::algebra::lanes::{Isa, shape};
use crate::cell::CellSpec;
use crate::layer::{Layer, Place, Sizes};
use core::ops::Range;

/// Rows of the input product that are computed ahead of their use: enough to pay for reading the weights.
pub(super) const AHEAD: usize = 256;
/// Rows of a step that pay for reading the weights by themselves.
const ENOUGH: usize = 24;
/// Rows of gate gradients that are kept before the weight gradients are taken: they stay in the second cache.
pub(super) const BEHIND: usize = 512;

/// Up to so many bytes of weights, the rows of a step that a thread takes at least where the threads divide the rows: few where the weights stay in a
/// core's second cache, and enough to pay for reading them where they come from the third.
const ROWS_EACH: [(usize, usize); 2] = [(1 << 20, 4), (1 << 23, 10)];

/// Memory of one layer's run, owned by the caller and reused: no array is allocated once it has seen the largest batch, only short lists of a
/// pass's plan (`tests/allocations.rs`).
///
/// Between `forward` and `backward` it holds the cache: the pre-activations and the values of every step.
pub struct Workspace<F> {
    pub(super) plan: Option<Plan>,
    pub(super) rows: Rows,
    pub(super) stages: Vec<PackedStage<F>>,
    /// For each stage: the token table times the input weights plus bias, [group, gate][V].
    pub(super) tables: Vec<Buffer<F>>,
    /// Token ids in packed order.
    pub(super) ids: Vec<u32>,
    /// Gathered input rows (N, I), where the caller's cannot be read in place.
    pub(super) x: Buffer<F>,
    /// For each stage: its input product of the current chunk, [group, gate][rows of the chunk].
    pub(super) ahead: Vec<Buffer<F>>,
    /// For each stage: pre-activations of every step.
    pub(super) pre: Vec<Buffer<F>>,
    /// For each stage: its normalised gates at every step, before gain and bias, [group, norm].
    pub(super) hats: Vec<Buffer<F>>,
    /// For each stage: of each packed row and normalised gate, 1 / sqrt(var + ε).
    pub(super) factors: Vec<Buffer<F>>,
    /// For each value: what was written at every step, but for the output what [`Plan::outputs`] says.
    pub(super) values: Vec<Buffer<F>>,
    /// For each value that is carried: what it was before the first step, B rows.
    pub(super) initial: Vec<Buffer<F>>,
    /// For each mask: the mask in sorted rows.
    pub(super) masks: Vec<Buffer<F>>,
    /// For each mask: the masked source at every step in panels; for the input, packed rows (N, I).
    pub(super) masked: Vec<Buffer<F>>,
    /// For each feed: packed rows.
    pub(super) feeds: Vec<Buffer<F>>,
    pub(super) gradients: GradientSpace<F>,
}

/// The part that only backward needs.
pub(super) struct GradientSpace<F> {
    pub stages: Vec<PackedGradients<F>>,
    /// For each value, two buffers of B rows: gradients by this step's values and by those of the step before.
    pub values: [Vec<Buffer<F>>; 2],
    /// For each stage: gradients by parameters of its units, of each row of the batch by itself, [parameter][group][B rows].
    pub units: Vec<Buffer<F>>,
    /// For each stage: gate gradients of the current chunk, [group, gate][rows of the chunk].
    pub gates: Vec<Buffer<F>>,
    /// For each stage: gate gradients summed by token, [group, gate][V].
    pub tables: Vec<Buffer<F>>,
    /// Input rows of the current chunk (or the embedding table) in panels, in mixed precision as pairs.
    pub x: Buffer<F>,
    /// In mixed precision, where [`Plan::pairs_of_chunk`]: a source's values in the current chunk, as pairs, panel after panel.
    pub pairs: Buffer<F>,
    /// Products on their way to somewhere else.
    pub scratch: Buffer<F>,
    /// For each mask: its gradient in sorted rows.
    pub masks: Vec<Buffer<F>>,
    /// For each feed: its gradient in packed rows.
    pub feeds: Vec<Buffer<F>>,
}

impl<F: Element> Default for Workspace<F> {
    fn default() -> Self {
        Workspace::new()
    }
}

impl<F: Element> Workspace<F> {
    /// An empty workspace; it grows at its first use.
    pub fn new() -> Self {
        Workspace {
            plan: None,
            rows: Rows::default(),
            stages: Vec::new(),
            tables: Vec::new(),
            ids: Vec::new(),
            x: Buffer::default(),
            ahead: Vec::new(),
            pre: Vec::new(),
            hats: Vec::new(),
            factors: Vec::new(),
            values: Vec::new(),
            initial: Vec::new(),
            masks: Vec::new(),
            masked: Vec::new(),
            feeds: Vec::new(),
            gradients: GradientSpace {
                stages: Vec::new(),
                values: [Vec::new(), Vec::new()],
                units: Vec::new(),
                gates: Vec::new(),
                tables: Vec::new(),
                x: Buffer::default(),
                pairs: Buffer::default(),
                scratch: Buffer::default(),
                masks: Vec::new(),
                feeds: Vec::new(),
            },
        }
    }
}

/// How the rows of the input reach the products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputPath {
    /// The caller's array is already packed.
    InPlace,
    /// Gathered into [`Workspace::x`].
    Gathered,
    /// Through the folded token table.
    Table { vocabulary: usize },
}

/// Where the values of the output are held, which the caller gets in y too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outputs {
    /// With the other values, those of every step: the sequence is short.
    EveryStep,
    /// Those of so many steps at a time, each of B rows, in turn; backward takes a chunk's from y.
    Slots(usize),
    /// In y alone: only the equations read them.
    InPlace,
}

/// The shapes of one run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The cell and sizes that the buffers were laid out for.
    pub spec: &'static CellSpec,
    pub sizes: Sizes,
    pub isa: Isa,
    /// What takes the products in mixed precision, if they are.
    pub bf16: Option<Bf16Kernel>,
    pub panels: Panels,
    pub stages: Vec<StageShape>,
    /// Width of each value.
    pub widths: Vec<usize>,
    /// The value that is the layer's output.
    pub output: usize,
    /// Where the values of the output are held.
    pub outputs: Outputs,
    pub steps: usize,
    pub batch: usize,
    pub reverse: bool,
    pub path: InputPath,
    pub forward_chunks: Vec<Range<usize>>,
    pub backward_chunks: Vec<Range<usize>>,
    /// Rows of the longest chunk.
    pub forward_rows: usize,
    pub backward_rows: usize,
    /// (stage, source, place) of each mask.
    pub masks: Vec<(usize, usize, Place)>,
    /// Whether there is one stage, and all values are as wide.
    pub one_width: bool,
    /// Whether a step reads what other threads wrote in it or in the one before: in a product, or to normalise.
    pub shared: bool,
    /// For each stage, whether its products are of the input alone and are taken step by step, without a buffer in between.
    pub direct: Vec<bool>,
}

/// Whether the outputs of rows that all go through `steps` steps need no place but the caller's: no product reads them, and the equations
/// take whole registers of a row.
pub(super) fn outputs_in_place(layer: &Layer, stages: &[StageShape], lanes: usize, steps: usize) -> bool {
    let of_output = |place: Place| matches!(place, Place::Now(v) | Place::Before(v) if v == layer.output());
    let elsewhere = |stage: &StageShape| {
        stage.sources.iter().any(|source| of_output(source.place))
            || stage.norms.iter().any(|norm| norm.value.is_some_and(of_output))
    };
    // A single step may be one of many whose outputs the caller does not keep.
    steps > 1 && layer.output_width().is_multiple_of(lanes) && !stages.iter().any(elsewhere)
}

impl Plan {
    /// Rows of pairs that a source's values in a chunk of steps are, where weight gradients convert them once, and not for each piece of a gate: in
    /// mixed precision, where the rows of each step (`active`) fill a row of tiles, which is what they take. They are no more than the chunk's rows.
    pub fn pairs_of_chunk(&self, active: &[usize], chunk: &Range<usize>) -> Option<usize> {
        let active = &active[chunk.clone()];
        let fills = self.bf16.is_some() && active.iter().all(|&rows| rows >= TILE);
        fills.then(|| active.iter().map(|&rows| pair_rows(rows)).sum())
    }

    /// The source that is the input, of a stage that has it.
    pub fn input_source(&self, stage: usize) -> Option<usize> {
        self.stages[stage].sources.iter().position(|s| s.place == Place::Input)
    }

    /// Steps that backward looks at in a chunk: its own, and the one before.
    fn chunk_slots(&self) -> usize {
        1 + self.backward_chunks.iter().map(|chunk| chunk.len()).max().unwrap_or(0)
    }

    /// Whether a value is in the caller's y alone.
    pub fn in_place(&self, value: usize) -> bool {
        value == self.output && self.outputs == Outputs::InPlace
    }

    /// Index of the mask on a stage's input.
    pub fn input_mask(&self, stage: usize) -> Option<usize> {
        self.mask(stage, self.input_source(stage)?)
    }

    /// Whether each number of the input's gradient is written once, so that it need not start as zero.
    pub fn input_written_once(&self) -> bool {
        self.path == InputPath::InPlace
            && !self.masks.iter().any(|m| m.2 == Place::Input)
            && (0..self.stages.len()).any(|stage| self.input_source(stage).is_some())
    }

    /// Index of the mask on source `s` of `stage`.
    pub fn mask(&self, stage: usize, s: usize) -> Option<usize> {
        self.masks.iter().position(|m| (m.0, m.1) == (stage, s))
    }
}

impl<F: Element> Workspace<F> {
    /// Lays out a forward run: order of rows, shapes, room for everything.
    pub(super) fn prepare(&mut self, layer: &Layer, isa: Isa, bf16: Option<Bf16Kernel>, seq: &Sequence<F>) {
        let bf16 = bf16.filter(|_| F::MIXED.is_some());
        let (lanes, vectors) = shape::<F>(isa);
        let panels = Panels { lanes, width: lanes * vectors };
        let stages = StageShape::of(layer, panels);
        let widths: Vec<usize> = layer.values().iter().map(|v| layer.sizes().of(v.width)).collect();
        self.rows.set(seq.steps, seq.batch, seq.lengths, seq.reverse);
        let n = self.rows.total();

        let masks: Vec<_> = seq
            .masks
            .iter()
            .map(|m| {
                let s = layer.stages()[m.stage].sources.iter().position(|&p| p == m.source).unwrap_or_default();
                (m.stage, s, m.source)
            })
            .collect();
        let x_masked = masks.iter().any(|m| m.2 == Place::Input);
        let path = match seq.input {
            Input::Dense(_) if seq.lengths.is_none() && !seq.reverse => InputPath::InPlace,
            Input::Tokens { .. } if !x_masked && seq.vocabulary(layer) <= n => {
                InputPath::Table { vocabulary: seq.vocabulary(layer) }
            }
            _ => InputPath::Gathered,
        };
        let input_alone =
            |stage: &StageShape| stage.norms.is_empty() && stage.sources.iter().all(|s| s.place == Place::Input);
        let shared = !stages.iter().all(input_alone);
        let direct = stages.iter().map(|stage| {
            let all_gates = stage.sources.iter().any(|s| s.gates.len() == stage.gates);
            let table = matches!(path, InputPath::Table { .. });
            input_alone(stage) && all_gates && !table && seq.batch >= ENOUGH
        });
        let direct = direct.collect();
        let one_width = stages.len() == 1 && widths.iter().all(|&width| width == stages[0].width);
        let forward_chunks = self.rows.chunks(AHEAD);
        let backward_chunks = self.rows.chunks(BEHIND);
        let longest = |chunks: &[core::ops::Range<usize>]| {
            chunks.iter().map(|c| self.rows.offset[c.end] - self.rows.offset[c.start]).max().unwrap_or(0)
        };
        let (forward_rows, backward_rows) = (longest(&forward_chunks), longest(&backward_chunks));

        let spec = layer.cell().spec();
        let same = |p: &Plan| {
            core::ptr::eq(p.spec, spec)
                && p.sizes == layer.sizes()
                && p.panels == panels
                && p.bf16.is_some() == bf16.is_some()
        };
        if !self.plan.as_ref().is_some_and(same) {
            // Another layer: start anew.
            *self = Workspace { rows: core::mem::take(&mut self.rows), ..Workspace::new() };
            self.stages = stages.iter().map(|stage| PackedStage::new(stage, bf16.is_some())).collect();
            self.gradients.stages = stages.iter().map(PackedGradients::new).collect();
        }
        let w = panels.width;
        let grow = |list: &mut Vec<Buffer<F>>, sizes: &[usize]| {
            list.resize_with(sizes.len(), Buffer::default);
            for (buffer, &size) in list.iter_mut().zip(sizes) {
                buffer.room(size);
            }
        };
        for (packed, stage) in self.stages.iter_mut().zip(&stages) {
            packed.reserve(stage, panels, false);
        }
        let input_panels = |stage: &StageShape| {
            stage.sources.iter().find(|s| s.place == Place::Input).map_or(0, |s| stage.groups * s.gates.len())
        };
        let (ahead_rows, table_rows) = match path {
            InputPath::Table { vocabulary } => (0, vocabulary),
            _ => (forward_rows, 0),
        };
        grow(&mut self.ahead, &stages.iter().map(|s| input_panels(s) * ahead_rows * w).collect::<Vec<_>>());
        grow(&mut self.tables, &stages.iter().map(|s| input_panels(s) * table_rows * w).collect::<Vec<_>>());
        grow(&mut self.pre, &stages.iter().map(|s| s.panels() * n * w).collect::<Vec<_>>());
        grow(&mut self.hats, &stages.iter().map(|s| s.groups * s.norms.len() * n * w).collect::<Vec<_>>());
        grow(&mut self.factors, &stages.iter().map(|s| s.norms.len() * n).collect::<Vec<_>>());
        grow(&mut self.initial, &widths.iter().map(|&v| panels.padded(v) * seq.batch).collect::<Vec<_>>());
        let source_width = |m: &(usize, usize, Place)| panels.padded(layer.width_of(m.2));
        grow(&mut self.masks, &masks.iter().map(|m| source_width(m) * seq.batch).collect::<Vec<_>>());
        grow(&mut self.masked, &masks.iter().map(|m| source_width(m) * n).collect::<Vec<_>>());
        let feeds: Vec<usize> =
            layer.stages().iter().flat_map(|s| core::iter::repeat_n(panels.padded(s.width) * n, s.feeds)).collect();
        grow(&mut self.feeds, &feeds);
        if path == InputPath::Gathered {
            self.x.room(n * layer.sizes().input);
        }
        let mut plan = Plan {
            spec,
            sizes: layer.sizes(),
            isa,
            bf16,
            panels,
            stages,
            widths,
            output: layer.output(),
            outputs: Outputs::EveryStep,
            steps: seq.steps,
            batch: seq.batch,
            reverse: seq.reverse,
            path,
            forward_chunks,
            backward_chunks,
            forward_rows,
            backward_rows,
            masks,
            one_width,
            shared,
            direct,
        };
        if seq.lengths.is_none() && outputs_in_place(layer, &plan.stages, lanes, seq.steps) {
            plan.outputs = Outputs::InPlace;
        } else if plan.chunk_slots() * seq.batch < n {
            // A step reads the one before.
            plan.outputs = Outputs::Slots(2);
        }
        let rows = |value| match plan.outputs {
            Outputs::Slots(slots) if value == plan.output => slots * seq.batch,
            Outputs::InPlace if value == plan.output => 0,
            _ => n,
        };
        let values = plan.widths.iter().enumerate().map(|(value, &width)| panels.padded(width) * rows(value));
        grow(&mut self.values, &values.collect::<Vec<_>>());
        self.plan = Some(plan);
    }

    /// Whether each of so many threads takes rows of its own through all units of a step, and not units of its own through all rows.
    ///
    /// Then it need not wait for the others in a step, where it would have to; but it goes through all weights for fewer rows ([`ROWS_EACH`]).
    /// Gradients by parameters of normalisers are summed over rows in the step itself, and no sum is divided: then it is units, in forward
    /// too, since backward finds in its cache what forward left there.
    pub(super) fn by_rows(&self, threads: usize) -> bool {
        let Some(plan) = &self.plan else { return false };
        let weights = |stage: &StageShape| -> usize {
            let sources = stage.sources.iter().map(|source| source.gates.len() * plan.panels.padded(source.width));
            sources.sum::<usize>() * plan.panels.padded(stage.width) * size_of::<F>()
        };
        // All rows go through all steps, so that each stays with its thread.
        let whole = self.rows.total() == plan.steps * plan.batch;
        let waits = threads > 1 && plan.shared && plan.stages.iter().all(|stage| stage.norms.is_empty());
        let bytes = plan.stages.iter().map(weights).sum::<usize>();
        // AMX multiplies whole tiles of rows.
        let tile = if plan.bf16 == Some(Bf16Kernel::Amx) { TILE } else { 0 };
        let enough = ROWS_EACH
            .iter()
            .find(|(most, _)| bytes <= *most)
            .is_some_and(|(_, rows)| plan.batch / threads >= tile.max(*rows));
        waits && whole && enough
    }

    /// Whether the last forward run was of this layer and of a sequence of this shape.
    pub(super) fn holds(&self, layer: &Layer, seq: &Sequence<F>) -> bool {
        self.plan.as_ref().is_some_and(|p| {
            let lengths = self.rows.batch.iter().zip(&self.rows.steps);
            let masks = seq.masks.iter().map(|m| (m.stage, m.source));
            core::ptr::eq(p.spec, layer.cell().spec())
                && p.sizes == layer.sizes()
                && (p.steps, p.batch, p.reverse) == (seq.steps, seq.batch, seq.reverse)
                && lengths.clone().all(|(&b, &steps)| seq.length(b) == steps)
                && masks.eq(p.masks.iter().map(|m| (m.0, m.2)))
        })
    }

    /// Makes room for backward.
    pub(super) fn prepare_backward(&mut self, layer: &Layer) {
        let Some(plan) = &mut self.plan else { panic!("backward needs the workspace of a forward run") };
        let (panels, w) = (plan.panels, plan.panels.width);
        if let Outputs::Slots(_) = plan.outputs {
            let slots = plan.chunk_slots();
            self.values[plan.output].room(slots * plan.batch * panels.padded(plan.widths[plan.output]));
            plan.outputs = Outputs::Slots(slots);
        }
        let grow = |list: &mut Vec<Buffer<F>>, sizes: &[usize]| {
            list.resize_with(sizes.len(), Buffer::default);
            for (buffer, &size) in list.iter_mut().zip(sizes) {
                buffer.room(size);
            }
        };
        for (packed, stage) in self.stages.iter_mut().zip(&plan.stages) {
            packed.reserve(stage, panels, true);
        }
        let g = &mut self.gradients;
        for (packed, stage) in g.stages.iter_mut().zip(&plan.stages) {
            packed.reserve(stage, panels);
        }
        for values in &mut g.values {
            grow(values, &plan.widths.iter().map(|&v| panels.padded(v) * plan.batch).collect::<Vec<_>>());
        }
        let unit_rows = |s: &StageShape| s.units.len() * panels.padded(s.width) * plan.batch;
        grow(&mut g.units, &plan.stages.iter().map(unit_rows).collect::<Vec<_>>());
        let rows = plan.backward_rows;
        grow(&mut g.gates, &plan.stages.iter().map(|s| s.panels() * rows * w).collect::<Vec<_>>());
        let table_rows = if let InputPath::Table { vocabulary } = plan.path { vocabulary } else { 0 };
        grow(&mut g.tables, &plan.stages.iter().map(|s| s.panels() * table_rows * w).collect::<Vec<_>>());
        let input_rows = if table_rows > 0 { table_rows } else { rows };
        let input = panels.padded(layer.sizes().input);
        let widest = plan.widths.iter().copied().max().unwrap_or(0);
        // A word of pairs takes as much as a number.
        let pairs = |rows: usize| if plan.bf16.is_some() { pair_rows(rows) } else { 0 };
        g.x.room(input_rows.max(pairs(input_rows)) * input);
        let chunks = plan.backward_chunks.iter().filter_map(|chunk| plan.pairs_of_chunk(&self.rows.active, chunk));
        g.pairs.room(chunks.max().unwrap_or(0) * panels.padded(widest));
        g.scratch.room((input_rows * input).max(plan.batch * panels.padded(widest)));
        let source_width = |m: &(usize, usize, Place)| panels.padded(layer.width_of(m.2));
        grow(&mut g.masks, &plan.masks.iter().map(|m| source_width(m) * plan.batch).collect::<Vec<_>>());
        let n = self.rows.total();
        let feeds: Vec<usize> =
            layer.stages().iter().flat_map(|s| core::iter::repeat_n(panels.padded(s.width) * n, s.feeds)).collect();
        grow(&mut g.feeds, &feeds);
    }

    /// The stored matrix of a value at a step, or before the first.
    pub(super) fn value(&self, value: usize, step: Option<usize>) -> Matrix<F> {
        let plan = self.plan.as_ref().expect("a prepared workspace");
        let width = plan.panels.width;
        match step {
            None => Matrix { ptr: self.initial[value].ptr(), rows: plan.batch, width },
            Some(s) => {
                debug_assert!(!plan.in_place(value), "the outputs are in y");
                let (row, rows) = match plan.outputs {
                    // The panels stand where they stand in every step, however many rows it has: threads need not be at the same step.
                    Outputs::Slots(slots) if value == plan.output => (s % slots * plan.batch, plan.batch),
                    _ => (self.rows.offset[s], self.rows.active[s]),
                };
                let first = row * plan.panels.padded(plan.widths[value]);
                Matrix { ptr: self.values[value].ptr().wrapping_add(first), rows, width }
            }
        }
    }

    /// Pre-activations of a stage at a step.
    pub(super) fn pre_at(&self, stage: usize, step: usize) -> Matrix<F> {
        let plan = self.plan.as_ref().expect("a prepared workspace");
        let first = self.rows.offset[step] * plan.stages[stage].panels() * plan.panels.width;
        Matrix {
            ptr: self.pre[stage].ptr().wrapping_add(first),
            rows: self.rows.active[step],
            width: plan.panels.width,
        }
    }

    /// The normalised gates of a stage at a step.
    pub(super) fn hats_at(&self, stage: usize, step: usize) -> Matrix<F> {
        let plan = self.plan.as_ref().expect("a prepared workspace");
        let shape = &plan.stages[stage];
        let padded = shape.groups * shape.norms.len() * plan.panels.width;
        self.packed_at(&self.hats[stage], padded, step)
    }

    /// A buffer of packed rows (masked sources, feeds) of a padded width, at a step.
    pub(super) fn packed_at(&self, buffer: &Buffer<F>, padded: usize, step: usize) -> Matrix<F> {
        let plan = self.plan.as_ref().expect("a prepared workspace");
        let first = self.rows.offset[step] * padded;
        Matrix { ptr: buffer.ptr().wrapping_add(first), rows: self.rows.active[step], width: plan.panels.width }
    }
}

//! One step at a time: streaming with the state kept inside.

use super::compressed::WeightFormat;
use super::forward::scatter_inputs;
use super::hands::Hands;
use super::memory::{Buffer, Matrix, Panels, Shared};
use super::product::{Init, Product, Segment, Soon};
use super::run::Run;
use super::workspace::{InputPath, Workspace};
use super::{Engine, Input, Sequence};
use crate::Layer;
use crate::algebra::Element;
use crate::algebra::lanes::{Isa, shape};
use std::sync::Arc;

/// The input of one step.
#[derive(Clone, Copy, Debug)]
pub enum StepInput<'a, F> {
    /// (B, I).
    Dense(&'a [F]),
    /// One token a row; only where the stepper was made with an embedding table.
    Tokens(&'a [u32]),
    /// Zeros.
    Zero,
}

/// A layer that runs one step at a time: weights packed once, no allocation in a step (but for the first one on a thread, with [`WeightFormat::Int8`]).
///
/// Its outputs are those of [`Engine::forward`] over the whole sequence, to the bit (with [`WeightFormat::Full`]).
pub struct Stepper<F> {
    engine: Arc<Engine>,
    layer: Layer,
    ws: Workspace<F>,
    hands: Vec<std::sync::Mutex<Hands<F>>>,
    batch: usize,
    /// Rows of the embedding table.
    vocabulary: Option<usize>,
    zeros: Vec<F>,
    y: Vec<F>,
    /// Every other step goes through the weights backwards.
    flip: bool,
}

impl<F: Element> Stepper<F> {
    /// Packs a layer's parameters for `batch` rows, from zero state. With an embedding `table` (V, I) steps take token
    /// ids, and the table is folded into the input product.
    ///
    /// # Panics
    /// Where a slice does not have the length that the layer asks, `batch` is 0, or the cell has feeds without a probability; the others
    /// are at their means.
    #[track_caller]
    pub fn new(engine: &Arc<Engine>, layer: &Layer, params: &[&[F]], batch: usize, table: Option<&[F]>) -> Self {
        Stepper::with_weights(engine, layer, params, batch, table, WeightFormat::Full)
    }

    /// The same with the weights of the products in another format: less to read for each step, a little less exact. With
    /// many rows at once it is slower, since compressed weights are read a row at a time.
    ///
    /// # Panics
    /// As [`new`](Stepper::new).
    #[track_caller]
    pub fn with_weights(
        engine: &Arc<Engine>,
        layer: &Layer,
        params: &[&[F]],
        batch: usize,
        table: Option<&[F]>,
        format: WeightFormat,
    ) -> Self {
        let input = layer.sizes().input;
        let zeros = vec![F::constant(0.0); batch * input];
        let means = layer.feeds().into_iter().filter_map(|(width, p)| Some((width, p?)));
        let means: Vec<Vec<F>> = means.map(|(width, p)| vec![F::constant(p); batch * width]).collect();
        let feeds = means.iter().map(Vec::as_slice).collect();
        let seq = Sequence { feeds, ..Sequence::new(1, batch, Input::Dense(&zeros)) };
        seq.check(layer, params);
        let mut ws = Workspace::new();
        ws.prepare(layer, engine.isa, None, &seq);
        scatter_inputs(layer, &seq, &mut ws);

        // One row more than the table has: zero input.
        let mut rows = table.unwrap_or_default().to_vec();
        let vocabulary = table.map(|t| {
            assert!(!t.is_empty() && t.len() % input == 0, "embedding table is not (V, {input})");
            t.len() / input
        });
        if let Some(v) = vocabulary {
            rows.resize((v + 1) * input, F::constant(0.0));
            ws.ids = vec![v as u32; batch];
            ws.use_table(v + 1);
        }
        let plan = ws.plan.as_ref().expect("prepared above");
        let panels = plan.panels;
        let seq = match vocabulary {
            Some(_) => Sequence::new(1, batch, Input::Tokens { ids: &ws.ids, table: &rows }),
            None => seq,
        };
        let cell = F::pointwise(&**layer.cell());
        let y = Shared(core::ptr::null_mut());
        let run = Run { team: &engine.team, layer, cell, params, seq: &seq, ws: &ws, plan, by_rows: false, y };
        // SAFETY: the workspace is prepared for this layer.
        engine.team.run(&|thread| unsafe { run.pack(thread) });
        // The input weights are in the table by now.
        let shapes = plan.stages.clone();
        for (stage, shape) in ws.stages.iter_mut().zip(&shapes) {
            stage.compress(shape, panels, format);
        }
        let hands = (0..engine.threads()).map(|_| Default::default()).collect();
        let y = vec![F::constant(0.0); batch * layer.output_width()];
        Stepper { engine: engine.clone(), layer: layer.clone(), ws, hands, batch, vocabulary, zeros, y, flip: false }
    }

    /// The layer.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// Bytes that it holds, its packed weights among them: the same after any number of steps.
    pub fn bytes(&self) -> usize {
        self.ws.bytes() + size_of_val(self.zeros.as_slice()) + size_of_val(self.y.as_slice())
    }

    /// Advances by one step and returns the output (B, output width).
    ///
    /// # Panics
    /// Where the input has another size, is a token without a table or not below V.
    #[track_caller]
    pub fn step(&mut self, input: StepInput<F>) -> &[F] {
        let seq = match (input, self.vocabulary) {
            (StepInput::Dense(x), None) => {
                assert!(
                    x.len() == self.zeros.len(),
                    "input (B, I) has {} elements, expected {}",
                    x.len(),
                    self.zeros.len()
                );
                Sequence::new(1, self.batch, Input::Dense(x))
            }
            (StepInput::Zero, None) => Sequence::new(1, self.batch, Input::Dense(&self.zeros)),
            (StepInput::Tokens(ids), Some(v)) => {
                assert!(ids.len() == self.batch, "{} tokens for {} rows", ids.len(), self.batch);
                assert!(ids.iter().all(|&id| (id as usize) < v), "a token id is not below the vocabulary's size {v}");
                self.ws.ids.copy_from_slice(ids);
                Sequence::new(1, self.batch, Input::Dense(&[]))
            }
            (StepInput::Zero, Some(v)) => {
                self.ws.ids.fill(v as u32);
                Sequence::new(1, self.batch, Input::Dense(&[]))
            }
            (StepInput::Dense(_), Some(_)) => panic!("this stepper was made for tokens"),
            (StepInput::Tokens(_), None) => panic!("this stepper was made without an embedding table"),
        };
        let plan = self.ws.plan.as_ref().expect("prepared when made");
        let cell = F::pointwise(&**self.layer.cell());
        let (team, y) = (&self.engine.team, Shared(self.y.as_mut_ptr()));
        let run = Run { team, layer: &self.layer, cell, params: &[], seq: &seq, ws: &self.ws, plan, by_rows: false, y };
        let hands = &self.hands;
        let flip = self.flip;
        self.engine.team.run(&|thread| {
            // Each thread has its own; the lock is never waited for.
            let mut hands = hands[thread].lock().unwrap_or_else(|e| e.into_inner());
            // SAFETY: the workspace is prepared and packed; y has the output's size.
            unsafe { run.one_step(thread, &mut hands, flip) };
        });
        self.ws.advance(self.layer.carried());
        self.flip = !self.flip;
        &self.y
    }

    /// The carried values: one (B, width) for each of [`Layer::carried`].
    pub fn state(&self) -> Vec<Vec<F>> {
        let mut state = Vec::new();
        for (&value, width) in self.layer.carried().iter().zip(self.layer.state_widths()) {
            let mut rows = vec![F::constant(0.0); self.batch * width];
            for (row, to) in rows.chunks_mut(width).enumerate() {
                // SAFETY: no step is running.
                unsafe { super::memory::read_row(self.ws.value(value, None), row, to) };
            }
            state.push(rows);
        }
        state
    }

    /// Sets the carried values, as [`state`](Stepper::state) gives them.
    ///
    /// # Panics
    /// Where a slice is not (B, width).
    #[track_caller]
    pub fn set_state(&mut self, state: &[&[F]]) {
        let widths = self.layer.state_widths();
        assert!(state.len() == widths.len(), "{} states, expected {}", state.len(), widths.len());
        for ((&value, width), rows) in self.layer.carried().iter().zip(widths).zip(state) {
            assert!(rows.len() == self.batch * width, "state (B, width) has {} elements", rows.len());
            for (row, from) in rows.chunks(width).enumerate() {
                // SAFETY: no step is running.
                unsafe { super::memory::write_row(self.ws.value(value, None), row, Some(from), width) };
            }
        }
    }

    /// Back to zero state.
    pub fn reset(&mut self) {
        for (&value, width) in self.layer.carried().iter().zip(self.layer.state_widths()) {
            for row in 0..self.batch {
                // SAFETY: no step is running.
                unsafe { super::memory::write_row(self.ws.value(value, None), row, None, width) };
            }
        }
    }
}

impl<F: Element> Workspace<F> {
    /// Switches a prepared workspace to a folded token table of `vocabulary` rows.
    fn use_table(&mut self, vocabulary: usize) {
        let Some(plan) = &mut self.plan else { return };
        plan.path = InputPath::Table { vocabulary };
        // The table has the products of the input.
        plan.direct.fill(false);
        for (table, stage) in self.tables.iter_mut().zip(&plan.stages) {
            table.room(stage.panels() * vocabulary * plan.panels.width);
        }
    }

    /// What was written in this step becomes what was before the next.
    fn advance(&mut self, carried: &[usize]) {
        for &value in carried {
            core::mem::swap(&mut self.initial[value], &mut self.values[value]);
        }
    }
}

/// An affine map `y = x Wᵀ + b` with its weights packed once: the readout of a streaming model.
pub struct Affine<F> {
    isa: Isa,
    panels: Panels,
    inputs: usize,
    outputs: usize,
    weights: Buffer<F>,
    bias: Buffer<F>,
    out: Buffer<F>,
    out_rows: usize,
}

impl<F: Element> Affine<F> {
    /// Packs `weight` (outputs, inputs) and `bias` (outputs).
    ///
    /// # Panics
    /// Where the slices do not have these sizes.
    #[track_caller]
    pub fn new(isa: Isa, weight: &[F], bias: &[F], inputs: usize) -> Self {
        let outputs = bias.len();
        assert!(weight.len() == outputs * inputs, "weight is not ({outputs}, {inputs})");
        let (lanes, vectors) = shape::<F>(isa);
        let panels = Panels { lanes, width: lanes * vectors };
        let (mut weights, mut biases) = (Buffer::<F>::default(), Buffer::<F>::default());
        let w = panels.width;
        let to = weights.room(panels.count(outputs) * inputs * w);
        let b = biases.room(panels.padded(outputs));
        for o in 0..outputs {
            for k in 0..inputs {
                // SAFETY: inside the room just made, which is zero elsewhere.
                unsafe { *to.add((o / w * inputs + k) * w + o % w) = weight[o * inputs + k] };
            }
            // SAFETY: as above.
            unsafe { *b.add(o) = bias[o] };
        }
        Affine { isa, panels, inputs, outputs, weights, bias: biases, out: Buffer::default(), out_rows: 0 }
    }

    /// Applies the map to `x` (rows, inputs) and writes `y` (rows, outputs).
    ///
    /// # Panics
    /// Where the slices do not have these sizes.
    #[track_caller]
    pub fn apply(&mut self, x: &[F], y: &mut [F]) {
        let rows = x.len() / self.inputs;
        assert!(x.len() == rows * self.inputs && y.len() == rows * self.outputs, "x or y has the wrong length");
        let w = self.panels.width;
        if rows > self.out_rows {
            self.out.room(rows * w);
            self.out_rows = rows;
        }
        let out = Matrix { ptr: self.out.ptr(), rows, width: w };
        for panel in 0..self.panels.count(self.outputs) {
            let b = self.weights.ptr().wrapping_add(panel * self.inputs * w).cast_const();
            let columns = self.panels.depth(self.outputs, panel);
            let bias = self.bias.ptr().wrapping_add(panel * w).cast_const();
            let segment = Segment { a: x.as_ptr(), row: self.inputs, column: 1, b, depth: self.inputs, next: 0 };
            // SAFETY: operands and result were laid out in `new` and above.
            unsafe {
                Product {
                    rows,
                    panels: 1,
                    vectors: self.panels.blocks(columns),
                    width: w,
                    init: Init::Rows { ptr: bias, stride: 0 },
                    init_next: 0,
                    segments: &[segment],
                    out: out.ptr,
                    out_stride: w,
                    out_next: 0,
                    scales: core::ptr::null(),
                    soon: Soon::NOTHING,
                    same_left: false,
                }
                .run(self.isa);
                for row in 0..rows {
                    let from = core::slice::from_raw_parts(out.at(0, row).cast_const(), columns);
                    y[row * self.outputs + panel * w..][..columns].copy_from_slice(from);
                }
            }
        }
    }
}

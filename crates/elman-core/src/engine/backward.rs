//! Backward through time.
//!
//! From the last step to the first, each stage in reverse: the equations' backward gives the gate gradients, and their
//! products with the weights give the gradients of the sources. Gate gradients are kept for a chunk of steps; then the
//! gradients of weights, biases and input are taken from the whole chunk, while it is still in the cache. No sum is
//! split over threads, so any number of threads gives the same bits.

use super::hands::{Hands, from_row, next_register};
use super::input_gradients::InputRows;
use super::memory::{Matrix, Shared, ask, pieces, read_row, write_row};
use super::mixed::Right;
use super::product::{Init, Product, Segment, Soon};
use super::run::Run;
use super::team::Team;
use super::weights::add;
use super::workspace::{InputPath, Outputs, Workspace};
use super::{Gradients, Input, Sequence};
use crate::Layer;
use crate::algebra::Element;
use crate::cell::Column;
use crate::layer::Place;
use core::ops::Range;

/// Where the caller's results go.
pub(super) struct Results<'a, F> {
    /// The outputs of forward.
    pub y: &'a [F],
    pub d_y: &'a [F],
    pub d_input: Shared<F>,
}

/// Rows of gate gradients: a chunk of steps, or the token table.
#[derive(Clone, Copy)]
pub(super) struct GateRows {
    /// Rows in use, and rows of storage.
    pub rows: usize,
    pub storage: usize,
    pub table: bool,
}

impl<F: Element> Run<'_, F> {
    /// Gradient by a value at a step: of this step's values where `now`, of the step before's otherwise. The two buffers
    /// change roles at every step.
    fn d_value(&self, value: usize, step: usize, now: bool) -> Matrix<F> {
        let which = (step + usize::from(!now)) % 2;
        let ptr = self.ws.gradients.values[which][value].ptr();
        Matrix { ptr, rows: self.plan.batch, width: self.plan.panels.width }
    }

    pub fn d_place(&self, place: Place, step: usize) -> Matrix<F> {
        match place {
            Place::Now(v) => self.d_value(v, step, true),
            Place::Before(v) => self.d_value(v, step, false),
            Place::Input => unreachable!("the input's gradient is taken a chunk at a time"),
        }
    }

    pub fn d_gates(&self, stage: usize, gates: GateRows) -> Matrix<F> {
        let buffers = if gates.table { &self.ws.gradients.tables } else { &self.ws.gradients.gates };
        Matrix { ptr: buffers[stage].ptr(), rows: gates.storage, width: self.plan.panels.width }
    }

    /// Gradients by a parameter of the units of a stage, of each row by itself.
    fn d_units(&self, stage: usize, parameter: usize) -> Matrix<F> {
        let (panels, rows) = (self.plan.panels, self.plan.batch);
        let first = parameter * panels.padded(self.plan.stages[stage].width) * rows;
        Matrix { ptr: self.ws.gradients.units[stage].ptr().wrapping_add(first), rows, width: panels.width }
    }

    /// Sums the gradients by the units' parameters over the rows, for the thread's own units.
    unsafe fn sum_units(&self, thread: usize) {
        let panels = self.plan.panels;
        for (stage, shape) in self.plan.stages.iter().enumerate() {
            let sums = self.ws.gradients.stages[stage].units.ptr();
            for (group, first, vectors) in pieces(panels, self.own(shape.width, thread)) {
                let (shift, units) = (first * panels.lanes, vectors * panels.lanes);
                for parameter in 0..shape.units.len() {
                    let to = sums.wrapping_add(parameter * panels.padded(shape.width) + group * panels.width + shift);
                    for row in 0..self.plan.batch {
                        let from = self.d_units(stage, parameter).at(group, row).wrapping_add(shift);
                        // SAFETY: complete past the last chunk's barrier; this thread's own units.
                        unsafe {
                            let to = core::slice::from_raw_parts_mut(to, units);
                            add(to, core::slice::from_raw_parts(from.cast_const(), units));
                        }
                    }
                }
            }
        }
    }

    /// The work of one thread.
    unsafe fn backward(&self, thread: usize, results: &Results<F>) {
        let threads = self.team.threads();
        let mut hands = Hands::default();
        // SAFETY: each thread packs its own share and writes its own blocks; barriers stand where others' are read.
        unsafe {
            for (packed, shape) in self.ws.stages.iter().zip(&self.plan.stages) {
                packed.pack(shape, self.plan.panels, self.params, true, (thread, threads));
            }
            self.clear(thread);
            self.team.barrier();
            let mut first_chunk = true;
            for chunk in self.plan.backward_chunks.iter().rev() {
                self.take_back(chunk, thread, results.y);
                for step in chunk.clone().rev() {
                    if !self.plan.one_width {
                        self.begin_step(step, thread, results.d_y);
                    }
                    for stage in (0..self.plan.stages.len()).rev() {
                        self.backward_stage(stage, step, chunk.start, thread, &mut hands, results.d_y);
                    }
                }
                if self.by_rows {
                    // The weights' gradients take all rows.
                    self.team.barrier();
                }
                self.recurrent_weights(chunk.clone(), first_chunk, thread, &mut hands);
                let first = self.ws.rows.offset[chunk.start];
                let rows = self.ws.rows.offset[chunk.end] - first;
                let gates = GateRows { rows, storage: self.plan.backward_rows, table: false };
                match self.plan.path {
                    InputPath::Table { .. } => self.sum_by_token(gates, first, thread),
                    _ => {
                        let rows = InputRows { gates, first, steps: chunk.len(), fresh: first_chunk };
                        self.input_gradients(rows, thread, &mut hands, results);
                    }
                }
                first_chunk = false;
                // The next chunk overwrites the gate gradients.
                self.team.barrier();
            }
            self.sum_units(thread);
            if let InputPath::Table { vocabulary } = self.plan.path {
                let gates = GateRows { rows: vocabulary, storage: vocabulary, table: true };
                let rows = InputRows { gates, first: 0, steps: 0, fresh: true };
                self.input_gradients(rows, thread, &mut hands, results);
            }
        }
    }

    /// The thread's own units or rows of the outputs that a chunk of steps looks at, from y, where they are not held.
    unsafe fn take_back(&self, chunk: &Range<usize>, thread: usize, y: &[F]) {
        let Outputs::Slots(_) = self.plan.outputs else { return };
        let (panels, value) = (self.plan.panels, self.plan.output);
        let width = self.plan.widths[value];
        for step in chunk.start.saturating_sub(1)..chunk.end {
            let to = self.ws.value(value, Some(step));
            let places = &self.ws.rows.place[self.ws.rows.offset[step]..];
            for (panel, block, vectors) in pieces(panels, self.step_units(width, thread)) {
                let shift = block * panels.lanes;
                let start = panel * panels.width + shift;
                let columns = (vectors * panels.lanes).min(width - start);
                for row in self.step_rows(step, thread) {
                    let from = &y[places[row] * width + start..][..columns];
                    // SAFETY: this thread's own blocks or rows of the step.
                    unsafe { to.at(panel, row).add(shift).copy_from_nonoverlapping(from.as_ptr(), columns) };
                }
            }
        }
    }

    /// Zeroes the thread's own part of everything that is added to.
    unsafe fn clear(&self, thread: usize) {
        let panels = self.plan.panels;
        let zero = F::constant(0.0);
        let fill = |m: Matrix<F>, panel: usize, first: usize, vectors: usize, rows: usize| {
            for row in 0..rows {
                // SAFETY: inside the panel's row, which is this thread's.
                unsafe {
                    core::slice::from_raw_parts_mut(m.at(panel, row).add(first * panels.lanes), vectors * panels.lanes)
                        .fill(zero);
                }
            }
        };
        let g = &self.ws.gradients;
        for (stage, shape) in self.plan.stages.iter().enumerate() {
            for (group, first, vectors) in pieces(panels, self.own(shape.width, thread)) {
                let matrix = |ptr: *mut F, rows: usize| Matrix { ptr, rows, width: panels.width };
                for gate in 0..shape.gates {
                    let panel = group * shape.gates + gate;
                    fill(matrix(g.stages[stage].bias.ptr(), 1), panel, first, vectors, 1);
                    if let InputPath::Table { vocabulary } = self.plan.path {
                        fill(matrix(g.tables[stage].ptr(), vocabulary), panel, first, vectors, vocabulary);
                    }
                }
                for parameter in 0..shape.units.len() {
                    fill(self.d_units(stage, parameter), group, first, vectors, self.plan.batch);
                }
                let sums = &g.stages[stage];
                let norms = shape.norms.len();
                for (buffer, count) in [(&sums.units, shape.units.len()), (&sums.gains, norms), (&sums.shifts, norms)] {
                    for k in 0..count {
                        let ptr = buffer.ptr().wrapping_add(k * panels.padded(shape.width));
                        fill(matrix(ptr, 1), group, first, vectors, 1);
                    }
                }
            }
        }
        for (m, &(_, _, place)) in self.plan.masks.iter().enumerate() {
            let matrix = Matrix { ptr: g.masks[m].ptr(), rows: self.plan.batch, width: panels.width };
            for (panel, first, vectors) in pieces(panels, self.own(self.layer.width_of(place), thread)) {
                fill(matrix, panel, first, vectors, self.plan.batch);
            }
        }
    }

    /// Starts a step for all of the thread's own units or rows.
    unsafe fn begin_step(&self, step: usize, thread: usize, d_y: &[F]) {
        for (value, &width) in self.plan.widths.iter().enumerate() {
            for piece in pieces(self.plan.panels, self.step_units(width, thread)) {
                // SAFETY: the caller's promise.
                unsafe { self.begin(value, (step, self.step_rows(step, thread)), piece, d_y) };
            }
        }
    }

    /// Starts a step for some units of a value in some rows: the output's gradient joins what came from the step after, of which
    /// nothing stays that has vanished; what goes to the step before is zero.
    unsafe fn begin(
        &self,
        value: usize,
        (step, rows): (usize, Range<usize>),
        (panel, first, vectors): (usize, usize, usize),
        d_y: &[F],
    ) {
        let (panels, width) = (self.plan.panels, self.plan.widths[value]);
        let carried = self.layer.values()[value].carried.is_some();
        let output = value == self.layer.output();
        let fresh = self.d_value(value, step, !carried);
        let now = self.d_value(value, step, true);
        let shift = first * panels.lanes;
        let start = panel * panels.width + shift;
        let columns = (vectors * panels.lanes).min(width - start);
        let d_y = |step: usize, row: usize| {
            &d_y[self.ws.rows.place[self.ws.rows.offset[step] + row] * width + start..][..columns]
        };
        for row in rows {
            // SAFETY: this thread's own blocks or rows.
            unsafe {
                core::slice::from_raw_parts_mut(fresh.at(panel, row).add(shift), vectors * panels.lanes)
                    .fill(F::constant(0.0));
                let now = now.at(panel, row).add(shift);
                if output {
                    let now = core::slice::from_raw_parts_mut(now, columns);
                    let d = now.iter_mut().zip(d_y(step, row));
                    if carried {
                        d.for_each(|(n, &d)| *n = settled(*n + d));
                    } else {
                        d.for_each(|(n, &d)| *n = *n + d);
                    }
                    if step > 0 {
                        ask(d_y(step - 1, row).as_ptr(), columns);
                    }
                } else if carried {
                    let now = core::slice::from_raw_parts_mut(now, vectors * panels.lanes);
                    now.iter_mut().for_each(|n| *n = settled(*n));
                }
            }
        }
    }

    /// One stage of one step: the equations' backward for the thread's own units or rows, then the gradients of those of each source.
    unsafe fn backward_stage(
        &self,
        stage: usize,
        step: usize,
        chunk: usize,
        thread: usize,
        hands: &mut Hands<F>,
        d_y: &[F],
    ) {
        let (shape, panels) = (&self.plan.stages[stage], self.plan.panels);
        let resolved = &self.layer.stages()[stage];
        let rows = self.step_rows(step, thread);
        let gates = self.step_gates(stage, step, chunk);
        let g = &self.ws.gradients;
        let padded = panels.padded(shape.width);
        for (group, first, vectors) in pieces(panels, self.step_units(shape.width, thread)) {
            if self.plan.one_width {
                // Here, where the equations find it in the first cache.
                for value in 0..self.plan.widths.len() {
                    // SAFETY: this thread's own units or rows.
                    unsafe { self.begin(value, (step, rows.clone()), (group, first, vectors), d_y) };
                }
            }
            let shift = first * panels.lanes;
            let column =
                |m: Matrix<F>, panel: usize| Column { ptr: m.at(panel, 0).wrapping_add(shift), stride: m.width };
            self.arguments(stage, step, group, first, &mut hands.args);
            hands.outs.clear();
            hands.outs.extend(resolved.writes.iter().map(|&v| column(self.d_value(v, step, true), group)));
            hands.d_args.clear();
            hands.d_args.extend((0..shape.gates).map(|gate| column(gates, group * shape.gates + gate)));
            hands.d_args.extend(resolved.reads.iter().map(|&p| column(self.d_place(p, step), group)));
            hands.d_args.extend((0..resolved.units).map(|parameter| column(self.d_units(stage, parameter), group)));
            hands.d_args.extend(self.feeds(stage).map(|f| column(self.ws.packed_at(&g.feeds[f], padded, step), group)));
            if step > 0 {
                let pre = self.ws.pre_at(stage, step - 1);
                for panel in group * shape.gates..(group + 1) * shape.gates {
                    rows.clone().for_each(|row| ask(pre.at(panel, row).wrapping_add(shift), vectors * panels.lanes));
                }
            }
            for columns in [&mut hands.args, &mut hands.outs, &mut hands.d_args] {
                from_row(columns, rows.start);
            }
            for _ in 0..vectors {
                // SAFETY: one column for each argument and result, the thread's rows of each.
                unsafe {
                    self.cell.backward(stage, self.plan.isa, &hands.args, &hands.outs, &hands.d_args, rows.len());
                }
                for columns in [&mut hands.args, &mut hands.outs, &mut hands.d_args] {
                    next_register(columns, panels.lanes);
                }
            }
        }
        if !shape.norms.is_empty() {
            // SAFETY: the gate gradients of the thread's own units are there.
            unsafe { self.normalise_backward(stage, step, gates, thread) };
        }
        if self.plan.shared {
            self.step_barrier();
        }
        for (s, source) in shape.sources.iter().enumerate() {
            if source.place == Place::Input {
                continue;
            }
            if self.plan.mask(stage, s).is_some() {
                // Sources of another width divide the scratch otherwise among the threads: nobody still uses it.
                self.step_barrier();
            }
            let to = self.d_place(source.place, step);
            let mut same_left = false;
            for (panel, first, vectors) in pieces(panels, self.step_units(source.width, thread)) {
                let shift = first * panels.lanes;
                self.gate_segments(stage, s, gates.rows_from(rows.start), panel, shift, &mut hands.segments);
                let out = to.at(panel, rows.start).wrapping_add(shift);
                let mask = self.plan.mask(stage, s);
                // A masked source's gradient passes through the mask on its way.
                let (init, out) = match mask {
                    None => (Init::Rows { ptr: out.cast_const(), stride: panels.width }, out),
                    Some(_) => (Init::Zero, self.scratch(self.plan.batch).at(panel, rows.start).wrapping_add(shift)),
                };
                // SAFETY: operands are complete past the barrier, or this thread's own as the result is.
                unsafe {
                    let product = Product {
                        rows: rows.len(),
                        panels: 1,
                        vectors,
                        width: panels.width,
                        init,
                        init_next: 0,
                        segments: &hands.segments,
                        out,
                        out_stride: panels.width,
                        out_next: 0,
                        scales: core::ptr::null(),
                        soon: Soon::NOTHING,
                        same_left: core::mem::replace(&mut same_left, true),
                    };
                    self.backward_product(product, Right::Pairs);
                    if let Some(m) = mask {
                        self.unmask(m, self.value(source.place, step), to, (panel, first, vectors), rows.clone());
                    }
                }
            }
        }
    }

    /// Gate gradients times the weights of source `s`: the segments for one register range of the source's panel.
    fn gate_segments(
        &self,
        stage: usize,
        s: usize,
        gates: Matrix<F>,
        panel: usize,
        shift: usize,
        segments: &mut Vec<Segment<F>>,
    ) {
        segments.clear();
        self.add_gate_segments(stage, s, gates, panel, shift, segments);
    }

    pub fn add_gate_segments(
        &self,
        stage: usize,
        s: usize,
        gates: Matrix<F>,
        panel: usize,
        shift: usize,
        segments: &mut Vec<Segment<F>>,
    ) {
        let (shape, panels) = (&self.plan.stages[stage], self.plan.panels);
        for group in 0..shape.groups {
            for (k, &(gate, _)) in shape.sources[s].gates.iter().enumerate() {
                let b = self.ws.stages[stage].backward(shape, panels, s, panel, group, k);
                segments.push(Segment {
                    a: gates.at(group * shape.gates + gate, 0).cast_const(),
                    row: panels.width,
                    column: 1,
                    b: b.wrapping_add(shift).cast_const(),
                    depth: panels.depth(shape.width, group),
                    next: 0,
                });
            }
        }
    }

    pub fn scratch(&self, rows: usize) -> Matrix<F> {
        Matrix { ptr: self.ws.gradients.scratch.ptr(), rows, width: self.plan.panels.width }
    }

    /// From the gradient of a masked source in scratch: the gradient of the source and of the mask.
    unsafe fn unmask(
        &self,
        m: usize,
        value: Matrix<F>,
        to: Matrix<F>,
        (panel, first, vectors): (usize, usize, usize),
        rows: Range<usize>,
    ) {
        let panels = self.plan.panels;
        let matrix = |ptr: *mut F| Matrix { ptr, rows: self.plan.batch, width: panels.width };
        let (mask, d_mask) = (matrix(self.ws.masks[m].ptr()), matrix(self.ws.gradients.masks[m].ptr()));
        let masked = self.scratch(self.plan.batch);
        for row in rows {
            for c in first * panels.lanes..(first + vectors) * panels.lanes {
                // SAFETY: inside the panel's row, which is this thread's.
                unsafe {
                    let d = *masked.at(panel, row).add(c);
                    let (to, d_mask) = (to.at(panel, row).add(c), d_mask.at(panel, row).add(c));
                    *to = *to + d * *mask.at(panel, row).add(c);
                    *d_mask = *d_mask + d * *value.at(panel, row).add(c);
                }
            }
        }
    }
}

/// A gradient, or zero where it has vanished; NaN stays.
#[inline(always)]
fn settled<F: Element>(d: F) -> F {
    if d < F::constant(F::VANISHED) && d > F::constant(-F::VANISHED) { F::constant(0.0) } else { d }
}

/// Runs a layer backward over the batch that `forward` has just run with this workspace.
#[expect(clippy::too_many_arguments, reason = "the engine's public method bundles them")]
pub(super) fn backward<F: Element>(
    team: &Team,
    layer: &Layer,
    params: &[&[F]],
    seq: &Sequence<F>,
    ws: &mut Workspace<F>,
    y: &[F],
    d_y: &[F],
    d_state: Option<&[&[F]]>,
    out: &mut Gradients<F>,
) {
    seq.check(layer, params);
    let (batch, steps) = (seq.batch, seq.steps);
    assert!(
        ws.holds(layer, seq),
        "backward needs the workspace of the forward run of the same layer and sequence (T, B, lengths, direction, masks)"
    );
    for (what, values) in [("y", y), ("d_y", d_y)] {
        assert!(values.len() == steps * batch * layer.output_width(), "{what} is not (T, B, output width)");
    }
    let resize = |v: &mut Vec<F>, len: usize| team.zeros(v, len);
    out.params.resize(layer.parameters().len(), Vec::new());
    for (d, p) in out.params.iter_mut().zip(layer.parameters()) {
        resize(d, p.len());
    }
    let input = match seq.input {
        Input::Dense(x) => x.len(),
        Input::Tokens { table, .. } => table.len(),
    };
    ws.prepare_backward(layer);
    let plan = ws.plan.as_ref().expect("checked above");
    if out.input.len() != input || !plan.input_written_once() {
        resize(&mut out.input, input);
    }
    let panels = plan.panels;
    let state_widths = layer.state_widths();
    for (c, &value) in layer.carried().iter().enumerate() {
        let width = state_widths[c];
        if let Some(d) = d_state {
            assert!(d.len() == state_widths.len() && d[c].len() == batch * width, "d_state is not (B, width) each");
        }
        for which in 0..2 {
            let to = Matrix { ptr: ws.gradients.values[which][value].ptr(), rows: batch, width: panels.width };
            for (row, &b) in ws.rows.batch.iter().enumerate() {
                // SAFETY: `prepare_backward` made room, and no thread runs yet.
                unsafe { write_row(to, row, d_state.map(|d| &d[c][b * width..][..width]), width) };
            }
        }
    }
    let cell = F::pointwise(&**layer.cell());
    // Backward only reads them.
    let by_rows = ws.by_rows(team.threads());
    let run = Run { team, layer, cell, params, seq, ws, plan, by_rows, y: Shared(y.as_ptr().cast_mut()) };
    let results = Results { y, d_y, d_input: Shared(out.input.as_mut_ptr()) };
    if ws.rows.count() > 0 {
        // SAFETY: everything is prepared.
        team.run(&|thread| unsafe { run.backward(thread, &results) });
        for (gradients, shape) in ws.gradients.stages.iter().zip(&plan.stages) {
            // SAFETY: the run is over.
            unsafe { gradients.unpack(shape, panels, layer.parameters(), &mut out.params) };
        }
    }

    out.state.resize(layer.carried().len(), Vec::new());
    for (c, &value) in layer.carried().iter().enumerate() {
        let width = state_widths[c];
        resize(&mut out.state[c], batch * width);
        // What step 0 sent to the step before.
        let from = Matrix { ptr: ws.gradients.values[1][value].ptr(), rows: batch, width: panels.width };
        for (row, &b) in ws.rows.batch.iter().enumerate() {
            // SAFETY: the run is over.
            unsafe { read_row(from, row, &mut out.state[c][b * width..][..width]) };
        }
    }
    out.masks.resize(seq.masks.len(), Vec::new());
    for (m, mask) in seq.masks.iter().enumerate() {
        let width = layer.width_of(mask.source);
        resize(&mut out.masks[m], batch * width);
        let from = Matrix { ptr: ws.gradients.masks[m].ptr(), rows: batch, width: panels.width };
        for (row, &b) in ws.rows.batch.iter().enumerate() {
            // SAFETY: as above.
            unsafe { read_row(from, row, &mut out.masks[m][b * width..][..width]) };
        }
    }
    out.feeds.resize(seq.feeds.len(), Vec::new());
    let widths = layer.stages().iter().flat_map(|s| core::iter::repeat_n(s.width, s.feeds));
    for (feed, width) in (0..seq.feeds.len()).zip(widths) {
        resize(&mut out.feeds[feed], steps * batch * width);
        for step in 0..ws.rows.count() {
            let from = ws.packed_at(&ws.gradients.feeds[feed], panels.padded(width), step);
            for row in 0..ws.rows.active[step] {
                let place = ws.rows.place[ws.rows.offset[step] + row];
                // SAFETY: as above.
                unsafe { read_row(from, row, &mut out.feeds[feed][place * width..][..width]) };
            }
        }
    }
}

//! The part of backward that has to do with the input: its weights, the biases, the input's own gradient.
//!
//! It runs once a chunk of steps on that chunk's gate gradients; with a folded token table, once at the end on the gate
//! gradients summed by token.

use super::Input;
use super::backward::{GateRows, Results};
use super::hands::Hands;
use super::memory::{Matrix, pieces};
use super::mixed::Right;
use super::mixed::pairs::{pair_rows, rows as rows_of_pairs};
use super::product::{Init, Product, Segment, Soon};
use super::run::Run;
use super::team::share;
use super::workspace::InputPath;
use crate::algebra::Element;
use core::ops::Range;

/// Rows of the input's gradient that are dealt out together.
const PART: usize = 64;
/// Rows of a step, at least, that are dealt out by themselves.
const STEP: usize = 16;
/// Rows of the input that begin so many bytes after each other at most are read as they stand; of farther ones too many fall into the same places of a cache.
const NEAR: usize = 2048;

/// Rows whose input gradients are taken together.
#[derive(Clone, Copy)]
pub(super) struct InputRows {
    pub gates: GateRows,
    /// The first packed row (0 for the table).
    pub first: usize,
    /// Steps of the chunk (0 for the table).
    pub steps: usize,
    /// Whether the weight gradients start here.
    pub fresh: bool,
}

/// Input rows as B of the products of weight gradients.
#[derive(Clone, Copy)]
struct InputColumns<F> {
    ptr: *const F,
    /// From one panel's columns to the next panel's.
    next: usize,
    /// From one row to the next.
    width: usize,
    right: Right,
    /// Whether each thread has put its own columns there, as numbers.
    own: bool,
}

impl<F: Element> Run<'_, F> {
    /// Adds a chunk's gate gradients to the rows of their tokens, for the thread's own units.
    pub unsafe fn sum_by_token(&self, gates: GateRows, first_row: usize, thread: usize) {
        let panels = self.plan.panels;
        let ids = &self.ws.ids[first_row..first_row + gates.rows];
        let InputPath::Table { vocabulary } = self.plan.path else { return };
        let table = GateRows { rows: vocabulary, storage: vocabulary, table: true };
        for (stage, shape) in self.plan.stages.iter().enumerate() {
            let (from, to) = (self.d_gates(stage, gates), self.d_gates(stage, table));
            for (group, first, vectors) in pieces(panels, self.own(shape.width, thread)) {
                let (shift, columns) = (first * panels.lanes, vectors * panels.lanes);
                for gate in 0..shape.gates {
                    let panel = group * shape.gates + gate;
                    for (row, &id) in ids.iter().enumerate() {
                        // SAFETY: this thread's own units of both.
                        unsafe {
                            let from =
                                core::slice::from_raw_parts(from.at(panel, row).add(shift).cast_const(), columns);
                            let to = core::slice::from_raw_parts_mut(to.at(panel, id as usize).add(shift), columns);
                            to.iter_mut().zip(from).for_each(|(t, &f)| *t = *t + f);
                        }
                    }
                }
            }
        }
    }

    /// Gradients of biases, input weights and input rows from rows of gate gradients: a chunk's, or the token table's.
    pub unsafe fn input_gradients(&self, rows: InputRows, thread: usize, hands: &mut Hands<F>, results: &Results<F>) {
        // SAFETY: see `backward`.
        unsafe {
            self.bias_gradients(rows.gates, thread);
            let stages = 0..self.plan.stages.len();
            let plain = |s: &usize| self.plan.input_source(*s).is_some() && self.plan.input_mask(*s).is_none();
            let shared: Vec<usize> = stages.clone().filter(plain).collect();
            if !shared.is_empty() {
                self.masked_input_gradients(rows, None, &shared, thread, hands, results);
            }
            for stage in stages {
                if let Some(m) = self.plan.input_mask(stage) {
                    self.masked_input_gradients(rows, Some(m), &[stage], thread, hands, results);
                }
            }
        }
    }

    /// Sums gate gradients over rows, for the thread's own units.
    unsafe fn bias_gradients(&self, gates: GateRows, thread: usize) {
        let panels = self.plan.panels;
        for (stage, shape) in self.plan.stages.iter().enumerate() {
            let d_gates = self.d_gates(stage, gates);
            let bias = self.ws.gradients.stages[stage].bias.ptr();
            for (group, first, vectors) in pieces(panels, self.own(shape.width, thread)) {
                let (shift, units) = (first * panels.lanes, vectors * panels.lanes);
                for panel in group * shape.gates..(group + 1) * shape.gates {
                    // SAFETY: this thread's own units.
                    unsafe {
                        let to = core::slice::from_raw_parts_mut(bias.add(panel * panels.width + shift), units);
                        for row in 0..gates.rows {
                            let from = d_gates.at(panel, row).add(shift).cast_const();
                            let from = core::slice::from_raw_parts(from, units);
                            to.iter_mut().zip(from).for_each(|(t, &f)| *t = *t + f);
                        }
                    }
                }
            }
        }
    }

    /// Gradients of the input weights of `stages`, which see the input through the same mask or none, and of the input.
    unsafe fn masked_input_gradients(
        &self,
        rows: InputRows,
        mask: Option<usize>,
        stages: &[usize],
        thread: usize,
        hands: &mut Hands<F>,
        results: &Results<F>,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let x = self.input_columns(rows, mask, thread);
            for &stage in stages {
                self.input_weights(stage, rows, x, thread, hands);
            }
            self.gradient_of_input(rows, mask, stages, thread, hands, results);
        }
    }

    /// Input rows for the products of weight gradients: as they stand, or put into panels, each thread its own columns. They and
    /// the gate gradients are complete past it.
    unsafe fn input_columns(&self, rows: InputRows, mask: Option<usize>, thread: usize) -> InputColumns<F> {
        let (panels, input, gates) = (self.plan.panels, self.layer.sizes().input, rows.gates);
        let x = self.x(mask).wrapping_add(rows.first * input);
        let converts = self.plan.bf16.is_some();
        // Nobody still reads the panels of another mask.
        self.team.barrier();
        if !converts && input.is_multiple_of(panels.lanes) && input * size_of::<F>() <= NEAR {
            return InputColumns { ptr: x, next: panels.width, width: input, right: Right::Numbers, own: false };
        }
        let x_panels = Matrix { ptr: self.ws.gradients.x.ptr(), rows: gates.rows, width: panels.width };
        let (all_pairs, pairs) = (pair_rows(gates.rows), self.ws.gradients.x.ptr().cast::<u32>());
        // SAFETY: own columns here; complete for all past the barrier.
        unsafe {
            for (panel, first, vectors) in pieces(panels, self.own(input, thread)) {
                let start = panel * panels.width + first * panels.lanes;
                let columns = (vectors * panels.lanes).min(input - start);
                if converts {
                    // Once for all pieces of all gates.
                    let to = pairs.add(panel * all_pairs * panels.width + first * panels.lanes);
                    let filled = vectors * panels.lanes;
                    rows_of_pairs(|r| x.add(r * input + start), gates.rows, (columns, filled), to, panels.width);
                    continue;
                }
                for row in 0..gates.rows {
                    let to = x_panels.at(panel, row).add(first * panels.lanes);
                    to.copy_from_nonoverlapping(x.add(row * input + start), columns);
                    for c in columns..vectors * panels.lanes {
                        *to.add(c) = F::constant(0.0);
                    }
                }
            }
        }
        self.team.barrier();
        let (count, right) = if converts { (all_pairs, Right::Pairs) } else { (gates.rows, Right::Numbers) };
        // A word of pairs is as long as the numbers that are multiplied so.
        let ptr = x_panels.ptr.cast_const();
        InputColumns { ptr, next: count * panels.width, width: panels.width, right, own: !converts }
    }

    /// Gradients of a stage's input weights.
    unsafe fn input_weights(
        &self,
        stage: usize,
        InputRows { gates, fresh, .. }: InputRows,
        x: InputColumns<F>,
        thread: usize,
        hands: &mut Hands<F>,
    ) {
        let (panels, input) = (self.plan.panels, self.layer.sizes().input);
        let shape = &self.plan.stages[stage];
        let d_gates = self.d_gates(stage, gates);
        let Some(s) = self.plan.input_source(stage) else { return };
        let of_source = &shape.sources[s].gates;
        // By columns a thread mostly reads those of x that it has put there itself; by units, gate gradients of its own units alone.
        let by_columns = x.own && input >= shape.width;
        let (own, whole) = if by_columns { (input, shape.width) } else { (shape.width, input) };
        self.deal(own, of_source.len(), thread, hands, |k, piece, hands| {
            for (n, other) in pieces(panels, 0..panels.blocks(whole)).enumerate() {
                let (units, columns) = if by_columns { (other, piece) } else { (piece, other) };
                let ((group, unit, unit_vectors), (panel, column, vectors)) = (units, columns);
                let (unit, column) = (unit * panels.lanes, column * panels.lanes);
                hands.segments.clear();
                hands.segments.push(Segment {
                    a: d_gates.at(group * shape.gates + of_source[k].0, 0).wrapping_add(unit).cast_const(),
                    row: 1,
                    column: panels.width,
                    b: x.ptr.wrapping_add(panel * x.next + column),
                    depth: gates.rows,
                    next: 0,
                });
                let out = self.ws.gradients.stages[stage].weight(shape, panels, s, group, k);
                let out = out.at(panel, unit).wrapping_add(column);
                let (size, same_left) = ((unit_vectors * panels.lanes, vectors), n > 0 && !by_columns);
                // SAFETY: operands are complete past the barrier; nobody else has this piece.
                unsafe { self.weight_product(&hands.segments, out, size, (x.right, x.width), same_left, fresh) };
            }
        });
    }

    /// The input's gradient from those of the gates of `stages`.
    ///
    /// By rows where it goes straight to the caller's: of the gate gradients that others wrote a thread then reads half, or none where each has rows
    /// of its own. What another core has read must be taken from it before it is written again, which costs most where they share no cache. Rows
    /// that are put somewhere else afterwards may be of the same token: those are taken by columns.
    unsafe fn gradient_of_input(
        &self,
        rows: InputRows,
        mask: Option<usize>,
        stages: &[usize],
        thread: usize,
        hands: &mut Hands<F>,
        results: &Results<F>,
    ) {
        let (panels, input) = (self.plan.panels, self.layer.sizes().input);
        let (gates, first_row) = (rows.gates, rows.first);
        // Straight to the caller's rows where whole registers fit there.
        let in_place = self.plan.input_written_once() && input.is_multiple_of(panels.lanes);
        let d_x = self.scratch(gates.rows);
        let blocks = |owner| if in_place { 0..panels.blocks(input) } else { self.own(input, owner) };
        let count = |owner| pieces(panels, blocks(owner)).count();
        let parts = |owner| if in_place { self.input_parts(rows, owner) } else { 1 };
        let mut last = None;
        hands.turns += 1;
        self.team.deal(
            thread,
            hands.turns,
            |owner| parts(owner) * count(owner),
            |owner, at| {
                let (part, at) = (at / count(owner), at % count(owner));
                let (panel, first, vectors) = pieces(panels, blocks(owner)).nth(at).expect("one of those counted");
                let part_rows = if in_place { self.input_part(rows, owner, part) } else { 0..gates.rows };
                let shift = first * panels.lanes;
                let (out, out_stride) = match in_place {
                    true => {
                        let start = (first_row + part_rows.start) * input + panel * panels.width + shift;
                        (results.d_input.get().wrapping_add(start), input)
                    }
                    false => (d_x.at(panel, 0).wrapping_add(shift), panels.width),
                };
                hands.segments.clear();
                for &stage in stages {
                    if let Some(s) = self.plan.input_source(stage) {
                        let gates = self.d_gates(stage, gates).rows_from(part_rows.start);
                        self.add_gate_segments(stage, s, gates, panel, shift, &mut hands.segments);
                    }
                }
                // SAFETY: as above; nobody else has this piece.
                unsafe {
                    let product = Product {
                        rows: part_rows.len(),
                        panels: 1,
                        vectors,
                        width: panels.width,
                        init: Init::Zero,
                        init_next: 0,
                        segments: &hands.segments,
                        out,
                        out_stride,
                        out_next: 0,
                        scales: core::ptr::null(),
                        soon: Soon::NOTHING,
                        same_left: last.replace((owner, part)) == Some((owner, part)),
                    };
                    self.backward_product(product, Right::Pairs);
                    for row in part_rows.filter(|_| !in_place) {
                        let from = d_x.at(panel, row).add(shift);
                        self.put_input(from, (panel, first, vectors), first_row + row, mask, results);
                    }
                }
            },
        );
    }

    /// Parts of a thread's rows of the input's gradient: its own of each step, or stretches of its share of all.
    fn input_parts(&self, rows: InputRows, owner: usize) -> usize {
        if self.own_rows_of_steps() {
            return rows.steps;
        }
        share(rows.gates.rows, self.team.threads(), owner).len().div_ceil(PART)
    }

    /// A part of the thread's rows.
    fn input_part(&self, rows: InputRows, owner: usize, part: usize) -> Range<usize> {
        if self.own_rows_of_steps() {
            let own = share(self.plan.batch, self.team.threads(), owner);
            return part * self.plan.batch + own.start..part * self.plan.batch + own.end;
        }
        let own = share(rows.gates.rows, self.team.threads(), owner);
        let part = share(own.len(), own.len().div_ceil(PART), part);
        own.start + part.start..own.start + part.end
    }

    /// Whether each thread has rows of its own in every step, and enough of them for a product.
    fn own_rows_of_steps(&self) -> bool {
        self.by_rows && self.plan.batch / self.team.threads() >= STEP
    }

    /// Adds the thread's own columns of one input row's gradient to the caller's row (past its mask), and to the mask's.
    unsafe fn put_input(
        &self,
        from: *const F,
        (panel, first, vectors): (usize, usize, usize),
        row: usize,
        mask: Option<usize>,
        results: &Results<F>,
    ) {
        let panels = self.plan.panels;
        let input = self.layer.sizes().input;
        let shift = first * panels.lanes;
        let start = panel * panels.width + shift;
        let columns = (vectors * panels.lanes).min(input - start);
        let table = matches!(self.plan.path, InputPath::Table { .. });
        let place = if table { row } else { self.ws.rows.place[row] };
        // Tokens outside the table path: the row belongs to its token's embedding.
        let to = match self.seq.input {
            Input::Tokens { ids, .. } if !table => ids[place] as usize,
            _ => place,
        };
        // SAFETY: own columns of the caller's (T, B, I) or (V, I), of scratch and of the mask's gradient.
        unsafe {
            let from = core::slice::from_raw_parts(from, columns);
            let to = core::slice::from_raw_parts_mut(results.d_input.get().add(to * input + start), columns);
            if self.plan.input_written_once() {
                return to.copy_from_slice(from);
            }
            let Some(m) = mask else {
                to.iter_mut().zip(from).for_each(|(t, &f)| *t = *t + f);
                return;
            };
            let b = place % self.plan.batch;
            let mask = &self.seq.masks[m].values[b * input + start..][..columns];
            let x = &self.input_row(place)[start..][..columns];
            let d_mask = Matrix { ptr: self.ws.gradients.masks[m].ptr(), rows: self.plan.batch, width: panels.width };
            let d_mask = core::slice::from_raw_parts_mut(d_mask.at(panel, self.ws.rows.sorted[b]).add(shift), columns);
            for c in 0..columns {
                to[c] = to[c] + from[c] * mask[c];
                d_mask[c] = d_mask[c] + from[c] * x[c];
            }
        }
    }
}

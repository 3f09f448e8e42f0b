//! Forward over time.

use super::compressed::WeightFormat;
use super::hands::{Hands, from_row, next_register};
use super::memory::{Matrix, Shared, pieces, read_row, write_row};
use super::product::{Init, Product, Segment, Soon};
use super::run::Run;
use super::team::share;
use super::weights::SourceShape;
use super::workspace::{InputPath, Outputs, Workspace};
use super::{Engine, Input, Output, Sequence};
use crate::Layer;
use crate::algebra::Element;
use crate::layer::Place;
use core::ops::Range;

impl<F: Element> Run<'_, F> {
    /// The work of one thread.
    ///
    /// # Safety
    /// The workspace is prepared for this run, y has room for (T, B, P), and all threads of the team call this.
    unsafe fn forward(&self, thread: usize) {
        let mut hands = Hands::default();
        // SAFETY: each thread packs and gathers its own share; see `Run` for the rest.
        unsafe {
            self.gather_input(thread);
            self.pack(thread);
            for chunk in &self.plan.forward_chunks {
                if !matches!(self.plan.path, InputPath::Table { .. }) {
                    for stage in (0..self.plan.stages.len()).filter(|&stage| !self.plan.direct[stage]) {
                        self.input_of_chunk(stage, chunk, thread);
                    }
                }
                for step in chunk.clone() {
                    for stage in 0..self.plan.stages.len() {
                        self.stage(stage, step, chunk.start, thread, &mut hands, false);
                        if self.plan.outputs != Outputs::InPlace && self.writes_output(stage) {
                            self.put_out(step, thread);
                        }
                        if self.plan.shared {
                            self.step_barrier();
                        }
                    }
                }
            }
        }
    }

    /// The input product of a chunk of steps: of all its rows together, or of the thread's own, which are a stretch of each step.
    unsafe fn input_of_chunk(&self, stage: usize, chunk: &Range<usize>, thread: usize) {
        let first = self.ws.rows.offset[chunk.start];
        let units = self.step_units(self.plan.stages[stage].width, thread);
        let product = |rows: Range<usize>| {
            let x = (self.x_from(stage, first + rows.start), rows.len());
            // SAFETY: the caller's promise.
            unsafe { self.input_product(stage, x, self.ahead(stage).rows_from(rows.start), units.clone()) };
        };
        if !self.by_rows {
            return product(0..self.ws.rows.offset[chunk.end] - first);
        }
        for step in chunk.clone() {
            let (from, rows) = (self.ws.rows.offset[step] - first, self.step_rows(step, thread));
            product(from + rows.start..from + rows.end);
        }
    }

    /// Packs the weights, and folds the token table into the input product; complete past the barrier in between.
    ///
    /// # Safety
    /// As for `forward`.
    pub unsafe fn pack(&self, thread: usize) {
        // SAFETY: each thread packs its own share and folds for its own units.
        unsafe {
            for (packed, shape) in self.ws.stages.iter().zip(&self.plan.stages) {
                packed.pack(shape, self.plan.panels, self.params, false, (thread, self.team.threads()));
            }
            self.team.barrier();
            if let InputPath::Table { vocabulary } = self.plan.path {
                for stage in 0..self.plan.stages.len() {
                    let ptr = self.ws.tables[stage].ptr();
                    let tables = Matrix { ptr, rows: vocabulary, width: self.plan.panels.width };
                    let units = self.own(self.plan.stages[stage].width, thread);
                    self.input_product(stage, (self.x(None), vocabulary), tables, units);
                }
                if self.by_rows {
                    self.team.barrier();
                }
            }
        }
    }

    /// Step 0 of a run of one step, with weights packed before.
    ///
    /// # Safety
    /// As for `forward`; y has room for (B, P).
    ///
    /// For `flip` see [`stage`](Run::stage).
    pub unsafe fn one_step(&self, thread: usize, hands: &mut Hands<F>, flip: bool) {
        let table = matches!(self.plan.path, InputPath::Table { .. });
        // SAFETY: the caller's promise.
        unsafe {
            for stage in 0..self.plan.stages.len() {
                if !table && !self.plan.direct[stage] {
                    let x = (self.x(None), self.plan.batch);
                    let units = self.own(self.plan.stages[stage].width, thread);
                    self.input_product(stage, x, self.ahead(stage), units);
                }
                self.stage(stage, 0, 0, thread, hands, flip);
                if self.writes_output(stage) {
                    self.put_out(0, thread);
                }
                // After the last one the team's run ends.
                if stage + 1 < self.plan.stages.len() {
                    self.team.barrier();
                }
            }
        }
    }

    fn ahead(&self, stage: usize) -> Matrix<F> {
        Matrix { ptr: self.ws.ahead[stage].ptr(), rows: self.plan.forward_rows, width: self.plan.panels.width }
    }

    /// Bias plus input product of a stage for `rows` rows and some blocks of units, into [group, gate that has the input].
    unsafe fn input_product(&self, stage: usize, (x, rows): (*const F, usize), out: Matrix<F>, units: Range<usize>) {
        let (mut soon, mut same_left) = (Soon::NOTHING, false);
        for piece in pieces(self.plan.panels, units) {
            // SAFETY: the caller's promise.
            unsafe { self.input_piece(stage, (x, rows), out, piece, &mut soon, &mut same_left) };
        }
    }

    /// The same for some of its units. The first of the products asks for what is read `soon`.
    unsafe fn input_piece(
        &self,
        stage: usize,
        (x, rows): (*const F, usize),
        out: Matrix<F>,
        (group, first, vectors): (usize, usize, usize),
        soon: &mut Soon<F>,
        same_left: &mut bool,
    ) {
        let (shape, panels) = (&self.plan.stages[stage], self.plan.panels);
        let Some(s) = self.plan.input_source(stage) else { return };
        let packed = &self.ws.stages[stage];
        let input = self.layer.sizes().input;
        let shift = first * panels.lanes;
        for run in &shape.sources[s].runs {
            let panel = group * shape.gates + shape.sources[s].gates[run.start].0;
            let b = packed.stored(shape, panels, s, group, run.start, (0, shift));
            let next = packed.distance(shape, panels, s);
            let segment = Segment { a: x, row: input, column: 1, b, depth: input, next };
            let bias = packed.bias.ptr().wrapping_add(panel * panels.width + shift);
            // SAFETY: operands and result were laid out by `prepare`.
            unsafe {
                self.product(
                    stage,
                    Product {
                        rows,
                        panels: run.len(),
                        vectors,
                        width: panels.width,
                        init: Init::Rows { ptr: bias, stride: 0 },
                        init_next: panels.width,
                        segments: &[segment],
                        out: out.at(group * shape.sources[s].gates.len() + run.start, 0).wrapping_add(shift),
                        out_stride: panels.width,
                        out_next: out.rows * panels.width,
                        scales: packed.scales(shape, panels, s, group, run.start).wrapping_add(shift),
                        soon: core::mem::replace(soon, Soon::NOTHING),
                        same_left: core::mem::replace(same_left, true),
                    },
                );
            }
        }
    }

    /// One stage of one step: products, then the equations, for the thread's own units or rows.
    ///
    /// `flip` takes the weights from the last to the first: where they are a little larger than a cache, every other step
    /// then finds most of them there. It does not change the order of any sum.
    unsafe fn stage(
        &self,
        stage: usize,
        step: usize,
        chunk_start: usize,
        thread: usize,
        hands: &mut Hands<F>,
        flip: bool,
    ) {
        // SAFETY: see `Run`; masked sources are complete past the barrier.
        unsafe {
            if self.plan.masks.iter().any(|m| m.0 == stage && m.2 != Place::Input) {
                self.mask_sources(stage, step, thread);
                self.step_barrier();
            }
        }
        let shape = &self.plan.stages[stage];
        let direct = self.plan.direct[stage];
        let rows = self.step_rows(step, thread);
        let row = self.ws.rows.offset[step] + rows.start;
        let next = if direct && step + 1 < self.ws.rows.count() { self.step_rows(step + 1, thread).len() } else { 0 };
        let next_row = self.ws.rows.offset[step + 1] + rows.start;
        let mut soon = Soon::new(self.x_from(stage, next_row), next * self.layer.sizes().input);
        let mut own = pieces(self.plan.panels, self.step_units(shape.width, thread));
        hands.same_left = false;
        while let Some(piece) = if flip { own.next_back() } else { own.next() } {
            if direct {
                let x = (self.x_from(stage, row), rows.len());
                let out = self.ws.pre_at(stage, step).rows_from(rows.start);
                // SAFETY: the units are this thread's.
                unsafe { self.input_piece(stage, x, out, piece, &mut soon, &mut hands.same_left) };
            }
            for run in shape.runs.iter().filter(|_| !direct) {
                // SAFETY: sources are complete past the last barrier; the units are this thread's.
                unsafe { self.gates(stage, (step, rows.clone()), chunk_start, run, piece, hands) };
                // Runs have sources of their own.
                hands.same_left = shape.runs.len() == 1;
            }
            if shape.norms.is_empty() {
                // SAFETY: as above.
                unsafe { self.equations(stage, (step, rows.clone()), piece, hands) };
            }
        }
        if !shape.norms.is_empty() {
            self.team.barrier();
            // SAFETY: all units of a row are there past the barrier; rows are divided among the threads.
            unsafe { self.normalise(stage, step, thread) };
            self.team.barrier();
            for piece in pieces(self.plan.panels, self.own(shape.width, thread)) {
                // SAFETY: as above.
                unsafe { self.equations(stage, (step, rows.clone()), piece, hands) };
            }
        }
    }

    /// Pre-activations of a run of gates for some rows: bias and input product from ahead, plus the products with the other sources.
    unsafe fn gates(
        &self,
        stage: usize,
        (step, rows): (usize, Range<usize>),
        chunk_start: usize,
        run: &Range<usize>,
        (group, first, vectors): (usize, usize, usize),
        hands: &mut Hands<F>,
    ) {
        let (shape, panels) = (&self.plan.stages[stage], self.plan.panels);
        let packed = &self.ws.stages[stage];
        let shift = first * panels.lanes;
        let panel = group * shape.gates + run.start;
        let bias = packed.bias.ptr().wrapping_add(panel * panels.width + shift);
        let pre = self.ws.pre_at(stage, step);
        let out = pre.at(panel, rows.start).wrapping_add(shift);
        let mut product = Product {
            rows: rows.len(),
            panels: run.len(),
            vectors,
            width: panels.width,
            init: Init::Rows { ptr: bias.cast_const(), stride: 0 },
            init_next: panels.width,
            segments: &[],
            out,
            out_stride: panels.width,
            out_next: pre.rows * panels.width,
            scales: core::ptr::null(),
            soon: Soon::NOTHING,
            same_left: false,
        };
        let of_run = |source: &SourceShape| source.gates.iter().position(|g| g.0 == run.start);
        let input = shape.sources.iter().find(|source| source.place == Place::Input);
        if let Some((source, k)) = input.and_then(|source| Some((source, of_run(source)?))) {
            (product.init, product.init_next) =
                self.input_ahead(stage, (step, rows.clone()), chunk_start, group * source.gates.len() + k, shift);
        }
        hands.segments.clear();
        for (s, source) in shape.sources.iter().enumerate().filter(|(_, source)| source.place != Place::Input) {
            let Some(k) = of_run(source) else { continue };
            let a = self.source(stage, s, step);
            hands.segments.extend((0..panels.count(source.width)).map(|p| Segment {
                a: a.at(p, rows.start).cast_const(),
                row: panels.width,
                column: 1,
                b: packed.stored(shape, panels, s, group, k, (p * panels.width, shift)),
                depth: panels.depth(source.width, p),
                next: packed.distance(shape, panels, s),
            }));
            if packed.format == WeightFormat::Int8 {
                // Every source has factors of its own, so that its sum must be complete by itself.
                let scales = packed.scales(shape, panels, s, group, k).wrapping_add(shift);
                // SAFETY: operands and result were laid out by `prepare`.
                unsafe { self.product(stage, Product { segments: &hands.segments, scales, ..product }) };
                product.init = Init::Rows { ptr: out.cast_const(), stride: panels.width };
                product.init_next = product.out_next;
                hands.segments.clear();
            }
        }
        // SAFETY: as above.
        unsafe {
            self.product(stage, Product { segments: &hands.segments, same_left: hands.same_left, ..product });
        }
    }

    /// Bias plus input product of a step's rows, computed ahead or folded into the token table, and the distance to the
    /// next panel's.
    fn input_ahead(
        &self,
        stage: usize,
        (step, rows): (usize, Range<usize>),
        chunk_start: usize,
        panel: usize,
        shift: usize,
    ) -> (Init<'_, F>, usize) {
        let (width, offset) = (self.plan.panels.width, self.ws.rows.offset[step]);
        match self.plan.path {
            InputPath::Table { vocabulary } => {
                let table = Matrix { ptr: self.ws.tables[stage].ptr(), rows: vocabulary, width };
                let ids = &self.ws.ids[offset + rows.start..offset + rows.end];
                let table = table.at(panel, 0).wrapping_add(shift).cast_const();
                (Init::Gather { table, stride: width, ids }, vocabulary * width)
            }
            _ => {
                let row = offset - self.ws.rows.offset[chunk_start] + rows.start;
                let ahead = self.ahead(stage);
                let ptr = ahead.at(panel, row).wrapping_add(shift).cast_const();
                (Init::Rows { ptr, stride: width }, ahead.rows * width)
            }
        }
    }

    /// The equations of a stage for some units and rows.
    unsafe fn equations(
        &self,
        stage: usize,
        (step, rows): (usize, Range<usize>),
        (group, first, vectors): (usize, usize, usize),
        hands: &mut Hands<F>,
    ) {
        let panels = self.plan.panels;
        self.arguments(stage, step, group, first, &mut hands.args);
        hands.outs.clear();
        let writes = self.layer.stages()[stage].writes.iter();
        hands.outs.extend(writes.map(|&v| self.column(Place::Now(v), step, group, first * panels.lanes)));
        from_row(&mut hands.args, rows.start);
        from_row(&mut hands.outs, rows.start);
        for _ in 0..vectors {
            // SAFETY: one column for each argument and result, the thread's rows of each.
            unsafe { self.cell.forward(stage, self.plan.isa, &hands.args, &hands.outs, rows.len()) };
            next_register(&mut hands.args, panels.lanes);
            next_register(&mut hands.outs, panels.lanes);
        }
    }

    /// Multiplies the masked sources of a stage by their masks, for the thread's own units or rows.
    unsafe fn mask_sources(&self, stage: usize, step: usize, thread: usize) {
        let panels = self.plan.panels;
        for (m, &(_, _, place)) in self.plan.masks.iter().enumerate().filter(|(_, m)| m.0 == stage) {
            if place == Place::Input {
                continue;
            }
            let width = self.layer.width_of(place);
            let from = self.value(place, step);
            let mask = Matrix { ptr: self.ws.masks[m].ptr(), rows: self.plan.batch, width: panels.width };
            let to = self.ws.packed_at(&self.ws.masked[m], panels.padded(width), step);
            for (panel, first, vectors) in pieces(panels, self.step_units(width, thread)) {
                for row in self.step_rows(step, thread) {
                    for c in first * panels.lanes..(first + vectors) * panels.lanes {
                        // SAFETY: inside the panel's row.
                        unsafe {
                            *to.at(panel, row).add(c) = *from.at(panel, row).add(c) * *mask.at(panel, row).add(c);
                        }
                    }
                }
            }
        }
    }

    /// Gathers the thread's share of input rows in packed order where they cannot be read in place, and the same rows
    /// times each mask on the input.
    unsafe fn gather_input(&self, thread: usize) {
        let input = self.layer.sizes().input;
        let masks = self.plan.masks.iter().enumerate().filter(|(_, m)| m.2 == Place::Input).map(|(m, _)| m);
        for n in share(self.ws.rows.total(), self.team.threads(), thread) {
            let place = self.ws.rows.place[n];
            let from = self.input_row(place);
            // SAFETY: `prepare` made room for every packed row.
            let slot = |ptr: *mut F| unsafe { core::slice::from_raw_parts_mut(ptr.add(n * input), input) };
            if self.plan.path == InputPath::Gathered {
                slot(self.ws.x.ptr()).copy_from_slice(from);
            }
            for m in masks.clone() {
                let mask = &self.seq.masks[m].values[place % self.plan.batch * input..][..input];
                let to = slot(self.ws.masked[m].ptr());
                to.iter_mut().zip(from).zip(mask).for_each(|((t, &f), &m)| *t = f * m);
            }
        }
    }

    fn writes_output(&self, stage: usize) -> bool {
        self.layer.stages()[stage].writes.contains(&self.layer.output())
    }

    /// Copies the thread's own units or rows of the output at a step to the caller's (T, B, P).
    unsafe fn put_out(&self, step: usize, thread: usize) {
        let panels = self.plan.panels;
        let width = self.layer.output_width();
        let from = self.ws.value(self.layer.output(), Some(step));
        for (panel, first, vectors) in pieces(panels, self.step_units(width, thread)) {
            let start = panel * panels.width + first * panels.lanes;
            let columns = (vectors * panels.lanes).min(width - start);
            for row in self.step_rows(step, thread) {
                let place = self.ws.rows.place[self.ws.rows.offset[step] + row];
                // SAFETY: y holds (T, B, P), and `place` is t * B + b.
                unsafe {
                    let to = self.y.get().add(place * width + start);
                    to.copy_from_nonoverlapping(from.at(panel, row).add(first * panels.lanes), columns);
                }
            }
        }
    }
}

/// Runs a layer forward over a batch.
pub(super) fn forward<F: Element>(
    engine: &Engine,
    layer: &Layer,
    params: &[&[F]],
    seq: &Sequence<F>,
    ws: &mut Workspace<F>,
    out: &mut Output<F>,
) {
    let team = &engine.team;
    seq.check(layer, params);
    ws.prepare(layer, engine.isa, engine.bf16, seq);
    scatter_inputs(layer, seq, ws);
    let size = seq.steps * seq.batch * layer.output_width();
    if out.y.len() != size {
        team.zeros(&mut out.y, size);
    } else if seq.lengths.is_some() {
        out.y.fill(F::constant(0.0));
    }
    let plan = ws.plan.as_ref().expect("prepared above");
    let cell = F::pointwise(&**layer.cell());
    let by_rows = ws.by_rows(team.threads());
    let run = Run { team, layer, cell, params, seq, ws, plan, by_rows, y: Shared(out.y.as_mut_ptr()) };
    // SAFETY: the workspace is prepared, and y has the output's size.
    team.run(&|thread| unsafe { run.forward(thread) });

    out.state.resize(layer.carried().len(), Vec::new());
    for (state, &value) in out.state.iter_mut().zip(layer.carried()) {
        let width = plan.widths[value];
        state.resize(seq.batch * width, F::constant(0.0));
        for (row, &b) in ws.rows.batch.iter().enumerate() {
            let (last, to) = (ws.rows.steps[row].checked_sub(1), &mut state[b * width..][..width]);
            match last {
                Some(last) if value == plan.output && plan.outputs != Outputs::EveryStep => {
                    to.copy_from_slice(&out.y[ws.rows.place[ws.rows.offset[last] + row] * width..][..width]);
                }
                // SAFETY: the run is over; every row's last value is in place.
                _ => unsafe { read_row(ws.value(value, last), row, to) },
            }
        }
    }
}

/// Copies the caller's states, masks, feeds and ids into packed order.
pub(super) fn scatter_inputs<F: Element>(layer: &Layer, seq: &Sequence<F>, ws: &mut Workspace<F>) {
    let Some(plan) = &ws.plan else { return };
    let panels = plan.panels;
    let matrix = |ptr: *mut F, rows: usize| Matrix { ptr, rows, width: panels.width };
    // SAFETY: `prepare` made room, and no thread runs yet.
    unsafe {
        for (c, &value) in layer.carried().iter().enumerate() {
            let to = matrix(ws.initial[value].ptr(), plan.batch);
            let width = plan.widths[value];
            for (row, &b) in ws.rows.batch.iter().enumerate() {
                let from = seq.state.as_ref().map(|s| &s[c][b * width..][..width]);
                write_row(to, row, from, width);
            }
        }
        for (m, mask) in seq.masks.iter().enumerate() {
            let to = matrix(ws.masks[m].ptr(), plan.batch);
            let width = layer.width_of(mask.source);
            for (row, &b) in ws.rows.batch.iter().enumerate() {
                write_row(to, row, Some(&mask.values[b * width..][..width]), width);
            }
        }
        let widths = layer.stages().iter().flat_map(|s| core::iter::repeat_n(s.width, s.feeds));
        for ((feed, values), width) in seq.feeds.iter().enumerate().zip(widths) {
            for step in 0..ws.rows.count() {
                let to = ws.packed_at(&ws.feeds[feed], panels.padded(width), step);
                for row in 0..ws.rows.active[step] {
                    let place = ws.rows.place[ws.rows.offset[step] + row];
                    write_row(to, row, Some(&values[place * width..][..width]), width);
                }
            }
        }
    }
    if let (InputPath::Table { .. }, Input::Tokens { ids, .. }) = (plan.path, seq.input) {
        ws.ids.clear();
        ws.ids.extend(ws.rows.place.iter().map(|&p| ids[p]));
    }
}

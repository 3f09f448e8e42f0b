//! Gradients of the weights of what is carried, from a chunk of steps, and the product that all weight gradients are.

use super::backward::GateRows;
use super::hands::Hands;
use super::memory::pieces;
use super::mixed::Right;
use super::mixed::pairs::{pair_rows, rows};
use super::product::{Init, Product, Segment, Soon};
use super::run::Run;
use crate::algebra::Element;
use crate::layer::Place;
use core::ops::Range;

impl<F: Element> Run<'_, F> {
    /// Weight gradients of every source but the input from a chunk of steps.
    pub unsafe fn recurrent_weights(&self, chunk: Range<usize>, fresh: bool, thread: usize, hands: &mut Hands<F>) {
        let all = GateRows { rows: self.plan.backward_rows, storage: self.plan.backward_rows, table: false };
        for (stage, shape) in self.plan.stages.iter().enumerate() {
            let gates = self.d_gates(stage, all);
            for (s, source) in shape.sources.iter().enumerate() {
                if source.place == Place::Input {
                    continue;
                }
                let panels = self.plan.panels;
                let active = |step: usize| self.ws.rows.active[step];
                // SAFETY: the caller's promise; nobody reads a buffer of pairs that is written, between the barriers.
                let pairs = unsafe { self.pairs_of_source(stage, s, &chunk, thread) };
                let right = if pairs.is_some() { Right::Pairs } else { Right::Numbers };
                self.deal(shape.width, source.gates.len(), thread, hands, |k, (group, first, vectors), hands| {
                    let (shift, units) = (first * panels.lanes, vectors * panels.lanes);
                    let gate = source.gates[k].0;
                    let a = |row: usize| gates.at(group * shape.gates + gate, row).wrapping_add(shift).cast_const();
                    let out = self.ws.gradients.stages[stage].weight(shape, panels, s, group, k);
                    for panel in 0..panels.count(source.width) {
                        let mut row = 0;
                        hands.segments.clear();
                        hands.segments.extend(chunk.clone().map(|step| {
                            let b = match pairs {
                                Some((pairs, rows)) => {
                                    pairs.wrapping_add((panel * rows + row) * panels.width).cast::<F>()
                                }
                                None => self.source(stage, s, step).at(panel, 0),
                            };
                            row += pair_rows(active(step));
                            Segment {
                                a: a(self.ws.rows.offset[step] - self.ws.rows.offset[chunk.start]),
                                row: 1,
                                column: panels.width,
                                b: b.cast_const(),
                                depth: active(step),
                                next: 0,
                            }
                        }));
                        let out = out.at(panel, shift);
                        let size = (units, panels.blocks(panels.depth(source.width, panel)));
                        // SAFETY: gate gradients and sources are complete; nobody else has this piece.
                        unsafe {
                            self.weight_product(&hands.segments, out, size, (right, panels.width), panel > 0, fresh)
                        };
                    }
                });
            }
        }
    }

    /// In mixed precision: a source's values in a chunk of steps as pairs, [panel][step][row of pairs], and a panel's rows of pairs, where they
    /// are converted once for all pieces ([`Plan::pairs_of_chunk`]). The threads wait for each other before and after.
    ///
    /// [`Plan::pairs_of_chunk`]: super::workspace::Plan::pairs_of_chunk
    unsafe fn pairs_of_source(
        &self,
        stage: usize,
        s: usize,
        chunk: &Range<usize>,
        thread: usize,
    ) -> Option<(*mut u32, usize)> {
        let all = self.plan.pairs_of_chunk(&self.ws.rows.active, chunk)?;
        let (panels, width) = (self.plan.panels, self.plan.stages[stage].sources[s].width);
        let active = |step: usize| self.ws.rows.active[step];
        let pairs = self.ws.gradients.pairs.ptr().cast::<u32>();
        // The source before is no longer read.
        self.team.barrier();
        for (panel, first, vectors) in pieces(panels, self.own(width, thread)) {
            let (shift, columns) = (first * panels.lanes, vectors * panels.lanes);
            let mut row = panel * all;
            for step in chunk.clone() {
                let from = self.source(stage, s, step);
                let at = |r: usize| from.at(panel, r).wrapping_add(shift).cast_const();
                let to = pairs.wrapping_add(row * panels.width + shift);
                // SAFETY: this thread's own columns of the panel's rows; `prepare_backward` made room.
                unsafe { rows(at, active(step), (columns, columns), to, panels.width) };
                row += pair_rows(active(step));
            }
        }
        self.team.barrier();
        Some((pairs, all))
    }

    /// `out (units, vectors) = or += Σ segments`, where B is stored as `right` says, its rows `width` apart, and A is that of the product before if
    /// `same_left`.
    pub unsafe fn weight_product(
        &self,
        segments: &[Segment<F>],
        out: *mut F,
        (units, vectors): (usize, usize),
        (right, width): (Right, usize),
        same_left: bool,
        fresh: bool,
    ) {
        let panels = self.plan.panels;
        // SAFETY: the caller's promise.
        unsafe {
            let product = Product {
                rows: units,
                panels: 1,
                vectors,
                width,
                init: if fresh { Init::Zero } else { Init::Rows { ptr: out, stride: panels.width } },
                init_next: 0,
                segments,
                out,
                out_stride: panels.width,
                out_next: 0,
                scales: core::ptr::null(),
                soon: Soon::NOTHING,
                same_left,
            };
            self.backward_product(product, right);
        }
    }
}

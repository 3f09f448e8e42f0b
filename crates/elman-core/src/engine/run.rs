//! What the threads of a run have in common: where everything stands, and how work is divided.

use super::hands::Hands;
use super::memory::{Matrix, Shared, pieces};
use super::mixed::Right;
use super::product::Product;
use super::team::{Team, share};
use super::workspace::{InputPath, Plan, Workspace};
use super::{Input, Sequence};
use crate::Layer;
use crate::algebra::Element;
use crate::cell::{Column, Pointwise};
use crate::layer::Place;
use core::ops::Range;

/// What every thread sees of a run. Buffers are written through their addresses: each thread writes its own blocks of
/// units, its own rows or pieces that were dealt to it, and reads those of others only past the barrier that follows their writing.
pub(super) struct Run<'a, F> {
    pub team: &'a Team,
    pub layer: &'a Layer,
    pub cell: &'a dyn Pointwise<F>,
    pub params: &'a [&'a [F]],
    pub seq: &'a Sequence<'a, F>,
    pub ws: &'a Workspace<F>,
    pub plan: &'a Plan,
    /// Whether the threads divide the rows of a step, and not its units ([`Workspace::by_rows`]).
    pub by_rows: bool,
    /// The outputs (T, B, P), which forward writes and backward reads.
    pub y: Shared<F>,
}

impl<F: Element> Run<'_, F> {
    /// The thread's blocks of units in a width.
    pub fn own(&self, width: usize, thread: usize) -> Range<usize> {
        share(self.plan.panels.blocks(width), self.team.threads(), thread)
    }

    /// The thread's blocks of units of a width in a step.
    pub fn step_units(&self, width: usize, thread: usize) -> Range<usize> {
        if self.by_rows { 0..self.plan.panels.blocks(width) } else { self.own(width, thread) }
    }

    /// The thread's rows of a step.
    pub fn step_rows(&self, step: usize, thread: usize) -> Range<usize> {
        let rows = self.ws.rows.active[step];
        if self.by_rows { share(rows, self.team.threads(), thread) } else { 0..rows }
    }

    /// Waits for the other threads where a step goes on with what they wrote: not where each has rows of its own.
    pub fn step_barrier(&self) {
        if !self.by_rows {
            self.team.barrier();
        }
    }

    /// Rows of the input for the products, with the mask's factor if there is one.
    pub fn x(&self, mask: Option<usize>) -> *const F {
        match (mask, self.plan.path, self.seq.input) {
            (Some(m), ..) => self.ws.masked[m].ptr(),
            (None, InputPath::InPlace, Input::Dense(x)) => x.as_ptr(),
            (None, InputPath::Table { .. }, Input::Tokens { table, .. }) => table.as_ptr(),
            _ => self.ws.x.ptr(),
        }
    }

    /// Rows of a stage's input from a packed row on.
    pub fn x_from(&self, stage: usize, row: usize) -> *const F {
        self.x(self.plan.input_mask(stage)).wrapping_add(row * self.layer.sizes().input)
    }

    /// Where a source other than the input stands at a step, masked if it has a mask.
    pub fn source(&self, stage: usize, s: usize, step: usize) -> Matrix<F> {
        let source = &self.plan.stages[stage].sources[s];
        match self.plan.mask(stage, s) {
            Some(m) => self.ws.packed_at(&self.ws.masked[m], self.plan.panels.padded(source.width), step),
            None => self.value(source.place, step),
        }
    }

    /// Where the value at a place stands at a step.
    pub fn value(&self, place: Place, step: usize) -> Matrix<F> {
        match place {
            Place::Before(v) => self.ws.value(v, step.checked_sub(1)),
            Place::Now(v) => self.ws.value(v, Some(step)),
            Place::Input => unreachable!("the input is not stored as a value"),
        }
    }

    /// A column of the value at a place, of all rows of a step.
    pub fn column(&self, place: Place, step: usize, group: usize, shift: usize) -> Column<F> {
        let (value, step) = match place {
            Place::Before(v) => (v, step.checked_sub(1)),
            Place::Now(v) => (v, Some(step)),
            Place::Input => unreachable!("the input is not stored as a value"),
        };
        match step {
            Some(step) if self.plan.in_place(value) => {
                let (width, first) = (self.plan.widths[value], self.ws.rows.place[self.ws.rows.offset[step]]);
                let start = first * width + group * self.plan.panels.width + shift;
                Column { ptr: self.y.get().wrapping_add(start), stride: width }
            }
            _ => {
                let m = self.ws.value(value, step);
                Column { ptr: m.at(group, 0).wrapping_add(shift), stride: m.width }
            }
        }
    }

    /// The arguments of a stage's equations for one register of units; the next register's stand one register further.
    pub fn arguments(&self, stage: usize, step: usize, group: usize, register: usize, args: &mut Vec<Column<F>>) {
        let (shape, panels) = (&self.plan.stages[stage], self.plan.panels);
        let resolved = &self.layer.stages()[stage];
        let shift = register * panels.lanes;
        let column = |m: Matrix<F>, panel: usize| Column { ptr: m.at(panel, 0).wrapping_add(shift), stride: m.width };
        args.clear();
        let pre = self.ws.pre_at(stage, step);
        for gate in 0..shape.gates {
            args.push(column(pre, group * shape.gates + gate));
        }
        args.extend(resolved.reads.iter().map(|&read| self.column(read, step, group, shift)));
        let padded = panels.padded(shape.width);
        for unit in 0..resolved.units {
            let ptr = self.ws.stages[stage].units.ptr().wrapping_add(unit * padded + group * panels.width + shift);
            args.push(Column { ptr, stride: 0 });
        }
        for feed in self.feeds(stage) {
            args.push(column(self.ws.packed_at(&self.ws.feeds[feed], padded, step), group));
        }
    }

    /// Indices of a stage's feeds among all feeds.
    pub fn feeds(&self, stage: usize) -> Range<usize> {
        let before: usize = self.layer.stages()[..stage].iter().map(|s| s.feeds).sum();
        before..before + self.layer.stages()[stage].feeds
    }

    /// One row of the caller's input by its place t * B + b.
    pub fn input_row(&self, place: usize) -> &[F] {
        let input = self.layer.sizes().input;
        match self.seq.input {
            Input::Dense(x) => &x[place * input..][..input],
            Input::Tokens { ids, table } => &table[ids[place] as usize * input..][..input],
        }
    }

    /// Runs a product with a stage's weights in the form in which they are stored.
    pub unsafe fn product(&self, stage: usize, product: Product<F>) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.plan.bf16 {
                None => product.run_stored(self.plan.isa, self.ws.stages[stage].format),
                Some(kernel) => product.run_mixed(self.plan.isa, kernel, Right::Pairs),
            }
        }
    }

    /// Runs a product of backward: with weights as they are packed for it, or with data as numbers.
    pub unsafe fn backward_product(&self, product: Product<F>, right: Right) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.plan.bf16 {
                None => product.run(self.plan.isa),
                Some(kernel) => product.run_mixed(self.plan.isa, kernel, right),
            }
        }
    }

    /// Deals out the pieces of so many units, each `times` over: `work(time, piece, hands)`.
    pub fn deal(
        &self,
        units: usize,
        times: usize,
        thread: usize,
        hands: &mut Hands<F>,
        mut work: impl FnMut(usize, (usize, usize, usize), &mut Hands<F>),
    ) {
        let of = |owner| pieces(self.plan.panels, self.own(units, owner));
        let count = |owner| times * of(owner).count();
        hands.turns += 1;
        self.team.deal(thread, hands.turns, count, |owner, at| {
            let pieces = of(owner).count();
            work(at / pieces, of(owner).nth(at % pieces).expect("one of those counted"), hands);
        });
    }
}

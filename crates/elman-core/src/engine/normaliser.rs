//! Layer normalisation of gates, and its backward.
//!
//! For one row, a gate's `a` over all units of the stage becomes `gain · n + bias` with
//! `n = f (a - mean(a))`, `f = 1 / sqrt(var(a) + ε)`. Backward, with `e = d · gain`:
//! `d_gain += d · n`, `d_bias += d`, `d_a = f (e - mean(e) - n mean(e · n))`.
//!
//! This is the one part of a step that looks across units: threads divide the rows here, between two barriers. Each sum goes
//! over the units in their order, so that any number of threads gives the same bits.

use super::backward::GateRows;
use super::memory::{Matrix, pieces};
use super::run::Run;
use super::team::share;
use crate::algebra::Element;
use crate::cell::NORMALISER_EPSILON;

impl<F: Element> Run<'_, F> {
    /// Normalises the gates of a stage that ask for it, in the thread's share of a step's rows.
    ///
    /// # Safety
    /// The pre-activations of all units are complete, and nobody uses them before the next barrier.
    pub unsafe fn normalise(&self, stage: usize, step: usize, thread: usize) {
        let (shape, panels) = (&self.plan.stages[stage], self.plan.panels);
        let (pre, hats) = (self.ws.pre_at(stage, step), self.ws.hats_at(stage, step));
        let norms = shape.norms.len();
        let padded = panels.padded(shape.width);
        for row in share(pre.rows, self.team.threads(), thread) {
            for (k, norm) in shape.norms.iter().enumerate() {
                let value = norm.value.map(|place| self.value(place, step));
                // SAFETY: a row of each is this thread's, and gains and shifts were packed.
                unsafe {
                    let a = |group| match value {
                        Some(value) => part(value, panels.depth(shape.width, group), group, row),
                        None => part(pre, panels.depth(shape.width, group), group * shape.gates + norm.gate, row),
                    };
                    let mean: F = average(shape.groups, shape.width, |group, sum| {
                        a(group).iter().for_each(|&a| *sum = *sum + a);
                    });
                    let variance: F = average(shape.groups, shape.width, |group, sum| {
                        a(group).iter().for_each(|&a| *sum = *sum + (a - mean) * (a - mean));
                    });
                    let factor = F::constant(1.0) / (variance + F::constant(NORMALISER_EPSILON)).sqrt();
                    *self.factor(stage, step, row, k) = factor;
                    for group in 0..shape.groups {
                        let units = panels.depth(shape.width, group);
                        let packed = k * padded + group * panels.width;
                        let gain = core::slice::from_raw_parts(self.ws.stages[stage].gains.ptr().add(packed), units);
                        let shift = core::slice::from_raw_parts(self.ws.stages[stage].shifts.ptr().add(packed), units);
                        let hat = part_mut(hats, units, group * norms + k, row);
                        for (hat, &a) in hat.iter_mut().zip(a(group)) {
                            *hat = (a - mean) * factor;
                        }
                        let gate = part_mut(pre, units, group * shape.gates + norm.gate, row);
                        for (u, gate) in gate.iter_mut().enumerate() {
                            *gate = gain[u] * hat[u] + shift[u];
                        }
                    }
                }
            }
        }
    }

    /// Backward of [`normalise`](Run::normalise): the gradients by gains and shifts for the thread's own units, past a barrier
    /// the gate gradients for its share of the rows, and past another those of normalised values for its own units.
    ///
    /// # Safety
    /// `gates` are the gate gradients of this stage from this step's first row on, those of the thread's own units complete.
    pub unsafe fn normalise_backward(&self, stage: usize, step: usize, gates: Matrix<F>, thread: usize) {
        let (shape, panels) = (&self.plan.stages[stage], self.plan.panels);
        let rows = self.ws.rows.active[step];
        let hats = self.ws.hats_at(stage, step);
        let norms = shape.norms.len();
        let padded = panels.padded(shape.width);
        let sums = &self.ws.gradients.stages[stage];
        for (group, first, vectors) in pieces(panels, self.own(shape.width, thread)) {
            for (k, norm) in shape.norms.iter().enumerate() {
                let packed = k * padded + group * panels.width;
                for row in 0..rows {
                    for c in first * panels.lanes..(first + vectors) * panels.lanes {
                        // SAFETY: the thread's own units.
                        unsafe {
                            let d = *gates.at(group * shape.gates + norm.gate, row).add(c);
                            let hat = *hats.at(group * norms + k, row).add(c);
                            let (gain, shift) = (sums.gains.ptr().add(packed + c), sums.shifts.ptr().add(packed + c));
                            *gain = *gain + d * hat;
                            *shift = *shift + d;
                        }
                    }
                }
            }
        }
        self.team.barrier();
        for row in share(rows, self.team.threads(), thread) {
            for (k, norm) in shape.norms.iter().enumerate() {
                // SAFETY: this row is the thread's between the barriers.
                unsafe {
                    let panel = |group: usize| group * shape.gates + norm.gate;
                    for group in 0..shape.groups {
                        let packed = k * padded + group * panels.width;
                        let d = part_mut(gates, panels.depth(shape.width, group), panel(group), row);
                        for (u, d) in d.iter_mut().enumerate() {
                            *d = *d * *self.ws.stages[stage].gains.ptr().add(packed + u);
                        }
                    }
                    let e = |group| part(gates, panels.depth(shape.width, group), panel(group), row);
                    let hat = |group| part(hats, panels.depth(shape.width, group), group * norms + k, row);
                    let mean: F = average(shape.groups, shape.width, |group, sum| {
                        e(group).iter().for_each(|&e| *sum = *sum + e);
                    });
                    let along: F = average(shape.groups, shape.width, |group, sum| {
                        e(group).iter().zip(hat(group)).for_each(|(&e, &n)| *sum = *sum + e * n);
                    });
                    let factor = *self.factor(stage, step, row, k);
                    for group in 0..shape.groups {
                        let d = part_mut(gates, panels.depth(shape.width, group), panel(group), row);
                        for (d, &n) in d.iter_mut().zip(hat(group)) {
                            *d = factor * (*d - mean - n * along);
                        }
                    }
                }
            }
        }
        self.team.barrier();
        for norm in &shape.norms {
            let Some(place) = norm.value else { continue };
            let to = self.d_place(place, step);
            for (group, first, vectors) in pieces(panels, self.own(shape.width, thread)) {
                for row in 0..rows {
                    for c in first * panels.lanes..(first + vectors) * panels.lanes {
                        // SAFETY: the thread's own units of a value as wide as the stage.
                        unsafe {
                            let to = to.at(group, row).add(c);
                            *to = *to + *gates.at(group * shape.gates + norm.gate, row).add(c);
                        }
                    }
                }
            }
        }
    }

    /// Gate gradients of a stage from a step's first row on, within a chunk of steps.
    pub fn step_gates(&self, stage: usize, step: usize, chunk: usize) -> Matrix<F> {
        let all = GateRows { rows: self.plan.backward_rows, storage: self.plan.backward_rows, table: false };
        self.d_gates(stage, all).rows_from(self.ws.rows.offset[step] - self.ws.rows.offset[chunk])
    }

    fn factor(&self, stage: usize, step: usize, row: usize, k: usize) -> *mut F {
        let norms = self.plan.stages[stage].norms.len();
        self.ws.factors[stage].ptr().wrapping_add((self.ws.rows.offset[step] + row) * norms + k)
    }
}

/// Sums over the groups of units, divided by their number.
fn average<F: Element>(groups: usize, units: usize, add: impl Fn(usize, &mut F)) -> F {
    let mut sum = F::constant(0.0);
    (0..groups).for_each(|group| add(group, &mut sum));
    sum / F::constant(units as f64)
}

/// The real units of a row of a panel.
unsafe fn part<'a, F>(m: Matrix<F>, units: usize, panel: usize, row: usize) -> &'a [F] {
    // SAFETY: the caller's matrix has this row.
    unsafe { core::slice::from_raw_parts(m.at(panel, row), units) }
}

unsafe fn part_mut<'a, F>(m: Matrix<F>, units: usize, panel: usize, row: usize) -> &'a mut [F] {
    // SAFETY: as above; who writes which row is the caller's promise.
    unsafe { core::slice::from_raw_parts_mut(m.at(panel, row), units) }
}

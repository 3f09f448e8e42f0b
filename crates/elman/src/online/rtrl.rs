//! Exact real-time recurrent learning.

use super::aligned::Aligned;
use super::block::Kind;
use super::influence::{Cost, Influence, column, settle};
use super::linear_step::{Features, LinearStep};
use crate::runtime::Runtime;
use elman_core::algebra::Element;
use std::ops::Range;
use std::sync::Arc;

/// Exact real-time recurrent learning (Williams & Zipser, "A learning algorithm for continually running fully recurrent neural networks", 1989).
///
/// P = ds/dθ (S, N) is carried forward, P ← J P + ∂s/∂θ, and the gradient of a step's loss is Pᵀ ∂L/∂s. With parameters that do not change, the
/// sum over the steps is the gradient of backpropagation through time, to rounding. S is the width of all carried values, N the number of parameters.
///
/// S N numbers are kept. J P takes S · S_W · N multiply-adds, where S_W counts the values that a matrix multiplies; values that are only read
/// pointwise, such as an LSTM's c, take one each. ∂s/∂θ is never formed: what its structure leaves zero is not touched.
///
/// P stands in the engine's panels of columns, each of which is multiplied while it is in the cache. Where a step takes 100,000 multiply-adds or more,
/// the panels are divided among the process's threads; the bits are the same for any number.
///
/// ```
/// use elman::online::{Influence, Input, LinearStep, Rtrl};
/// use elman::{Sizes, cells};
/// use elman_core::Layer;
///
/// // h = tanh(w x + v h' + b); after two steps dh/db = (1 - h²)(1 + v (1 - h'²)).
/// let layer = Layer::new((cells::find("elman").unwrap().make)(), Sizes::new(1, 1)).unwrap();
/// let (mut step, params) = (LinearStep::<f64>::new(&layer), [0.5, 0.8, 0.1]);
/// let mut rtrl = Rtrl::new(&step);
/// let mut h = Vec::new();
/// for x in [1.0, -0.3] {
///     step.run(&params, Input::Dense(&[x]), &[]).unwrap();
///     rtrl.advance(&step);
///     h.push(step.output()[0]);
/// }
/// let mut gradient = [0.0; 3];
/// rtrl.gradient(&[1.0], &mut gradient);
/// let want = (1.0 - h[1] * h[1]) * (1.0 + 0.8 * (1.0 - h[0] * h[0]));
/// assert!((gradient[2] - want).abs() < 1e-15);
/// ```
pub struct Rtrl<F> {
    runtime: Arc<Runtime>,
    /// S.
    state: usize,
    /// N or some of the parameters that follow each other, and the columns of the initial state after them.
    columns: usize,
    initial: bool,
    width: usize,
    /// A thread's each.
    parts: Vec<Part<F>>,
    /// Panels of each part but the last, which may have fewer.
    each: usize,
    /// J, its dense columns only.
    jacobian: Vec<F>,
    /// First row and width of each carried value that a matrix multiplies.
    dense: Vec<(usize, usize)>,
    diagonal: Vec<Diagonal>,
    /// Rows of the state that no diagonal reaches: they start from zero.
    fresh: Vec<Range<usize>>,
    parameters: usize,
    operations: usize,
}

/// Neighbouring panels of P.
struct Part<F> {
    /// The first of their columns.
    first: usize,
    /// Panel after panel of (S, width).
    panels: Vec<Aligned<F>>,
    /// The next panel while it is computed, then the former one.
    next: Aligned<F>,
    /// The gradient by their columns.
    d: Aligned<F>,
}

/// Multiply-adds of a step that pay for waking other threads.
const ENOUGH: usize = 100_000;

/// A carried value that is only read pointwise, by another.
struct Diagonal {
    /// First row of the value, and of what it is read by.
    from: usize,
    to: usize,
    /// Carried values.
    of: usize,
    by: usize,
    /// Whether it is the first that reaches these rows.
    first: bool,
}

impl<F: Element> Rtrl<F> {
    /// The influence of the parameters, zero before the first step.
    pub fn new(step: &LinearStep<F>) -> Self {
        Rtrl::with(step, false, None)
    }

    /// The influence of some parameters that follow each other.
    pub(super) fn of(step: &LinearStep<F>, parameters: Range<usize>) -> Self {
        Rtrl::make(step, parameters, false, None)
    }

    /// The influence of the state before the first step too: S more columns after the parameters, the identity at first.
    pub fn with_initial_state(step: &LinearStep<F>) -> Self {
        Rtrl::with(step, true, None)
    }

    /// With the initial state or without, in so many parts; none: as many as pay.
    pub(super) fn with(step: &LinearStep<F>, initial: bool, parts: Option<usize>) -> Self {
        Rtrl::make(step, 0..step.layout().len, initial, parts)
    }

    fn make(step: &LinearStep<F>, range: Range<usize>, initial: bool, parts: Option<usize>) -> Self {
        let runtime = Runtime::global();
        let (width, threads) = {
            let engine = runtime.engine();
            (engine.panel_width::<F>(), engine.threads())
        };
        let (state, parameters) = (step.state_width(), range.len());
        let columns = parameters + if initial { state } else { 0 };
        let (mut dense, mut diagonal) = (Vec::new(), Vec::new());
        let carried = 0..step.carried();
        let mut operations = state * columns;
        for by in carried.clone() {
            let span = step.span(by);
            if carried.clone().any(|of| step.carry(of, by).kind() == Kind::Dense) {
                dense.push((span.start, span.len()));
                operations += state * span.len() * columns;
                continue;
            }
            for of in carried.clone().filter(|&of| step.carry(of, by).kind() == Kind::Diagonal) {
                let to = step.span(of).start;
                let first = diagonal.iter().all(|d: &Diagonal| d.of != of);
                diagonal.push(Diagonal { from: span.start, to, of, by, first });
                operations += span.len() * columns;
            }
        }
        let reached = |&of: &usize| diagonal.iter().any(|d| d.of == of);
        let fresh = carried.filter(|of| !reached(of)).map(|of| step.span(of)).collect();
        let zeros = |len: usize| vec![F::constant(0.0); len];
        for rows in step.layout().rows.iter().filter(|rows| range.contains(&rows.first)) {
            let active = rows.rows.min(step.layout().sites[rows.site]);
            let reached = |u: usize| column(step, rows.site, u).map(|c| c.rows()).sum::<usize>();
            operations += (0..active).map(|u| reached(u) * rows.cols).sum::<usize>();
        }
        let panels = columns.div_ceil(width);
        let parts = parts.unwrap_or(if operations < ENOUGH { 1 } else { threads });
        let each = panels.div_ceil(parts).max(1);
        let part = |first: usize| {
            let own = each.min(panels - first);
            Part {
                first: range.start + first * width,
                panels: (0..own).map(|_| Aligned::zeros(state * width)).collect(),
                next: Aligned::zeros(state * width),
                d: Aligned::zeros(own * width),
            }
        };
        let mut rtrl = Rtrl {
            runtime,
            state,
            columns,
            initial,
            width,
            parts: (0..panels).step_by(each).map(part).collect(),
            each,
            jacobian: zeros(state * state),
            dense,
            diagonal,
            fresh,
            parameters,
            operations,
        };
        rtrl.reset();
        rtrl
    }

    /// The gradient by the state before the first step (S numbers), if it was asked for.
    pub fn initial_gradient(&mut self, d_state: &[F]) -> Option<Vec<F>> {
        self.initial.then(|| {
            let mut all = vec![F::constant(0.0); self.columns];
            self.pull(d_state, &mut all);
            all.split_off(self.parameters)
        })
    }

    /// P at a row and a column.
    fn at(&mut self, i: usize, column: usize) -> &mut F {
        let (panel, w) = (column / self.width, self.width);
        &mut self.parts[panel / self.each].panels[panel % self.each][i * w + column % w]
    }

    /// dⱼ = Σ_i d_state_i P_ij for the first columns.
    fn pull(&mut self, d_state: &[F], d: &mut [F]) {
        let (s, w) = (self.state, self.width);
        assert!(d_state.len() == s, "d_state has {} numbers, expected {s}", d_state.len());
        let engine = self.runtime.engine();
        engine.each(&mut self.parts, |part| {
            // From the last panel to the first: those that the step just made touched last are still in the cache.
            for (panel, d) in part.panels.iter().zip(part.d.chunks_mut(w)).rev() {
                engine.panel_product(d_state, s, s, panel, d);
            }
        });
        for (part, d) in self.parts.iter().zip(d.chunks_mut(self.each * w)) {
            d.copy_from_slice(&part.d[..d.len()]);
        }
    }
}

impl<F: Element> Part<F> {
    /// Adds ∂s/∂θ: to each row of P, for each row of parameters that reaches it, what that was multiplied by.
    fn add_immediate(&mut self, step: &LinearStep<F>, width: usize) {
        let own = self.first..self.first + self.panels.len() * width;
        for rows in &step.layout().rows {
            let start = |row: usize| rows.first + row * rows.cols;
            let active = step.active(rows);
            // Rows of parameters whose columns are this part's, some of them at least.
            let inside = |row: &usize| start(*row) < own.end && start(row + 1) > own.start;
            for c in 0..step.carried() {
                let (block, span) = (step.site(c, rows.site), step.span(c));
                let values = block.values();
                match block.kind() {
                    Kind::Zero => {}
                    Kind::Diagonal => {
                        for ((row, i), &e) in active.clone().zip(span).zip(values).filter(|((row, _), _)| inside(row)) {
                            self.add(start(row), step.feature(rows, row), width, i, e);
                        }
                    }
                    Kind::Dense => {
                        for (i, values) in span.zip(values.chunks(block.shape().1)) {
                            for (row, &e) in active.clone().zip(values).filter(|(row, _)| inside(row)) {
                                self.add(start(row), step.feature(rows, row), width, i, e);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Adds `e` times what a row of parameters was multiplied by, as far as its columns are this part's, to row `i`.
    fn add(&mut self, mut column: usize, features: Features<F>, w: usize, i: usize, e: F) {
        let end = self.first + self.panels.len() * w;
        match features {
            Features::Number(z) => {
                if (self.first..end).contains(&column) {
                    let column = column - self.first;
                    let to = &mut self.panels[column / w][i * w + column % w];
                    *to = *to + e * z;
                }
            }
            Features::Vector(z) => {
                let mut z = &z[self.first.saturating_sub(column).min(z.len())..];
                column = column.max(self.first);
                while !z.is_empty() && column < end {
                    let (now, later) = z.split_at(z.len().min(w - column % w));
                    let own = column - self.first;
                    let to = &mut self.panels[own / w][i * w + own % w..][..now.len()];
                    super::block::axpy(to, e, now);
                    (column, z) = (column + now.len(), later);
                }
            }
        }
    }
}

impl<F: Element> Influence<F> for Rtrl<F> {
    fn advance(&mut self, step: &LinearStep<F>) {
        let (s, w) = (self.state, self.width);
        for by in 0..step.carried() {
            let to = step.span(by).start;
            if !self.dense.iter().any(|&(start, _)| start == to) {
                continue;
            }
            for of in 0..step.carried() {
                let (block, rows) = (step.carry(of, by), step.span(of));
                let cols = block.shape().1;
                match block.kind() {
                    Kind::Zero => {}
                    Kind::Diagonal => {
                        for (k, &v) in block.values().iter().enumerate() {
                            self.jacobian[(rows.start + k) * s + to + k] = v;
                        }
                    }
                    Kind::Dense => {
                        for (row, values) in rows.zip(block.values().chunks(cols)) {
                            self.jacobian[row * s + to..][..cols].copy_from_slice(values);
                        }
                    }
                }
            }
        }
        let Rtrl { runtime, parts, fresh, diagonal, dense, jacobian, .. } = self;
        let engine = runtime.engine();
        engine.each(parts, |part| {
            for panel in &mut part.panels {
                let next = &mut part.next;
                // Where no diagonal reaches any row the first product writes them all.
                let mut empty = diagonal.is_empty() && !dense.is_empty();
                for rows in fresh.iter().filter(|_| !empty) {
                    next[rows.start * w..rows.end * w].fill(F::constant(0.0));
                }
                for &Diagonal { from, to, of, by, first } in diagonal.iter() {
                    let values = step.carry(of, by).values();
                    let rows = next[to * w..].chunks_mut(w);
                    for ((next, before), &d) in rows.zip(panel[from * w..].chunks(w)).zip(values) {
                        if first {
                            next.iter_mut().zip(before).for_each(|(next, &before)| *next = d * before);
                        } else {
                            super::block::axpy(next, d, before);
                        }
                    }
                }
                for &(start, depth) in dense.iter() {
                    let b = &panel[start * w..][..depth * w];
                    match std::mem::take(&mut empty) {
                        true => engine.panel_product(&jacobian[start..], s, depth, b, next),
                        false => engine.add_panel_product(&jacobian[start..], s, depth, b, next),
                    }
                }
                std::mem::swap(panel, next);
            }
            part.add_immediate(step, w);
        });
    }

    fn gradient(&mut self, d_state: &[F], d_params: &mut [F]) {
        assert!(
            d_params.len() == self.parameters,
            "d_params has {} numbers, expected {}",
            d_params.len(),
            self.parameters
        );
        self.pull(d_state, d_params);
    }

    fn settle(&mut self) {
        let parts = self.parts.iter_mut().flat_map(|part| &mut part.panels);
        parts.for_each(|panel| settle(panel));
    }

    fn reset(&mut self) {
        self.parts.iter_mut().flat_map(|part| &mut part.panels).for_each(|panel| panel.fill(F::constant(0.0)));
        if self.initial {
            for i in 0..self.state {
                *self.at(i, self.parameters + i) = F::constant(1.0);
            }
        }
    }

    fn cost(&self) -> Cost {
        Cost { numbers: self.state * self.columns, operations: self.operations }
    }

    fn names(&self) -> Vec<String> {
        vec!["influence".into()]
    }

    fn export(&self) -> Vec<(String, Vec<F>)> {
        // Row by row, so that a file does not depend on the processor's registers.
        let (columns, w) = (self.columns, self.width);
        let mut all = vec![F::constant(0.0); self.state * columns];
        for (first, panel) in (0..).step_by(w).zip(self.parts.iter().flat_map(|part| &part.panels)) {
            for (to, row) in all.chunks_mut(columns).zip(panel.chunks(w)) {
                to[first..].iter_mut().zip(row).for_each(|(to, &from)| *to = from);
            }
        }
        vec![("influence".into(), all)]
    }

    fn import(&mut self, kept: Vec<(String, Vec<F>)>) -> bool {
        match &kept[..] {
            [(name, values)] if name == "influence" && values.len() == self.state * self.columns => {
                let (columns, w) = (self.columns, self.width);
                let panels = self.parts.iter_mut().flat_map(|part| &mut part.panels);
                for (first, panel) in (0..).step_by(w).zip(panels) {
                    for (to, row) in panel.chunks_mut(w).zip(values.chunks(columns)) {
                        to.iter_mut().zip(&row[first..]).for_each(|(to, &from)| *to = from);
                    }
                }
                true
            }
            _ => false,
        }
    }
}

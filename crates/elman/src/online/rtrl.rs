//! Exact real-time recurrent learning.

use super::aligned::Aligned;
use super::block::Kind;
use super::influence::{Cost, Influence, column};
use super::layout::Rows;
use super::linear_step::{Features, LinearStep};
use elman_core::algebra::Element;
use elman_core::engine::Engine;
use std::ops::Range;

/// Exact real-time recurrent learning (Williams & Zipser, "A learning algorithm for continually running fully recurrent neural networks", 1989).
///
/// P = ds/dθ (S, N) is carried forward, P ← J P + ∂s/∂θ, and the gradient of a step's loss is Pᵀ ∂L/∂s. With parameters that do not change, the
/// sum over the steps is the gradient of backpropagation through time, to rounding. S is the width of all carried values, N the number of parameters.
///
/// S N numbers are kept. J P takes S · S_W · N multiply-adds, where S_W counts the values that a matrix multiplies; values that are only read
/// pointwise, such as an LSTM's c, take one each. ∂s/∂θ is never formed: what its structure leaves zero is not touched.
///
/// P stands in the engine's panels of columns, each of which is multiplied while it is in the cache.
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
    engine: Engine,
    /// S.
    state: usize,
    /// N, and the columns of the initial state after them.
    columns: usize,
    initial: bool,
    width: usize,
    /// Panel after panel of (S, width).
    panels: Vec<Aligned<F>>,
    /// The next panel while it is computed, then the former one.
    next: Aligned<F>,
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
        Rtrl::with(step, false)
    }

    /// The influence of the state before the first step too: S more columns after the parameters, the identity at first.
    pub fn with_initial_state(step: &LinearStep<F>) -> Self {
        Rtrl::with(step, true)
    }

    fn with(step: &LinearStep<F>, initial: bool) -> Self {
        let engine = Engine::new(1);
        let width = engine.panel_width::<F>();
        let (state, parameters) = (step.state_width(), step.layout().len);
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
        for rows in &step.layout().rows {
            let active = rows.rows.min(step.layout().sites[rows.site]);
            let reached = |u: usize| column(step, rows.site, u).map(|c| c.rows()).sum::<usize>();
            operations += (0..active).map(|u| reached(u) * rows.cols).sum::<usize>();
        }
        let mut rtrl = Rtrl {
            state,
            columns,
            initial,
            width,
            panels: (0..columns.div_ceil(width)).map(|_| Aligned::zeros(state * width)).collect(),
            next: Aligned::zeros(state * width),
            jacobian: zeros(state * state),
            dense,
            diagonal,
            fresh,
            parameters,
            operations,
            engine,
        };
        rtrl.reset();
        rtrl
    }

    /// The gradient by the state before the first step (S numbers), if it was asked for.
    pub fn initial_gradient(&self, d_state: &[F]) -> Option<Vec<F>> {
        self.initial.then(|| {
            let mut all = vec![F::constant(0.0); self.columns];
            self.pull(d_state, &mut all);
            all.split_off(self.parameters)
        })
    }

    /// Adds `e` times what a row of parameters was multiplied by to row `i` of their columns.
    fn add(&mut self, step: &LinearStep<F>, rows: &Rows, row: usize, i: usize, e: F) {
        let w = self.width;
        let mut column = rows.first + row * rows.cols;
        match step.feature(rows, row) {
            Features::Number(z) => {
                let to = &mut self.panels[column / w][i * w + column % w];
                *to = *to + e * z;
            }
            Features::Vector(mut z) => {
                while !z.is_empty() {
                    let (now, later) = z.split_at(z.len().min(w - column % w));
                    let to = &mut self.panels[column / w][i * w + column % w..][..now.len()];
                    super::block::axpy(to, e, now);
                    (column, z) = (column + now.len(), later);
                }
            }
        }
    }

    /// dⱼ = Σ_i d_state_i P_ij for the first columns.
    fn pull(&self, d_state: &[F], d: &mut [F]) {
        assert!(d_state.len() == self.state, "d_state has {} numbers, expected {}", d_state.len(), self.state);
        let mut row = Aligned::zeros(self.width);
        // From the last panel to the first: those that the step just made touched last are still in the cache.
        for (panel, d) in self.panels.iter().zip(d.chunks_mut(self.width)).rev() {
            row.fill(F::constant(0.0));
            self.engine.panel_product(d_state, self.state, self.state, panel, &mut row);
            d.copy_from_slice(&row[..d.len()]);
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
        for panel in &mut self.panels {
            for rows in &self.fresh {
                self.next[rows.start * w..rows.end * w].fill(F::constant(0.0));
            }
            for &Diagonal { from, to, of, by, first } in &self.diagonal {
                let values = step.carry(of, by).values();
                let next = self.next[to * w..].chunks_mut(w);
                for ((next, before), &d) in next.zip(panel[from * w..].chunks(w)).zip(values) {
                    if first {
                        next.iter_mut().zip(before).for_each(|(next, &before)| *next = d * before);
                    } else {
                        super::block::axpy(next, d, before);
                    }
                }
            }
            for &(start, depth) in &self.dense {
                let b = &panel[start * w..][..depth * w];
                self.engine.panel_product(&self.jacobian[start..], s, depth, b, &mut self.next);
            }
            std::mem::swap(panel, &mut self.next);
        }
        for rows in &step.layout().rows {
            let active = step.active(rows);
            for c in 0..step.carried() {
                let (block, span) = (step.site(c, rows.site), step.span(c));
                let values = block.values();
                match block.kind() {
                    Kind::Zero => {}
                    Kind::Diagonal => {
                        for ((row, i), &e) in active.clone().zip(span).zip(values) {
                            self.add(step, rows, row, i, e);
                        }
                    }
                    Kind::Dense => {
                        for (i, values) in span.zip(values.chunks(block.shape().1)) {
                            active.clone().zip(values).for_each(|(row, &e)| self.add(step, rows, row, i, e));
                        }
                    }
                }
            }
        }
    }

    fn gradient(&self, d_state: &[F], d_params: &mut [F]) {
        assert!(d_params.len() == self.parameters, "d_params has {} numbers", d_params.len());
        self.pull(d_state, d_params);
    }

    fn reset(&mut self) {
        self.panels.iter_mut().for_each(|panel| panel.fill(F::constant(0.0)));
        if self.initial {
            let (s, w) = (self.state, self.width);
            for i in 0..s {
                let column = self.parameters + i;
                self.panels[column / w][i * w + column % w] = F::constant(1.0);
            }
        }
    }

    fn cost(&self) -> Cost {
        Cost { numbers: self.state * self.columns, operations: self.operations }
    }

    fn export(&self) -> Vec<(String, Vec<F>)> {
        // Row by row, so that a file does not depend on the processor's registers.
        let (s, w) = (self.state, self.width);
        let all = (0..s).flat_map(|i| (0..self.columns).map(move |k| self.panels[k / w][i * w + k % w]));
        vec![("influence".into(), all.collect())]
    }

    fn import(&mut self, kept: Vec<(String, Vec<F>)>) -> bool {
        let (s, w) = (self.state, self.width);
        match &kept[..] {
            [(name, values)] if name == "influence" && values.len() == s * self.columns => {
                for (at, &value) in values.iter().enumerate() {
                    let (i, k) = (at / self.columns, at % self.columns);
                    self.panels[k / w][i * w + k % w] = value;
                }
                true
            }
            _ => false,
        }
    }
}

//! Influence kept only where a step reaches at once: SnAp-1, and the truncated rule of the first LSTM.

use super::block::Kind;
use super::error::OnlineError;
use super::influence::{Column, Cost, Influence, add_features, column, settle};
use super::layout::Rows;
use super::linear_step::LinearStep;
use super::local::Flow;
use super::rtrl::Rtrl;
use elman_core::Layer;
use elman_core::algebra::Element;
use std::ops::Range;

/// The sparse one-step approximation SnAp-1 (Menick, Elsen, Evci, Osindero, Simonyan & Graves, "Practical real time recurrent learning with a sparse
/// approximation", ICLR 2021): of P ← J P + ∂s/∂θ only those elements are kept that ∂s/∂θ itself has.
///
/// A row of parameters of a gate is then kept for the units that its own unit writes, one or two numbers a parameter for most cells, and the cost is
/// that of a step. The gradient is **biased**: what reaches the state through other units' memory is lost. It is exact where J is diagonal (`indrnn`,
/// `unit-feedback`, `min-gru`, `min-lstm`). In cells of several stages an early gate reaches every unit within one step, and in all cells so does
/// an embedding; such rows are kept whole, at the cost of exact RTRL for them.
///
/// [`Sparse::truncated`] is the same with errors cut at the gates.
pub struct Sparse<F> {
    /// Those that do not reach the whole state.
    groups: Vec<Group>,
    /// Parameters that do: where they stand, their influence.
    whole: Vec<(Range<usize>, Rtrl<F>)>,
    values: Vec<F>,
    /// S, N.
    state: usize,
    parameters: usize,
    old: Vec<F>,
    operations: usize,
}

/// A group of rows of parameters: `values[first + (row * reached + r) * cols + j]`.
struct Group {
    /// Which of the layout's.
    of: usize,
    first: usize,
    reached: usize,
    rows: usize,
    cols: usize,
    parameter: usize,
    width: usize,
    /// Rows of the state that unit 0 reaches, and whether they move with the unit.
    pattern: Vec<(usize, usize, bool)>,
}

impl Group {
    /// The rows of the state that unit `u` reaches: (carried value, row in it, row in the state).
    fn reach(&self, u: usize) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let mut last = (usize::MAX, 0);
        self.pattern.iter().map(move |&(c, start, moves)| {
            let k = if last.0 == c { last.1 + 1 } else { 0 };
            last = (c, k);
            let k = if moves { u } else { k };
            (c, k, start + k)
        })
    }
}

impl<F: Element> Sparse<F> {
    /// SnAp-1 of a layer's steps.
    pub fn new(step: &LinearStep<F>) -> Self {
        let mut groups = Vec::new();
        let mut whole: Vec<Range<usize>> = Vec::new();
        let (mut first, mut most, mut operations) = (0, 0, 0);
        for (of, rows) in step.layout().rows.iter().enumerate() {
            let mut pattern = Vec::new();
            for c in 0..step.carried() {
                let block = step.site(c, rows.site);
                let start = step.span(c).start;
                match block.kind() {
                    Kind::Zero => {}
                    Kind::Diagonal => pattern.push((c, start, true)),
                    Kind::Dense => (0..block.shape().0).for_each(|_| pattern.push((c, start, false))),
                }
            }
            let reached = pattern.len();
            if reached == step.state_width() {
                let end = rows.first + rows.rows * rows.cols;
                match whole.last_mut() {
                    Some(last) if last.end == rows.first => last.end = end,
                    _ => whole.push(rows.first..end),
                }
                continue;
            }
            let width = step.layout().sites[rows.site];
            let group =
                Group { of, first, reached, rows: rows.rows, cols: rows.cols, parameter: rows.first, width, pattern };
            first += group.rows * reached * group.cols;
            most = most.max(reached * group.cols);
            let pairs = group
                .pattern
                .iter()
                .flat_map(|&(of, ..)| group.pattern.iter().map(move |&(by, ..)| (of, by)))
                .filter(|&(of, by)| step.carry(of, by).kind() != Kind::Zero)
                .count();
            operations += group.rows * group.cols * (pairs + reached) + group.rows.min(width) * group.cols * reached;
            groups.push(group);
        }
        let zeros = |len: usize| vec![F::constant(0.0); len];
        let whole: Vec<_> = whole.into_iter().map(|range| (range.clone(), Rtrl::of(step, range))).collect();
        operations += whole.iter().map(|(_, rtrl)| rtrl.cost().operations).sum::<usize>();
        Sparse {
            groups,
            whole,
            values: zeros(first),
            state: step.state_width(),
            parameters: step.layout().len,
            old: zeros(most),
            operations,
        }
    }

    /// The truncated rule of Hochreiter & Schmidhuber ("Long short-term memory", 1997, appendix A.1), with the step that it needs: errors go back in
    /// time in the cell's carousel alone, and what leaves it through a gate, a cell's input or a peephole (Gers & Schmidhuber 2000) is cut.
    ///
    /// Two numbers a parameter, and a few operations. The gradient is **biased**: it is the derivative of the network whose gates take h' (and at
    /// peepholes c) for inputs like x.
    ///
    /// # Errors
    /// The cell has no carousel: nothing would be carried.
    pub fn truncated(layer: &Layer, vocabulary: usize) -> Result<(LinearStep<F>, Self), OnlineError> {
        let step = LinearStep::with(layer, vocabulary, Flow::Truncated);
        if !has_carousel(&step) {
            return Err(OnlineError::NoCarousel { cell: layer.cell().spec().name });
        }
        let sparse = Sparse::new(&step);
        Ok((step, sparse))
    }
}

/// Whether any carried value reaches the next step past the matrices.
pub(super) fn has_carousel<F: Element>(step: &LinearStep<F>) -> bool {
    let carried = || 0..step.carried();
    carried().any(|of| carried().any(|by| step.carry(of, by).kind() != Kind::Zero))
}

/// Rows of the state that a row of parameters reaches within a step.
pub(super) fn reached<F: Element>(step: &LinearStep<F>, rows: &Rows) -> usize {
    let block = |c: usize| step.site(c, rows.site);
    let of = |c: usize| match block(c).kind() {
        Kind::Zero => 0,
        Kind::Diagonal => 1,
        Kind::Dense => block(c).shape().0,
    };
    (0..step.carried()).map(of).sum()
}

impl<F: Element> Influence<F> for Sparse<F> {
    fn advance(&mut self, step: &LinearStep<F>) {
        let zero = F::constant(0.0);
        self.whole.iter_mut().for_each(|(_, rtrl)| rtrl.advance(step));
        for group in &self.groups {
            let rows = &step.layout().rows[group.of];
            let (size, cols) = (group.reached * group.cols, group.cols);
            let active = step.active(rows);
            for row in 0..group.rows {
                let u = row % group.width;
                let values = &mut self.values[group.first + row * size..][..size];
                let old = &mut self.old[..size];
                old.copy_from_slice(values);
                for (to, (of, i, _)) in values.chunks_mut(cols).zip(group.reach(u)) {
                    to.fill(zero);
                    for (from, (by, j, _)) in old.chunks(cols).zip(group.reach(u)) {
                        let block = step.carry(of, by);
                        if block.kind() == Kind::Dense || (block.kind() == Kind::Diagonal && i == j) {
                            super::block::axpy(to, block.at(i, j), from);
                        }
                    }
                }
                if active.contains(&row) {
                    let mut to = values.chunks_mut(cols);
                    for column in column(step, rows.site, u) {
                        match column {
                            Column::One(_, e) => add_features(step, rows, row, e, to.next().expect("a reached row")),
                            Column::All(_, e, width, u) => {
                                for (e, to) in e.chunks(width).zip(&mut to) {
                                    add_features(step, rows, row, e[u], to);
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn gradient(&mut self, d_state: &[F], d_params: &mut [F]) {
        assert!(d_state.len() == self.state, "d_state has {} numbers, expected {}", d_state.len(), self.state);
        assert!(d_params.len() == self.parameters, "d_params has {} numbers", d_params.len());
        d_params.fill(F::constant(0.0));
        for (range, rtrl) in &mut self.whole {
            rtrl.gradient(d_state, &mut d_params[range.clone()]);
        }
        for group in &self.groups {
            let size = group.reached * group.cols;
            for row in 0..group.rows {
                let d = &mut d_params[group.parameter + row * group.cols..][..group.cols];
                let values = &self.values[group.first + row * size..][..size];
                for (values, (.., i)) in values.chunks(group.cols).zip(group.reach(row % group.width)) {
                    super::block::axpy(d, d_state[i], values);
                }
            }
        }
    }

    fn settle(&mut self) {
        settle(&mut self.values);
        self.whole.iter_mut().for_each(|(_, rtrl)| rtrl.settle());
    }

    fn reset(&mut self) {
        self.values.fill(F::constant(0.0));
        self.whole.iter_mut().for_each(|(_, rtrl)| rtrl.reset());
    }

    fn cost(&self) -> Cost {
        let whole: usize = self.whole.iter().map(|(_, rtrl)| rtrl.cost().numbers).sum();
        Cost { numbers: self.values.len() + whole, operations: self.operations }
    }

    fn names(&self) -> Vec<String> {
        let whole = self.whole.iter().map(|(range, _)| format!("influence/{}", range.start));
        ["influence".to_string()].into_iter().chain(whole).collect()
    }

    fn export(&self) -> Vec<(String, Vec<F>)> {
        let whole = self.whole.iter().flat_map(|(_, rtrl)| rtrl.export()).map(|(_, values)| values);
        self.names().into_iter().zip([self.values.clone()].into_iter().chain(whole)).collect()
    }

    fn import(&mut self, kept: Vec<(String, Vec<F>)>) -> bool {
        let fits = kept.iter().map(|(name, _)| name).eq(&self.names()) && kept[0].1.len() == self.values.len();
        if !fits {
            return false;
        }
        let mut kept = kept.into_iter().map(|(_, values)| values);
        self.values = kept.next().expect("as many as names");
        self.whole.iter_mut().zip(kept).all(|((_, rtrl), values)| rtrl.import(vec![("influence".into(), values)]))
    }
}

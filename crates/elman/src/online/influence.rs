//! What every way to carry the influence of parameters forward has in common.

use super::block::Kind;
use super::layout::Rows;
use super::linear_step::{Features, LinearStep};
use elman_core::algebra::Element;

/// What an algorithm takes, counted from its structures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Numbers kept from step to step.
    pub numbers: usize,
    /// Multiply-adds of one step: carrying the influence, and taking one gradient from it. The step itself and its derivatives, the same for all
    /// algorithms, are not counted.
    pub operations: usize,
}

/// Steps after which vanished influence is looked for.
pub(crate) const SETTLE: u64 = 16;

/// Makes zero what has vanished; NaN stays.
pub(super) fn settle<F: Element>(values: &mut [F]) {
    let (zero, small) = (F::constant(0.0), F::constant(F::VANISHED));
    values.iter_mut().for_each(|v| *v = if *v < small && *v > -small { zero } else { *v });
}

/// The influence of all parameters on the state, P = ds/dθ, or an estimate of it, carried from step to step.
pub trait Influence<F: Element>: Send {
    /// P ← J P + ∂s/∂θ, from the derivatives of the step just made.
    fn advance(&mut self, step: &LinearStep<F>);

    /// From a gradient by the state (S numbers), the gradient by the parameters: Pᵀ d.
    ///
    /// # Panics
    /// Where the slices have other lengths than S and that of the flat vector of parameters.
    fn gradient(&mut self, d_state: &[F], d_params: &mut [F]);

    /// Makes zero what has vanished. Left alone, influence that decays ends in subnormal numbers, with which processors are many times slower; a
    /// learner calls this every 16 steps.
    fn settle(&mut self);

    /// Forgets: as before the first step.
    fn reset(&mut self);

    /// What it takes.
    fn cost(&self) -> Cost;

    /// The names of [`export`](Influence::export), in its order.
    fn names(&self) -> Vec<String>;

    /// Everything that it keeps: names and numbers.
    fn export(&self) -> Vec<(String, Vec<F>)>;

    /// Puts back what [`export`](Influence::export) gave; whether it fitted.
    fn import(&mut self, kept: Vec<(String, Vec<F>)>) -> bool;

    /// The position in its random numbers, if it draws any.
    fn random(&self) -> u128 {
        0
    }

    /// Goes to a position that [`random`](Influence::random) gave.
    fn seek(&mut self, _position: u128) {}
}

/// The nonzero elements of one column of a derivative by a site: first row in the state, values.
pub(super) enum Column<'a, F> {
    /// One row.
    One(usize, F),
    /// The rows of a carried value: the block's values, its columns, the column.
    All(usize, &'a [F], usize, usize),
}

/// The rows of the state that unit `u` of a site reaches within the step.
pub(super) fn column<F: Element>(step: &LinearStep<F>, site: usize, u: usize) -> impl Iterator<Item = Column<'_, F>> {
    (0..step.carried()).filter_map(move |c| {
        let block = step.site(c, site);
        let start = step.span(c).start;
        match block.kind() {
            Kind::Zero => None,
            Kind::Diagonal => (u < block.values().len()).then(|| Column::One(start + u, block.values()[u])),
            Kind::Dense => Some(Column::All(start, block.values(), block.shape().1, u)),
        }
    })
}

/// The immediate influence of a row of parameters on one row of the state is `e` times this: added to `to`, one number a column.
pub(super) fn add_features<F: Element>(step: &LinearStep<F>, rows: &Rows, row: usize, e: F, to: &mut [F]) {
    match step.feature(rows, row) {
        Features::Number(z) => to[0] = to[0] + e * z,
        Features::Vector(z) => super::block::axpy(to, e, z),
    }
}

impl<F> Column<'_, F> {
    /// How many rows it has.
    pub fn rows(&self) -> usize {
        match self {
            Column::One(..) => 1,
            Column::All(_, values, cols, _) => values.len() / cols,
        }
    }
}

//! The gradient of a batch in parts: the rows are divided, so that less memory is needed at once.

use super::Gradient;
use super::trainer::{Learnt, Network};
use crate::flex::to_vec;
use crate::parameters;
use crate::random::Random;
use crate::recurrent::State;
use burn::tensor::Tensor;
use std::ops::Range;

/// Some rows of a batch.
#[derive(Clone, Debug)]
pub struct Part<B> {
    /// Which rows.
    pub rows: Range<usize>,
    /// They alone.
    pub batch: B,
    /// Of how many numbers its loss is the mean.
    pub count: usize,
}

/// The rows of each of `parts` parts of `rows`, as equal as they can be; at least one part, and no more than rows.
///
/// ```
/// use elman::train::accumulate::rows_of_parts;
/// assert_eq!(rows_of_parts(7, 3), [0..3, 3..5, 5..7]);
/// assert_eq!(rows_of_parts(2, 5), [0..1, 1..2]);
/// ```
pub fn rows_of_parts(rows: usize, parts: usize) -> Vec<Range<usize>> {
    let parts = parts.clamp(1, rows.max(1));
    let mut first = 0;
    (0..parts)
        .map(|k| {
            let next = first + rows / parts + usize::from(k < rows % parts);
            std::mem::replace(&mut first, next)..next
        })
        .collect()
}

/// Columns of a time-major list with `batch` elements of `width` numbers a step.
pub(crate) fn columns<X: Copy>(values: &[X], batch: usize, width: usize, rows: &Range<usize>) -> Vec<X> {
    values.chunks(batch * width).flat_map(|step| &step[rows.start * width..rows.end * width]).copied().collect()
}

/// What a batch gives.
pub(super) struct Passed {
    /// The mean loss.
    pub loss: f64,
    /// The state after it, without its history.
    pub state: State,
    /// The gradient, unless the loss is not finite.
    pub gradients: Vec<(String, Gradient)>,
}

/// The loss of a batch, its gradient and the state after it.
pub(super) fn whole<N: Network>(network: &N, batch: &N::Batch, state: Option<State>, random: &mut Random) -> Passed {
    if let Some(Learnt { loss, state, gradients }) = network.learn(batch, state.clone(), random) {
        return Passed { loss, state, gradients };
    }
    let (loss, state) = network.loss(batch, state, random);
    let value = f64::from(to_vec(loss.clone())[0]);
    let state = state.detach();
    if !value.is_finite() {
        return Passed { loss: value, state, gradients: Vec::new() };
    }
    let mut gradients = loss.backward();
    drop(loss);
    Passed { loss: value, state, gradients: parameters::gradients(network, &mut gradients) }
}

/// The same, one part after the other: losses and gradients are means over all predictions, as those of the whole batch are.
pub(super) fn in_parts<N: Network>(
    network: &N,
    parts: &[Part<N::Batch>],
    state: Option<State>,
    random: &mut Random,
) -> Passed {
    let total: usize = parts.iter().map(|part| part.count).sum();
    let mut sum: Option<Passed> = None;
    let mut states = Vec::new();
    for Part { rows, batch, count } in parts {
        let before = state.as_ref().map(|state| select(state, rows));
        let share = *count as f64 / total.max(1) as f64;
        let mut passed = whole(network, batch, before, random);
        passed.loss *= share;
        passed.gradients.iter_mut().for_each(|(_, g)| g.scale(share as f32));
        states.push(passed.state.clone());
        sum = Some(match sum {
            None => passed,
            Some(mut sum) => {
                sum.loss += passed.loss;
                for ((_, sum), (_, add)) in sum.gradients.iter_mut().zip(&passed.gradients) {
                    add.add_to(sum.values_mut());
                }
                sum
            }
        });
    }
    let sum = sum.expect("a batch has at least one part");
    Passed { state: join(&states), ..sum }
}

/// Some rows of a state.
fn select(state: &State, rows: &Range<usize>) -> State {
    let some = |value: &Tensor<2>| value.clone().slice_dim(0, rows.clone());
    State { layers: state.layers.iter().map(|layer| layer.iter().map(some).collect()).collect() }
}

/// The states of parts as that of the batch.
fn join(states: &[State]) -> State {
    let layers = 0..states[0].layers.len();
    let value = |l: usize, k: usize| Tensor::cat(states.iter().map(|state| state.layers[l][k].clone()).collect(), 0);
    State { layers: layers.map(|l| (0..states[0].layers[l].len()).map(|k| value(l, k)).collect()).collect() }
}

#[cfg(test)]
#[path = "accumulate_test.rs"]
mod tests;

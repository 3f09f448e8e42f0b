//! Penalties on activations and on their change.

use super::Regularisation;
use burn::tensor::{Tensor, TensorData};

/// `α · mean((m ⊙ y)²) + β · mean((y_t - y_{t-1})²)` of `raw` y and of y after `dropped`out, over the steps within the rows' lengths.
pub(super) fn of(
    regularisation: &Regularisation,
    raw: Tensor<3>,
    dropped: &Tensor<3>,
    lengths: Option<&[usize]>,
) -> Option<Tensor<1>> {
    let [steps, batch, width] = raw.dims();
    let valid = |b: usize| lengths.map_or(steps, |lengths| lengths[b]);
    // Beyond a row's length y is zero, and adds nothing to a sum.
    let mean = |squares: Tensor<3>, count: usize| squares.sum().mul_scalar(1.0 / (count * width).max(1) as f64);
    let mut penalties = Vec::new();
    if regularisation.activation > 0.0 {
        let count = (0..batch).map(valid).sum();
        penalties.push(mean(dropped.clone().powi_scalar(2), count) * regularisation.activation);
    }
    if regularisation.temporal > 0.0 && steps > 1 {
        let mut change = raw.clone().slice_dim(0, 1..steps) - raw.slice_dim(0, 0..steps - 1);
        if lengths.is_some() {
            // The step from a row's last output to the zero behind it is none of its own.
            let inside = (1..steps).flat_map(|t| (0..batch).map(move |b| (t, b)));
            let inside: Vec<f32> = inside.map(|(t, b)| f32::from(u8::from(t < valid(b)))).collect();
            let options = (&change.device(), change.dtype());
            change = change * Tensor::from_data(TensorData::new(inside, [steps - 1, batch, 1]), options);
        }
        let count = (0..batch).map(|b| valid(b).saturating_sub(1)).sum();
        penalties.push(mean(change.powi_scalar(2), count) * regularisation.temporal);
    }
    penalties.into_iter().reduce(|a, b| a + b)
}

//! The Jacobian product over time: how much of a change of the state is left after so many steps.

use super::AnalysisError;
use super::linear::singular_values;
use super::network::{Network, Path, State};
use super::sweep::Sweep;
use elman_core::engine::Engine;
use std::sync::Arc;

/// Singular values of ∂s_j/∂s_k = Π_{m=k+1}^{j} ∂s_m/∂s_{m-1} by the lag j - k.
///
/// s is the whole state: all carried values of all layers, D numbers. The largest singular value is how much the most sensitive
/// direction grows or shrinks on the way; a gradient that goes back is multiplied by the same matrix, transposed.
#[derive(Clone, Debug, PartialEq)]
pub struct Products {
    /// D.
    pub width: usize,
    /// The steps j from which it went back.
    pub ends: Vec<usize>,
    /// The lags, ascending.
    pub lags: Vec<usize>,
    /// For each lag, the D singular values, largest first; of several ends the geometric means.
    pub values: Vec<Vec<f64>>,
}

/// 1, 2, 4, ... and `last`.
pub fn geometric_lags(last: usize) -> Vec<usize> {
    let mut lags: Vec<usize> =
        std::iter::successors(Some(1usize), |l| l.checked_mul(2)).take_while(|&l| l < last).collect();
    lags.push(last);
    lags
}

impl Products {
    /// Goes back from `ends` steps, spread evenly over the path, with all D unit vectors at once.
    ///
    /// It takes D rows of a backward pass for each step: for a state of some hundred numbers seconds.
    ///
    /// # Errors
    /// There is no lag, one is 0 or longer than the path, or `ends` is 0.
    pub fn new(
        network: &Network,
        path: &Path,
        engine: &Arc<Engine>,
        lags: &[usize],
        ends: usize,
    ) -> Result<Products, AnalysisError> {
        let mut lags = lags.to_vec();
        lags.sort_unstable();
        lags.dedup();
        let last = lags.last().copied().unwrap_or(0);
        if ends == 0 || lags.first().is_none_or(|&l| l == 0) {
            return Err(AnalysisError::Zero { what: if ends == 0 { "the number of ends" } else { "a lag" } });
        }
        if path.steps() < last {
            return Err(AnalysisError::TooShort { found: path.ids().len(), least: last + 1 });
        }
        let width = network.state_width();
        let ends = path.spread(last - 1, ends);
        let mut logs = vec![vec![0.0; width]; lags.len()];
        for &j in &ends {
            let mut sweep = Sweep::new(network, path, engine);
            let mut d_state = sweep.zero_state(width);
            identity(network, &mut d_state);
            for lag in 1..=last {
                sweep.step(&vec![j + 1 - lag; width], None, &mut d_state);
                if let Ok(i) = lags.binary_search(&lag) {
                    let values = singular_values(&rows(network, &d_state, width), width, width);
                    logs[i].iter_mut().zip(values).for_each(|(sum, v)| *sum += v.ln());
                }
            }
        }
        let count = ends.len() as f64;
        let values: Vec<Vec<f64>> =
            logs.into_iter().map(|logs| logs.into_iter().map(|sum| (sum / count).exp()).collect()).collect();
        if !values.iter().flatten().all(|v: &f64| v.is_finite()) {
            return Err(AnalysisError::NotFinite);
        }
        Ok(Products { width, ends, lags, values })
    }

    /// The largest singular value at each lag.
    pub fn largest(&self) -> Vec<f64> {
        self.values.iter().map(|v| v.first().copied().unwrap_or(0.0)).collect()
    }
}

/// Row r is the r-th unit vector over all parts of the state.
fn identity(network: &Network, d_state: &mut State) {
    let mut first = 0;
    for (d, part) in d_state.iter_mut().flatten().zip(network.parts()) {
        (0..part.width).for_each(|u| d[(first + u) * part.width + u] = 1.0);
        first += part.width;
    }
}

/// The parts side by side: (count, D).
pub(super) fn rows(network: &Network, d_state: &State, count: usize) -> Vec<f64> {
    let width = network.state_width();
    let mut out = vec![0.0; count * width];
    let mut first = 0;
    for (d, part) in d_state.iter().flatten().zip(network.parts()) {
        for (row, d) in out.chunks_mut(width).zip(d.chunks(part.width)) {
            row[first..][..part.width].copy_from_slice(d);
        }
        first += part.width;
    }
    out
}

/// The other way round.
pub(super) fn set_rows(network: &Network, rows: &[f64], d_state: &mut State) {
    let width = network.state_width();
    let mut first = 0;
    for (d, part) in d_state.iter_mut().flatten().zip(network.parts()) {
        for (row, d) in rows.chunks(width).zip(d.chunks_mut(part.width)) {
            d.copy_from_slice(&row[first..][..part.width]);
        }
        first += part.width;
    }
}

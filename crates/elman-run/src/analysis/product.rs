//! The Jacobian product over time: how much of a change of the state is left after so many steps.

use super::AnalysisError;
use super::linear::{orthonormalise, singular_values};
use super::network::{Network, State};
use super::path::Path;
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
    /// For each lag, the D singular values, largest first; of several ends the geometric means. Of a sample, as many as it has rows.
    pub values: Vec<Vec<f64>>,
    /// The rows of a sample; none: the values are all that there are.
    pub sampled: Option<usize>,
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
    /// There is no lag, one is 0 or longer than the path, `ends` is 0, or a result is not finite.
    pub fn new(
        network: &Network,
        path: &Path,
        engine: &Arc<Engine>,
        lags: &[usize],
        ends: usize,
    ) -> Result<Products, AnalysisError> {
        Products::of(network, path, engine, lags, ends, None)
    }

    /// The same with only so many orthonormal rows Q of no special direction, for states of thousands of numbers: the singular values
    /// of √(D/rows) Q Π. The largest of them is at most √(D/rows) times the product's own; where one direction outweighs all
    /// others it is the product's own, give or take a part in √rows. With D rows or more it is [`new`](Products::new).
    ///
    /// # Errors
    /// As `new`; or `rows` is 0.
    pub fn sampled(
        network: &Network,
        path: &Path,
        engine: &Arc<Engine>,
        lags: &[usize],
        ends: usize,
        rows: usize,
    ) -> Result<Products, AnalysisError> {
        if rows == 0 {
            return Err(AnalysisError::Zero { what: "the number of rows" });
        }
        Products::of(network, path, engine, lags, ends, Some(rows).filter(|&rows| rows < network.state_width()))
    }

    fn of(
        network: &Network,
        path: &Path,
        engine: &Arc<Engine>,
        lags: &[usize],
        ends: usize,
        sampled: Option<usize>,
    ) -> Result<Products, AnalysisError> {
        let mut lags = lags.to_vec();
        lags.sort_unstable();
        lags.dedup();
        let last = lags.last().copied().unwrap_or(0);
        if ends == 0 || lags.first().is_none_or(|&l| l == 0) {
            return Err(AnalysisError::Zero { what: if ends == 0 { "the number of ends" } else { "a lag" } });
        }
        if path.steps() < last {
            return Err(AnalysisError::TooShort { found: path.steps(), least: last });
        }
        let width = network.state_width();
        let ends = path.spread(last - 1, ends);
        let count = sampled.unwrap_or(width);
        let first: Vec<f64> = match sampled {
            None => (0..width * width).map(|k| f64::from(u8::from(k / width == k % width))).collect(),
            Some(_) => {
                let mut q = without_direction(count * width);
                orthonormalise(&mut q, width);
                let scale = (width as f64 / count as f64).sqrt();
                q.iter().map(|x| x * scale).collect()
            }
        };
        let mut logs = vec![vec![0.0; count]; lags.len()];
        for &j in &ends {
            let mut sweep = Sweep::new(network, path, engine);
            let mut d_state = sweep.zero_state(count);
            set_rows(network, &first, &mut d_state);
            for lag in 1..=last {
                sweep.step(&vec![j + 1 - lag; count], None, &mut d_state);
                if let Ok(i) = lags.binary_search(&lag) {
                    let values = singular_values(&rows(network, &d_state, count), count, width);
                    logs[i].iter_mut().zip(values).for_each(|(sum, v)| *sum += v.ln());
                }
            }
        }
        let share = ends.len() as f64;
        let values: Vec<Vec<f64>> =
            logs.into_iter().map(|logs| logs.into_iter().map(|sum| (sum / share).exp()).collect()).collect();
        if !values.iter().flatten().all(|v: &f64| v.is_finite()) {
            return Err(AnalysisError::NotFinite);
        }
        Ok(Products { width, ends, lags, values, sampled })
    }

    /// The largest singular value at each lag.
    pub fn largest(&self) -> Vec<f64> {
        self.values.iter().map(|v| v.first().copied().unwrap_or(0.0)).collect()
    }
}

/// Numbers of no special direction, the same in every run.
pub(super) fn without_direction(len: usize) -> Vec<f64> {
    let mut s = 1u64;
    let mut next = || {
        s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (s >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    (0..len).map(|_| next()).collect()
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

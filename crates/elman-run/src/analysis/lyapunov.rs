//! Lyapunov exponents: the growth rates of the Jacobian product along a text.

use super::AnalysisError;
use super::linear::orthonormalise;
use super::network::Network;
use super::path::Path;
use super::product::{rows, set_rows, without_direction};
use super::sweep::Sweep;
use elman_core::engine::Engine;
use std::sync::Arc;

/// The largest Lyapunov exponents, in nats a step: a small change along the i-th direction grows as e^(λ_i t).
///
/// By the QR method (Benettin et al. 1980) on the gradient's way back: orthonormal rows Q go through Q ∂s_m/∂s_{m-1}, are made
/// orthonormal again, and λ_i is the mean of ln R_ii. Going back it is the transposed product, which has the same singular values, so
/// the exponents are those of the state's own way as long as the text is. A positive one says that the network is chaotic along this text.
#[derive(Clone, Debug, PartialEq)]
pub struct Lyapunov {
    /// λ in nats a step, largest first; -∞ for a direction of which nothing is left.
    pub exponents: Vec<f64>,
    /// Steps that the mean is over.
    pub steps: usize,
}

/// Steps in which the directions turn to where they belong, before the mean begins.
const TURN: usize = 20;

impl Lyapunov {
    /// The `count` largest exponents over the whole path, going back from its end.
    ///
    /// # Errors
    /// `count` is 0, the path has not more than 20 steps, or a result is not finite.
    pub fn new(network: &Network, path: &Path, engine: &Arc<Engine>, count: usize) -> Result<Lyapunov, AnalysisError> {
        if count == 0 {
            return Err(AnalysisError::Zero { what: "the number of exponents" });
        }
        if path.steps() <= TURN {
            return Err(AnalysisError::TooShort { found: path.steps(), least: TURN + 1 });
        }
        let width = network.state_width();
        let count = count.min(width);
        let mut sweep = Sweep::new(network, path, engine);
        let mut d_state = sweep.zero_state(count);
        let mut q = without_direction(count * width);
        orthonormalise(&mut q, width);
        let mut sums = vec![0.0; count];
        for (i, t) in (0..path.steps()).rev().enumerate() {
            set_rows(network, &q, &mut d_state);
            sweep.step(&vec![t; count], None, &mut d_state);
            q = rows(network, &d_state, count);
            let lengths = orthonormalise(&mut q, width);
            if !lengths.iter().all(|l| l.is_finite()) {
                return Err(AnalysisError::NotFinite);
            }
            if i >= TURN {
                sums.iter_mut().zip(lengths).for_each(|(sum, length)| *sum += length.ln());
            }
        }
        let steps = path.steps() - TURN;
        let mut exponents: Vec<f64> = sums.into_iter().map(|sum| sum / steps as f64).collect();
        exponents.sort_by(|a, b| b.total_cmp(a));
        Ok(Lyapunov { exponents, steps })
    }
}

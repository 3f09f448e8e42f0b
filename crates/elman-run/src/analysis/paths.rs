//! The double sum of backpropagation through time, term by term.

use super::AnalysisError;
use super::network::{Network, dot};
use super::path::Path;
use super::sweep::Sweep;
use elman_core::engine::Engine;
use std::sync::Arc;

/// Single paths of the double sum: from each of the last losses back to each of the last steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Paths {
    /// The first of these steps, counted from 0.
    pub first: usize,
    /// ‖(∂L_j/∂s_k) (∂s_k/∂W)‖ for the recurrent weights, in a cell without them the first parameter: rows are losses, from k = `first` to j.
    pub norms: Vec<Vec<f64>>,
}

impl Paths {
    /// Follows each of the last `count` losses back by itself, through as many steps at most.
    ///
    /// # Errors
    /// `count` is 0, or a result is not finite.
    pub fn new(network: &Network, path: &Path, engine: &Arc<Engine>, count: usize) -> Result<Paths, AnalysisError> {
        if count == 0 {
            return Err(AnalysisError::Zero { what: "the number of losses" });
        }
        let parameters = network.layers().iter().enumerate();
        let mut chosen: Vec<(usize, usize)> = parameters
            .flat_map(|(k, l)| l.layer.parameters().iter().enumerate().map(move |(p, own)| (k, p, own)))
            .filter(|(_, _, own)| own.name.starts_with("weight_hh"))
            .map(|(k, p, _)| (k, p))
            .collect();
        if chosen.is_empty() {
            chosen.push((0, 0));
        }
        let first = path.steps().saturating_sub(count);
        let mut sweep = Sweep::new(network, path, engine);
        let mut row = |j: usize| -> Vec<f64> {
            let from_loss = |y: &[f64]| path.loss(network, j, y).1;
            let mut d_state = sweep.zero_state(1);
            let mut norms: Vec<f64> = (first..=j)
                .rev()
                .map(|k| {
                    sweep.step(&[k], (k == j).then_some(&from_loss as _), &mut d_state);
                    let squares = chosen.iter().map(|&(k, p)| &sweep.gradients[k].params[p]).map(|g| dot(g, g));
                    squares.sum::<f64>().sqrt()
                })
                .collect();
            norms.reverse();
            norms
        };
        let norms: Vec<Vec<f64>> = (first..path.steps()).map(&mut row).collect();
        match norms.iter().flatten().all(|norm| norm.is_finite()) {
            true => Ok(Paths { first, norms }),
            false => Err(AnalysisError::NotFinite),
        }
    }
}

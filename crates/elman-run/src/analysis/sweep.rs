//! One step of a whole network, forward and backward, for many rows at once: every row has its own time.
//!
//! Backward over time is this step again and again, with the state that was there at that time and the gradient that came so far.

use super::network::{Network, State};
use super::path::Path;
use elman_core::engine::{Engine, Gradients, Input, Output, Sequence, Workspace};
use std::sync::Arc;

/// From the outputs of all rows (rows, P) the gradient by them.
pub(super) type LossGradient<'a> = &'a dyn Fn(&[f64]) -> Vec<f64>;

pub(super) struct Sweep<'a> {
    network: &'a Network,
    path: &'a Path,
    engine: &'a Arc<Engine>,
    /// For each layer.
    workspaces: Vec<Workspace<f64>>,
    outputs: Vec<Output<f64>>,
    /// For each layer: what the last backward step gave.
    pub gradients: Vec<Gradients<f64>>,
}

impl<'a> Sweep<'a> {
    pub fn new(network: &'a Network, path: &'a Path, engine: &'a Arc<Engine>) -> Self {
        let layers = network.layers().len();
        Sweep {
            network,
            path,
            engine,
            workspaces: (0..layers).map(|_| Workspace::new()).collect(),
            outputs: vec![Output::default(); layers],
            gradients: vec![Gradients::default(); layers],
        }
    }

    /// Zero gradients by the state of `rows` rows.
    pub fn zero_state(&self, rows: usize) -> State {
        let layer = |l: &super::network::NetworkLayer| {
            l.layer.state_widths().into_iter().map(|w| vec![0.0; rows * w]).collect()
        };
        self.network.layers().iter().map(layer).collect()
    }

    /// Step `times[r]` in each row r; then the gradient goes back through it. `d_y` (rows, P) gives the gradient by the network's
    /// output from that output, where there is one; `d_state` is the gradient by the state after the step and becomes that by the
    /// state before it. What each layer's parameters and input get, summed over rows, is in `gradients`.
    pub fn step(&mut self, times: &[usize], d_y: Option<LossGradient>, d_state: &mut State) {
        let rows = times.len();
        let mut x: Vec<f64> = times.iter().flat_map(|&t| self.path.input(self.network, t).to_vec()).collect();
        let mut inputs = Vec::new();
        let mut states = Vec::new();
        for (k, l) in self.network.layers().iter().enumerate() {
            let state: Vec<Vec<f64>> = (0..l.layer.carried().len())
                .map(|c| times.iter().flat_map(|&t| self.path.state(t)[k][c].iter().copied()).collect())
                .collect();
            let seq = sequence(&x, rows, &state);
            self.engine.forward(&l.layer, &l.slices(), &seq, &mut self.workspaces[k], &mut self.outputs[k]);
            inputs.push(std::mem::replace(&mut x, self.outputs[k].y.clone()));
            states.push(state);
        }
        let mut d_out = d_y.map_or_else(|| vec![0.0; x.len()], |d_y| d_y(&x));
        for (k, l) in self.network.layers().iter().enumerate().rev() {
            let seq = sequence(&inputs[k], rows, &states[k]);
            let d: Vec<&[f64]> = d_state[k].iter().map(Vec::as_slice).collect();
            self.engine.backward(
                &l.layer,
                &l.slices(),
                &seq,
                &mut self.workspaces[k],
                &self.outputs[k].y,
                &d_out,
                Some(&d),
                &mut self.gradients[k],
            );
            d_out.clone_from(&self.gradients[k].input);
            d_state[k].clone_from(&self.gradients[k].state);
        }
    }
}

fn sequence<'a>(x: &'a [f64], rows: usize, state: &'a [Vec<f64>]) -> Sequence<'a, f64> {
    let mut seq = Sequence::new(1, rows, Input::Dense(x));
    seq.state = Some(state.iter().map(Vec::as_slice).collect());
    seq
}

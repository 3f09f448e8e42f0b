//! A model in f64, and the path of a text through its states.

use super::AnalysisError;
use crate::Model;
use elman_core::Layer;
use elman_core::engine::{Engine, StepInput, Stepper};
use std::sync::Arc;

/// One layer with its parameters in the order of [`Layer::parameters`].
#[derive(Clone, Debug)]
pub struct NetworkLayer {
    /// Cell and sizes.
    pub layer: Layer,
    /// One row-major array for each parameter.
    pub parameters: Vec<Vec<f64>>,
}

impl NetworkLayer {
    /// The parameters as the engine takes them.
    pub fn slices(&self) -> Vec<&[f64]> {
        self.parameters.iter().map(Vec::as_slice).collect()
    }
}

/// One carried value of one layer: a part of the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePart {
    /// The layer, from 0.
    pub layer: usize,
    /// The value's name in the cell's equations, such as `h` or `c`.
    pub name: &'static str,
    /// How many numbers it has.
    pub width: usize,
}

/// By layer and carried value.
pub type State = Vec<Vec<Vec<f64>>>;

/// A model with its numbers in f64: embedding, stack, readout.
#[derive(Clone, Debug)]
pub struct Network {
    layers: Vec<NetworkLayer>,
    embedding: Vec<f64>,
    readout_weight: Vec<f64>,
    readout_bias: Vec<f64>,
    initial: State,
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| v.into()).collect()
}

impl Network {
    /// The same numbers in f64.
    ///
    /// # Errors
    /// A parameter is not finite, or the cell has feeds.
    pub fn new(model: &Model) -> Result<Network, AnalysisError> {
        let layers: Vec<NetworkLayer> = model
            .layers()
            .iter()
            .map(|l| NetworkLayer {
                layer: l.layer.clone(),
                parameters: l.parameters.iter().map(|p| wide(p)).collect(),
            })
            .collect();
        for l in &layers {
            if l.layer.stages().iter().any(|stage| stage.feeds > 0) {
                return Err(AnalysisError::Feeds { cell: l.layer.cell().spec().name.to_string() });
            }
        }
        let initial = layers.iter().enumerate().map(|(k, l)| match model.initial_state(k) {
            Some(state) => state.into_iter().map(wide).collect(),
            None => l.layer.state_widths().into_iter().map(|w| vec![0.0; w]).collect(),
        });
        let network = Network {
            initial: initial.collect(),
            embedding: wide(model.embedding()),
            readout_weight: wide(model.readout_weight()),
            readout_bias: wide(model.readout_bias()),
            layers,
        };
        let parameters = network.layers.iter().flat_map(|l| &l.parameters).flatten();
        let others = [&network.embedding, &network.readout_weight, &network.readout_bias];
        if !parameters.chain(others.into_iter().flatten()).all(|x| x.is_finite()) {
            return Err(AnalysisError::NotFinite);
        }
        Ok(network)
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[NetworkLayer] {
        &self.layers
    }

    /// The embedding table (V, E).
    pub fn embedding(&self) -> &[f64] {
        &self.embedding
    }

    /// The readout's weight (V, P).
    pub fn readout_weight(&self) -> &[f64] {
        &self.readout_weight
    }

    /// The readout's bias (V).
    pub fn readout_bias(&self) -> &[f64] {
        &self.readout_bias
    }

    /// V, the number of tokens.
    pub fn vocabulary(&self) -> usize {
        self.readout_bias.len()
    }

    /// P, the width of the last layer's output.
    pub fn output_width(&self) -> usize {
        self.layers.last().map_or(0, |l| l.layer.output_width())
    }

    /// The parts of the state: layer after layer, the carried values in the cell's order.
    pub fn parts(&self) -> Vec<StatePart> {
        let part = |(layer, l): (usize, &NetworkLayer)| {
            let widths = l.layer.state_widths();
            let names = l.layer.carried().iter().map(|&v| l.layer.values()[v].name);
            names.zip(widths).map(|(name, width)| StatePart { layer, name, width }).collect::<Vec<_>>()
        };
        self.layers.iter().enumerate().flat_map(part).collect()
    }

    /// D, the number of numbers in the whole state.
    pub fn state_width(&self) -> usize {
        self.parts().iter().map(|part| part.width).sum()
    }

    /// The input of the first layer for a token (E).
    pub fn embed(&self, id: u32) -> &[f64] {
        let width = self.embedding.len() / self.vocabulary();
        &self.embedding[id as usize * width..][..width]
    }

    /// The state before the first step.
    pub fn initial(&self) -> &State {
        &self.initial
    }

    /// logits = W y + b of one output y (P).
    pub fn logits(&self, y: &[f64]) -> Vec<f64> {
        let row = |v: usize| &self.readout_weight[v * y.len()..][..y.len()];
        (0..self.vocabulary()).map(|v| self.readout_bias[v] + dot(row(v), y)).collect()
    }

    /// -ln p(target) in nats for the output y, and its gradient by y: Wᵀ (softmax(logits) - onehot(target)).
    pub fn loss(&self, y: &[f64], target: u32) -> (f64, Vec<f64>) {
        let logits = self.logits(y);
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|l| (l - max).exp()).sum();
        let mut d_y = vec![0.0; y.len()];
        for (v, logit) in logits.iter().enumerate() {
            let d = (logit - max).exp() / sum - f64::from(u8::from(v == target as usize));
            let row = &self.readout_weight[v * y.len()..][..y.len()];
            d_y.iter_mut().zip(row).for_each(|(d_y, w)| *d_y += d * w);
        }
        (sum.ln() - (logits[target as usize] - max), d_y)
    }
}

/// Σ a b.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// √Σ a².
pub(super) fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// A text on its way through a network: the state before every step, and after the last.
#[derive(Clone, Debug)]
pub struct Path {
    ids: Vec<u32>,
    /// One more than there are steps.
    states: Vec<State>,
}

impl Path {
    /// Runs the tokens from the initial state. The last of them is only a target: a text of N tokens has N - 1 steps.
    ///
    /// # Errors
    /// There are fewer than two tokens.
    ///
    /// # Panics
    /// If an id is not below V.
    pub fn new(network: &Network, engine: &Arc<Engine>, ids: &[u32]) -> Result<Path, AnalysisError> {
        if ids.len() < 2 {
            return Err(AnalysisError::TooShort { found: ids.len(), least: 2 });
        }
        let mut steppers: Vec<Stepper<f64>> = Vec::new();
        for (l, initial) in network.layers.iter().zip(&network.initial) {
            let mut stepper = Stepper::new(engine, &l.layer, &l.slices(), 1, None);
            stepper.set_state(&initial.iter().map(Vec::as_slice).collect::<Vec<_>>());
            steppers.push(stepper);
        }
        let mut states = vec![network.initial.clone()];
        for &id in &ids[..ids.len() - 1] {
            let mut x = network.embed(id).to_vec();
            for stepper in &mut steppers {
                x = stepper.step(StepInput::Dense(&x)).to_vec();
            }
            states.push(steppers.iter().map(Stepper::state).collect());
        }
        Ok(Path { ids: ids.to_vec(), states })
    }

    /// The tokens.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.ids.len() - 1
    }

    /// The state before step `t`; for t = [`steps`](Path::steps) the last.
    pub fn state(&self, t: usize) -> &State {
        &self.states[t]
    }

    /// `count` steps spread evenly over `first..steps`, the last step among them; all where there are fewer.
    pub fn spread(&self, first: usize, count: usize) -> Vec<usize> {
        let all = self.steps().saturating_sub(first);
        if count >= all {
            return (first..self.steps()).collect();
        }
        (1..=count).map(|i| first + i * all / count - 1).collect()
    }
}

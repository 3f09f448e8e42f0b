//! A network in f64: a model of characters or words, or layers and a readout for numbers.

use super::AnalysisError;
use crate::Model;
use elman_core::{Layer, with_mean_feeds};

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

/// A model with its numbers in f64: embedding, stack, readout. A network of numbers has no embedding. Zoneout is at its mean, as in every evaluation.
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
    /// A parameter is not finite, or the cell has feeds other than those that training draws.
    pub fn new(model: &Model) -> Result<Network, AnalysisError> {
        let layers: Vec<NetworkLayer> = model
            .layers()
            .iter()
            .map(|l| NetworkLayer {
                layer: l.layer.clone(),
                parameters: l.parameters.iter().map(|p| wide(p)).collect(),
            })
            .collect();
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
        network.checked()
    }

    /// A network that reads and predicts numbers: layers, and a readout to K numbers, W y + b with a weight (K, P) and a bias (K). The state before
    /// the first step is zero ([`with_initial`](Network::with_initial) gives another), the loss that of [`Path::series`](super::Path::series).
    ///
    /// # Errors
    /// There is no layer, shapes do not fit each other, a parameter is not finite, or a cell has feeds other than those that training draws.
    pub fn of_numbers(
        layers: Vec<NetworkLayer>,
        readout_weight: Vec<f64>,
        readout_bias: Vec<f64>,
    ) -> Result<Network, AnalysisError> {
        let wrong = |what: String| Err(AnalysisError::Shape { what });
        let Some(last) = layers.last() else { return wrong("there is no layer".into()) };
        for (k, l) in layers.iter().enumerate() {
            let want: Vec<usize> = l.layer.parameters().iter().map(|p| p.len()).collect();
            let found: Vec<usize> = l.parameters.iter().map(Vec::len).collect();
            if found != want {
                return wrong(format!("the parameters of layer {k} have {found:?} numbers, its cell's {want:?}"));
            }
            if let Some(below) = k.checked_sub(1).map(|k| layers[k].layer.output_width())
                && below != l.layer.sizes().input
            {
                return wrong(format!(
                    "layer {k} reads {} numbers, the one below puts out {below}",
                    l.layer.sizes().input
                ));
            }
        }
        let (outputs, width) = (readout_bias.len(), last.layer.output_width());
        if outputs == 0 || readout_weight.len() != outputs * width {
            let found = readout_weight.len();
            return wrong(format!(
                "the readout has {found} weights and {outputs} biases for outputs of {width} numbers"
            ));
        }
        let zero = |l: &NetworkLayer| l.layer.state_widths().into_iter().map(|w| vec![0.0; w]).collect();
        let initial = layers.iter().map(zero).collect();
        Network { layers, embedding: Vec::new(), readout_weight, readout_bias, initial }.checked()
    }

    /// The same with another state before the first step, by layer and carried value.
    ///
    /// # Errors
    /// Its shape is another, or a number is not finite.
    pub fn with_initial(mut self, initial: State) -> Result<Network, AnalysisError> {
        let widths = |state: &State| -> Vec<Vec<usize>> {
            state.iter().map(|layer| layer.iter().map(Vec::len).collect()).collect()
        };
        let (found, want) = (widths(&initial), widths(&self.initial));
        if found != want {
            return Err(AnalysisError::Shape { what: format!("the initial state has widths {found:?}, not {want:?}") });
        }
        if !initial.iter().flatten().flatten().all(|x| x.is_finite()) {
            return Err(AnalysisError::Shape { what: "a number of the initial state is not finite".into() });
        }
        self.initial = initial;
        Ok(self)
    }

    /// The network as it is at evaluation, if all of it can be looked into.
    fn checked(mut self) -> Result<Network, AnalysisError> {
        for NetworkLayer { layer, .. } in &mut self.layers {
            let feeds = layer.feeds();
            if feeds.iter().any(|(_, probability)| probability.is_none()) {
                return Err(AnalysisError::Feeds { cell: layer.cell().spec().name.to_string() });
            }
            if !feeds.is_empty() {
                let cell = with_mean_feeds(layer.cell().clone());
                *layer = Layer::new(cell, layer.sizes()).expect("the same sizes fit the same cell");
            }
        }
        let parameters = self.layers.iter().flat_map(|l| &l.parameters).flatten();
        let others = [&self.embedding, &self.readout_weight, &self.readout_bias];
        if !parameters.chain(others.into_iter().flatten()).all(|x| x.is_finite()) {
            return Err(AnalysisError::NotFinite);
        }
        Ok(self)
    }

    /// Whether it reads characters or words; else it reads numbers.
    pub fn is_of_tokens(&self) -> bool {
        !self.embedding.is_empty()
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[NetworkLayer] {
        &self.layers
    }

    /// The embedding table (V, E); empty in a network of numbers.
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

    /// V, the number of tokens; K, how many numbers are predicted.
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

    /// The input of the first layer for a token (E); nothing for a network of numbers.
    ///
    /// # Panics
    /// If the token is not below V.
    pub fn embed(&self, id: u32) -> &[f64] {
        let width = self.embedding.len() / self.vocabulary();
        &self.embedding[id as usize * width..][..width]
    }

    /// The state before the first step.
    pub fn initial(&self) -> &State {
        &self.initial
    }

    /// logits = W y + b of one output y (P).
    ///
    /// # Panics
    /// If y is not as wide as the network's output.
    pub fn logits(&self, y: &[f64]) -> Vec<f64> {
        assert_eq!(y.len(), self.output_width(), "width of an output");
        let row = |v: usize| &self.readout_weight[v * y.len()..][..y.len()];
        (0..self.vocabulary()).map(|v| self.readout_bias[v] + dot(row(v), y)).collect()
    }

    /// -ln p(target) in nats for the output y, and its gradient by y: Wᵀ (softmax(logits) - onehot(target)).
    ///
    /// # Panics
    /// If y is not as wide as the network's output, or the target is not below V.
    pub fn loss(&self, y: &[f64], target: u32) -> (f64, Vec<f64>) {
        let logits = self.logits(y);
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|l| (l - max).exp()).sum();
        let d = logits.iter().enumerate();
        let d: Vec<f64> = d.map(|(v, l)| (l - max).exp() / sum - f64::from(u8::from(v == target as usize))).collect();
        (sum.ln() - (logits[target as usize] - max), self.through_readout(&d))
    }

    /// ½ Σ (W y + b - target)² for the output y, and its gradient by y.
    ///
    /// # Panics
    /// If y is not as wide as the network's output, or there is not a target for each number predicted.
    pub fn squared_error(&self, y: &[f64], target: &[f64]) -> (f64, Vec<f64>) {
        assert_eq!(target.len(), self.readout_bias.len(), "targets of a step");
        let d: Vec<f64> = self.logits(y).iter().zip(target).map(|(got, want)| got - want).collect();
        (0.5 * dot(&d, &d), self.through_readout(&d))
    }

    /// Wᵀ d.
    fn through_readout(&self, d: &[f64]) -> Vec<f64> {
        let width = self.output_width();
        let mut d_y = vec![0.0; width];
        for (d, row) in d.iter().zip(self.readout_weight.chunks_exact(width)) {
            d_y.iter_mut().zip(row).for_each(|(d_y, w)| *d_y += d * w);
        }
        d_y
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

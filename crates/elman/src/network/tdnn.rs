//! Time-delay neural networks: layers of windows over time, with the same weights at every step.

use super::activation::activate;
use super::dense::{by_rows, uniform};
use super::error::{LARGEST, NetworkError};
use super::series::SeriesError;
use super::system::SequenceMap;
use crate::recurrent::State;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use elman_core::algebra::Activation;

/// One layer of a [`TdnnConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Width of the layer's output.
    pub width: usize,
    /// K, the number of steps of the layer below that a unit sees.
    pub taps: usize,
    /// The distance between them in steps; 1: neighbours.
    pub dilation: usize,
    /// The activation.
    pub activation: Activation,
}

impl Context {
    /// Neighbouring steps, tanh.
    pub fn new(width: usize, taps: usize) -> Context {
        Context { width, taps, dilation: 1, activation: Activation::Tanh }
    }
}

/// How a [`Tdnn`] is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TdnnConfig {
    /// Number of inputs.
    pub inputs: usize,
    /// The layers, from the input on.
    pub layers: Vec<Context>,
}

impl TdnnConfig {
    /// Draws every parameter uniformly in ±1/√(inputs of a unit, all taps together), as PyTorch does for `Conv1d`, from the streams of
    /// `seed` named by its path.
    ///
    /// # Errors
    /// If there is no layer, or a width, number of taps or dilation is 0 or above [`LARGEST`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<Tdnn, NetworkError> {
        NetworkError::check("the number of layers", self.layers.len(), 1, LARGEST)?;
        NetworkError::check("the number of inputs", self.inputs, 1, LARGEST)?;
        let mut inputs = self.inputs;
        let mut layers = Vec::new();
        for (l, context) in self.layers.iter().enumerate() {
            NetworkError::check("the width of a layer", context.width, 1, LARGEST)?;
            NetworkError::check("the number of taps of a layer", context.taps, 1, LARGEST)?;
            NetworkError::check("the dilation of a layer", context.dilation, 1, LARGEST)?;
            let bound = 1.0 / ((inputs * context.taps) as f32).sqrt();
            let path = |name: &str| format!("layers.{l}.{name}");
            layers.push(TdnnLayer {
                weight: uniform([context.width, inputs, context.taps], bound, seed, &path("weight"), device),
                bias: uniform([context.width], bound, seed, &path("bias"), device),
                dilation: context.dilation,
                activation: context.activation,
            });
            inputs = context.width;
        }
        Ok(Tdnn { layers })
    }
}

/// A layer of windows: z_t = σ(b + Σ_{j=0}^{K-1} W_j x_{t - (K-1-j) d}), tap j = 0 being the oldest.
#[derive(Module, Debug)]
pub struct TdnnLayer {
    /// (outputs, inputs, K), as `Conv1d`'s in PyTorch.
    pub weight: Param<Tensor<3>>,
    /// (outputs).
    pub bias: Param<Tensor<1>>,
    dilation: usize,
    #[module(skip)]
    activation: Activation,
}

impl TdnnLayer {
    /// (K - 1) d: how far back a unit looks, in steps.
    fn reach(&self) -> usize {
        (self.weight.val().dims()[2] - 1) * self.dilation
    }

    /// Whole windows only: (T, B, inputs) to (T - reach, B, outputs), as one product of all windows with the weights.
    fn windows(&self, x: Tensor<3>) -> Tensor<3> {
        let weight = self.weight.val();
        let [outputs, inputs, taps] = weight.dims();
        let steps = x.dims()[0] - self.reach();
        let tap = |j: usize| x.clone().slice_dim(0, j * self.dilation..j * self.dilation + steps);
        let windows = Tensor::cat((0..taps).map(tap).collect(), 2);
        let weight = weight.swap_dims(1, 2).reshape([outputs, taps * inputs]).transpose();
        by_rows(windows, |rows| activate(self.activation, rows.matmul(weight) + self.bias.val().unsqueeze()))
    }
}

/// A time-delay neural network (Waibel, Hanazawa, Hinton, Shikano & Lang 1989; the first deck's "not recurrent" network for
/// dynamic systems): each layer sees a window of [`Context::taps`] steps of the one below, [`Context::dilation`] apart, with
/// the same weights at every step. It is a stack of dilated convolutions over time and sees [`reach`](Tdnn::reach) steps back; what is
/// older has no influence whatever. (Waibel et al. add the outputs up over time to classify: take the mean over T.)
///
/// Two ways to treat the ends:
/// * *causal*, [`forward`](SequenceMap::forward): T outputs, y_t from x_t and what came before, zeros before the beginning. It goes on from a
///   state (the last steps of each layer's input), and [`Tdnn::stream`] does the same one step at a time;
/// * *whole windows*, [`forward_windows`](Tdnn::forward_windows): T - reach outputs, the same numbers. Output s is made of
///   x_s ..= x_{s + reach}, so that it may as well stand for the step in their middle, where the future may be seen.
///
/// Parameters: `layers.0.weight` (outputs, inputs, K), `layers.0.bias`, ...: PyTorch's `Conv1d`.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use elman::network::{Context, SequenceMap, TdnnConfig};
///
/// let layers = vec![Context::new(8, 3), Context { dilation: 3, ..Context::new(2, 4) }];
/// let network = TdnnConfig { inputs: 5, layers }.init(1, &Device::flex()).unwrap();
/// assert_eq!(network.reach(), 2 + 3 * 3);
/// let x = Tensor::<3>::ones([20, 4, 5], &Device::flex());
/// assert_eq!(network.forward(x.clone(), None).0.dims(), [20, 4, 2]);
/// assert_eq!(network.forward_windows(x).unwrap().dims(), [9, 4, 2]);
/// ```
#[derive(Module, Debug)]
pub struct Tdnn {
    /// The layers, from the input on.
    pub layers: Vec<TdnnLayer>,
}

impl Tdnn {
    /// How many steps before x_t have an influence on y_t: Σ (K - 1) d over the layers.
    pub fn reach(&self) -> usize {
        self.layers.iter().map(TdnnLayer::reach).sum()
    }

    /// Whole windows only: (T, B, inputs) to (T - reach, B, outputs).
    ///
    /// # Errors
    /// If no window fits: T must be above [`reach`](Tdnn::reach).
    pub fn forward_windows(&self, x: Tensor<3>) -> Result<Tensor<3>, SeriesError> {
        let (steps, needed) = (x.dims()[0], self.reach() + 1);
        if steps < needed {
            let why = "a whole window of the network";
            return Err(SeriesError::TooShort { what: "sequence", steps, needed, why });
        }
        Ok(self.layers.iter().fold(x, |x, layer| layer.windows(x)))
    }

    /// The causal network one step at a time, in constant memory, from the start of a sequence.
    pub fn stream(&self) -> TdnnStream {
        let layers = self.layers.iter().map(|layer| {
            let [outputs, inputs, taps] = layer.weight.val().dims();
            StreamLayer {
                weight: crate::flex::to_vec(layer.weight.val().swap_dims(1, 2)),
                bias: crate::flex::to_vec(layer.bias.val()),
                inputs,
                taps,
                dilation: layer.dilation,
                activation: layer.activation,
                ring: vec![0.0; (layer.reach() + 1) * inputs],
                newest: 0,
                out: vec![0.0; outputs],
            }
        });
        TdnnStream { layers: layers.collect() }
    }
}

impl SequenceMap for Tdnn {
    fn widths(&self) -> [usize; 2] {
        let inputs = self.layers[0].weight.val().dims()[1];
        [inputs, self.layers[self.layers.len() - 1].bias.val().dims()[0]]
    }

    /// The causal network. The state has for each layer the last (K - 1) d steps of its input, (B, (K - 1) d inputs), the oldest first; nothing
    /// for a layer of one tap.
    fn forward(&self, x: Tensor<3>, state: Option<State>) -> (Tensor<3>, State) {
        let mut before = state.map(|state| state.layers.into_iter());
        let mut after = Vec::new();
        let y = self.layers.iter().fold(x, |x, layer| {
            let ([_, batch, inputs], reach) = (x.dims(), layer.reach());
            let history = before.as_mut().and_then(|layers| layers.next()).and_then(|values| values.into_iter().next());
            if reach == 0 {
                after.push(Vec::new());
                return layer.windows(x);
            }
            let history = match history {
                Some(history) => history.reshape([batch, reach, inputs]).swap_dims(0, 1),
                None => Tensor::zeros([reach, batch, inputs], (&x.device(), x.dtype())),
            };
            let x = Tensor::cat(vec![history, x], 0);
            let steps = x.dims()[0];
            let kept = x.clone().slice_dim(0, steps - reach..steps).swap_dims(0, 1);
            after.push(vec![kept.reshape([batch, reach * inputs])]);
            layer.windows(x)
        });
        (y, State { layers: after })
    }
}

/// A causal [`Tdnn`] that runs one step at a time: each layer keeps the steps that it still needs in a ring. A step allocates nothing
/// and copies no history.
///
/// ```
/// use burn::tensor::Device;
/// use elman::network::{Context, TdnnConfig};
///
/// let config = TdnnConfig { inputs: 2, layers: vec![Context::new(4, 3), Context::new(1, 2)] };
/// let mut stream = config.init(1, &Device::flex()).unwrap().stream();
/// for t in 0..100 {
///     let y: &[f32] = stream.step(&[t as f32, 1.0]);
///     assert_eq!(y.len(), 1);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct TdnnStream {
    layers: Vec<StreamLayer>,
}

#[derive(Clone, Debug)]
struct StreamLayer {
    /// (outputs, taps, inputs).
    weight: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
    taps: usize,
    dilation: usize,
    activation: Activation,
    /// The last (K - 1) d + 1 inputs.
    ring: Vec<f32>,
    /// The row of the newest one.
    newest: usize,
    out: Vec<f32>,
}

impl TdnnStream {
    /// The output at the next step. `x` has the network's number of inputs.
    ///
    /// # Panics
    /// If it has not.
    #[track_caller]
    pub fn step(&mut self, x: &[f32]) -> &[f32] {
        assert_eq!(x.len(), self.layers[0].inputs, "number of inputs");
        for l in 0..self.layers.len() {
            let (below, rest) = self.layers.split_at_mut(l);
            rest[0].step(below.last().map_or(x, |layer| &layer.out));
        }
        &self.layers[self.layers.len() - 1].out
    }

    /// Starts a new sequence.
    pub fn reset(&mut self) {
        for layer in &mut self.layers {
            layer.ring.fill(0.0);
        }
    }
}

impl StreamLayer {
    fn step(&mut self, x: &[f32]) {
        let (inputs, rows) = (self.inputs, self.ring.len() / self.inputs);
        self.newest = (self.newest + 1) % rows;
        self.ring[self.newest * inputs..][..inputs].copy_from_slice(x);
        for (o, out) in self.out.iter_mut().enumerate() {
            let weight = &self.weight[o * self.taps * inputs..][..self.taps * inputs];
            let mut sum = self.bias[o];
            for (j, weight) in weight.chunks_exact(inputs).enumerate() {
                // Tap j is (K - 1 - j) d steps old.
                let age = (self.taps - 1 - j) * self.dilation;
                let row = &self.ring[(self.newest + rows - age) % rows * inputs..][..inputs];
                sum += weight.iter().zip(row).map(|(w, x)| w * x).sum::<f32>();
            }
            *out = self.activation.of(sum);
        }
    }
}

#[cfg(test)]
#[path = "tdnn_test.rs"]
mod tests;

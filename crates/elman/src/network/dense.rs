//! Dense layers and multilayer perceptrons, with PyTorch's names and layouts.

use super::activation::activate;
use super::error::{LARGEST, NetworkError};
use crate::random::Random;
use crate::recurrent::leaf;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use elman_core::algebra::Activation;

/// A parameter of this shape, uniform in ±bound, from the stream of `seed` that its path names.
pub(crate) fn uniform<const D: usize>(
    shape: [usize; D],
    bound: f32,
    seed: u64,
    path: &str,
    device: &Device,
) -> Param<Tensor<D>> {
    let mut random = Random::new(seed, &format!("init/{path}"));
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.symmetric(bound)).collect();
    leaf(Tensor::from_data(TensorData::new(values, shape), device))
}

/// A seed of its own for a part of a network.
pub(crate) fn seed_of(seed: u64, part: &str) -> u64 {
    let mut random = Random::new(seed, &format!("seed/{part}"));
    u64::from(random.word()) << 32 | u64::from(random.word())
}

/// An affine layer y = W x + b.
#[derive(Module, Debug)]
pub struct Dense {
    /// W, (outputs, inputs).
    pub weight: Param<Tensor<2>>,
    /// b, (outputs).
    pub bias: Param<Tensor<1>>,
}

impl Dense {
    /// Draws both parameters uniformly in ±1/√inputs, as PyTorch does, from the streams of `seed` named by `path`.
    ///
    /// # Errors
    /// If a width is 0.
    pub fn init(inputs: usize, outputs: usize, seed: u64, path: &str, device: &Device) -> Result<Dense, NetworkError> {
        NetworkError::check("the number of inputs of a dense layer", inputs, 1, LARGEST)?;
        NetworkError::check("the width of a dense layer", outputs, 1, LARGEST)?;
        let bound = 1.0 / (inputs as f32).sqrt();
        Ok(Dense {
            weight: uniform([outputs, inputs], bound, seed, &format!("{path}.weight"), device),
            bias: uniform([outputs], bound, seed, &format!("{path}.bias"), device),
        })
    }

    /// Number of inputs and of outputs.
    pub fn widths(&self) -> [usize; 2] {
        let [outputs, inputs] = self.weight.val().dims();
        [inputs, outputs]
    }

    /// `x` (N, inputs) to (N, outputs).
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.weight.val().transpose()) + self.bias.val().unsqueeze()
    }

    /// The same at every step: (T, B, inputs) to (T, B, outputs).
    pub fn forward_steps(&self, x: Tensor<3>) -> Tensor<3> {
        by_rows(x, |rows| self.forward(rows))
    }
}

/// A change of rows applied to the rows of every step.
pub(crate) fn by_rows(x: Tensor<3>, change: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Tensor<3> {
    let [t, b, width] = x.dims();
    let y = change(x.reshape([t * b, width]));
    let width = y.dims()[1];
    y.reshape([t, b, width])
}

/// How an [`Mlp`] is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlpConfig {
    /// Number of inputs.
    pub inputs: usize,
    /// The widths of the hidden layers, in order; none: one affine map.
    pub hidden: Vec<usize>,
    /// Number of outputs.
    pub outputs: usize,
    /// The activation of the hidden layers.
    pub activation: Activation,
    /// The activation of the last layer: [`Activation::Identity`] for a regression.
    pub last: Activation,
}

impl MlpConfig {
    /// A regression: tanh in the hidden layers, the last one affine.
    pub fn new(inputs: usize, hidden: &[usize], outputs: usize) -> MlpConfig {
        let (activation, last) = (Activation::Tanh, Activation::Identity);
        MlpConfig { inputs, hidden: hidden.to_vec(), outputs, activation, last }
    }

    /// Draws the layers from the streams of `seed` named by `path`; see [`Dense::init`].
    ///
    /// # Errors
    /// If a width is 0.
    pub fn init(&self, seed: u64, path: &str, device: &Device) -> Result<Mlp, NetworkError> {
        let widths: Vec<usize> = [self.inputs].into_iter().chain(self.hidden.clone()).chain([self.outputs]).collect();
        let layers = widths.windows(2).enumerate();
        let layers = layers.map(|(l, w)| Dense::init(w[0], w[1], seed, &format!("{path}.layers.{l}"), device));
        let layers = layers.collect::<Result<_, _>>()?;
        Ok(Mlp { layers, activation: self.activation, last: self.last })
    }
}

/// A multilayer perceptron: a_0 = x, a_l = σ(W_l a_{l-1} + b_l). Parameters: `layers.0.weight`, `layers.0.bias`, ...
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use elman::network::MlpConfig;
///
/// let mlp = MlpConfig::new(3, &[8, 5], 2).init(1, "mlp", &Device::flex()).unwrap();
/// assert_eq!(mlp.forward(Tensor::ones([4, 3], &Device::flex())).dims(), [4, 2]);
/// assert!(MlpConfig::new(3, &[0], 2).init(1, "mlp", &Device::flex()).is_err());
/// ```
#[derive(Module, Debug)]
pub struct Mlp {
    /// The layers.
    pub layers: Vec<Dense>,
    #[module(skip)]
    activation: Activation,
    #[module(skip)]
    last: Activation,
}

impl Mlp {
    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.layers[0].widths()[0]
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].widths()[1]
    }

    /// `x` (N, inputs) to (N, outputs).
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        self.layers
            .iter()
            .enumerate()
            .fold(x, |x, (l, layer)| activate(if l == last { self.last } else { self.activation }, layer.forward(x)))
    }

    /// The same at every step: (T, B, inputs) to (T, B, outputs).
    pub fn forward_steps(&self, x: Tensor<3>) -> Tensor<3> {
        by_rows(x, |rows| self.forward(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::{Golden, gradient_check, numbers, tensor};

    #[test]
    fn it_is_its_equation() {
        let device = Device::flex();
        for (name, function) in [
            ("tanh", f64::tanh as fn(f64) -> f64),
            ("sigmoid", |a| 1.0 / (1.0 + (-a).exp())),
            ("relu", |a| a.max(0.0)),
            ("identity", |a| a),
            ("softplus", |a| (1.0 + a.exp()).ln()),
            ("elu", |a| if a > 0.0 { a } else { a.exp() - 1.0 }),
            ("hard-sigmoid", |a| (a / 6.0 + 0.5).clamp(0.0, 1.0)),
            ("softsign", |a| a / (1.0 + a.abs())),
            ("sin", f64::sin),
        ] {
            let activation = crate::network::activation_named(name).unwrap();
            let config = MlpConfig { activation, ..MlpConfig::new(3, &[4], 2) };
            let mlp = crate::network::testing::doubled(config.init(2, "mlp", &device).unwrap());
            let x = tensor([5, 3], "x", &device);
            let y = numbers(mlp.forward(x.clone()));
            let affine = |layer: &Dense, x: &[f64]| -> Vec<f64> {
                let (w, b) = (numbers(layer.weight.val()), numbers(layer.bias.val()));
                let row = |(row, b): (&[f64], &f64)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b;
                w.chunks(x.len()).zip(&b).map(row).collect()
            };
            for (x, y) in numbers(x).chunks(3).zip(y.chunks(2)) {
                let h: Vec<f64> = affine(&mlp.layers[0], x).into_iter().map(function).collect();
                // f64 sums of a few terms around 1.
                assert!(affine(&mlp.layers[1], &h).iter().zip(y).all(|(a, b)| (a - b).abs() < 1e-14), "{name}");
            }
        }
    }

    #[test]
    fn the_golden_is_met() {
        let device = Device::flex().autodiff();
        let golden = Golden::read("mlp");
        let x = golden.leaf::<3>("x", &device);
        let config = MlpConfig { last: Activation::Sigmoid, ..MlpConfig::new(x.dims()[2], &[5, 3], 2) };
        let mlp = golden.fill(config.init(1, "mlp", &device).unwrap());
        let d = golden.part("y", mlp.forward_steps(x.clone())).backward();
        golden.compare_gradients(&mlp, &d);
        golden.compare_leaf("x", &x, &d);
    }

    #[test]
    fn gradients_are_those_of_central_differences() {
        let device = Device::flex().autodiff();
        let config = MlpConfig { last: Activation::Sigmoid, ..MlpConfig::new(3, &[4, 5], 2) };
        let mlp = config.init(2, "mlp", &device).unwrap();
        gradient_check(mlp, |mlp| {
            let y = mlp.forward_steps(tensor([3, 2, 3], "x", &device));
            (y.clone() * y).sum()
        });
    }

    #[test]
    fn seeds_paths_and_bounds() {
        let device = Device::flex();
        let draw = |seed, path| crate::parameters::export(&Dense::init(64, 50, seed, path, &device).unwrap());
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        for p in draw(1, "a") {
            // Uniform in ±1/√64.
            let largest = p.values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            assert!(largest <= 0.125 && largest > 0.1, "{}: {largest}", p.name);
        }
    }
}

//! The second-order recurrent network.

use super::activation::activate;
use super::rows::{divide, integers};
use crate::random::Random;
use crate::recurrent::leaf;
use burn::module::{Module, Param};
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};
use elman_core::algebra::Activation;

/// What does not fit a second-order network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecondOrderError {
    /// A size of 0.
    #[error("{what} must be at least 1")]
    ZeroSize {
        /// Which.
        what: &'static str,
    },
    /// A shape is not the network's.
    #[error("{what} has shape {found:?}, and {expected:?} is needed")]
    Shape {
        /// What.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The network's.
        expected: Vec<usize>,
    },
    /// The ids do not fill rows of the batch.
    #[error("{ids} token ids are no whole steps of {batch} rows")]
    Ragged {
        /// Number of ids.
        ids: usize,
        /// B.
        batch: usize,
    },
    /// A token is not below I.
    #[error("the token of row {row} at step {step} is {id}; the network knows {inputs}, 0 to {}", .inputs - 1)]
    Token {
        /// From 0.
        step: usize,
        /// From 0.
        row: usize,
        /// The token.
        id: u32,
        /// I.
        inputs: usize,
    },
    /// A length for each row is needed, none beyond T.
    #[error("row {row} is said to have {length} steps of {steps}")]
    Length {
        /// From 0.
        row: usize,
        /// Its length.
        length: usize,
        /// T.
        steps: usize,
    },
    /// The number of lengths is not the number of rows.
    #[error("there are {found} lengths and {batch} rows")]
    Lengths {
        /// Number of lengths.
        found: usize,
        /// B.
        batch: usize,
    },
}

/// The input of a sequence.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one of it is made a pass")]
pub enum SecondOrderInput<'a> {
    /// (T, B, I).
    Dense(Tensor<3>),
    /// Token ids (T, B), each below I: one-hot vectors that are never made.
    Tokens {
        /// T·B, time-major.
        ids: &'a [u32],
        /// B.
        batch: usize,
    },
}

/// How a [`SecondOrder`] is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SecondOrderConfig {
    /// I, or the number of tokens.
    pub input: usize,
    /// H.
    pub hidden: usize,
    /// a, the logistic function in the paper.
    pub activation: Activation,
    /// Every parameter is drawn uniform in ± this; 1 in the paper.
    pub bound: f32,
}

impl SecondOrderConfig {
    /// As in the paper.
    pub fn new(input: usize, hidden: usize) -> Self {
        SecondOrderConfig { input, hidden, activation: Activation::Sigmoid, bound: 1.0 }
    }

    /// Makes the module; parameters are drawn from the streams of `seed` named by their paths.
    ///
    /// # Errors
    /// If a width is 0.
    pub fn init(&self, seed: u64, device: &Device) -> Result<SecondOrder, SecondOrderError> {
        let SecondOrderConfig { input, hidden, bound, .. } = *self;
        for (what, size) in [("the input's width", input), ("the hidden width", hidden)] {
            if size == 0 {
                return Err(SecondOrderError::ZeroSize { what });
            }
        }
        let draw = |name: &str, len: usize| -> Vec<f32> {
            let mut random = Random::new(seed, &format!("init/{name}"));
            (0..len).map(|_| random.symmetric(bound)).collect()
        };
        let weight = TensorData::new(draw("weight", hidden * hidden * input), [hidden, hidden, input]);
        let bias = TensorData::new(draw("bias", hidden), [hidden]);
        Ok(SecondOrder {
            weight: leaf(Tensor::from_data(weight, device)),
            bias: leaf(Tensor::from_data(bias, device)),
            config: *self,
        })
    }
}

/// A second-order recurrent network: bilinear in state and input.
///
/// ```text
/// h_i ← a(Σ_j Σ_k W_ijk h_j x_k + b_i)
/// ```
///
/// With one-hot inputs each symbol has a matrix of its own, the transitions of an automaton over states that are coded by h; that is
/// why these networks learn regular languages well. The initial state is e_0: the first unit 1, the others 0.
///
/// It is made of tensor operations with Burn's automatic differentiation, step by step. Dense inputs: the outer products of state and input, (B,
/// H·I), times W as (H·I, H). Tokens: each row's matrix is taken from W, at H² operations a row instead of H² I.
///
/// Parameters: `weight` W (H, H, I), indices i, j, k; `bias` b (H): `H (H I + 1)` numbers. In the paper there is no bias.
///
/// Source: C. L. Giles, C. B. Miller, D. Chen, H. H. Chen, G. Z. Sun & Y. C. Lee, "Learning and extracting finite state automata with
/// second-order recurrent neural networks", 1992.
///
/// ```
/// use burn::tensor::Device;
/// use elman::network::second_order::{SecondOrderConfig, SecondOrderInput};
///
/// let network = SecondOrderConfig::new(2, 4).init(1, &Device::flex()).unwrap();
/// let ids = [0, 1, 1, 1, 0, 0]; // T = 3, B = 2: the strings 0 1 0 and 1 1
/// let input = SecondOrderInput::Tokens { ids: &ids, batch: 2 };
/// let (y, state) = network.forward(input, None, Some(&[3, 2])).unwrap();
/// assert_eq!((y.dims(), state.dims()), ([3, 2, 4], [2, 4]));
/// ```
#[derive(Module, Debug)]
pub struct SecondOrder {
    /// (H, H, I).
    pub weight: Param<Tensor<3>>,
    /// (H).
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    config: SecondOrderConfig,
}

impl SecondOrder {
    /// H.
    pub fn hidden(&self) -> usize {
        self.config.hidden
    }

    /// e_0 for each row, (B, H).
    pub fn initial_state(&self, batch: usize) -> Tensor<2> {
        let weight = self.weight.val();
        let h = self.config.hidden;
        let values: Vec<f32> = (0..batch * h).map(|i| f32::from(u8::from(i % h == 0))).collect();
        Tensor::from_data(TensorData::new(values, [batch, h]), (&weight.device(), weight.dtype()))
    }

    /// The states at every step, (T, B, H), zero beyond a row's length, and the state after each row's last valid step, (B, H). `state`
    /// is (B, H), e_0 if none. `lengths` are the valid steps of each row, in any order, 0 allowed; what stands beyond them plays no part.
    ///
    /// # Errors
    /// If a shape, a token or a length does not fit, or there are no steps or rows.
    pub fn forward(
        &self,
        input: SecondOrderInput,
        state: Option<Tensor<2>>,
        lengths: Option<&[usize]>,
    ) -> Result<(Tensor<3>, Tensor<2>), SecondOrderError> {
        let SecondOrderConfig { input: inputs, hidden, activation, .. } = self.config;
        let [steps, batch] = self.sizes(&input)?;
        if let Some(lengths) = lengths {
            check_lengths(lengths, steps, batch)?;
        }
        let mut state = match state {
            None => self.initial_state(batch),
            Some(state) if state.dims() == [batch, hidden] => state,
            Some(state) => {
                let (found, expected) = (state.dims().to_vec(), vec![batch, hidden]);
                return Err(SecondOrderError::Shape { what: "the state", found, expected });
            }
        };
        let device = self.weight.val().device();
        let valid = |t: usize, row: usize| lengths.is_none_or(|lengths| t < lengths[row]);
        let source = match input {
            SecondOrderInput::Dense(x) => {
                let x = x.reshape([steps * batch, inputs]);
                let x = match lengths {
                    None => x,
                    Some(_) => {
                        // Not a product with 0: what stands there may not be a number.
                        let beyond: Vec<bool> = (0..steps * batch).map(|i| !valid(i / batch, i % batch)).collect();
                        let beyond = Tensor::<2, Bool>::from_data(TensorData::new(beyond, [steps * batch, 1]), &device);
                        x.mask_fill(beyond.expand([steps * batch, inputs]), 0.0)
                    }
                };
                // (H, H·I) transposed: rows j·I + k.
                let weight = self.weight.val().reshape([hidden, hidden * inputs]).transpose();
                Source::Dense { x: divide(x, &vec![batch; steps]).into_iter().flatten().collect(), weight }
            }
            SecondOrderInput::Tokens { ids, .. } => {
                for (i, &id) in ids.iter().enumerate() {
                    let (step, row) = (i / batch, i % batch);
                    if valid(step, row) && id as usize >= inputs {
                        return Err(SecondOrderError::Token { step, row, id, inputs });
                    }
                }
                let ids =
                    ids.iter().enumerate().map(|(i, &id)| if valid(i / batch, i % batch) { id as i32 } else { 0 });
                // (I, H·H): for each token its matrix, rows j, columns i.
                let matrices = self.weight.val().permute([2, 1, 0]).reshape([inputs, hidden * hidden]);
                Source::Tokens { ids: ids.collect(), matrices }
            }
        };
        let bias = self.bias.val().reshape([1, hidden]);
        let mut y = Vec::with_capacity(steps);
        for t in 0..steps {
            let sums = match &source {
                Source::Dense { x, weight } => {
                    let products = state.clone().reshape([batch, hidden, 1]) * x[t].clone().reshape([batch, 1, inputs]);
                    products.reshape([batch, hidden * inputs]).matmul(weight.clone())
                }
                Source::Tokens { ids, matrices } => {
                    let of_rows = matrices.clone().select(0, integers(&ids[t * batch..][..batch], &device));
                    let products =
                        state.clone().reshape([batch, 1, hidden]).matmul(of_rows.reshape([batch, hidden, hidden]));
                    products.reshape([batch, hidden])
                }
            };
            let new = activate(activation, sums + bias.clone());
            if (0..batch).all(|row| valid(t, row)) {
                state = new.clone();
                y.push(new);
            } else {
                let mask = column((0..batch).map(|row| valid(t, row)), &device, new.dtype());
                state = state.clone() + (new.clone() - state) * mask.clone();
                y.push(new * mask);
            }
        }
        Ok((Tensor::stack(y, 0), state))
    }

    /// T and B of an input that fits.
    fn sizes(&self, input: &SecondOrderInput) -> Result<[usize; 2], SecondOrderError> {
        let inputs = self.config.input;
        let (steps, batch) = match *input {
            SecondOrderInput::Dense(ref x) => {
                let [steps, batch, width] = x.dims();
                if width != inputs {
                    let (found, expected) = (x.dims().to_vec(), vec![steps, batch, inputs]);
                    return Err(SecondOrderError::Shape { what: "the input", found, expected });
                }
                (steps, batch)
            }
            SecondOrderInput::Tokens { ids, batch } => {
                if batch > 0 && ids.len() % batch != 0 {
                    return Err(SecondOrderError::Ragged { ids: ids.len(), batch });
                }
                (ids.len() / batch.max(1), batch)
            }
        };
        for (what, size) in [("the number of rows", batch), ("the number of steps", steps)] {
            if size == 0 {
                return Err(SecondOrderError::ZeroSize { what });
            }
        }
        Ok([steps, batch])
    }
}

/// What enters at each step.
enum Source {
    Dense { x: Vec<Tensor<2>>, weight: Tensor<2> },
    Tokens { ids: Vec<i32>, matrices: Tensor<2> },
}

fn check_lengths(lengths: &[usize], steps: usize, batch: usize) -> Result<(), SecondOrderError> {
    if lengths.len() != batch {
        return Err(SecondOrderError::Lengths { found: lengths.len(), batch });
    }
    match lengths.iter().position(|&length| length > steps) {
        Some(row) => Err(SecondOrderError::Length { row, length: lengths[row], steps }),
        None => Ok(()),
    }
}

/// (B, 1) of 1 and 0.
fn column(values: impl ExactSizeIterator<Item = bool>, device: &Device, dtype: DType) -> Tensor<2> {
    let rows = values.len();
    let values: Vec<f32> = values.map(|v| f32::from(u8::from(v))).collect();
    Tensor::from_data(TensorData::new(values, [rows, 1]), (device, dtype))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::{Golden, Numbers, from_values, gradient_check_with, numbers, tensor, with};

    const T: usize = 4;
    const B: usize = 3;
    const I: usize = 2;
    const H: usize = 3;

    fn network(activation: Activation, device: &Device) -> SecondOrder {
        let config = SecondOrderConfig { activation, ..SecondOrderConfig::new(I, H) };
        with(config.init(1, device).unwrap(), &Numbers::new())
    }

    #[test]
    fn gradients_are_exact_with_every_option() {
        let device = Device::flex().autodiff();
        let (x, state) = (tensor([T * B, I], "x", &device), tensor([B, H], "state", &device));
        let ids: Vec<u32> = (0..T * B).map(|i| (i * i % 5 % I) as u32).collect();
        for activation in [Activation::Sigmoid, Activation::Tanh, Activation::Relu] {
            for lengths in [None, Some(&[2, 4, 0][..])] {
                for tokens in [false, true] {
                    let module = network(activation, &device);
                    let what = format!("{activation:?} {lengths:?} {tokens}");
                    gradient_check_with(&what, &module, &[state.clone(), x.clone()], |module, inputs| {
                        let x = inputs[1].clone();
                        let input = match tokens {
                            false => SecondOrderInput::Dense(x.clone().reshape([T, B, I])),
                            true => SecondOrderInput::Tokens { ids: &ids, batch: B },
                        };
                        let (y, last) = module.forward(input, Some(inputs[0].clone()), lengths).unwrap();
                        let (d_y, d_last) = (tensor(y.dims(), "d y", &device), tensor(last.dims(), "d last", &device));
                        // Tokens do not read x; it stays in the loss, where its gradient is known.
                        (y * d_y).sum() + (last * d_last).sum() + x.sum()
                    });
                }
            }
        }
    }

    #[test]
    fn the_goldens_are_met() {
        let device = Device::flex().autodiff();
        for name in ["second-order", "second-order-tokens"] {
            let golden = Golden::read(name);
            let &[hidden, _, inputs] = golden.shape("weight") else { panic!("three indices") };
            let network = golden.fill(SecondOrderConfig::new(inputs, hidden).init(1, &device).unwrap());
            let lengths: Vec<usize> = golden.integers("lengths").iter().map(|&l| l as usize).collect();
            let h0 = golden.tensor::<2>("h0", &device).require_grad();
            let tokens = name.ends_with("tokens");
            let x = (!tokens).then(|| golden.tensor::<3>("x", &device).require_grad());
            let ids: Vec<u32> =
                if tokens { golden.integers("ids").iter().map(|&i| i as u32).collect() } else { vec![] };
            let input = match &x {
                Some(x) => SecondOrderInput::Dense(x.clone()),
                None => SecondOrderInput::Tokens { ids: &ids, batch: lengths.len() },
            };
            let (y, last) = network.forward(input, Some(h0.clone()), Some(&lengths)).unwrap();
            golden.compare("y", &numbers(y.clone()));
            golden.compare("h_n", &numbers(last.clone()));
            let loss = (y * golden.tensor("d_y", &device)).sum() + (last * golden.tensor("d_h_n", &device)).sum();
            let d = loss.backward();
            golden.compare_gradients(&network, &d);
            golden.compare("d_h0", &numbers(h0.grad(&d).unwrap()));
            if let Some(x) = x {
                golden.compare("d_x", &numbers(x.grad(&d).unwrap()));
            }
        }
    }

    #[test]
    fn tokens_are_one_hot_inputs_and_a_row_is_the_same_alone() {
        let device = Device::flex();
        let module = network(Activation::Sigmoid, &device);
        let ids: Vec<u32> = (0..T * B).map(|i| (i * 7 % 3 % I) as u32).collect();
        let one_hot: Vec<f64> =
            ids.iter().flat_map(|&id| (0..I).map(move |k| f64::from(u8::from(k == id as usize)))).collect();
        let lengths = [4, 1, 3];
        let near = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-14);
        let run = |input| module.forward(input, None, Some(&lengths)).unwrap();
        let (y, last) = run(SecondOrderInput::Tokens { ids: &ids, batch: B });
        let (dense, dense_last) = run(SecondOrderInput::Dense(from_values(&one_hot, [T, B, I], &device)));
        // Sums of a handful of numbers below 1 in another order.
        assert!(near(&numbers(y), &numbers(dense)) && near(&numbers(last.clone()), &numbers(dense_last)));
        for (row, &length) in lengths.iter().enumerate() {
            let alone: Vec<u32> = (0..length).map(|t| ids[t * B + row]).collect();
            let (y, _) = module.forward(SecondOrderInput::Tokens { ids: &alone, batch: 1 }, None, None).unwrap();
            assert!(near(&numbers(y)[(length - 1) * H..], &numbers(last.clone())[row * H..][..H]));
        }
        // The definition, for the first step from e_0: h_i = σ(W_i0k + b_i).
        let (w, b) = (numbers(module.weight.val()), numbers(module.bias.val()));
        let (y, _) = module.forward(SecondOrderInput::Tokens { ids: &[1], batch: 1 }, None, None).unwrap();
        let want: Vec<f64> = (0..H).map(|i| 1.0 / (1.0 + (-(w[i * H * I + 1] + b[i])).exp())).collect();
        assert!(near(&numbers(y), &want));
    }

    #[test]
    fn padding_does_not_leak() {
        let device = Device::flex().autodiff();
        let module = network(Activation::Sigmoid, &device);
        let lengths = [2, 4, 0];
        let everything = |x: &[f64]| {
            let x = from_values(x, [T, B, I], &device).require_grad();
            let (y, last) = module.forward(SecondOrderInput::Dense(x.clone()), None, Some(&lengths)).unwrap();
            let d = (y.clone().sum() + last.clone().sum()).backward();
            let gradients = crate::network::testing::gradients(&module, &d);
            (numbers(y), numbers(last), gradients, numbers(x.grad(&d).unwrap()))
        };
        let clean = numbers(tensor([T, B, I], "x", &device));
        let mut dirty = clean.clone();
        for i in (0..T * B).filter(|i| i / B >= lengths[i % B]) {
            dirty[i * I] = f64::NAN;
        }
        let (a, b) = (everything(&clean), everything(&dirty));
        assert_eq!(a, b);
        assert!(a.0.iter().enumerate().all(|(i, &v)| (v == 0.0) == (i / H / B >= lengths[i / H % B])));
        assert_eq!(a.1[2 * H..], [1.0, 0.0, 0.0]);
        let ids = [0, 1, 9, 1, 0, 9, 9, 1, 9, 9, 1, 9];
        module.forward(SecondOrderInput::Tokens { ids: &ids, batch: B }, None, Some(&lengths)).unwrap();
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let device = Device::flex();
        let zero = |i, h| SecondOrderConfig::new(i, h).init(1, &device).unwrap_err().to_string();
        assert_eq!(zero(0, 1), "the input's width must be at least 1");
        assert_eq!(zero(1, 0), "the hidden width must be at least 1");
        let module = network(Activation::Sigmoid, &device);
        let run = |ids: &[u32], batch, lengths: Option<&[usize]>| {
            module.forward(SecondOrderInput::Tokens { ids, batch }, None, lengths).unwrap_err().to_string()
        };
        assert_eq!(run(&[0, 1, 2, 0], 2, None), "the token of row 0 at step 1 is 2; the network knows 2, 0 to 1");
        assert_eq!(run(&[0, 1, 0], 2, None), "3 token ids are no whole steps of 2 rows");
        assert_eq!(run(&[], 2, None), "the number of steps must be at least 1");
        assert_eq!(run(&[], 0, None), "the number of rows must be at least 1");
        assert_eq!(run(&[0, 1], 2, Some(&[1])), "there are 1 lengths and 2 rows");
        assert_eq!(run(&[0, 1], 2, Some(&[1, 2])), "row 1 is said to have 2 steps of 1");
        let x = Tensor::zeros([T, B, I + 1], (&device, DType::F64));
        let error = module.forward(SecondOrderInput::Dense(x), None, None).unwrap_err();
        assert_eq!(error.to_string(), "the input has shape [4, 3, 3], and [4, 3, 2] is needed");
        let (x, state) = (tensor([T, B, I], "x", &device), tensor([B, H + 1], "state", &device));
        let error = module.forward(SecondOrderInput::Dense(x), Some(state), None).unwrap_err();
        assert_eq!(error.to_string(), "the state has shape [3, 4], and [3, 3] is needed");
    }
}

//! The recurrent module: one cell, one layer or a stack of them, as a Burn [`Module`](burn::module::Module).
//!
//! T time, B batch, I input width, H hidden width. Sequences are (T, B, width).

use crate::flex::{Operand, is_flex};
use crate::init::{Init, InitError};
use crate::random::Random;
use crate::runtime::Runtime;
use burn::module::{Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};
use elman_core::engine::{Bf16Kernel, BudgetError, Extent, NotLinear, Recompute, Scan};
use elman_core::layer::{Place, Role};
use elman_core::{Cell, Layer, LayerError, Sizes};
use std::sync::Arc;

mod feeds;
mod fused;
mod initial_state;
#[macro_use]
mod module;
mod portable;

pub use initial_state::InitialState;
pub(crate) use portable::evaluate;

/// Which implementation runs a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// The engine where the tensors are on Flex, Burn's processor backend; tensor operations on any other device.
    #[default]
    Auto,
    /// The engine: one operation with its own backward. Flex only.
    Fused,
    /// The cell's recorded equations as tensor operations, step by step.
    Portable,
    /// The engine's parallel scan over time, forward and backward: log2 T levels in place of T steps, for cells whose step is linear in what it
    /// carries (`min-gru`, `min-lstm`, `lru`, `unit-feedback`). Flex only; see [`Recurrent::with_scan`].
    Scan,
}

/// The input of a sequence.
#[derive(Clone, Debug)]
pub enum Input {
    /// (T, B, I).
    Dense(Tensor<3>),
    /// Token ids and the embedding table that they index. The engine folds the table into the input product; its gradient
    /// is scattered back.
    Tokens {
        /// (T, B), each below V.
        ids: Arc<[u32]>,
        /// B.
        batch: usize,
        /// (V, I).
        table: Tensor<2>,
    },
}

/// The values carried between steps: for each layer, one (B, width) for each value that its cell carries.
#[derive(Clone, Debug)]
pub struct State {
    /// In the order of [`elman_core::CellSpec::carry`].
    pub layers: Vec<Vec<Tensor<2>>>,
}

impl State {
    /// The same values without their history: what truncated backpropagation carries over.
    pub fn detach(self) -> State {
        State { layers: self.layers.into_iter().map(|l| l.into_iter().map(Tensor::detach).collect()).collect() }
    }
}

/// A mask on a source of a layer's matrices, the same at every step (variational dropout).
#[derive(Clone, Debug)]
pub struct SourceMask {
    /// The layer.
    pub layer: usize,
    /// The stage of its cell.
    pub stage: usize,
    /// The source, as in [`elman_core::layer::ResolvedStage::sources`].
    pub source: Place,
    /// (B, width of the source).
    pub values: Tensor<2>,
}

/// A mask on a matrix of a layer (DropConnect): its elements are multiplied by it before the pass.
#[derive(Clone, Debug)]
pub struct WeightMask {
    /// The layer.
    pub layer: usize,
    /// Index into [`Layer::parameters`]; a matrix.
    pub parameter: usize,
    /// Of the matrix's shape.
    pub values: Tensor<2>,
}

/// What may be said about a pass besides its input and state.
#[derive(Debug, Default)]
pub struct Options<'a> {
    /// The number of valid steps of each row, in any order; beyond it the output is zero and the state stays.
    pub lengths: Option<Arc<[usize]>>,
    /// Run each row from its last valid step to its first.
    pub reverse: bool,
    /// Masks on sources.
    pub masks: Vec<SourceMask>,
    /// Masks on matrices.
    pub weights: Vec<WeightMask>,
    /// For each layer, stage and feed in order: (T, B, width of the stage). Those with a probability
    /// ([`elman_core::cell::StageSpec::feed_probabilities`]) may be left out, all of them: they are then drawn from `dropout`, or at
    /// their means without it.
    pub feeds: Vec<Tensor<3>>,
    /// After how many steps, from 1 to below T, the state is to be given; none: after the last. Not with `lengths` or `reverse`.
    pub carry: Option<usize>,
    /// The random numbers of dropout between layers and of feeds; none: no dropout (evaluation).
    pub dropout: Option<&'a mut Random>,
}

/// The part of the options that is the same for every layer and goes on the tape.
#[derive(Clone, Debug)]
struct Call {
    lengths: Option<Arc<[usize]>>,
    reverse: bool,
    recompute: Recompute,
    scan: bool,
}

/// Everything that one layer's pass needs.
struct LayerCall {
    input: Input,
    params: Vec<ParamTensor>,
    state: Option<Vec<Tensor<2>>>,
    masks: Vec<SourceMask>,
    feeds: Vec<Tensor<3>>,
    call: Call,
}

impl LayerCall {
    /// The steps before `at` and those from there on, whose state is yet to be filled in.
    fn split(self, at: usize) -> (LayerCall, LayerCall) {
        let halves = |x: Tensor<3>| {
            let steps = x.dims()[0];
            (x.clone().slice_dim(0, 0..at), x.slice_dim(0, at..steps))
        };
        let (first, rest) = match self.input {
            Input::Dense(x) => {
                let (first, rest) = halves(x);
                (Input::Dense(first), Input::Dense(rest))
            }
            Input::Tokens { ids, batch, table } => {
                let (first, rest) = ids.split_at(at * batch);
                let tokens = |ids: &[u32]| Input::Tokens { ids: ids.into(), batch, table: table.clone() };
                (tokens(first), tokens(rest))
            }
        };
        let (before, after) = self.feeds.into_iter().map(halves).unzip();
        let call = |input, state, feeds| LayerCall {
            input,
            params: self.params.clone(),
            state,
            masks: self.masks.clone(),
            feeds,
            call: self.call.clone(),
        };
        (call(first, self.state, before), call(rest, None, after))
    }
}

/// A parameter's tensor: matrices have two dimensions, biases and per-unit parameters one.
#[derive(Clone, Debug)]
enum ParamTensor {
    Matrix(Tensor<2>),
    Vector(Tensor<1>),
}

impl ParamTensor {
    fn operand(self) -> Operand {
        match self {
            ParamTensor::Matrix(t) => Operand::new(t),
            ParamTensor::Vector(t) => Operand::new(t),
        }
    }

    fn dtype(&self) -> DType {
        match self {
            ParamTensor::Matrix(t) => t.dtype(),
            ParamTensor::Vector(t) => t.dtype(),
        }
    }

    fn matrix(self) -> Tensor<2> {
        match self {
            ParamTensor::Matrix(t) => t,
            ParamTensor::Vector(_) => unreachable!("weights are matrices"),
        }
    }

    fn vector(self) -> Tensor<1> {
        match self {
            ParamTensor::Vector(t) => t,
            ParamTensor::Matrix(_) => unreachable!("biases and per-unit parameters are vectors"),
        }
    }
}

/// How a [`Recurrent`] is made.
#[derive(Clone, Debug)]
pub struct RecurrentConfig {
    /// The cell.
    pub cell: Arc<dyn Cell>,
    /// I, H and P of the first layer; the others have the output's width as their input.
    pub sizes: Sizes,
    /// Number of layers.
    pub layers: usize,
    /// Probability with which an element of a layer's output is dropped before the next layer, in [0, 1).
    pub dropout: f64,
}

impl RecurrentConfig {
    /// One layer without dropout.
    pub fn new(cell: Arc<dyn Cell>, sizes: Sizes) -> Self {
        RecurrentConfig { cell, sizes, layers: 1, dropout: 0.0 }
    }

    /// Makes the module on a device; parameters are drawn from the streams of `seed` named by their paths.
    ///
    /// As in PyTorch, every parameter is uniform in ±1/√H. PyTorch has two biases a gate of which only the sum matters; where
    /// a cell has one, it is drawn as the sum of two such numbers. A per-unit parameter for which the cell names a range is uniform in it.
    /// A normaliser starts with gain 1; that of a value has bias 0. [`init_with`](RecurrentConfig::init_with) takes another choice.
    ///
    /// # Errors
    /// A size is zero, or the dropout is no probability below 1.
    pub fn init(&self, seed: u64, device: &Device) -> Result<Recurrent, LayerError> {
        self.init_with(&Init::default(), seed, device).map_err(|error| match error {
            InitError::Layer(error) => error,
            other => unreachable!("the default fits every cell: {other}"),
        })
    }

    /// The same with a choice of initial parameters.
    ///
    /// # Errors
    /// A size is zero, the dropout is no probability below 1, or the choice does not fit the cell or its sizes.
    pub fn init_with(&self, init: &Init, seed: u64, device: &Device) -> Result<Recurrent, InitError> {
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(LayerError::Dropout { value: self.dropout.to_string() }.into());
        }
        if self.layers == 0 {
            return Err(LayerError::ZeroSize { what: "number of layers" }.into());
        }
        let mut layers: Vec<Arc<Layer>> = Vec::new();
        let mut params = Vec::new();
        for l in 0..self.layers {
            let sizes = match layers.last() {
                None => self.sizes,
                Some(below) => Sizes { input: below.output_width(), ..self.sizes },
            };
            let layer = Arc::new(Layer::new(self.cell.clone(), sizes)?);
            let drawn = init.draw(&layer, l, seed)?;
            let param = |(p, values): (&elman_core::layer::Parameter, Vec<f32>)| {
                let data = TensorData::new(values, p.shape());
                match p.role {
                    Role::Weight => LayerParam::Matrix(leaf(Tensor::from_data(data, device))),
                    Role::Bias | Role::Gain | Role::Unit => LayerParam::Vector(leaf(Tensor::from_data(data, device))),
                }
            };
            params.push(layer.parameters().iter().zip(drawn).map(param).collect());
            layers.push(layer);
        }
        let recompute = Recompute::Never;
        Ok(Recurrent { layers, params, dropout: self.dropout, path: Path::Auto, runtime: None, recompute })
    }
}

/// A trained parameter. Off an autodiff device the wish for a gradient is remembered for [`Module::train`](burn::module::Module::train).
pub(crate) fn leaf<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    let tensor = if tensor.is_autodiff() { tensor.require_grad() } else { tensor };
    Param::initialized(ParamId::new(), tensor).set_require_grad(true)
}

#[derive(Clone, Debug)]
enum LayerParam {
    Matrix(Param<Tensor<2>>),
    Vector(Param<Tensor<1>>),
}

/// A recurrent network of one or more layers of one cell: `(y, state) = layer.forward(x, state)`.
///
/// Parameters have PyTorch's names and layouts: `weight_ih_l0` (G·H, I), `weight_hh_l0` (G·H, H), `bias_ih_l0`, ...; a cell's
/// per-unit parameters are `weight_<name>_l0` (H). On Flex in `f32` or `f64` the engine runs it; see [`Path`].
#[derive(Clone, Debug)]
pub struct Recurrent {
    layers: Vec<Arc<Layer>>,
    params: Vec<Vec<LayerParam>>,
    dropout: f64,
    path: Path,
    runtime: Option<Arc<Runtime>>,
    recompute: Recompute,
}

impl Recurrent {
    /// The layers' definitions.
    pub fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// Width of the output.
    pub fn output_width(&self) -> usize {
        self.layers.last().map_or(0, |l| l.output_width())
    }

    /// Chooses the implementation.
    pub fn with_path(mut self, path: Path) -> Self {
        self.path = path;
        self
    }

    /// Runs by a parallel scan over time ([`Path::Scan`]), in training too: the same numbers and gradients within rounding, sums being taken in
    /// another order. It keeps nothing for the backward pass, which makes the states again, and has no masks on sources; on several threads it is
    /// for long sequences of few rows, where steps leave threads idle. Products are in the tensors' own precision.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use elman::{RecurrentConfig, Sizes, cells};
    ///
    /// let device = Device::flex().autodiff();
    /// let layer = |cell| RecurrentConfig::new((cells::find(cell).unwrap().make)(), Sizes::new(3, 5)).init(1, &device).unwrap();
    /// let x = Tensor::<3>::ones([1000, 1, 3], &device); // T = 1000: 9 levels
    /// let (y, _) = layer("min-gru").with_scan().unwrap().forward(x.clone(), None);
    /// y.clone().sum().backward();
    /// let steps = layer("min-gru").forward(x, None).0;
    /// assert!((y - steps).abs().max().into_scalar::<f32>() < 1e-5);
    /// assert!(layer("gru").with_scan().unwrap_err().to_string().starts_with("cell `gru` cannot be scanned"));
    /// ```
    ///
    /// # Errors
    /// The cell's step is not linear in what it carries.
    pub fn with_scan(self) -> Result<Self, NotLinear> {
        self.layers.iter().try_for_each(|layer| Scan::new(layer).map(|_| ()))?;
        Ok(self.with_path(Path::Scan))
    }

    /// Uses this runtime instead of the process's.
    pub fn with_runtime(mut self, runtime: Arc<Runtime>) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// The kernel of its runtime's products in mixed precision; none: they are in f32.
    pub fn bf16(&self) -> Option<Bf16Kernel> {
        self.runtime.as_ref().and_then(|runtime| runtime.engine().bf16())
    }

    /// For long sequences: keeps for the backward pass only some of the states and computes the rest again, so that memory
    /// grows with the square root of T instead of T, for the time of one more forward pass. A [`Recompute::Budget`] is for all
    /// layers together and is divided equally among them.
    ///
    /// Outputs, states and the gradients of dense inputs and states are the same bits with any choice; gradients of
    /// parameters are sums over the steps in another order, hence the same within rounding. It is the engine's: on the
    /// portable path it changes nothing.
    ///
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use elman::{Recompute, RecurrentConfig, Sizes, cells};
    ///
    /// let device = Device::flex().autodiff();
    /// let lstm = RecurrentConfig::new((cells::find("lstm").unwrap().make)(), Sizes::new(3, 5)).init(1, &device).unwrap();
    /// let x = Tensor::<3>::ones([1000, 2, 3], &device); // T = 1000
    /// let (y, _) = lstm.clone().with_recompute(Recompute::Every(32)).forward(x.clone(), None);
    /// y.clone().sum().backward();
    /// assert_eq!(y.into_data(), lstm.forward(x, None).0.into_data());
    /// ```
    pub fn with_recompute(mut self, recompute: Recompute) -> Self {
        self.recompute = recompute;
        self
    }

    /// What is recomputed.
    pub(crate) fn recompute(&self) -> Recompute {
        self.recompute
    }

    /// Whether a [`Recompute::Budget`] suffices for T steps of B rows (of tokens below `vocabulary`, or of dense input),
    /// forward in time, without lengths and masks; those take some more. `forward` and `run` panic where it does not.
    ///
    /// # Errors
    /// With the least budget that does, for all layers together.
    pub fn check_budget(&self, steps: usize, batch: usize, vocabulary: Option<usize>) -> Result<(), BudgetError> {
        let Recompute::Budget(budget) = self.recompute else { return Ok(()) };
        let runtime = self.runtime.clone().unwrap_or_else(Runtime::global);
        let isa = runtime.engine().isa();
        let failures = self.layers.iter().enumerate().filter_map(|(l, layer)| {
            let vocabulary = vocabulary.filter(|_| l == 0);
            let extent = Extent { steps, batch, vocabulary, ragged: false, masks: Vec::new() };
            let double = self.params[l].first().is_some_and(|p| p.tensor().dtype() == DType::F64);
            let segment = if double { Recompute::segment::<f64> } else { Recompute::segment::<f32> };
            segment(self.layer_recompute(), isa, layer, &extent).err()
        });
        match failures.max_by_key(|error| error.least) {
            None => Ok(()),
            Some(error) => Err(BudgetError { budget, least: error.least * self.layers.len(), ..error }),
        }
    }

    /// What one of the layers may keep.
    fn layer_recompute(&self) -> Recompute {
        match self.recompute {
            Recompute::Budget(bytes) => Recompute::Budget(bytes / self.layers.len()),
            other => other,
        }
    }

    /// Runs `x` (T, B, I) from `state`, or from zeros; returns the last layer's output at every step and the final state.
    ///
    /// # Panics
    /// If a tensor's shape is not the layer's.
    pub fn forward(&self, x: Tensor<3>, state: Option<State>) -> (Tensor<3>, State) {
        self.run(Input::Dense(x), state, Options::default())
    }

    /// Runs any input with options.
    ///
    /// # Panics
    /// If a shape is not the layer's, a token is not below the table's rows, the path is [`Path::Fused`] or [`Path::Scan`] off Flex, a scan is
    /// asked for a cell that has none or gets masks on sources, or a [`Recompute::Budget`] is too small for the sequence ([`check_budget`](Recurrent::check_budget)), or a state is to be carried from
    /// the middle of sequences that have lengths or are read backwards.
    pub fn run(&self, input: Input, state: Option<State>, mut options: Options) -> (Tensor<3>, State) {
        let device = match &input {
            Input::Dense(x) => x.device(),
            Input::Tokens { table, .. } => table.device(),
        };
        let fused = match self.path {
            Path::Auto => is_flex(&device),
            Path::Portable => false,
            Path::Fused | Path::Scan => {
                assert!(is_flex(&device), "the engine's paths run on Flex, and these tensors are on {device:?}");
                true
            }
        };
        let mut states: Vec<Option<Vec<Tensor<2>>>> = match state {
            None => vec![None; self.layers.len()],
            Some(state) => {
                assert_eq!(state.layers.len(), self.layers.len(), "number of layers in the state");
                state.layers.into_iter().map(Some).collect()
            }
        };
        assert!(
            options.carry.is_none() || options.lengths.is_none() && !options.reverse,
            "only the state after the last step can be carried from sequences with lengths, or read backwards"
        );
        let layers = options.masks.iter().map(|mask| mask.layer).chain(options.weights.iter().map(|mask| mask.layer));
        for layer in layers {
            assert!(
                layer < self.layers.len(),
                "a mask of layer {layer}; there are {}, counted from 0",
                self.layers.len()
            );
        }
        let runtime = self.runtime.clone().unwrap_or_else(Runtime::global);
        let mut feeds = feeds::Feeds::new(&self.layers, options.feeds);
        let mut input = input;
        let mut finals = Vec::new();
        for (l, layer) in self.layers.iter().enumerate() {
            let mut params: Vec<ParamTensor> = self.params[l].iter().map(LayerParam::tensor).collect();
            for mask in options.weights.iter().filter(|mask| mask.layer == l) {
                let matrix = params[mask.parameter].clone().matrix();
                params[mask.parameter] = ParamTensor::Matrix(matrix * mask.values.clone());
            }
            let feeds = feeds.of_layer(layer, &input, options.dropout.as_deref_mut());
            let call = LayerCall {
                input,
                params,
                state: states[l].take(),
                masks: options.masks.iter().filter(|m| m.layer == l).cloned().collect(),
                feeds,
                call: Call {
                    lengths: options.lengths.clone(),
                    reverse: options.reverse,
                    recompute: self.layer_recompute(),
                    scan: self.path == Path::Scan,
                },
            };
            let part = |call: LayerCall| match fused {
                true => fused::run(&runtime, layer, call),
                false => portable::run(layer, call),
            };
            let (mut y, state) = match options.carry {
                None => part(call),
                Some(at) => {
                    let (first, mut rest) = call.split(at);
                    let (y, carried) = part(first);
                    rest.state = Some(carried.clone());
                    (Tensor::cat(vec![y, part(rest).0], 0), carried)
                }
            };
            finals.push(state);
            if l + 1 == self.layers.len() {
                return (y, State { layers: finals });
            }
            if let (true, Some(random)) = (self.dropout > 0.0, options.dropout.as_deref_mut()) {
                y = drop_elements(y, self.dropout, random);
            }
            input = Input::Dense(y);
        }
        unreachable!("a module has at least one layer")
    }
}

/// Dropout of single elements, with the mask of `random`.
pub(crate) fn drop_elements(y: Tensor<3>, p: f64, random: &mut Random) -> Tensor<3> {
    let mut mask = vec![0.0f32; y.shape().num_elements()];
    random.dropout(p, &mut mask);
    let mask = Tensor::from_data(TensorData::new(mask, y.shape()), (&y.device(), y.dtype()));
    y * mask
}

impl LayerParam {
    fn tensor(&self) -> ParamTensor {
        match self {
            LayerParam::Matrix(p) => ParamTensor::Matrix(p.val()),
            LayerParam::Vector(p) => ParamTensor::Vector(p.val()),
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

//! Stacks of recurrent layers of any cells and widths.

use super::dense::seed_of;
use super::error::{LARGEST, NetworkError};
use super::system::SequenceMap;
use crate::random::Random;
use crate::recurrent::{Input, Options, Recurrent, RecurrentConfig, State, drop_elements};
use crate::regularisation::{Regularisation, Regularised};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use elman_core::cell::OptionError;
use elman_core::{Cell, Sizes};
use std::sync::Arc;

/// One layer of a [`StackConfig`].
#[derive(Clone, Debug)]
pub struct StackLayer {
    /// The cell.
    pub cell: Arc<dyn Cell>,
    /// H.
    pub hidden: usize,
    /// P, for cells with a projection or an output fed back.
    pub output: usize,
}

impl StackLayer {
    /// A layer with P = H.
    pub fn new(cell: Arc<dyn Cell>, hidden: usize) -> StackLayer {
        StackLayer { cell, hidden, output: hidden }
    }
}

/// What a stack gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Read {
    /// The output of the last layer.
    #[default]
    Last,
    /// The outputs of all layers side by side, the first one first.
    All,
}

/// How a [`Stack`] is made.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// Number of inputs.
    pub inputs: usize,
    /// The layers, from the input on.
    pub layers: Vec<StackLayer>,
    /// Whether every layer after the first adds its input to its output.
    pub residual: bool,
    /// What the stack gives.
    pub read: Read,
    /// Probability with which an element of a layer's output is dropped before the next layer.
    pub dropout: f64,
}

impl StackConfig {
    /// A plain stack: no residual connections, the last layer read, no dropout.
    pub fn new(inputs: usize, layers: Vec<StackLayer>) -> StackConfig {
        StackConfig { inputs, layers, residual: false, read: Read::Last, dropout: 0.0 }
    }

    /// Makes the stack; every layer has a seed of its own, taken from `seed`, and is drawn as [`RecurrentConfig::init`] says.
    ///
    /// # Errors
    /// If there is no layer, a size is 0, or as [`Stack::new`].
    pub fn init(&self, seed: u64, device: &Device) -> Result<Stack, NetworkError> {
        let mut layers: Vec<Recurrent> = Vec::new();
        for (l, StackLayer { cell, hidden, output }) in self.layers.iter().enumerate() {
            let input = layers.last().map_or(self.inputs, Recurrent::output_width);
            let sizes = Sizes { input, hidden: *hidden, output: *output };
            layers.push(RecurrentConfig::new(cell.clone(), sizes).init(seed_of(seed, &format!("layers.{l}")), device)?);
        }
        Stack::new(layers, self.residual, self.read, self.dropout)
    }
}

/// Recurrent layers one over the other, each of its own cell and width (Schmidhuber 1992, El Hihi & Bengio 1996; the second and
/// fourth decks' stacked networks).
///
/// With x¹ = x: yˡ = layerˡ(xˡ), with residual connections yˡ + xˡ for l > 1 (He et al. 2016); xˡ⁺¹ = yˡ. What is
/// read is the last yˡ, or all of them side by side ([`Read`]). Parameters: `layers.0.weight_ih_l0`, ...; the state has the layers' states in their order.
/// Where all layers are alike, [`Recurrent`] itself is a stack.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use elman::cells;
/// use elman::network::{Read, StackConfig, StackLayer};
///
/// let layer = |cell, hidden| StackLayer::new((cells::find(cell).unwrap().make)(), hidden);
/// let config = StackConfig { read: Read::All, ..StackConfig::new(3, vec![layer("gru", 4), layer("lstm", 6)]) };
/// let stack = config.init(1, &Device::flex()).unwrap();
/// let (y, state) = stack.forward(Tensor::ones([7, 2, 3], &Device::flex()), None);
/// assert_eq!(y.dims(), [7, 2, 4 + 6]);
/// assert_eq!((state.layers[0].len(), state.layers[1].len()), (1, 2)); // h; h and c
/// ```
#[derive(Module, Debug)]
pub struct Stack {
    layers: Vec<Recurrent>,
    residual: bool,
    #[module(skip)]
    read: Read,
    dropout: f64,
    #[module(skip)]
    regularisation: Regularisation,
}

impl Stack {
    /// From layers, each of which may be several of one cell.
    ///
    /// # Errors
    /// If there is no layer, a layer does not take what the one before gives, a residual connection joins different widths, a cell reads
    /// feeds that the caller gives, or the probability of dropout is not in [0, 1).
    pub fn new(layers: Vec<Recurrent>, residual: bool, read: Read, dropout: f64) -> Result<Stack, NetworkError> {
        NetworkError::check("the number of layers", layers.len(), 1, LARGEST)?;
        NetworkError::check_dropout(dropout)?;
        for (l, layer) in layers.iter().enumerate() {
            if layer.layers().iter().flat_map(|one| one.feeds()).any(|(_, p)| p.is_none()) {
                return Err(NetworkError::Feeds { cell: layer.layers()[0].cell().spec().name });
            }
            let Some(below) = l.checked_sub(1) else { continue };
            let (takes, given) = (layer.layers()[0].sizes().input, layers[below].output_width());
            if takes != given {
                return Err(NetworkError::Widths { layer: l, takes, given });
            }
            if residual && layer.output_width() != given {
                return Err(NetworkError::Residual { layer: l, input: given, output: layer.output_width() });
            }
        }
        Ok(Stack { layers, residual, read, dropout, regularisation: Regularisation::default() })
    }

    /// The layers.
    pub fn layers(&self) -> &[Recurrent] {
        &self.layers
    }

    /// Number of inputs.
    pub fn input_width(&self) -> usize {
        self.layers[0].layers()[0].sizes().input
    }

    /// Width of what is read.
    pub fn output_width(&self) -> usize {
        let mut widths = self.layers.iter().map(Recurrent::output_width);
        match self.read {
            Read::Last => widths.next_back().unwrap_or(0),
            Read::All => widths.sum(),
        }
    }

    /// Changes every layer: its path, its runtime, what it recomputes.
    pub fn map_layers(mut self, change: impl FnMut(Recurrent) -> Recurrent) -> Self {
        self.layers = self.layers.into_iter().map(change).collect();
        self
    }

    /// Regularises training from now on: dropout of the input is that of the first layer, dropout of the output that of what is read. A
    /// residual connection adds the input as it was before a mask.
    ///
    /// # Errors
    /// A number is out of its range, or no layer has what is to be dropped.
    pub fn with_regularisation(mut self, regularisation: Regularisation) -> Result<Self, OptionError> {
        regularisation.check_for_all(&self.layers.iter().collect::<Vec<_>>())?;
        self.regularisation = regularisation;
        Ok(self)
    }

    /// Runs `x` (T, B, inputs) from `state`, or from zeros, without dropout.
    ///
    /// # Panics
    /// If a shape is not the stack's.
    pub fn forward(&self, x: Tensor<3>, state: Option<State>) -> (Tensor<3>, State) {
        self.run(Input::Dense(x), state, None, None)
    }

    /// Runs any input; with `lengths`, the number of valid steps of each row, the output beyond a row's length is zero; with `dropout`, masks
    /// are drawn from it. Penalties of a regularised stack are in what [`run_regularised`](Stack::run_regularised) gives.
    ///
    /// # Panics
    /// If a shape is not the stack's.
    pub fn run(
        &self,
        input: Input,
        state: Option<State>,
        lengths: Option<Arc<[usize]>>,
        dropout: Option<&mut Random>,
    ) -> (Tensor<3>, State) {
        let Regularised { y, state, .. } = self.run_regularised(input, state, lengths, dropout);
        (y, state)
    }

    /// The same, with what [`with_regularisation`](Stack::with_regularisation) adds to a loss
    /// ([`with_penalty`](crate::regularisation::with_penalty)).
    ///
    /// # Panics
    /// If a shape is not the stack's.
    pub fn run_regularised(
        &self,
        input: Input,
        state: Option<State>,
        lengths: Option<Arc<[usize]>>,
        mut dropout: Option<&mut Random>,
    ) -> Regularised {
        let count: usize = self.layers.iter().map(|layer| layer.layers().len()).sum();
        let mut before = state.map(|state| {
            assert_eq!(state.layers.len(), count, "number of layers in the state");
            state.layers.into_iter()
        });
        let mut input = self.regularisation.drop_words(input, dropout.as_deref_mut());
        let (mut finals, mut outputs) = (Vec::new(), Vec::new());
        for (l, layer) in self.layers.iter().enumerate() {
            let initial = before.as_mut().map(|s| State { layers: s.take(layer.layers().len()).collect() });
            let options = Options { lengths: lengths.clone(), dropout: dropout.as_deref_mut(), ..Options::default() };
            let Regularised { mut y, state: after, .. } =
                self.regularisation.of_layer(l).run(layer, input.clone(), initial, options);
            finals.extend(after.layers);
            if let (true, 1.., Input::Dense(x)) = (self.residual, l, input) {
                y = y + x;
            }
            outputs.push(y.clone());
            if let (true, Some(random)) = (self.dropout > 0.0 && l + 1 < self.layers.len(), dropout.as_deref_mut()) {
                y = drop_elements(y, self.dropout, random);
            }
            input = Input::Dense(y);
        }
        let y = match self.read {
            Read::Last => outputs.pop().expect("a stack has at least one layer"),
            Read::All => Tensor::cat(outputs, 2),
        };
        self.regularisation.finish(y, State { layers: finals }, lengths.as_deref(), dropout)
    }
}

impl SequenceMap for Stack {
    fn widths(&self) -> [usize; 2] {
        [self.input_width(), self.output_width()]
    }

    fn forward(&self, x: Tensor<3>, state: Option<State>) -> (Tensor<3>, State) {
        Stack::forward(self, x, state)
    }

    fn training(&self, x: Tensor<3>, state: Option<State>, random: &mut Random) -> Regularised {
        self.run_regularised(Input::Dense(x), state, None, Some(random))
    }
}

#[cfg(test)]
#[path = "stack_test.rs"]
mod tests;

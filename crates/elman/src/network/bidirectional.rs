//! Bidirectional networks: every step sees what comes before it and what comes after it.

use super::dense::seed_of;
use super::error::{LARGEST, NetworkError};
use crate::random::Random;
use crate::recurrent::{Input, Options, Recurrent, RecurrentConfig, State, drop_elements};
use crate::regularisation::{Regularisation, Regularised};
use burn::module::{Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use elman_core::cell::OptionError;
use elman_core::{Cell, Sizes};
use std::sync::Arc;

/// How the outputs of the two directions become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// `[forward, reverse]`, of width 2H; as in PyTorch.
    #[default]
    Concat,
    /// Their sum, of width H.
    Sum,
}

/// How a [`Bidirectional`] is made.
#[derive(Clone, Debug)]
pub struct BidirectionalConfig {
    /// The cell of every layer and direction.
    pub cell: Arc<dyn Cell>,
    /// I, H and P of the first layer; the others have the merged output's width as their input.
    pub sizes: Sizes,
    /// Number of layers.
    pub layers: usize,
    /// Probability with which an element of a layer's merged output is dropped before the next layer.
    pub dropout: f64,
    /// How the directions are merged.
    pub merge: Merge,
}

impl BidirectionalConfig {
    /// One layer, concatenation, no dropout.
    pub fn new(cell: Arc<dyn Cell>, sizes: Sizes) -> Self {
        BidirectionalConfig { cell, sizes, layers: 1, dropout: 0.0, merge: Merge::Concat }
    }

    /// Makes the network; every layer and direction has a seed of its own, taken from `seed`, and is drawn as
    /// [`RecurrentConfig::init`] says.
    ///
    /// # Errors
    /// If there is no layer, a size is 0, the probability of dropout is not in [0, 1), or the cell reads feeds that the caller gives.
    pub fn init(&self, seed: u64, device: &Device) -> Result<Bidirectional, NetworkError> {
        NetworkError::check("the number of layers", self.layers, 1, LARGEST)?;
        NetworkError::check_dropout(self.dropout)?;
        let mut layers: Vec<[Recurrent; 2]> = Vec::new();
        for l in 0..self.layers {
            let input = match layers.last() {
                None => self.sizes.input,
                Some([below, _]) => merged_width(self.merge, below.output_width()),
            };
            let config = RecurrentConfig::new(self.cell.clone(), Sizes { input, ..self.sizes });
            let make = |suffix: &str| config.init(seed_of(seed, &format!("l{l}{suffix}")), device);
            let pair = [make("")?, make("_reverse")?];
            if pair[0].layers()[0].feeds().iter().any(|(_, p)| p.is_none()) {
                return Err(NetworkError::Feeds { cell: self.cell.spec().name });
            }
            layers.push(pair);
        }
        let regularisation = Regularisation::default();
        Ok(Bidirectional { layers, merge: self.merge, dropout: self.dropout, regularisation })
    }
}

fn merged_width(merge: Merge, width: usize) -> usize {
    match merge {
        Merge::Concat => 2 * width,
        Merge::Sum => width,
    }
}

/// A bidirectional recurrent network (Schuster & Paliwal 1997) of one or more layers of any cell.
///
/// At each step t of a row of length T, layer by layer,
///
/// * forward: h_t = cell(x_t, h_{t-1}), from the row's first step;
/// * reverse: g_t = cell'(x_t, g_{t+1}), from the row's last valid step, with parameters of its own;
/// * y_t = `[h_t, g_t]` or h_t + g_t ([`Merge`]), which is the next layer's x_t.
///
/// **It cannot stream**: y_1 depends on x_T, so that nothing is known before the whole sequence is. For one step at a time use
/// [`Recurrent`]. For the same reason states are not to be carried from one window of a long sequence to the next: the
/// reverse direction's initial state stands *after* the window. A [`Trainer`](crate::train::Trainer) should get only fresh batches.
///
/// Parameters have PyTorch's names and layouts: `weight_ih_l{k}`, ... of the forward direction and `weight_ih_l{k}_reverse`, ...;
/// states have PyTorch's order: entry 2k of [`State::layers`] is layer k forward (after the last valid step), entry 2k + 1
/// is layer k reverse (after the first step).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use elman::network::BidirectionalConfig;
/// use elman::{Sizes, cells};
///
/// let device = Device::flex();
/// let cell = (cells::find("lstm").unwrap().make)();
/// let network = BidirectionalConfig { layers: 2, ..BidirectionalConfig::new(cell, Sizes::new(3, 5)) };
/// let network = network.init(1, &device).unwrap();
/// // Rows of 7 and 4 steps.
/// let (y, state) = network.forward(Tensor::ones([7, 2, 3], &device), Some([7, 4].into()));
/// assert_eq!((y.dims(), state.layers.len()), ([7, 2, 10], 4));
/// ```
#[derive(Clone, Debug)]
pub struct Bidirectional {
    /// Forward and reverse of each layer.
    layers: Vec<[Recurrent; 2]>,
    merge: Merge,
    dropout: f64,
    regularisation: Regularisation,
}

impl Bidirectional {
    /// Forward and reverse of each layer.
    pub fn layers(&self) -> &[[Recurrent; 2]] {
        &self.layers
    }

    /// Width of the merged output.
    pub fn output_width(&self) -> usize {
        self.layers.last().map_or(0, |[forward, _]| merged_width(self.merge, forward.output_width()))
    }

    /// Changes every layer and direction: its path, its runtime, what it recomputes.
    pub fn map_layers(mut self, mut change: impl FnMut(Recurrent) -> Recurrent) -> Self {
        self.layers = self.layers.into_iter().map(|pair| pair.map(&mut change)).collect();
        self
    }

    /// Regularises training from now on: each direction has masks of its own, dropout of the output and penalties are of the merged
    /// output of the last layer.
    ///
    /// # Errors
    /// A number is out of its range, or the cell has nothing that is to be dropped.
    pub fn with_regularisation(mut self, regularisation: Regularisation) -> Result<Self, OptionError> {
        regularisation.check_for_all(&self.layers.iter().flatten().collect::<Vec<_>>())?;
        self.regularisation = regularisation;
        Ok(self)
    }

    /// Runs `x` (T, B, I) from zeros, without dropout: the merged output (T, B, ·) and the final states. With `lengths`, the
    /// number of valid steps of each row in any order, the output beyond a row's length is zero.
    ///
    /// # Panics
    /// If a shape is not the network's.
    pub fn forward(&self, x: Tensor<3>, lengths: Option<Arc<[usize]>>) -> (Tensor<3>, State) {
        self.run(Input::Dense(x), None, lengths, None)
    }

    /// Runs any input from any state; with `dropout`, masks are drawn from it. Penalties of a regularised network are in what
    /// [`run_regularised`](Bidirectional::run_regularised) gives.
    ///
    /// # Panics
    /// If a shape is not the network's.
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

    /// The same, with what [`with_regularisation`](Bidirectional::with_regularisation) adds to a loss
    /// ([`with_penalty`](crate::regularisation::with_penalty)).
    ///
    /// # Panics
    /// If a shape is not the network's.
    pub fn run_regularised(
        &self,
        input: Input,
        state: Option<State>,
        lengths: Option<Arc<[usize]>>,
        mut dropout: Option<&mut Random>,
    ) -> Regularised {
        let mut input = self.regularisation.drop_words(input, dropout.as_deref_mut());
        let mut initial = match state {
            None => vec![None; 2 * self.layers.len()],
            Some(state) => {
                assert_eq!(state.layers.len(), 2 * self.layers.len(), "number of layers and directions in the state");
                state.layers.into_iter().map(|layer| Some(State { layers: vec![layer] })).collect()
            }
        };
        let mut finals = Vec::new();
        for (l, [forward, reverse]) in self.layers.iter().enumerate() {
            let options = |reverse| Options { lengths: lengths.clone(), reverse, ..Options::default() };
            let own = self.regularisation.of_layer(l);
            let ahead = Options { dropout: dropout.as_deref_mut(), ..options(false) };
            let Regularised { y: h, state: ahead, .. } = own.run(forward, input.clone(), initial[2 * l].take(), ahead);
            let back = Options { dropout: dropout.as_deref_mut(), ..options(true) };
            let Regularised { y: g, state: back, .. } = own.run(reverse, input, initial[2 * l + 1].take(), back);
            finals.extend(ahead.layers.into_iter().chain(back.layers));
            let mut y = match self.merge {
                Merge::Concat => Tensor::cat(vec![h, g], 2),
                Merge::Sum => h + g,
            };
            if l + 1 == self.layers.len() {
                return self.regularisation.finish(y, State { layers: finals }, lengths.as_deref(), dropout);
            }
            if let (true, Some(random)) = (self.dropout > 0.0, dropout.as_deref_mut()) {
                y = drop_elements(y, self.dropout, random);
            }
            input = Input::Dense(y);
        }
        unreachable!("a network has at least one layer")
    }
}

/// Passes a visit or a change on, with a layer's parameters under the names that they have in the whole network.
struct Renamed<'a, V> {
    inner: &'a mut V,
    layer: usize,
    reverse: bool,
}

impl<V> Renamed<'_, V> {
    /// `weight_ih_l0` of a layer alone is `weight_ih_l{k}` or `weight_ih_l{k}_reverse`.
    fn name(&self, own: &str) -> String {
        let stem = own.strip_suffix("_l0").unwrap_or(own);
        format!("{stem}_l{}{}", self.layer, if self.reverse { "_reverse" } else { "" })
    }
}

impl<V: ModuleVisitor> ModuleVisitor for Renamed<'_, V> {
    fn enter_module(&mut self, name: &str, container: &str) {
        let name = self.name(name);
        self.inner.enter_module(&name, container);
    }
    fn exit_module(&mut self, name: &str, container: &str) {
        let name = self.name(name);
        self.inner.exit_module(&name, container);
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.inner.visit_float(param);
    }
}

impl<V: ModuleMapper> ModuleMapper for Renamed<'_, V> {
    fn enter_module(&mut self, name: &str, container: &str) {
        let name = self.name(name);
        self.inner.enter_module(&name, container);
    }
    fn exit_module(&mut self, name: &str, container: &str) {
        let name = self.name(name);
        self.inner.exit_module(&name, container);
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.inner.map_float(param)
    }
}

// Written out rather than derived, since the parameters' names are PyTorch's.
impl Module for Bidirectional {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.layers.iter().flatten().fold(devices, |devices, layer| layer.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        self.map_layers(|layer| layer.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_layers(|layer| layer.to_device(device))
    }

    fn train(self) -> Self {
        self.map_layers(Module::train)
    }

    fn valid(&self) -> Self {
        self.clone().map_layers(|layer| layer.valid())
    }

    fn materialize(self) -> Self {
        self.map_layers(Module::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (layer, pair) in self.layers.iter().enumerate() {
            for (reverse, one) in [false, true].into_iter().zip(pair) {
                one.visit(&mut Renamed { inner: visitor, layer, reverse });
            }
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let mut places = (0..self.layers.len()).flat_map(|layer| [(layer, false), (layer, true)]);
        self.map_layers(|one| {
            let (layer, reverse) = places.next().expect("one place for each layer and direction");
            Module::map(one, &mut Renamed { inner: mapper, layer, reverse })
        })
    }
}

impl ModuleDisplayDefault for Bidirectional {
    fn content(&self, content: Content) -> Option<Content> {
        let [forward, _] = self.layers.first()?;
        let layer = &forward.layers()[0];
        content
            .add_formatted(&format!(
                "cell: {}, input: {}, hidden: {}, layers: {}, merge: {:?}",
                layer.cell().spec().name,
                layer.sizes().input,
                layer.sizes().hidden,
                self.layers.len(),
                self.merge
            ))
            .optional()
    }
}
impl ModuleDisplay for Bidirectional {}

#[cfg(test)]
#[path = "bidirectional_test.rs"]
mod tests;

//! A learned initial state.

use super::{Recurrent, State, leaf};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

/// The state before the first step as parameters: one vector for each value that each layer carries, the same for every row.
///
/// It begins as zeros, what a network without it has. Its gradient is the sum over the rows of the batches that begin with it
/// (Forcada & Carrasco, "Learning the initial state of a second-order recurrent neural network during regular-language
/// inference", 1995).
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use elman::recurrent::InitialState;
/// use elman::{RecurrentConfig, Sizes, cells};
///
/// let device = Device::flex().autodiff();
/// let lstm = RecurrentConfig::new((cells::find("lstm").unwrap().make)(), Sizes::new(3, 5)).init(1, &device).unwrap();
/// let initial = InitialState::zeros(&lstm, &device);
/// let state = initial.state(2);
/// assert_eq!(state.layers[0].iter().map(|v| v.dims()).collect::<Vec<_>>(), [[2, 5], [2, 5]]); // h and c
/// let (y, _) = lstm.forward(Tensor::ones([7, 2, 3], &device), Some(state));
/// let gradients = y.sum().backward();
/// assert!(initial.layers[0][1].val().grad(&gradients).is_some());
/// ```
#[derive(Module, Debug)]
pub struct InitialState {
    /// By layer, in the order of [`elman_core::CellSpec::carry`]: (width).
    pub layers: Vec<Vec<Param<Tensor<1>>>>,
}

impl InitialState {
    /// Zeros for the layers of a network.
    pub fn zeros(network: &Recurrent, device: &Device) -> InitialState {
        let zeros = |width: usize| leaf(Tensor::zeros([width], device));
        let layers = network.layers().iter().map(|l| l.state_widths().into_iter().map(zeros).collect());
        InitialState { layers: layers.collect() }
    }

    /// The state of a batch of so many rows.
    pub fn state(&self, batch: usize) -> State {
        let rows = |p: &Param<Tensor<1>>| {
            let value = p.val();
            let width = value.dims()[0];
            value.unsqueeze::<2>().expand([batch, width])
        };
        State { layers: self.layers.iter().map(|l| l.iter().map(rows).collect()).collect() }
    }
}

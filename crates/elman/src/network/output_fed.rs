//! Networks that carry nothing but their output: with teacher forcing they train without serial steps.

use crate::recurrent::{Input, Options, Recurrent, State};
use burn::module::Module;
use burn::tensor::Tensor;
use std::ops::Range;

mod model;

pub use model::OutputFedModel;

/// A recurrent layer that carries its output alone: y_t = f(x_t, y_{t-1}), such as [Jordan's network](elman_core::cells::Jordan).
///
/// The fourth deck calls it a special case, s_t = h(x_t, y_{t-1}): while it trains, the target y* of the step before can stand where its own
/// output would (teacher forcing). No step then waits for another:
///
/// ```text
/// y_t = f(x_t, y*_{t-1})      for all t at once
/// ```
///
/// and no gradient flows from one step to another. Over T steps, by the number of steps that are computed together:
///
/// | | serial steps | memory |
/// | --- | --- | --- |
/// | [all at once](OutputFed::at_once) | O(1) | O(T) |
/// | [in chunks of n](OutputFed::chunks), each with its own backward pass | O(T / n) | O(n) |
/// | backpropagation through time, [free running](OutputFed::free_run) | O(T) | O(T) |
///
/// The deck's table gives the special case O(1) serial steps and O(1) memory: they are two ends, not had together. `cargo run --release -p elman
/// --example output_fed` measures both.
///
/// In use the network reads its own output, which training never showed it: its errors feed back. That is what scheduled sampling is for.
/// [`OutputFedModel`] trains it so, as a model of a system; `elman train plant` is that on the command line.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use elman::network::OutputFed;
/// use elman::{RecurrentConfig, Sizes, cells};
///
/// let device = Device::flex().autodiff();
/// let sizes = Sizes { input: 2, hidden: 8, output: 1 };
/// let jordan = RecurrentConfig::new((cells::find("jordan").unwrap().make)(), sizes).init(1, &device).unwrap();
/// let network = OutputFed::new(jordan).unwrap();
/// let (x, first) = (Tensor::ones([9, 3, 2], &device), Tensor::zeros([3, 1], &device)); // T = 9, B = 3, I = 2, P = 1
/// let free = network.free_run(x.clone(), first.clone());
/// let forced = network.at_once(x, free.clone(), first); // its own outputs as targets: the same
/// assert!((free - forced).abs().max().into_scalar::<f32>() < 1e-6);
///
/// let lstm = RecurrentConfig::new((cells::find("lstm").unwrap().make)(), sizes).init(1, &device).unwrap();
/// assert_eq!(OutputFed::new(lstm).unwrap_err().to_string(), "cell `lstm` carries h, c; only a cell that carries its output alone can be \
///     trained for all steps at once, such as `jordan`");
/// ```
#[derive(Module, Debug)]
pub struct OutputFed {
    rnn: Recurrent,
}

/// Why a layer cannot be trained so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutputFedError {
    /// It carries something whose value nobody knows beforehand.
    #[error(
        "cell `{cell}` carries {carried}; only a cell that carries its output alone can be trained for all steps at once, such as `jordan`"
    )]
    Carries {
        /// The cell.
        cell: &'static str,
        /// What it carries.
        carried: String,
    },
    /// It draws at every step while it is trained, and here nothing is drawn.
    #[error(
        "cell `{cell}` draws at every step (`{feed}`), and all time steps at once are computed without; take it without zoneout"
    )]
    Draws {
        /// The cell.
        cell: &'static str,
        /// What it draws.
        feed: &'static str,
    },
    /// There are no targets for the layers within.
    #[error(
        "a stack of {layers} layers has outputs without targets; only a single layer can be trained for all steps at once"
    )]
    Stack {
        /// Their number.
        layers: usize,
    },
}

impl OutputFed {
    /// Wraps a layer.
    ///
    /// # Errors
    /// There are several layers, or the cell carries more than its output or draws at every step.
    pub fn new(rnn: Recurrent) -> Result<OutputFed, OutputFedError> {
        let [layer] = rnn.layers() else { return Err(OutputFedError::Stack { layers: rnn.layers().len() }) };
        if layer.carried() != [layer.output()] {
            let spec = layer.cell().spec();
            return Err(OutputFedError::Carries { cell: spec.name, carried: spec.carry.join(", ") });
        }
        if let Some(feed) = layer.cell().spec().stages.iter().flat_map(|stage| stage.feeds).next() {
            return Err(OutputFedError::Draws { cell: layer.cell().spec().name, feed });
        }
        Ok(OutputFed { rnn })
    }

    /// The layer.
    pub fn recurrent(&self) -> &Recurrent {
        &self.rnn
    }

    /// The outputs (T, B, P) of x (T, B, I) where each step reads the target (T, B, P) of the step before, and the first one `first` (B, P).
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn at_once(&self, x: Tensor<3>, targets: Tensor<3>, first: Tensor<2>) -> Tensor<3> {
        let steps = x.dims()[0];
        self.forced(&x, &targets, &first, 0..steps)
    }

    /// The same, `steps` of them at a time: outputs and the steps that they are of. What is done with one chunk, a backward pass included, can
    /// be forgotten before the next.
    ///
    /// # Panics
    /// If the shapes do not fit, or `steps` is 0.
    pub fn chunks(
        &self,
        x: Tensor<3>,
        targets: Tensor<3>,
        first: Tensor<2>,
        steps: usize,
    ) -> impl Iterator<Item = (Tensor<3>, Range<usize>)> {
        assert!(steps > 0, "chunks of 0 steps");
        let whole = x.dims()[0];
        (0..whole).step_by(steps).map(move |start| {
            let range = start..(start + steps).min(whole);
            (self.forced(&x, &targets, &first, range.clone()), range)
        })
    }

    /// The outputs (T, B, P) of x (T, B, I) where each step reads the network's own output of the step before, and the first one `first` (B, P).
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn free_run(&self, x: Tensor<3>, first: Tensor<2>) -> Tensor<3> {
        self.rnn.forward(x, Some(State { layers: vec![vec![first]] })).0
    }

    /// All steps of `range` as the rows of a single step.
    fn forced(&self, x: &Tensor<3>, targets: &Tensor<3>, first: &Tensor<2>, range: Range<usize>) -> Tensor<3> {
        let ([_, batch, width], count) = (x.dims(), range.len());
        let x = x.clone().slice_dim(0, range.clone());
        let before = match range.start {
            0 => Tensor::cat(vec![first.clone().unsqueeze_dim(0), targets.clone().slice_dim(0, 0..range.end - 1)], 0),
            start => targets.clone().slice_dim(0, start - 1..range.end - 1),
        };
        let rows = count * batch;
        let state = State { layers: vec![vec![before.reshape([rows, self.rnn.output_width()])]] };
        let (y, _) = self.rnn.run(Input::Dense(x.reshape([1, rows, width])), Some(state), Options::default());
        y.reshape([count, batch, self.rnn.output_width()])
    }
}

#[cfg(test)]
#[path = "output_fed_test.rs"]
mod tests;

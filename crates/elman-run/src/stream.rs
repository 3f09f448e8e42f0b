//! A model one step at a time.

use crate::Model;
use elman_core::engine::{Affine, Engine, StepInput, Stepper};
use std::sync::Arc;

/// A model running step by step at batch 1, in constant memory: nothing is allocated for a step.
///
/// It has its own copy of the model's weights, laid out for this; the embedding is folded into the first layer's input
/// product, so that a token costs the look-up of a row.
///
/// ```no_run
/// use elman_core::engine::Engine;
/// use elman_run::{Model, Stream};
/// let model = Model::load("model.safetensors")?;
/// let mut stream = Stream::new(&model, &Engine::new(1).into());
/// let logits = stream.step(None); // zero input from the initial state
/// assert_eq!(logits.len(), model.vocabulary().len());
/// # Ok::<(), elman_run::Error>(())
/// ```
pub struct Stream {
    layers: Vec<Stepper<f32>>,
    /// For each layer the state to begin from, if it is not zero.
    initial: Vec<Option<Vec<Vec<f32>>>>,
    /// A layer's output on its way to the next, or to the readout.
    y: Vec<f32>,
    readout: Affine<f32>,
    logits: Vec<f32>,
}

impl Stream {
    /// From the model's initial state (zero where none was learned), with weights as [`Model::with_stream_weights`] says.
    pub fn new(model: &Model, engine: &Arc<Engine>) -> Stream {
        let table = |k: usize| (k == 0).then(|| model.embedding());
        let stepper = |(k, l): (usize, &crate::model::ModelLayer)| {
            Stepper::with_weights(engine, &l.layer, &l.slices(), 1, table(k), model.stream_weights())
        };
        let layers = model.layers().iter().enumerate().map(stepper).collect();
        let width = model.output_width();
        let owned = |state: Vec<&[f32]>| state.into_iter().map(<[f32]>::to_vec).collect();
        let initial = (0..model.layers().len()).map(|k| model.initial_state(k).map(owned)).collect();
        let mut stream = Stream {
            layers,
            initial,
            y: vec![0.0; width],
            readout: Affine::new(engine.isa(), model.readout_weight(), model.readout_bias(), width),
            logits: vec![0.0; model.vocabulary().len()],
        };
        stream.reset();
        stream
    }

    /// Takes a token, or zero input, without asking what comes next.
    ///
    /// # Panics
    /// If the id is not in the vocabulary.
    #[track_caller]
    pub fn advance(&mut self, token: Option<u32>) {
        let id = token.map_or([0], |id| [id]);
        for (k, layer) in self.layers.iter_mut().enumerate() {
            let input = match (k, token) {
                (0, None) => StepInput::Zero,
                (0, Some(_)) => StepInput::Tokens(&id),
                _ => StepInput::Dense(&self.y),
            };
            let y = layer.step(input);
            self.y.copy_from_slice(y);
        }
    }

    /// Takes a token, or zero input, and gives the logits of what comes next (V).
    ///
    /// # Panics
    /// If the id is not in the vocabulary.
    #[track_caller]
    pub fn step(&mut self, token: Option<u32>) -> &[f32] {
        self.advance(token);
        self.readout.apply(&self.y, &mut self.logits);
        &self.logits
    }

    /// What the last layer gave for the last token (P).
    pub(crate) fn output(&self) -> &[f32] {
        &self.y
    }

    /// The logits (N, V) of outputs `y` (N, P): the same bits as those of each by itself, and one reading of the weights for all.
    pub(crate) fn read_out(&mut self, y: &[f32], logits: &mut [f32]) {
        self.readout.apply(y, logits);
    }

    /// Back to the initial state.
    pub fn reset(&mut self) {
        for (layer, initial) in self.layers.iter_mut().zip(&self.initial) {
            match initial {
                None => layer.reset(),
                Some(state) => layer.set_state(&state.iter().map(Vec::as_slice).collect::<Vec<_>>()),
            }
        }
    }
}

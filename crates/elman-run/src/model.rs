//! A trained model of characters or words: embedding, stack of recurrent layers, readout, vocabulary; and its file.
//!
//! V characters or words, E embedding width, H hidden width, P width of a layer's output (H for most cells), L layers:
//!
//! ```text
//! x_t = embedding[token_t]                (E)
//! y_t = layer L-1 ( ... layer 0 (x_t))    (P)
//! logits_t = readout.weight y_t + readout.bias   (V)
//! ```
//!
//! In the file the tensors are `embedding.weight` (V, E), `rnn.weight_ih_l{k}`, `rnn.weight_hh_l{k}`, `rnn.bias_ih_l{k}` and
//! so on in PyTorch's names and layouts, `readout.weight` (V, P) and `readout.bias` (V). A learned state before the first
//! character is `initial.layers.{k}.{c}` (width) for each value c that layer k carries. A cell with one bias writes
//! `rnn.bias_hh_l{k}` as zeros; when a file is read, what stands there is added to `bias_ih`.
//!
//! z multiplies the candidate in `gru` and the old state in PyTorch, whose GRU is `gru-reset-after`. A file whose metadata say
//! `elman.update-gate = state` (or `candidate`) is turned to the cell's own way when it is read, so that weights of another program's GRU need no
//! arithmetic.

use crate::tensor_file::{Tensor, TensorFile, json};
use crate::{Error, Vocabulary, nearest};
use elman_core::cell::Width;
use elman_core::engine::WeightFormat;
use elman_core::layer::Role;
use elman_core::{Cell, Layer, Sizes, cells};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// The largest size that is believed: far above any that could be trained, far below where products overflow.
const MAX_SIZE: usize = 1 << 24;
/// The largest number of layers that is believed.
const MAX_LAYERS: usize = 1000;

const CONFIG_KEY: &str = "elman.config";
/// What the update gate z multiplies in the file's numbers: `candidate`, as in `gru` and the lecture decks, or `state`, the old one, as in PyTorch and
/// in Cho et al. 2014.
const UPDATE_GATE_KEY: &str = "elman.update-gate";
const VOCABULARY_KEY: &str = "elman.vocabulary";

/// What a model is, beside its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The task that it was trained for, such as `char-lm`.
    pub task: String,
    /// The registered name of its cell, or the text of one of its own: see [`cell`](crate::cell).
    pub cell: String,
    /// E, the width of the embedding.
    pub embedding: usize,
    /// H, the hidden width.
    pub hidden: usize,
    /// P, the width of a projection or of an output that is fed back; cells without one ignore it.
    pub output: usize,
    /// L, the number of layers.
    pub layers: usize,
}

impl ModelConfig {
    /// Its cell.
    ///
    /// # Errors
    /// The name is unknown, or the text is no cell.
    pub fn make_cell(&self) -> Result<Arc<dyn Cell>, Error> {
        crate::cell::make(&self.cell)
    }

    /// The layers of the stack, first to last.
    ///
    /// # Errors
    /// The cell is unknown, or a size is zero or absurd.
    pub fn stack(&self) -> Result<Vec<Layer>, Error> {
        let cell = self.make_cell()?;
        let wrong = |what: String| Error::Config { what };
        // Cells without a width of their own for the output ignore it.
        let ignored = cell.spec().stages.iter().all(|stage| stage.width != Width::Output);
        for (name, size) in [("embedding", self.embedding), ("hidden", self.hidden), ("output", self.output)] {
            if size > MAX_SIZE || size == 0 && !(name == "output" && ignored) {
                return Err(wrong(format!("`{name}` is {size}; it must be 1 to {MAX_SIZE}")));
            }
        }
        if self.layers == 0 || self.layers > MAX_LAYERS {
            return Err(wrong(format!("`layers` is {}; it must be 1 to {MAX_LAYERS}", self.layers)));
        }
        let mut input = self.embedding;
        let mut stack = Vec::with_capacity(self.layers);
        for _ in 0..self.layers {
            let sizes = Sizes { input, hidden: self.hidden, output: self.output };
            let layer = Layer::new(cell.clone(), sizes).map_err(|error| wrong(error.to_string()))?;
            input = layer.output_width();
            stack.push(layer);
        }
        Ok(stack)
    }
}

/// The error for a cell name that is not in the registry, with the nearest one that is.
pub fn unknown_cell(name: &str) -> Error {
    let advice = match nearest(name, cells::REGISTRY.iter().map(|entry| entry.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`elman cells` lists those that there are".to_string(),
    };
    Error::UnknownCell { name: name.to_string(), advice }
}

/// One layer of the stack with its parameters, in the order of [`Layer::parameters`].
#[derive(Clone, Debug)]
pub struct ModelLayer {
    /// Cell and sizes.
    pub layer: Layer,
    /// One row-major array for each parameter.
    pub parameters: Vec<Vec<f32>>,
}

impl ModelLayer {
    /// The parameters as the engine takes them.
    pub fn slices(&self) -> Vec<&[f32]> {
        self.parameters.iter().map(Vec::as_slice).collect()
    }
}

/// A trained model. Its parameters have the shapes of its configuration.
#[derive(Clone, Debug)]
pub struct Model {
    config: ModelConfig,
    vocabulary: Vocabulary,
    embedding: Vec<f32>,
    layers: Vec<ModelLayer>,
    /// By layer and carried value; empty where the state begins as zero.
    initial: Vec<Vec<Vec<f32>>>,
    readout_weight: Vec<f32>,
    readout_bias: Vec<f32>,
    stream_weights: WeightFormat,
}

impl Model {
    /// A model of these named tensors, in any order; the names and shapes are those of the file.
    ///
    /// # Errors
    /// The configuration is wrong, or a tensor is missing, has another shape or is not the model's.
    pub fn from_tensors(config: ModelConfig, vocabulary: Vocabulary, tensors: Vec<Tensor>) -> Result<Model, Error> {
        let stack = config.stack()?;
        let mut tensors = Tensors(tensors);
        let v = vocabulary.len();
        let embedding = tensors.take("embedding.weight", &[v, config.embedding])?;
        let mut layers = Vec::with_capacity(stack.len());
        for (k, layer) in stack.into_iter().enumerate() {
            let mut parameters = Vec::new();
            for parameter in layer.parameters() {
                parameters.push(tensors.take(&format!("rnn.{}_l{k}", parameter.name), &parameter.shape())?);
            }
            if let Some((i, rows)) = lone_bias(&layer) {
                let name = format!("rnn.bias_hh_l{k}");
                let second = if tensors.has(&name) { tensors.take(&name, &[rows])? } else { Vec::new() };
                // Only what is not zero: adding +0.0 would turn -0.0 around, and a file written again must be the same.
                for (bias, second) in parameters[i].iter_mut().zip(second).filter(|(_, second)| *second != 0.0) {
                    *bias += second;
                }
            }
            layers.push(ModelLayer { layer, parameters });
        }
        let mut initial = Vec::new();
        if tensors.has("initial.layers.0.0") {
            for (k, l) in layers.iter().enumerate() {
                let widths = l.layer.state_widths().into_iter().enumerate();
                let state = widths.map(|(c, width)| tensors.take(&format!("initial.layers.{k}.{c}"), &[width]));
                initial.push(state.collect::<Result<Vec<_>, _>>()?);
            }
        }
        let width = layers.last().map_or(0, |l| l.layer.output_width());
        let readout_weight = tensors.take("readout.weight", &[v, width])?;
        let readout_bias = tensors.take("readout.bias", &[v])?;
        if let Some(tensor) = tensors.0.first() {
            let what = format!("there is a tensor `{}`, which such a model does not have", tensor.name);
            return Err(Error::Shape { what });
        }
        Ok(Model {
            config,
            vocabulary,
            embedding,
            layers,
            initial,
            readout_weight,
            readout_bias,
            stream_weights: WeightFormat::Full,
        })
    }

    /// The tensors of the file, in its order.
    pub fn tensors(&self) -> Vec<Tensor> {
        let v = self.vocabulary.len();
        let tensor = |name: String, shape: Vec<usize>, values: &[f32]| Tensor { name, shape, values: values.to_vec() };
        let mut tensors = vec![tensor("embedding.weight".into(), vec![v, self.config.embedding], &self.embedding)];
        for (k, ModelLayer { layer, parameters }) in self.layers.iter().enumerate() {
            for (parameter, values) in layer.parameters().iter().zip(parameters) {
                tensors.push(tensor(format!("rnn.{}_l{k}", parameter.name), parameter.shape(), values));
            }
            if let Some((_, rows)) = lone_bias(layer) {
                tensors.push(tensor(format!("rnn.bias_hh_l{k}"), vec![rows], &vec![0.0; rows]));
            }
        }
        for (k, state) in self.initial.iter().enumerate() {
            for (c, values) in state.iter().enumerate() {
                tensors.push(tensor(format!("initial.layers.{k}.{c}"), vec![values.len()], values));
            }
        }
        tensors.push(tensor("readout.weight".into(), vec![v, self.output_width()], &self.readout_weight));
        tensors.push(tensor("readout.bias".into(), vec![v], &self.readout_bias));
        tensors
    }

    /// Writes the model file, atomically. The same model gives the same bytes.
    ///
    /// # Errors
    /// [`Error::Write`]; the former file is then as it was.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let metadata =
            [(CONFIG_KEY.to_string(), json(&self.config)), (VOCABULARY_KEY.to_string(), self.vocabulary.to_json())];
        TensorFile { metadata: metadata.into(), tensors: self.tensors() }.write(path)
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// Those of [`TensorFile::read`] and [`Model::from_tensors`].
    pub fn load(path: impl AsRef<Path>) -> Result<Model, Error> {
        let path = path.as_ref();
        let TensorFile { metadata, tensors } = TensorFile::read(path)?;
        let text = |key: &str| {
            let what = format!("it has no `{key}`: it is not a model but another of Elman's files");
            metadata.get(key).ok_or(Error::Damaged { path: path.to_path_buf(), what })
        };
        let config = text(CONFIG_KEY)?;
        if !metadata.contains_key(VOCABULARY_KEY) {
            return Err(Error::Numbers { path: path.to_path_buf() });
        }
        let vocabulary = text(VOCABULARY_KEY)?;
        let model = || -> Result<Model, Error> {
            let config: ModelConfig =
                serde_json::from_str(config).map_err(|error| Error::Config { what: error.to_string() })?;
            let mut model = Model::from_tensors(config, Vocabulary::from_json(vocabulary)?, tensors)?;
            if let Some(multiplies) = metadata.get(UPDATE_GATE_KEY) {
                model.turn_update_gates(multiplies)?;
            }
            Ok(model)
        };
        model().map_err(|error| error.within(path))
    }

    /// Turns update gates around whose z multiplies in the numbers what it does not multiply in the cell: as σ(-a) = 1 - σ(a), the rows of z
    /// change their sign.
    fn turn_update_gates(&mut self, multiplies: &str) -> Result<(), Error> {
        let wrong = |what: String| Error::Config { what };
        // A text of equations is none of these, whatever its name.
        let text = self.config.cell.contains('\n');
        let title = crate::cell::title(&self.config.cell).into_owned();
        let name = title.split(':').next().filter(|_| !text).unwrap_or(&title);
        let native = match name {
            _ if text => {
                return Err(wrong(format!(
                    "`{UPDATE_GATE_KEY}` is for registered cells; `{name}` has equations of its own"
                )));
            }
            "gru" | "gru-minimal" | "gru-layer-norm" | "min-gru" => "candidate",
            "gru-reset-after" => "state",
            _ => {
                return Err(wrong(format!(
                    "`{UPDATE_GATE_KEY}` is for cells with an update gate, and `{name}` has none"
                )));
            }
        };
        if !["candidate", "state"].contains(&multiplies) {
            return Err(wrong(format!("`{UPDATE_GATE_KEY}` is `{multiplies}`; it must be candidate or state")));
        }
        if multiplies == native {
            return Ok(());
        }
        for ModelLayer { layer, parameters } in &mut self.layers {
            let stages = layer.cell().spec().stages;
            for (parameter, values) in layer.parameters().iter().zip(parameters) {
                for (k, block) in parameter.blocks.iter().enumerate() {
                    let gate = stages[block.stage]
                        .gates
                        .get(block.gate)
                        .filter(|_| matches!(parameter.role, Role::Weight | Role::Bias));
                    // `zx` and `zh` where the products of a gate are normalised apart.
                    if gate.is_some_and(|gate| gate.name.starts_with('z')) {
                        let end = parameter.blocks.get(k + 1).map_or(parameter.rows, |next| next.row);
                        values[block.row * parameter.cols..end * parameter.cols].iter_mut().for_each(|w| *w = -*w);
                    }
                }
            }
        }
        Ok(())
    }

    /// What the model is.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Streams, scores and samples of this model keep the weights of their recurrent layers in fewer bits: large layers step
    /// faster, and differ a little. The model itself stays as it is.
    ///
    /// ```no_run
    /// use elman_core::engine::{Engine, WeightFormat};
    /// use elman_run::{Model, Stream};
    /// let model = Model::load("model.safetensors")?.with_stream_weights(WeightFormat::Bf16);
    /// let stream = Stream::new(&model, &Engine::new(1).into());
    /// # Ok::<(), elman_run::Error>(())
    /// ```
    pub fn with_stream_weights(mut self, format: WeightFormat) -> Model {
        self.stream_weights = format;
        self
    }

    /// How streams keep the weights of the recurrent layers.
    pub fn stream_weights(&self) -> WeightFormat {
        self.stream_weights
    }

    /// Its characters or words.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The embedding table (V, E).
    pub fn embedding(&self) -> &[f32] {
        &self.embedding
    }

    /// The layers, first to last.
    pub fn layers(&self) -> &[ModelLayer] {
        &self.layers
    }

    /// The state before the first character of layer `k`, one vector for each value that it carries; none where it is zero.
    pub fn initial_state(&self, k: usize) -> Option<Vec<&[f32]>> {
        self.initial.get(k).map(|state| state.iter().map(Vec::as_slice).collect())
    }

    /// The readout's weight (V, P).
    pub fn readout_weight(&self) -> &[f32] {
        &self.readout_weight
    }

    /// The readout's bias (V).
    pub fn readout_bias(&self) -> &[f32] {
        &self.readout_bias
    }

    /// P, the width of the last layer's output.
    pub fn output_width(&self) -> usize {
        self.layers.last().map_or(0, |l| l.layer.output_width())
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        let layers: usize = self.layers.iter().map(|l| l.layer.parameter_count()).sum();
        let initial: usize = self.initial.iter().flatten().map(Vec::len).sum();
        self.embedding.len() + layers + initial + self.readout_weight.len() + self.readout_bias.len()
    }
}

/// For a layer whose cell has only one bias where PyTorch has two: the index and length of `bias_ih`.
fn lone_bias(layer: &Layer) -> Option<(usize, usize)> {
    let position = |name: &str| layer.parameters().iter().position(|p| p.name == name);
    match (position("bias_ih"), position("bias_hh")) {
        (Some(i), None) => Some((i, layer.parameters()[i].rows)),
        _ => None,
    }
}

/// Tensors on their way into a model.
struct Tensors(Vec<Tensor>);

impl Tensors {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|tensor| tensor.name == name)
    }

    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let wrong = |what: String| Err(Error::Shape { what });
        let Some(i) = self.0.iter().position(|tensor| tensor.name == name) else {
            return wrong(format!("the tensor `{name}` of shape {shape:?} is missing"));
        };
        let tensor = self.0.swap_remove(i);
        if tensor.shape != shape {
            return wrong(format!("the tensor `{name}` has the shape {:?}, expected {shape:?}", tensor.shape));
        }
        if tensor.values.len() != shape.iter().product::<usize>() {
            return wrong(format!("the tensor `{name}` of shape {shape:?} has {} elements", tensor.values.len()));
        }
        Ok(tensor.values)
    }
}

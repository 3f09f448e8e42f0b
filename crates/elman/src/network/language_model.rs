//! A language model: embedding, recurrent layers, linear readout.

mod few_words;
mod online;

use super::forcing::Forcing;
use super::readout;
use crate::init::{Init, InitError};
use crate::online::Method;
use crate::parameters::{self, Named, ParameterError};
use crate::random::Random;
use crate::recurrent::{InitialState, Input, Options, Recurrent, RecurrentConfig, State, drop_elements, leaf};
use crate::regularisation::{Regularisation, Regularised, with_penalty};
use crate::train::accumulate::{Part, columns, rows_of_parts};
use crate::train::{Learnt, Network};
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use elman_core::cell::OptionError;
use elman_core::{Cell, LayerError, Sizes};
use std::borrow::Cow;
use std::sync::Arc;

/// How a [`LanguageModel`] is made.
#[derive(Clone, Debug)]
pub struct LanguageModelConfig {
    /// V, the number of tokens.
    pub vocabulary: usize,
    /// Width of the embedding.
    pub embedding: usize,
    /// H.
    pub hidden: usize,
    /// P, for cells with a projection or an output fed back.
    pub output: usize,
    /// Number of recurrent layers.
    pub layers: usize,
    /// Dropout between layers, in [0, 1).
    pub dropout: f64,
    /// The cell.
    pub cell: Arc<dyn Cell>,
}

impl LanguageModelConfig {
    /// Draws a model from `seed`: the embedding N(0, 1), the readout uniform in ±1/√(its input width), the rest as
    /// [`RecurrentConfig::init`] does; PyTorch's defaults.
    ///
    /// # Errors
    /// A size is zero, or the dropout is no probability below 1.
    pub fn init(&self, seed: u64, device: &Device) -> Result<LanguageModel, LayerError> {
        self.init_with(&Init::default(), seed, device).map_err(|error| match error {
            InitError::Layer(error) => error,
            other => unreachable!("the default fits every cell: {other}"),
        })
    }

    /// The same with a choice of initial parameters of the recurrent layers.
    ///
    /// # Errors
    /// A size is zero, the dropout is no probability below 1, or the choice does not fit the cell or its sizes.
    pub fn init_with(&self, init: &Init, seed: u64, device: &Device) -> Result<LanguageModel, InitError> {
        for (what, size) in [("vocabulary size", self.vocabulary), ("embedding size", self.embedding)] {
            if size == 0 {
                return Err(LayerError::ZeroSize { what }.into());
            }
        }
        let sizes = Sizes { input: self.embedding, hidden: self.hidden, output: self.output };
        let rnn = RecurrentConfig { cell: self.cell.clone(), sizes, layers: self.layers, dropout: self.dropout };
        let rnn = rnn.init_with(init, seed, device)?;
        let width = rnn.output_width();
        let bound = 1.0 / (width as f32).sqrt();
        let draw = |name: &str, len: usize, next: fn(&mut Random, f32) -> f32| -> Vec<f32> {
            let mut random = Random::new(seed, &format!("init/{name}"));
            (0..len).map(|_| next(&mut random, bound)).collect()
        };
        let table = draw("embedding.weight", self.vocabulary * self.embedding, |random, _| random.normal());
        let weight = draw("readout.weight", self.vocabulary * width, Random::symmetric);
        let bias = draw("readout.bias", self.vocabulary, Random::symmetric);
        let matrix = |values: Vec<f32>, rows: usize, columns: usize| {
            leaf(Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), device))
        };
        Ok(LanguageModel {
            embedding: Embedding { weight: matrix(table, self.vocabulary, self.embedding) },
            rnn,
            initial: None,
            dropout_embedding: 0.0,
            dropout_readout: 0.0,
            readout: Readout {
                weight: matrix(weight, self.vocabulary, width),
                bias: leaf(Tensor::<1>::from_data(TensorData::new(bias, [self.vocabulary]), device)),
            },
            regularisation: Regularisation::default(),
            forcing: Forcing::TEACHER,
            online: None,
        })
    }
}

/// The embedding table.
#[derive(Module, Debug)]
pub struct Embedding {
    /// (V, embedding width).
    pub weight: Param<Tensor<2>>,
}

/// The linear readout W y + b of a network's output.
#[derive(Module, Debug)]
pub struct Readout {
    /// W (V, P): a row for each token, or for each number or class that is predicted.
    pub weight: Param<Tensor<2>>,
    /// b (V).
    pub bias: Param<Tensor<1>>,
}

/// A language model over tokens w: `x_t = E[w_t]`, the recurrent layers make y_t of x_1, ..., x_t, and p(w_{t+1} | w_1, ..., w_t) =
/// softmax(W y_t + b). E is (V, embedding width), W is (V, P). Parameters: `embedding.weight`, `rnn.weight_ih_l0`, ..., `readout.weight`, `readout.bias`; with a learned
/// initial state `initial.layers.0.0` (layer, carried value) and so on.
#[derive(Module, Debug)]
pub struct LanguageModel {
    /// The embedding.
    pub embedding: Embedding,
    /// The recurrent layers.
    pub rnn: Recurrent,
    /// The state before the first token, if it is learned; else it is zero.
    pub initial: Option<InitialState>,
    /// The readout.
    pub readout: Readout,
    dropout_embedding: f64,
    dropout_readout: f64,
    #[module(skip)]
    regularisation: Regularisation,
    #[module(skip)]
    forcing: Forcing,
    #[module(skip)]
    online: Option<Method>,
}

/// A batch of token sequences, time-major.
#[derive(Clone, Debug)]
pub struct TokenBatch {
    /// (T, B), each below V, beyond a row's length too.
    pub ids: Arc<[u32]>,
    /// (T, B): the token to be predicted at each place, or [`readout::IGNORE`]. Those beyond a row's length do not count.
    pub targets: Vec<u32>,
    /// B.
    pub batch: usize,
    /// The number of valid steps of each row.
    pub lengths: Option<Arc<[usize]>>,
    /// Whether the sequences begin here, rather than continue the batch before.
    pub fresh: bool,
    /// After how many steps, from 1 to below T, the state is to be given that the next batch begins from; none: after the last. Batches that
    /// [overlap](crate::train::Overlapping) have it. Not with `lengths`.
    pub carry: Option<usize>,
}

impl TokenBatch {
    /// The targets, those beyond a row's length left out.
    fn counted(&self) -> Cow<'_, [u32]> {
        readout::within(&self.targets, self.batch, self.lengths.as_deref())
    }
}

/// Rows of a table (V, width): (n, width).
fn looked_up(table: Tensor<2>, ids: &[u32]) -> Tensor<2> {
    let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let count = ids.len();
    let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [count]), &table.device());
    table.select(0, ids)
}

impl LanguageModel {
    /// V.
    pub fn vocabulary(&self) -> usize {
        self.readout.bias.shape()[0]
    }

    /// Learns the state before the first token, from zeros.
    pub fn with_learned_initial_state(mut self) -> Self {
        self.initial = Some(InitialState::zeros(&self.rnn, &self.readout.bias.val().device()));
        self
    }

    /// Dropout where no recurrent connection is: of elements of the embedding's output, and of the last layer's before the readout, a new mask
    /// at every step. With that between layers ([`LanguageModelConfig::dropout`]) it is the dropout of Zaremba, Sutskever & Vinyals (2014),
    /// whose three probabilities are one.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use elman::{Random, cells};
    /// use elman::network::{LanguageModelConfig, TokenBatch};
    ///
    /// let cell = (cells::find("lstm").unwrap().make)();
    /// let config = LanguageModelConfig { vocabulary: 5, embedding: 4, hidden: 4, output: 4, layers: 2, dropout: 0.5, cell };
    /// let model = config.init(1, &Device::flex()).unwrap();
    /// let batch = TokenBatch { ids: [0, 1, 2].into(), targets: vec![1, 2, 3], batch: 1, lengths: None, fresh: true, carry: None };
    /// let loss = |p: f64, random: Option<&mut Random>| {
    ///     model.clone().with_dropout(p, p).unwrap().loss(&batch, None, random).0.into_scalar::<f32>()
    /// };
    /// assert_eq!(loss(0.5, None), loss(0.0, None)); // evaluation: nothing is dropped
    /// assert_ne!(loss(0.5, Some(&mut Random::new(1, "train"))), loss(0.0, Some(&mut Random::new(1, "train"))));
    /// ```
    ///
    /// # Errors
    /// A probability is not in [0, 1).
    pub fn with_dropout(mut self, embedding: f64, readout: f64) -> Result<Self, OptionError> {
        for (option, value) in [("dropout-embedding", embedding), ("dropout-readout", readout)] {
            if !(0.0..1.0).contains(&value) {
                return Err(OptionError { option, value, range: "from 0 to below 1" });
            }
        }
        (self.dropout_embedding, self.dropout_readout) = (embedding, readout);
        Ok(self)
    }

    /// Regularises training from now on.
    ///
    /// # Errors
    /// A number is out of its range, or the cell has nothing that is to be dropped.
    pub fn with_regularisation(mut self, regularisation: Regularisation) -> Result<Self, OptionError> {
        regularisation.check_for(&self.rnn)?;
        self.regularisation = regularisation;
        Ok(self)
    }

    /// What the inputs are from now on while a trainer trains it; the text's tokens by default.
    pub fn with_forcing(mut self, forcing: Forcing) -> Self {
        self.forcing = forcing;
        self
    }

    /// What the readout sees (T·B, P), the state to be carried, and the penalty of a regularised model. The batch's tokens are rows of `table`.
    fn states(
        &self,
        table: Tensor<2>,
        batch: &TokenBatch,
        state: Option<State>,
        mut dropout: Option<&mut Random>,
    ) -> (Tensor<2>, State, Option<Tensor<1>>) {
        let input = match dropout.as_deref_mut() {
            Some(random) if self.dropout_embedding > 0.0 => {
                let table = self.regularisation.drop_rows(table, random);
                let (steps, width) = (batch.ids.len() / batch.batch, table.dims()[1]);
                let x = looked_up(table, &batch.ids).reshape([steps, batch.batch, width]);
                Input::Dense(drop_elements(x, self.dropout_embedding, random))
            }
            // The engine reads the table itself.
            _ => Input::Tokens { ids: batch.ids.clone(), batch: batch.batch, table },
        };
        let options = Options {
            lengths: batch.lengths.clone(),
            dropout: dropout.as_deref_mut(),
            carry: batch.carry,
            ..Options::default()
        };
        let state = state.or_else(|| self.initial.as_ref().map(|initial| initial.state(batch.batch)));
        let Regularised { mut y, state, penalty, .. } = self.regularisation.run(&self.rnn, input, state, options);
        if let (true, Some(random)) = (self.dropout_readout > 0.0, dropout) {
            y = drop_elements(y, self.dropout_readout, random);
        }
        let [t, b, width] = y.dims();
        (y.reshape([t * b, width]), state, penalty)
    }

    /// Logits (T·B, V) and the state to be carried, without dropout.
    ///
    /// # Panics
    /// If the batch has no token, or one that is not below V, or its lists are not (T, B), or a length is above T.
    pub fn logits(&self, batch: &TokenBatch, state: Option<State>) -> (Tensor<2>, State) {
        let (y, state, _) = self.states(self.embedding.weight.val(), batch, state, None);
        (readout::logits(y, self.readout.weight.val(), self.readout.bias.val()), state)
    }

    /// Mean cross-entropy in nats over the targets that count, and the state to be carried. With `dropout`, masks are drawn from it, and the
    /// gradient is that of the penalties too, where there are any; the value is not.
    ///
    /// # Panics
    /// As [`logits`](LanguageModel::logits), and if a target that counts is not below V.
    pub fn loss(&self, batch: &TokenBatch, state: Option<State>, dropout: Option<&mut Random>) -> (Tensor<1>, State) {
        self.loss_from(self.embedding.weight.val(), batch, state, dropout)
    }

    /// The same with tokens that are rows of `table`.
    fn loss_from(
        &self,
        table: Tensor<2>,
        batch: &TokenBatch,
        state: Option<State>,
        dropout: Option<&mut Random>,
    ) -> (Tensor<1>, State) {
        let (y, state, penalty) = self.states(table, batch, state, dropout);
        let (weight, bias) = (self.readout.weight.val(), self.readout.bias.val());
        let loss = readout::cross_entropy_in(self.rnn.bf16(), y, weight, bias, &batch.counted());
        (with_penalty(loss, penalty), state)
    }

    /// Every parameter by name, for a model file.
    pub fn parameters(&self) -> Vec<Named> {
        parameters::export(self)
    }

    /// Replaces every parameter.
    ///
    /// # Errors
    /// One is missing, has another shape, or is not this model's.
    pub fn with_parameters(self, parameters: Vec<Named>) -> Result<Self, ParameterError> {
        parameters::import(self, parameters)
    }
}

impl Network for LanguageModel {
    type Batch = TokenBatch;

    fn loss(&self, batch: &TokenBatch, state: Option<State>, random: &mut Random) -> (Tensor<1>, State) {
        LanguageModel::loss(self, batch, state, Some(random))
    }

    fn is_fresh(batch: &TokenBatch) -> bool {
        batch.fresh
    }

    fn count(batch: &TokenBatch) -> usize {
        batch.counted().iter().filter(|&&t| t != readout::IGNORE).count()
    }

    fn learn(&self, batch: &TokenBatch, state: Option<State>, random: &mut Random) -> Option<Learnt> {
        match self.online {
            Some(method) => Some(self.learn_forward(method, batch, state, random)),
            None => self.learn_from_few_words(batch, state, random),
        }
    }

    fn prepare(&self, batch: TokenBatch, state: Option<&State>, step: u64, random: &mut Random) -> TokenBatch {
        match self.forcing.truth(step) {
            1.0.. => batch,
            truth => self.mixed(&batch, state.cloned(), truth, random),
        }
    }

    fn split(&self, batch: &TokenBatch, parts: usize) -> Option<Vec<Part<TokenBatch>>> {
        let part = |rows: std::ops::Range<usize>| {
            let some = TokenBatch {
                ids: columns(&batch.ids, batch.batch, 1, &rows).into(),
                targets: columns(&batch.targets, batch.batch, 1, &rows),
                batch: rows.len(),
                lengths: batch.lengths.as_ref().map(|lengths| lengths[rows.clone()].into()),
                fresh: batch.fresh,
                carry: batch.carry,
            };
            Part { rows, count: Self::count(&some), batch: some }
        };
        Some(rows_of_parts(batch.batch, parts).into_iter().map(part).collect())
    }
}

#[cfg(test)]
#[path = "language_model/dropout_test.rs"]
mod dropout_tests;

//! Regularisation of recurrent networks: dropout with one mask for a whole sequence, DropConnect, penalties on activations.
//!
//! [`Regularisation`] says how much of each; [`LanguageModel`](crate::network::LanguageModel),
//! [`SequenceNetwork`](crate::network::SequenceNetwork), [`Stack`](crate::network::Stack) and
//! [`Bidirectional`](crate::network::Bidirectional) take one, and [`Regularisation::run`] is what they call: for a network of your own
//! it stands where [`Recurrent::run`] would. Zoneout is not here: it is a cell, [`elman_core::Zoneout`].

use crate::random::Random;
use crate::recurrent::{Input, Options, Recurrent, State};
use burn::tensor::{DType, Device, Tensor, TensorData};
use elman_core::cell::OptionError;

mod drop_connect;
mod penalty;
mod variational;

/// How a recurrent network is regularised while it trains. By default not at all; then nothing is drawn either.
///
/// T steps, B rows, y the last layer's output (T, B, P). Every mask is drawn once a batch, from the trainer's random numbers: 0 with the
/// probability given, 1 / (1 - p) otherwise, so that nothing has to be scaled at evaluation, where no mask is drawn.
///
/// * `dropout_input`, `dropout_between`, `dropout_recurrent`, `dropout_output`: *variational* dropout (Gal & Ghahramani, "A theoretically
///   grounded application of dropout in recurrent neural networks", 2016). A mask has one number for each row and unit, the same at every
///   step of the sequence and for all gates. Those of inputs and of what is carried act on what the matrices see (`W (m ⊙ x)`,
///   `U (m ⊙ h')`), and not on what an equation reads; each layer and each carried value has its own.
/// * `dropout_words` drops whole rows of the embedding table: words, at all their places in the batch (Gal & Ghahramani 2016;
///   there for each row of the batch, here one draw for the batch, as Merity et al. have it).
/// * `drop_connect` drops single elements of the matrices of what is carried, one mask for the whole batch (Wan et al., "Regularization of
///   neural networks using DropConnect", 2013; on recurrent matrices Merity, Keskar & Socher, "Regularizing and optimizing LSTM language
///   models", 2018: the weight-dropped LSTM).
/// * `activation` is α of the penalty `α · mean((m ⊙ y)²)`, with m the mask of the output; `temporal` is β of `β · mean((y_t - y_{t-1})²)`
///   (Merity, McCann & Socher, "Revisiting activation regularization for language RNNs", 2017). The means are over all steps within the
///   rows' lengths, rows and units.
///
/// ```
/// use elman::regularisation::Regularisation;
/// let merity = Regularisation { drop_connect: 0.5, activation: 2.0, temporal: 1.0, ..Regularisation::default() };
/// assert!(merity.check().is_ok());
/// let wrong = Regularisation { dropout_input: 1.0, ..Regularisation::default() };
/// assert_eq!(wrong.check().unwrap_err().to_string(), "dropout-input is 1; it must be from 0 to below 1");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Regularisation {
    /// Probability with which a word is dropped from the embedding table.
    pub dropout_words: f64,
    /// Probability for the elements of the first layer's input.
    pub dropout_input: f64,
    /// Probability for the elements of the input of every layer after the first.
    pub dropout_between: f64,
    /// Probability for the elements of what a step sees of the step before.
    pub dropout_recurrent: f64,
    /// Probability for the elements of the last layer's output.
    pub dropout_output: f64,
    /// Probability for the elements of the matrices of what is carried.
    pub drop_connect: f64,
    /// α, the weight of the mean square of the output after dropout.
    pub activation: f64,
    /// β, the weight of the mean square of the output's change from step to step, before dropout.
    pub temporal: f64,
}

/// What a regularised pass gives.
#[derive(Debug)]
pub struct Regularised {
    /// The last layer's output (T, B, P), after dropout.
    pub y: Tensor<3>,
    /// The final state; dropout of the output has not touched it.
    pub state: State,
    /// The mask of the output (B, P), for a readout of the final state.
    pub output_mask: Option<Tensor<2>>,
    /// What the loss is to have beside it; none at evaluation and without penalties.
    pub penalty: Option<Tensor<1>>,
}

impl Regularisation {
    /// Whether every number is in its range.
    ///
    /// # Errors
    /// A probability is not in [0, 1), or a weight is negative or not finite.
    pub fn check(&self) -> Result<(), OptionError> {
        for (option, value) in [
            ("dropout-words", self.dropout_words),
            ("dropout-input", self.dropout_input),
            ("dropout-between", self.dropout_between),
            ("dropout-recurrent", self.dropout_recurrent),
            ("dropout-output", self.dropout_output),
            ("drop-connect", self.drop_connect),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(OptionError { option, value, range: "from 0 to below 1" });
            }
        }
        for (option, value) in [("activation-penalty", self.activation), ("temporal-penalty", self.temporal)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(OptionError { option, value, range: "a finite number, 0 or above" });
            }
        }
        Ok(())
    }

    /// The same, and whether the layers have what is to be dropped.
    ///
    /// # Errors
    /// As for [`check`](Regularisation::check), or recurrent matrices are to be dropped of a cell that has none.
    pub fn check_for(&self, rnn: &Recurrent) -> Result<(), OptionError> {
        self.check_for_all(&[rnn])
    }

    /// The same for a network of several.
    pub(crate) fn check_for_all(&self, rnns: &[&Recurrent]) -> Result<(), OptionError> {
        self.check()?;
        let mut layers = rnns.iter().flat_map(|rnn| rnn.layers());
        let is_recurrent = layers.any(|layer| variational::is_recurrent(layer));
        for (option, value) in [("dropout-recurrent", self.dropout_recurrent), ("drop-connect", self.drop_connect)] {
            if value > 0.0 && !is_recurrent {
                let range = "0 for a cell without a matrix of what is carried";
                return Err(OptionError { option, value, range });
            }
        }
        Ok(())
    }

    /// Runs recurrent layers as [`Recurrent::run`] does, with what is drawn from `options.dropout`; without it, at evaluation, it is that
    /// function. The masks are in addition to those of the options.
    ///
    /// # Panics
    /// As [`Recurrent::run`], and if a number is out of its range.
    pub fn run(&self, rnn: &Recurrent, input: Input, state: Option<State>, mut options: Options) -> Regularised {
        let Some(random) = options.dropout.as_deref_mut().filter(|_| *self != Regularisation::default()) else {
            let (y, state) = rnn.run(input, state, options);
            return Regularised { y, state, output_mask: None, penalty: None };
        };
        let input = self.drop_words(input, Some(random));
        let (batch, device, dtype) = match &input {
            Input::Dense(x) => (x.dims()[1], x.device(), x.dtype()),
            Input::Tokens { batch, table, .. } => (*batch, table.device(), table.dtype()),
        };
        let mut draw = Draw { random, device, dtype };
        options.masks.extend(variational::masks(self, rnn.layers(), batch, &mut draw));
        options.weights.extend(drop_connect::masks(self.drop_connect, rnn.layers(), &mut draw));
        let output_mask =
            (self.dropout_output > 0.0).then(|| draw.mask(self.dropout_output, [batch, rnn.output_width()]));
        let lengths = options.lengths.clone();
        let (raw, state) = rnn.run(input, state, options);
        self.finished(raw, state, output_mask, lengths.as_deref())
    }

    /// Drops words of an embedding table; without random numbers, at evaluation, none.
    pub(crate) fn drop_words(&self, input: Input, dropout: Option<&mut Random>) -> Input {
        match (input, dropout) {
            (Input::Tokens { ids, batch, table }, Some(random)) => {
                Input::Tokens { ids, batch, table: self.drop_rows(table, random) }
            }
            (other, _) => other,
        }
    }

    /// Drops words: rows of an embedding table.
    pub(crate) fn drop_rows(&self, table: Tensor<2>, random: &mut Random) -> Tensor<2> {
        if self.dropout_words == 0.0 {
            return table;
        }
        let mut draw = Draw { random, device: table.device(), dtype: table.dtype() };
        let words = draw.mask(self.dropout_words, [table.dims()[0], 1]);
        table * words
    }

    /// What one of several layers, each run by itself, takes of this: the first one the dropout of the input, the others that between
    /// layers; words are left to [`drop_words`](Regularisation::drop_words), what concerns the network's output to
    /// [`finish`](Regularisation::finish).
    pub(crate) fn of_layer(&self, layer: usize) -> Regularisation {
        Regularisation {
            dropout_words: 0.0,
            dropout_input: if layer == 0 { self.dropout_input } else { self.dropout_between },
            dropout_output: 0.0,
            activation: 0.0,
            temporal: 0.0,
            ..*self
        }
    }

    /// Drops elements of what several layers gave and takes the penalties; without random numbers, at evaluation, neither.
    pub(crate) fn finish(
        &self,
        raw: Tensor<3>,
        state: State,
        lengths: Option<&[usize]>,
        dropout: Option<&mut Random>,
    ) -> Regularised {
        let Some(random) = dropout else {
            return Regularised { y: raw, state, output_mask: None, penalty: None };
        };
        let [_, batch, width] = raw.dims();
        let mut draw = Draw { random, device: raw.device(), dtype: raw.dtype() };
        let output_mask = (self.dropout_output > 0.0).then(|| draw.mask(self.dropout_output, [batch, width]));
        self.finished(raw, state, output_mask, lengths)
    }

    fn finished(
        &self,
        raw: Tensor<3>,
        state: State,
        output_mask: Option<Tensor<2>>,
        lengths: Option<&[usize]>,
    ) -> Regularised {
        let y = match &output_mask {
            Some(mask) => raw.clone() * mask.clone().unsqueeze::<3>(),
            None => raw.clone(),
        };
        let penalty = penalty::of(self, raw, &y, lengths);
        Regularised { y, state, output_mask, penalty }
    }
}

/// The loss with the gradient of loss and penalty together; its value is the loss alone, so that what is reported and compared stays what
/// it is called.
pub fn with_penalty(loss: Tensor<1>, penalty: Option<Tensor<1>>) -> Tensor<1> {
    match penalty {
        None => loss,
        Some(penalty) => loss + (penalty.clone() - penalty.detach()),
    }
}

/// Where masks are drawn from, and where they go.
struct Draw<'a> {
    random: &'a mut Random,
    device: Device,
    dtype: DType,
}

impl Draw<'_> {
    fn mask(&mut self, p: f64, shape: [usize; 2]) -> Tensor<2> {
        let mut values = vec![0.0; shape[0] * shape[1]];
        self.random.dropout(p, &mut values);
        self.tensor(values, shape)
    }

    fn tensor(&self, values: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values, shape), (&self.device, self.dtype))
    }
}

#[cfg(test)]
mod networks_test;
#[cfg(test)]
#[path = "tests.rs"]
mod tests;

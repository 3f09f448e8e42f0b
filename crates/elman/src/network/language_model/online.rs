//! A language model whose gradient goes forward in time.

use super::{Forcing, LanguageModel, Regularisation, TokenBatch};
use crate::flex::to_vec;
use crate::network::readout::IGNORE;
use crate::online::{Input, Method, OnlineError, SETTLE, axpy, dot, softmax};
use crate::parameters;
use crate::random::Random;
use crate::recurrent::State;
use crate::train::{Gradient, Learnt, Network};
use burn::tensor::{Tensor, TensorData};
use std::collections::BTreeMap;

impl LanguageModel {
    /// While a trainer trains it, the gradient of a batch is carried forward with the state by `method` from now on, and not sent back in time. It
    /// is that of the batch's mean loss by parameters of *all* steps since the streams began, those of former batches too; nothing is cut off at
    /// the batch's first step. The influence is part of the state that the trainer carries from batch to batch, and of its checkpoints. What
    /// former batches left in it was made with the parameters of then (see [`Online`](crate::online::Online)).
    ///
    /// The rows of a batch are worked on one after the other. Exact influence takes S N numbers a row, the state's width times the number of the
    /// layer's and the embedding's parameters, and as many times S multiply-adds a token. The embedding's is kept whole by SnAp-1 too.
    ///
    /// # Errors
    /// There are more layers than one; the cell has feeds, or no carousel for the truncated rule; the influence has too many numbers; something is
    /// dropped, punished, fed back or learned that only backpropagation has. Call it last.
    ///
    /// ```
    /// use burn::tensor::Device;
    /// use elman::cells;
    /// use elman::network::LanguageModelConfig;
    /// use elman::online::Method;
    ///
    /// let cell = (cells::find("lstm").unwrap().make)();
    /// let config = LanguageModelConfig { vocabulary: 5, embedding: 4, hidden: 4, output: 4, layers: 1, dropout: 0.0, cell };
    /// let model = config.init(1, &Device::flex().autodiff()).unwrap();
    /// assert!(model.clone().with_online(Method::Rtrl).is_ok());
    /// let error = model.with_learned_initial_state().with_online(Method::Rtrl).unwrap_err();
    /// assert!(error.to_string().starts_with("a learned initial state goes with backpropagation through time only"));
    /// ```
    pub fn with_online(mut self, method: Method) -> Result<Self, OnlineError> {
        let layers = self.rnn.layers().len();
        if layers > 1 {
            return Err(OnlineError::Stacked { layers });
        }
        if let Some(option) = self.backward_only() {
            return Err(OnlineError::Option { option });
        }
        self.check_influence(method, 1)?;
        self.online = Some(method);
        Ok(self)
    }

    /// Whether a batch of so many rows can be learnt from by `method`: [`Method::check`].
    ///
    /// # Errors
    /// The cell does not go with the method, or no memory holds the influence.
    pub fn check_influence(&self, method: Method, rows: usize) -> Result<(), OnlineError> {
        method.check(&self.rnn.layers()[0], self.vocabulary(), rows)
    }

    /// What this model does that has no meaning forward in time.
    fn backward_only(&self) -> Option<&'static str> {
        let drops = self.dropout_embedding > 0.0 || self.dropout_readout > 0.0;
        [
            (self.initial.is_some(), "a learned initial state"),
            (drops, "dropout"),
            (self.regularisation != Regularisation::default(), "regularisation"),
            (self.forcing != Forcing::TEACHER, "scheduled sampling"),
        ]
        .into_iter()
        .find_map(|(has, what)| has.then_some(what))
    }

    /// Loss, state after and gradient of a batch by `method`.
    pub(super) fn learn_forward(
        &self,
        method: Method,
        batch: &TokenBatch,
        before: Option<State>,
        random: &mut Random,
    ) -> Learnt {
        assert_eq!(self.backward_only(), None, "asked for after `with_online`; it goes with backpropagation only");
        assert!(batch.carry.is_none(), "batches that overlap have no meaning forward in time");
        let rnn = &self.rnn.layers()[0];
        let named: BTreeMap<String, Vec<f32>> =
            parameters::export(self).into_iter().map(|p| (p.name, p.values)).collect();
        let names: Vec<String> = rnn.parameters().iter().map(|p| format!("rnn.{}_l0", p.name)).collect();
        let table = &named["embedding.weight"];
        let flat: Vec<f32> = names.iter().flat_map(|name| &named[name]).chain(table).copied().collect();
        let (weight, bias) = (&named["readout.weight"], &named["readout.bias"]);
        let seed = u64::from(random.word()) << 32 | u64::from(random.word());
        let (mut step, mut influence) =
            method.make(rnn, self.vocabulary(), seed).expect("`with_online` has checked the cell");

        let layers: Vec<Vec<Vec<f32>>> = before
            .iter()
            .flat_map(|state| &state.layers)
            .map(|layer| layer.iter().map(|value| to_vec(value.clone())).collect())
            .collect();
        // A row of every value: of the state, or of the influence.
        let row = |layer: usize, b: usize| -> Option<Vec<&[f32]>> {
            let part = |v: &'_ Vec<f32>| v.len() / batch.batch * b..v.len() / batch.batch * (b + 1);
            layers.get(layer).map(|values| values.iter().map(|v| &v[part(v)]).collect())
        };
        let kept = influence.names();
        let mut after = [vec![Vec::new(); step.carried()], vec![Vec::new(); kept.len()]];
        let count = Self::count(batch).max(1) as f32;
        let mut loss = 0.0;
        let mut d_flat = vec![0.0; flat.len()];
        let mut d_weight = vec![0.0; weight.len()];
        let mut d_bias = vec![0.0; bias.len()];
        let mut d_state = vec![0.0; step.state_width()];
        let mut d_step = vec![0.0; flat.len()];
        let steps = batch.ids.len() / batch.batch;
        for b in 0..batch.batch {
            let state = row(0, b).map_or_else(|| vec![0.0; d_state.len()], |values| values.concat());
            step.set_state(&state).expect("as wide as the state");
            influence.reset();
            if let Some(values) = row(1, b) {
                let values = kept.iter().cloned().zip(values.into_iter().map(<[f32]>::to_vec)).collect();
                assert!(influence.import(values), "the state carries the influence of another network");
            }
            for t in 0..batch.lengths.as_ref().map_or(steps, |lengths| lengths[b]) {
                let token = Input::Token(batch.ids[t * batch.batch + b] as usize);
                step.run(&flat, token, &[]).expect("tokens of the vocabulary");
                influence.advance(&step);
                if (t as u64 + 1).is_multiple_of(SETTLE) {
                    influence.settle();
                }
                let target = batch.targets[t * batch.batch + b];
                if target == IGNORE {
                    continue;
                }
                let h = step.output();
                let mut scores: Vec<f32> =
                    weight.chunks(h.len()).zip(bias).map(|(row, &bias)| bias + dot(row, h)).collect();
                softmax(&mut scores);
                loss -= f64::from(scores[target as usize].max(f32::MIN_POSITIVE).ln());
                scores[target as usize] -= 1.0;
                scores.iter_mut().for_each(|d| *d /= count);
                let d_h = &mut d_state[step.output_span()];
                d_h.fill(0.0);
                for ((&d, row), d_row) in scores.iter().zip(weight.chunks(h.len())).zip(d_weight.chunks_mut(h.len())) {
                    axpy(d_h, d, row);
                    axpy(d_row, d, h);
                }
                axpy(&mut d_bias, 1.0, &scores);
                influence.gradient(&d_state, &mut d_step);
                axpy(&mut d_flat, 1.0, &d_step);
            }
            influence.settle();
            let state = step.state();
            for (c, after) in after[0].iter_mut().enumerate() {
                after.extend_from_slice(&state[step.span(c)]);
            }
            for ((_, values), after) in influence.export().into_iter().zip(&mut after[1]) {
                after.extend(values);
            }
        }
        let device = self.readout.bias.val().device();
        let tensor = |values: Vec<f32>| {
            let width = values.len() / batch.batch;
            Tensor::<2>::from_data(TensorData::new(values, [batch.batch, width]), &device)
        };
        let state = State { layers: after.map(|layer| layer.into_iter().map(tensor).collect()).to_vec() };

        let mut rest = &d_flat[..];
        let mut own = |name: &String| {
            let (own, others) = rest.split_at(named[name].len());
            rest = others;
            (name.clone(), Gradient::from(own.to_vec()))
        };
        let mut gradients: Vec<(String, Gradient)> = names.iter().map(&mut own).collect();
        // The order of the module's fields.
        gradients.insert(0, own(&"embedding.weight".to_string()));
        gradients.extend([("readout.weight".into(), d_weight.into()), ("readout.bias".into(), d_bias.into())]);
        Learnt { loss: loss / f64::from(count), state, gradients }
    }
}

#[cfg(test)]
#[path = "online_test.rs"]
mod tests;

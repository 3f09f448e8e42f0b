//! Batches that have few of the vocabulary's words: their rows of the embedding table alone are worked on.
//!
//! The gradient of the whole table is mostly zeros. Making them, taking their norm and subtracting them are five passes over 26 MB for 10,000 words
//! of 650 numbers: 1 to 3 % of a step of Zaremba's models in f32, 7 % in bf16 with dropout.

use super::{LanguageModel, TokenBatch, looked_up};
use crate::flex::to_vec;
use crate::parameters;
use crate::random::Random;
use crate::recurrent::State;
use crate::train::{Gradient, Learnt};
use elman_core::engine::Recompute;

/// A vocabulary so many times as large as a batch's tokens has few of its words there.
const FEW: usize = 2;

/// The distinct tokens in the order in which they come, and for each token its place among them; none where one is not below `vocabulary`.
fn distinct(ids: &[u32], vocabulary: usize) -> Option<(Vec<u32>, Vec<u32>)> {
    let mut place = vec![u32::MAX; vocabulary];
    let mut words = Vec::new();
    let places = ids.iter().map(|&id| {
        let place = place.get_mut(id as usize)?;
        if *place == u32::MAX {
            *place = words.len() as u32;
            words.push(id);
        }
        Some(*place)
    });
    let places = places.collect::<Option<Vec<u32>>>()?;
    Some((words, places))
}

impl LanguageModel {
    /// Loss, state after and gradient of a batch by backpropagation through a table of its own words; none where they are not few.
    pub(super) fn learn_from_few_words(
        &self,
        batch: &TokenBatch,
        before: Option<State>,
        random: &mut Random,
    ) -> Option<Learnt> {
        let whole = self.embedding.weight.val();
        let [vocabulary, width] = whole.dims();
        // A budget of memory was checked for the whole table; a small one may be folded into the input product, which takes more.
        let has_budget = matches!(self.rnn.recompute(), Recompute::Budget(_));
        if vocabulary < FEW * batch.ids.len() || !whole.is_require_grad() || has_budget {
            return None;
        }
        let (words, places) = distinct(&batch.ids, vocabulary)?;
        let table = looked_up(whole.detach(), &words).detach().require_grad();
        let batch = TokenBatch { ids: places.into(), ..batch.clone() };
        let (loss, state) = self.loss_from(table.clone(), &batch, before, Some(random));
        let value = f64::from(to_vec(loss.clone())[0]);
        let state = state.detach();
        if !value.is_finite() {
            return Some(Learnt { loss: value, state, gradients: Vec::new() });
        }
        let mut found = loss.backward();
        drop(loss);
        let mut gradients = parameters::gradients(self, &mut found);
        if let Some(rows) = table.grad_remove(&mut found) {
            let gradient = Gradient::of_rows(words, to_vec(rows), vocabulary * width);
            // The order of the module's fields.
            gradients.insert(0, ("embedding.weight".into(), gradient));
        }
        Some(Learnt { loss: value, state, gradients })
    }
}

#[cfg(test)]
#[path = "few_words_test.rs"]
mod tests;

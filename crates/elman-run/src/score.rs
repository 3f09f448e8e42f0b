//! How well a model predicts a sequence.

use crate::{Model, Stream};
use elman_core::algebra::lanes::Isa;
use elman_core::engine::Engine;
use elman_core::engine::readout::nats;
use std::sync::Arc;

/// A score over `tokens` predictions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Number of predictions: one less than the sequence has characters or words.
    pub tokens: u64,
    /// Mean of -ln p(character or word | those before), in nats.
    pub nats: f64,
    /// The same in bits.
    pub bits: f64,
    /// exp(nats).
    pub perplexity: f64,
}

/// Predictions whose logits are made together: the readout's weights are read once for all of them, which is most of the time of a large
/// vocabulary.
const BLOCK: usize = 32;

/// Scores a sequence as one stream from the initial state, in pieces of any length and constant memory.
///
/// The pieces in which a sequence comes do not change the score by a bit.
pub struct Scorer {
    isa: Isa,
    stream: Stream,
    last: Option<u32>,
    tokens: u64,
    nats: f64,
    /// The outputs (BLOCK, P) and logits (BLOCK, V) of a block.
    y: Vec<f32>,
    logits: Vec<f32>,
}

impl Scorer {
    /// From the initial state. The first token is given, not predicted.
    pub fn new(model: &Model, engine: &Arc<Engine>) -> Scorer {
        let (y, logits) = (vec![0.0; BLOCK * model.output_width()], vec![0.0; BLOCK * model.vocabulary().len()]);
        let stream = Stream::new(model, engine);
        Scorer { isa: engine.isa(), stream, last: None, tokens: 0, nats: 0.0, y, logits }
    }

    /// The next piece of the sequence.
    ///
    /// # Panics
    /// If an id is not in the vocabulary.
    #[track_caller]
    pub fn push(&mut self, ids: &[u32]) {
        let (width, vocabulary) = (self.y.len() / BLOCK, self.logits.len() / BLOCK);
        for block in ids.chunks(BLOCK) {
            // All but the first token of all are predicted, each from the one before it.
            let targets = &block[usize::from(self.last.is_none())..];
            for (&target, y) in targets.iter().zip(self.y.chunks_exact_mut(width)) {
                let before = self.last.replace(target).unwrap_or(block[0]);
                self.stream.advance(Some(before));
                y.copy_from_slice(self.stream.output());
            }
            self.last = block.last().copied();
            if targets.is_empty() {
                continue;
            }
            let logits = &mut self.logits[..targets.len() * vocabulary];
            self.stream.read_out(&self.y[..targets.len() * width], logits);
            for (&target, logits) in targets.iter().zip(logits.chunks_exact(vocabulary)) {
                self.nats += nats(self.isa, logits, target as usize);
                self.tokens += 1;
            }
        }
    }

    /// The score of what was pushed; none before the second character.
    pub fn score(&self) -> Option<Score> {
        let nats = self.nats / self.tokens as f64;
        let bits = nats / std::f64::consts::LN_2;
        (self.tokens > 0).then(|| Score { tokens: self.tokens, nats, bits, perplexity: nats.exp() })
    }
}

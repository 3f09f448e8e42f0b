//! How well a model predicts a sequence.

use crate::{Model, Stream};
use elman_core::engine::Engine;
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
        Scorer { stream: Stream::new(model, engine), last: None, tokens: 0, nats: 0.0, y, logits }
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
                self.nats += nats(logits, target);
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

/// -ln softmax(logits)[target]; NaN if a logit is.
fn nats(logits: &[f32], target: u32) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // Each term is at most 1, and the sum is kept in f64: its rounding is far below the f32 of the logits.
    let sum: f64 = logits.iter().map(|&logit| f64::from((logit - max).exp())).sum();
    sum.ln() - f64::from(logits[target as usize] - max)
}

#[cfg(test)]
mod tests {
    use super::nats;

    #[test]
    fn nats_are_those_of_the_softmax() {
        // Against the definition in f64; f32 exponentials are good to 1e-7 relative.
        let logits = [1.5f32, -2.0, 0.25, 80.0, 79.0];
        let sum: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
        for target in 0..5 {
            let expected = -(f64::from(logits[target]).exp() / sum).ln();
            assert!((nats(&logits, target as u32) - expected).abs() < 1e-6 * expected.max(1.0));
        }
        assert!(nats(&[0.0, f32::NAN], 0).is_nan());
    }
}

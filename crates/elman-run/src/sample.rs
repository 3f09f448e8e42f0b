//! Drawing characters or words from what a model predicts.

use crate::{Error, Model, Stream, Vocabulary};
use elman_core::engine::Engine;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::sync::Arc;

/// How to draw from a distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleSettings {
    /// Logits are divided by it: below 1 the likely becomes likelier. 0 takes the likeliest always.
    pub temperature: f32,
    /// Draw from so many of the likeliest only.
    pub top_k: Option<usize>,
    /// Draw from the fewest likeliest whose probabilities together reach it (nucleus sampling; Holtzman et al. 2020).
    /// After `top_k`, of what that left.
    pub top_p: f32,
    /// Seed of the generator: the same seed draws the same.
    pub seed: u64,
}

impl Default for SampleSettings {
    /// Temperature 1, nothing left out, seed 1: the model's own distribution.
    fn default() -> Self {
        SampleSettings { temperature: 1.0, top_k: None, top_p: 1.0, seed: 1 }
    }
}

/// Draws ids from logits. Nothing is allocated for a draw.
///
/// ```
/// use elman_run::{SampleSettings, Sampler};
/// let mut sampler = Sampler::new(4, SampleSettings { top_k: Some(2), ..Default::default() })?;
/// for _ in 0..100 {
///     assert!([1, 2].contains(&sampler.draw(&[0.0, 3.0, 2.9, 1.0])?));
/// }
/// # Ok::<(), elman_run::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sampler {
    settings: SampleSettings,
    random: ChaCha8Rng,
    /// Weight and id of each candidate.
    candidates: Vec<(f64, u32)>,
}

impl Sampler {
    /// A sampler over `vocabulary` ids.
    ///
    /// # Errors
    /// [`Error::Setting`]: the temperature is negative or not finite, `top_k` is 0, or `top_p` is not in (0, 1].
    pub fn new(vocabulary: usize, settings: SampleSettings) -> Result<Sampler, Error> {
        let SampleSettings { temperature, top_k, top_p, seed } = settings;
        let wrong = |name, value: String, range| Err(Error::Setting { name, value, range });
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return wrong("temperature", temperature.to_string(), "0 (always the likeliest) or a positive number");
        }
        if top_k == Some(0) {
            return wrong("top-k", "0".into(), "at least 1");
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return wrong("top-p", top_p.to_string(), "above 0 and at most 1");
        }
        Ok(Sampler { settings, random: ChaCha8Rng::seed_from_u64(seed), candidates: Vec::with_capacity(vocabulary) })
    }

    /// Draws an id. Of equal logits the lower id counts as the likelier.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a logit is NaN or the largest is infinite.
    ///
    /// # Panics
    /// If there is no logit.
    #[track_caller]
    pub fn draw(&mut self, logits: &[f32]) -> Result<u32, Error> {
        assert!(!logits.is_empty(), "there is nothing to draw from");
        let mut best = 0;
        for (id, &logit) in logits.iter().enumerate() {
            if logit > logits[best] {
                best = id;
            }
        }
        let max = logits[best];
        // A NaN at id 0 stays `max`, and one elsewhere is not above it: both are looked for.
        if !max.is_finite() || logits.iter().any(|logit| logit.is_nan()) {
            return Err(Error::NotFinite);
        }
        let SampleSettings { temperature, top_k, top_p, .. } = self.settings;
        if temperature == 0.0 {
            return Ok(best as u32);
        }
        self.candidates.clear();
        let weighted = |(id, &logit): (usize, &f32)| (f64::from(((logit - max) / temperature).exp()), id as u32);
        self.candidates.extend(logits.iter().enumerate().map(weighted));
        if top_k.is_some_and(|k| k < logits.len()) || top_p < 1.0 {
            self.candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            self.candidates.truncate(top_k.unwrap_or(usize::MAX));
            let nucleus = f64::from(top_p) * self.candidates.iter().map(|c| c.0).sum::<f64>();
            let mut sum = 0.0;
            let reached = self.candidates.iter().position(|c| {
                sum += c.0;
                sum >= nucleus
            });
            // With top-p 1 the same sum in the same order is reached at the last candidate that has any weight.
            self.candidates.truncate(reached.map_or(usize::MAX, |last| last + 1));
        }
        let total: f64 = self.candidates.iter().map(|c| c.0).sum();
        // 53 random bits, in [0, 1).
        let mut left = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * total;
        for &(weight, id) in &self.candidates {
            left -= weight;
            if left < 0.0 {
                return Ok(id);
            }
        }
        // Rounding left a trace: the last that can be drawn.
        Ok(self.candidates.iter().rev().find(|c| c.0 > 0.0).map_or(best as u32, |c| c.1))
    }
}

/// Writes on from a prompt, character by character or word by word, without end: an iterator in constant memory over what is to be appended to
/// the text (a word comes with the space before it, `<eos>` as a line end).
///
/// Without a prompt the model starts from its initial state and zero input.
pub struct Generator<'a> {
    vocabulary: &'a Vocabulary,
    stream: Stream,
    sampler: Sampler,
    last: Option<u32>,
    /// Whether a word needs no space before it.
    line_begins: bool,
}

impl<'a> Generator<'a> {
    /// Reads the prompt.
    ///
    /// # Errors
    /// A setting is out of range, or the prompt has a character that the vocabulary lacks.
    pub fn new(
        model: &'a Model,
        engine: &Arc<Engine>,
        prompt: &str,
        settings: SampleSettings,
    ) -> Result<Generator<'a>, Error> {
        let sampler = Sampler::new(model.vocabulary().len(), settings)?;
        let line_begins = !prompt.ends_with(|last: char| !last.is_whitespace());
        let prompt = model.vocabulary().encode(prompt)?;
        let mut stream = Stream::new(model, engine);
        // The last one goes in with the first step.
        for &id in &prompt[..prompt.len().saturating_sub(1)] {
            stream.advance(Some(id));
        }
        Ok(Generator { vocabulary: model.vocabulary(), stream, sampler, last: prompt.last().copied(), line_begins })
    }
}

impl<'a> Iterator for Generator<'a> {
    type Item = Result<&'a str, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let logits = self.stream.step(self.last);
        Some(self.sampler.draw(logits).map(|id| {
            self.last = Some(id);
            let written = self.vocabulary.written(id, self.line_begins);
            self.line_begins = written == "\n";
            written
        }))
    }
}

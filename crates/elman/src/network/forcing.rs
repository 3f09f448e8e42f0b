//! What a language model's inputs are while it trains: the text, its own tokens, or some of each.

use super::language_model::{LanguageModel, TokenBatch};
use super::readout;
use crate::flex::to_vec;
use crate::random::Random;
use crate::recurrent::State;
use burn::module::Module;
use elman_core::cell::OptionError;

/// With which probability an input is the token of the text; else it is one that the model draws from its prediction of the step before.
///
/// Teacher forcing is 1 throughout, free running 0; between them lies scheduled sampling, with a probability that falls with the step i of
/// training, counted from 0 (Bengio, Vinyals, Jaitly & Shazeer, "Scheduled sampling for sequence prediction with recurrent neural
/// networks", 2015, section 2.4). A coin is thrown for every token. The first token of a batch is always that of the text. The gradient does
/// not flow through the draw.
///
/// ```
/// use elman::network::Forcing;
/// assert_eq!(Forcing::linear(1.0, 0.01, 0.25).unwrap().truth(30), 0.7);
/// assert_eq!(Forcing::linear(1.0, 0.01, 0.25).unwrap().truth(1000), 0.25);
/// assert_eq!(Forcing::exponential(0.5).unwrap().truth(3), 0.125);
/// assert_eq!(Forcing::inverse_sigmoid(9.0).unwrap().truth(0), 0.9); // 9 / (9 + 1)
/// assert_eq!(Forcing::exponential(1.0).unwrap_err().to_string(), "scheduled-sampling k is 1; it must be above 0 and below 1");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forcing(Kind);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Kind {
    #[default]
    Teacher,
    Free,
    Linear {
        start: f64,
        slope: f64,
        least: f64,
    },
    Exponential {
        k: f64,
    },
    InverseSigmoid {
        k: f64,
    },
}

fn check(option: &'static str, value: f64, fits: bool, range: &'static str) -> Result<(), OptionError> {
    if fits { Ok(()) } else { Err(OptionError { option, value, range }) }
}

impl Forcing {
    /// The text's tokens alone.
    pub const TEACHER: Forcing = Forcing(Kind::Teacher);
    /// The model's own tokens alone, after the first.
    pub const FREE: Forcing = Forcing(Kind::Free);

    /// `max(least, start - slope · i)`.
    ///
    /// # Errors
    /// `start` or `least` is no probability, or the slope is negative or not finite.
    pub fn linear(start: f64, slope: f64, least: f64) -> Result<Forcing, OptionError> {
        check("scheduled-sampling start", start, (0.0..=1.0).contains(&start), "from 0 to 1")?;
        check("scheduled-sampling slope", slope, slope >= 0.0 && slope.is_finite(), "a finite number, 0 or above")?;
        check("scheduled-sampling least", least, (0.0..=1.0).contains(&least), "from 0 to 1")?;
        Ok(Forcing(Kind::Linear { start, slope, least }))
    }

    /// `k^i`.
    ///
    /// # Errors
    /// k is not between 0 and 1.
    pub fn exponential(k: f64) -> Result<Forcing, OptionError> {
        check("scheduled-sampling k", k, k > 0.0 && k < 1.0, "above 0 and below 1")?;
        Ok(Forcing(Kind::Exponential { k }))
    }

    /// `k / (k + e^(i / k))`.
    ///
    /// # Errors
    /// k is below 1 or not finite.
    pub fn inverse_sigmoid(k: f64) -> Result<Forcing, OptionError> {
        check("scheduled-sampling k", k, k >= 1.0 && k.is_finite(), "a finite number, 1 or above")?;
        Ok(Forcing(Kind::InverseSigmoid { k }))
    }

    /// The probability at a step.
    pub fn truth(&self, step: u64) -> f64 {
        let i = step as f64;
        match self.0 {
            Kind::Teacher => 1.0,
            Kind::Free => 0.0,
            Kind::Linear { start, slope, least } => (start - slope * i).max(least),
            Kind::Exponential { k } => k.powf(i),
            // e^(i / k) may overflow to infinity: the probability is 0 then.
            Kind::InverseSigmoid { k } => k / (k + (i / k).exp()),
        }
    }
}

impl LanguageModel {
    /// The batch with inputs that are the text's with probability `truth`, and else the model's own: each drawn from its prediction at the
    /// step before, as it is at evaluation, on the inputs so far. Targets stay.
    ///
    /// A loss of this batch has the gradient of scheduled sampling, since none flows through the draws; it is one pass over the whole
    /// sequence, while the draws take another one, step by step, without a gradient.
    pub fn mixed(&self, batch: &TokenBatch, state: Option<State>, truth: f64, random: &mut Random) -> TokenBatch {
        let b = batch.batch;
        let steps = batch.ids.len() / b.max(1);
        if truth >= 1.0 || steps < 2 {
            return batch.clone();
        }
        let model = self.valid();
        let mut ids = batch.ids.to_vec();
        let mut state = state.map(|state| {
            let plain = |value: burn::tensor::Tensor<2>| value.inner();
            State { layers: state.layers.into_iter().map(|l| l.into_iter().map(plain).collect()).collect() }
        });
        for t in 0..steps - 1 {
            let step = TokenBatch {
                ids: ids[t * b..][..b].into(),
                targets: vec![readout::IGNORE; b],
                batch: b,
                lengths: None,
                fresh: false,
                carry: None,
            };
            let (logits, after) = model.logits(&step, state.take());
            state = Some(after);
            let (logits, next) = (to_vec(logits), &mut ids[(t + 1) * b..][..b]);
            for (id, logits) in next.iter_mut().zip(logits.chunks(model.vocabulary())) {
                // Both numbers are drawn in any case: what one row does moves no other's.
                let (coin, place) = (random.uniform(), random.uniform());
                if f64::from(coin) >= truth {
                    *id = draw(logits, place);
                }
            }
        }
        TokenBatch { ids: ids.into(), ..batch.clone() }
    }
}

/// The token at which the sum of probabilities passes `place`, in [0, 1).
fn draw(logits: &[f32], place: f32) -> u32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights = || logits.iter().map(|&l| f64::from(l - largest).exp());
    let mut left = f64::from(place) * weights().sum::<f64>();
    let found = weights().position(|weight| {
        left -= weight;
        left < 0.0
    });
    // Rounding may leave a little beyond the last one; a prediction that is no number is the loss's to report.
    found.unwrap_or(logits.len() - 1) as u32
}

#[cfg(test)]
#[path = "forcing_test.rs"]
mod tests;

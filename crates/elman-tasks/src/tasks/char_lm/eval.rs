//! Scoring a part of a text as one stream from the initial state.

use super::material;
use crate::observer::asked;
use crate::tasks::{Evaluation, Report};
use crate::{Error, Observer, Stop};
use elman_core::engine::Engine;
use elman_data::Text;
use elman_run::{Model, Score, Scorer};
use std::ops::Range;
use std::sync::Arc;

/// Characters between two looks at the clock and the signals: about a tenth of a second.
const PIECE: usize = 4096;

/// Scores the characters `part` of a text; none if there is nothing to predict, or it was stopped.
pub fn score(
    model: &Model,
    engine: &Arc<Engine>,
    text: &Text,
    part: Range<usize>,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<Option<Score>, Error> {
    let mut scorer = Scorer::new(model, engine);
    let mut ids = vec![0; PIECE.min(part.len())];
    let mut at = part.start;
    while at < part.end {
        if asked(stop) {
            return Ok(None);
        }
        let ids = &mut ids[..PIECE.min(part.end - at)];
        text.read(at, ids, |character| model.vocabulary().id(character))?;
        scorer.push(ids);
        at += ids.len();
        observer.scoring((at - part.start) as u64, part.len() as u64);
    }
    Ok(scorer.score())
}

/// `elman eval`.
pub fn eval(evaluation: &Evaluation, observer: &mut dyn Observer) -> Result<Report, Error> {
    let Evaluation { dir, settings, fingerprint, data, best, weights, threads, stop } = evaluation;
    let path = if *best { dir.best() } else { dir.model() };
    let model = Model::load(&path)?.with_stream_weights(*weights);
    let (text, part, what) = match data {
        Some(path) => {
            let text = Text::open(path)?;
            let part = 0..text.len();
            (text, part, "whole")
        }
        None => {
            let text = material::open(settings)?;
            if text.fingerprint() != fingerprint {
                return Err(Error::Usage(format!(
                    "{}: it is not the text that the run learnt from (fingerprint {}, the run's is {fingerprint}); \
                     give one with --data",
                    text.path().display(),
                    text.fingerprint()
                )));
            }
            let part = elman_data::Split::new(text.len(), settings.number("held-out")).held_out;
            (text, part, "held-out")
        }
    };
    if part.len() < 2 {
        let advice = if data.is_some() { "give a longer text" } else { "give a text with --data" };
        return Err(Error::Usage(format!(
            "{}: the {what} part has {} character(s), a prediction needs at least 2; {advice}",
            text.path().display(),
            part.len()
        )));
    }
    let engine = Arc::new(Engine::new(*threads));
    let score = score(&model, &engine, &text, part, stop, observer)?;
    observer.end();
    let score = score.ok_or_else(|| Error::Interrupted("stopped before the score was known".into()))?;
    if !score.nats.is_finite() {
        return Err(elman_run::Error::NotFinite.into());
    }
    let mut report = Report { text: describe(&score), ..Report::default() };
    report.text.push('\n');
    report.json.insert("task".into(), model.config().task.clone().into());
    report.json.insert("model".into(), path.display().to_string().into());
    report.json.insert("data".into(), text.path().display().to_string().into());
    report.json.insert("part".into(), what.into());
    report.json.insert("weights".into(), weights.to_string().into());
    add(&score, &mut report.json);
    Ok(report)
}

/// A score in a line.
pub fn describe(score: &Score) -> String {
    format!(
        "{:.4} nats, {:.4} bits a character, perplexity {:.3} ({} predictions)",
        score.nats, score.bits, score.perplexity, score.tokens
    )
}

/// A score's numbers.
pub fn add(score: &Score, json: &mut serde_json::Map<String, serde_json::Value>) {
    json.insert("tokens".into(), score.tokens.into());
    json.insert("nats".into(), score.nats.into());
    json.insert("bits".into(), score.bits.into());
    json.insert("perplexity".into(), score.perplexity.into());
}

//! Scoring a part of a text as one stream from the initial state.

use super::material::Tokens;
use super::{LanguageModelTask, moved};
use crate::observer::asked;
use crate::tasks::{Evaluation, Report};
use crate::{Error, Observer, Stop};
use elman_core::engine::Engine;
use elman_run::{Model, Score, Scorer};
use serde_json::{Map, Value};
use std::ops::Range;
use std::sync::Arc;

/// Tokens between two looks at the clock and the signals: about a tenth of a second.
const PIECE: usize = 4096;

/// Scores the tokens `part`; none if there is nothing to predict, or it was stopped.
pub fn score(
    model: &Model,
    engine: &Arc<Engine>,
    tokens: &Tokens,
    part: Range<usize>,
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<Option<Score>, Error> {
    let mut scorer = Scorer::new(model, engine);
    // Words take longer.
    let piece = if model.vocabulary().len() > 1000 { PIECE / 16 } else { PIECE };
    let mut ids = vec![0; piece.min(part.len())];
    let mut at = part.start;
    while at < part.end {
        if asked(stop) {
            return Ok(None);
        }
        let ids = &mut ids[..piece.min(part.end - at)];
        tokens.read(model.vocabulary(), at, ids)?;
        scorer.push(ids);
        at += ids.len();
        observer.scoring((at - part.start) as u64, part.len() as u64, model.vocabulary().unit());
    }
    Ok(scorer.score())
}

/// `elman eval`.
pub fn eval(task: &LanguageModelTask, evaluation: &Evaluation, observer: &mut dyn Observer) -> Result<Report, Error> {
    let Evaluation { dir, settings, fingerprint, data, best, weights, threads, stop } = evaluation;
    let path = dir.trained(*best)?;
    let model = Model::load(&path)?.with_stream_weights(*weights);
    let unit = model.vocabulary().unit();
    let (name, tokens, parts) = match data {
        Some(path) => {
            let tokens = Tokens::open(path, model.vocabulary())?;
            let parts = vec![("whole", 0..tokens.len())];
            (path.display().to_string(), tokens, parts)
        }
        None => {
            let corpus = (task.open)(settings, observer).map_err(moved)?;
            let name = corpus.name;
            if corpus.fingerprint != *fingerprint {
                return Err(Error::Usage(format!(
                    "{name}: it is not the text that the run learnt from (fingerprint {}, the run's is {fingerprint}); \
                     give one with --data",
                    corpus.fingerprint
                )));
            }
            if matches!(corpus.tokens, Tokens::Ids(_)) && corpus.vocabulary != *model.vocabulary() {
                return Err(Error::Usage(format!(
                    "{}: these settings give another vocabulary than the model's; restore it, or give a text with --data",
                    dir.config().display()
                )));
            }
            let test = Some(("test", corpus.test)).filter(|(_, part)| !part.is_empty());
            (name, corpus.tokens, [("held-out", corpus.held_out)].into_iter().chain(test).collect())
        }
    };
    let engine = Arc::new(Engine::new(*threads));
    let mut report = Report::default();
    report.json.insert("task".into(), model.config().task.clone().into());
    report.json.insert("model".into(), path.display().to_string().into());
    report.json.insert("data".into(), name.clone().into());
    report.json.insert("part".into(), parts[0].0.into());
    report.json.insert("weights".into(), weights.to_string().into());
    let several = parts.len() > 1;
    for (what, part) in parts {
        if part.len() < 2 {
            let advice = if data.is_some() { "give a longer text" } else { "give a text with --data" };
            return Err(Error::Usage(format!(
                "{name}: the {what} part has {} {unit}(s), a prediction needs at least 2; {advice}",
                part.len()
            )));
        }
        let score = score(&model, &engine, &tokens, part, stop, observer)?;
        observer.end();
        let score = score.ok_or_else(|| Error::Interrupted("stopped before the score was known".into()))?;
        if !score.nats.is_finite() {
            return Err(elman_run::Error::NotFinite.into());
        }
        if several {
            report.text += &format!("{what}: ");
        }
        report.text += &format!("{}\n", describe(&score, unit));
        if what == "test" {
            let mut of_test = Map::new();
            add(&score, &mut of_test);
            report.json.insert("test".into(), of_test.into());
        } else {
            add(&score, &mut report.json);
        }
    }
    Ok(report)
}

/// A score in a line.
pub fn describe(score: &Score, unit: &str) -> String {
    format!(
        "{:.4} nats, {:.4} bits a {unit}, perplexity {:.3} ({} predictions)",
        score.nats, score.bits, score.perplexity, score.tokens
    )
}

/// A score's numbers.
pub fn add(score: &Score, json: &mut Map<String, Value>) {
    json.insert("tokens".into(), score.tokens.into());
    json.insert("nats".into(), score.nats.into());
    json.insert("bits".into(), score.bits.into());
    json.insert("perplexity".into(), score.perplexity.into());
}

//! Scores: of a model that was saved, and in words and numbers.

use super::data::{Data, Part};
use super::model::{self, Fit, Fits};
use crate::tasks::{Evaluation, Report};
use crate::{Error, Observer};
use elman::network::OutputFedModel;
use elman_core::engine::WeightFormat;
use serde_json::{Map, Value, json};

/// `elman eval`.
pub fn eval(evaluation: &Evaluation, _: &mut dyn Observer) -> Result<Report, Error> {
    let Evaluation { dir, settings, data, best, weights, threads, .. } = evaluation;
    let task = super::TASK.name;
    if data.is_some() {
        return Err(Error::Usage(format!("--data: `{task}` makes its data from the run's settings; leave it out")));
    }
    if *weights != WeightFormat::Full {
        return Err(Error::Usage(format!("--weights: `{task}` is scored with the weights as they are; leave it out")));
    }
    elman::set_threads(*threads);
    let path = if *best { dir.best() } else { dir.model() };
    let model = model::load(&path)?;
    let mut report = Report::default();
    report.json.insert("task".into(), task.into());
    report.json.insert("model".into(), path.display().to_string().into());
    score(&model, &Data::new(settings)?, &mut report)?;
    Ok(report)
}

/// Adds the scores of the held-out and the test part.
pub fn score(model: &OutputFedModel, data: &Data, report: &mut Report) -> Result<Fits, Error> {
    let mut part = |part: &Part| {
        let fits = model::fits(model, part)?;
        report.text += &format!("{}: {}\n", part.name, describe(&fits));
        let mut numbers = Map::new();
        numbers.insert("one_step".into(), numbers_of(&fits.one_step));
        numbers.insert("free_run".into(), fits.free_run.as_ref().map_or(Value::Null, numbers_of));
        report.json.insert(part.name.replace('-', "_"), numbers.into());
        Ok::<_, Error>(fits)
    };
    let held_out = part(&data.held_out)?;
    part(&data.test)?;
    Ok(held_out)
}

fn numbers_of(fit: &Fit) -> Value {
    json!({"rmse": fit.rmse, "fit": fit.fit})
}

/// Both kinds of prediction in a line.
pub fn describe(fits: &Fits) -> String {
    let one = |fit: &Fit| format!("RMSE {:.4}, fit {:.1} %", fit.rmse, fit.fit);
    let free = fits.free_run.as_ref().map_or("diverges".to_string(), one);
    format!("one step ahead {}; free run {free}", one(&fits.one_step))
}

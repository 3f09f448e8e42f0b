//! What the experiments on the Penn Treebank share: a run of `word-lm` with a preset, in a run directory so that it can be gone on with.

use super::{Log, Options, Outcome, Published, Row};
use crate::metrics::Metric;
use crate::plot::{self, Curve};
use crate::tasks::{self, Override};
use crate::{Error, Observer, Plan, Request, RunDir, Silent};
use elman_run::Score;
use std::path::{Path, PathBuf};

/// One of the recipes.
pub struct Recipe {
    /// Its preset.
    pub preset: &'static str,
    /// Settings that replace the preset's.
    pub settings: &'static [(&'static str, &'static str)],
    /// The published perplexity on the validation part, and where it is from.
    pub valid: (f64, &'static str),
    /// The same on the test part.
    pub test: (f64, &'static str),
    /// The picture's file.
    pub picture: &'static str,
}

/// The short form: a small network and a few steps on the text in the program.
const QUICK: [(&str, &str); 8] = [
    ("data", ""),
    ("hidden", "8"),
    ("vocabulary", "200"),
    ("seq-len", "5"),
    ("batch", "4"),
    ("steps", "24"),
    ("eval-every", "8"),
    ("eval-size", "200"),
];

/// Trains by the recipe, or goes on, and reads what came out.
pub fn run(recipe: &Recipe, options: &Options, log: Log) -> Result<Outcome, Error> {
    let Some(folder) = options.dir else {
        return Err(Error::Failed("this experiment needs a folder for its run".into()));
    };
    let out = folder.join("run");
    let mut overrides = vec![("preset", recipe.preset.to_string())];
    overrides.extend(recipe.settings.iter().map(|&(key, value)| (key, value.to_string())));
    match options.quick {
        true => overrides.extend(QUICK.map(|(key, value)| (key, value.to_string()))),
        false => overrides.push(("data", data()?.display().to_string())),
    }
    overrides.push(("seed", options.seed.to_string()));
    overrides.push(("threads", options.threads.to_string()));
    overrides.extend(options.precision.map(|precision| ("precision", precision.to_string())));
    let overrides =
        overrides.into_iter().map(|(key, value)| Override { key: key.into(), value, origin: format!("{key}: ") });
    let request = Request {
        resume: out.join("config.toml").exists(),
        out: Some(out.clone()),
        config: None,
        overrides: overrides.collect(),
        verbose: false,
        stop: options.stop,
    };
    let trained = tasks::train(tasks::find("word-lm")?, request, &mut Told { log, plan: None });
    let trained = trained.map_err(|error| match error {
        Error::Interrupted(_) => Error::Interrupted(format!(
            "stopped and saved; the same command with --out {} goes on from there",
            folder.display()
        )),
        other => other,
    })?;
    let mut outcome = Outcome::default();
    let (task, mut evaluation) = tasks::open(&out, options.stop)?;
    evaluation.best = true;
    evaluation.threads = options.threads;
    let best = (task.eval)(&evaluation, &mut Silent)?;
    for (model, report, is_published) in [("last model", &trained, true), ("best in validation", &best, false)] {
        let valid = report.json["perplexity"].as_f64();
        let test = report.json.get("test").and_then(|test| test["perplexity"].as_f64());
        for (part, measured, (published, text)) in [("validation", valid, recipe.valid), ("test", test, recipe.test)] {
            let Some(measured) = measured else { continue };
            outcome.rows.push(Row {
                name: format!("{part}, {model}"),
                measured,
                unit: "perplexity a word",
                published: Published::checked(text).filter(|_| is_published),
                // Seeds differ by some one per cent.
                holds: (is_published && !options.quick).then_some(measured <= 1.02 * published),
            });
        }
    }

    let metrics = Metric::read(&RunDir::open(&out)?.metrics())?;
    let points = metrics.iter().filter_map(|m| Some((m.step as f64, m.held_out?.exp()))).collect();
    let curve = Curve { name: "validation", points, marks: true };
    let title = format!("{}, validation part", recipe.preset);
    let level = [("published, last model", recipe.valid.0)];
    let svg = plot::draw(&title, "perplexity a word", &[curve], if options.quick { &[] } else { &level });
    outcome.pictures.push((recipe.picture, svg.map_err(Error::Failed)?));
    Ok(outcome)
}

/// The Penn Treebank's folder.
fn data() -> Result<PathBuf, Error> {
    let folder = std::env::var_os("ELMAN_DATA")
        .map_or_else(|| Path::new("../shared/data").to_path_buf(), PathBuf::from)
        .join("ptb");
    match folder.is_dir() {
        true => Ok(folder),
        false => Err(Error::Usage(format!(
            "{}: there is no such folder; set ELMAN_DATA to one that has ptb/ptb.train.txt, ptb/ptb.valid.txt and ptb/ptb.test.txt (plain or .gz)",
            folder.display()
        ))),
    }
}

/// Tells a run as lines.
struct Told<'a> {
    log: Log<'a>,
    plan: Option<Plan>,
}

impl Observer for Told<'_> {
    fn note(&mut self, text: &str) {
        (self.log)(text);
    }

    fn begin(&mut self, plan: &Plan) {
        self.plan = Some(*plan);
    }

    fn step(&mut self, step: u64, nats: f64) {
        let last = self.plan.map_or(0, |plan| plan.last);
        if step.is_multiple_of(10) {
            (self.log)(&format!("step {step}/{last}: {nats:.3} nats a word"));
        }
    }

    fn held_out(&mut self, step: u64, score: &Score) {
        (self.log)(&format!("step {step}, validation: perplexity {:.2}", score.perplexity));
    }
}

//! Experiments of the literature, one file each: what was published, what comes out here, a picture.
//!
//! An experiment makes its own data from a seed, trains its networks, and gives rows of figures; [`run`] keeps them with the pictures in a folder.
//! Those on the Penn Treebank read their data, and can be gone on with. `quick` is a short form that only shows that everything runs: its figures
//! mean nothing.

use crate::observer::asked;
use crate::tasks::Report;
use crate::{Error, RunDir, Stop};
use elman_run::{atomic, nearest};
use serde_json::json;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Instant;

mod adding;
mod agreement;
mod clipping;
mod dendrogram;
mod elman_1990;
mod hopfield;
mod ladder;
mod online;
mod penn_treebank;
mod ptb_medium;
mod ptb_small;
mod ptb_variational;
mod reber;
mod temporal_order;
mod tomita;
mod training;

/// Every experiment, in the order in which they are listed.
pub const REGISTRY: &[Experiment] = &[
    adding::EXPERIMENT,
    reber::EXPERIMENT,
    elman_1990::EXPERIMENT,
    agreement::EXPERIMENT,
    temporal_order::EXPERIMENT,
    clipping::EXPERIMENT,
    ladder::EXPERIMENT,
    tomita::EXPERIMENT,
    hopfield::EXPERIMENT,
    ptb_small::EXPERIMENT,
    ptb_medium::EXPERIMENT,
    ptb_variational::EXPERIMENT,
    online::EXPERIMENT,
];

/// An experiment of a paper.
#[derive(Clone)]
pub struct Experiment {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its file in `reproduce/`, without ending.
    pub file: &'static str,
    /// Authors and year.
    pub paper: &'static str,
    /// One line: the task, and what is compared.
    pub summary: &'static str,
    /// What is done, what counts, where it differs from the paper.
    pub doc: &'static str,
    /// Lengths of its sequences that may be asked for, if they are a choice.
    pub lengths: Option<RangeInclusive<usize>>,
    /// Whether its products may be in mixed precision.
    pub mixed: bool,
    /// Does it.
    pub run: fn(&Options, Log) -> Result<Outcome, Error>,
}

/// Where an experiment says how far it is: lines.
pub type Log<'a> = &'a mut dyn FnMut(&str);

/// How an experiment is run.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Of every random number.
    pub seed: u64,
    /// The short form.
    pub quick: bool,
    /// Length of its sequences instead of the experiment's own.
    pub length: Option<usize>,
    /// Of its products, `f32` or `bf16`; none: f32, or what a run that is gone on with has.
    pub precision: Option<&'a str>,
    /// Threads; 0: all. They do not change the figures; one is fastest for networks as small as these, most of all where others work too.
    pub threads: usize,
    /// Set from outside to stop.
    pub stop: &'a Stop,
    /// The results' folder, for what an experiment keeps while it runs; [`run`] sets it.
    pub dir: Option<&'a Path>,
}

/// A figure beside the published one.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The figure.
    pub measured: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What the paper has, in words.
    pub published: Option<Published>,
    /// Whether the paper's claim holds here; none where the row is no claim.
    pub holds: Option<bool>,
}

/// A published figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The figure or the claim.
    pub text: &'static str,
    /// Whether it was compared with the source that the experiment names; else it is quoted from memory.
    pub checked: bool,
}

impl Published {
    /// Quoted from memory.
    pub const fn from_memory(text: &'static str) -> Option<Published> {
        Some(Published { text, checked: false })
    }

    /// Compared with its source.
    pub const fn checked(text: &'static str) -> Option<Published> {
        Some(Published { text, checked: true })
    }

    /// With a word where it was not checked.
    fn shown(self) -> String {
        format!("{}{}", self.text, if self.checked { "" } else { " (from memory)" })
    }
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Figures.
    pub rows: Vec<Row>,
    /// Pictures: file name, SVG.
    pub pictures: Vec<(&'static str, String)>,
    /// More for people to read, such as a tree.
    pub text: String,
}

/// The experiment of this name.
///
/// # Errors
/// There is none; the nearest is named.
pub fn find(name: &str) -> Result<&'static Experiment, Error> {
    REGISTRY.iter().find(|e| e.name == name).ok_or_else(|| {
        let advice = match nearest(name, REGISTRY.iter().map(|e| e.name)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`elman reproduce --list` lists those that there are".to_string(),
        };
        Error::Usage(format!("unknown experiment `{name}`; {advice}"))
    })
}

/// Runs an experiment and keeps its pictures and figures in `out`, or in the first free folder under `runs/`.
///
/// # Errors
/// The length or the precision is not one of the experiment's, there is a result already, it was stopped, or something could not be done.
pub fn run(experiment: &Experiment, options: &Options, out: Option<PathBuf>, log: Log) -> Result<Report, Error> {
    let name = experiment.name;
    match (options.length, &experiment.lengths) {
        (Some(_), None) => {
            return Err(Error::Usage(format!("--length: `{name}` has no length to choose; leave it out")));
        }
        (Some(length), Some(range)) if !range.contains(&length) => {
            let (least, most) = (range.start(), range.end());
            return Err(Error::Usage(format!(
                "--length: it is {length}; for `{name}` it must be from {least} to {most}"
            )));
        }
        _ => {}
    }
    if options.precision.is_some() && !experiment.mixed {
        return Err(Error::Usage(format!("--precision: `{name}` has no precision to choose; leave it out")));
    }
    let out = out.unwrap_or_else(|| RunDir::free(name));
    let result = out.join("result.json");
    if result.exists() {
        return Err(Error::Usage(format!("{}: there is a result already; choose another --out", out.display())));
    }
    // Before the work, so that a folder that cannot be written is told at once.
    let plots = out.join("plots");
    fs::create_dir_all(&plots).map_err(|source| Error::unwritable(&out, source))?;
    // Takes effect once in a process; a later number changes no figure.
    elman::set_threads(options.threads);
    let began = Instant::now();
    let outcome = (experiment.run)(&Options { dir: Some(&out), ..*options }, log)?;
    let seconds = began.elapsed().as_secs_f64();
    let write = |path: &std::path::Path, text: &str| atomic::write(path, |writer| writer.write_all(text.as_bytes()));
    for (file, svg) in &outcome.pictures {
        write(&plots.join(file), svg)?;
    }
    let rows: Vec<_> = outcome
        .rows
        .iter()
        .map(|r| {
            let published = r.published.map(|p| json!({"text": p.text, "checked": p.checked}));
            json!({"name": r.name, "measured": r.measured, "unit": r.unit, "published": published, "holds": r.holds})
        })
        .collect();
    let object = json!({
        "experiment": name, "paper": experiment.paper, "seed": options.seed, "quick": options.quick,
        "length": options.length, "precision": options.precision, "seconds": seconds, "dir": out.display().to_string(), "rows": rows,
        "pictures": outcome.pictures.iter().map(|(file, _)| format!("plots/{file}")).collect::<Vec<_>>(),
    });
    write(&result, &format!("{object:#}\n"))?;
    let mut text = table(&outcome.rows) + &outcome.text;
    if options.quick {
        text += "The short form: these figures mean nothing.\n";
    }
    text += &format!("{name}, seed {}: {seconds:.0} s; {} has result.json and plots\n", options.seed, out.display());
    let serde_json::Value::Object(json) = object else { unreachable!("made as an object") };
    Ok(Report { text, json })
}

/// Figures as columns.
fn table(rows: &[Row]) -> String {
    let lines: Vec<[String; 4]> = std::iter::once(["", "here", "published", "holds"].map(String::from))
        .chain(rows.iter().map(|r| {
            let holds = r.holds.map_or("", |h| if h { "yes" } else { "no" });
            let published = r.published.map_or(String::new(), Published::shown);
            [r.name.clone(), format!("{} {}", figure(r.measured), r.unit).trim().into(), published, holds.into()]
        }))
        .collect();
    let width = |k: usize| lines.iter().map(|line| line[k].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2].map(width);
    let line = |[name, here, published, holds]: &[String; 4]| {
        let [a, b, c] = widths;
        format!("{name:a$}  {here:b$}  {published:c$}  {holds}").trim_end().to_string() + "\n"
    };
    lines.iter().map(line).collect()
}

/// Four significant digits.
fn figure(x: f64) -> String {
    let digits = if x == 0.0 || !x.is_finite() { 0 } else { (3 - x.abs().log10().floor() as i32).clamp(0, 6) };
    let text = format!("{x:.*}", digits as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// Ends an experiment that is asked to stop; nothing of it is kept.
fn check_stop(options: &Options) -> Result<(), Error> {
    if asked(options.stop) {
        return Err(Error::Interrupted("stopped; an experiment begins anew each time: nothing was kept".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

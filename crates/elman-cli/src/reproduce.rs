//! `elman reproduce`

use crate::args::Reproduce;
use crate::failure::Failure;
use crate::{output, signals};
use elman_tasks::reproduce::{self, Options, REGISTRY};
use serde_json::json;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Time between two lines of how far it is.
const LINE: Duration = Duration::from_secs(2);

pub fn run(command: &Reproduce) -> Result<(), Failure> {
    let Some(name) = &command.name else { return list(command.json) };
    let experiment = reproduce::find(name)?;
    let stop = signals::stop()?;
    let &Reproduce { seed, quick, length, threads, .. } = command;
    let precision = command.precision.as_deref();
    let options = Options { seed, quick, length, precision, threads, stop: &stop, dir: None };
    let mut shown: Option<Instant> = None;
    let mut log = |line: &str| {
        if shown.is_none_or(|at| at.elapsed() >= LINE) {
            // If standard error is closed there is nobody left to tell.
            let _ = writeln!(io::stderr(), "{line}");
            shown = Some(Instant::now());
        }
    };
    let report = reproduce::run(experiment, &options, command.out.clone(), &mut log)?;
    if command.json { output::json(report.json) } else { output::text(&report.text) }
}

fn list(as_json: bool) -> Result<(), Failure> {
    if as_json {
        let all: Vec<_> = REGISTRY
            .iter()
            .map(|e| json!({"name": e.name, "paper": e.paper, "summary": e.summary, "doc": e.doc}))
            .collect();
        return output::json([("experiments".to_string(), all.into())].into_iter().collect());
    }
    let text = |e: &reproduce::Experiment| {
        let doc: String = e.doc.lines().map(|line| format!("  {line}").trim_end().to_string() + "\n").collect();
        format!("{}  {}\n  {}\n\n{doc}", e.name, e.summary, e.paper)
    };
    output::text(&REGISTRY.iter().map(text).collect::<Vec<_>>().join("\n"))
}

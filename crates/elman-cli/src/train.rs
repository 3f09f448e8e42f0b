//! `elman train`

use crate::args::Train;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::{output, signals};
use elman_tasks::tasks::{self, Override};
use elman_tasks::{Observer, Request, Silent};

pub fn run(command: Train) -> Result<(), Failure> {
    let stop = signals::stop()?;
    let task = tasks::find(&command.task)?;
    let mut overrides = Vec::new();
    for pair in &command.set {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("--set {pair}: write it as --set KEY=VALUE")));
        };
        let (key, value) = (key.trim().to_string(), value.trim().to_string());
        overrides.push(Override { key, value, origin: format!("--set {pair}: ") });
    }
    overrides.extend(command.settings.0);
    let (mut progress, mut silent) = (Progress::new(), Silent);
    let observer: &mut dyn Observer = if command.quiet { &mut silent } else { &mut progress };
    let request = Request {
        out: command.out,
        resume: command.resume,
        config: command.config,
        overrides,
        verbose: command.verbose,
        stop: &stop,
    };
    let result = tasks::train(task, request, observer);
    // An error is told below the bar, not in it.
    progress.end();
    let report = result?;
    if command.json { output::json(report.json) } else { output::text(&report.text) }
}

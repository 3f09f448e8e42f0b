//! `elman inspect`

use crate::args::Inspect;
use crate::failure::Failure;
use crate::{output, signals};
use elman_tasks::inspect::{self, Options};
use std::io::{self, Write};

pub fn run(command: &Inspect) -> Result<(), Failure> {
    let stop = signals::stop()?;
    let options = Options {
        dir: command.dir.clone(),
        data: command.data.clone(),
        length: command.length,
        lags: command.lags,
        out: command.out.clone(),
        export: command.export.clone(),
        best: command.best,
        threads: command.threads,
        stop: &stop,
    };
    // If standard error is closed there is nobody left to tell.
    let report = inspect::run(&options, &mut |line| drop(writeln!(io::stderr(), "{line}")))?;
    if command.json { output::json(report.json) } else { output::text(&report.text) }
}

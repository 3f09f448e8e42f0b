//! `elman eval`

use crate::args::Eval;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::{output, signals};

pub fn run(command: &Eval) -> Result<(), Failure> {
    let stop = signals::stop()?;
    let (task, mut evaluation) = elman_tasks::tasks::open(&command.dir, &stop)?;
    evaluation.data = command.data.clone();
    evaluation.best = command.best;
    evaluation.weights = command.weights.into();
    evaluation.threads = command.threads;
    let report = (task.eval)(&evaluation, &mut Progress::new())?;
    if command.json { output::json(report.json) } else { output::text(&report.text) }
}

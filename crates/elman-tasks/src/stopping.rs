//! How runs end before their time, and what they may go on with.

use crate::settings::{Resume, Settings};
use crate::{Error, Observer, RunDir};

/// Refuses what would not be the same run, then what `data` refuses; tells what is free to change.
pub fn check_resumed(
    settings: &Settings,
    former: &Settings,
    dir: &RunDir,
    observer: &mut dyn Observer,
    data: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let different = settings.differences(former, Resume::Fixed);
    if !different.is_empty() {
        return Err(Error::Usage(format!(
            "{}: a run cannot go on with other settings ({}); leave them out, or start a new run with another --out",
            dir.path().display(),
            different.join(", ")
        )));
    }
    data()?;
    let changed = settings.differences(former, Resume::Free);
    if !changed.is_empty() {
        observer.note(&format!("changed for the steps to come: {}", changed.join(", ")));
    }
    Ok(())
}

/// Refuses to go on to a step that lies behind; says whether there is a step to make.
pub fn check_steps(dir: &RunDir, done: u64, settings: &Settings) -> Result<bool, Error> {
    let steps = settings.integer("steps");
    if done > steps {
        let dir = dir.path().display();
        return Err(Error::Usage(format!(
            "{dir}: the run has made {done} steps already; give more than that, not {steps}"
        )));
    }
    Ok(done < steps)
}

/// A run that was asked to stop, and is saved.
pub fn interrupted(dir: &RunDir, task: &str, step: u64) -> Error {
    let command = dir.resume_command(task);
    Error::Interrupted(format!("stopped and saved at step {step}; continue with `{command}`"))
}

/// What a run came to that cannot go on.
pub struct Divergence<'a> {
    /// The step in which it was seen.
    pub step: u64,
    /// The last update before that.
    pub update: u64,
    /// The step of the checkpoint.
    pub saved: Option<u64>,
    /// A step before, and the norm of its gradient.
    pub norm: Option<(u64, f64)>,
    /// What is wrong with what.
    pub what: &'a str,
    /// That in figures.
    pub value: &'a str,
}

/// A run that cannot go on; its last checkpoint stays as it is.
pub fn diverged((dir, task): (&RunDir, &str), settings: &Settings, seen: &Divergence) -> Error {
    let Divergence { step, update, saved, norm, what, value } = *seen;
    let checkpoint = dir.checkpoint();
    if step == 1 && norm.is_none() {
        return Error::Failed(format!(
            "step 1: {what} is {value}, before anything was learnt: the initial parameters make it (--init-range, --init-recurrent), or the \
             cell's equations, or the data; change that and begin again with `{}`",
            dir.resume_command(task)
        ));
    }
    let advice = if saved.is_some_and(|saved| saved >= update) {
        // The parameters in it are those that failed.
        format!("{} is of the update that led here: begin a new run, in another --out, with", checkpoint.display())
    } else if checkpoint.exists() {
        format!("{} is still that of before: go on from it with --resume and", checkpoint.display())
    } else {
        format!("there is no checkpoint yet: begin again with `{}` and", dir.resume_command(task))
    };
    let (rate, clip) = (settings.number("lr"), settings.text("clip"));
    let before =
        norm.map_or(String::new(), |(step, norm)| format!(" after a gradient of norm {norm:.3e} in step {step}"));
    Error::Failed(format!(
        "step {step}: {what} is {value}{before}; {advice} a lower --lr (now {rate}) or --clip (now {clip})"
    ))
}

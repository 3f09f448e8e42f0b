//! Where a run stands: with the trainer's checkpoint, all that a resumed run goes on from.

use crate::{Error, Observer, RunDir};
use elman::train::{BatchSource, Checkpoint, CheckpointError, Network, Trainer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What stands beside the trainer's part; `C` says what the network is.
#[derive(Serialize, Deserialize)]
struct Note<C> {
    progress: Progress,
    config: C,
}

/// What a run remembers beside its tensors. Numbers that must come back to the bit are kept as their bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Sum of the losses since the last line of metrics, as bits of an `f64`.
    loss: u64,
    /// Number of them.
    pub losses: u64,
    /// Largest gradient norm since then, as bits.
    norm: u64,
    /// Of these steps, those whose gradient was clipped.
    #[serde(default)]
    clipped: u64,
    /// Lowest held-out loss, as bits.
    best: u64,
    /// Held-out losses since it.
    #[serde(default)]
    pub since_best: u64,
    /// Lengths of the growing files.
    pub metrics: u64,
    /// As above.
    pub samples: u64,
}

impl Progress {
    /// Of a run that begins.
    pub fn new() -> Progress {
        let zero = 0f64.to_bits();
        let best = f64::INFINITY.to_bits();
        Progress { loss: zero, losses: 0, norm: zero, clipped: 0, best, since_best: 0, metrics: 0, samples: 0 }
    }

    /// Another step's loss and gradient norm.
    pub fn add(&mut self, nats: f64, norm: f64, clipped: bool) {
        self.loss = (f64::from_bits(self.loss) + nats).to_bits();
        self.losses += 1;
        self.clipped += u64::from(clipped);
        self.norm = f64::from_bits(self.norm).max(norm).to_bits();
    }

    /// Mean loss, largest norm and share of clipped steps since the last call of this.
    pub fn take(&mut self) -> Option<(f64, f64, f64)> {
        let count = self.losses as f64;
        let result = (f64::from_bits(self.loss) / count, f64::from_bits(self.norm), self.clipped as f64 / count);
        let any = self.losses > 0;
        (self.loss, self.losses, self.norm, self.clipped) = (0f64.to_bits(), 0, 0f64.to_bits(), 0);
        any.then_some(result)
    }

    /// Whether this held-out loss is the lowest so far; it is then remembered.
    pub fn improves(&mut self, nats: f64) -> bool {
        let better = nats < f64::from_bits(self.best);
        if better {
            self.best = nats.to_bits();
        }
        self.since_best = if better { 0 } else { self.since_best + 1 };
        better
    }

    /// Whether a held-out loss was ever remembered.
    pub fn has_best(&self) -> bool {
        f64::from_bits(self.best).is_finite()
    }
}

/// Writes a checkpoint, atomically.
pub fn save<N: Network, C: Serialize + Clone>(
    path: &Path,
    progress: &Progress,
    config: &C,
    trainer: &Trainer<N>,
    source: &impl BatchSource<N::Batch>,
) -> Result<(), Error> {
    let note = Note { progress: progress.clone(), config: config.clone() };
    let note = serde_json::to_string(&note).map_err(|error| Error::Failed(error.to_string()))?;
    trainer.save(source, &note, path).map_err(|error| match error {
        CheckpointError::Io { source, .. } => Error::Failed(format!(
            "{}: cannot be written ({source}); the former checkpoint is unchanged: make room, then go on with --resume",
            path.display()
        )),
        other => Error::Failed(other.to_string()),
    })
}

/// What two networks differ in: `hidden: 8 -> 9`.
fn differences<C: Serialize>(from: &C, to: &C) -> String {
    let fields = |config: &C| match serde_json::to_value(config) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (from, to) = (fields(from), fields(to));
    let changed = from.iter().filter(|(key, value)| to.get(*key) != Some(value));
    let shown = |value: Option<&serde_json::Value>| value.map_or("nothing".into(), ToString::to_string);
    changed.map(|(key, value)| format!("{key}: {value} -> {}", shown(to.get(key)))).collect::<Vec<_>>().join(", ")
}

/// Reads a checkpoint of `task` into a trainer of the same sizes, and goes to its place in the data.
fn load<N: Network, C: Serialize + DeserializeOwned + PartialEq>(
    path: &Path,
    task: &str,
    config: &C,
    trainer: &mut Trainer<N>,
    source: &mut impl BatchSource<N::Batch>,
) -> Result<Progress, Error> {
    let refused = |error: CheckpointError| match error {
        CheckpointError::Io { source, .. } => Error::unreadable(path, source),
        CheckpointError::DoesNotFit(what) => Error::Usage(format!("{}: {what}; start a new run", path.display())),
        other => Error::Usage(format!("{other}; take another copy, or start a new run")),
    };
    let checkpoint = Checkpoint::load(path).map_err(refused)?;
    let note: Note<C> = serde_json::from_str(&checkpoint.note)
        .map_err(|error| Error::Usage(format!("{}: it is not a checkpoint of {task} ({error})", path.display())))?;
    if note.config != *config {
        return Err(Error::Usage(format!(
            "{}: it is of another network than config.toml says ({}); restore config.toml",
            path.display(),
            differences(&note.config, config)
        )));
    }
    trainer.restore(checkpoint, source).map_err(refused)?;
    Ok(note.progress)
}

/// The directory of a new run, or of the one that goes on, which is then brought to its last checkpoint if it has one.
pub fn open<N: Network, C: Serialize + DeserializeOwned + PartialEq>(
    start: (&str, &Path, Option<RunDir>),
    config: &C,
    trainer: &mut Trainer<N>,
    source: &mut impl BatchSource<N::Batch>,
    observer: &mut dyn Observer,
) -> Result<(RunDir, Progress), Error> {
    let (task, out, former) = start;
    let Some(dir) = former else { return Ok((RunDir::create(out)?, Progress::new())) };
    if !dir.checkpoint().exists() {
        if dir.model().exists() {
            return Err(Error::Usage(format!(
                "{}: it is missing, and there is a trained model; put it back, or start a new run with another --out",
                dir.checkpoint().display()
            )));
        }
        observer.note(&format!("{}: no checkpoint yet, starting from the beginning", dir.path().display()));
        return Ok((dir, Progress::new()));
    }
    let progress = load(&dir.checkpoint(), task, config, trainer, source)?;
    observer.note(&format!("{}: going on after step {}", dir.path().display(), trainer.step_count()));
    Ok((dir, progress))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_maxima_come_back_to_the_bit() {
        let mut progress = Progress::new();
        assert_eq!(progress.take(), None);
        progress.add(0.1, 3.0, true);
        progress.add(0.2, 1.0, false);
        let text = serde_json::to_string(&progress).unwrap();
        let mut again: Progress = serde_json::from_str(&text).unwrap();
        assert_eq!(again, progress);
        assert_eq!(again.take(), Some(((0.1 + 0.2) / 2.0, 3.0, 0.5)));
        assert_eq!(again.take(), None);
    }

    #[test]
    fn the_lowest_is_remembered() {
        let mut progress = Progress::new();
        assert!(!progress.has_best());
        assert!(progress.improves(2.0) && !progress.improves(2.0) && progress.improves(1.0));
        assert!(!progress.improves(f64::NAN));
        assert_eq!(progress.since_best, 1);
        assert!(progress.has_best());
    }
}

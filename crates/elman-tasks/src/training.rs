//! The way through training, the same for every task: steps, what is due after each of them, the checkpoint, the stops.

use crate::checkpoint::{self, Progress};
use crate::events::EventFile;
use crate::log_file::LogFile;
use crate::metrics::Metric;
use crate::observer::asked;
use crate::optimisation::Update;
use crate::settings::Settings;
use crate::stopping::{Divergence, check_steps, diverged, interrupted};
use crate::tasks::Report;
use crate::{Error, Loss, Observer, Plan, RunDir, Stop};
use elman::parameters::{self, Named};
use elman::train::{BatchSource, Network, TrainError, Trainer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a task does in a run, beside the steps.
pub trait Learner: Sized {
    /// What learns.
    type Network: Network;
    /// Where its batches come from.
    type Source: BatchSource<<Self::Network as Network>::Batch>;
    /// What the network is, beside its numbers.
    type Config: Serialize + DeserializeOwned + Clone + PartialEq + Debug;

    /// What the loss is.
    const LOSS: Loss;

    /// Tokens or samples learnt from in a step, and what one is called.
    fn tokens(&self, run: &Run<Self>) -> (usize, &'static str);

    /// Times that all of the training data had been read before the last step.
    fn epoch(&self, run: &Run<Self>) -> u64;

    /// The lines that a run begins with.
    fn introduce(&self, run: &mut Run<Self>);

    /// Whatever was asked for before the first step.
    fn begin(&mut self, _run: &mut Run<Self>) -> Result<(), Error> {
        Ok(())
    }

    /// What is wrong with a loss that is an explosion and not a bad batch, and the loss in figures.
    /// `which` is what the loss is called.
    fn explosion(&self, run: &Run<Self>, which: &str, loss: f64) -> Option<(String, String)>;

    /// What `--watch` shows after a step, beside the size of the update.
    fn watch(&self, _run: &Run<Self>) -> Result<Vec<(String, f64)>, Error> {
        Ok(Vec::new())
    }

    /// Scores the held-out part while training, if there is one, and keeps the best model: the scores' fields of a line.
    fn score(&mut self, run: &mut Run<Self>) -> Result<Option<Metric>, Error>;

    /// Whatever else is due after a step.
    fn after_step(&mut self, _run: &mut Run<Self>) -> Result<(), Error> {
        Ok(())
    }

    /// Whether the run ends before its last step.
    fn is_over(&mut self, _run: &mut Run<Self>) -> bool {
        false
    }

    /// The scores of a line under their names for TensorBoard.
    fn scalars(metric: &Metric) -> Vec<(&'static str, Option<f64>)>;

    /// Makes sure that files of its own are on the disk, and notes their lengths.
    fn sync(&mut self, _progress: &mut Progress) -> Result<(), Error> {
        Ok(())
    }

    /// Writes the model, atomically.
    fn save_model(&self, run: &Run<Self>, path: &Path) -> Result<(), Error>;

    /// Draws the losses so far.
    fn plot(&self, run: &mut Run<Self>) -> Result<(), Error>;

    /// The final scores, the last lines and pictures, the report.
    fn finish(self, run: Run<Self>, made: Made) -> Result<Report, Error>;
}

/// The steps of this process.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// Their number.
    pub steps: u64,
    /// Tokens or samples learnt from in them.
    pub tokens: f64,
    /// Wall-clock time.
    pub seconds: f64,
}

/// What a run is opened with.
pub struct Opening<'a, L: Learner> {
    /// The task's name.
    pub task: &'static str,
    /// The directory of a new run.
    pub out: PathBuf,
    /// That of the run that goes on.
    pub former: Option<RunDir>,
    /// The settings, complete.
    pub settings: Settings,
    /// What config.toml says of the data.
    pub data: String,
    /// What config.toml says of the precision.
    pub precision: String,
    /// What the network is.
    pub config: L::Config,
    /// Before its first step.
    pub trainer: Trainer<L::Network>,
    /// At its beginning.
    pub source: L::Source,
    /// Set from outside to stop.
    pub stop: &'a Stop,
}

/// A run under way: all that is the same for every task.
pub struct Run<'a, L: Learner> {
    /// The task's name.
    pub task: &'static str,
    /// The settings.
    pub settings: Settings,
    /// Where everything is written.
    pub dir: RunDir,
    /// The data.
    pub source: L::Source,
    /// What the network is.
    pub config: L::Config,
    /// The network, its optimiser and random numbers.
    pub trainer: Trainer<L::Network>,
    /// What is remembered from step to step.
    pub progress: Progress,
    /// Of the gradient of the last step that was made, unclipped, and that step; none before the first.
    norm: Option<(u64, f64)>,
    /// The step of the checkpoint.
    saved: Option<u64>,
    metrics: LogFile,
    events: EventFile,
    /// Is told everything.
    pub observer: &'a mut dyn Observer,
    /// Set from outside to stop.
    pub stop: &'a Stop,
}

impl<'a, L: Learner> Run<'a, L> {
    /// The directory, brought to its last checkpoint if the run goes on. `write` adds what a task keeps there.
    pub fn open(
        opening: Opening<'a, L>,
        observer: &'a mut dyn Observer,
        write: impl FnOnce(&RunDir, &L::Source) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let Opening { task, out, former, settings, data, precision, config, mut trainer, mut source, stop } = opening;
        let is_new = former.is_none();
        let (dir, progress) = checkpoint::open((task, &out, former), &config, &mut trainer, &mut source, observer)?;
        let goes_on = check_steps(&dir, trainer.step_count(), &settings)?;
        // From here on this run is the only one that writes there. Another one may have begun there a moment ago.
        let allowed = || if is_new { dir.check_free() } else { Ok(()) };
        let metrics = LogFile::open_if(&dir.metrics(), progress.metrics, allowed)?;
        write(&dir, &source)?;
        // Last: a directory with a config.toml is a run. What no step is made with does not come into it.
        if goes_on || !dir.config().exists() {
            dir.write(&dir.config(), &settings.to_toml(task, &data, &precision))?;
        }
        let events = EventFile::create(dir.path(), trainer.step_count())?;
        let (norm, saved) = (None, Some(trainer.step_count()).filter(|&step| step > 0));
        Ok(Run { task, settings, dir, source, config, trainer, progress, norm, saved, metrics, events, observer, stop })
    }

    /// From here to the last step, and the report.
    pub fn train(mut self, mut learner: L) -> Result<Report, Error> {
        learner.introduce(&mut self);
        let began = Instant::now();
        let (first, last) = (self.trainer.step_count(), self.settings.integer("steps"));
        learner.begin(&mut self)?;
        let (tokens, unit) = learner.tokens(&self);
        self.observer.begin(&Plan { first, last: last.max(first), tokens, unit, loss: L::LOSS });
        // A run that ended before its last step is not trained further by going on with the same settings.
        let was_over = first > 0 && learner.is_over(&mut self);
        while !was_over && self.trainer.step_count() < last {
            if asked(self.stop) {
                self.save(&mut learner)?;
                self.observer.end();
                return Err(self.interrupted());
            }
            self.step(&mut learner)?;
            if learner.is_over(&mut self) {
                break;
            }
            if self.trainer.step_count().is_multiple_of(self.settings.integer("checkpoint-every")) {
                self.save(&mut learner)?;
            }
        }
        if self.saved != Some(self.trainer.step_count()) || self.trainer.step_count() == first {
            self.save(&mut learner)?;
        }
        self.observer.end();
        let (seconds, steps) = (began.elapsed().as_secs_f64(), self.trainer.step_count() - first);
        learner.finish(self, Made { steps, tokens: steps as f64 * tokens as f64, seconds })
    }

    /// One step, and whatever is due after it, but for the checkpoint.
    fn step(&mut self, learner: &mut L) -> Result<(), Error> {
        let next = self.trainer.step_count() + 1;
        // The last step has a line too.
        let due = next.is_multiple_of(self.settings.integer("log-every")) || next == self.settings.integer("steps");
        let watched = self.watches() && due;
        let before = watched.then(|| Update::before(self.parameters()));
        let done = match self.trainer.step(&mut self.source) {
            Ok(done) => done,
            Err(error) => {
                self.observer.end();
                return Err(match error {
                    TrainError::NotFinite { step, what, value, .. } => {
                        self.diverged((step, step - 1), what, &value.to_string())
                    }
                    other => Error::Failed(other.to_string()),
                });
            }
        };
        let step = done.step;
        self.progress.add(done.loss, done.norm, done.clipped);
        self.observer.step(step, done.loss);
        if let Some((what, value)) = learner.explosion(self, "the loss", done.loss) {
            self.observer.end();
            return Err(self.diverged((step, step - 1), &what, &value));
        }
        self.norm = Some((step, done.norm));
        if let Some(before) = before {
            let mut watched = vec![("watch/update_to_parameters".to_string(), before.relative(&self.parameters()))];
            watched.extend(learner.watch(self)?);
            let scalars: Vec<(&str, f64)> = watched.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            self.events.scalars(step, &scalars)?;
        }
        let log = self.is_due("log-every");
        let scored = if self.is_due("eval-every") { learner.score(self)? } else { None };
        if log || scored.is_some() {
            self.measure(learner, log, scored)?;
        }
        learner.after_step(self)
    }

    /// Whether what the setting tells the steps of, 0 for never, is due after this one.
    pub fn is_due(&self, key: &str) -> bool {
        let every = self.settings.integer(key);
        every > 0 && self.trainer.step_count().is_multiple_of(every)
    }

    /// A line of metrics with these scores, the same for TensorBoard; with the losses since the last one, if it is of `training` too.
    pub fn measure(&mut self, learner: &L, training: bool, scored: Option<Metric>) -> Result<(), Error> {
        let taken = if training { self.progress.take() } else { None };
        let step = self.trainer.step_count();
        let rate = self.trainer.schedule.rate(self.trainer.rate, step.saturating_sub(1));
        let metric = Metric {
            step,
            epoch: learner.epoch(self),
            loss: taken.map(|t| t.0),
            gradient_norm: taken.map(|t| t.1),
            learning_rate: taken.map(|_| rate),
            ..scored.unwrap_or_default()
        };
        self.metrics.append(&metric.line())?;
        let loss = match L::LOSS {
            Loss::Nats => "train/nats",
            Loss::MeanSquare => "train/mean_square",
        };
        let clipped = taken.map(|t| t.2).filter(|_| self.watches());
        let training = [
            (loss, metric.loss),
            ("train/gradient_norm", metric.gradient_norm),
            ("train/learning_rate", metric.learning_rate),
            ("train/clipped", clipped),
        ];
        let all = training.into_iter().chain(L::scalars(&metric));
        let scalars: Vec<(&str, f64)> = all.filter_map(|(name, value)| Some((name, value?))).collect();
        self.events.scalars(step, &scalars)
    }

    /// Checkpoint first: it alone is what a run goes on from.
    fn save(&mut self, learner: &mut L) -> Result<(), Error> {
        if self.parameters().iter().any(|p| p.values.iter().any(|x| !x.is_finite())) {
            let step = self.trainer.step_count();
            return Err(self.diverged((step, step), "a parameter", "not a finite number"));
        }
        self.progress.metrics = self.metrics.sync()?;
        learner.sync(&mut self.progress)?;
        checkpoint::save(&self.dir.checkpoint(), &self.progress, &self.config, &self.trainer, &self.source)?;
        self.saved = Some(self.trainer.step_count());
        learner.save_model(self, &self.dir.model())?;
        learner.plot(self)
    }

    /// Refuses scores of the held-out part that are an explosion.
    pub fn check_score(&mut self, learner: &L, loss: f64) -> Result<(), Error> {
        let Some((what, value)) = learner.explosion(self, "the held-out loss", loss) else { return Ok(()) };
        self.observer.end();
        let step = self.trainer.step_count();
        Err(self.diverged((step, step), &what, &value))
    }

    /// Makes sure that the lines of metrics are on the disk: the last ones follow the last checkpoint.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.metrics.sync().map(drop)
    }

    /// The lines so far, for a picture.
    pub fn lines(&mut self) -> Option<Vec<Metric>> {
        Metric::read_for_plot(&self.dir.metrics(), self.observer)
    }

    /// Whether `--watch` was asked for.
    fn watches(&self) -> bool {
        self.settings.text("watch") == "on"
    }

    /// Every parameter of the network.
    fn parameters(&self) -> Vec<Named> {
        parameters::export(self.trainer.network())
    }

    /// How many numbers they are.
    pub fn parameter_count(&self) -> usize {
        self.parameters().iter().map(|p| p.values.len()).sum()
    }

    /// The run was asked to stop, and is saved.
    pub fn interrupted(&self) -> Error {
        interrupted(&self.dir, self.task, self.trainer.step_count())
    }

    /// It cannot go on, as was seen in a step after an update.
    fn diverged(&self, (step, update): (u64, u64), what: &str, value: &str) -> Error {
        let seen = Divergence { step, update, saved: self.saved, norm: self.norm, what, value };
        diverged((&self.dir, self.task), &self.settings, &seen)
    }

    /// What every report says, as JSON.
    pub fn report(&self) -> Report {
        let mut report = Report::default();
        report.json.insert("task".into(), self.task.into());
        report.json.insert("dir".into(), self.dir.path().display().to_string().into());
        report.json.insert("step".into(), self.trainer.step_count().into());
        report.json.insert("parameters".into(), self.parameter_count().into());
        report
    }
}

impl Made {
    /// Adds the steps and their speed to a report; `unit` is what a token is.
    pub fn add_to(&self, report: &mut Report, unit: &str) {
        let Made { steps, tokens, seconds } = *self;
        if steps > 0 {
            report.text += &format!("{steps} steps in {seconds:.1} s, {:.0} {unit}s/s\n", tokens / seconds);
        }
        report.json.insert("steps".into(), steps.into());
        report.json.insert("seconds".into(), seconds.into());
        report.json.insert(format!("{unit}s_per_second"), (tokens / seconds).into());
    }
}

//! The way through training.

use super::data::Data;
use super::eval::{describe, score};
use super::model::{self, Config, Fits};
use crate::checkpoint::{self, Progress};
use crate::events::EventFile;
use crate::log_file::LogFile;
use crate::metrics::Metric;
use crate::observer::asked;
use crate::optimisation::{self, Update};
use crate::plot::{self, Curve};
use crate::settings::Settings;
use crate::stopping::{check_resumed, check_steps, diverged, interrupted};
use crate::tasks::{Report, Start};
use crate::{Error, Loss, Observer, Plan, RunDir};
use elman::network::{OutputFedModel, SystemModel, Windows};
use elman::train::{TrainError, Trainer};
use std::time::Instant;

/// A loss so many times that of the mean as prediction is an explosion.
const EXPLOSION: f64 = 1e6;

/// Trains, or goes on training.
pub fn train(start: Start, observer: &mut dyn Observer) -> Result<Report, Error> {
    let Start { task, out, settings, resume, verbose, stop } = start;
    if verbose {
        return Err(Error::Usage(format!(
            "--verbose: it shows the vectors of language models, not of `{}`",
            task.name
        )));
    }
    if let Some((dir, former)) = &resume {
        check_resumed(&settings, former, dir, observer, || Ok(()))?;
    }
    let data = Data::new(&settings)?;
    let config = Config::new(&settings, &data.train);
    elman::set_threads(settings.size("threads"));
    let mut trainer = model::trainer(&config, &data.train, &settings)?;
    let warm = trainer.network().first();
    let (length, batch) = (settings.size("seq-len").saturating_add(warm), settings.size("batch"));
    let mut source = Windows::new(vec![data.train.clone()], length, batch, warm, settings.integer("seed"))
        .map_err(|error| Error::Usage(format!("seq-len and samples: {error}")))?;
    let former = resume.map(|(dir, _)| dir);
    let (dir, progress) = checkpoint::open((task.name, &out, former), &config, &mut trainer, &mut source, observer)?;
    let goes_on = check_steps(&dir, trainer.step_count(), &settings)?;
    let metrics = LogFile::open(&dir.metrics(), progress.metrics)?;
    // Last: a directory with a config.toml is a run. What no step is made with does not come into it.
    if goes_on || !dir.config().exists() {
        dir.write(&dir.config(), &settings.to_toml(task.name, "made from the settings", "f32"))?;
    }
    let mut run = Run {
        metrics,
        events: EventFile::create(dir.path(), trainer.step_count())?,
        settings,
        dir,
        data,
        source,
        config,
        trainer,
        progress,
        norm: None,
        observer,
    };
    run.introduce();
    let began = Instant::now();
    let (first, last) = (run.trainer.step_count(), run.settings.integer("steps"));
    let tokens = batch.saturating_mul(length - warm);
    run.observer.begin(&Plan { first, last: last.max(first), tokens, unit: "sample", loss: Loss::MeanSquare });
    let mut saved = None;
    while run.trainer.step_count() < last {
        if asked(stop) {
            run.save()?;
            run.observer.end();
            return Err(interrupted(&run.dir, task.name, run.trainer.step_count()));
        }
        run.step()?;
        if run.trainer.step_count().is_multiple_of(run.settings.integer("checkpoint-every")) {
            run.save()?;
            saved = Some(run.trainer.step_count());
        }
    }
    if saved != Some(run.trainer.step_count()) {
        run.save()?;
    }
    run.observer.end();
    let (seconds, steps) = (began.elapsed().as_secs_f64(), run.trainer.step_count() - first);
    run.finish(task.name, seconds, steps, tokens)
}

/// Everything that a run holds.
struct Run<'a> {
    settings: Settings,
    dir: RunDir,
    data: Data,
    source: Windows,
    config: Config,
    trainer: Trainer<OutputFedModel>,
    progress: Progress,
    /// Of the gradient of the last step that was made, unclipped, and that step; none before the first.
    norm: Option<(u64, f64)>,
    metrics: LogFile,
    events: EventFile,
    observer: &'a mut dyn Observer,
}

impl Run<'_> {
    fn parameter_count(&self) -> usize {
        let named = elman::parameters::export(self.trainer.network());
        named.iter().map(|p| p.values.len()).sum()
    }

    fn watches(&self) -> bool {
        self.settings.text("watch") == "on"
    }

    fn samples_in_a_step(&self) -> u64 {
        self.settings.integer("batch") * self.settings.integer("seq-len")
    }

    fn introduce(&mut self) {
        let Run { settings, data, config, dir, .. } = &*self;
        let fed = match (settings.text("feed"), settings.integer("chunk")) {
            ("outputs", _) => "its own outputs are fed back".to_string(),
            (_, 0) => "targets are fed back, all steps at once".to_string(),
            (_, chunk) => format!("targets are fed back, {chunk} steps at a time"),
        };
        let line = format!(
            "{}: {} samples to learn from, {} inputs and outputs; {} of {} units, {} parameters, {fed}; {} steps of {} x {} samples; run in {}",
            settings.text("plant"),
            data.train.steps(),
            data.train.outputs(),
            elman_run::cell::title(&config.cell),
            config.hidden,
            self.parameter_count(),
            self.settings.integer("steps"),
            self.settings.size("batch"),
            self.settings.size("seq-len"),
            dir.path().display()
        );
        self.observer.note(&line);
        let chunk = self.settings.text("feed") == "outputs" && self.settings.integer("chunk") > 0;
        let own = ("chunk", chunk, "--feed is outputs");
        for (key, _, why) in optimisation::idle(&self.settings).into_iter().chain([own]).filter(|(_, idle, _)| *idle) {
            self.observer.note(&optimisation::idle_note(key, why));
        }
    }

    /// One step, and whatever is due after it, but for the checkpoint.
    fn step(&mut self) -> Result<(), Error> {
        let stopped =
            |run: &Run, step, what: &str, value: &str| diverged(&run.dir, &run.settings, run.norm, step, what, value);
        let next = self.trainer.step_count() + 1;
        let watched = self.watches() && next.is_multiple_of(self.settings.integer("log-every"));
        let parameters = |run: &Run| elman::parameters::export(run.trainer.network());
        let before = watched.then(|| Update::before(parameters(self)));
        let done = match self.trainer.step(&mut self.source) {
            Ok(done) => done,
            Err(error) => {
                self.observer.end();
                return Err(match error {
                    TrainError::NotFinite { step, what, value, .. } => stopped(self, step, what, &value.to_string()),
                    other => Error::Failed(other.to_string()),
                });
            }
        };
        let step = done.step;
        self.progress.add(done.loss, done.norm, done.clipped);
        self.observer.step(step, done.loss);
        if done.loss > EXPLOSION {
            self.observer.end();
            let what = "the loss explodes: that of the mean as prediction is 1, and it";
            return Err(stopped(self, step, what, &format!("{:.1e}", done.loss)));
        }
        self.norm = Some((step, done.norm));
        if let Some(before) = before {
            let update = before.relative(&parameters(self));
            self.events.scalars(step, &[("watch/update_to_parameters", update)])?;
        }
        let due = |key: &str| {
            let every = self.settings.integer(key);
            every > 0 && step.is_multiple_of(every)
        };
        let (log, eval) = (due("log-every"), due("eval-every"));
        let scored = if eval { Some(model::fits(self.trainer.network(), &self.data.held_out)?) } else { None };
        if let Some(fits) = &scored {
            self.observer.note(&format!("step {step}, held-out: {}", describe(fits)));
            self.keep_if_best(fits)?;
        }
        if log || scored.is_some() { self.measure(log, scored.as_ref(), false) } else { Ok(()) }
    }

    /// The best model is the one with the lowest error in free run.
    fn keep_if_best(&mut self, fits: &Fits) -> Result<(), Error> {
        let Some(free) = fits.free_run else { return Ok(()) };
        if self.progress.improves(free.relative) {
            model::save(self.trainer.network(), &self.config, &self.dir.best())?;
        }
        Ok(())
    }

    /// A line of metrics, the same for TensorBoard.
    fn measure(&mut self, training: bool, scored: Option<&Fits>, last: bool) -> Result<(), Error> {
        let taken = if training { self.progress.take() } else { None };
        let step = self.trainer.step_count();
        let rate = self.trainer.schedule.rate(self.trainer.rate, step.saturating_sub(1));
        let one_step = scored.map(|fits| fits.one_step.relative);
        let metric = Metric {
            step,
            epoch: step.saturating_sub(1) * self.samples_in_a_step() / self.data.train.steps() as u64,
            loss: taken.map(|t| t.0),
            gradient_norm: taken.map(|t| t.1),
            learning_rate: taken.map(|_| rate),
            held_out: one_step.filter(|_| !last),
            free_run: scored.and_then(|fits| Some(fits.free_run?.relative)),
            held_out_whole: one_step.filter(|_| last),
            test: None,
        };
        self.metrics.append(&metric.line())?;
        let scalars: Vec<(&str, f64)> = [
            ("train/mean_square", metric.loss),
            ("train/gradient_norm", metric.gradient_norm),
            ("train/learning_rate", metric.learning_rate),
            ("train/clipped", taken.map(|t| t.2).filter(|_| self.watches())),
            ("held-out/one_step", one_step),
            ("held-out/free_run", metric.free_run),
        ]
        .into_iter()
        .filter_map(|(tag, value)| Some((tag, value?)))
        .collect();
        self.events.scalars(step, &scalars)
    }

    /// Checkpoint first: it alone is what a run goes on from.
    fn save(&mut self) -> Result<(), Error> {
        let model = self.trainer.network();
        if elman::parameters::export(model).iter().any(|p| p.values.iter().any(|x| !x.is_finite())) {
            let (step, what) = (self.trainer.step_count(), "a parameter");
            return Err(diverged(&self.dir, &self.settings, self.norm, step, what, "not a finite number"));
        }
        self.progress.metrics = self.metrics.sync()?;
        checkpoint::save(&self.dir.checkpoint(), &self.progress, &self.config, &self.trainer, &self.source)?;
        model::save(self.trainer.network(), &self.config, &self.dir.model())?;
        self.plot()
    }

    fn title(&self) -> String {
        let cell = elman_run::cell::title(&self.config.cell);
        format!("{}: {cell}, {} units", self.settings.text("plant"), self.config.hidden)
    }

    /// The losses.
    fn plot(&mut self) -> Result<(), Error> {
        let Some(metrics) = Metric::read_for_plot(&self.dir.metrics(), self.observer) else { return Ok(()) };
        let points = |value: fn(&Metric) -> Option<f64>| Metric::points(&metrics, value);
        let curves = [
            Curve { name: "training", points: points(|m| m.loss), marks: false },
            Curve { name: "held-out, one step", points: points(|m| m.held_out.or(m.held_out_whole)), marks: true },
            Curve { name: "held-out, free run", points: points(|m| m.free_run), marks: true },
        ];
        // A run of very few steps has nothing to draw yet.
        match plot::draw(&self.title(), "mean square / variance", &curves, &[]) {
            Ok(svg) => self.dir.write(&self.dir.plots().join("loss.svg"), &svg),
            Err(_) => Ok(()),
        }
    }

    /// The plant's output in the test part, and the model's in free run: the first of the outputs.
    fn plot_free_run(&self) -> Result<(), Error> {
        let (model, part) = (self.trainer.network(), &self.data.test);
        let (outputs, first) = (part.measured.outputs(), model.first());
        let Some(free) = model::free_run(model, part) else { return Ok(()) };
        let points = |values: &[f64], start: usize| {
            values.iter().step_by(outputs).enumerate().map(|(t, y)| ((t + start) as f64, *y)).collect()
        };
        let curves = [
            Curve { name: "plant", points: points(&part.truth, 0), marks: false },
            Curve { name: "network, free run", points: points(&free, first), marks: false },
        ];
        let svg = plot::draw_over(&self.title(), "time step", "first output", &curves, &[]).map_err(Error::Failed)?;
        self.dir.write(&self.dir.plots().join("free_run.svg"), &svg)
    }

    /// The final scores and pictures, the report.
    fn finish(&mut self, task: &str, seconds: f64, steps: u64, tokens: usize) -> Result<Report, Error> {
        let mut report = Report::default();
        report.json.insert("task".into(), task.into());
        report.json.insert("dir".into(), self.dir.path().display().to_string().into());
        report.json.insert("step".into(), self.trainer.step_count().into());
        report.json.insert("parameters".into(), self.parameter_count().into());
        // As it was saved: a file keeps some 48 bits of the units.
        let held_out = score(&model::load(&self.dir.model())?, &self.data, &mut report)?;
        if !self.progress.has_best() {
            self.keep_if_best(&held_out)?;
        }
        // After the last checkpoint: a run that is given more steps writes this line again where it belongs then.
        self.measure(true, Some(&held_out), true)?;
        self.plot()?;
        self.plot_free_run()?;
        self.metrics.sync()?;
        let per_second = steps as f64 * tokens as f64 / seconds;
        if steps > 0 {
            report.text += &format!("{steps} steps in {seconds:.1} s, {per_second:.0} samples/s\n");
        }
        report.text += &format!("score again: elman eval {}\n", self.dir.path().display());
        report.json.insert("steps".into(), steps.into());
        report.json.insert("seconds".into(), seconds.into());
        report.json.insert("samples_per_second".into(), per_second.into());
        Ok(report)
    }
}

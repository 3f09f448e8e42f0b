//! The way of a text through training: windows, steps, measurements, checkpoints, the final score.

use super::eval::{add, describe, score};
use super::material::{self, Material};
use super::watch::Watch;
use super::{LanguageModelTask, idle, network, precision, vectors};
use crate::checkpoint::{self, Progress};
use crate::events::EventFile;
use crate::log_file::LogFile;
use crate::metrics::Metric;
use crate::observer::asked;
use crate::plot::{self, Curve};
use crate::settings::{Kind, Settings};
use crate::stopping::{check_resumed, check_steps, diverged, interrupted};
use crate::tasks::{Report, Start};
use crate::{Error, Loss, Observer, Plan, RunDir};
use elman::network::LanguageModel;
use elman::train::{Overlapping, RateFinder, TrainError, Trainer, Truncation};
use elman_core::engine::Engine;
use elman_run::{Generator, Model, ModelConfig, SampleSettings, Score};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// A loss so many times that of guessing is an explosion, not a bad batch.
const EXPLOSION: f64 = 100.0;
/// Units from which one step of a layer is worth a team of threads.
const WIDE: usize = 512;

/// Trains, or goes on training.
pub fn train(model_task: &LanguageModelTask, start: Start, observer: &mut dyn Observer) -> Result<Report, Error> {
    let Start { task, out, mut settings, resume, verbose, stop } = start;
    for setting in settings.list().iter().filter(|s| matches!(s.kind, Kind::Path)) {
        let path = material::absolute(material::path(&settings, setting.key));
        settings.set(setting.key, &path, "")?;
    }
    let corpus = (model_task.open)(&settings, observer)?;
    let material = Material::new(corpus, &settings, observer)?;
    let epoch = material.steps_in_an_epoch();
    if settings.get("epochs").is_some() {
        let steps = settings.integer("epochs").saturating_mul(epoch);
        settings.set("steps", &steps.to_string(), "epochs: ")?;
    }
    (model_task.decide)(&mut settings, &material);
    if let Some((dir, former)) = &resume {
        let open = crate::tasks::open(dir.path(), stop)?.1.fingerprint;
        check_resumed(&settings, former, dir, observer, || check_text(dir, &open, &material))?;
    }

    let vocabulary = material.corpus.vocabulary.len();
    let config = network::config(task.name, vocabulary, &settings)?;
    network::check_memory(&config, material.streams.batch(), material.back, material.corpus.vocabulary.unit())?;
    // Set once in a process; a second run in the same one keeps the number, which changes no result.
    elman::set_threads(settings.size("threads"));
    // For one step at a time: a team of a small layer would wait for each other longer than it works.
    let engine = Arc::new(Engine::new(if config.hidden < WIDE { 1 } else { settings.size("threads") }));
    let bf16 = precision::choose(&settings, observer);
    let ran = precision::describe(bf16);
    if let Some((dir, _)) = resume.as_ref().filter(|(dir, _)| dir.checkpoint().exists()) {
        precision::compare(dir, &ran, observer)?;
    }
    let mut trainer = network::trainer(&config, vocabulary, &settings, epoch, bf16)?;
    network::check_budget(&trainer, material.streams.batch(), material.back)?;
    let truncation = Truncation::new(material.streams.steps(), material.back)
        .map_err(|error| Error::Usage(format!("stride and seq-len: {error}")))?;
    let mut source = Overlapping::new(material, truncation);
    let former = resume.map(|(dir, _)| dir);
    let (dir, progress) = checkpoint::open((task.name, &out, former), &config, &mut trainer, &mut source, observer)?;
    let corpus = &source.source().corpus;
    corpus.vocabulary.save(dir.vocabulary())?;
    let goes_on = check_steps(&dir, trainer.step_count(), &settings)?;
    let metrics = LogFile::open(&dir.metrics(), progress.metrics)?;
    // Last: a directory with a config.toml is a run. What no step is made with does not come into it.
    if goes_on || !dir.config().exists() {
        dir.write(&dir.config(), &settings.to_toml(task.name, &corpus.fingerprint, &ran))?;
    }

    let mut run = Run {
        metrics,
        samples: LogFile::open(&dir.samples(), progress.samples)?,
        events: EventFile::create(dir.path(), trainer.step_count())?,
        settings,
        dir,
        source,
        config,
        engine,
        ran,
        trainer,
        progress,
        norm: None,
        observer,
    };
    run.introduce();
    let began = Instant::now();
    let first = run.trainer.step_count();
    let last = run.settings.integer("steps");
    if verbose {
        run.show_vectors(&format!("after {first} steps"))?;
    }
    if first == 0 && run.settings.text("find-lr") == "on" {
        run.find_rate()?;
    }
    let (tokens, unit) = (run.material().tokens_in_a_step(), run.unit());
    run.observer.begin(&Plan { first, last: last.max(first), tokens, unit, loss: Loss::Nats });
    let mut saved = None;
    while run.trainer.step_count() < last {
        if asked(stop) {
            run.save()?;
            run.observer.end();
            return Err(run.interrupted(task.name));
        }
        run.step()?;
        if run.is_patient_no_more() {
            break;
        }
        if run.trainer.step_count().is_multiple_of(run.settings.integer("checkpoint-every")) {
            run.save()?;
            saved = Some(run.trainer.step_count());
        }
    }
    if saved != Some(run.trainer.step_count()) {
        run.save()?;
    }
    run.observer.end();
    let seconds = began.elapsed().as_secs_f64();
    if verbose && run.trainer.step_count() > first {
        run.show_vectors(&format!("after {} steps", run.trainer.step_count()))?;
    }
    run.finish(task.name, seconds, run.trainer.step_count() - first, stop)
}

/// Threads that training uses.
fn threads(settings: &Settings) -> usize {
    match settings.size("threads") {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
        n => n,
    }
}

/// Refuses to go on with another text.
fn check_text(dir: &RunDir, fingerprint: &str, material: &Material) -> Result<(), Error> {
    let corpus = &material.corpus;
    if corpus.fingerprint == fingerprint {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{}: a run cannot go on with another text ({}: fingerprint {fingerprint} -> {}); give the text that it \
         began with, or start a new run with another --out",
        dir.path().display(),
        corpus.name,
        corpus.fingerprint
    )))
}

/// Everything that a run holds.
struct Run<'a> {
    settings: Settings,
    dir: RunDir,
    source: Overlapping<Material>,
    config: ModelConfig,
    engine: Arc<Engine>,
    /// The precision.
    ran: String,
    trainer: Trainer<LanguageModel>,
    progress: Progress,
    /// Of the gradient of the last step that was made, unclipped, and that step; none before the first.
    norm: Option<(u64, f64)>,
    metrics: LogFile,
    samples: LogFile,
    events: EventFile,
    observer: &'a mut dyn Observer,
}

impl Run<'_> {
    fn material(&self) -> &Material {
        self.source.source()
    }

    /// What a token is.
    fn unit(&self) -> &'static str {
        self.material().corpus.vocabulary.unit()
    }

    fn parameter_count(&self) -> usize {
        self.trainer.network().parameters().iter().map(|p| p.values.len()).sum()
    }

    /// The learning rate of the last step.
    fn rate(&self) -> f64 {
        self.trainer.schedule.rate(self.trainer.rate, self.trainer.step_count().saturating_sub(1))
    }

    fn introduce(&mut self) {
        let parameters = self.parameter_count();
        let Run { settings, source, dir, config, .. } = self;
        let material = source.source();
        let corpus = &material.corpus;
        let unit = corpus.vocabulary.unit();
        let parts = match corpus.test.len() {
            0 => format!("the last {} are held out", corpus.held_out.len()),
            test => {
                format!("{} to learn from, {} held out, {test} for the test", corpus.train.len(), corpus.held_out.len())
            }
        };
        self.observer.note(&format!(
            "{}: {} {unit}s, {} distinct, unigram entropy {:.3} nats; {parts}",
            corpus.name,
            corpus.tokens.len(),
            corpus.vocabulary.len(),
            corpus.unigram_nats
        ));
        self.observer.note(&format!(
            "{} x {} of {} units, {parameters} parameters; {} steps of {} x {} {unit}s; {} thread(s), {}, {}; run in {}",
            config.layers,
            elman_run::cell::title(&config.cell),
            config.hidden,
            settings.integer("steps"),
            material.streams.batch(),
            material.streams.steps(),
            threads(settings),
            self.engine.isa(),
            self.ran,
            dir.path().display()
        ));
        idle::notes(settings).iter().for_each(|note| self.observer.note(note));
    }

    /// Sweeps learning rates, draws what came out, and tells what it suggests.
    fn find_rate(&mut self) -> Result<(), Error> {
        let finder = RateFinder::default();
        let sweep = finder.sweep(&self.trainer, &mut self.source).map_err(|error| Error::Failed(error.to_string()))?;
        let points = sweep.points.iter().map(|p| ((p.rate / finder.lowest).log10(), p.smoothed)).collect();
        let curves = [Curve { name: "smoothed loss", points, marks: false }];
        let x_name = format!("decades above the rate {:e}", finder.lowest);
        let y_name = format!("nats a {}", self.unit());
        let svg =
            plot::draw_over("the loss by learning rate", &x_name, &y_name, &curves, &[]).map_err(Error::Failed)?;
        let path = self.dir.plots().join("lr.svg");
        self.dir.write(&path, &svg)?;
        let rate = self.settings.number("lr");
        self.observer.note(&match sweep.suggestion() {
            Some(found) => {
                format!("{}: the loss falls most steeply at a rate of {found:.1e}; this run has {rate}", path.display())
            }
            None => format!("{}: the loss falls at no rate; this run has {rate}", path.display()),
        });
        Ok(())
    }

    fn model(&self) -> Result<Model, Error> {
        network::model(&self.trainer, &self.config, &self.material().corpus.vocabulary)
    }

    /// One step, and whatever is due after it, but for the checkpoint.
    fn step(&mut self) -> Result<(), Error> {
        let next = self.trainer.step_count() + 1;
        let watched = self.settings.text("watch") == "on" && next.is_multiple_of(self.settings.integer("log-every"));
        let watch = watched.then(|| Watch::before(&self.trainer));
        let done = match self.trainer.step(&mut self.source) {
            Ok(done) => done,
            Err(error) => {
                self.observer.end();
                return Err(self.stopped(error));
            }
        };
        let step = done.step;
        self.progress.add(done.loss, done.norm, done.clipped);
        self.observer.step(step, done.loss);
        let guess = (self.material().corpus.vocabulary.len().max(2) as f64).ln();
        if done.loss > EXPLOSION * guess {
            self.observer.end();
            let what = format!("the loss explodes: that of guessing is {guess:.1} nats, and it");
            return Err(self.diverged(step, &what, &format!("{:.1}", done.loss)));
        }
        self.norm = Some((step, done.norm));
        if let Some(watch) = watch {
            let scalars = watch.after(&self.trainer, &self.model()?, self.material())?;
            let named: Vec<(&str, f64)> = scalars.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            self.events.scalars(step, &named)?;
        }

        let due = |key: &str| {
            let every = self.settings.integer(key);
            every > 0 && step.is_multiple_of(every)
        };
        let (log, eval, sample) = (due("log-every"), due("eval-every"), due("sample-every"));
        let held_out = if eval { self.eval_beginning()? } else { None };
        if log || held_out.is_some() {
            self.measure(log, held_out, None, None)?;
        }
        if sample {
            let text = self.sample()?;
            self.observer.sample(step, &text);
        }
        Ok(())
    }

    /// Whether the held-out score has not improved for too long.
    fn is_patient_no_more(&mut self) -> bool {
        let patience = self.settings.integer("patience");
        let over = patience > 0 && self.progress.since_best >= patience;
        if over {
            let step = self.trainer.step_count();
            self.observer.note(&format!(
                "stopped early at step {step}: {patience} score(s) on the held-out part without a new lowest; {} has the lowest",
                self.dir.best().display()
            ));
        }
        over
    }

    /// A line of metrics, the same for TensorBoard.
    fn measure(
        &mut self,
        training: bool,
        held_out: Option<f64>,
        held_out_whole: Option<f64>,
        test: Option<f64>,
    ) -> Result<(), Error> {
        let taken = if training { self.progress.take() } else { None };
        let metric = Metric {
            step: self.trainer.step_count(),
            epoch: self.material().epoch(),
            loss: taken.map(|t| t.0),
            gradient_norm: taken.map(|t| t.1),
            learning_rate: taken.map(|_| self.rate()),
            held_out,
            free_run: None,
            held_out_whole,
            test,
        };
        self.metrics.append(&metric.line())?;
        let scalars: Vec<(&str, f64)> = [
            ("train/nats", metric.loss),
            ("train/gradient_norm", metric.gradient_norm),
            ("train/learning_rate", metric.learning_rate),
            ("train/clipped", taken.map(|t| t.2).filter(|_| self.settings.text("watch") == "on")),
            ("held-out/nats", held_out),
            ("held-out/nats_whole", held_out_whole),
            ("test/nats", test),
        ]
        .into_iter()
        .filter_map(|(tag, value)| Some((tag, value?)))
        .collect();
        self.events.scalars(metric.step, &scalars)
    }

    /// The loss on the beginning of the held-out part; keeps the best model.
    fn eval_beginning(&mut self) -> Result<Option<f64>, Error> {
        let part = self.material().corpus.held_out.clone();
        if part.is_empty() {
            return Ok(None);
        }
        let end = part.end.min(part.start.saturating_add(self.settings.size("eval-size")));
        let model = self.model()?;
        // Not stopped in the middle: it is short beside the steps between two of them, and a resumed run must measure the same.
        let never = crate::Stop::new(false);
        let scored =
            score(&model, &self.engine, &self.material().corpus.tokens, part.start..end, &never, &mut crate::Silent)?;
        let Some(scored) = scored else { return Ok(None) };
        self.observer.held_out(self.trainer.step_count(), &scored);
        if self.progress.improves(scored.nats) {
            model.save(self.dir.best())?;
        }
        Ok(Some(scored.nats))
    }

    /// Lets the model write.
    fn sample(&mut self) -> Result<String, Error> {
        let step = self.trainer.step_count();
        let model = self.model()?;
        // Its own random numbers, by seed and step: training does not notice it.
        let seed = self.settings.integer("seed").wrapping_add(step);
        let settings = SampleSettings { temperature: 0.8, seed, ..SampleSettings::default() };
        let text = Generator::new(&model, &self.engine, "", settings)?
            .take(self.settings.size("sample-length"))
            .collect::<Result<String, _>>()?;
        self.samples.append(&format!("---- after {step} steps ----\n{text}\n\n"))?;
        Ok(text)
    }

    /// Checkpoint first: it alone is what a run goes on from.
    fn save(&mut self) -> Result<(), Error> {
        let model = self.model()?;
        if model.tensors().iter().any(|tensor| tensor.values.iter().any(|x| !x.is_finite())) {
            return Err(self.diverged(self.trainer.step_count(), "a parameter", "not a finite number"));
        }
        self.progress.metrics = self.metrics.sync()?;
        self.progress.samples = self.samples.sync()?;
        checkpoint::save(&self.dir.checkpoint(), &self.progress, &self.config, &self.trainer, &self.source)?;
        model.save(self.dir.model())?;
        self.plot()
    }

    fn plot(&mut self) -> Result<(), Error> {
        let Some(metrics) = Metric::read_for_plot(&self.dir.metrics(), self.observer) else { return Ok(()) };
        let points = |value: fn(&Metric) -> Option<f64>| Metric::points(&metrics, value);
        let curves = [
            Curve { name: "training", points: points(|m| m.loss), marks: false },
            Curve { name: "held-out", points: points(|m| m.held_out.or(m.held_out_whole)), marks: true },
        ];
        let levels = [("unigram entropy", self.material().corpus.unigram_nats)];
        let title = format!(
            "{} {}, {} layer(s)",
            elman_run::cell::title(&self.config.cell),
            self.config.hidden,
            self.config.layers
        );
        // A run of very few steps has nothing to draw yet.
        match plot::draw(&title, &format!("nats a {}", self.unit()), &curves, &levels) {
            Ok(svg) => self.dir.write(&self.dir.plots().join("loss.svg"), &svg),
            Err(_) => Ok(()),
        }
    }

    fn show_vectors(&mut self, title: &str) -> Result<(), Error> {
        let Material { corpus, streams, .. } = self.material();
        let mut ids = vec![0; corpus.train.len().min(streams.steps() + 1)];
        corpus.tokens.read(&corpus.vocabulary, corpus.train.start, &mut ids)?;
        let shown = vectors::show(&self.model()?, &self.engine, &ids, title);
        self.observer.note(&shown);
        Ok(())
    }

    fn interrupted(&self, task: &str) -> Error {
        interrupted(&self.dir, task, self.trainer.step_count())
    }

    /// A step that could not be made.
    fn stopped(&self, error: TrainError) -> Error {
        match error {
            TrainError::NotFinite { step, what, value, .. } => self.diverged(step, what, &value.to_string()),
            other => Error::Failed(other.to_string()),
        }
    }

    /// A run that cannot go on.
    fn diverged(&self, step: u64, what: &str, value: &str) -> Error {
        diverged(&self.dir, &self.settings, self.norm, step, what, value)
    }

    /// The score of the last model on a part.
    fn final_score(
        &mut self,
        task: &str,
        model: &Model,
        part: Range<usize>,
        stop: &crate::Stop,
    ) -> Result<Option<Score>, Error> {
        if part.is_empty() {
            return Ok(None);
        }
        let scored = score(model, &self.engine, &self.source.source().corpus.tokens, part, stop, self.observer)?;
        self.observer.end();
        let scored = scored.ok_or_else(|| self.interrupted(task))?;
        if !scored.nats.is_finite() {
            let step = self.trainer.step_count();
            return Err(Error::Failed(format!(
                "step {step}: the held-out loss is {}; start again with a lower --lr",
                scored.nats
            )));
        }
        Ok(Some(scored))
    }

    /// The final scores of the last model on the whole held-out part and the test part, a last sample, the report.
    fn finish(&mut self, task: &str, seconds: f64, steps: u64, stop: &crate::Stop) -> Result<Report, Error> {
        let model = self.model()?;
        let scored = self.final_score(task, &model, self.material().corpus.held_out.clone(), stop)?;
        let tested = self.final_score(task, &model, self.material().corpus.test.clone(), stop)?;
        if let Some(score) = scored.filter(|_| !self.progress.has_best()) {
            self.progress.improves(score.nats);
            model.save(self.dir.best())?;
        }
        // After the last checkpoint: a run that is given more steps writes these lines again where they belong then.
        self.measure(true, None, scored.map(|s| s.nats), tested.map(|s| s.nats))?;
        self.plot()?;
        let sample = self.sample()?;
        self.metrics.sync()?;
        self.samples.sync()?;

        let (unigram, unit) = (self.material().corpus.unigram_nats, self.unit());
        let tokens = steps as f64 * self.material().tokens_in_a_step() as f64;
        let mut report = Report::default();
        report.text += &match &scored {
            Some(score) if unigram > 0.0 => format!(
                "held-out: {}; {:.0} % of the unigram entropy of {unigram:.3} nats\n",
                describe(score, unit),
                100.0 * score.nats / unigram
            ),
            Some(score) => format!("held-out: {}; the text has one {unit} only\n", describe(score, unit)),
            None => "no held-out part to score\n".to_string(),
        };
        if let Some(score) = &tested {
            report.text += &format!("test, last model: {}\n", describe(score, unit));
        }
        if steps > 0 {
            report.text += &format!("{steps} steps in {seconds:.1} s, {:.0} {unit}s/s\n", tokens / seconds);
        }
        report.text += &format!("sample: elman sample {}\n{sample}\n", self.dir.path().display());
        let json = &mut report.json;
        json.insert("task".into(), task.into());
        json.insert("dir".into(), self.dir.path().display().to_string().into());
        json.insert("step".into(), self.trainer.step_count().into());
        json.insert("precision".into(), self.ran.clone().into());
        json.insert("parameters".into(), self.parameter_count().into());
        json.insert("unigram_nats".into(), unigram.into());
        match &scored {
            Some(score) => add(score, json),
            None => drop(json.insert("tokens".into(), 0.into())),
        }
        if let Some(score) = &tested {
            let mut of_test = serde_json::Map::new();
            add(score, &mut of_test);
            json.insert("test".into(), of_test.into());
        }
        json.insert("steps".into(), steps.into());
        json.insert("seconds".into(), seconds.into());
        json.insert(format!("{unit}s_per_second"), (tokens / seconds).into());
        json.insert("sample".into(), sample.into());
        Ok(report)
    }
}

//! The way of a text through training: windows, steps, measurements, checkpoints, the final score.

use super::eval::{add, describe, score};
use super::material::{self, Corpus, Material};
use super::{LanguageModelTask, idle, network, precision, vectors, watch};
use crate::checkpoint::Progress;
use crate::log_file::LogFile;
use crate::metrics::Metric;
use crate::plot::{self, Curve};
use crate::settings::{Kind, Settings};
use crate::stopping::check_resumed;
use crate::tasks::{Report, Start};
use crate::training::{Learner, Made, Opening, Run};
use crate::{Error, Loss, Observer, RunDir};
use elman::network::LanguageModel;
use elman::train::{Overlapping, RateFinder, Truncation};
use elman_core::engine::Engine;
use elman_run::{Generator, Model, ModelConfig, SampleSettings, Score};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

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
    let corpus = (model_task.open)(&settings, observer);
    let corpus = if resume.is_some() { corpus.map_err(super::moved)? } else { corpus? };
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
    let trainer = network::trainer(&config, vocabulary, &settings, epoch, bf16)?;
    network::check_budget(&trainer, material.streams.batch(), material.back)?;
    let truncation = Truncation::new(material.streams.steps(), material.back)
        .map_err(|error| Error::Usage(format!("stride and seq-len: {error}")))?;
    let source = Overlapping::new(material, truncation);
    let fingerprint = source.source().corpus.fingerprint.clone();
    let opening = Opening {
        task: task.name,
        out,
        former: resume.map(|(dir, _)| dir),
        settings,
        data: fingerprint,
        precision: ran.clone(),
        config,
        trainer,
        source,
        stop,
    };
    let run = Run::open(opening, observer, |dir, source: &Overlapping<Material>| {
        Ok(source.source().corpus.vocabulary.save(dir.vocabulary())?)
    })?;
    let samples = LogFile::open(&run.dir.samples(), run.progress.samples)?;
    run.train(Reader { engine, ran, samples, verbose })
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

/// A run of this.
type TextRun<'a> = Run<'a, Reader>;

/// What a language model's run has beside the steps.
struct Reader {
    engine: Arc<Engine>,
    /// The precision.
    ran: String,
    samples: LogFile,
    /// Show every vector.
    verbose: bool,
}

fn material<'a>(run: &'a TextRun) -> &'a Material {
    run.source.source()
}

/// What a token is.
fn unit(run: &TextRun) -> &'static str {
    material(run).corpus.vocabulary.unit()
}

fn model(run: &TextRun) -> Result<Model, Error> {
    network::model(&run.trainer, &run.config, &material(run).corpus.vocabulary)
}

impl Learner for Reader {
    type Network = LanguageModel;
    type Source = Overlapping<Material>;
    type Config = ModelConfig;

    const LOSS: Loss = Loss::Nats;

    fn tokens(&self, run: &TextRun) -> (usize, &'static str) {
        (material(run).tokens_in_a_step(), unit(run))
    }

    fn epoch(&self, run: &TextRun) -> u64 {
        material(run).epoch()
    }

    fn introduce(&self, run: &mut TextRun) {
        let parameters = run.parameter_count();
        let Run { settings, source, dir, config, .. } = &*run;
        let material = source.source();
        let corpus = &material.corpus;
        let unit = corpus.vocabulary.unit();
        let parts = match corpus.test.len() {
            0 => format!("the last {} are held out", corpus.held_out.len()),
            test => {
                format!("{} to learn from, {} held out, {test} for the test", corpus.train.len(), corpus.held_out.len())
            }
        };
        let text = format!(
            "{}: {} {unit}s, {} distinct, unigram entropy {:.3} nats; {parts}",
            corpus.name,
            corpus.tokens.len(),
            corpus.vocabulary.len(),
            corpus.unigram_nats
        );
        let network = format!(
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
        );
        let notes = [text, network].into_iter().chain(idle::notes(settings));
        notes.for_each(|note| run.observer.note(&note));
    }

    fn begin(&mut self, run: &mut TextRun) -> Result<(), Error> {
        let first = run.trainer.step_count();
        if self.verbose {
            self.show_vectors(run, &format!("after {first} steps"))?;
        }
        match (first, run.settings.text("find-lr")) {
            (0, "on") => find_rate(run)?,
            (_, "on") => {
                run.observer.note("--find-lr: rates are tried before a run's first step; none is when it goes on")
            }
            _ => {}
        }
        Ok(())
    }

    fn explosion(&self, run: &TextRun, which: &str, loss: f64) -> Option<(String, String)> {
        let guess = (material(run).corpus.vocabulary.len().max(2) as f64).ln();
        (loss.is_nan() || loss > EXPLOSION * guess)
            .then(|| (format!("{which} explodes: that of guessing is {guess:.1} nats, and it"), format!("{loss:.1}")))
    }

    fn watch(&self, run: &TextRun) -> Result<Vec<(String, f64)>, Error> {
        watch::gates(&model(run)?, material(run))
    }

    /// On the beginning of the held-out part.
    fn score(&mut self, run: &mut TextRun) -> Result<Option<Metric>, Error> {
        let part = material(run).corpus.held_out.clone();
        if part.is_empty() {
            return Ok(None);
        }
        let end = part.end.min(part.start.saturating_add(run.settings.size("eval-size")));
        let model = model(run)?;
        // Not stopped in the middle: it is short beside the steps between two of them, and a resumed run must measure the same.
        let never = crate::Stop::new(false);
        let tokens = &material(run).corpus.tokens;
        let scored = score(&model, &self.engine, tokens, part.start..end, &never, &mut crate::Silent)?;
        let Some(scored) = scored else { return Ok(None) };
        run.check_score(self, scored.nats)?;
        run.observer.held_out(run.trainer.step_count(), &scored);
        if run.progress.improves(scored.nats) {
            model.save(run.dir.best())?;
        }
        Ok(Some(Metric { held_out: Some(scored.nats), ..Metric::default() }))
    }

    fn after_step(&mut self, run: &mut TextRun) -> Result<(), Error> {
        if run.is_due("sample-every") {
            let text = self.sample(run)?;
            run.observer.sample(run.trainer.step_count(), &text);
        }
        Ok(())
    }

    /// Whether the held-out score has not improved for too long.
    fn is_over(&mut self, run: &mut TextRun) -> bool {
        let patience = run.settings.integer("patience");
        let over = patience > 0 && run.progress.since_best >= patience;
        if over {
            run.observer.note(&format!(
                "stopped early at step {}: {patience} score(s) on the held-out part without a new lowest; {} has the lowest",
                run.trainer.step_count(),
                run.dir.best().display()
            ));
        }
        over
    }

    fn scalars(metric: &Metric) -> Vec<(&'static str, Option<f64>)> {
        vec![
            ("held-out/nats", metric.held_out),
            ("held-out/nats_whole", metric.held_out_whole),
            ("test/nats", metric.test),
        ]
    }

    fn sync(&mut self, progress: &mut Progress) -> Result<(), Error> {
        progress.samples = self.samples.sync()?;
        Ok(())
    }

    fn save_model(&self, run: &TextRun, path: &Path) -> Result<(), Error> {
        Ok(model(run)?.save(path)?)
    }

    fn plot(&self, run: &mut TextRun) -> Result<(), Error> {
        let Some(metrics) = run.lines() else { return Ok(()) };
        let points = |value: fn(&Metric) -> Option<f64>| Metric::points(&metrics, value);
        let curves = [
            Curve { name: "training", points: points(|m| m.loss), marks: false },
            Curve { name: "held-out", points: points(|m| m.held_out.or(m.held_out_whole)), marks: true },
        ];
        let levels = [("unigram entropy", material(run).corpus.unigram_nats)];
        let ModelConfig { cell, hidden, layers, .. } = &run.config;
        let title = format!("{} {hidden}, {layers} layer(s)", elman_run::cell::title(cell));
        // A run of very few steps has nothing to draw yet.
        match plot::draw(&title, &format!("nats a {}", unit(run)), &curves, &levels) {
            Ok(svg) => run.dir.write(&run.dir.plots().join("loss.svg"), &svg),
            Err(_) => Ok(()),
        }
    }

    /// Scores the last model on the whole held-out part and the test part, and lets it write a last sample.
    fn finish(mut self, mut run: TextRun, made: Made) -> Result<Report, Error> {
        if self.verbose && made.steps > 0 {
            let title = format!("after {} steps", run.trainer.step_count());
            self.show_vectors(&mut run, &title)?;
        }
        let model = model(&run)?;
        let Corpus { held_out, test, .. } = &material(&run).corpus;
        let (held_out, test) = (held_out.clone(), test.clone());
        let scored = self.final_score(&mut run, &model, held_out)?;
        let tested = self.final_score(&mut run, &model, test)?;
        if let Some(score) = scored.filter(|_| !run.progress.has_best()) {
            run.progress.improves(score.nats);
            model.save(run.dir.best())?;
        }
        // After the last checkpoint: a run that is given more steps writes these lines again where they belong then.
        let (held_out_whole, test) = (scored.map(|s| s.nats), tested.map(|s| s.nats));
        run.measure(&self, true, Some(Metric { held_out_whole, test, ..Metric::default() }))?;
        self.plot(&mut run)?;
        let sample = self.sample(&run)?;
        run.sync()?;
        self.samples.sync()?;

        let (unigram, unit) = (material(&run).corpus.unigram_nats, unit(&run));
        let mut report = run.report();
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
        made.add_to(&mut report, unit);
        report.text += &format!("sample: elman sample {}\n{sample}\n", run.dir.path().display());
        let json = &mut report.json;
        json.insert("precision".into(), self.ran.into());
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
        json.insert("sample".into(), sample.into());
        Ok(report)
    }
}

/// Sweeps learning rates, draws what came out, and tells what it suggests.
fn find_rate(run: &mut TextRun) -> Result<(), Error> {
    let finder = RateFinder::default();
    let sweep = finder.sweep(&run.trainer, &mut run.source).map_err(|error| Error::Failed(error.to_string()))?;
    let points = sweep.points.iter().map(|p| ((p.rate / finder.lowest).log10(), p.smoothed)).collect();
    let curves = [Curve { name: "smoothed loss", points, marks: false }];
    let x_name = format!("decades above the rate {:e}", finder.lowest);
    let y_name = format!("nats a {}", unit(run));
    let svg = plot::draw_over("the loss by learning rate", &x_name, &y_name, &curves, &[]).map_err(Error::Failed)?;
    let path = run.dir.plots().join("lr.svg");
    run.dir.write(&path, &svg)?;
    let rate = run.settings.number("lr");
    run.observer.note(&match sweep.suggestion() {
        Some(found) => {
            format!("{}: the loss falls most steeply at a rate of {found:.1e}; this run has {rate}", path.display())
        }
        None => format!("{}: the loss falls at no rate; this run has {rate}", path.display()),
    });
    Ok(())
}

impl Reader {
    /// Lets the model write.
    fn sample(&mut self, run: &TextRun) -> Result<String, Error> {
        let step = run.trainer.step_count();
        let model = model(run)?;
        // Its own random numbers, by seed and step: training does not notice it.
        let seed = run.settings.integer("seed").wrapping_add(step);
        let settings = SampleSettings { temperature: 0.8, seed, ..SampleSettings::default() };
        let text = Generator::new(&model, &self.engine, "", settings)?
            .take(run.settings.size("sample-length"))
            .collect::<Result<String, _>>()?;
        self.samples.append(&format!("---- after {step} steps ----\n{text}\n\n"))?;
        Ok(text)
    }

    fn show_vectors(&self, run: &mut TextRun, title: &str) -> Result<(), Error> {
        let Material { corpus, streams, .. } = material(run);
        let mut ids = vec![0; corpus.train.len().min(streams.steps() + 1)];
        corpus.tokens.read(&corpus.vocabulary, corpus.train.start, &mut ids)?;
        let shown = vectors::show(&model(run)?, &self.engine, &ids, title);
        run.observer.note(&shown);
        Ok(())
    }

    /// The score of the last model on a part.
    fn final_score(&self, run: &mut TextRun, model: &Model, part: Range<usize>) -> Result<Option<Score>, Error> {
        if part.is_empty() {
            return Ok(None);
        }
        let Run { source, observer, stop, .. } = run;
        let scored = score(model, &self.engine, &source.source().corpus.tokens, part, stop, *observer)?;
        run.observer.end();
        let scored = scored.ok_or_else(|| run.interrupted())?;
        run.check_score(self, scored.nats)?;
        Ok(Some(scored))
    }
}

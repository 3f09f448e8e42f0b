//! The way through training.

use super::data::Data;
use super::eval::{describe, score};
use super::model::{self, Config, Fits};
use crate::metrics::Metric;
use crate::optimisation;
use crate::plot::{self, Curve};
use crate::settings::Settings;
use crate::stopping::check_resumed;
use crate::tasks::{Report, Start};
use crate::training::{Learner, Made, Opening, Run};
use crate::{Error, Loss, Observer};
use elman::network::{OutputFedModel, SystemModel, Windows};
use std::path::Path;

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
    check_memory(&settings)?;
    let data = Data::new(&settings)?;
    let config = Config::new(&settings, &data.train);
    elman::set_threads(settings.size("threads"));
    let trainer = model::trainer(&config, &data.train, &settings)?;
    let warm = trainer.network().first();
    let (length, batch) = (settings.size("seq-len").saturating_add(warm), settings.size("batch"));
    let source = Windows::new(vec![data.train.clone()], length, batch, warm, settings.integer("seed"))
        .map_err(|error| Error::Usage(format!("seq-len and samples: {error}")))?;
    let opening = Opening {
        task: task.name,
        out,
        former: resume.map(|(dir, _)| dir),
        settings,
        data: "made from the settings".into(),
        precision: "f32".into(),
        config,
        trainer,
        source,
        stop,
    };
    Run::open(opening, observer, |_, _| Ok(()))?.train(Identifier { data })
}

/// The most states that a step can keep.
const MAX_STATES: usize = 1 << 32;

/// Refuses steps whose states no memory holds.
fn check_memory(settings: &Settings) -> Result<(), Error> {
    let [batch, steps, hidden] = ["batch", "seq-len", "hidden"].map(|key| settings.size(key));
    let states = batch.saturating_mul(steps).saturating_mul(hidden);
    if states > MAX_STATES {
        return Err(Error::Usage(format!(
            "a step of {batch} x {steps} samples would keep {states} states, at most {MAX_STATES} are possible; lower `batch`, `seq-len` or `hidden`"
        )));
    }
    Ok(())
}

/// A run of this.
type PlantRun<'a> = Run<'a, Identifier>;

/// What a plant's run has beside the steps.
struct Identifier {
    data: Data,
}

impl Learner for Identifier {
    type Network = OutputFedModel;
    type Source = Windows;
    type Config = Config;

    const LOSS: Loss = Loss::MeanSquare;

    fn tokens(&self, run: &PlantRun) -> (usize, &'static str) {
        (run.settings.size("batch").saturating_mul(run.settings.size("seq-len")), "sample")
    }

    fn epoch(&self, run: &PlantRun) -> u64 {
        let (samples, _) = self.tokens(run);
        run.trainer.step_count().saturating_sub(1) * samples as u64 / self.data.train.steps() as u64
    }

    fn introduce(&self, run: &mut PlantRun) {
        let Run { settings, config, dir, .. } = &*run;
        let fed = match (settings.text("feed"), settings.integer("chunk")) {
            ("outputs", _) => "its own outputs are fed back".to_string(),
            (_, 0) => "targets are fed back, all steps at once".to_string(),
            (_, chunk) => format!("targets are fed back, {chunk} steps at a time"),
        };
        let line = format!(
            "{}: {} samples to learn from, {} inputs and outputs; {} of {} units, {} parameters, {fed}; {} steps of {} x {} samples; run in {}",
            settings.text("plant"),
            self.data.train.steps(),
            self.data.train.outputs(),
            elman_run::cell::title(&config.cell),
            config.hidden,
            run.parameter_count(),
            settings.integer("steps"),
            settings.size("batch"),
            settings.size("seq-len"),
            dir.path().display()
        );
        let chunk = settings.text("feed") == "outputs" && settings.integer("chunk") > 0;
        let own = ("chunk", chunk, "--feed is outputs");
        let idle = optimisation::idle(settings).into_iter().chain([own]).filter(|(_, idle, _)| *idle);
        let notes = [line].into_iter().chain(idle.map(|(key, _, why)| optimisation::idle_note(key, why)));
        notes.collect::<Vec<_>>().iter().for_each(|note| run.observer.note(note));
    }

    fn explosion(&self, _: &PlantRun, which: &str, loss: f64) -> Option<(String, String)> {
        let what = format!("{which} explodes: that of the mean as prediction is 1, and it");
        (loss.is_nan() || loss > EXPLOSION).then(|| (what, format!("{loss:.1e}")))
    }

    fn score(&mut self, run: &mut PlantRun) -> Result<Option<Metric>, Error> {
        let fits = model::fits(run.trainer.network(), &self.data.held_out)?;
        run.check_score(self, fits.one_step.relative)?;
        run.observer.note(&format!("step {}, held-out: {}", run.trainer.step_count(), describe(&fits)));
        keep_if_best(run, &fits)?;
        Ok(Some(Metric { held_out: Some(fits.one_step.relative), ..free_run_of(&fits) }))
    }

    fn scalars(metric: &Metric) -> Vec<(&'static str, Option<f64>)> {
        vec![("held-out/one_step", metric.held_out.or(metric.held_out_whole)), ("held-out/free_run", metric.free_run)]
    }

    fn save_model(&self, run: &PlantRun, path: &Path) -> Result<(), Error> {
        model::save(run.trainer.network(), &run.config, path)
    }

    fn plot(&self, run: &mut PlantRun) -> Result<(), Error> {
        let Some(metrics) = run.lines() else { return Ok(()) };
        let points = |value: fn(&Metric) -> Option<f64>| Metric::points(&metrics, value);
        let curves = [
            Curve { name: "training", points: points(|m| m.loss), marks: false },
            Curve { name: "held-out, one step", points: points(|m| m.held_out.or(m.held_out_whole)), marks: true },
            Curve { name: "held-out, free run", points: points(|m| m.free_run), marks: true },
        ];
        // A run of very few steps has nothing to draw yet.
        match plot::draw(&title(run), "mean square / variance", &curves, &[]) {
            Ok(svg) => run.dir.write(&run.dir.plots().join("loss.svg"), &svg),
            Err(_) => Ok(()),
        }
    }

    fn finish(self, mut run: PlantRun, made: Made) -> Result<Report, Error> {
        let mut report = run.report();
        // As it was saved: a file keeps some 48 bits of the units.
        let held_out = score(&model::load(&run.dir.model())?, &self.data, &mut report)?;
        run.check_score(&self, held_out.one_step.relative)?;
        if !run.progress.has_best() {
            keep_if_best(&mut run, &held_out)?;
        }
        // After the last checkpoint: a run that is given more steps writes this line again where it belongs then.
        let last = Metric { held_out_whole: Some(held_out.one_step.relative), ..free_run_of(&held_out) };
        run.measure(&self, true, Some(last))?;
        self.plot(&mut run)?;
        self.plot_free_run(&run)?;
        run.sync()?;
        made.add_to(&mut report, "sample");
        report.text += &format!("score again: elman eval {}\n", run.dir.path().display());
        Ok(report)
    }
}

impl Identifier {
    /// The plant's output in the test part, and the model's in free run: the first of the outputs.
    fn plot_free_run(&self, run: &PlantRun) -> Result<(), Error> {
        let (model, part) = (run.trainer.network(), &self.data.test);
        let (outputs, first) = (part.measured.outputs(), model.first());
        let Some(free) = model::free_run(model, part) else { return Ok(()) };
        let points = |values: &[f64], start: usize| {
            values.iter().step_by(outputs).enumerate().map(|(t, y)| ((t + start) as f64, *y)).collect()
        };
        let curves = [
            Curve { name: "plant", points: points(&part.truth, 0), marks: false },
            Curve { name: "network, free run", points: points(&free, first), marks: false },
        ];
        let svg = plot::draw_over(&title(run), "time step", "first output", &curves, &[]).map_err(Error::Failed)?;
        run.dir.write(&run.dir.plots().join("free_run.svg"), &svg)
    }
}

/// The best model is the one with the lowest error in free run.
fn keep_if_best(run: &mut PlantRun, fits: &Fits) -> Result<(), Error> {
    let Some(free) = fits.free_run else { return Ok(()) };
    if run.progress.improves(free.relative) {
        model::save(run.trainer.network(), &run.config, &run.dir.best())?;
    }
    Ok(())
}

/// A line's score in free run, if it stays among the numbers.
fn free_run_of(fits: &Fits) -> Metric {
    Metric { free_run: fits.free_run.map(|free| free.relative), ..Metric::default() }
}

fn title(run: &PlantRun) -> String {
    let cell = elman_run::cell::title(&run.config.cell);
    format!("{}: {cell}, {} units", run.settings.text("plant"), run.config.hidden)
}

//! Looking into a network that reads numbers: the same report over a series.

use super::remedy::Trained;
use super::{Findings, LENGTH, Subject, Words, export, lags, measure, write};
use crate::tasks::{Evaluation, OpenSeries, Report, Task};
use crate::{Error, Stop};
use elman::network::{Predict, SequenceNetwork};
use elman::parameters;
use elman_core::engine::Engine;
use elman_run::analysis::{AnalysisError, Network, NetworkLayer, Path, Trace, series_features};
use std::path::PathBuf;
use std::sync::Arc;

/// Steps between the numbers under a heat map.
const MARKS: usize = 10;

/// What is read, and what becomes of it.
#[derive(Debug)]
pub struct Options<'a> {
    /// How the report calls the network.
    pub name: String,
    /// How it calls the series.
    pub data: String,
    /// What the network reads (T, I).
    pub inputs: &'a [f64],
    /// What it is to give at every step (T, K). The loss of a step is half the squared error, whatever the network was trained for.
    pub targets: &'a [f64],
    /// Lags that the gradient is followed back; none: [`LAGS`](super::LAGS), or half of the steps of a shorter series.
    pub lags: Option<usize>,
    /// Steps that training goes back, beside which costs are counted.
    pub window: usize,
    /// Where report.html and report.json go.
    pub out: PathBuf,
    /// Threads; 0: all.
    pub threads: usize,
    /// Set from outside to stop.
    pub stop: &'a Stop,
}

/// The network's numbers in f64, its learned initial state included.
///
/// # Errors
/// A parameter is not finite, or the cell has feeds other than those that training draws.
pub fn network(network: &SequenceNetwork) -> Result<Network, AnalysisError> {
    let mut values =
        parameters::export(network).into_iter().map(|p| p.values.into_iter().map(f64::from).collect::<Vec<f64>>());
    // In the order of the module's fields: layers, initial state, readout.
    let mut next = |count: usize| values.by_ref().take(count).collect::<Vec<_>>();
    let layers = network.rnn.layers();
    let own: Vec<NetworkLayer> = layers
        .iter()
        .map(|layer| NetworkLayer { layer: (**layer).clone(), parameters: next(layer.parameters().len()) })
        .collect();
    let initial: Option<Vec<_>> =
        network.initial.as_ref().map(|initial| initial.layers.iter().map(|l| next(l.len())).collect());
    let readout = next(2);
    let network = Network::of_numbers(own, readout[0].clone(), readout[1].clone())?;
    match initial {
        Some(initial) => network.with_initial(initial),
        None => Ok(network),
    }
}

/// Measures a network, and the same before training, over a series; writes report.html and report.json. `log` gets a line for each part that is begun.
///
/// `cargo run --release -p elman-tasks --example inspect_series` shows it on a network that it trains.
///
/// # Errors
/// The networks differ in more than their numbers, predict after the last step alone or have what cannot be looked into, the series or the lags do not fit, a file cannot be written, or it was
/// stopped.
pub fn run(
    trained: &SequenceNetwork,
    untrained: &SequenceNetwork,
    options: &Options,
    log: &mut dyn FnMut(&str),
) -> Result<Report, Error> {
    let engine = Arc::new(Engine::new(options.threads));
    if trained.predict() != Predict::Every {
        return Err(Error::Usage(
            "the network predicts after the last step alone; a report needs one that predicts at every step".into(),
        ));
    }
    let (now, before) = (network(trained)?, network(untrained)?);
    let shape = |network: &Network| -> Vec<_> {
        network.layers().iter().map(|l| (l.layer.cell().spec().name, l.layer.sizes())).collect()
    };
    if (shape(&now), now.vocabulary()) != (shape(&before), before.vocabulary()) {
        let what = "the network before training has other layers or outputs; it must be the same one as it was drawn";
        return Err(Error::Usage(what.into()));
    }
    let path = Path::series(&now, &engine, options.inputs, options.targets)?;
    if options.window == 0 {
        return Err(Error::Usage("window: it is 0; it must be at least 1".into()));
    }
    let subject = Subject {
        run: options.name.clone(),
        model: None,
        task: "a series".into(),
        cell: now.layers()[0].layer.cell().spec().name.into(),
        parameters: parameters::export(trained).iter().map(|p| p.values.len()).sum(),
        data: options.data.clone(),
        words: WORDS,
        features: series_features(&now, &path),
        symbols: marks(&path),
        lags: lags(options.lags, path.steps(), "lags", "inputs")?,
        window: options.window,
        stride: options.window,
        goes_back: options.window.to_string(),
        trained: Trained::Program,
    };
    let findings: Findings = measure(now, &before, &path, subject, &engine, options.stop, log)?;
    write(&findings, &options.out)
}

const WORDS: Words = Words { unit: "step", material: "series", loss: "(½ Σ error²)", key: "half_squared_error" };

/// What stands under the steps.
fn marks(path: &Path) -> Vec<String> {
    let mark = |t: usize| if t.is_multiple_of(MARKS) { t.to_string() } else { String::new() };
    (0..path.steps()).map(mark).collect()
}

/// A run's network and what it reads.
pub(crate) struct SeriesOfRun {
    pub trained: Network,
    /// The same before its first step.
    pub untrained: Network,
    /// (T, I).
    pub inputs: Vec<f64>,
    /// (T, K).
    pub targets: Vec<f64>,
    /// How the cell and what is read are called.
    pub cell: String,
    pub data: String,
    /// Steps that training goes back.
    pub window: usize,
}

/// `elman inspect` of a run that reads numbers.
pub(super) fn of_run(
    options: &super::Options,
    task: &Task,
    evaluation: &Evaluation,
    open: OpenSeries,
    log: &mut dyn FnMut(&str),
) -> Result<Report, Error> {
    if options.data.is_some() {
        let task = task.name;
        return Err(Error::Usage(format!("--data: `{task}` makes its data from the run's settings; leave it out")));
    }
    let SeriesOfRun { trained, untrained, inputs, targets, cell, data, window } = open(evaluation)?;
    let (width, outputs) = (trained.layers()[0].layer.sizes().input, trained.vocabulary());
    let there = inputs.len() / width;
    let steps = match options.length {
        None => there.min(LENGTH),
        Some(length) if (2..=there).contains(&length) => length,
        Some(length) => {
            return Err(Error::Usage(format!(
                "--length: it is {length}, and there are {there} steps; it must be from 2 to {there}"
            )));
        }
    };
    let engine = Arc::new(Engine::new(options.threads));
    let path = Path::series(&trained, &engine, &inputs[..steps * width], &targets[..steps * outputs])?;
    if let Some(file) = &options.export {
        log("states and gates of every step");
        return export(file, &Trace::new(&trained, &path)?, None);
    }
    let model = if evaluation.best { evaluation.dir.best() } else { evaluation.dir.model() };
    let subject = Subject {
        run: options.dir.display().to_string(),
        model: Some(model.display().to_string()),
        task: task.name.into(),
        cell,
        parameters: trained.layers().iter().map(|l| l.layer.parameter_count()).sum(),
        data,
        words: WORDS,
        features: series_features(&trained, &path),
        symbols: marks(&path),
        lags: lags(options.lags, steps, "--lags", "--length")?,
        window,
        stride: window,
        goes_back: window.to_string(),
        trained: Trained::Plant,
    };
    let findings = measure(trained, &untrained, &path, subject, &engine, options.stop, log)?;
    write(&findings, &options.out.clone().unwrap_or_else(|| evaluation.dir.path().join("inspect")))
}

//! Looking into a run's model, or into a network that reads a [`series`]: one page with figures, the same numbers as JSON, or every state and gate
//! as an archive.
//!
//! The numbers are [`elman_run::analysis`]'s; here the run, its text and its network before training are found, and what comes out is
//! written.

mod cost;
mod double_sum;
mod figure;
pub(crate) use figure::escaped;
mod json;
mod page;
mod product;
mod remedy;
mod report;
mod sections;
pub mod series;
#[cfg(test)]
mod tests;
mod timing;
mod unfolded;
mod units;

use crate::language_model::material::Tokens;
use crate::language_model::moved;
use crate::language_model::network;
use crate::observer::asked;
use crate::settings::Settings;
use crate::tasks::{self, Evaluation, Report, Task};
use crate::{Error, Silent, Stop};
use elman_core::engine::Engine;
use elman_core::layer::Role;
use elman_run::analysis::{
    AnalysisError, Example, Feature, Flow, FlowSettings, Lyapunov, Network, NetworkLayer, Path as TextPath, Paths,
    Products, RecurrentMatrix, Saturation, Selective, Trace, Unfolded, Verdict, bptt, features, geometric_lags,
    most_selective, npz, recurrent_matrices,
};
use elman_run::{Model, Tensor, TensorFile, atomic};
use remedy::Trained;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use timing::{RealTime, Timed};

/// Characters that are read where nothing else is asked for.
pub const LENGTH: usize = 1000;
/// The most: every state of every step is kept.
pub const MAX_LENGTH: usize = 100_000;
/// Lags that the gradient is followed back where nothing else is asked for: the same whatever window the run learnt with, so that runs compare.
pub const LAGS: usize = 64;
/// Of larger states the Jacobian product is estimated: the whole takes a row of a backward pass for each of their numbers.
const MAX_STATE: usize = 512;
/// Rows of the estimate.
const SAMPLE: usize = 128;
/// Of larger matrices eigenvalues are left out.
const MAX_MATRIX: usize = 512;
/// Steps of the unfolded network: its copies of the weights are all in memory.
const COPIES: usize = 12;

/// A command to look into a run.
#[derive(Debug)]
pub struct Options<'a> {
    /// The run's directory.
    pub dir: PathBuf,
    /// A text to read; none: the run's own, its held-out part.
    pub data: Option<PathBuf>,
    /// Characters to read from its beginning; none: [`LENGTH`], or all of a shorter text.
    pub length: Option<usize>,
    /// Lags that the gradient is followed back; none: [`LAGS`], or half of the steps of a shorter text.
    pub lags: Option<usize>,
    /// Where report.html and report.json go; none: `inspect` in the run's directory.
    pub out: Option<PathBuf>,
    /// A file for every state and gate instead of the report.
    pub export: Option<PathBuf>,
    /// The best model instead of the last.
    pub best: bool,
    /// Threads; 0: all.
    pub threads: usize,
    /// Set from outside to stop.
    pub stop: &'a Stop,
}

/// What was asked about, in words.
struct Subject {
    run: String,
    /// The model's file, if it is in one.
    model: Option<String>,
    task: String,
    cell: String,
    parameters: usize,
    data: String,
    words: Words,
    /// What stands under each step: the token that it reads, or every tenth step's number.
    symbols: Vec<String>,
    features: Vec<Feature>,
    lags: usize,
    /// Steps of a window of training, how far the next one is from it, and how far the gradient goes back, in words.
    window: usize,
    stride: usize,
    goes_back: String,
    trained: Trained,
}

/// How what is read is called.
#[derive(Clone, Copy)]
struct Words {
    /// What a step reads.
    unit: &'static str,
    /// All of it.
    material: &'static str,
    /// What the loss is counted in.
    loss: &'static str,
    /// The same as a name in report.json.
    key: &'static str,
}

/// What is measured of a network, trained or not.
struct Measured {
    flow: Flow,
    products: Products,
    verdict: Option<Verdict>,
    /// None where the text is too short.
    lyapunov: Option<Lyapunov>,
    matrices: Vec<RecurrentMatrix>,
}

/// Everything that the report shows.
struct Findings {
    subject: Subject,
    network: Network,
    trained: Measured,
    untrained: Measured,
    trace: Trace,
    saturation: Vec<Saturation>,
    selective: Vec<Selective>,
    unfolding: Unfolding,
    examples: [Example; 3],
    paths: Paths,
    timed: Vec<Timed>,
    real_time: Result<RealTime, String>,
}

/// The unfolded network beside the recurrent one.
struct Unfolding {
    unfolded: Unfolded,
    copies: usize,
    /// Of each parameter of each layer, with its name and whether it is a matrix of weights.
    parameters: Vec<(String, bool)>,
    /// From backpropagation through time, for each of them.
    differences: Vec<f64>,
}

impl Unfolding {
    fn new(network: &Network, path: &TextPath, engine: &Arc<Engine>) -> Result<Unfolding, Error> {
        let steps = path.steps().min(COPIES);
        let unfolded = Unfolded::new(network, path, steps)?;
        let differences = unfolded.differences(&bptt(network, path, engine, steps)?);
        let layers = network.layers().iter().enumerate();
        let named = |(k, l): (usize, &NetworkLayer)| -> Vec<(String, bool)> {
            l.layer.parameters().iter().map(|p| (format!("{}_l{k}", p.name), p.role == Role::Weight)).collect()
        };
        let parameters = layers.flat_map(named).collect();
        let per_copy: usize = network.layers().iter().map(|l| l.layer.parameter_count()).sum();
        Ok(Unfolding { unfolded, copies: steps * per_copy, parameters, differences })
    }

    /// The largest; NaN where one is.
    fn difference(&self) -> f64 {
        self.differences.iter().copied().fold(0.0, |m, x| if x > m || x.is_nan() { x } else { m })
    }
}

impl From<AnalysisError> for Error {
    fn from(error: AnalysisError) -> Error {
        match error {
            AnalysisError::NotFinite => Error::Failed(error.to_string()),
            _ => Error::Usage(error.to_string()),
        }
    }
}

/// `elman inspect`: reads the run, measures, writes. `log` gets a line for each part that is begun.
///
/// # Errors
/// There is no run, it has no model yet, the text or its length do not fit, a file cannot be written, or it was stopped.
pub fn run(options: &Options, log: &mut dyn FnMut(&str)) -> Result<Report, Error> {
    let (task, mut evaluation) = tasks::open(&options.dir, options.stop)?;
    let path = evaluation.dir.trained(options.best)?;
    options.export.as_deref().map_or(Ok(()), check_ending)?;
    if let Some(open) = task.series {
        evaluation.best = options.best;
        return series::of_run(options, task, &evaluation, open, log);
    }
    let model = Model::load(&path)?;
    let (name, tokens, begin) = match &options.data {
        Some(path) => (path.display().to_string(), Tokens::open(path, model.vocabulary())?, 0),
        None => own_text(task, &evaluation, &model)?,
    };
    let (ids, symbols) = read(&model, &name, &tokens, begin, options.length)?;
    let engine = Arc::new(Engine::new(options.threads));
    let network = Network::new(&model)?;
    if let Some(file) = &options.export {
        log("states and gates of every step");
        let trace = Trace::new(&network, &TextPath::new(&network, &engine, &ids)?)?;
        return export(file, &trace, Some((&ids, &symbols)));
    }
    let steps = ids.len() - 1;
    let lags = lags(options.lags, steps, "--lags", "--length")?;
    let config = model.config();
    let subject = Subject {
        run: options.dir.display().to_string(),
        model: Some(path.display().to_string()),
        task: config.task.clone(),
        cell: elman_run::cell::title(&config.cell).into_owned(),
        parameters: model.parameter_count(),
        data: name,
        words: Words { unit: model.vocabulary().unit(), material: "text", loss: "nats", key: "nats" },
        features: features(&symbols),
        symbols,
        lags,
        window: evaluation.settings.size("seq-len"),
        stride: evaluation.settings.size("stride"),
        goes_back: goes_back(&evaluation.settings),
        trained: Trained::LanguageModel,
    };
    let untrained = Network::new(&network::untrained(&model, &evaluation.settings)?)?;
    let path = TextPath::new(&network, &engine, &ids)?;
    let out = options.out.clone().unwrap_or_else(|| evaluation.dir.path().join("inspect"));
    // Before the work, which takes long.
    std::fs::create_dir_all(&out).map_err(|source| Error::unwritable(&out, source))?;
    let findings = measure(network, &untrained, &path, subject, &engine, options.stop, log);
    if findings.is_err() {
        // Only if it is empty.
        let _ = std::fs::remove_dir(&out);
    }
    write(&findings?, &out)
}

/// How far back the gradient of a language model's training goes, in words.
fn goes_back(settings: &Settings) -> String {
    let (window, stride) = (settings.size("seq-len"), settings.size("stride"));
    match settings.text("algorithm") {
        "bptt" if stride == window => window.to_string(),
        "bptt" => format!("{window}, in windows that move on by {stride}"),
        forward => format!("all ({forward} carries the gradient forward)"),
    }
}

/// Refuses to export to a file of another kind.
fn check_ending(file: &Path) -> Result<(), Error> {
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("npz" | "safetensors") => Ok(()),
        _ => Err(Error::Usage(format!("--export: {} must end in .safetensors or .npz", file.display()))),
    }
}

/// Writes the page and its numbers.
fn write(findings: &Findings, out: &Path) -> Result<Report, Error> {
    std::fs::create_dir_all(out).map_err(|source| Error::unwritable(out, source))?;
    let page = report::page(findings);
    let numbers = json::object(findings);
    let (html, json) = (out.join("report.html"), out.join("report.json"));
    let pretty = serde_json::Value::Object(numbers.clone());
    atomic::write(&html, |writer| writer.write_all(page.as_bytes()))?;
    atomic::write(&json, |writer| writer.write_all(format!("{pretty:#}\n").as_bytes()))?;
    let mut report = Report { text: report::summary(findings), json: numbers };
    report.text += &format!("report: {}\nnumbers: {}\n", html.display(), json.display());
    report.json.insert("report".into(), html.display().to_string().into());
    Ok(report)
}

/// Lags to follow back over so many steps. `option` is what they are asked with, `longer` what reads more.
fn lags(asked: Option<usize>, steps: usize, option: &str, longer: &str) -> Result<usize, Error> {
    let most = steps.div_ceil(2);
    match asked {
        None => Ok(LAGS.min(most)),
        Some(lags) if (1..=most).contains(&lags) => Ok(lags),
        Some(lags) => Err(Error::Usage(format!(
            "{option}: it is {lags}; it must be from 1 to {most}, half of the steps that are read ({longer})"
        ))),
    }
}

/// The text that the run learnt from, and where its held-out part begins.
fn own_text(task: &Task, evaluation: &Evaluation, model: &Model) -> Result<(String, Tokens, usize), Error> {
    let Some(open) = task.corpus else {
        return Err(Error::Usage(format!("`{}` learns from no text; give one with --data", task.name)));
    };
    let corpus = open(&evaluation.settings, &mut Silent).map_err(moved)?;
    if corpus.fingerprint != evaluation.fingerprint {
        return Err(Error::Usage(format!(
            "{}: it is not the text that the run learnt from (fingerprint {}, the run's is {}); give one with --data",
            corpus.name, corpus.fingerprint, evaluation.fingerprint
        )));
    }
    if matches!(corpus.tokens, Tokens::Ids(_)) && corpus.vocabulary != *model.vocabulary() {
        let config = evaluation.dir.config();
        return Err(Error::Usage(format!(
            "{}: these settings give another vocabulary than the model's; restore it, or give a text with --data",
            config.display()
        )));
    }
    // A part too short to look at: all of the text instead.
    let begin = if corpus.held_out.len() >= LENGTH { corpus.held_out.start } else { 0 };
    Ok((corpus.name, corpus.tokens, begin))
}

/// Token ids, and the characters or words that they stand for.
fn read(
    model: &Model,
    name: &str,
    tokens: &Tokens,
    begin: usize,
    length: Option<usize>,
) -> Result<(Vec<u32>, Vec<String>), Error> {
    let (there, vocabulary) = (tokens.len() - begin, model.vocabulary());
    let (range, unit) = (2..=there.min(MAX_LENGTH), vocabulary.unit());
    let length = match length {
        None if there < 2 => {
            return Err(Error::Usage(format!(
                "{name}: it has {there} {unit}(s), a prediction needs at least 2; give a text with --data"
            )));
        }
        None => LENGTH.min(there),
        Some(length) if range.contains(&length) => length,
        Some(length) => {
            let part = if begin > 0 { "the held-out part of " } else { "" };
            let advice = if begin > 0 { "; --data FILE reads a file from its beginning" } else { "" };
            return Err(Error::Usage(format!(
                "--length: it is {length}, and {part}{name} has {there} {unit}s to read; it must be from 2 to {}{advice}",
                range.end()
            )));
        }
    };
    let mut ids = vec![0; length];
    tokens.read(vocabulary, begin, &mut ids)?;
    let symbols = ids.iter().map(|&id| vocabulary.symbol(id).to_string()).collect();
    Ok((ids, symbols))
}

fn measure(
    network: Network,
    before: &Network,
    path: &TextPath,
    subject: Subject,
    engine: &Arc<Engine>,
    stop: &Stop,
    log: &mut dyn FnMut(&str),
) -> Result<Findings, Error> {
    let mut next = |what: &str| {
        log(what);
        match asked(stop) {
            true => Err(Error::Interrupted("stopped before the report was written".into())),
            false => Ok(()),
        }
    };
    next("the trained network: gradients by lag, the Jacobian product, exponents")?;
    let trained = measured(&network, path, engine, subject.lags)?;
    next("the same network before training")?;
    let before_path = path.again(before, engine, path.steps())?;
    let untrained = measured(before, &before_path, engine, subject.lags)?;
    let paths = Paths::new(&network, path, engine, double_sum::PATHS)?;
    next("gates and states")?;
    let trace = Trace::new(&network, path)?;
    let selective = most_selective(&trace, &subject.features);
    next("the unfolded network, and what some steps take")?;
    let unfolding = Unfolding::new(&network, path, engine)?;
    let timed = timing::timed(&network, path, &Arc::new(Engine::new(1)), subject.window, subject.stride)?;
    let real_time = timing::real_time(&network, path);
    Ok(Findings {
        saturation: Saturation::of(&trace),
        subject,
        network,
        trained,
        untrained,
        trace,
        selective,
        unfolding,
        examples: Example::all()?,
        paths,
        timed,
        real_time,
    })
}

fn measured(network: &Network, path: &TextPath, engine: &Arc<Engine>, lags: usize) -> Result<Measured, Error> {
    let flow = Flow::new(network, path, engine, FlowSettings { lags, ends: FlowSettings::default().ends })?;
    let product_lags = geometric_lags(lags);
    let products = match network.state_width() <= MAX_STATE {
        true => Products::new(network, path, engine, &product_lags, 2)?,
        false => Products::sampled(network, path, engine, &product_lags, 2, SAMPLE)?,
    };
    let verdict = Verdict::new(&products.lags, &products.largest());
    // Three hundred steps are long enough for a mean, and short enough to wait for.
    let lyapunov = Lyapunov::new(network, &path.beginning(path.steps().min(320)), engine, 16).ok();
    Ok(Measured { flow, products, verdict, lyapunov, matrices: recurrent_matrices(network, MAX_MATRIX) })
}

/// Writes every named value of every step, (T, width) each, and of a text the ids of the characters that were read (T).
fn export(file: &Path, trace: &Trace, text: Option<(&[u32], &[String])>) -> Result<Report, Error> {
    let mut tensors: Vec<Tensor> = trace
        .series
        .iter()
        .map(|s| Tensor {
            name: format!("layers.{}.{}", s.layer, s.name),
            shape: vec![trace.steps, s.width],
            values: s.values.iter().map(|&v| v as f32).collect(),
        })
        .collect();
    if let Some((ids, _)) = text {
        // Ids are far below 2^24, up to which every whole number is one of f32.
        let read = ids[..trace.steps].iter().map(|&id| id as f32).collect();
        tensors.push(Tensor { name: "ids".into(), shape: vec![trace.steps], values: read });
    }
    match file.extension().and_then(|ending| ending.to_str()) {
        Some("npz") => npz::write(file, &tensors)?,
        _ => {
            let text = text.map(|(_, symbols)| {
                // Words are told apart by blanks.
                let words = symbols.iter().any(|symbol| symbol.chars().count() > 1);
                ("elman.text".to_string(), symbols[..trace.steps].join(if words { " " } else { "" }))
            });
            let metadata = text.into_iter().collect();
            TensorFile { metadata, tensors: tensors.clone() }.write(file)?;
        }
    }
    let mut report = Report { text: format!("{}: {} steps\n", file.display(), trace.steps), ..Report::default() };
    for tensor in &tensors {
        let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        report.text += &format!("  {} ({})\n", tensor.name, shape.join(", "));
    }
    report.json.insert("file".into(), file.display().to_string().into());
    report.json.insert("steps".into(), trace.steps.into());
    let names: Vec<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
    report.json.insert("arrays".into(), names.into());
    Ok(report)
}

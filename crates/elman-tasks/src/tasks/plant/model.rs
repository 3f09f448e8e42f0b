//! From settings to the model and its trainer; its file; how good it is.

use super::data::Part;
use crate::Error;
use crate::optimisation::{rule, schedule, threshold};
use crate::settings::Settings;
use burn::tensor::Device;
use elman::network::{OutputFed, OutputFedError, OutputFedModel, Series, SystemModel, Training, Units, scores};
use elman::parameters::Named;
use elman::train::{Optimiser, Trainer};
use elman::{RecurrentConfig, Sizes};
use elman_run::{Tensor, TensorFile};
use serde::{Deserialize, Serialize};
use std::path::Path;

const CONFIG_KEY: &str = "elman.config";
/// Steps from an input to the output that feels it.
pub const DELAY: usize = 1;

/// What the model is, beside its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    task: String,
    /// The registered name of its cell, or the text of one of its own.
    pub cell: String,
    pub hidden: usize,
    /// Inputs and outputs of the system.
    channels: [usize; 2],
}

impl Config {
    pub fn new(settings: &Settings, series: &Series) -> Config {
        Config {
            task: super::TASK.name.into(),
            cell: settings.text("cell").into(),
            hidden: settings.size("hidden"),
            channels: [series.inputs(), series.outputs()],
        }
    }

    /// The model before its first step.
    fn model(&self, seed: u64, device: &Device) -> Result<OutputFedModel, Error> {
        let usage = |error: String| Error::Usage(format!("cell: {error}"));
        let [input, output] = self.channels;
        let sizes = Sizes { input, hidden: self.hidden, output };
        let layer = RecurrentConfig::new(elman_run::cell::make(&self.cell)?, sizes);
        let layer = layer.init(seed, device).map_err(|error| usage(error.to_string()))?;
        let width = layer.output_width();
        let network = OutputFed::new(layer).map_err(|error| {
            usage(match error {
                OutputFedError::Carries { cell, carried } => {
                    format!("`{cell}` carries {carried}; a plant's network carries its output alone, such as `jordan`")
                }
                other => other.to_string(),
            })
        })?;
        if width != output {
            let title = elman_run::cell::title(&self.cell);
            let has = format!("an output of {width} numbers, and the plant has {output}");
            return Err(usage(format!(
                "`{title}` gives {has}; take one with a width of its own for it, such as `jordan`"
            )));
        }
        OutputFedModel::new(network, DELAY).map_err(|error| Error::Failed(error.to_string()))
    }
}

/// A trainer before its first step.
pub fn trainer(config: &Config, series: &Series, settings: &Settings) -> Result<Trainer<OutputFedModel>, Error> {
    let seed = settings.integer("seed");
    let mut model = config.model(seed, &Device::flex().autodiff())?.with_units(Units::of(series));
    if settings.text("feed") == "outputs" {
        model = model.with_training(Training::Parallel);
    } else if settings.integer("chunk") > 0 {
        model = model.with_chunks(settings.size("chunk")).map_err(|error| Error::Usage(error.to_string()))?;
    }
    let optimiser = Optimiser::new(rule(settings), settings.number("weight-decay"));
    let mut trainer = Trainer::new(model, optimiser, settings.number("lr"), seed);
    trainer.clip = threshold(settings.text("clip")).expect("checked when it was set");
    trainer.schedule = schedule(settings, 1);
    Ok(trainer)
}

/// Writes the model, atomically.
pub fn save(model: &OutputFedModel, config: &Config, path: &Path) -> Result<(), Error> {
    let config = serde_json::to_string(config).map_err(|error| Error::Failed(error.to_string()))?;
    let tensors = model.parameters().into_iter();
    let tensors = tensors.map(|Named { name, shape, values }| Tensor { name, shape, values }).collect();
    Ok(TensorFile { metadata: [(CONFIG_KEY.to_string(), config)].into(), tensors }.write(path)?)
}

/// Reads it.
pub fn load(path: &Path) -> Result<OutputFedModel, Error> {
    let TensorFile { metadata, tensors } = TensorFile::read(path)?;
    let wrong = |what: String| Error::Usage(format!("{}: it is no model of a plant: {what}", path.display()));
    let config = metadata.get(CONFIG_KEY).ok_or_else(|| wrong(format!("it has no `{CONFIG_KEY}`")))?;
    let config: Config = serde_json::from_str(config).map_err(|error| wrong(error.to_string()))?;
    let tensors = tensors.into_iter();
    let named = tensors.map(|Tensor { name, shape, values }| Named { name, shape, values }).collect();
    config.model(0, &Device::flex())?.with_parameters(named).map_err(|error| wrong(error.to_string()))
}

/// The errors of one kind of prediction, means over the outputs.
#[derive(Clone, Copy, Debug)]
pub struct Fit {
    /// Root mean square, in the plant's units.
    pub rmse: f64,
    /// Per cent: 100 is perfect, 0 is the mean.
    pub fit: f64,
    /// Mean square beside the variance.
    pub relative: f64,
}

impl Fit {
    fn of(truth: &[f64], predicted: &[f64], outputs: usize) -> Fit {
        let all = scores(truth, predicted, outputs);
        let mean = |of: fn(&elman::network::Score) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
        Fit { rmse: mean(|s| s.rmse), fit: mean(|s| s.fit), relative: mean(|s| (1.0 - s.fit / 100.0).powi(2)) }
    }
}

/// Both kinds of prediction of a part.
#[derive(Clone, Copy, Debug)]
pub struct Fits {
    pub one_step: Fit,
    /// None where the free run leaves the numbers.
    pub free_run: Option<Fit>,
}

/// The free run of a part from its first outputs, from the step that can first be predicted on.
pub fn free_run(model: &OutputFedModel, part: &Part) -> Option<Vec<f64>> {
    let measured = &part.measured.y()[..model.first() * part.measured.outputs()];
    model.free_run(part.measured.u(), measured).ok()
}

/// How good the model is on a part.
pub fn fits(model: &OutputFedModel, part: &Part) -> Result<Fits, Error> {
    let outputs = part.measured.outputs();
    let truth = &part.truth[model.first() * outputs..];
    let one_step = model.one_step(&part.measured).map_err(|error| Error::Failed(error.to_string()))?;
    Ok(Fits {
        one_step: Fit::of(truth, &one_step, outputs),
        free_run: free_run(model, part).map(|free| Fit::of(truth, &free, outputs)),
    })
}

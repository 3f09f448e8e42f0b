//! From settings to a network and its trainer, and from those to a model that runs without them.

use super::{algorithm, initial, regularisation};
use crate::Error;
use crate::optimisation::{rule, schedule};
use crate::settings::Settings;
use burn::tensor::Device;
use elman::init::uniform_all;
use elman::network::{LanguageModel, LanguageModelConfig};
use elman::train::{Constraint, ConstraintError, Constraints, Optimiser, Trainer};
use elman::{Bf16Kernel, Recompute, Runtime};
use elman_run::{Model, ModelConfig, Tensor, Vocabulary};

/// A network with more parameters than this needs more memory than a machine has.
const MAX_PARAMETERS: usize = 2_000_000_000;

/// What the settings make of a network; refuses one that no memory holds.
pub fn config(task: &str, vocabulary: usize, settings: &Settings) -> Result<ModelConfig, Error> {
    let config = ModelConfig {
        task: task.into(),
        cell: settings.text("cell").into(),
        embedding: settings.size("embedding"),
        hidden: settings.size("hidden"),
        output: settings.size("output"),
        layers: settings.size("layers"),
    };
    let stack = config.stack()?;
    let width = config.embedding + stack.last().map_or(0, |layer| layer.output_width());
    let count =
        stack.iter().map(|layer| layer.parameter_count()).fold(vocabulary.saturating_mul(width), usize::saturating_add);
    if count > MAX_PARAMETERS {
        return Err(Error::Usage(format!(
            "the network would have {count} parameters, at most {MAX_PARAMETERS} are possible; lower `hidden` ({}) or \
             `layers` ({})",
            config.hidden, config.layers
        )));
    }
    Ok(config)
}

/// Numbers of a layer's states in a step: 16 GB, and a step keeps several such arrays.
const MAX_STATES: usize = 1 << 32;

/// Refuses steps whose states no memory holds.
pub fn check_memory(config: &ModelConfig, batch: usize, steps: usize, unit: &str) -> Result<(), Error> {
    let tokens = batch.saturating_mul(steps);
    let states = tokens.saturating_mul(config.hidden).saturating_mul(config.layers);
    if states > MAX_STATES {
        return Err(Error::Usage(format!(
            "a step of {batch} x {steps} {unit}s would keep {states} states, at most {MAX_STATES} are possible; lower `batch`, \
             `seq-len`, `hidden` or `layers`"
        )));
    }
    Ok(())
}

/// A trainer before its first step, whose epochs have `epoch` steps, with products in mixed precision where `bf16` takes them.
pub fn trainer(
    config: &ModelConfig,
    vocabulary: usize,
    settings: &Settings,
    epoch: u64,
    bf16: Option<Bf16Kernel>,
) -> Result<Trainer<LanguageModel>, Error> {
    let network = LanguageModelConfig {
        vocabulary,
        embedding: config.embedding,
        hidden: config.hidden,
        output: config.output,
        layers: config.layers,
        dropout: settings.number("dropout"),
        cell: config.make_cell()?,
    };
    let seed = settings.integer("seed");
    let init = initial::init(settings)?;
    let range = initial::range(settings)?;
    let mut network =
        network.init_with(&init, seed, &Device::flex().autodiff()).map_err(|error| Error::Usage(error.to_string()))?;
    if let Some(range) = range {
        network = uniform_all(network, range, seed);
    }
    network = regularisation::network(network, settings)?;
    if settings.text("learn-initial-state") == "on" {
        network = network.with_learned_initial_state();
    }
    network.rnn = network.rnn.with_recompute(recompute(settings)?);
    if let Some(kernel) = bf16 {
        // Its own: the process's runtime may be another run's too.
        network.rnn = network.rnn.with_runtime(Runtime::with_bf16(settings.size("threads"), kernel));
    }
    network = algorithm::network(network, settings)?;
    let constraints = constraints(&network, settings)?;
    let optimiser = Optimiser::new(rule(settings), settings.number("weight-decay"));
    let mut trainer = Trainer::new(network, optimiser, settings.number("lr"), seed);
    regularisation::trainer(&mut trainer, settings)?;
    trainer.schedule = schedule(settings, epoch);
    trainer.constraints = constraints;
    Ok(trainer)
}

/// The largest norm is for the matrices of the recurrent layers; their biases and the other layers stay free.
fn constraints(network: &LanguageModel, settings: &Settings) -> Result<Constraints, Error> {
    let wrong = |key: &str, error: ConstraintError| Error::Usage(format!("{key}: {error}"));
    let mut constraints = Constraints::default();
    let norm = settings.number("max-norm");
    if norm > 0.0 {
        let matrices = network.parameters().into_iter().filter(|p| p.shape.len() == 2 && p.name.starts_with("rnn."));
        let matrices: Vec<String> = matrices.map(|p| p.name).collect();
        let chosen = |name: &str| matrices.iter().any(|matrix| matrix == name);
        constraints = constraints.and(network, Constraint::MaxNorm(norm), chosen).map_err(|e| wrong("max-norm", e))?;
    }
    let kept = regularisation::named(network, settings, "non-negative")?;
    if !kept.is_empty() {
        let chosen = |name: &str| kept.contains(name);
        let with = constraints.and(network, Constraint::NonNegative, chosen);
        constraints = with.map_err(|error| wrong("non-negative", error))?;
    }
    Ok(constraints)
}

fn recompute(settings: &Settings) -> Result<Recompute, Error> {
    settings.text("recompute").parse().map_err(|error| Error::Usage(format!("recompute: {error}")))
}

/// Refuses a budget of memory that is too small for a step.
pub fn check_budget(trainer: &Trainer<LanguageModel>, batch: usize, steps: usize) -> Result<(), Error> {
    let network = trainer.network();
    network
        .rnn
        .check_budget(steps, batch, Some(network.vocabulary()))
        .map_err(|error| Error::Usage(format!("recompute: {error}; give more, or lower `batch`, `hidden` or `layers`")))
}

/// What `model` was before its first step: every parameter is drawn from the seed by its name.
///
/// # Errors
/// The settings are none that the task could have begun with.
pub fn untrained(model: &Model, settings: &Settings) -> Result<Model, Error> {
    let trainer = trainer(model.config(), model.vocabulary().len(), settings, 1, None)?;
    self::model(&trainer, model.config(), model.vocabulary())
}

/// The network as it is now, as the model that is saved, scored and sampled.
pub fn model(trainer: &Trainer<LanguageModel>, config: &ModelConfig, vocabulary: &Vocabulary) -> Result<Model, Error> {
    let tensors = trainer.network().parameters().into_iter();
    let tensors = tensors.map(|p| Tensor { name: p.name, shape: p.shape, values: p.values }).collect();
    Ok(Model::from_tensors(config.clone(), vocabulary.clone(), tensors)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::find;
    use elman::cells;

    fn settings(values: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::new(find("char-lm").unwrap().settings);
        for (key, value) in values {
            settings.set(key, value, "").unwrap();
        }
        settings.set("steps", "70", "").unwrap();
        settings.complete();
        settings
    }

    #[test]
    fn every_cell_gives_a_model_of_the_same_numbers() {
        for (cell, learn) in cells::REGISTRY.iter().flat_map(|cell| [(cell, "off"), (cell, "on")]) {
            let settings = settings(&[
                ("cell", cell.name),
                ("hidden", "3"),
                ("output", "2"),
                ("layers", "2"),
                ("learn-initial-state", learn),
            ]);
            let config = config("char-lm", 4, &settings).unwrap();
            let trainer = trainer(&config, 4, &settings, 1, None).unwrap();
            let model = model(&trainer, &config, &Vocabulary::new("helo".chars()).unwrap()).unwrap();
            for p in trainer.network().parameters() {
                let saved = model.tensors().into_iter().find(|t| t.name == p.name).unwrap();
                assert_eq!((saved.shape, saved.values), (p.shape, p.values), "{} {}", cell.name, p.name);
            }
        }
    }
}

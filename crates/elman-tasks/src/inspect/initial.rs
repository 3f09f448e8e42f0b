//! The same network before training, drawn again from the run's seed and settings.

use crate::Error;
use crate::settings::Settings;
use burn::tensor::Device;
use elman::init::{self, Bias, Init};
use elman::network::LanguageModelConfig;
use elman_run::{Model, Tensor};

/// What `model` was before its first step: the task draws its parameters from the seed, each by its name.
///
/// # Errors
/// The settings are none that the task could have begun with.
pub fn untrained(model: &Model, settings: &Settings) -> Result<Model, Error> {
    let config = model.config();
    let find = |key: &str| init::find(settings.text(key)).map_err(|error| Error::Usage(format!("{key}: {error}")));
    let init = Init {
        input: find("init-input")?,
        recurrent: find("init-recurrent")?,
        bias: if settings.text("init-bias") == "zeros" { Bias::Zeros } else { Bias::Uniform },
        forget_bias: settings.text("forget-bias").parse().ok(),
    };
    let network = LanguageModelConfig {
        vocabulary: model.vocabulary().len(),
        embedding: config.embedding,
        hidden: config.hidden,
        output: config.output,
        layers: config.layers,
        dropout: 0.0,
        cell: config.make_cell()?,
    };
    // A learned initial state begins as zero, which is what a model without one has.
    let network = network
        .init_with(&init, settings.integer("seed"), &Device::flex())
        .map_err(|error| Error::Usage(error.to_string()))?;
    let tensors =
        network.parameters().into_iter().map(|p| Tensor { name: p.name, shape: p.shape, values: p.values }).collect();
    Ok(Model::from_tensors(config.clone(), model.vocabulary().clone(), tensors)?)
}

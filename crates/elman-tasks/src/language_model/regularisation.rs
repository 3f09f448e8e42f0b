//! From settings to what is dropped, punished, added and clipped while training.

use crate::Error;
use crate::optimisation::threshold;
use crate::settings::{Kind, Settings};
use elman::network::{Forcing, LanguageModel};
use elman::regularisation::Regularisation;
use elman::train::clip::Clip;
use elman::train::{GradientNoise, Trainer};
use elman_core::cell::OptionError;
use std::collections::BTreeSet;

/// `scheduled-sampling`.
pub const FORCING: Kind = Kind::Text(
    |text| forcing(text).is_some(),
    "`off`, `free`, `linear:START:SLOPE:LEAST` with probabilities START and LEAST, `exponential:K` with K above 0 and below 1, or \
     `inverse-sigmoid:K` with K from 1",
);

/// `freeze` and `non-negative`.
pub const PARTS: Kind = Kind::Text(
    |text| text.split(',').all(|part| !part.trim().is_empty()),
    "`off`, or parts of names with commas between",
);

fn forcing(text: &str) -> Option<Forcing> {
    let (name, numbers) = text.split_once(':').unwrap_or((text, ""));
    let numbers: Option<Vec<f64>> = numbers.split(':').filter(|n| !n.is_empty()).map(|n| n.parse().ok()).collect();
    match (name, &numbers?[..]) {
        ("off", []) => Some(Forcing::TEACHER),
        ("free", []) => Some(Forcing::FREE),
        ("linear", &[start, slope, least]) => Forcing::linear(start, slope, least).ok(),
        ("exponential", &[k]) => Forcing::exponential(k).ok(),
        ("inverse-sigmoid", &[k]) => Forcing::inverse_sigmoid(k).ok(),
        _ => None,
    }
}

/// What the network does while it trains.
pub fn network(network: LanguageModel, settings: &Settings) -> Result<LanguageModel, Error> {
    let regularisation = Regularisation {
        dropout_words: settings.number("dropout-words"),
        dropout_input: settings.number("dropout-input"),
        dropout_between: settings.number("dropout-between"),
        dropout_recurrent: settings.number("dropout-recurrent"),
        dropout_output: settings.number("dropout-output"),
        drop_connect: settings.number("drop-connect"),
        activation: settings.number("activation-penalty"),
        temporal: settings.number("temporal-penalty"),
    };
    let usage = |error: OptionError| Error::Usage(error.to_string());
    let network = network
        .with_dropout(settings.number("dropout-embedding"), settings.number("dropout-readout"))
        .map_err(usage)?;
    let network = network.with_regularisation(regularisation).map_err(usage)?;
    Ok(network.with_forcing(forcing(settings.text("scheduled-sampling")).expect("checked when it was set")))
}

/// What happens to the gradient.
pub fn trainer(trainer: &mut Trainer<LanguageModel>, settings: &Settings) -> Result<(), Error> {
    trainer.clip = threshold(settings.text("clip")).expect("checked when it was set");
    trainer.clip_by = match settings.text("clip-by") {
        "value" => Clip::Value,
        "squared-norm" => Clip::SquaredNorm,
        _ => Clip::Norm,
    };
    let noise = settings.number("gradient-noise");
    if noise > 0.0 {
        trainer.noise = Some(GradientNoise::new(noise).map_err(|error| Error::Usage(error.to_string()))?);
    }
    let frozen = named(trainer.network(), settings, "freeze")?;
    trainer.freeze(|name| frozen.contains(name));
    if frozen.len() == trainer.network().parameters().len() {
        return Err(Error::Usage("freeze: no parameter is left to learn; leave some out".into()));
    }
    trainer.parts = settings.size("parts");
    trainer.optimiser.decoupled = settings.text("decoupled-decay") == "on";
    Ok(())
}

/// Names of the parameters that contain one of the parts which the setting has.
pub fn named(network: &LanguageModel, settings: &Settings, key: &str) -> Result<BTreeSet<String>, Error> {
    let names: Vec<String> = network.parameters().into_iter().map(|p| p.name).collect();
    let parts = settings.text(key);
    let mut chosen = BTreeSet::new();
    for part in parts.split(',').map(str::trim).filter(|_| parts != "off") {
        let before = chosen.len();
        chosen.extend(names.iter().filter(|name| name.contains(part)).cloned());
        if chosen.len() == before && !chosen.iter().any(|name| name.contains(part)) {
            let names = names.join(", ");
            return Err(Error::Usage(format!("{key}: no parameter has `{part}` in its name; there are {names}")));
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::find;

    #[test]
    fn schedules_of_sampling_are_read() {
        assert_eq!(forcing("off"), Some(Forcing::TEACHER));
        assert_eq!(forcing("free"), Some(Forcing::FREE));
        assert_eq!(forcing("linear:1:0.001:0.25"), Forcing::linear(1.0, 0.001, 0.25).ok());
        assert_eq!(forcing("exponential:0.999"), Forcing::exponential(0.999).ok());
        assert_eq!(forcing("inverse-sigmoid:300"), Forcing::inverse_sigmoid(300.0).ok());
        for wrong in ["", "on", "linear", "linear:1:2", "linear:2:0:0", "exponential:1", "inverse-sigmoid:x", "off:1"] {
            assert_eq!(forcing(wrong), None, "{wrong}");
        }
    }

    /// What a network says of itself, without the random name of each of its parameters.
    fn without_names(text: &str) -> String {
        let mut parts = text.split("Param: ");
        let first = parts.next().unwrap_or_default().to_string();
        parts.fold(first, |all, part| all + part.trim_start_matches(|c: char| c.is_alphanumeric()))
    }

    #[test]
    fn every_setting_reaches_the_network_or_the_trainer() {
        let settings = |key: &str, value: &str| {
            let mut settings = Settings::new(find("char-lm").unwrap().settings);
            settings.set("hidden", "3", "").unwrap();
            if !key.is_empty() {
                settings.set(key, value, "").unwrap();
            }
            settings.set("steps", "7", "").unwrap();
            settings.complete();
            let config = super::super::network::config("char-lm", 4, &settings).unwrap();
            let trainer = super::super::network::trainer(&config, 4, &settings, 1, None).unwrap();
            without_names(&format!(
                "{:?}",
                (
                    (trainer.network(), trainer.network().parameters(), &trainer.optimiser, trainer.rate),
                    (&trainer.schedule, trainer.clip, trainer.clip_by),
                    (trainer.noise, trainer.parts, &trainer.frozen, &trainer.constraints)
                )
            ))
        };
        let plain = settings("", "");
        assert_eq!(settings("", ""), plain, "what is compared is the settings' doing");
        for (key, value) in [
            ("dropout", "0.1"),
            ("dropout-embedding", "0.1"),
            ("dropout-readout", "0.1"),
            ("dropout-words", "0.1"),
            ("dropout-input", "0.1"),
            ("dropout-between", "0.1"),
            ("dropout-recurrent", "0.1"),
            ("dropout-output", "0.1"),
            ("drop-connect", "0.1"),
            ("activation-penalty", "2"),
            ("temporal-penalty", "2"),
            ("scheduled-sampling", "exponential:0.9"),
            ("algorithm", "snap-1"),
            ("clip", "0.25"),
            ("clip", "off"),
            ("clip-by", "value"),
            ("gradient-noise", "0.3"),
            ("parts", "2"),
            ("freeze", "weight_hh,bias"),
            ("non-negative", "weight_hh"),
            ("weight-decay", "0.1"),
            ("decoupled-decay", "on"),
            ("optimiser", "sgd"),
            ("lr", "0.3"),
            ("schedule", "warmup"),
            ("init-range", "0.3"),
            ("init-input", "he-normal"),
            ("init-recurrent", "identity"),
            ("init-bias", "zeros"),
            ("forget-bias", "1"),
        ] {
            assert_ne!(settings(key, value), plain, "{key}");
        }
    }
}

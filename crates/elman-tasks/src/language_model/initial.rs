//! What the recurrent layers are before training: settings and what they mean.

use crate::Error;
use crate::settings::{Kind, Pairs, Settings};
use elman::init::{self, Bias, Init, PRESETS, REGISTRY, find_preset};
use elman_core::cells;

/// Cells, then cells with their initialisation.
pub fn cell_names() -> Vec<&'static str> {
    cells::REGISTRY.iter().map(|entry| entry.name).chain(PRESETS.iter().map(|preset| preset.name)).collect()
}

/// The settings that a cell with its initialisation stands for, `irnn` or with options of the cell, `irnn:bias=off`.
pub fn preset(name: &str) -> Option<Pairs> {
    let (name, options) = name.split_at(name.find(':').unwrap_or(name.len()));
    let preset = find_preset(name)?;
    let bias = match preset.bias {
        Bias::Uniform => "uniform",
        Bias::Zeros => "zeros",
    };
    let cell = format!("{}{options}", preset.cell);
    Some(vec![("cell", cell), ("init-recurrent", preset.recurrent.into()), ("init-bias", bias.into())])
}

/// The cell of a name that stands for a cell with its initialisation; another name as it is.
pub fn cell_of(name: &str) -> String {
    preset(name).and_then(|pairs| pairs.into_iter().next()).map_or(name.to_string(), |(_, cell)| cell)
}

/// Initialisers of matrices.
pub fn names() -> Vec<&'static str> {
    REGISTRY.iter().map(|initialiser| initialiser.name).collect()
}

pub const FORGET_BIAS: Kind = Kind::Text(|text| forget_bias(text).is_some(), "`off` or a number");

/// None: no such text; none within: off.
fn forget_bias(text: &str) -> Option<Option<f32>> {
    if text == "off" {
        return Some(None);
    }
    text.parse().ok().filter(|value: &f32| value.is_finite()).map(Some)
}

pub const CHRONO: Kind = Kind::Text(|text| chrono(text).is_some(), "`off` or a number above 2");

/// None: no such text; none within: off.
fn chrono(text: &str) -> Option<Option<f32>> {
    if text == "off" {
        return Some(None);
    }
    text.parse().ok().filter(|longest: &f32| *longest > 2.0 && longest.is_finite()).map(Some)
}

pub const RANGE: Kind = Kind::Text(|text| range_of(text).is_some(), "`off` or a number above 0");

/// None: no such text; none within: off.
fn range_of(text: &str) -> Option<Option<f32>> {
    if text == "off" {
        return Some(None);
    }
    text.parse().ok().filter(|range: &f32| *range > 0.0 && range.is_finite()).map(Some)
}

/// The range from which every parameter is drawn, if it is one.
///
/// # Errors
/// Another choice is made as well.
pub fn range(settings: &Settings) -> Result<Option<f32>, Error> {
    let range = range_of(settings.text("init-range")).flatten();
    if range.is_some() && init(settings)? != Init::default() {
        return Err(Error::Usage(
            "init-range: it draws every parameter; leave out init-input, init-recurrent, init-bias, forget-bias and chrono, or set it to off".into(),
        ));
    }
    Ok(range)
}

/// The initialisation of these settings.
pub fn init(settings: &Settings) -> Result<Init, Error> {
    let find = |key: &str| init::find(settings.text(key)).map_err(|error| Error::Usage(format!("{key}: {error}")));
    Ok(Init {
        input: find("init-input")?,
        recurrent: find("init-recurrent")?,
        bias: if settings.text("init-bias") == "zeros" { Bias::Zeros } else { Bias::Uniform },
        forget_bias: forget_bias(settings.text("forget-bias")).flatten(),
        chrono: chrono(settings.text("chrono")).flatten(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::find;

    #[test]
    fn a_preset_is_the_librarys() {
        for preset in PRESETS {
            let mut settings = Settings::new(find("char-lm").unwrap().settings);
            settings.set("cell", preset.name, "").unwrap();
            settings.complete();
            assert_eq!(settings.text("cell"), preset.cell);
            assert_eq!(init(&settings).unwrap(), preset.init(), "{}", preset.name);
        }
    }

    #[test]
    fn every_choice_is_taken() {
        let mut settings = Settings::new(find("char-lm").unwrap().settings);
        for (key, value) in [("init-input", "he-normal"), ("init-bias", "zeros"), ("forget-bias", "-1.5")] {
            settings.set(key, value, "").unwrap();
        }
        settings.complete();
        let wanted = Init {
            input: init::find("he-normal").unwrap(),
            bias: Bias::Zeros,
            forget_bias: Some(-1.5),
            ..Init::default()
        };
        assert_eq!(init(&settings).unwrap(), wanted);
        let error = settings.set("forget-bias", "inf", "").unwrap_err().to_string();
        assert_eq!(error, "`forget-bias` is `inf`; it must be `off` or a number");
        settings.set("forget-bias", "off", "").unwrap();
        settings.set("chrono", "300", "").unwrap();
        assert_eq!(init(&settings).unwrap().chrono, Some(300.0));
        let error = settings.set("chrono", "2", "").unwrap_err().to_string();
        assert_eq!(error, "`chrono` is `2`; it must be `off` or a number above 2");
    }
}

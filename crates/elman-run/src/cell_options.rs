//! A registered cell with options: `elman:activation=relu`, `lstm:bias=off,zoneout=0.1`. The form needs no quotes in a shell.

use crate::Error;
use elman_core::algebra::Activation;
use elman_core::cell::OptionError;
use elman_core::cells::{Elman, Jordan, LeakyFixed, LstmPeephole, OutputFeedback};
use elman_core::{Cell, Zoneout, cells, without_bias};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Whether this is a name with options; a path may have a colon too, but not behind the name of a cell.
pub(crate) fn has_options(cell: &str) -> bool {
    let name = cell.split_once(':').map(|(name, _)| name.trim());
    name.is_some_and(|name| !name.is_empty() && !name.contains(|c: char| c == '\n' || std::path::is_separator(c)))
}

/// The name and its options, each with its value, in the order given.
type Parts<'a> = (&'a str, Vec<(&'a str, &'a str)>);

fn wrong(cell: &str, what: impl Into<String>) -> Error {
    Error::CellOption { cell: cell.into(), what: what.into() }
}

fn split(given: &str) -> Result<Parts<'_>, Error> {
    let form = || wrong(given, "options are written `name:option=value,option=value`");
    let (name, list) = given.split_once(':').ok_or_else(form)?;
    let mut options: Vec<(&str, &str)> = Vec::new();
    for option in list.split(',') {
        let (key, value) = option.split_once('=').ok_or_else(form)?;
        let (key, value) = (key.trim(), value.trim());
        if options.iter().any(|(known, _)| *known == key) {
            return Err(wrong(given, format!("`{key}` stands there twice")));
        }
        options.push((key, value));
    }
    Ok((name.trim(), options))
}

/// The same without blanks, so that equal cells are equal texts.
pub(crate) fn tidy(given: &str) -> Result<String, Error> {
    let (name, options) = split(given)?;
    let options: Vec<String> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok(format!("{name}:{}", options.join(",")))
}

/// Makes the cell. The same text gives the same cell; what it needs is kept until the program ends.
pub(crate) fn make(given: &str) -> Result<Arc<dyn Cell>, Error> {
    static KNOWN: Mutex<Option<HashMap<String, Arc<dyn Cell>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let known = known.get_or_insert_default();
    if let Some(cell) = known.get(given) {
        return Ok(cell.clone());
    }
    let cell = build(given)?;
    known.insert(given.to_string(), cell.clone());
    Ok(cell)
}

/// Options that only some cells have.
fn own_options(name: &str) -> &'static [&'static str] {
    match name {
        "elman" => &["activation"],
        "jordan" | "output-feedback" => &["activation", "output-activation"],
        "lstm-peephole" => &["input-activation", "output-activation"],
        "leaky-fixed" => &["alpha"],
        _ => &[],
    }
}

fn build(given: &str) -> Result<Arc<dyn Cell>, Error> {
    let (name, options) = split(given)?;
    let entry = cells::find(name).ok_or_else(|| crate::model::unknown_cell(name))?;
    let mut cell = (entry.make)();
    let several = cell.spec().carry.len() > 1;
    let mut names = own_options(name).to_vec();
    names.extend(["bias", "zoneout"]);
    if several {
        names.push("zoneout-cell");
    }
    if let Some((key, _)) = options.iter().find(|(key, _)| !names.contains(key)) {
        return Err(wrong(given, format!("`{name}` has no option `{key}`; it has {}", names.join(", "))));
    }
    let text = |key: &str| options.iter().find(|(known, _)| *known == key).map(|(_, value)| *value);
    let number = |key: &str| match text(key).map(str::parse::<f64>) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(wrong(given, format!("{key} is `{}`; it must be a number", text(key).unwrap_or("")))),
    };
    let activation = |key: &str, registered: Activation| match text(key) {
        None => Ok(registered),
        Some("tanh") => Ok(Activation::Tanh),
        Some("sigmoid") => Ok(Activation::Sigmoid),
        Some("relu") => Ok(Activation::Relu),
        Some("identity") => Ok(Activation::Identity),
        Some(other) => Err(wrong(given, format!("{key} is `{other}`; it must be tanh, sigmoid, relu or identity"))),
    };
    let (tanh, sigmoid) = (Activation::Tanh, Activation::Sigmoid);
    let range = |error: OptionError| wrong(given, error.to_string());
    match name {
        "elman" => cell = Arc::new(Elman { activation: activation("activation", tanh)? }),
        "jordan" => {
            let (hidden, output) = (activation("activation", tanh)?, activation("output-activation", sigmoid)?);
            cell = Arc::new(Jordan { hidden, output });
        }
        "output-feedback" => {
            let (hidden, output) = (activation("activation", tanh)?, activation("output-activation", tanh)?);
            cell = Arc::new(OutputFeedback { hidden, output });
        }
        "lstm-peephole" => {
            let (input, output) = (activation("input-activation", tanh)?, activation("output-activation", tanh)?);
            cell = Arc::new(LstmPeephole { input, output });
        }
        "leaky-fixed" => {
            if let Some(alpha) = number("alpha")? {
                cell = Arc::new(LeakyFixed::with_share(alpha).map_err(range)?);
            }
        }
        _ => {}
    }
    match text("bias") {
        None | Some("on") => {}
        Some("off") => cell = without_bias(cell),
        Some(other) => return Err(wrong(given, format!("bias is `{other}`; it must be on or off"))),
    }
    let zoneout = Zoneout { output: number("zoneout")?.unwrap_or(0.0), others: number("zoneout-cell")?.unwrap_or(0.0) };
    zoneout.around(cell).map_err(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use elman_core::layer::{Layer, Role, Sizes};
    use elman_core::testing::{Problem, Reference};

    fn layer(cell: &str) -> Layer {
        Layer::new(make(cell).unwrap(), Sizes::new(2, 3)).unwrap()
    }

    /// What one cell computes with the parameters of a problem of another.
    fn outputs(cell: &str, problem: &Problem<f64>) -> Vec<f64> {
        Problem { layer: layer(cell), ..problem.clone() }.forward(&mut Reference).y
    }

    #[test]
    fn options_are_the_cells_that_they_name() {
        let find = |name: &str| Layer::new((cells::find(name).unwrap().make)(), Sizes::new(2, 3)).unwrap();
        let problem = |name: &str| Problem::<f64>::new(&find(name), 4, 2, 1);
        for (given, registered) in [
            ("elman:activation=relu", "elman-relu"),
            ("elman:activation=sigmoid", "elman-sigmoid"),
            ("elman:bias=on", "elman"),
            ("jordan:activation=tanh", "jordan"),
            ("jordan:output-activation=sigmoid", "jordan"),
            ("output-feedback:activation=tanh", "output-feedback"),
            ("lstm-peephole:input-activation=identity", "lstm-niaf"),
            ("lstm-peephole:output-activation=identity", "lstm-noaf"),
            ("leaky-fixed:alpha=0.9", "leaky-fixed"),
        ] {
            let problem = problem(registered);
            assert_eq!(outputs(given, &problem), problem.forward(&mut Reference).y, "{given}");
        }
        let leaky = problem("leaky-fixed");
        assert_ne!(outputs("leaky-fixed:alpha=0.3", &leaky), leaky.forward(&mut Reference).y);
        for (given, registered) in
            [("jordan:output-activation=identity", "jordan"), ("output-feedback:activation=relu", "output-feedback")]
        {
            let problem = problem(registered);
            assert_ne!(outputs(given, &problem), problem.forward(&mut Reference).y, "{given}");
        }
        assert!(layer("lstm:bias=off").parameters().iter().all(|p| p.role != Role::Bias));
        let all = layer("lstm: zoneout = 0.1,bias=off,  zoneout-cell=0.5 ");
        assert_eq!(all.feeds(), [(3, Some(0.1)), (3, Some(0.5))]);
        assert_eq!(all.parameters().len(), 2);
    }

    /// The name in a cell's specification with zoneout makes it again.
    #[test]
    fn names_are_their_own_options() {
        for given in ["gru:zoneout=0.25", "lstm:zoneout=0.05,zoneout-cell=0.5"] {
            assert_eq!(make(given).unwrap().spec().name, given);
            assert_eq!(tidy(&format!(" {} ", given.replace(',', " , ").replace('=', " = "))).unwrap(), given);
        }
    }

    #[test]
    fn errors_name_the_option_and_its_range() {
        for (given, message) in [
            ("lstm:zoneout=1", "cell `lstm:zoneout=1`: zoneout is 1; it must be from 0 to below 1"),
            ("lstm:zoneout=x", "cell `lstm:zoneout=x`: zoneout is `x`; it must be a number"),
            ("lstm:bias=no", "cell `lstm:bias=no`: bias is `no`; it must be on or off"),
            ("leaky-fixed:alpha=2", "cell `leaky-fixed:alpha=2`: alpha is 2; it must be from 0 to 1"),
            (
                "elman:activation=cos",
                "cell `elman:activation=cos`: activation is `cos`; it must be tanh, sigmoid, relu or identity",
            ),
            (
                "gru:zoneout-cell=0.5",
                "cell `gru:zoneout-cell=0.5`: `gru` has no option `zoneout-cell`; it has bias, zoneout",
            ),
            ("gru:", "cell `gru:`: options are written `name:option=value,option=value`"),
            ("gru:bias=off,bias=on", "cell `gru:bias=off,bias=on`: `bias` stands there twice"),
        ] {
            assert_eq!(make(given).unwrap_err().to_string(), message);
        }
        let unknown = make("lstn:bias=off").unwrap_err().to_string();
        assert!(unknown.starts_with("unknown cell `lstn`; did you mean `lstm"), "{unknown}");
    }
}

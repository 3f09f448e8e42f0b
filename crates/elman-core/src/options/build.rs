//! What each option does.

use super::{CellOption, Value, WrongOption, activations};
use crate::algebra::Activation;
use crate::altered::{with_doc, with_stage_repeated};
use crate::cell::Cell;
use crate::cells::{Elman, Entry, Jordan, Leaky, LeakyFixed, LstmPeephole, OutputFeedback};
use crate::zoneout::Zoneout;
use crate::{with_name, without_bias};
use std::sync::Arc;

/// The options that are given, read.
pub(super) struct Chosen(pub Vec<(&'static CellOption, Value)>);

impl Chosen {
    fn value(&self, option: &str) -> Option<Value> {
        self.0.iter().find(|(known, _)| known.name == option).map(|(_, value)| *value)
    }
    fn number(&self, option: &str) -> Option<f64> {
        self.value(option)
            .map(|value| if let Value::Number(number) = value { number } else { unreachable!("{option}") })
    }
    fn span(&self, option: &str) -> Option<(f64, f64)> {
        let span = |value| if let Value::Span(first, last) = value { (first, last) } else { unreachable!("{option}") };
        self.value(option).map(span)
    }
    fn whole(&self, option: &str, default: usize) -> usize {
        self.value(option)
            .map_or(default, |value| if let Value::Whole(n) = value { n } else { unreachable!("{option}") })
    }
    fn activation(&self, option: &str) -> Option<Activation> {
        self.value(option).map(|value| if let Value::Activation(a) = value { a } else { unreachable!("{option}") })
    }
    fn is_off(&self, option: &str) -> bool {
        matches!(self.value(option), Some(Value::On(false)))
    }
}

/// The cell with these options.
pub(super) fn build(entry: &Entry, given: &[(&str, &str)], chosen: &Chosen) -> Result<Arc<dyn Cell>, WrongOption> {
    let mut cell = with_hyper_parameters(entry, chosen)?;
    if activations::is_replaced(entry.name) {
        let mut others = Vec::new();
        for option in ["activation", "input-activation", "output-activation"] {
            if let Some(activation) = chosen.activation(option) {
                let places = activations::places(entry.name, option).into_iter();
                others.extend(places.map(|(stage, which)| (stage, which, activation)));
            }
        }
        cell = activations::replace(cell, &others);
    }
    let layers = (chosen.whole("layers", 2), chosen.whole("output-layers", 1));
    // From the last stage to the first, so that their numbers hold.
    if layers.1 > 1 {
        cell = with_stage_repeated(cell, 2, layers.1, "z");
    }
    if layers.0 > 2 {
        cell = with_stage_repeated(cell, 1, layers.0 - 1, "u");
    }
    if chosen.is_off("bias") {
        cell = without_bias(cell);
    }
    // By its own name from here on, in descriptions and files; zoneout names itself.
    let named = |(name, value): &&(&str, &str)| !name.starts_with("zoneout") && (*name, *value) != ("bias", "on");
    let list = |form: &dyn Fn(&(&str, &str)) -> String| given.iter().filter(named).map(form).collect::<Vec<_>>();
    let options = list(&|(name, value)| format!("{name}={value}"));
    if !options.is_empty() {
        let meaning =
            |name: &str| chosen.0.iter().find(|(option, _)| option.name == name).map_or("", |(o, _)| o.meaning);
        let said = list(&|(name, value)| format!("`{name}={value}`, {}", meaning(name)));
        let doc = format!("{}\n Here with {}.\n", cell.spec().doc.trim_end(), said.join(";\n "));
        cell = with_doc(with_name(cell, &format!("{}:{}", entry.name, options.join(","))), doc);
    }
    let probability = |option| chosen.number(option).unwrap_or(0.0);
    let zoneout = Zoneout { output: probability("zoneout"), others: probability("zoneout-cell") };
    Ok(zoneout.around(cell)?)
}

/// The cell with what its type has for options.
fn with_hyper_parameters(entry: &Entry, chosen: &Chosen) -> Result<Arc<dyn Cell>, WrongOption> {
    let activation = |option, registered| chosen.activation(option).unwrap_or(registered);
    let (tanh, sigmoid) = (Activation::Tanh, Activation::Sigmoid);
    let dt = || chosen.number("dt").unwrap_or(1.0);
    Ok(match entry.name {
        "elman" => Arc::new(Elman { activation: activation("activation", tanh) }),
        "jordan" => {
            let (hidden, output) = (activation("activation", tanh), activation("output-activation", sigmoid));
            Arc::new(Jordan { hidden, output })
        }
        "output-feedback" => {
            let (hidden, output) = (activation("activation", tanh), activation("output-activation", tanh));
            Arc::new(OutputFeedback { hidden, output })
        }
        "lstm-peephole" => {
            let (input, output) = (activation("input-activation", tanh), activation("output-activation", tanh));
            Arc::new(LstmPeephole { input, output })
        }
        "leaky" | "leaky-fixed" if chosen.value("alpha").is_some() && chosen.value("tau").is_some() => {
            return Err(WrongOption::Together("alpha and tau are two ways to say the same; leave one out"));
        }
        "leaky" | "leaky-fixed" if chosen.value("dt").is_some() && chosen.value("tau").is_none() => {
            return Err(WrongOption::Together("dt is the step beside which tau is measured; give tau too"));
        }
        "leaky-fixed" => match (chosen.number("alpha"), chosen.number("tau")) {
            (Some(alpha), _) => Arc::new(LeakyFixed::with_share(alpha)?),
            (None, Some(tau)) => Arc::new(LeakyFixed::with_time_constant(dt(), tau)?),
            (None, None) => (entry.make)(),
        },
        "leaky" => match (chosen.span("alpha"), chosen.span("tau")) {
            (Some((first, last)), _) => Leaky::with_shares(first, last)?,
            (None, Some((first, last))) => Leaky::with_time_constants(dt(), first, last)?,
            (None, None) => (entry.make)(),
        },
        _ => (entry.make)(),
    })
}

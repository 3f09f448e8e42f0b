//! Options of cells, as in `leaky:alpha=0.3,bias=off`: one table of which parsing, errors, lists and tests are made.
//!
//! A row says which cells take the option, what it may be, what it means, and an example for each cell that takes it. What it does stands in
//! `build.rs`. The tests iterate the table: each example has a gradient check and is described, and the examples of a row have goldens.

use crate::algebra::Activation;
use crate::cell::{Cell, OptionError};
use crate::cells::{self, Entry};
use std::sync::Arc;

mod activations;
mod build;
mod table;

pub use table::OPTIONS;

/// An option that cells take.
#[derive(Clone, Copy, Debug)]
pub struct CellOption {
    /// Its name. Two rows may have one name, for different cells.
    pub name: &'static str,
    /// The cells that take it.
    pub cells: Takers,
    /// What it may be.
    pub values: Values,
    /// What it is where it is not given.
    pub default: &'static str,
    /// What it does, in a line.
    pub meaning: &'static str,
    /// An example for each cell that takes it.
    pub examples: &'static [Example],
    /// A value outside its range.
    pub wrong: &'static str,
}

/// Which cells take an option.
#[derive(Clone, Copy, Debug)]
pub enum Takers {
    /// Every registered cell.
    Every,
    /// Those that carry more than their output.
    Several,
    /// These.
    These(&'static [&'static str]),
}

/// What may stand behind an option.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// `on` or `off`.
    Switch,
    /// The name of one of [`Activation::ALL`].
    Activation,
    /// A number in this range.
    Number(&'static str),
    /// A number in this range, or two with dots between.
    Span(&'static str),
    /// A whole number from the first to the last.
    Whole(usize, usize),
}

/// Cells with one example, which has one path through the code.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// These cells; none: all that take the option and are in no other example of it.
    pub cells: &'static [&'static str],
    /// The options as they are given: this one and, where it needs them, others.
    pub given: &'static str,
    /// The cells of which there is a golden with this example, `golden/options/<cell>-<option>.safetensors`: at least one.
    pub goldens: &'static [&'static str],
}

/// Why a cell cannot have the options that are given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongOption {
    /// The list has another form.
    #[error("options are written `name:option=value,option=value`")]
    Form,
    /// One is given twice.
    #[error("`{0}` stands there twice")]
    Twice(String),
    /// The cell has no such option.
    #[error("`{cell}` has no option `{option}`; it has {}", known.join(", "))]
    Unknown {
        /// The cell.
        cell: &'static str,
        /// The option.
        option: String,
        /// Those that it has.
        known: Vec<&'static str>,
    },
    /// The value has another form.
    #[error("{option} is `{value}`; it must be {form}")]
    Value {
        /// The option.
        option: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        form: String,
    },
    /// The value is out of range.
    #[error(transparent)]
    Range(#[from] OptionError),
    /// Two options do not go together, or one needs another.
    #[error("{0}")]
    Together(&'static str),
}

/// A value, read.
#[derive(Clone, Copy, Debug)]
enum Value {
    On(bool),
    Activation(Activation),
    Number(f64),
    Span(f64, f64),
    Whole(usize),
}

impl Values {
    /// What it may be, in words: of a list, of an error.
    pub fn words(&self) -> String {
        match self {
            Values::Switch => "on or off".to_string(),
            Values::Activation => format!("one of {}", Activation::ALL.map(|(name, _)| name).join(", ")),
            Values::Number(range) => range.to_string(),
            Values::Span(range) => format!("{range}; or two such numbers with dots between"),
            Values::Whole(first, last) => format!("a whole number from {first} to {last}"),
        }
    }

    /// Reads a value; numbers are looked at by what they are for, but for whole ones.
    fn read(&self, option: &'static str, given: &str) -> Result<Value, WrongOption> {
        let wrong = |form: String| WrongOption::Value { option, value: given.to_string(), form };
        let number = |text: &str| text.parse::<f64>();
        match *self {
            Values::Switch => match given {
                "on" => Ok(Value::On(true)),
                "off" => Ok(Value::On(false)),
                _ => Err(wrong(self.words())),
            },
            Values::Activation => {
                let found = Activation::ALL.iter().find(|(name, _)| *name == given);
                found.map(|(_, activation)| Value::Activation(*activation)).ok_or_else(|| wrong(self.words()))
            }
            Values::Number(_) => number(given).map(Value::Number).map_err(|_| wrong("a number".to_string())),
            Values::Span(_) => {
                let (first, last) = given.split_once("..").unwrap_or((given, given));
                match (number(first), number(last)) {
                    (Ok(first), Ok(last)) => Ok(Value::Span(first, last)),
                    _ => Err(wrong("a number, or two as in 0.5..0.9".to_string())),
                }
            }
            Values::Whole(first, last) => match given.parse() {
                Ok(whole) if (first..=last).contains(&whole) => Ok(Value::Whole(whole)),
                _ => Err(wrong(self.words())),
            },
        }
    }
}

impl CellOption {
    /// Whether a registered cell takes it.
    pub fn is_of(&self, cell: &Entry) -> bool {
        match self.cells {
            Takers::Every => true,
            Takers::Several => (cell.make)().spec().carry.len() > 1,
            Takers::These(names) => names.contains(&cell.name),
        }
    }

    /// The cells that take it, in words.
    pub fn of(&self) -> String {
        match self.cells {
            Takers::Every => "every cell".to_string(),
            Takers::Several => "cells that carry more than their output".to_string(),
            Takers::These(names) => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        }
    }

    /// The example of a cell that takes it.
    pub fn example(&self, cell: &str) -> Option<&'static Example> {
        let named = self.examples.iter().find(|example| example.cells.contains(&cell));
        named.or_else(|| self.examples.iter().find(|example| example.cells.is_empty()))
    }
}

/// An example of an option on a cell that takes it.
#[derive(Clone, Debug)]
pub struct Case {
    /// The option.
    pub option: &'static CellOption,
    /// The cell.
    pub cell: &'static Entry,
    /// The example.
    pub example: &'static Example,
}

impl Case {
    /// As a user gives it: `leaky:alpha=0.3`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.cell.name, self.example.given)
    }

    /// The cell with the example's options.
    ///
    /// # Panics
    /// If the example is wrong.
    pub fn make(&self) -> Arc<dyn Cell> {
        let made = read(self.example.given).and_then(|given| make(self.cell, &given));
        made.unwrap_or_else(|error| panic!("{}: {error}", self.name()))
    }

    /// The name of its golden in `golden/`, without ending, where it has one.
    pub fn golden(&self) -> Option<String> {
        let has = self.example.goldens.contains(&self.cell.name);
        has.then(|| format!("options/{}-{}", self.cell.name, self.option.name))
    }
}

/// Every option on every cell that takes it, each by its example.
///
/// # Panics
/// If an option has no example for a cell that takes it.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for option in OPTIONS {
        for cell in cells::REGISTRY.iter().filter(|cell| option.is_of(cell)) {
            let example = option.example(cell.name);
            let example = example.unwrap_or_else(|| panic!("{} of {} has no example", option.name, cell.name));
            cases.push(Case { option, cell, example });
        }
    }
    cases
}

/// The options that a registered cell takes.
pub fn of(cell: &Entry) -> impl Iterator<Item = &'static CellOption> {
    OPTIONS.iter().filter(|option| option.is_of(cell))
}

/// Reads `option=value,option=value`.
///
/// # Errors
/// It has another form, or an option stands there twice.
pub fn read(list: &str) -> Result<Vec<(&str, &str)>, WrongOption> {
    let mut options: Vec<(&str, &str)> = Vec::new();
    for option in list.split(',') {
        let (key, value) = option.split_once('=').ok_or(WrongOption::Form)?;
        let (key, value) = (key.trim(), value.trim());
        if options.iter().any(|(known, _)| *known == key) {
            return Err(WrongOption::Twice(key.to_string()));
        }
        options.push((key, value));
    }
    Ok(options)
}

/// Makes a registered cell with options. What it needs, a few hundred bytes, stays for the life of the process.
///
/// ```
/// use elman_core::{cells, options};
/// let leaky = cells::find("leaky-fixed").unwrap();
/// let cell = options::make(leaky, &[("alpha", "0.3"), ("activation", "relu")]).unwrap();
/// assert_eq!(cell.spec().name, "leaky-fixed:alpha=0.3,activation=relu");
/// let error = options::make(leaky, &[("alpha", "2")]).unwrap_err();
/// assert_eq!(error.to_string(), "alpha is 2; it must be from 0 to 1");
/// ```
///
/// # Errors
/// The cell has no such option, or a value is wrong.
pub fn make(cell: &Entry, given: &[(&str, &str)]) -> Result<Arc<dyn Cell>, WrongOption> {
    let mut chosen = Vec::new();
    for &(name, value) in given {
        let option = of(cell).find(|option| option.name == name).ok_or_else(|| WrongOption::Unknown {
            cell: cell.name,
            option: name.to_string(),
            known: of(cell).map(|option| option.name).collect(),
        })?;
        chosen.push((option, option.values.read(option.name, value)?));
    }
    build::build(cell, given, &build::Chosen(chosen))
}

//! `elman describe`

use crate::args::{Describe, Graph};
use crate::cells::NETWORKS;
use crate::failure::Failure;
use crate::output;
use elman_core::describe::{self, Notation};
use elman_core::{Layer, Sizes, cells};
use elman_run::{cell, nearest};
use elman_tasks::cell_of;

pub fn run(command: &Describe) -> Result<(), Failure> {
    if let Some((name, what, shown)) = NETWORKS.iter().find(|(name, ..)| *name == command.cell) {
        let advice = format!("`{name}` is no cell but {what}; `{shown}` shows it, and docs/networks.md has its type");
        return Err(Failure::usage(advice));
    }
    let given = cell::read(&cell_of(&command.cell))?;
    let cell = cell::make(&given)?;
    let is_own = cells::find(&given).is_none();
    let notation = command.notation.parse::<Notation>().map_err(|error| {
        let near = nearest(&command.notation, Notation::ALL.map(Notation::name));
        Failure::usage(near.map_or(error.to_string(), |near| format!("{error}; did you mean `{near}`?")))
    })?;
    if is_own && notation != Notation::Elman {
        let what = format!(
            "--notation {notation}: a deck has letters for its own cells, by their names; leave it out for a file or a cell with options"
        );
        return Err(Failure::usage(what));
    }
    let hidden = command.hidden;
    let sizes = Sizes { input: command.input.unwrap_or(hidden), hidden, output: command.output.unwrap_or(hidden) };
    // Far above what can be trained, and no product of two such sizes overflows.
    for (name, size) in [("hidden", sizes.hidden), ("input", sizes.input), ("output", sizes.output)] {
        if !(1..=1 << 24).contains(&size) {
            return Err(Failure::usage(format!(
                "--{name}: it is {size}; it must be a whole number from 1 to 16777216"
            )));
        }
    }
    let layer = Layer::new(cell, sizes).map_err(|error| Failure::usage(error.to_string()))?;
    let described = match (command.graph, command.latex) {
        (Some(Graph::Svg), _) => describe::graph_svg(&layer, notation),
        (Some(Graph::Dot), _) => describe::graph_dot(&layer, notation),
        (None, true) => describe::latex(&layer, notation),
        (None, false) => describe::text(&layer, notation),
    };
    output::text(&described.map_err(|error| Failure::usage(error.to_string()))?)
}

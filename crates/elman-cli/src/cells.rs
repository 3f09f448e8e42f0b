//! `elman cells`

use crate::args::List;
use crate::failure::Failure;
use crate::output;
use elman_core::cells::REGISTRY;
use elman_core::options::{self, CellOption, OPTIONS};
use serde_json::json;

/// Networks that are no cell: the name, what it is, and the command that shows one.
pub const NETWORKS: &[(&str, &str, &str)] = &[
    ("bidirectional", "layers of any cell that read from both ends", "elman unroll lstm --bidirectional"),
    (
        "deep",
        "perceptrons before and behind the layers, several internal steps on one input",
        "cargo run --release -p elman --example deep",
    ),
    ("narx", "a perceptron of the last inputs and outputs of a system", "elman unroll narx"),
    ("tdnn", "layers of windows over time", "elman unroll tdnn"),
    ("rmlp", "a multilayer perceptron each of whose layers is recurrent", "elman unroll rmlp"),
    ("hopfield", "a memory of patterns with symmetric weights, binary or continuous", "elman reproduce hopfield"),
    ("recursive", "a node of a tree from its children", "elman unroll recursive --tree TREE"),
    ("tree-lstm", "the LSTM of trees, child-sum and N-ary", "elman unroll tree-lstm --tree TREE"),
];

pub fn run(command: &List) -> Result<(), Failure> {
    let cells = || REGISTRY.iter().map(|entry| (entry.name, (entry.make)().spec()));
    if command.json {
        let cells: Vec<_> = cells()
            .zip(REGISTRY)
            .map(|((name, spec), entry)| {
                let options: Vec<_> = options::of(entry).map(|option| option.name).collect();
                json!({"name": name, "summary": summary(spec.doc), "source": spec.source, "doc": spec.doc.trim(), "carry": spec.carry,
                    "output": spec.output, "options": options})
            })
            .collect();
        let options: Vec<_> = OPTIONS.iter().map(option_json).collect();
        let network =
            |&(name, summary, shown): &(&str, &str, &str)| json!({"name": name, "summary": summary, "shown_by": shown});
        let networks: Vec<_> = NETWORKS.iter().map(network).collect();
        let parts = [("cells", cells), ("options", options), ("networks", networks)];
        let parts = parts.map(|(name, list)| (name.to_string(), list.into()));
        return output::json(parts.into_iter().collect());
    }
    let width = REGISTRY.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let line = |(name, spec): (&str, &elman_core::CellSpec)| {
        format!("{name:width$}  {} [{}]\n", summary(spec.doc), spec.source)
    };
    let option = |option: &CellOption| {
        let values = option.values.words();
        format!("{:width$}  {}: {values} ({}); of {}\n", option.name, option.meaning, option.default, option.of())
    };
    let options: String = OPTIONS.iter().map(option).collect();
    let head = "\nOptions, behind a cell's name as in `leaky-fixed:alpha=0.3,bias=off`:\n\n";
    let networks: String =
        NETWORKS.iter().map(|(name, what, shown)| format!("{name:width$}  {what}: {shown}\n")).collect();
    let below = "\nNetworks that are no cell (types of the library; docs/networks.md has them with their sources):\n\n";
    let cells = cells().map(line).collect::<String>();
    output::text(&format!("{cells}{head}{}{below}{networks}", options.replace('`', "")))
}

fn option_json(option: &CellOption) -> serde_json::Value {
    let cells: Vec<_> = REGISTRY.iter().filter(|cell| option.is_of(cell)).map(|cell| cell.name).collect();
    let example = cells.first().and_then(|cell| option.example(cell)).map(|example| example.given);
    json!({"name": option.name, "cells": cells, "values": option.values.words(), "default": option.default, "meaning": option.meaning,
        "example": example})
}

/// What a cell is: the first paragraph of its documentation, in a line.
fn summary(doc: &str) -> String {
    let first = doc.trim().split("\n\n").next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_a_line_of_its_own() {
        let mut lines: Vec<_> = REGISTRY.iter().map(|entry| summary((entry.make)().spec().doc)).collect();
        lines.iter().for_each(|line| assert!(line.ends_with('.') && line.len() < 200, "{line}"));
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), REGISTRY.len(), "two cells with one summary");
    }
}

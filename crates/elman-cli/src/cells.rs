//! `elman cells`

use crate::args::List;
use crate::failure::Failure;
use crate::output;
use elman_core::cells::REGISTRY;
use elman_core::options::{self, CellOption, OPTIONS};
use serde_json::json;

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
        let parts = [("cells".to_string(), cells.into()), ("options".to_string(), options.into())];
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
    output::text(&format!("{}{head}{}", cells().map(line).collect::<String>(), options.replace('`', "")))
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

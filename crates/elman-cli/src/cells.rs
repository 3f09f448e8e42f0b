//! `elman cells`

use crate::args::List;
use crate::failure::Failure;
use crate::output;
use elman_core::cells::REGISTRY;
use serde_json::json;

pub fn run(command: &List) -> Result<(), Failure> {
    let cells = || REGISTRY.iter().map(|entry| (entry.name, (entry.make)().spec()));
    if command.json {
        let cells: Vec<_> = cells()
            .map(|(name, spec)| {
                json!({"name": name, "summary": summary(spec.doc), "source": spec.source, "doc": spec.doc.trim(), "carry": spec.carry,
                    "output": spec.output})
            })
            .collect();
        return output::json([("cells".to_string(), cells.into())].into_iter().collect());
    }
    let width = REGISTRY.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let line = |(name, spec): (&str, &elman_core::CellSpec)| {
        format!("{name:width$}  {} [{}]\n", summary(spec.doc), spec.source)
    };
    output::text(&cells().map(line).collect::<String>())
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

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
                json!({"name": name, "doc": spec.doc.trim(), "carry": spec.carry, "output": spec.output})
            })
            .collect();
        return output::json([("cells".to_string(), cells.into())].into_iter().collect());
    }
    let width = REGISTRY.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let line = |(name, spec): (&str, &elman_core::CellSpec)| {
        let summary = spec.doc.trim().lines().next().unwrap_or_default().trim();
        format!("{name:width$}  {summary}\n")
    };
    output::text(&cells().map(line).collect::<String>())
}

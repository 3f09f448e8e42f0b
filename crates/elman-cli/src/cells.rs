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
                let (summary, source) = parts(spec.doc);
                json!({"name": name, "summary": summary, "source": source, "doc": spec.doc.trim(), "carry": spec.carry,
                    "output": spec.output})
            })
            .collect();
        return output::json([("cells".to_string(), cells.into())].into_iter().collect());
    }
    let width = REGISTRY.iter().map(|entry| entry.name.len()).max().unwrap_or(0);
    let line = |(name, spec): (&str, &elman_core::CellSpec)| {
        let (summary, source) = parts(spec.doc);
        format!("{name:width$}  {summary} [{source}]\n")
    };
    output::text(&cells().map(line).collect::<String>())
}

/// What a cell is, and where it is from: the first paragraph of its documentation, and of the next one the beginning up to the end of the
/// sentence that names a year or a lecture deck.
fn parts(doc: &str) -> (String, String) {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let paragraphs: Vec<&str> = doc.trim().split("\n\n").collect();
    let paragraphs: Vec<String> = paragraphs.iter().flat_map(|p| p.split("\n \n")).map(one_line).collect();
    let summary = paragraphs.first().cloned().unwrap_or_default();
    let rest = paragraphs[1.min(paragraphs.len())..].join(" ");
    let names = |text: &str| {
        let digits = |w: &[u8]| w.iter().all(u8::is_ascii_digit) && (w.starts_with(b"19") || w.starts_with(b"20"));
        text.as_bytes().windows(4).any(digits) || text.contains("deck")
    };
    let mut ends = rest
        .match_indices(['.', ';'])
        .map(|(at, _)| at)
        .filter(|&at| rest[at + 1..].is_empty() || rest[at + 1..].starts_with(' '));
    let end = ends.find(|&at| names(&rest[..at])).unwrap_or(rest.len());
    // A cell of the deck alone may have its name in the summary.
    let source = if names(&rest[..end]) { rest[..end].to_string() } else { "lecture deck".into() };
    (summary, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_a_line_of_its_own_with_its_source() {
        let mut lines: Vec<_> = REGISTRY.iter().map(|entry| parts((entry.make)().spec().doc)).collect();
        for (summary, source) in &lines {
            assert!(summary.ends_with('.') && !source.is_empty() && source.len() < 300, "{summary} [{source}]");
        }
        lines.sort();
        lines.dedup_by(|a, b| a.0 == b.0);
        assert_eq!(lines.len(), REGISTRY.len(), "two cells with one summary");
    }
}

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

/// What a cell is, and where it is from: the first paragraph of its documentation, and of what follows the sentence that names a year; or the
/// lecture deck that it names.
fn parts(doc: &str) -> (String, String) {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (summary, rest) = doc.trim().split_once("\n\n").unwrap_or((doc.trim(), ""));
    let (summary, rest) = (one_line(summary), one_line(rest));
    let year = |w: &[u8]| w.iter().all(u8::is_ascii_digit) && (w.starts_with(b"19") || w.starts_with(b"20"));
    let dated = |text: &str| text.as_bytes().windows(4).any(year);
    // A sentence ends before a capital letter, which rules out "et al. 2014", or before an equation.
    let ends = |at: usize| {
        let after = rest[at + 1..].trim_start();
        after.chars().next().is_none_or(|c| c.is_uppercase() || c == '`') || after.split(' ').nth(1) == Some("=")
    };
    let mut end =
        rest.match_indices(['.', ';']).map(|(at, _)| at).filter(|&at| rest.as_bytes()[at] == b';' || ends(at));
    let first = end.find(|&at| dated(&rest[..at])).map_or(rest.as_str(), |at| &rest[..at]);
    let deck = ["first", "second", "third", "fourth"]
        .into_iter()
        .find(|which| format!("{summary} {rest}").contains(&format!("{which} deck")))
        .map(|which| format!("the {which} lecture deck"));
    let source = match deck {
        Some(deck) if !dated(first) || first.contains('=') => deck,
        _ => first.to_string(),
    };
    (summary, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_a_line_of_its_own_with_its_source() {
        let mut lines: Vec<_> = REGISTRY.iter().map(|entry| parts((entry.make)().spec().doc)).collect();
        for (summary, source) in &lines {
            let named = source.contains("deck") || source.contains("19") || source.contains("20");
            assert!(summary.ends_with('.') && named && source.len() < 300, "{summary} [{source}]");
        }
        lines.sort();
        lines.dedup_by(|a, b| a.0 == b.0);
        assert_eq!(lines.len(), REGISTRY.len(), "two cells with one summary");
        let source = |name: &str| parts((elman_core::cells::find(name).unwrap().make)().spec().doc).1;
        assert_eq!(source("jordan"), "Jordan, \"Serial order: a parallel distributed processing approach\", 1986");
        assert_eq!(source("residual"), "the fourth lecture deck");
        assert!(source("deep-transition").ends_with("the DT-RNN of its figure 2 b with one layer in between"));
    }
}

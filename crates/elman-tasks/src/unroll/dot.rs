//! The unrolled graph in Graphviz' language.

use super::{Kind, Unrolled, Way};
use std::fmt::Write;

/// Draws it from the inputs up.
pub fn draw(graph: &Unrolled) -> String {
    let quoted = |s: &str| format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = format!("digraph {} {{\n  rankdir=BT;\n", quoted(&graph.title));
    for (v, vertex) in graph.vertices.iter().enumerate() {
        let shape = match vertex.kind {
            Kind::Given => "ellipse",
            Kind::Weights => "ellipse, style=dashed",
            Kind::Step => "box",
            Kind::Output => "ellipse, style=filled, fillcolor=\"#dff0d8\"",
            Kind::Loss => "circle",
            Kind::Gap => "plaintext",
        };
        // Writing to a string does not fail.
        let _ = writeln!(out, "  v{v} [label={}, shape={shape}];", quoted(&vertex.label));
    }
    for edge in &graph.edges {
        let label = if edge.label.is_empty() { String::new() } else { format!("label={}", quoted(&edge.label)) };
        let style = match edge.way {
            Way::Plain => "",
            Way::Shared => "style=dashed",
            // Back to a lower rank: it takes no part in the ranking.
            Way::Fed => "color=\"#b0578d\", constraint=false",
        };
        let marks: Vec<&str> = [label.as_str(), style].into_iter().filter(|m| !m.is_empty()).collect();
        let marks = if marks.is_empty() { String::new() } else { format!(" [{}]", marks.join(", ")) };
        let _ = writeln!(out, "  v{} -> v{}{marks};", edge.from, edge.to);
    }
    let mut rows: Vec<usize> = graph.vertices.iter().filter(|v| v.kind == Kind::Step).map(|v| v.row).collect();
    rows.sort_unstable();
    rows.dedup();
    for row in rows {
        let steps: Vec<String> =
            (0..graph.vertices.len()).filter(|&v| graph.vertices[v].row == row).map(|v| format!("v{v}")).collect();
        let _ = writeln!(out, "  {{ rank=same; {} }}", steps.join("; "));
    }
    out + "}\n"
}

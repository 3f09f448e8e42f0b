//! The unrolled graph as a picture: steps from left to right, losses above, inputs and weights below.

use super::{Kind, Unrolled, Vertex, Way};
use crate::inspect::escaped;
use std::fmt::Write;

/// Between columns, at least.
const COLUMN: f64 = 190.0;
/// Between boxes of a row, at least.
const GAP: f64 = 14.0;
const ROW: f64 = 88.0;
const MARGIN: f64 = 70.0;
const HEAD: f64 = 46.0;
/// What is fed back.
const FED: &str = "#b0578d";

/// The distance of columns at which no box of a row covers its neighbour.
fn column(graph: &Unrolled) -> f64 {
    let mut order: Vec<&Vertex> = graph.vertices.iter().collect();
    order.sort_by(|a, b| a.row.cmp(&b.row).then(a.column.total_cmp(&b.column)));
    let pairs = order.windows(2).filter(|pair| pair[0].row == pair[1].row);
    let needed = pairs.map(|pair| (size(pair[0]).0 + size(pair[1]).0 + GAP) / (pair[1].column - pair[0].column));
    needed.fold(COLUMN, f64::max)
}

/// Where a vertex stands, with columns so far apart.
fn place(vertex: &Vertex, column: f64) -> (f64, f64) {
    (MARGIN + column * vertex.column, HEAD + 30.0 + ROW * vertex.row as f64)
}

/// Half width and half height.
fn size(vertex: &Vertex) -> (f64, f64) {
    let text = 4.6 * vertex.label.chars().count() as f64;
    match vertex.kind {
        Kind::Step => (text.max(34.0) + 10.0, 21.0),
        _ => (text.max(12.0) + 8.0, 16.0),
    }
}

/// Where the straight line from a vertex to another leaves its box.
fn border(from: &Vertex, to: &Vertex, column: f64) -> (f64, f64) {
    let ((x, y), (tx, ty)) = (place(from, column), place(to, column));
    let (w, h) = size(from);
    let (dx, dy) = (tx - x, ty - y);
    let scale = f64::min(
        if dx == 0.0 { f64::INFINITY } else { w / dx.abs() },
        if dy == 0.0 { f64::INFINITY } else { h / dy.abs() },
    );
    (x + dx * scale, y + dy * scale)
}

/// Draws it on white, for slides and papers.
pub fn draw(graph: &Unrolled) -> String {
    let column = column(graph);
    let lowest = graph.vertices.iter().map(|v| v.row).max().unwrap_or(0) as f64;
    let right = graph.vertices.iter().map(|v| place(v, column).0 + size(v).0).fold(0.0, f64::max);
    let (width, height) = (right + 30.0, HEAD + 30.0 + lowest * ROW + 44.0);
    let title = escaped(&graph.title);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         role=\"img\" font-family=\"DejaVu Sans, Arial, sans-serif\" font-size=\"14\">\n<title>{title}</title>\n<desc>{} vertices and {} \
         edges: steps of the cell from left to right, inputs below, outputs, targets and losses above, one set of weights for all \
         steps that dashed lines lead to, and in colour what a step is given of the one before.</desc>\n\
         <defs><marker id=\"head\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path d=\"M0 1 L10 5 L0 9 z\" fill=\"#444\"/></marker><marker id=\"fed\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" \
         markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 1 L10 5 L0 9 z\" fill=\"{FED}\"/></marker></defs>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"24\" y=\"28\" font-size=\"16\">{title}</text>\n",
        graph.vertices.len(),
        graph.edges.len()
    );
    // Above all lines.
    let mut labels = String::new();
    for edge in &graph.edges {
        let (from, to) = (&graph.vertices[edge.from], &graph.vertices[edge.to]);
        let ((x1, y1), (x2, y2)) = (border(from, to, column), border(to, from, column));
        let (class, stroke, marks) = match edge.way {
            Way::Plain => ("edge", "#444", ""),
            Way::Shared => ("edge shared", "#444", " stroke-dasharray=\"5 4\" stroke-opacity=\"0.6\""),
            Way::Fed => ("edge fed", FED, " stroke-width=\"1.4\""),
        };
        let head = if edge.way == Way::Fed { "fed" } else { "head" };
        // Writing to a string does not fail.
        let _ = match edge.way == Way::Fed && to.row.abs_diff(from.row) > 1 {
            // Down between two columns, where no box stands, and in from below.
            true => {
                let ((fx, fy), (tx, ty)) = (place(from, column), place(to, column));
                let (lane, below) = (tx - column / 2.0, ty + ROW / 2.0);
                let (fx, fy) = (fx + 6.0, fy + size(from).1);
                writeln!(
                    out,
                    "<path class=\"{class}\" d=\"M{fx:.1} {fy:.1} L{lane:.1} {:.1} L{lane:.1} {below:.1} L{:.1} {:.1}\" fill=\"none\" \
                     stroke=\"{stroke}\"{marks} marker-end=\"url(#{head})\"/>",
                    fy + ROW / 7.0,
                    tx - size(to).0 / 2.0,
                    ty + size(to).1
                )
            }
            false => writeln!(
                out,
                "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{stroke}\"{marks} \
                 marker-end=\"url(#{head})\"/>"
            ),
        };
        if !edge.label.is_empty() {
            let (x, y, anchor) = match from.row == to.row {
                true => ((x1 + x2) / 2.0, y1 - 6.0, "middle"),
                false => (x1 + 6.0, (y1 + y2) / 2.0 + 4.0, "start"),
            };
            let _ = writeln!(
                labels,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"12\" fill=\"#444\" \
                 stroke=\"#fff\" stroke-width=\"4\" paint-order=\"stroke\">{}</text>",
                escaped(&edge.label)
            );
        }
    }
    out += &labels;
    for vertex in &graph.vertices {
        let ((x, y), (w, h)) = (place(vertex, column), size(vertex));
        let (fill, round, dashed) = match vertex.kind {
            Kind::Given => ("#f2f2f2", h, ""),
            Kind::Weights => ("#fff", h, " stroke-dasharray=\"4 3\""),
            Kind::Step => ("#dbe9f6", 4.0, ""),
            Kind::Output => ("#dff0d8", h, ""),
            Kind::Loss => ("#fdf3d0", h, ""),
            Kind::Gap => ("#fff", h, " stroke-opacity=\"0\""),
        };
        let _ = writeln!(
            out,
            "<rect class=\"vertex\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{round}\" fill=\"{fill}\" \
             stroke=\"#333\"{dashed}/>\n<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x - w,
            y - h,
            2.0 * w,
            2.0 * h,
            y + 5.0,
            escaped(&vertex.label)
        );
    }
    out + "</svg>\n"
}

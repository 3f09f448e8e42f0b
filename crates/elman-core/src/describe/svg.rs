//! The computational graph as a picture.

use super::graph::{Graph, Shape, Vertex};
use super::layout::layout;

const FONT: &str = "DejaVu Serif, Cambria Math, STIX Two Math, Times New Roman, serif";
/// Size of letters and of their marks.
const SIZE: f64 = 16.0;
const SMALL: f64 = 11.0;

/// A run of characters at one height.
enum Run {
    Plain(String),
    Sub(String),
    Sup(String),
}

/// Splits `W_ix`, `h_{t-1}` and `a^{(t)}` at their marks.
fn runs(label: &str) -> Vec<Run> {
    let mut out = Vec::new();
    let mut plain = String::new();
    let mut rest = label.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '_' && c != '^' {
            plain.push(c);
            continue;
        }
        if !plain.is_empty() {
            out.push(Run::Plain(std::mem::take(&mut plain)));
        }
        let mut mark = String::new();
        if rest.next_if_eq(&'{').is_some() {
            mark.extend(std::iter::from_fn(|| rest.next_if(|&c| c != '}')));
            rest.next();
        } else {
            mark.extend(std::iter::from_fn(|| rest.next_if(|c| c.is_alphanumeric())));
        }
        let mark = mark.replace('-', "−");
        out.push(if c == '_' { Run::Sub(mark) } else { Run::Sup(mark) });
    }
    if !plain.is_empty() {
        out.push(Run::Plain(plain));
    }
    out
}

/// About how wide a label is, in pixels.
fn width_of(label: &str, size: f64) -> f64 {
    let visible = |s: &str| s.chars().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).count() as f64;
    let run = |r: &Run| match r {
        Run::Plain(s) => visible(s) * size * 0.6,
        Run::Sub(s) | Run::Sup(s) => visible(s) * size * 0.6 * SMALL / SIZE,
    };
    runs(label).iter().map(run).sum()
}

fn escaped(s: &str) -> String {
    s.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A label with real subscripts and superscripts; they are shifted by `dy`, which every viewer knows.
fn text(x: f64, y: f64, label: &str, size: f64, anchor: &str) -> String {
    let mut out = format!(r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" text-anchor="{anchor}">"#);
    let small = size * SMALL / SIZE;
    let mut shift = 0.0;
    for run in runs(label) {
        let (s, size, want) = match &run {
            Run::Plain(s) => (s, size, 0.0),
            Run::Sub(s) => (s, small, size * 0.28),
            Run::Sup(s) => (s, small, -size * 0.4),
        };
        out += &format!(r#"<tspan dy="{:.1}" font-size="{size:.1}">{}</tspan>"#, want - shift, escaped(s));
        shift = want;
    }
    out + "</text>\n"
}

pub(super) fn size_of(vertex: &Vertex) -> (f64, f64) {
    match vertex.shape {
        Shape::Affine => (width_of(&vertex.label, SIZE).max(width_of(&vertex.detail, 12.0)) + 22.0, 46.0),
        Shape::Operation => {
            // The name of the result stands above the circle.
            let circle = circle(vertex);
            (circle.max(width_of(&vertex.detail, SIZE)), circle + if vertex.detail.is_empty() { 0.0 } else { 36.0 })
        }
        Shape::Source | Shape::Unit | Shape::Result => (width_of(&vertex.label, SIZE) + 34.0, 34.0),
    }
}

/// Diameter of an operation's circle.
fn circle(vertex: &Vertex) -> f64 {
    (width_of(&vertex.label, SIZE) + 14.0).max(30.0)
}

/// Half of the width that edges must stop at.
fn reach(vertex: &Vertex) -> f64 {
    if vertex.shape == Shape::Operation { circle(vertex) / 2.0 } else { size_of(vertex).0 / 2.0 }
}

/// Draws the graph with a title and a legend.
pub(super) fn draw(graph: &Graph, title: &str) -> String {
    let sizes: Vec<(f64, f64)> = graph.vertices.iter().map(size_of).collect();
    let layout = layout(graph, &sizes);
    let legend =
        "ellipse: value (dashed: parameter)   box: matrix products and bias   circle: pointwise, its result above";
    let (head, foot) = (34.0, 34.0);
    let width = layout.width.max(width_of(legend, 12.0) + 40.0);
    let height = layout.height + head + foot;
    let mut out = format!(
        concat!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{w:.0}" height="{h:.0}" viewBox="0 0 {w:.0} {h:.0}" xml:space="preserve" font-family="{font}">"#,
            "\n<title>{title}: computational graph of one step</title>\n",
            r##"<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">"##,
            r##"<path d="M0 1 L10 5 L0 9 z" fill="#444"/></marker></defs>"##,
            "\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        ),
        w = width,
        h = height,
        font = FONT,
        title = escaped(title)
    );
    out += &text(24.0, 26.0, &escaped(title).replace('_', " "), SIZE, "start");
    for (edge, way) in graph.edges.iter().zip(&layout.ways) {
        let (from, to) = (layout.centres[edge.from], layout.centres[edge.to]);
        let start = (from.0 + reach(&graph.vertices[edge.from]), from.1 + head);
        let end = (to.0 - reach(&graph.vertices[edge.to]), to.1 + head);
        let points: Vec<(f64, f64)> =
            [start].into_iter().chain(way.iter().map(|p| (p.0, p.1 + head))).chain([end]).collect();
        let mut path = format!("M{:.1} {:.1}", start.0, start.1);
        for pair in points.windows(2) {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            let middle = (x0 + x1) / 2.0;
            path += &format!(" C{middle:.1} {y0:.1} {middle:.1} {y1:.1} {x1:.1} {y1:.1}");
        }
        out +=
            &format!(r##"<path d="{path}" fill="none" stroke="#444" stroke-width="1.2" marker-end="url(#arrow)"/>"##);
        out += "\n";
        if !edge.sign.is_empty() {
            // In the middle of the last stretch: at the arrow's head the signs of two edges could not be told apart.
            let before = points[points.len() - 2];
            out += &text((before.0 + end.0) / 2.0, (before.1 + end.1) / 2.0 - 5.0, edge.sign, 14.0, "middle");
        }
    }
    for (vertex, &(x, y)) in graph.vertices.iter().zip(&layout.centres) {
        out += &shape(vertex, x, y + head);
    }
    out += &text(24.0, height - 14.0, legend, 12.0, "start");
    out + "</svg>\n"
}

fn shape(vertex: &Vertex, x: f64, y: f64) -> String {
    let (width, height) = size_of(vertex);
    let ellipse = |fill: &str, dash: &str| {
        let (rx, ry) = (width / 2.0, height / 2.0);
        format!(r##"<ellipse cx="{x:.1}" cy="{y:.1}" rx="{rx:.1}" ry="{ry:.1}" fill="{fill}" stroke="#333"{dash}/>"##)
    };
    let body = match vertex.shape {
        Shape::Source => ellipse("#f2f2f2", ""),
        Shape::Unit => ellipse("#fff", r#" stroke-dasharray="4 3""#),
        Shape::Result => ellipse("#dff0d8", ""),
        Shape::Affine => format!(
            r##"<rect x="{:.1}" y="{:.1}" width="{width:.1}" height="{height:.1}" rx="4" fill="#dbe9f6" stroke="#333"/>"##,
            x - width / 2.0,
            y - height / 2.0
        ),
        Shape::Operation => {
            format!(
                r##"<circle cx="{x:.1}" cy="{y:.1}" r="{:.1}" fill="#fdf3d0" stroke="#333"/>"##,
                circle(vertex) / 2.0
            )
        }
    };
    let labels = match vertex.shape {
        Shape::Affine if vertex.label.is_empty() => text(x, y + 5.0, &vertex.detail, 12.0, "middle"),
        Shape::Affine => {
            text(x, y - 3.0, &vertex.label, SIZE, "middle") + &text(x, y + 15.0, &vertex.detail, 12.0, "middle")
        }
        Shape::Operation if !vertex.detail.is_empty() => {
            text(x, y + 5.0, &vertex.label, SIZE, "middle")
                + &text(x, y - circle(vertex) / 2.0 - 6.0, &vertex.detail, SIZE - 2.0, "middle")
        }
        _ => text(x, y + 5.0, &vertex.label, SIZE, "middle"),
    };
    format!("{body}\n{labels}")
}

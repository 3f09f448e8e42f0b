//! The unrolled computational graph: a cell over several steps with its inputs, outputs, targets and losses.
//!
//! ```
//! use elman_core::cells;
//! use elman_tasks::unroll::{Shape, Unrolled};
//! let lstm = (cells::find("lstm").unwrap().make)();
//! let graph = Unrolled::new(lstm.spec(), Shape::ManyToOne, 4)?;
//! // Four inputs, one output, one loss with its target; one set of weights for four steps.
//! assert_eq!(graph.count('x'), 4);
//! assert_eq!((graph.count('y'), graph.count('L')), (1, 1));
//! assert!(graph.dot().starts_with("digraph"));
//! # Ok::<(), elman_tasks::Error>(())
//! ```

mod svg;

use crate::Error;
use elman_core::CellSpec;
use elman_run::nearest;
use std::fmt::{self, Write};
use std::str::FromStr;

/// Which steps have an input and which an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One step with both.
    OneToOne,
    /// An input at the first step, an output at every one, such as a caption for a picture.
    OneToMany,
    /// An input at every step, an output at the last, such as the mood of a sentence.
    ManyToOne,
    /// Both at every step, such as the next character, or a label for each frame.
    ManyToMany,
    /// All inputs, then all outputs, with weights of its own for each half, such as a translation.
    EncoderDecoder,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Shape; 5] =
        [Shape::OneToOne, Shape::OneToMany, Shape::ManyToOne, Shape::ManyToMany, Shape::EncoderDecoder];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Shape::OneToOne => "one-to-one",
            Shape::OneToMany => "one-to-many",
            Shape::ManyToOne => "many-to-one",
            Shape::ManyToMany => "many-to-many",
            Shape::EncoderDecoder => "encoder-decoder",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Shape, Error> {
        Shape::ALL.into_iter().find(|shape| shape.name() == text).ok_or_else(|| {
            let names = Shape::ALL.map(Shape::name);
            let advice = match nearest(text, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.join(", ")),
            };
            Error::Usage(format!("--shape: unknown shape `{text}`; {advice}"))
        })
    }
}

/// What stands at a vertex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An input, a target, or the state before the first step.
    Given,
    /// Weights, shared by all steps that they go to.
    Weights,
    /// One step of the cell.
    Step,
    /// An output.
    Output,
    /// A loss.
    Loss,
}

#[derive(Clone, Debug)]
struct Vertex {
    kind: Kind,
    label: String,
    /// Place on the grid: columns are steps, rows go down from the whole loss to the weights.
    column: f64,
    row: usize,
}

#[derive(Clone, Debug)]
struct Edge {
    from: usize,
    to: usize,
    /// Such as the values that are carried.
    label: String,
    /// From weights.
    shared: bool,
}

/// The most steps: more are no picture.
pub const MAX_LENGTH: usize = 50;

/// A cell unrolled over time.
#[derive(Clone, Debug)]
pub struct Unrolled {
    title: String,
    vertices: Vec<Vertex>,
    edges: Vec<Edge>,
}

impl Unrolled {
    /// `length` steps; of an encoder and decoder, for each.
    ///
    /// # Errors
    /// The length is 0 or above [`MAX_LENGTH`], or more than 1 for one to one.
    pub fn new(cell: &CellSpec, shape: Shape, length: usize) -> Result<Unrolled, Error> {
        if !(1..=MAX_LENGTH).contains(&length) {
            return Err(Error::Usage(format!("--length: it is {length}; it must be from 1 to {MAX_LENGTH}")));
        }
        if shape == Shape::OneToOne && length > 1 {
            return Err(Error::Usage(format!(
                "--length: it is {length}, and one-to-one has one step; leave it out or take another --shape"
            )));
        }
        let mut graph =
            Unrolled { title: format!("{} unrolled, {shape}", cell.name), vertices: Vec::new(), edges: Vec::new() };
        let steps = if shape == Shape::EncoderDecoder { 2 * length } else { length };
        let reads = |t: usize| match shape {
            Shape::OneToOne | Shape::OneToMany => t == 1,
            Shape::ManyToOne | Shape::ManyToMany => true,
            Shape::EncoderDecoder => t <= length,
        };
        let writes = |t: usize| match shape {
            Shape::OneToOne | Shape::OneToMany | Shape::ManyToMany => true,
            Shape::ManyToOne => t == steps,
            Shape::EncoderDecoder => t > length,
        };
        let state = |t: usize| cell.carry.iter().map(|name| format!("{name}_{t}")).collect::<Vec<_>>().join(", ");
        let mut before = graph.vertex(Kind::Given, state(0), 0.0, 3);
        let weights = match shape {
            Shape::EncoderDecoder => {
                let middle = (length as f64 + 1.0) / 2.0;
                vec![
                    graph.vertex(Kind::Weights, "W encoder".into(), middle, 5),
                    graph.vertex(Kind::Weights, "W decoder".into(), middle + length as f64, 5),
                ]
            }
            _ => vec![graph.vertex(Kind::Weights, "W".into(), (steps as f64 + 1.0) / 2.0, 5)],
        };
        let mut losses = Vec::new();
        for t in 1..=steps {
            let column = t as f64;
            let step = graph.vertex(Kind::Step, format!("{} {t}", cell.name), column, 3);
            graph.edge(before, step, if t == 1 { String::new() } else { state(t - 1) }, false);
            graph.edge(weights[usize::from(t > length && weights.len() > 1)], step, String::new(), true);
            if reads(t) {
                let input = graph.vertex(Kind::Given, format!("x_{t}"), column, 4);
                graph.edge(input, step, String::new(), false);
            }
            if writes(t) {
                let output = graph.vertex(Kind::Output, format!("y_{t}"), column, 2);
                graph.edge(step, output, format!("{}_{t}", cell.output), false);
                let loss = graph.vertex(Kind::Loss, format!("L_{t}"), column, 1);
                graph.edge(output, loss, String::new(), false);
                let target = graph.vertex(Kind::Given, format!("target {t}"), column + 0.42, 2);
                graph.edge(target, loss, String::new(), false);
                losses.push(loss);
            }
            before = step;
        }
        let total = graph.vertex(Kind::Loss, "L = Σ L_t".into(), (steps as f64 + 1.0) / 2.0, 0);
        losses.into_iter().for_each(|loss| graph.edge(loss, total, String::new(), false));
        Ok(graph)
    }

    fn vertex(&mut self, kind: Kind, label: String, column: f64, row: usize) -> usize {
        self.vertices.push(Vertex { kind, label, column, row });
        self.vertices.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, label: String, shared: bool) {
        self.edges.push(Edge { from, to, label, shared });
    }

    /// How many vertices are named by this letter and a step, such as x_1, x_2.
    pub fn count(&self, letter: char) -> usize {
        let named = |label: &str| label.strip_prefix(letter).is_some_and(|rest| rest.starts_with('_'));
        self.vertices.iter().filter(|v| v.kind != Kind::Step && named(&v.label)).count()
    }

    /// In Graphviz' DOT language.
    pub fn dot(&self) -> String {
        let quoted = |s: &str| format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""));
        let mut out = format!("digraph {} {{\n  rankdir=BT;\n", quoted(&self.title));
        for (v, vertex) in self.vertices.iter().enumerate() {
            let shape = match vertex.kind {
                Kind::Given => "ellipse",
                Kind::Weights => "ellipse, style=dashed",
                Kind::Step => "box",
                Kind::Output => "ellipse, style=filled, fillcolor=\"#dff0d8\"",
                Kind::Loss => "circle",
            };
            // Writing to a string does not fail.
            let _ = writeln!(out, "  v{v} [label={}, shape={shape}];", quoted(&vertex.label));
        }
        for edge in &self.edges {
            let label = if edge.label.is_empty() { String::new() } else { format!("label={}", quoted(&edge.label)) };
            let style = if edge.shared { "style=dashed" } else { "" };
            let marks: Vec<&str> = [label.as_str(), style].into_iter().filter(|m| !m.is_empty()).collect();
            let marks = if marks.is_empty() { String::new() } else { format!(" [{}]", marks.join(", ")) };
            let _ = writeln!(out, "  v{} -> v{}{marks};", edge.from, edge.to);
        }
        let steps: Vec<String> = (0..self.vertices.len())
            .filter(|&v| matches!(self.vertices[v].kind, Kind::Step) || self.vertices[v].column == 0.0)
            .map(|v| format!("v{v}"))
            .collect();
        let _ = writeln!(out, "  {{ rank=same; {} }}\n}}", steps.join("; "));
        out
    }

    /// As a picture that needs nothing else.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elman_core::cells;

    fn unrolled(cell: &str, shape: Shape, length: usize) -> Unrolled {
        Unrolled::new((cells::find(cell).unwrap().make)().spec(), shape, length).unwrap()
    }

    fn steps(graph: &Unrolled) -> usize {
        graph.vertices.iter().filter(|v| v.kind == Kind::Step).count()
    }

    #[test]
    fn every_shape_has_its_inputs_outputs_and_losses() {
        for (shape, inputs, outputs, all) in [
            (Shape::OneToMany, 1, 4, 4),
            (Shape::ManyToOne, 4, 1, 4),
            (Shape::ManyToMany, 4, 4, 4),
            (Shape::EncoderDecoder, 4, 4, 8),
        ] {
            let graph = unrolled("lstm", shape, 4);
            assert_eq!((graph.count('x'), graph.count('y'), graph.count('L')), (inputs, outputs, outputs), "{shape}");
            assert_eq!(steps(&graph), all, "{shape}");
            // Every step has weights and a state before it; both halves of an encoder and decoder their own.
            let shared: Vec<usize> = graph.edges.iter().filter(|e| e.shared).map(|e| e.from).collect();
            assert_eq!(shared.len(), all);
            let mut sets = shared;
            sets.dedup();
            assert_eq!(sets.len(), if shape == Shape::EncoderDecoder { 2 } else { 1 }, "{shape}");
            // Each loss has an output and a target, and goes into the whole.
            let total = graph.vertices.iter().position(|v| v.row == 0).unwrap();
            let into: Vec<usize> = graph.edges.iter().filter(|e| e.to == total).map(|e| e.from).collect();
            assert_eq!(into.len(), outputs);
            for loss in into {
                assert_eq!(graph.edges.iter().filter(|e| e.to == loss).count(), 2);
            }
        }
        let one = unrolled("elman", Shape::OneToOne, 1);
        assert_eq!((one.count('x'), one.count('y'), steps(&one)), (1, 1, 1));
    }

    /// From any loss there is a way back to the first step and to the weights.
    #[test]
    fn every_loss_depends_on_the_first_step() {
        for shape in [Shape::OneToMany, Shape::ManyToOne, Shape::ManyToMany, Shape::EncoderDecoder] {
            let graph = unrolled("gru", shape, 5);
            for loss in (0..graph.vertices.len()).filter(|&v| graph.vertices[v].row == 1) {
                let mut seen = vec![loss];
                let mut at = 0;
                while at < seen.len() {
                    let before = graph.edges.iter().filter(|e| e.to == seen[at]).map(|e| e.from);
                    let new: Vec<usize> = before.filter(|v| !seen.contains(v)).collect();
                    seen.extend(new);
                    at += 1;
                }
                assert!(seen.iter().any(|&v| graph.vertices[v].label == "gru 1"), "{shape}");
                assert!(seen.iter().any(|&v| graph.vertices[v].label == "x_1"), "{shape}");
                assert!(seen.iter().any(|&v| graph.vertices[v].kind == Kind::Weights), "{shape}");
            }
        }
    }

    #[test]
    fn pictures_have_every_vertex_and_edge() {
        for entry in cells::REGISTRY {
            let graph = unrolled(entry.name, Shape::ManyToMany, 3);
            let (dot, svg) = (graph.dot(), graph.svg());
            assert_eq!(dot.matches(" -> ").count(), graph.edges.len());
            let labelled = graph.edges.iter().filter(|e| !e.label.is_empty()).count();
            assert_eq!(dot.matches("[label=").count(), graph.vertices.len() + labelled);
            assert_eq!(svg.matches("class=\"edge").count(), graph.edges.len(), "{}", entry.name);
            assert_eq!(svg.matches("class=\"vertex").count(), graph.vertices.len());
            assert!(svg.contains("<title>") && svg.contains("<desc>") && svg.trim_end().ends_with("</svg>"));
            assert!(!svg.contains("NaN"));
        }
    }

    #[test]
    fn what_cannot_be_unrolled() {
        let lstm = (cells::find("lstm").unwrap().make)();
        let message = |shape, length| Unrolled::new(lstm.spec(), shape, length).unwrap_err().to_string();
        assert_eq!(message(Shape::ManyToOne, 0), "--length: it is 0; it must be from 1 to 50");
        assert!(message(Shape::ManyToOne, 51).contains("from 1 to 50"));
        assert!(message(Shape::OneToOne, 2).contains("one-to-one has one step"));
        let error = "many-to-on".parse::<Shape>().unwrap_err();
        assert_eq!(error.to_string(), "--shape: unknown shape `many-to-on`; did you mean `many-to-one`?");
        assert_eq!(error.status(), 2);
        for shape in Shape::ALL {
            assert_eq!(shape.name().parse::<Shape>().unwrap(), shape);
        }
    }
}

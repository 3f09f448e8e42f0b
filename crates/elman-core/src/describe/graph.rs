//! The computational graph of one step: values, affine maps and pointwise operations as vertices.

use super::math::Math;
use super::symbols::Symbols;
use super::{Notation, NotationError, svg};
use crate::Layer;
use crate::algebra::expression::{ArgumentKind, Node, NodeId};
use crate::layer::Place;
use std::collections::HashMap;

/// What a vertex is drawn as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The input, a value of the step before, or a feed.
    Source,
    /// A per-unit parameter.
    Unit,
    /// Matrix products and a bias.
    Affine,
    /// A pointwise operation.
    Operation,
    /// A value that leaves the step.
    Result,
}

/// A vertex.
#[derive(Clone, Debug)]
pub(super) struct Vertex {
    pub shape: Shape,
    /// What stands in it.
    pub label: String,
    /// A second line in a box (its parameters); beside a circle, the name of its result.
    pub detail: String,
}

/// An edge from one vertex to another, with a sign where the operand is subtracted or divides.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub from: usize,
    pub to: usize,
    pub sign: &'static str,
}

/// The computational graph.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    pub vertices: Vec<Vertex>,
    pub edges: Vec<Edge>,
}

impl Graph {
    fn vertex(&mut self, shape: Shape, label: String, detail: String) -> usize {
        self.vertices.push(Vertex { shape, label, detail });
        self.vertices.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, sign: &'static str) {
        self.edges.push(Edge { from, to, sign });
    }
}

/// Builds the graph of a step.
pub(super) fn graph(symbols: &Symbols) -> Graph {
    let writer = symbols.writer(false);
    let mut graph = Graph::default();
    let mut places: HashMap<Place, usize> = HashMap::new();
    // A value that no stage has made yet gets its vertex where it is first used.
    let source = |graph: &mut Graph, places: &mut HashMap<Place, usize>, place: Place| {
        *places
            .entry(place)
            .or_insert_with(|| graph.vertex(Shape::Source, writer.math(&symbols.value(place)), String::new()))
    };
    for (k, stage) in symbols.graphs.iter().enumerate() {
        let resolved = &symbols.layer.stages()[k];
        let mut vertices: HashMap<NodeId, usize> = HashMap::new();
        for (id, node) in stage.nodes.iter().enumerate() {
            let vertex = match *node {
                Node::Constant(_) => continue,
                Node::Argument(a) => {
                    let argument = stage.arguments[a];
                    match argument.kind {
                        ArgumentKind::Gate => {
                            let gate = &symbols.gates[k][argument.index];
                            let letters = gate.terms.iter().map(|t| &t.matrix).chain(&gate.gain).chain(&gate.biases);
                            let letters = letters.map(|l| writer.math(&Math::Letter(l.clone())));
                            let norm = gate.gain.iter().map(|_| "norm".to_string());
                            let letters: Vec<String> = norm.chain(letters).collect();
                            // A symbol that stands for more than the affine map is written where the rest is added.
                            let whole = symbols.inside(k, argument.index) == id;
                            let label =
                                if whole { writer.math(&Math::Letter(gate.pre.clone())) } else { String::new() };
                            let vertex = graph.vertex(Shape::Affine, label, letters.join(", "));
                            for &place in resolved.gates[argument.index].iter().chain(&gate.value) {
                                let from = source(&mut graph, &mut places, place);
                                graph.edge(from, vertex, "");
                            }
                            vertex
                        }
                        ArgumentKind::Read => source(&mut graph, &mut places, resolved.reads[argument.index]),
                        ArgumentKind::Unit | ArgumentKind::Feed => {
                            let shape = if argument.kind == ArgumentKind::Unit { Shape::Unit } else { Shape::Source };
                            graph.vertex(shape, writer.math(&symbols.argument(k, a, false)), String::new())
                        }
                    }
                }
                _ => operation(symbols, k, id, &vertices, &mut graph),
            };
            vertices.insert(id, vertex);
        }
        for (&id, &written) in stage.outputs.iter().zip(&resolved.writes) {
            let Some(&made) = vertices.get(&id) else { continue };
            places.insert(Place::Now(written), made);
            if symbols.layer.values()[written].carried.is_some() {
                let result =
                    graph.vertex(Shape::Result, writer.math(&symbols.value(Place::Now(written))), String::new());
                graph.edge(made, result, "");
            }
        }
    }
    graph
}

/// A vertex for an operation, with edges from its operands; a constant operand stands in its label.
fn operation(symbols: &Symbols, stage: usize, id: NodeId, made: &HashMap<NodeId, usize>, graph: &mut Graph) -> usize {
    let recorded = &symbols.graphs[stage];
    let constant = |id: NodeId| match recorded.nodes[id] {
        Node::Constant(k) => Some(k),
        _ => None,
    };
    let (label, signs) = match recorded.nodes[id] {
        Node::Add(a, b) => match constant(a).or(constant(b)) {
            Some(k) => (format!("{k} +"), ["", ""]),
            None => ("+".into(), ["", ""]),
        },
        Node::Sub(a, b) => match (constant(a), constant(b)) {
            (Some(k), _) => (format!("{k} −"), ["", ""]),
            (_, Some(k)) => (format!("− {k}"), ["", ""]),
            _ => ("+".into(), ["", "−"]),
        },
        Node::Mul(a, b) => match constant(a).or(constant(b)) {
            Some(k) => (format!("{k} ×"), ["", ""]),
            None => ("×".into(), ["", ""]),
        },
        Node::Div(a, b) => match (constant(a), constant(b)) {
            (Some(k), _) => (format!("{k} ÷"), ["", ""]),
            (_, Some(k)) => (format!("÷ {k}"), ["", ""]),
            _ => ("×".into(), ["", "÷"]),
        },
        Node::Neg(_) => ("−".into(), ["", ""]),
        Node::Exp(_) => ("exp".into(), ["", ""]),
        Node::Tanh(_) => ("tanh".into(), ["", ""]),
        Node::Sigmoid(_) => ("σ".into(), ["", ""]),
        Node::Relu(_) => ("relu".into(), ["", ""]),
        Node::Softplus(_) => ("softplus".into(), ["", ""]),
        Node::Sin(_) => ("sin".into(), ["", ""]),
        Node::Cos(_) => ("cos".into(), ["", ""]),
        Node::Step(_) => ("> 0".into(), ["", ""]),
        Node::Constant(_) | Node::Argument(_) => (String::new(), ["", ""]),
    };
    let name = recorded.name_before(recorded.equations.len(), id);
    let inside = (0..symbols.gates[stage].len()).find(|&g| symbols.inside(stage, g) == id);
    let symbol = match (name, inside) {
        (Some(e), _) => Some(symbols.result(stage, e)),
        (None, Some(g)) => Some(Math::Letter(symbols.gates[stage][g].pre.clone())),
        (None, None) => None,
    };
    let name = symbol.map(|m| symbols.writer(false).math(&m)).unwrap_or_default();
    let vertex = graph.vertex(Shape::Operation, label, name);
    for (operand, sign) in recorded.nodes[id].operands().zip(signs) {
        if let Some(&from) = made.get(&operand) {
            graph.edge(from, vertex, sign);
        }
    }
    vertex
}

/// The computational graph of one step in Graphviz' DOT language.
///
/// Ellipses are values, boxes matrix products with their bias, circles pointwise operations with the name of their result.
///
/// # Errors
/// [`NotationError::NotInDeck`] if the notation is that of a deck without this cell.
pub fn graph_dot(layer: &Layer, notation: Notation) -> Result<String, NotationError> {
    let symbols = Symbols::new(layer, notation)?;
    let graph = graph(&symbols);
    let quoted = |s: &str| format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = format!("digraph {} {{\n  rankdir=LR;\n", quoted(layer.cell().spec().name));
    for (v, vertex) in graph.vertices.iter().enumerate() {
        let shape = match vertex.shape {
            Shape::Source | Shape::Result => "shape=ellipse",
            Shape::Unit => "shape=ellipse, style=dashed",
            Shape::Affine => "shape=box",
            Shape::Operation => "shape=circle",
        };
        let side = match (vertex.shape, vertex.detail.is_empty()) {
            (_, true) => String::new(),
            (Shape::Operation, false) => format!(", xlabel={}", quoted(&vertex.detail)),
            (_, false) => String::new(),
        };
        let label = if vertex.shape == Shape::Affine {
            // DOT's own line break must not be escaped.
            let lines = [&vertex.label, &vertex.detail].map(String::as_str);
            format!("\"{}\"", lines.into_iter().filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\\n"))
        } else {
            quoted(&vertex.label)
        };
        out += &format!("  v{v} [label={label}, {shape}{side}];\n");
    }
    for edge in &graph.edges {
        let sign = if edge.sign.is_empty() { String::new() } else { format!(" [label={}]", quoted(edge.sign)) };
        out += &format!("  v{} -> v{}{sign};\n", edge.from, edge.to);
    }
    out += "}\n";
    Ok(out)
}

/// The computational graph of one step as an SVG picture that needs nothing else.
///
/// # Errors
/// [`NotationError::NotInDeck`] if the notation is that of a deck without this cell.
pub fn graph_svg(layer: &Layer, notation: Notation) -> Result<String, NotationError> {
    let symbols = Symbols::new(layer, notation)?;
    Ok(svg::draw(&graph(&symbols), layer.cell().spec().name))
}

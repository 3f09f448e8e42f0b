//! The equations of a step, forward and backward, as formulas.

use super::math::{Formula, Function, Math, formula_of};
use super::symbols::{Symbols, Term};
use crate::algebra::expression::{ArgumentKind, Gradient, Node, NodeId};
use crate::layer::Place;

/// Formulas that stand in one line.
pub(super) type Line = Vec<Formula>;

fn set(left: Math, right: Math) -> Formula {
    Formula { left, adds: false, right }
}

fn add(left: Math, right: Math) -> Formula {
    Formula { left, adds: true, right }
}

/// The equations of a step in order.
pub(super) fn forward(symbols: &Symbols) -> Vec<Line> {
    let mut lines = Vec::new();
    for (k, graph) in symbols.graphs.iter().enumerate() {
        let mut done = Vec::new();
        if let Some((formula, equations)) = stacked(symbols, k) {
            lines.push(vec![formula]);
            done = equations;
        }
        for (e, equation) in graph.equations.iter().enumerate() {
            if !done.contains(&e) && !symbols.is_inline(equation.name) {
                lines.push(vec![set(symbols.result(k, e), symbols.right_side(k, e))]);
            }
        }
    }
    lines
}

/// All gates of a stage as one column, if the notation asks for it and each is used as `function(gate)`; with the indices
/// of the equations that it replaces.
fn stacked(symbols: &Symbols, stage: usize) -> Option<(Formula, Vec<usize>)> {
    let order = symbols.stacked(stage)?;
    let graph = &symbols.graphs[stage];
    let (mut results, mut functions, mut equations) = (Vec::new(), Vec::new(), Vec::new());
    for &g in &order {
        let e = (0..graph.equations.len()).find(|&e| graph.arguments_of(e) == [g])?;
        let leaf = |id: NodeId| (id == g).then_some(Math::Number(0.0));
        let Math::Call(function, inner) = formula_of(&graph.nodes, graph.equations[e].value, &leaf) else {
            return None;
        };
        if *inner != Math::Number(0.0) {
            return None;
        }
        results.push(symbols.result(stage, e));
        functions.push(Math::Function(function));
        equations.push(e);
    }
    let affine = symbols.affine(&symbols.gates[stage][order[0]]);
    Some((set(Math::Column(results), Math::apply(Math::Column(functions), affine)), equations))
}

/// The definitions of the gates' symbols, which the backward equations use.
pub(super) fn gates(symbols: &Symbols) -> Vec<Line> {
    let mut lines = Vec::new();
    for (k, gates) in symbols.gates.iter().enumerate() {
        if let Some(order) = symbols.stacked(k) {
            let column = order.iter().map(|&g| Math::Letter(gates[g].pre.clone())).collect();
            lines.push(vec![set(Math::Column(column), symbols.affine(&gates[order[0]]))]);
            continue;
        }
        for (g, gate) in gates.iter().enumerate().filter(|(_, gate)| !gate.is_result) {
            let right = symbols.part(k, gate.owner.unwrap_or(0), symbols.inside(k, g));
            lines.push(vec![set(Math::Letter(gate.pre.clone()), right)]);
        }
    }
    lines
}

/// What a step sends back, in the order in which it can be computed.
pub(super) fn backward(symbols: &Symbols) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut started = Started::default();
    for stage in (0..symbols.graphs.len()).rev() {
        let back = StageBack { symbols, stage, gradient: &symbols.gradients[stage] };
        back.pointwise(&mut lines, &mut started);
        back.sources(&mut lines, &mut started);
        back.parameters(&mut lines);
    }
    lines
}

/// Values whose gradient has got something already.
#[derive(Default)]
struct Started(Vec<Place>);

impl Started {
    /// Whether a gradient adds to what is there. That of a carried value is never fresh: the loss and the step after have
    /// added to it.
    fn adds(&mut self, symbols: &Symbols, place: Place) -> bool {
        let carried = match place {
            Place::Input => false,
            Place::Before(_) => true,
            Place::Now(v) => symbols.layer.values()[v].carried.is_some(),
        };
        let before = carried || self.0.contains(&place);
        self.0.push(place);
        before
    }
}

/// A result whose gradient gets a symbol.
struct Named {
    /// The node whose gradient it is, in the forward graph.
    forward: NodeId,
    symbol: Math,
}

struct StageBack<'a> {
    symbols: &'a Symbols<'a>,
    stage: usize,
    gradient: &'a Gradient,
}

impl StageBack<'_> {
    /// Gradients of results and gates, then of values read, per-unit parameters and feeds.
    fn pointwise(&self, lines: &mut Vec<Line>, started: &mut Started) {
        let (symbols, stage) = (self.symbols, self.stage);
        let graph = &symbols.graphs[stage];
        let mut named: Vec<Named> = Vec::new();
        for (e, equation) in graph.equations.iter().enumerate() {
            let is_operation = !matches!(graph.nodes[equation.value], Node::Argument(_) | Node::Constant(_));
            if is_operation && graph.name_before(e, equation.value).is_none() {
                named.push(Named { forward: equation.value, symbol: symbols.result(stage, e).delta() });
            }
        }
        for (a, argument) in graph.arguments.iter().enumerate() {
            if argument.kind == ArgumentKind::Gate {
                named.push(Named { forward: a, symbol: symbols.argument(stage, a, false).delta() });
            }
        }
        named.retain(|n| self.gradient.total[n.forward].is_some());
        // What a gradient is computed from was written to the tape before it.
        named.sort_by_key(|n| self.gradient.total[n.forward]);
        for (i, n) in named.iter().enumerate() {
            let output = graph.outputs.iter().position(|&o| o == n.forward);
            match (output, self.gradient.added[n.forward]) {
                (Some(o), Some(added)) => {
                    let place = Place::Now(symbols.layer.stages()[stage].writes[o]);
                    let right = self.formula(added, &named[..i]);
                    lines.push(vec![Formula { left: n.symbol.clone(), adds: started.adds(symbols, place), right }]);
                }
                (None, Some(added)) => lines.push(vec![set(n.symbol.clone(), self.formula(added, &named[..i]))]),
                // Given from outside, it is there already.
                (_, None) => {}
            }
        }
        for (a, argument) in graph.arguments.iter().enumerate() {
            let Some(total) = self.gradient.total[a] else { continue };
            let adds = match argument.kind {
                ArgumentKind::Gate => continue,
                ArgumentKind::Read => started.adds(symbols, symbols.layer.stages()[stage].reads[argument.index]),
                ArgumentKind::Unit => true,
                ArgumentKind::Feed => false,
            };
            let left = symbols.argument(stage, a, false).delta();
            lines.push(vec![Formula { left, adds, right: self.formula(total, &named) }]);
        }
    }

    /// The formula of a node of the derivative; `named` are the gradients that have a symbol by now.
    fn formula(&self, id: NodeId, named: &[Named]) -> Math {
        let (symbols, stage) = (self.symbols, self.stage);
        let graph = &symbols.graphs[stage];
        let leaf = |id: NodeId| {
            if let Some(n) = named.iter().find(|n| self.gradient.total[n.forward] == Some(id)) {
                return Some(n.symbol.clone());
            }
            if id < graph.nodes.len()
                && let Some(e) = graph.name_before(graph.equations.len(), id)
            {
                return Some(symbols.result(stage, e));
            }
            match self.gradient.nodes[id] {
                Node::Argument(a) if a < graph.arguments.len() => Some(symbols.argument(stage, a, false)),
                Node::Argument(a) => {
                    let written = symbols.layer.stages()[stage].writes[a - graph.arguments.len()];
                    Some(symbols.value(Place::Now(written)).delta())
                }
                _ => None,
            }
        };
        formula_of(&self.gradient.nodes, id, &leaf)
    }

    /// Gates that have a gradient.
    fn live_gates(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.symbols.gates[self.stage].len()).filter(|&g| self.gradient.total[g].is_some())
    }

    /// The gradient by a gate's sum of products.
    fn delta(&self, gate: usize) -> Math {
        self.symbols.gate_deltas(&self.symbols.gates[self.stage][gate]).1
    }

    /// Through the matrices to the sources, and through normalisers to the values that they take.
    fn sources(&self, lines: &mut Vec<Line>, started: &mut Started) {
        let (symbols, gates) = (self.symbols, &self.symbols.gates[self.stage]);
        for g in self.live_gates() {
            let Some(place) = gates[g].value else { continue };
            let left = symbols.value(place).delta();
            lines.push(vec![Formula { left, adds: started.adds(symbols, place), right: self.delta(g) }]);
        }
        let mut vectors: Vec<&Term> = Vec::new();
        for term in self.live_gates().flat_map(|g| &gates[g].terms) {
            if !vectors.iter().any(|v| v.vector == term.vector) {
                vectors.push(term);
            }
        }
        for vector in vectors {
            let parts = match symbols.stacked(self.stage) {
                Some(order) => {
                    let column = Math::Column(order.iter().map(|&g| self.delta(g)).collect());
                    vec![Math::apply(Math::Letter(vector.matrix.clone()).transposed(), column)]
                }
                None => self
                    .live_gates()
                    .flat_map(|g| gates[g].terms.iter().map(move |t| (g, t)))
                    .filter(|(_, t)| t.vector == vector.vector)
                    .map(|(g, t)| Math::apply(Math::Letter(t.matrix.clone()).transposed(), self.delta(g)))
                    .collect(),
            };
            // Of several vectors in one, all are marked.
            let adds: Vec<bool> = vector.vector.iter().map(|&p| started.adds(symbols, p)).collect();
            let left = symbols.vector(vector).delta();
            lines.push(vec![Formula { left, adds: adds.contains(&true), right: Math::sum(parts) }]);
        }
    }

    /// Into the matrices and biases: a line a gate.
    fn parameters(&self, lines: &mut Vec<Line>) {
        let (symbols, gates) = (self.symbols, &self.symbols.gates[self.stage]);
        let line = |gate: usize, delta: Math| -> Line {
            let gate = &gates[gate];
            let outer = if gate.gain.is_some() { symbols.gate_deltas(gate).0 } else { delta.clone() };
            let gain = gate.gain.iter().map(|gain| {
                let normalised = Math::Call(Function::Norm, Box::new(Math::sum(symbols.products(gate))));
                add(Math::Letter(gain.clone()).delta(), Math::Product(vec![outer.clone(), normalised]))
            });
            let weights = gate.terms.iter().map(|t| {
                let outer = Math::apply(delta.clone(), symbols.vector(t).transposed());
                add(Math::Letter(t.matrix.clone()).delta(), outer)
            });
            let biases = gate.biases.iter().map(|b| add(Math::Letter(b.clone()).delta(), outer.clone()));
            weights.chain(biases).chain(gain).collect()
        };
        if let Some(order) = symbols.stacked(self.stage) {
            lines.push(line(order[0], Math::Column(order.iter().map(|&g| self.delta(g)).collect())));
            return;
        }
        lines.extend(self.live_gates().map(|g| line(g, self.delta(g))));
    }
}

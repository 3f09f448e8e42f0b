//! Other functions in the places where a cell has its activations.
//!
//! A few cells have their activations as hyper-parameters and are compiled with each. In the others the recorded equations get another function;
//! they run as recorded, like cells from texts.

use crate::algebra::expression::{Node, NodeId, StageGraph};
use crate::algebra::{Activation, Real};
use crate::cell::{Cell, CellSpec, StageSpec};
use crate::elementwise;
use crate::recorded_cell::RecordedCell;
use std::sync::Arc;

/// Which of the activations of a stage: its tanh, or where it has none, its other functions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Which {
    All,
    /// The one of this number in the order of the equations.
    Only(usize),
}

/// Whether the cell's activations are replaced in its recorded equations.
pub(super) fn is_replaced(cell: &str) -> bool {
    !matches!(cell, "elman" | "jordan" | "output-feedback" | "lstm-peephole")
}

/// Stages of a cell, as registered, and which of their activations an option is of.
pub(super) fn places(cell: &str, option: &str) -> Vec<(usize, Which)> {
    use Which::{All, Only};
    match (cell, option) {
        ("gru" | "mgu" | "second-order" | "state-space", "activation") => vec![(1, All)],
        ("output-feedback-preprocessed", "activation") => vec![(0, All), (1, All)],
        ("output-feedback-preprocessed", "output-activation") => vec![(2, All)],
        (deep, "activation") if deep.starts_with("deep-") => vec![(0, All), (1, All)],
        (deep, "output-activation") if deep.starts_with("deep-") => vec![(2, All)],
        ("lstm-layer-norm", "output-activation") => vec![(1, All)],
        ("lstm-output-feedback", "output-activation") => vec![(1, All)],
        (residual, "output-activation") if residual.starts_with("residual") => vec![(1, All)],
        (_, "activation") => vec![(0, All)],
        (_, "input-activation") => vec![(0, Only(0))],
        (_, _) => vec![(0, Only(1))],
    }
}

/// The cell with other functions in these places: stage, which of its activations, the function. Its specification stays as it is.
pub(super) fn replace(cell: Arc<dyn Cell>, others: &[(usize, Which, Activation)]) -> Arc<dyn Cell> {
    if others.is_empty() {
        return cell;
    }
    let spec = cell.spec();
    let stages = spec.stages.iter().enumerate().map(|(k, stage)| {
        let graph = StageGraph::of(&*cell, k);
        let mut nodes = Vec::new();
        for &(_, which, activation) in others.iter().filter(|(place, ..)| *place == k) {
            nodes.extend(chosen(&graph, which).into_iter().map(|id| (id, activation)));
        }
        Replaced::new(spec, stage, graph, &nodes)
    });
    Arc::new(RecordedCell::new(spec, stages.collect::<Vec<_>>()))
}

/// The nodes of a stage's activations.
fn chosen(graph: &StageGraph, which: Which) -> Vec<NodeId> {
    let of =
        |is: fn(&Node) -> bool| -> Vec<NodeId> { (0..graph.nodes.len()).filter(|&id| is(&graph.nodes[id])).collect() };
    let tanh = of(|node| matches!(node, Node::Tanh(_)));
    let all = if tanh.is_empty() { of(|node| node.is_function()) } else { tanh };
    match which {
        Which::All => all,
        Which::Only(k) => vec![all[k]],
    }
}

/// A stage's equations with another function in some places.
struct Replaced {
    within: StageGraph,
    /// The nodes whose function is another, each with what the function is of.
    nodes: Vec<(NodeId, NodeId, Activation)>,
    /// The names of intermediate results, in the order of the equations.
    names: Vec<(&'static str, NodeId)>,
}

impl Replaced {
    fn new(spec: &CellSpec, stage: &StageSpec, within: StageGraph, nodes: &[(NodeId, Activation)]) -> Replaced {
        let operand = |id: NodeId| within.nodes[id].operands().next().expect("a function has an operand");
        let nodes: Vec<_> = nodes.iter().map(|&(id, activation)| (id, operand(id), activation)).collect();
        // What stands more than once in a formula gets a name before its first use, where it has none.
        let mut names: Vec<(&'static str, NodeId)> = Vec::new();
        for equation in &within.equations {
            for &(id, operand, _) in nodes.iter().filter(|(.., activation)| activation.repeats()) {
                let known = names.iter().any(|(_, node)| *node == operand);
                if !known && is_within(&within, equation.value, id) {
                    names.push((name(spec, stage, &within, operand, &names), operand));
                }
            }
            names.push((equation.name, equation.value));
        }
        Replaced { within, nodes, names }
    }
}

/// Whether a node is needed for another.
fn is_within(graph: &StageGraph, whole: NodeId, part: NodeId) -> bool {
    whole == part || graph.nodes[whole].operands().any(|id| id >= part && is_within(graph, id, part))
}

/// A name for what an activation is of: that of its gate, or a letter that nothing in the cell has.
fn name(
    spec: &CellSpec,
    stage: &StageSpec,
    graph: &StageGraph,
    operand: NodeId,
    given: &[(&'static str, NodeId)],
) -> &'static str {
    if let Some(gate) = stage.gates.get(operand).filter(|gate| graph.equations.iter().all(|e| e.name != gate.name)) {
        return gate.name;
    }
    let gates = spec.stages.iter().flat_map(|stage| stage.gates).map(|gate| gate.name);
    let others = spec.stages.iter().flat_map(|s| s.reads.iter().chain(s.units).chain(s.writes).copied());
    let equations = graph.equations.iter().map(|equation| equation.name);
    let taken: Vec<&str> = gates.chain(others).chain(equations).chain(given.iter().map(|(name, _)| *name)).collect();
    // Letters that no deck has for a gate.
    ["a", "b", "e", "d", "k", "w"].into_iter().find(|letter| !taken.contains(letter)).expect("a letter is left")
}

impl elementwise::Equations for Replaced {
    fn eval<R: Real>(&self, arguments: &[R]) -> Vec<R> {
        let mut values: Vec<R> = Vec::with_capacity(self.within.nodes.len());
        for (id, node) in self.within.nodes.iter().enumerate() {
            let replaced = self.nodes.iter().find(|(place, ..)| *place == id);
            let value = match replaced {
                Some(&(_, operand, activation)) => activation.of(values[operand]),
                None => node.eval(arguments, &values),
            };
            values.push(value);
        }
        for &(name, id) in &self.names {
            values[id].named(name);
        }
        self.within.outputs.iter().map(|&id| values[id]).collect()
    }
}

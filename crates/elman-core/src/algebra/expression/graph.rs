//! The recorded equations of one stage.

use super::{Gradient, Node, NodeId, record};
use crate::algebra::Real;
use crate::cell::Cell;

/// What an argument of a stage's equations is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArgumentKind {
    /// A gate before its nonlinearity: the value of an affine map.
    Gate,
    /// A value read.
    Read,
    /// A parameter with one number a unit.
    Unit,
    /// An input with one number a step and a unit.
    Feed,
}

/// One argument of a stage's equations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgumentKind,
    /// Its index among those of its kind.
    pub index: usize,
}

/// One line of a stage's equations: a name and the node that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equation {
    /// The name on the left.
    pub name: &'static str,
    /// The value on the right.
    pub value: NodeId,
}

/// How many operations of each kind a stage does for one unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Additions and subtractions.
    pub additions: usize,
    /// Multiplications.
    pub multiplications: usize,
    /// Divisions.
    pub divisions: usize,
    /// Changes of sign.
    pub negations: usize,
    /// Exponentials.
    pub exps: usize,
    /// Hyperbolic tangents.
    pub tanhs: usize,
    /// Logistic functions.
    pub sigmoids: usize,
    /// Rectifiers and their slopes.
    pub relus: usize,
    /// Smooth rectifiers.
    pub softpluses: usize,
    /// Sines and cosines.
    pub sines: usize,
}

impl Operations {
    /// Counts the operations among nodes.
    pub fn count(nodes: &[Node]) -> Operations {
        let mut n = Operations::default();
        for node in nodes {
            match node {
                Node::Constant(_) | Node::Argument(_) => {}
                Node::Add(..) | Node::Sub(..) => n.additions += 1,
                Node::Mul(..) => n.multiplications += 1,
                Node::Div(..) => n.divisions += 1,
                Node::Neg(_) => n.negations += 1,
                Node::Exp(_) => n.exps += 1,
                Node::Tanh(_) => n.tanhs += 1,
                Node::Sigmoid(_) => n.sigmoids += 1,
                Node::Relu(_) | Node::Step(_) => n.relus += 1,
                Node::Softplus(_) => n.softpluses += 1,
                Node::Sin(_) | Node::Cos(_) => n.sines += 1,
            }
        }
        n
    }

    /// All operations together.
    pub fn total(&self) -> usize {
        self.named().iter().map(|&(_, n)| n).sum()
    }

    /// Each kind with its symbol.
    pub fn named(&self) -> [(&'static str, usize); 10] {
        [
            ("σ", self.sigmoids),
            ("tanh", self.tanhs),
            ("relu", self.relus),
            ("exp", self.exps),
            ("softplus", self.softpluses),
            ("sin or cos", self.sines),
            ("×", self.multiplications),
            ("+", self.additions),
            ("÷", self.divisions),
            ("negate", self.negations),
        ]
    }
}

/// The recorded equations of one stage of a cell.
///
/// The first `arguments.len()` nodes are the arguments, in the order of [`StageSpec`](crate::cell::StageSpec): gates, reads,
/// units, feeds. To run a stage in another number type (tensors, say), walk the nodes in order, keep each one's value, and
/// take the values of `outputs`.
#[derive(Clone, Debug, PartialEq)]
pub struct StageGraph {
    /// Operations in an order in which they can be evaluated; each is needed by an output or has a name.
    pub nodes: Vec<Node>,
    /// The arguments.
    pub arguments: Vec<Argument>,
    /// The named results in the order of the equations. A name may also be that of a gate or a read value: the equation
    /// `i = sigmoid(i)` has the gate `i` on its right and names its result `i`. A node may have several names.
    pub equations: Vec<Equation>,
    /// For each of [`StageSpec::writes`](crate::cell::StageSpec::writes), its node.
    pub outputs: Vec<NodeId>,
}

impl StageGraph {
    /// Records stage `stage` of `cell`.
    ///
    /// # Panics
    /// If the cell has no such stage.
    pub fn of(cell: &dyn Cell, stage: usize) -> StageGraph {
        let spec = &cell.spec().stages[stage];
        let recording = record(spec.arguments(), |args| cell.record(stage, args));
        let gates: Vec<&str> = spec.gates.iter().map(|g| g.name).collect();
        let arguments = [
            (ArgumentKind::Gate, &gates[..]),
            (ArgumentKind::Read, spec.reads),
            (ArgumentKind::Unit, spec.units),
            (ArgumentKind::Feed, spec.feeds),
        ]
        .iter()
        .flat_map(|&(kind, names)| names.iter().enumerate().map(move |(index, &name)| Argument { name, kind, index }))
        .collect();
        let equations = recording.names.iter().map(|&(name, value)| Equation { name, value }).collect();
        StageGraph { nodes: recording.nodes, arguments, equations, outputs: recording.outputs }.pruned()
    }

    /// Drops what folding has left without a use.
    fn pruned(mut self) -> StageGraph {
        let results = self.outputs.iter().copied().chain(self.equations.iter().map(|e| e.value));
        let new = prune(&mut self.nodes, self.arguments.len(), results);
        self.outputs.iter_mut().for_each(|id| *id = new[*id]);
        self.equations.iter_mut().for_each(|e| e.value = new[e.value]);
        self
    }

    /// Evaluates the stage for one unit: from the arguments, the values written.
    ///
    /// # Panics
    /// If `args` has not the length of [`arguments`](StageGraph::arguments).
    pub fn eval<R: Real>(&self, args: &[R]) -> Vec<R> {
        let values = self.values(args);
        self.outputs.iter().map(|&id| values[id]).collect()
    }

    /// The same, and what has a name gets it again: for equations within others.
    pub(crate) fn eval_named<R: Real>(&self, args: &[R]) -> Vec<R> {
        let values = self.values(args);
        for equation in &self.equations {
            values[equation.value].named(equation.name);
        }
        self.outputs.iter().map(|&id| values[id]).collect()
    }

    /// Every node's value.
    fn values<R: Real>(&self, args: &[R]) -> Vec<R> {
        assert_eq!(args.len(), self.arguments.len(), "number of arguments");
        let mut values = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let value = node.eval(args, &values);
            values.push(value);
        }
        values
    }

    /// The derivative: from the gradient of each output, the gradient of each argument.
    pub fn gradient(&self) -> Gradient {
        Gradient::of(self)
    }

    /// Operations for one unit.
    pub fn operations(&self) -> Operations {
        Operations::count(&self.nodes)
    }

    /// The name that stands for `node` in equation `equation`: the first given by an earlier one (all equations for
    /// `equation = equations.len()`).
    pub fn name_before(&self, equation: usize, node: NodeId) -> Option<usize> {
        self.equations[..equation].iter().position(|e| e.value == node)
    }

    /// The arguments that stand in equation `equation` itself, not behind the name of an earlier result.
    pub fn arguments_of(&self, equation: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut stack = vec![self.equations[equation].value];
        while let Some(id) = stack.pop() {
            if let Node::Argument(i) = self.nodes[id] {
                found.push(i);
            } else if self.name_before(equation, id).is_none() {
                stack.extend(self.nodes[id].operands());
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Drops the nodes after the first `fixed` that no result needs; gives the new place of each node that stays.
pub(super) fn prune(nodes: &mut Vec<Node>, fixed: usize, results: impl Iterator<Item = NodeId>) -> Vec<NodeId> {
    let mut used = vec![false; nodes.len()];
    used[..fixed].fill(true);
    results.for_each(|id| used[id] = true);
    for id in (fixed..nodes.len()).rev() {
        if used[id] {
            nodes[id].operands().for_each(|operand| used[operand] = true);
        }
    }
    let mut new = vec![0; nodes.len()];
    let mut kept = Vec::new();
    for (id, node) in nodes.iter().enumerate() {
        if used[id] {
            new[id] = kept.len();
            kept.push(node.renumber(|operand| new[operand]));
        }
    }
    *nodes = kept;
    new
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cell::Pointwise;
    use crate::cells::REGISTRY;

    /// Numbers of both signs, the same in every run.
    pub(in crate::algebra::expression) fn numbers(n: usize, seed: u64) -> Vec<f64> {
        let mut s = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        (0..n)
            .map(|_| {
                s ^= s << 13;
                s ^= s >> 7;
                s ^= s << 17;
                (s >> 11) as f64 / (1u64 << 53) as f64 * 4.0 - 2.0
            })
            .collect()
    }

    #[test]
    fn every_cell_evaluates_to_what_was_recorded() {
        for entry in REGISTRY {
            let cell = (entry.make)();
            for (k, spec) in cell.spec().stages.iter().enumerate() {
                let graph = StageGraph::of(&*cell, k);
                for seed in 1..20 {
                    let args = numbers(spec.arguments(), seed);
                    let mut want = vec![0.0; spec.writes.len()];
                    Pointwise::<f64>::eval(&*cell, k, &args, &mut want);
                    for (got, want) in graph.eval(&args).iter().zip(&want) {
                        // The same operations in the same order: only the compiler's contraction could differ.
                        assert!((got - want).abs() <= 1e-15, "{} stage {k}: {got} != {want}", entry.name);
                    }
                }
            }
        }
    }

    #[test]
    fn lstm_counts() {
        let cell = crate::cells::Lstm {};
        let n = StageGraph::of(&cell, 0).operations();
        let want = Operations { sigmoids: 3, tanhs: 2, multiplications: 3, additions: 1, ..Default::default() };
        assert_eq!(n, want);
        assert_eq!(n.total(), 9);
    }

    #[test]
    fn a_name_may_be_an_argument_and_a_result() {
        let cell = crate::cells::Lstm {};
        let graph = StageGraph::of(&cell, 0);
        assert_eq!(graph.arguments[0].name, "i");
        assert_eq!(graph.equations[0], Equation { name: "i", value: 5 });
        assert_eq!(graph.nodes[5], Node::Sigmoid(0));
        // h = o * tanh(c): o and c are names by then, so no argument stands in it.
        assert!(graph.arguments_of(5).is_empty());
        assert_eq!(graph.arguments_of(0), [0]);
    }
}

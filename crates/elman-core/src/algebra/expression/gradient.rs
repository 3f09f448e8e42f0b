//! Reverse-mode derivative of a recorded stage, as expressions.

use super::graph::prune;
use super::tape::Tape;
use super::{Node, NodeId, StageGraph};
use crate::algebra::Real;

/// The derivative of a [`StageGraph`].
///
/// Slopes are written with the values that the forward pass has: `s (1 - s)` for a logistic function's result `s`,
/// `1 - g²` for a hyperbolic tangent's result `g`.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    /// The stage's nodes, and after them those of the derivative. Argument `a + o`, with `a` the number of the stage's
    /// arguments, is the gradient of output `o`.
    pub nodes: Vec<Node>,
    /// For each node of the stage: the gradients of the outputs that it is, summed; `None` if it is no output.
    pub given: Vec<Option<NodeId>>,
    /// For each node of the stage: what flows back from the stage's operations; `None` if nothing does.
    pub added: Vec<Option<NodeId>>,
    /// For each node of the stage: `given + added`.
    pub total: Vec<Option<NodeId>>,
    arguments: usize,
}

impl Gradient {
    pub(super) fn of(stage: &StageGraph) -> Gradient {
        let arguments = stage.arguments.len();
        let mut tape = Tape::after(&stage.nodes);
        let n = stage.nodes.len();
        let (mut given, mut added, mut total) = (vec![None; n], vec![None; n], vec![None; n]);
        for (o, &id) in stage.outputs.iter().enumerate() {
            let seed = tape.push(Node::Argument(arguments + o));
            given[id] = Some(sum(&mut tape, given[id], seed));
        }
        for id in (0..n).rev() {
            total[id] = match (given[id], added[id]) {
                (Some(g), Some(a)) => Some(tape.push(Node::Add(g, a))),
                (g, a) => g.or(a),
            };
            let Some(d) = total[id] else { continue };
            let mut add = |tape: &mut Tape, to: NodeId, what: NodeId| {
                if !matches!(tape.node(to), Node::Constant(_)) {
                    added[to] = Some(sum(tape, added[to], what));
                }
            };
            match stage.nodes[id] {
                Node::Constant(_) | Node::Argument(_) | Node::Step(_) => {}
                Node::Add(a, b) => {
                    add(&mut tape, a, d);
                    add(&mut tape, b, d);
                }
                Node::Sub(a, b) => {
                    add(&mut tape, a, d);
                    let negative = tape.push(Node::Neg(d));
                    add(&mut tape, b, negative);
                }
                Node::Mul(a, b) if a == b => {
                    let two = tape.constant(2.0);
                    let twice = tape.push(Node::Mul(two, d));
                    let da = tape.push(Node::Mul(twice, a));
                    add(&mut tape, a, da);
                }
                Node::Mul(a, b) => {
                    let (da, db) = (tape.push(Node::Mul(d, b)), tape.push(Node::Mul(d, a)));
                    add(&mut tape, a, da);
                    add(&mut tape, b, db);
                }
                Node::Div(a, b) => {
                    let da = tape.push(Node::Div(d, b));
                    add(&mut tape, a, da);
                    let product = tape.push(Node::Mul(da, id));
                    let db = tape.push(Node::Neg(product));
                    add(&mut tape, b, db);
                }
                Node::Neg(a) => {
                    let da = tape.push(Node::Neg(d));
                    add(&mut tape, a, da);
                }
                Node::Exp(a) => {
                    let da = tape.push(Node::Mul(d, id));
                    add(&mut tape, a, da);
                }
                Node::Tanh(a) => {
                    let one = tape.constant(1.0);
                    let square = tape.push(Node::Mul(id, id));
                    let slope = tape.push(Node::Sub(one, square));
                    let da = tape.push(Node::Mul(d, slope));
                    add(&mut tape, a, da);
                }
                Node::Sigmoid(a) => {
                    let one = tape.constant(1.0);
                    let rest = tape.push(Node::Sub(one, id));
                    let product = tape.push(Node::Mul(d, id));
                    let da = tape.push(Node::Mul(product, rest));
                    add(&mut tape, a, da);
                }
                Node::Softplus(a) => {
                    let slope = tape.push(Node::Sigmoid(a));
                    let da = tape.push(Node::Mul(d, slope));
                    add(&mut tape, a, da);
                }
                Node::Sin(a) => {
                    let slope = tape.push(Node::Cos(a));
                    let da = tape.push(Node::Mul(d, slope));
                    add(&mut tape, a, da);
                }
                Node::Cos(a) => {
                    let sine = tape.push(Node::Sin(a));
                    let product = tape.push(Node::Mul(d, sine));
                    let da = tape.push(Node::Neg(product));
                    add(&mut tape, a, da);
                }
                Node::Relu(a) => {
                    let slope = tape.push(Node::Step(id));
                    let da = tape.push(Node::Mul(d, slope));
                    add(&mut tape, a, da);
                }
            }
        }
        Gradient { nodes: tape.into_nodes(), given, added, total, arguments }.pruned(n)
    }

    /// Drops what taking out common factors has left without a use; the stage's own nodes stay.
    fn pruned(mut self, stage_nodes: usize) -> Gradient {
        let results = [&self.given, &self.added, &self.total].into_iter().flatten().filter_map(|id| *id);
        let new = prune(&mut self.nodes, stage_nodes, results);
        for list in [&mut self.given, &mut self.added, &mut self.total] {
            list.iter_mut().flatten().for_each(|id| *id = new[*id]);
        }
        self
    }

    /// From the arguments of one unit and the gradient of each output, the gradient of each argument.
    pub fn eval<R: Real>(&self, args: &[R], d_outs: &[R]) -> Vec<R> {
        assert_eq!(args.len(), self.arguments, "number of arguments");
        let inputs: Vec<R> = args.iter().chain(d_outs).copied().collect();
        let mut values = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let value = node.eval(&inputs, &values);
            values.push(value);
        }
        (0..self.arguments).map(|a| self.total[a].map_or(R::constant(0.0), |id| values[id])).collect()
    }
}

/// `a + b`, with a common first factor taken out: `d n - d h` is written `d (n - h)`.
fn sum(tape: &mut Tape, a: Option<NodeId>, b: NodeId) -> NodeId {
    let Some(a) = a else { return b };
    let (minus, product) = match tape.node(b) {
        Node::Neg(inner) => (true, inner),
        _ => (false, b),
    };
    if let (Node::Mul(k, u), Node::Mul(m, v)) = (tape.node(a), tape.node(product))
        && k == m
    {
        let rest = tape.push(if minus { Node::Sub(u, v) } else { Node::Add(u, v) });
        return tape.push(Node::Mul(k, rest));
    }
    tape.push(Node::Add(a, b))
}

#[cfg(test)]
mod tests {
    use super::super::graph::tests::numbers;
    use super::*;
    use crate::cell::Pointwise;
    use crate::cells::REGISTRY;

    #[test]
    fn every_cell_has_the_derivative_of_its_duals() {
        for entry in REGISTRY {
            let cell = (entry.make)();
            for (k, spec) in cell.spec().stages.iter().enumerate() {
                let gradient = StageGraph::of(&*cell, k).gradient();
                let (n, m) = (spec.arguments(), spec.writes.len());
                for seed in 1..20 {
                    let (args, d_outs) = (numbers(n, seed), numbers(m, seed + 100));
                    let (mut outs, mut jacobian) = (vec![0.0; m], vec![0.0; n * m]);
                    Pointwise::<f64>::jacobian(&*cell, k, &args, &mut outs, &mut jacobian);
                    for (a, got) in gradient.eval(&args, &d_outs).iter().enumerate() {
                        let want: f64 = (0..m).map(|o| d_outs[o] * jacobian[o * n + a]).sum();
                        // Values are of order 1; a dozen roundings in another order stay far below this.
                        assert!((got - want).abs() <= 1e-12, "{} stage {k} argument {a}: {got} != {want}", entry.name);
                    }
                }
            }
        }
    }

    #[test]
    fn every_operation_has_the_derivative_of_its_duals() {
        use crate::algebra::expression::{Argument, ArgumentKind, record};
        use crate::algebra::{Dual, prelude::*};

        /// Uses each operation of [`Real`] that cells are written in, with live operands on both sides, squares, and a constant.
        fn all<R: Real>([x, y]: [R; 2]) -> R {
            let q = x / (K(3.0) + y * y);
            let waves = sin(x * y) * cos(q) + softplus(x - y * y);
            tanh(q) * sigmoid(x - y) + relu(-x) * exp(q * K2::<R>()) - x.step() * y / R::constant(2.0) + x * x + waves
        }
        #[allow(non_snake_case)]
        fn K2<R: Real>() -> R {
            R::constant(0.5)
        }
        let recording = record(2, |a| vec![all([a[0], a[1]])]);
        let argument = |index| Argument { name: "x", kind: ArgumentKind::Read, index };
        let graph = StageGraph {
            nodes: recording.nodes,
            arguments: vec![argument(0), argument(1)],
            equations: Vec::new(),
            outputs: recording.outputs,
        };
        for seed in 1..50 {
            let args = numbers(2, seed);
            let dual = all([Dual::<f64, [f64; 2]>::argument(args[0], 0), Dual::argument(args[1], 1)]);
            assert!((graph.eval(&args)[0] - dual.value).abs() <= 1e-14, "a dozen roundings of values of order 1");
            for (got, want) in graph.gradient().eval(&args, &[1.0]).iter().zip(dual.partials) {
                assert!((got - want).abs() <= 1e-13 * (1.0 + want.abs()), "{got} != {want}");
            }
        }
    }
}

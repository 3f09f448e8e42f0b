//! The tape: nodes that fold trivial operations away and are never written twice.

use crate::algebra::Real;
use std::collections::HashMap;

/// Index of a node in its list of nodes.
pub type NodeId = usize;

/// One operation of a recorded expression; operands stand before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node {
    /// A literal number.
    Constant(f64),
    /// The argument of this index.
    Argument(usize),
    /// `a + b`
    Add(NodeId, NodeId),
    /// `a - b`
    Sub(NodeId, NodeId),
    /// `a * b`
    Mul(NodeId, NodeId),
    /// `a / b`
    Div(NodeId, NodeId),
    /// `-a`
    Neg(NodeId),
    /// `e^a`
    Exp(NodeId),
    /// `tanh(a)`
    Tanh(NodeId),
    /// `1 / (1 + e^-a)`
    Sigmoid(NodeId),
    /// `max(a, 0)`
    Relu(NodeId),
    /// 1 where `a > 0`, else 0
    Step(NodeId),
    /// `ln(1 + e^a)`
    Softplus(NodeId),
    /// `sin(a)`
    Sin(NodeId),
    /// `cos(a)`
    Cos(NodeId),
}

impl Node {
    /// Whether it is a named function of one value.
    pub fn is_function(self) -> bool {
        use Node::*;
        matches!(self, Exp(_) | Tanh(_) | Sigmoid(_) | Relu(_) | Softplus(_) | Sin(_) | Cos(_))
    }

    /// Its operands: none, one or two.
    pub fn operands(self) -> impl Iterator<Item = NodeId> {
        use Node::*;
        let (a, b) = match self {
            Constant(_) | Argument(_) => (None, None),
            Add(a, b) | Sub(a, b) | Mul(a, b) | Div(a, b) => (Some(a), Some(b)),
            Neg(a) | Exp(a) | Tanh(a) | Sigmoid(a) | Relu(a) | Step(a) | Softplus(a) | Sin(a) | Cos(a) => {
                (Some(a), None)
            }
        };
        a.into_iter().chain(b)
    }

    /// The same operation with its operands renumbered.
    pub(crate) fn renumber(self, new: impl Fn(NodeId) -> NodeId) -> Node {
        use Node::*;
        match self {
            Constant(_) | Argument(_) => self,
            Add(a, b) => Add(new(a), new(b)),
            Sub(a, b) => Sub(new(a), new(b)),
            Mul(a, b) => Mul(new(a), new(b)),
            Div(a, b) => Div(new(a), new(b)),
            Neg(a) => Neg(new(a)),
            Exp(a) => Exp(new(a)),
            Tanh(a) => Tanh(new(a)),
            Sigmoid(a) => Sigmoid(new(a)),
            Relu(a) => Relu(new(a)),
            Step(a) => Step(new(a)),
            Softplus(a) => Softplus(new(a)),
            Sin(a) => Sin(new(a)),
            Cos(a) => Cos(new(a)),
        }
    }

    /// Its value in any number type, from the arguments and the values of the nodes before it.
    #[inline(always)]
    pub fn eval<R: Real>(self, args: &[R], values: &[R]) -> R {
        use Node::*;
        match self {
            Constant(k) => R::constant(k),
            Argument(i) => args[i],
            Add(a, b) => values[a] + values[b],
            Sub(a, b) => values[a] - values[b],
            Mul(a, b) => values[a] * values[b],
            Div(a, b) => values[a] / values[b],
            Neg(a) => -values[a],
            Exp(a) => values[a].exp(),
            Tanh(a) => values[a].tanh(),
            Sigmoid(a) => values[a].sigmoid(),
            Relu(a) => values[a].relu(),
            Step(a) => values[a].step(),
            Softplus(a) => values[a].softplus(),
            Sin(a) => values[a].sin(),
            Cos(a) => values[a].cos(),
        }
    }

    /// What tells it from every other node: `f64` has no `Eq`, its bits have.
    fn key(self) -> (std::mem::Discriminant<Node>, u64, u64) {
        let (a, b) = match self {
            Node::Constant(k) => (k.to_bits(), 0),
            Node::Argument(i) => (i as u64, 0),
            _ => {
                let mut operands = self.operands();
                (operands.next().unwrap_or(0) as u64, operands.next().unwrap_or(0) as u64)
            }
        };
        (std::mem::discriminant(&self), a, b)
    }
}

/// Nodes in the order in which they were written.
#[derive(Default)]
pub(super) struct Tape {
    nodes: Vec<Node>,
    known: HashMap<(std::mem::Discriminant<Node>, u64, u64), NodeId>,
}

impl Tape {
    /// A tape that goes on after these nodes.
    pub(super) fn after(nodes: &[Node]) -> Tape {
        let known = nodes.iter().enumerate().map(|(id, node)| (node.key(), id)).collect();
        Tape { nodes: nodes.to_vec(), known }
    }

    pub(super) fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    pub(super) fn node(&self, id: NodeId) -> Node {
        self.nodes[id]
    }

    pub(super) fn constant(&mut self, value: f64) -> NodeId {
        self.push(Node::Constant(value))
    }

    fn known_constant(&self, id: NodeId) -> Option<f64> {
        match self.nodes[id] {
            Node::Constant(k) => Some(k),
            _ => None,
        }
    }

    /// Writes a node and returns its index: an older one's, if folding or an equal node says so.
    ///
    /// `0 * x` folds to 0 although it is NaN for an infinite x: the recorder describes equations, where a factor of zero is a
    /// term that is not there.
    pub(super) fn push(&mut self, node: Node) -> NodeId {
        use Node::*;
        let constant = |id: NodeId| self.known_constant(id);
        let is = |id: NodeId, k: f64| constant(id) == Some(k);
        let negated = |id: NodeId| match self.nodes[id] {
            Neg(inner) => Some(inner),
            _ => None,
        };
        let is_operation = !matches!(node, Constant(_) | Argument(_));
        if is_operation && node.operands().all(|id| constant(id).is_some()) {
            let values: Vec<f64> = self.nodes.iter().map(|&n| if let Constant(k) = n { k } else { f64::NAN }).collect();
            return self.constant(node.eval(&[], &values));
        }
        match node {
            Add(a, b) if is(b, 0.0) => return a,
            Add(a, b) if is(a, 0.0) => return b,
            Sub(a, b) if is(b, 0.0) => return a,
            Mul(a, b) if is(b, 1.0) => return a,
            Mul(a, b) if is(a, 1.0) => return b,
            Mul(a, b) if is(a, 0.0) || is(b, 0.0) => return self.constant(0.0),
            Div(a, b) if is(b, 1.0) => return a,
            Sub(a, b) if is(a, 0.0) => return self.push(Neg(b)),
            Neg(a) if negated(a).is_some() => return negated(a).unwrap_or(a),
            _ => {}
        }
        let node = match node {
            Add(a, b) => match (negated(a), negated(b)) {
                (_, Some(b)) => Sub(a, b),
                (Some(a), None) => Sub(b, a),
                _ => node,
            },
            Sub(a, b) => negated(b).map_or(node, |b| Add(a, b)),
            // A sign goes to the front of a product, where a sum can take it up.
            Mul(a, b) | Div(a, b) if negated(a).is_some() || negated(b).is_some() => {
                let both = negated(a).is_some() && negated(b).is_some();
                let (u, v) = (negated(a).unwrap_or(a), negated(b).unwrap_or(b));
                let positive = self.push(if matches!(node, Mul(..)) { Mul(u, v) } else { Div(u, v) });
                return if both { positive } else { self.push(Neg(positive)) };
            }
            _ => node,
        };
        if let Some(&id) = self.known.get(&node.key()) {
            return id;
        }
        self.nodes.push(node);
        self.known.insert(node.key(), self.nodes.len() - 1);
        self.nodes.len() - 1
    }
}

//! A node's equations, recorded for the vector lanes.

use super::{Activation, Branches};
use elman_core::Real;
use elman_core::elementwise::{Elementwise, Equations};

/// A network's nodes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// h = a(sum).
    Recursive(Activation),
    /// A Tree-LSTM, which has cells.
    Lstm,
}

/// What a network's nodes compute of their gates' sums and of their children's cells.
#[derive(Clone, Debug)]
pub(super) struct NodeEquations {
    /// Whether nodes have a c.
    pub lstm: bool,
    pub branches: Branches,
    /// h, c of the gates.
    pub leaf: Elementwise,
    /// h, c of the gates and `cells` arrays.
    pub inner: Elementwise,
    /// What a child of a child-sum Tree-LSTM keeps, f ∘ c, of its forget gate and its c.
    pub kept: Option<Elementwise>,
}

impl NodeEquations {
    /// None for more branches than can be recorded.
    pub fn new(kind: Kind, branches: Branches) -> Option<NodeEquations> {
        let sum = branches == Branches::Sum;
        let lstm = matches!(kind, Kind::Lstm);
        let forget = if lstm && !sum { branches.matrices() } else { 0 };
        let kept = lstm && sum;
        let leaf = Node { kind, forget: 0, kept: false };
        let inner = Node { kind, forget, kept };
        (inner.arguments() <= Elementwise::MOST).then(|| NodeEquations {
            lstm,
            branches,
            leaf: Elementwise::new(leaf.arguments(), &leaf),
            inner: Elementwise::new(inner.arguments(), &inner),
            kept: kept.then(|| Elementwise::new(2, &Kept)),
        })
    }

    /// Gates that all nodes have: i, o, u, or one.
    pub fn own(&self) -> usize {
        if self.lstm { 3 } else { 1 }
    }

    /// States that enter an inner node: one of each branch, or their sum.
    pub fn states(&self) -> usize {
        self.branches.matrices()
    }

    /// Arrays of cells that enter an inner node: c of each branch, or the sum of what the children keep.
    pub fn cells(&self) -> usize {
        if self.lstm { self.states() } else { 0 }
    }

    /// Gates of an inner node that the states are multiplied for.
    pub fn of_states(&self) -> usize {
        self.own() + if self.kept.is_some() { 0 } else { self.cells() }
    }
}

/// The equations that end in a node's h and c.
struct Node {
    kind: Kind,
    /// Forget gates, each with its child's c.
    forget: usize,
    /// Whether what children keep comes summed.
    kept: bool,
}

impl Node {
    fn arguments(&self) -> usize {
        match self.kind {
            Kind::Recursive(_) => 1,
            Kind::Lstm => 3 + 2 * self.forget + usize::from(self.kept),
        }
    }
}

impl Equations for Node {
    fn eval<R: Real>(&self, arguments: &[R]) -> Vec<R> {
        match self.kind {
            Kind::Recursive(activation) => vec![activation.of(arguments[0])],
            Kind::Lstm => {
                let (gates, cells) = arguments.split_at(3 + self.forget);
                let (i, o, u) = (gates[0].sigmoid(), gates[1].sigmoid(), gates[2].tanh());
                let new = i * u;
                let gated = gates[3..].iter().zip(cells).fold(new, |c, (f, &cell)| c + f.sigmoid() * cell);
                let c = if self.kept { gated + cells[0] } else { gated };
                vec![o * c.tanh(), c]
            }
        }
    }
}

struct Kept;

impl Equations for Kept {
    fn eval<R: Real>(&self, arguments: &[R]) -> Vec<R> {
        vec![arguments[0].sigmoid() * arguments[1]]
    }
}

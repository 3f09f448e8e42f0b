//! Recorded expressions: a cell's equations as data.
//!
//! [`Expr`] is a [`Real`] whose operations are written down instead of computed. [`StageGraph`] is the result for one
//! stage of a cell: its nodes in an order in which they can be evaluated, and the names that the equations give to
//! intermediate results. [`Gradient`] is its derivative, again as nodes. Printed equations, pictures, operation counts and
//! cells as tensor operations are all read from these two.
//!
//! ```
//! use elman_core::algebra::expression::StageGraph;
//! use elman_core::cells::find;
//!
//! let cell = (find("lstm").unwrap().make)();
//! let graph = StageGraph::of(&*cell, 0);
//! // i, f, g, o before their activations, and c of the step before; h and c come out.
//! let [i, f, g, o, c] = [0.5, 1.0, -0.5, 2.0, 0.25];
//! let out = graph.eval(&[i, f, g, o, c]);
//! let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
//! let c_new = sigmoid(f) * c + sigmoid(i) * g.tanh();
//! assert!((out[1] - c_new).abs() < 1e-15);
//! assert!((out[0] - sigmoid(o) * c_new.tanh()).abs() < 1e-15);
//! ```

use super::Real;
use core::ops::{Add, Div, Mul, Neg, Sub};
use std::cell::RefCell;

mod gradient;
mod graph;
mod tape;

pub use gradient::Gradient;
pub use graph::{Argument, ArgumentKind, Equation, Operations, StageGraph};
pub use tape::{Node, NodeId};

use tape::Tape;

thread_local! {
    /// The tapes of the recordings in progress on this thread, innermost last.
    static TAPES: RefCell<Vec<Recorder>> = const { RefCell::new(Vec::new()) };
}

/// A tape and the names given so far.
#[derive(Default)]
struct Recorder {
    tape: Tape,
    names: Vec<(&'static str, NodeId)>,
}

/// A number that is written down: an index into the tape of the recording in progress.
///
/// It means something only inside [`record`]; operations outside it panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expr(u32);

/// What [`record`] returns: the nodes, the names given to some of them in the order of the equations, and the results.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Nodes in an order in which they can be evaluated; the first ones are the arguments.
    pub nodes: Vec<Node>,
    /// Names given by [`Real::named`], in order; a node may have several.
    pub names: Vec<(&'static str, NodeId)>,
    /// What the equations returned.
    pub outputs: Vec<NodeId>,
}

/// Runs equations of `arguments` arguments on a fresh tape and returns what they wrote down.
///
/// ```
/// use elman_core::algebra::{Real, expression::{Node, record}};
/// let recording = record(2, |args| vec![(args[0] * args[1]).tanh()]);
/// assert_eq!(recording.nodes[recording.outputs[0]], Node::Tanh(2));
/// ```
pub fn record(arguments: usize, equations: impl FnOnce(&[Expr]) -> Vec<Expr>) -> Recording {
    /// Takes the tape down even if the equations panic.
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            TAPES.with_borrow_mut(Vec::pop);
        }
    }
    let mut recorder = Recorder::default();
    let args: Vec<Expr> = (0..arguments).map(|i| Expr::from_id(recorder.tape.push(Node::Argument(i)))).collect();
    TAPES.with_borrow_mut(|tapes| tapes.push(recorder));
    let guard = Guard;
    let outputs = equations(&args).iter().map(|e| e.id()).collect();
    let recorder = TAPES.with_borrow_mut(|tapes| tapes.last_mut().map(std::mem::take)).unwrap_or_default();
    drop(guard);
    Recording { nodes: recorder.tape.into_nodes(), names: recorder.names, outputs }
}

impl Expr {
    fn from_id(id: NodeId) -> Expr {
        Expr(u32::try_from(id).expect("fewer than 2^32 nodes"))
    }

    /// The node that holds it in the [`Recording`].
    pub fn id(self) -> NodeId {
        self.0 as NodeId
    }

    #[track_caller]
    fn write(node: Node) -> Expr {
        TAPES.with_borrow_mut(|tapes| {
            let recorder = tapes.last_mut().expect("an expression is used outside `expression::record`");
            Expr::from_id(recorder.tape.push(node))
        })
    }
}

macro_rules! binary {
    ($($trait:ident $method:ident),*) => {$(
        impl $trait for Expr {
            type Output = Expr;
            fn $method(self, other: Expr) -> Expr {
                Expr::write(Node::$trait(self.id(), other.id()))
            }
        }
    )*};
}
binary!(Add add, Sub sub, Mul mul, Div div);

impl Neg for Expr {
    type Output = Expr;
    fn neg(self) -> Expr {
        Expr::write(Node::Neg(self.id()))
    }
}

impl Real for Expr {
    fn constant(value: f64) -> Expr {
        Expr::write(Node::Constant(value))
    }
    fn exp(self) -> Expr {
        Expr::write(Node::Exp(self.id()))
    }
    fn tanh(self) -> Expr {
        Expr::write(Node::Tanh(self.id()))
    }
    fn sigmoid(self) -> Expr {
        Expr::write(Node::Sigmoid(self.id()))
    }
    fn relu(self) -> Expr {
        Expr::write(Node::Relu(self.id()))
    }
    fn softplus(self) -> Expr {
        Expr::write(Node::Softplus(self.id()))
    }
    fn sin(self) -> Expr {
        Expr::write(Node::Sin(self.id()))
    }
    fn cos(self) -> Expr {
        Expr::write(Node::Cos(self.id()))
    }
    fn step(self) -> Expr {
        Expr::write(Node::Step(self.id()))
    }
    fn named(self, name: &'static str) -> Expr {
        TAPES.with_borrow_mut(|tapes| {
            let recorder = tapes.last_mut().expect("an expression is named outside `expression::record`");
            recorder.names.push((name, self.id()));
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::prelude::*;
    use super::*;

    fn only(arguments: usize, f: impl Fn(&[Expr]) -> Expr) -> Node {
        let r = record(arguments, |a| vec![f(a)]);
        r.nodes[r.outputs[0]]
    }

    #[test]
    fn trivial_operations_leave_no_trace() {
        let x = Node::Argument(0);
        assert_eq!(only(1, |a| K(0.0) + a[0]), x);
        assert_eq!(only(1, |a| a[0] + Expr::constant(0.0)), x);
        assert_eq!(only(1, |a| a[0] - Expr::constant(0.0)), x);
        assert_eq!(only(1, |a| ONE * a[0]), x);
        assert_eq!(only(1, |a| a[0] * Expr::constant(1.0)), x);
        assert_eq!(only(1, |a| a[0] / Expr::constant(1.0)), x);
        assert_eq!(only(1, |a| -(-a[0])), x);
        assert_eq!(only(1, |a| K(0.0) * a[0]), Node::Constant(0.0));
        assert_eq!(only(1, |a| K(0.0) - a[0]), Node::Neg(0));
        assert_eq!(only(2, |a| a[0] + -a[1]), Node::Sub(0, 1));
        assert_eq!(only(2, |a| a[0] - -a[1]), Node::Add(0, 1));
        assert_eq!(only(2, |a| -a[0] * -a[1]), Node::Mul(0, 1));
        assert_eq!(only(2, |a| a[0] - a[0] * -a[1]), Node::Add(0, 3));
        assert_eq!(only(0, |_| K(2.0) * Expr::constant(3.0)), Node::Constant(6.0));
        assert_eq!(only(0, |_| Expr::constant(0.0).sigmoid()), Node::Constant(0.5));
    }

    #[test]
    fn equal_expressions_are_one_node() {
        let r = record(1, |a| vec![a[0].tanh() * a[0].tanh()]);
        assert_eq!(r.nodes, [Node::Argument(0), Node::Tanh(0), Node::Mul(1, 1)]);
    }

    #[test]
    fn recordings_nest() {
        let outer = record(1, |a| {
            let inner = record(1, |b| vec![b[0].exp()]);
            assert_eq!(inner.nodes.len(), 2);
            vec![a[0].tanh()]
        });
        assert_eq!(outer.nodes, [Node::Argument(0), Node::Tanh(0)]);
    }

    #[test]
    fn a_panic_inside_takes_its_tape_down() {
        let outer = record(1, |a| {
            let failed = std::panic::catch_unwind(|| record(0, |_| panic!("on purpose")));
            assert!(failed.is_err());
            vec![a[0].exp()]
        });
        assert_eq!(outer.nodes, [Node::Argument(0), Node::Exp(0)]);
    }

    #[test]
    #[should_panic(expected = "outside `expression::record`")]
    fn outside_a_recording_nothing_can_be_written() {
        let _ = Expr::constant(1.0);
    }
}

//! Formulas as data: what is printed, before it is decided how.

use crate::Draw;
use crate::algebra::expression::{Node, NodeId};

/// The step that a value belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Time {
    /// The step before, t - 1.
    Before,
    /// This step, t.
    Now,
}

/// A mark above a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Accent {
    None,
    Hat,
    Tilde,
    Bar,
}

/// A symbol: a letter or word with its marks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Letter {
    pub base: String,
    pub accent: Accent,
    pub sub: String,
    pub primes: usize,
    pub time: Option<Time>,
}

impl Letter {
    /// A letter without marks.
    pub fn plain(base: &str, sub: &str) -> Letter {
        Letter { base: base.into(), accent: Accent::None, sub: sub.into(), primes: 0, time: None }
    }
}

/// A function: pointwise, but for the normaliser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Sigmoid,
    Tanh,
    Relu,
    Exp,
    Softplus,
    Sin,
    Cos,
    /// The natural logarithm.
    Ln,
    /// Layer normalisation across the units of a row.
    Norm,
    /// Its Jacobian, which is symmetric.
    NormJacobian,
}

/// A formula over vectors.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Math {
    Letter(Letter),
    Number(f64),
    /// A number drawn between two.
    Between(f64, f64),
    /// Terms, each with whether it is subtracted.
    Sum(Vec<(bool, Math)>),
    /// Product of each element.
    Product(Vec<Math>),
    Quotient(Box<Math>, Box<Math>),
    Function(Function),
    Call(Function, Box<Math>),
    Square(Box<Math>),
    /// 1 where the value is positive, else 0.
    Positive(Box<Math>),
    /// Matrix times vector, and column of functions times column of values.
    Apply(Box<Math>, Box<Math>),
    Transposed(Box<Math>),
    /// Gradient of the loss by it.
    Delta(Box<Math>),
    /// Vectors side by side in one: `[h, x]`.
    Concatenated(Vec<Math>),
    /// Things on top of each other.
    Column(Vec<Math>),
}

/// `left = right`, or `left += right`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Formula {
    pub left: Math,
    pub adds: bool,
    pub right: Math,
}

impl Math {
    pub fn apply(matrix: Math, vector: Math) -> Math {
        Math::Apply(Box::new(matrix), Box::new(vector))
    }
    pub fn transposed(self) -> Math {
        Math::Transposed(Box::new(self))
    }
    pub fn delta(self) -> Math {
        Math::Delta(Box::new(self))
    }
    /// The sum of terms; a single one is itself.
    pub fn sum(terms: Vec<Math>) -> Math {
        if terms.len() == 1 { terms.into_iter().next().unwrap_or(Math::Number(0.0)) } else { join(terms) }
    }
}

fn join(terms: Vec<Math>) -> Math {
    let mut flat = Vec::new();
    for term in terms {
        match term {
            Math::Sum(inner) => flat.extend(inner),
            other => flat.push((false, other)),
        }
    }
    Math::Sum(flat)
}

/// How a parameter is drawn; `unit` gives the symbol of another.
pub(super) fn formula_of_draw(draw: &Draw, unit: &dyn Fn(&str) -> Math) -> Math {
    let of = |a: &Draw| formula_of_draw(a, unit);
    match *draw {
        Draw::Uniform(low, high) => Math::Between(low, high),
        Draw::Number(number) => Math::Number(number),
        Draw::Unit(name) => unit(name),
        Draw::Sum(a, b) => Math::Sum(vec![(false, of(a)), (false, of(b))]),
        Draw::Difference(a, b) => Math::Sum(vec![(false, of(a)), (true, of(b))]),
        Draw::Product(a, b) => Math::Product(vec![of(a), of(b)]),
        Draw::Exp(a) => Math::Call(Function::Exp, Box::new(of(a))),
        Draw::Ln(a) => Math::Call(Function::Ln, Box::new(of(a))),
    }
}

/// The formula of node `id`; `leaf` gives the symbol of nodes that have one.
pub(super) fn formula_of(nodes: &[Node], id: NodeId, leaf: &dyn Fn(NodeId) -> Option<Math>) -> Math {
    if let Some(symbol) = leaf(id) {
        return symbol;
    }
    let of = |id| formula_of(nodes, id, leaf);
    let call = |f, a| Math::Call(f, Box::new(of(a)));
    match nodes[id] {
        Node::Constant(k) => Math::Number(k),
        Node::Argument(i) => Math::Letter(Letter::plain("argument", &i.to_string())),
        Node::Add(a, b) => join(vec![of(a), of(b)]),
        Node::Sub(a, b) => match join(vec![of(a)]) {
            Math::Sum(mut terms) => {
                terms.push((true, of(b)));
                Math::Sum(terms)
            }
            other => other,
        },
        Node::Mul(a, b) if a == b => Math::Square(Box::new(of(a))),
        Node::Mul(a, b) => {
            let mut factors = Vec::new();
            for factor in [of(a), of(b)] {
                match factor {
                    Math::Product(inner) => factors.extend(inner),
                    // Numbers lead, as in `2 x`.
                    number @ Math::Number(_) => factors.insert(0, number),
                    other => factors.push(other),
                }
            }
            Math::Product(factors)
        }
        Node::Div(a, b) => Math::Quotient(Box::new(of(a)), Box::new(of(b))),
        Node::Neg(a) => Math::Sum(vec![(true, of(a))]),
        Node::Exp(a) => call(Function::Exp, a),
        Node::Tanh(a) => call(Function::Tanh, a),
        Node::Sigmoid(a) => call(Function::Sigmoid, a),
        Node::Relu(a) => call(Function::Relu, a),
        Node::Softplus(a) => call(Function::Softplus, a),
        Node::Sin(a) => call(Function::Sin, a),
        Node::Cos(a) => call(Function::Cos, a),
        Node::Step(a) => Math::Positive(Box::new(of(a))),
    }
}

//! A right side as a term that can be evaluated in any number.

use super::function::Function;
use crate::algebra::Real;
use crate::elementwise;

/// A term over leaves of type `L`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Term<L> {
    Number(f64),
    Leaf(L),
    Neg(Box<Term<L>>),
    Add(Box<Term<L>>, Box<Term<L>>),
    Sub(Box<Term<L>>, Box<Term<L>>),
    Mul(Box<Term<L>>, Box<Term<L>>),
    Div(Box<Term<L>>, Box<Term<L>>),
    Square(Box<Term<L>>),
    Positive(Box<Term<L>>),
    Call(Function, Box<Term<L>>),
}

impl<L: Copy> Term<L> {
    /// The same term over other leaves.
    pub fn map<M, E>(&self, leaf: &mut impl FnMut(L) -> Result<M, E>) -> Result<Term<M>, E> {
        let mut of = |term: &Term<L>| term.map(leaf).map(Box::new);
        Ok(match self {
            Term::Number(number) => Term::Number(*number),
            Term::Leaf(l) => Term::Leaf(leaf(*l)?),
            Term::Neg(a) => Term::Neg(of(a)?),
            Term::Add(a, b) => Term::Add(of(a)?, of(b)?),
            Term::Sub(a, b) => Term::Sub(of(a)?, of(b)?),
            Term::Mul(a, b) => Term::Mul(of(a)?, of(b)?),
            Term::Div(a, b) => Term::Div(of(a)?, of(b)?),
            Term::Square(a) => Term::Square(of(a)?),
            Term::Positive(a) => Term::Positive(of(a)?),
            Term::Call(f, a) => Term::Call(*f, of(a)?),
        })
    }

    /// Its leaves from left to right.
    pub fn leaves(&self) -> Vec<L> {
        let mut leaves = Vec::new();
        let collected: Result<Term<()>, ()> = self.map(&mut |leaf| {
            leaves.push(leaf);
            Ok(())
        });
        debug_assert!(collected.is_ok());
        leaves
    }
}

/// A leaf of a stage's equations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    /// The stage's argument of this index.
    Argument(usize),
    /// The result of an earlier equation of the stage.
    Result(usize),
}

impl Term<Place> {
    /// Its value.
    pub fn eval<R: Real>(&self, arguments: &[R], results: &[R]) -> R {
        let of = |term: &Term<Place>| term.eval(arguments, results);
        match self {
            Term::Number(number) => R::constant(*number),
            Term::Leaf(Place::Argument(i)) => arguments[*i],
            Term::Leaf(Place::Result(i)) => results[*i],
            Term::Neg(a) => -of(a),
            Term::Add(a, b) => of(a) + of(b),
            Term::Sub(a, b) => of(a) - of(b),
            Term::Mul(a, b) => of(a) * of(b),
            Term::Div(a, b) => of(a) / of(b),
            Term::Square(a) => {
                let a = of(a);
                a * a
            }
            Term::Positive(a) => of(a).step(),
            Term::Call(function, a) => function.of(of(a)),
        }
    }
}

/// The equations of one stage.
#[derive(Clone, Debug)]
pub(super) struct Equations {
    /// Name and right side, in order.
    pub lines: Vec<(&'static str, Term<Place>)>,
    /// The lines whose results are written.
    pub outputs: Vec<usize>,
}

impl elementwise::Equations for Equations {
    fn eval<R: Real>(&self, arguments: &[R]) -> Vec<R> {
        let mut results: Vec<R> = Vec::with_capacity(self.lines.len());
        for (name, term) in &self.lines {
            let value = term.eval(arguments, &results).named(name);
            results.push(value);
        }
        self.outputs.iter().map(|&line| results[line]).collect()
    }
}

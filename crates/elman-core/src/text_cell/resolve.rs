//! Equations with their names resolved: which sums are gates, what is a value, what a parameter.
//!
//! In a sum, the matrix products and biases are one gate, in the place of the first; `γ * norm(...)` is a gate of its own. A
//! bias belongs to the gate before it in the sum, or to the first one.

use super::error::{At, Problem, TextCellError};
use super::lexer::{Name, Time};
use super::parse::{Kind, Tree};
use super::sections::Sections;
use super::term::Term;
use std::collections::HashMap;

/// The value of an item, at this step or at the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub item: usize,
    pub time: Time,
}

/// What a matrix multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Input,
    Value(Use),
}

/// What is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Norm {
    None,
    Sum,
    Value(Use),
}

/// An affine map, perhaps normalised.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub item: usize,
    pub sources: Vec<Source>,
    pub biases: Vec<(Name, At)>,
    pub norm: Norm,
    /// Keys of its matrices, biases and gain.
    pub letters: Vec<String>,
}

/// A leaf of an item's term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    Gate(usize),
    Unit(usize),
    Value(Use),
}

/// Something with a value at each step: an equation, or what a matrix multiplies without a name.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub name: String,
    pub at: At,
    /// Where it stands among the others: what a matrix multiplies is made just before it is used.
    pub order: (usize, usize),
    pub term: Term<Leaf>,
}

/// A parameter with one number a unit.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub name: Name,
    /// The items that use it, and where.
    pub uses: Vec<(usize, At)>,
}

/// All that the equations say.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub items: Vec<Item>,
    pub gates: Vec<Gate>,
    pub units: Vec<Unit>,
    /// Items that are used somewhere.
    pub used: Vec<bool>,
    /// For each line of Shapes, the item that it is about, if any.
    pub shapes: Vec<Option<usize>>,
}

type Result<T> = std::result::Result<T, TextCellError>;

struct Resolver<'a> {
    sections: &'a Sections,
    /// Item of each name that has an equation.
    names: HashMap<String, usize>,
    out: Resolved,
    /// Where matrices, biases and gains stand.
    letters: HashMap<String, At>,
    /// The equation at hand, and the item: it or something that it needs before.
    equation: usize,
    item: usize,
    /// Items made for matrices so far.
    made: usize,
}

/// Resolves the equations of a text.
pub(super) fn resolve(sections: &Sections) -> Result<Resolved> {
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut out = Resolved::default();
    for (e, equation) in sections.equations.iter().enumerate() {
        let name = &equation.name;
        let problem = match name.time {
            _ if name.base.starts_with(char::is_uppercase) => Some(Problem::CapitalValue { name: name.text.clone() }),
            _ if name.joined() == "x" => Some(Problem::LeftInput),
            None => Some(Problem::LeftWithoutTime { name: name.text.clone() }),
            Some(Time::Before) => Some(Problem::LeftBefore { name: name.text.clone(), now: name.at_step("t") }),
            Some(Time::Now) => names.get(&name.joined()).map(|&first| Problem::TwoEquations {
                name: name.text.clone(),
                line: sections.equations[first].at.line,
            }),
        };
        if let Some(problem) = problem {
            return Err(equation.at.error(problem));
        }
        names.insert(name.joined(), e);
        let (name, at) = (name.joined(), equation.at);
        out.items.push(Item { name, at, order: (e, usize::MAX), term: Term::Number(0.0) });
    }
    out.used = vec![false; out.items.len()];
    let mut resolver = Resolver { sections, names, out, letters: HashMap::new(), equation: 0, item: 0, made: 0 };
    for (e, equation) in sections.equations.iter().enumerate() {
        (resolver.equation, resolver.item) = (e, e);
        resolver.out.items[e].term = resolver.term(&equation.right)?;
    }
    resolver.equation = sections.equations.len();
    for shape in &sections.shapes {
        let item = resolver.shaped(&shape.value)?;
        resolver.out.shapes.push(item);
    }
    Ok(resolver.out)
}

/// The letter of a name without the primes that tell it from others.
fn letter(name: &Name) -> &str {
    name.base.trim_end_matches('′')
}

/// Whether a tree is a bias: a name without a step whose letter is `b`.
fn bias(tree: &Tree) -> Option<&Name> {
    match &tree.kind {
        Kind::Name(name) if name.time.is_none() && letter(name) == "b" => Some(name),
        _ => None,
    }
}

fn is_gain(tree: &Tree) -> bool {
    matches!(&tree.kind, Kind::Name(name) if name.time.is_none() && ["gamma", "γ"].contains(&letter(name)))
}

/// The factors of a product, from left to right.
fn factors(tree: &Tree) -> Vec<&Tree> {
    match &tree.kind {
        Kind::Mul(a, b) => {
            let mut list = factors(a);
            list.push(b);
            list
        }
        _ => vec![tree],
    }
}

/// The terms of a sum, from left to right, and whether each is subtracted.
fn terms(tree: &Tree) -> Vec<(bool, &Tree)> {
    let (a, b, subtracted) = match &tree.kind {
        Kind::Add(a, b) => (a, b, false),
        Kind::Sub(a, b) => (a, b, true),
        _ => return vec![(false, tree)],
    };
    let mut list = terms(a);
    list.push((subtracted, b));
    list
}

/// Whether a tree is a gain times a `norm`, and nothing else.
fn is_normalised(tree: &Tree) -> bool {
    let factors = factors(tree);
    factors.len() == 2 && factors.iter().any(|f| is_gain(f)) && factors.iter().any(|f| matches!(f.kind, Kind::Norm(_)))
}

fn boxed(term: Term<Leaf>) -> Box<Term<Leaf>> {
    Box::new(term)
}

impl Resolver<'_> {
    fn term(&mut self, tree: &Tree) -> Result<Term<Leaf>> {
        Ok(match &tree.kind {
            Kind::Number(number) => Term::Number(*number),
            Kind::Add(..) | Kind::Sub(..) | Kind::Product(..) => self.sum(tree)?,
            Kind::Name(_) if bias(tree).is_some() => self.sum(tree)?,
            Kind::Name(name) => Term::Leaf(self.name(name, tree.at)?),
            Kind::Mul(..) | Kind::Norm(_) => self.product(tree)?,
            Kind::Neg(a) => Term::Neg(boxed(self.term(a)?)),
            Kind::Div(a, b) => Term::Div(boxed(self.term(a)?), boxed(self.term(b)?)),
            Kind::Square(a) => Term::Square(boxed(self.term(a)?)),
            Kind::Positive(a) => Term::Positive(boxed(self.term(a)?)),
            Kind::Call(f, a) => Term::Call(*f, boxed(self.term(a)?)),
        })
    }

    fn sum(&mut self, tree: &Tree) -> Result<Term<Leaf>> {
        let mut parts: Vec<(bool, Term<Leaf>)> = Vec::new();
        // The gate of the products, the last gate, and biases before any gate.
        let (mut products, mut last, mut waiting): (Option<usize>, Option<usize>, Vec<(Name, At)>) =
            (None, None, Vec::new());
        for (subtracted, term) in terms(tree) {
            match &term.kind {
                // A matrix or bias that is subtracted is a gate of its own.
                _ if subtracted => parts.push((true, self.term(term)?)),
                Kind::Product(matrix, vector) => {
                    let gate = match products {
                        Some(gate) => gate,
                        None => {
                            let gate = self.gate(Norm::None);
                            parts.push((false, Term::Leaf(Leaf::Gate(gate))));
                            products = Some(gate);
                            gate
                        }
                    };
                    self.source(gate, matrix, term.at, vector)?;
                    last = Some(gate);
                }
                _ if is_normalised(term) => {
                    let gate = self.product(term)?;
                    if let Term::Leaf(Leaf::Gate(gate)) = gate {
                        last = Some(gate);
                    }
                    parts.push((false, gate));
                }
                _ => match (bias(term), last) {
                    (Some(name), Some(gate)) => self.bias(gate, name, term.at)?,
                    (Some(name), None) => waiting.push((name.clone(), term.at)),
                    (None, _) => parts.push((false, self.term(term)?)),
                },
            }
            if let Some(gate) = last {
                for (name, at) in waiting.drain(..) {
                    self.bias(gate, &name, at)?;
                }
            }
        }
        if !waiting.is_empty() {
            let gate = self.gate(Norm::None);
            parts.push((false, Term::Leaf(Leaf::Gate(gate))));
            for (name, at) in waiting {
                self.bias(gate, &name, at)?;
            }
        }
        let mut sum: Option<Term<Leaf>> = None;
        for (subtracted, part) in parts {
            sum = Some(match (sum, subtracted) {
                (None, false) => part,
                (None, true) => Term::Neg(boxed(part)),
                (Some(sum), false) => Term::Add(boxed(sum), boxed(part)),
                (Some(sum), true) => Term::Sub(boxed(sum), boxed(part)),
            });
        }
        Ok(sum.unwrap_or(Term::Number(0.0)))
    }

    /// A product of each element; a `norm` among the factors takes its gain from them.
    fn product(&mut self, tree: &Tree) -> Result<Term<Leaf>> {
        let mut factors = factors(tree);
        let norm = factors.iter().position(|f| matches!(f.kind, Kind::Norm(_)));
        let gain = match norm {
            Some(norm) => {
                let gain = factors.iter().position(|f| is_gain(f));
                let gain = gain.ok_or_else(|| factors[norm].at.error(Problem::NoGain))?;
                Some(factors.remove(gain))
            }
            None => None,
        };
        let mut product: Option<Term<Leaf>> = None;
        let mut gain = gain;
        for factor in factors {
            let factor = match &factor.kind {
                Kind::Norm(inside) => {
                    let gain = gain.take().ok_or_else(|| factor.at.error(Problem::NoGain))?;
                    Term::Leaf(Leaf::Gate(self.norm(inside, gain)?))
                }
                _ => self.term(factor)?,
            };
            product = Some(match product {
                None => factor,
                Some(product) => Term::Mul(boxed(product), boxed(factor)),
            });
        }
        Ok(product.unwrap_or(Term::Number(1.0)))
    }

    fn norm(&mut self, inside: &Tree, gain: &Tree) -> Result<usize> {
        let wrong = || inside.at.error(Problem::NormArgument);
        let gate = match &inside.kind {
            Kind::Name(name) if name.time.is_some() => match self.name(name, inside.at)? {
                Leaf::Value(value) => self.gate(Norm::Value(value)),
                _ => return Err(wrong()),
            },
            _ => {
                let gate = self.gate(Norm::Sum);
                for (subtracted, term) in terms(inside) {
                    match &term.kind {
                        Kind::Product(matrix, vector) if !subtracted => self.source(gate, matrix, term.at, vector)?,
                        _ => return Err(wrong()),
                    }
                }
                gate
            }
        };
        if let Kind::Name(name) = &gain.kind {
            self.letter(gate, name, gain.at)?;
        }
        Ok(gate)
    }

    fn gate(&mut self, norm: Norm) -> usize {
        let gate = Gate { item: self.item, sources: Vec::new(), biases: Vec::new(), norm, letters: Vec::new() };
        self.out.gates.push(gate);
        self.out.gates.len() - 1
    }

    /// Notes a matrix, bias or gain, each of which has one place.
    fn letter(&mut self, gate: usize, name: &Name, at: At) -> Result<()> {
        if let Some(&first) = self.letters.get(&name.key()) {
            return Err(at.error(Problem::UsedTwice { name: name.text.clone(), first }));
        }
        self.letters.insert(name.key(), at);
        self.out.gates[gate].letters.push(name.key());
        Ok(())
    }

    fn bias(&mut self, gate: usize, name: &Name, at: At) -> Result<()> {
        self.letter(gate, name, at)?;
        self.out.gates[gate].biases.push((name.clone(), at));
        Ok(())
    }

    fn source(&mut self, gate: usize, matrix: &Name, at: At, vector: &Tree) -> Result<()> {
        self.letter(gate, matrix, at)?;
        let (source, name) = match &vector.kind {
            Kind::Name(name) if name.joined() == "x" => match name.time {
                Some(Time::Now) => (Source::Input, name.text.clone()),
                Some(Time::Before) => return Err(vector.at.error(Problem::InputBefore)),
                None => return Err(vector.at.error(Problem::InputWithoutTime)),
            },
            Kind::Name(name) if name.time.is_some() => match self.name(name, vector.at)? {
                Leaf::Value(value) => (Source::Value(value), name.text.clone()),
                _ => return Err(vector.at.error(Problem::MatrixAlone { name: matrix.text.clone() })),
            },
            _ => {
                let item = self.implicit(vector)?;
                (Source::Value(Use { item, time: Time::Now }), self.out.items[item].name.clone())
            }
        };
        if self.out.gates[gate].sources.contains(&source) {
            return Err(at.error(Problem::SameSource { name }));
        }
        self.out.gates[gate].sources.push(source);
        Ok(())
    }

    /// A value without an equation: what a matrix multiplies. Equal ones are one.
    fn implicit(&mut self, tree: &Tree) -> Result<usize> {
        let index = self.out.items.len();
        let item = Item { name: String::new(), at: tree.at, order: (self.equation, 0), term: Term::Number(0.0) };
        self.out.items.push(item);
        self.out.used.push(true);
        let outer = std::mem::replace(&mut self.item, index);
        let term = self.term(tree)?;
        self.item = outer;
        let same = self.out.items[self.sections.equations.len()..index].iter().position(|item| item.term == term);
        if let Some(same) = same {
            self.out.items.pop();
            self.out.used.pop();
            return Ok(self.sections.equations.len() + same);
        }
        let letters = |leaf: &Leaf| match *leaf {
            Leaf::Gate(_) => None,
            Leaf::Unit(unit) => Some(self.out.units[unit].name.joined()),
            Leaf::Value(value) => Some(self.out.items[value.item].name.clone()),
        };
        let leaves: Vec<String> = term.leaves().iter().filter_map(letters).collect();
        let stem = if (1..=3).contains(&leaves.len()) { leaves.concat() } else { "v".into() };
        self.out.items[index].name = self.free_name(stem);
        // What is inside is made first.
        self.made += 1;
        self.out.items[index].order.1 = self.made;
        self.out.items[index].term = term;
        Ok(index)
    }

    /// A name that nothing has yet.
    fn free_name(&self, stem: String) -> String {
        let is_item = |name: &str| self.out.items.iter().any(|item| item.name == name);
        free_name(&stem, |name| is_item(name) || self.out.units.iter().any(|unit| unit.name.joined() == name))
    }

    /// The item that a line of Shapes names or spells out.
    fn shaped(&mut self, tree: &Tree) -> Result<Option<usize>> {
        if let Kind::Name(name) = &tree.kind {
            let missing = || tree.at.error(Problem::ShapeOfNothing { name: name.text.clone() });
            return self.names.get(&name.joined()).copied().map(Some).ok_or_else(missing);
        }
        let before = (self.out.gates.len(), self.out.used.clone());
        let term = self.term(tree)?;
        if before.0 != self.out.gates.len() {
            return Err(tree.at.error(Problem::Shape));
        }
        self.out.used = before.1;
        Ok(self.out.items.iter().position(|item| item.term == term))
    }

    fn name(&mut self, name: &Name, at: At) -> Result<Leaf> {
        let joined = name.joined();
        let wrong = |problem| Err(at.error(problem));
        let text = name.text.clone();
        let known = self.names.get(&joined).copied();
        let Some(time) = name.time else {
            return match (joined.as_str(), known) {
                ("x", _) => wrong(Problem::InputWithoutTime),
                (_, Some(_)) => wrong(Problem::WithoutTime { name: text }),
                _ => self.unit(name, at).map(Leaf::Unit),
            };
        };
        match (joined.as_str(), time, known) {
            ("x", Time::Now, _) => wrong(Problem::InputAlone),
            ("x", Time::Before, _) => wrong(Problem::InputBefore),
            (_, _, None) => {
                let mut names: Vec<String> =
                    self.sections.equations.iter().map(|e| format!("`{}`", e.name.text)).collect();
                names.truncate(12);
                let advice = format!("there are `x_t`, {}", names.join(", "));
                wrong(Problem::Unknown { name: text, advice })
            }
            (_, Time::Now, Some(item)) if item >= self.equation => {
                let line = self.sections.equations[item].at.line;
                wrong(Problem::TooEarly { name: text, before: name.at_step("t-1"), line })
            }
            (_, time, Some(item)) => {
                self.out.used[item] = true;
                Ok(Leaf::Value(Use { item, time }))
            }
        }
    }

    fn unit(&mut self, name: &Name, at: At) -> Result<usize> {
        let found = self.out.units.iter().position(|unit| unit.name.joined() == name.joined());
        if let Some(other) = found.map(|unit| &self.out.units[unit]).filter(|unit| unit.name.key() != name.key()) {
            let (name, other, first) = (name.text.clone(), other.name.text.clone(), other.uses[0].1);
            return Err(at.error(Problem::OneParameter { name, other, first }));
        }
        let unit = found.unwrap_or_else(|| {
            self.out.units.push(Unit { name: name.clone(), uses: Vec::new() });
            self.out.units.len() - 1
        });
        self.out.units[unit].uses.push((self.item, at));
        Ok(unit)
    }
}

/// The stem, or the stem with the first number that makes it free.
pub(super) fn free_name(stem: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|n| format!("{stem}{n}"));
    std::iter::once(stem.to_string()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
}

//! Formulas as plain Unicode text or as LaTeX.

use super::math::{Accent, Formula, Function, Letter, Math, Time};
use super::notation::{Product, Table, TimeMark};

/// Turns formulas into strings.
#[derive(Clone, Copy)]
pub(super) struct Writer<'a> {
    pub table: &'a Table,
    pub latex: bool,
}

const GREEK: &[(&str, &str)] = &[
    ("α", "alpha"),
    ("β", "beta"),
    ("γ", "gamma"),
    ("δ", "delta"),
    ("ε", "epsilon"),
    ("ζ", "zeta"),
    ("η", "eta"),
    ("θ", "theta"),
    ("κ", "kappa"),
    ("λ", "lambda"),
    ("μ", "mu"),
    ("ν", "nu"),
    ("ξ", "xi"),
    ("π", "pi"),
    ("ρ", "rho"),
    ("σ", "sigma"),
    ("τ", "tau"),
    ("φ", "phi"),
    ("χ", "chi"),
    ("ψ", "psi"),
    ("ω", "omega"),
    ("Γ", "Gamma"),
    ("Δ", "Delta"),
    ("Λ", "Lambda"),
    ("Ω", "Omega"),
];

/// The letter that a Greek name spells.
pub(super) fn greek(name: &str) -> Option<&'static str> {
    GREEK.iter().find(|(_, spelled)| *spelled == name).map(|(letter, _)| *letter)
}

/// The name of a Greek letter.
pub(crate) fn greek_name(letter: &str) -> Option<&'static str> {
    GREEK.iter().find(|(l, _)| *l == letter).map(|(_, name)| *name)
}

/// Letters with an accent that are one character; others get a combining one.
const COMPOSED: &[(&str, Accent, &str)] = &[
    ("a", Accent::Hat, "â"),
    ("c", Accent::Hat, "ĉ"),
    ("g", Accent::Hat, "ĝ"),
    ("h", Accent::Hat, "ĥ"),
    ("i", Accent::Hat, "î"),
    ("o", Accent::Hat, "ô"),
    ("s", Accent::Hat, "ŝ"),
    ("u", Accent::Hat, "û"),
    ("y", Accent::Hat, "ŷ"),
    ("z", Accent::Hat, "ẑ"),
    ("i", Accent::Bar, "ī"),
    ("o", Accent::Bar, "ō"),
    ("n", Accent::Tilde, "ñ"),
];

/// How strongly a formula holds together: sums least, then products, matrix products, and what needs no brackets.
fn level(m: &Math) -> u8 {
    match m {
        Math::Sum(_) | Math::Between(..) => 0,
        Math::Number(k) if *k < 0.0 => 0,
        Math::Product(_) | Math::Quotient(..) => 1,
        Math::Apply(..) => 2,
        _ => 3,
    }
}

fn has_column(m: &Math) -> bool {
    match m {
        Math::Column(_) => true,
        Math::Sum(terms) => terms.iter().any(|(_, t)| has_column(t)),
        Math::Product(items) | Math::Concatenated(items) => items.iter().any(has_column),
        Math::Apply(a, b) | Math::Quotient(a, b) => has_column(a) || has_column(b),
        Math::Call(_, a) | Math::Square(a) | Math::Positive(a) | Math::Transposed(a) | Math::Delta(a) => has_column(a),
        Math::Letter(_) | Math::Number(_) | Math::Between(..) | Math::Function(_) => false,
    }
}

impl Writer<'_> {
    /// `left = right`; with `&` before the sign in LaTeX.
    pub fn formula(&self, f: &Formula) -> String {
        let sign = match (self.latex, f.adds) {
            (false, false) => "=",
            (false, true) => "+=",
            (true, false) => "&=",
            (true, true) => "&\\mathrel{+}=",
        };
        format!("{} {sign} {}", self.math(&f.left), self.math(&f.right))
    }

    /// A formula.
    pub fn math(&self, m: &Math) -> String {
        match m {
            Math::Letter(letter) => self.letter(letter),
            Math::Number(k) => {
                if *k < 0.0 {
                    format!("{}{}", self.minus(), -k)
                } else {
                    format!("{k}")
                }
            }
            Math::Between(low, high) if self.latex => format!("\\text{{from }} {low} \\text{{ to }} {high}"),
            Math::Between(low, high) => format!("from {low} to {high}"),
            Math::Sum(terms) => self.sum(terms),
            Math::Product(factors) => self.product(factors),
            Math::Quotient(a, b) if self.latex => format!("\\frac{{{}}}{{{}}}", self.math(a), self.math(b)),
            Math::Quotient(a, b) => {
                format!("{} / {}", self.bracketed(a, level(a) < 1), self.bracketed(b, level(b) < 3))
            }
            Math::Function(f) => self.function(*f).to_string(),
            Math::Call(f, a) => format!("{}{}", self.function(*f), self.bracketed(a, true)),
            Math::Square(a) => match (&**a, self.latex) {
                (Math::Call(f, x), false) => format!("{}²{}", self.function(*f), self.bracketed(x, true)),
                (Math::Call(f, x), true) => format!("{}^2{}", self.function(*f), self.bracketed(x, true)),
                (_, false) => format!("{}²", self.base(a)),
                (_, true) => format!("{}^2", self.base(a)),
            },
            Math::Positive(a) => format!("[{} > 0]", self.math(a)),
            Math::Apply(a, b) => {
                let space = if matches!(**b, Math::Concatenated(_)) { "" } else { " " };
                format!("{}{space}{}", self.math(a), self.bracketed(b, level(b) < 3))
            }
            Math::Transposed(a) => format!("{}{}", self.base(a), if self.latex { "^\\top" } else { "ᵀ" }),
            Math::Delta(a) => {
                let symbol = if self.latex { "\\delta " } else { "δ" };
                let whole = matches!(**a, Math::Letter(_) | Math::Concatenated(_) | Math::Column(_));
                format!("{symbol}{}", self.bracketed(a, !whole))
            }
            Math::Concatenated(items) => format!("[{}]", self.list(items, ", ")),
            Math::Column(items) if self.latex => {
                format!("\\begin{{pmatrix}} {} \\end{{pmatrix}}", self.list(items, " \\\\ "))
            }
            Math::Column(items) => format!("[{}]", self.list(items, "; ")),
        }
    }

    fn list(&self, items: &[Math], between: &str) -> String {
        items.iter().map(|m| self.math(m)).collect::<Vec<_>>().join(between)
    }

    fn minus(&self) -> &'static str {
        if self.latex { "-" } else { "−" }
    }

    fn bracketed(&self, m: &Math, needed: bool) -> String {
        let inner = self.math(m);
        match (needed, self.latex && has_column(m)) {
            (false, _) => inner,
            (true, true) => format!("\\left({inner}\\right)"),
            (true, false) => format!("({inner})"),
        }
    }

    /// What an exponent stands on: a letter with an upper mark needs brackets.
    fn base(&self, m: &Math) -> String {
        let marked = match m {
            Math::Letter(letter) => letter.time.is_some() && self.table.time != TimeMark::Sub,
            Math::Delta(_) => true,
            _ => false,
        };
        self.bracketed(m, marked || level(m) < 3)
    }

    fn sum(&self, terms: &[(bool, Math)]) -> String {
        let mut out = String::new();
        for (i, (subtracted, term)) in terms.iter().enumerate() {
            match (i, subtracted) {
                (0, false) => {}
                (0, true) => out += self.minus(),
                (_, false) => out += " + ",
                (_, true) => out += &format!(" {} ", self.minus()),
            }
            out += &self.bracketed(term, level(term) < 1);
        }
        out
    }

    fn product(&self, factors: &[Math]) -> String {
        let sign = match (self.table.product, self.latex) {
            (Product::Dot, false) => " ⊙ ",
            (Product::Ring, false) => " ∘ ",
            (Product::Times, false) => " × ",
            (Product::Dot, true) => " \\odot ",
            (Product::Ring, true) => " \\circ ",
            (Product::Times, true) => " \\times ",
        };
        let mut out = String::new();
        for (i, factor) in factors.iter().enumerate() {
            if i > 0 {
                let after_number = matches!(factors[i - 1], Math::Number(_));
                out += if !after_number {
                    sign
                } else if self.latex {
                    "\\, "
                } else {
                    " "
                };
            }
            // A number leads, with its sign.
            let leads = i == 0 && matches!(factor, Math::Number(_));
            out += &self.bracketed(factor, level(factor) < 3 && !leads);
        }
        out
    }

    fn function(&self, f: Function) -> &'static str {
        match (f, self.latex) {
            (Function::Sigmoid, false) => "σ",
            (Function::Tanh, false) => "tanh",
            (Function::Relu, false) => "relu",
            (Function::Exp, false) => "exp",
            (Function::Softplus, false) => "softplus",
            (Function::Sin, false) => "sin",
            (Function::Cos, false) => "cos",
            (Function::Ln, false) => "ln",
            (Function::Norm, false) => "norm",
            (Function::NormJacobian, false) => "norm′",
            (Function::Sigmoid, true) => "\\sigma",
            (Function::Tanh, true) => "\\tanh",
            (Function::Relu, true) => "\\operatorname{relu}",
            (Function::Exp, true) => "\\exp",
            (Function::Softplus, true) => "\\operatorname{softplus}",
            (Function::Sin, true) => "\\sin",
            (Function::Cos, true) => "\\cos",
            (Function::Ln, true) => "\\ln",
            (Function::Norm, true) => "\\operatorname{norm}",
            (Function::NormJacobian, true) => "\\operatorname{norm}'",
        }
    }

    fn letter(&self, letter: &Letter) -> String {
        let mut out = if self.latex { self.latex_base(letter) } else { text_base(letter) };
        let time = match (letter.time, self.table.time) {
            (None, _) => "",
            (Some(Time::Now), TimeMark::SupParen) => "(t)",
            (Some(Time::Before), TimeMark::SupParen) => "(t-1)",
            (Some(Time::Now), _) => "t",
            (Some(Time::Before), _) => "t-1",
        };
        let (mut sub, mut sup) = (letter.sub.clone(), String::new());
        if self.table.time == TimeMark::Sub {
            if !sub.is_empty() && !time.is_empty() {
                sub.push(',');
            }
            sub += time;
        } else {
            sup += time;
        }
        for (sign, mark) in [('_', sub), ('^', sup)] {
            if mark.is_empty() {
                continue;
            }
            // In text a subscript of several letters is still read as one; LaTeX would take the first alone.
            let bare = if self.latex { mark.chars().count() == 1 } else { mark.chars().all(char::is_alphanumeric) };
            out += &if bare { format!("{sign}{mark}") } else { format!("{sign}{{{mark}}}") };
        }
        out
    }

    fn latex_base(&self, letter: &Letter) -> String {
        let base = match GREEK.iter().find(|(l, _)| *l == letter.base) {
            Some((_, name)) => format!("\\{name}"),
            None if letter.base.chars().count() > 1 => format!("\\mathrm{{{}}}", letter.base.replace('_', "\\_")),
            None => letter.base.clone(),
        };
        let base = match letter.accent {
            Accent::None => base,
            Accent::Hat => format!("\\hat{{{base}}}"),
            Accent::Tilde => format!("\\tilde{{{base}}}"),
            Accent::Bar => format!("\\bar{{{base}}}"),
        };
        // Primes and an upper time mark would collide as two superscripts.
        if letter.primes == 0 { base } else { format!("{{{base}{}}}", "'".repeat(letter.primes)) }
    }
}

fn text_base(letter: &Letter) -> String {
    let mut base = match COMPOSED.iter().find(|(b, accent, _)| *b == letter.base && *accent == letter.accent) {
        Some((.., composed)) => composed.to_string(),
        None => {
            let mark = match letter.accent {
                Accent::None => "",
                Accent::Hat => "\u{302}",
                Accent::Tilde => "\u{303}",
                Accent::Bar => "\u{304}",
            };
            format!("{}{mark}", letter.base)
        }
    };
    base.extend(std::iter::repeat_n('′', letter.primes));
    base
}

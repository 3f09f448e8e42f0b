//! Whose letters the equations are written in: ours, or those of one of the four lecture decks.
//!
//! A notation changes letters, time marks and how matrices are written, never the equations: a bias is printed where the
//! cell has one although a deck leaves it out, and sums keep the order in which the cell is written.

use super::math::Accent;
use crate::cells;
use core::fmt;
use core::str::FromStr;

/// A notation for equations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notation {
    /// Our own, for every cell: `i_t = σ(W_ix x_t + W_ih h_{t-1} + b_i)`.
    #[default]
    Elman,
    /// "Recurrent Neural Network", E. Fatemizadeh, Sharif University of Technology, 2020:
    /// `i^t = σ(W_i x^t + U_i h^{t-1} + b_i)`; with peepholes, the letters z, y and R.
    Sharif,
    /// "Basic RNNs", M. Unberath, EN.601.482/682, Johns Hopkins University: `h_t = tanh(W_hh h_{t-1} + W_xh x_t)`, and the
    /// LSTM's gates as one stacked product.
    Jhu,
    /// "Recurrent Neural Network", T. Zhao, University of Technology Sydney:
    /// `Γ_u^{(t)} = σ(W_u[a^{(t-1)}, x^{(t)}] + b_u)`.
    Uts,
    /// "Recurrent Neural Networks", E. Solberg, TEK5040/TEK9040, University of Oslo:
    /// `r^t = tanh(U_r x^t + V_r s̄^{t-1} + b_r)`.
    Oslo,
}

/// What can be wrong with a wish for a notation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotationError {
    /// There is no notation of this name.
    #[error("unknown notation `{name}`; there are elman (the default), sharif, jhu, uts and oslo")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The cell is not written in the deck's letters.
    #[error("the notation `{notation}` is not there for cell `{cell}`; notations that have it: {available}")]
    NotInDeck {
        /// The deck.
        notation: Notation,
        /// The cell.
        cell: &'static str,
        /// Names of the notations that have the cell, with commas between them.
        available: String,
    },
}

impl Notation {
    /// All of them, the default first.
    pub const ALL: [Notation; 5] = [Notation::Elman, Notation::Sharif, Notation::Jhu, Notation::Uts, Notation::Oslo];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Notation::Elman => "elman",
            Notation::Sharif => "sharif",
            Notation::Jhu => "jhu",
            Notation::Uts => "uts",
            Notation::Oslo => "oslo",
        }
    }

    /// The notations in which the cell of this name can be written; [`Notation::Elman`] writes all.
    pub fn of_cell(cell: &str) -> Vec<Notation> {
        Notation::ALL.into_iter().filter(|n| *n == Notation::Elman || n.entry(cell).is_some()).collect()
    }

    fn entry(self, cell: &str) -> Option<&'static Table> {
        // A preset has the letters of the cell that it sets; its name may have options behind it.
        let file = |name: &str| cells::find(name.split(':').next().unwrap_or(name)).map(|entry| entry.file);
        let own = || TABLES.iter().filter(|t| t.notation == self);
        let is_related = |t: &&Table| file(cell).is_some_and(|f| file(t.cell) == Some(f));
        own().find(|t| t.cell == cell).or_else(|| own().find(is_related))
    }

    /// The letters for a cell.
    pub(super) fn table(self, cell: &'static str) -> Result<&'static Table, NotationError> {
        match self.entry(cell) {
            Some(table) => Ok(table),
            None if self == Notation::Elman => Ok(&OURS),
            None => {
                let names: Vec<&str> = Notation::of_cell(cell).into_iter().map(Notation::name).collect();
                Err(NotationError::NotInDeck { notation: self, cell, available: names.join(", ") })
            }
        }
    }
}

impl fmt::Display for Notation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Notation {
    type Err = NotationError;

    fn from_str(name: &str) -> Result<Self, NotationError> {
        let found = Notation::ALL.into_iter().find(|n| n.name() == name);
        found.ok_or_else(|| NotationError::Unknown { name: name.to_string() })
    }
}

/// Where the step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeMark {
    /// `h_t`
    Sub,
    /// `h^t`
    Sup,
    /// `h^{(t)}`
    SupParen,
}

/// How the affine map of a gate is written; "owner" is the result that the gate makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matrices {
    /// `W` with owner and source: `W_ix x_t + W_ih h_{t-1}`.
    OwnerSource,
    /// `W` with source and owner: `W_hh h_{t-1} + W_xh x_t`.
    SourceOwner,
    /// A letter for each source, with the owner: `W_i x^t + U_i h^{t-1}`.
    BySource(&'static [(&'static str, &'static str)]),
    /// One matrix an owner: `W_i[h, x]`.
    Concatenated,
    /// One matrix for all gates, which stand on top of each other in this order.
    Stacked(&'static [&'static str]),
}

/// The letters of one deck for one cell.
///
/// In `names`, a value of the cell is followed by its letter: an accent (`^` hat, `~` tilde, `-` bar), the letter, `_` and a
/// subscript, and `!` if it carries no mark of time. Names that are not listed are written as they are.
#[derive(Debug)]
pub(super) struct Table {
    pub notation: Notation,
    pub cell: &'static str,
    pub time: TimeMark,
    pub product: Product,
    pub names: &'static [(&'static str, &'static str)],
    /// Subscripts of matrices and biases for their owners.
    pub subs: &'static [(&'static str, &'static str)],
    pub matrices: Matrices,
    /// The recurrent term stands before the input's.
    pub recurrent_first: bool,
    /// Values that are written out where they are used, with the source in whose place they stand.
    pub inline: &'static [(&'static str, &'static str)],
    /// What marks a gate before its nonlinearity.
    pub pre: Accent,
    /// In what the deck differs.
    pub note: &'static str,
}

/// The sign of the product of each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    /// ⊙
    Dot,
    /// ∘
    Ring,
    /// ×
    Times,
}

const OURS: Table = Table {
    notation: Notation::Elman,
    cell: "",
    time: TimeMark::Sub,
    product: Product::Dot,
    names: &[],
    subs: &[],
    matrices: Matrices::OwnerSource,
    recurrent_first: false,
    inline: &[],
    pre: Accent::Hat,
    note: "",
};

const NO_BIAS: &str = "The deck leaves the biases out.";
const OSLO_Y: &str = "The deck also feeds back the output, W y^{t-1}; this cell does not.";

const OSLO_F: &str = "The deck leaves f of y^t = f(s^t) open; V_y and b_y are ours.";
const OSLO_F_SHOWN: &str = "The deck leaves f of y^t = f(s̄^t) open; V_y and b_y are ours.";
/// The first deck's LSTM with peepholes.
const PEEPHOLES: Table = Table {
    notation: Notation::Sharif,
    cell: "lstm-peephole",
    time: TimeMark::Sup,
    names: &[("g", "z"), ("h", "y")],
    subs: &[("g", "z")],
    matrices: Matrices::BySource(&[("x", "W"), ("h", "R")]),
    pre: Accent::Bar,
    note: "The deck writes g and h for the two tanh.",
    ..OURS
};

/// A rung of the fourth deck's ladder.
const RUNG: Table = Table {
    notation: Notation::Oslo,
    time: TimeMark::Sup,
    matrices: Matrices::BySource(&[("x", "U"), ("s", "V"), ("y", "W")]),
    note: OSLO_F,
    ..OURS
};

/// A table in the letters of one deck for each cell that it has.
const TABLES: &[Table] = &[
    Table { cell: "gru", inline: &[("rh", "h")], ..OURS },
    // Words, and not r with the index e.
    Table { cell: "lru", names: &[("re", "re"), ("im", "im")], ..OURS },
    Table { cell: "lstm-fgr", names: &[("ig", "ig"), ("fg", "fg"), ("og", "og")], ..OURS },
    Table {
        notation: Notation::Sharif,
        cell: "elman",
        matrices: Matrices::BySource(&[("x", "W"), ("h", "U")]),
        note: "The deck writes σ_h for the nonlinearity.",
        ..OURS
    },
    Table {
        notation: Notation::Sharif,
        cell: "jordan",
        matrices: Matrices::BySource(&[("x", "W"), ("y", "U"), ("h", "W")]),
        note: "The deck writes σ_h and σ_y for the nonlinearities.",
        ..OURS
    },
    Table {
        notation: Notation::Sharif,
        cell: "lstm",
        time: TimeMark::Sup,
        names: &[("g", "a")],
        subs: &[("g", "c")],
        matrices: Matrices::BySource(&[("x", "W"), ("h", "U")]),
        note: NO_BIAS,
        ..OURS
    },
    PEEPHOLES,
    Table { cell: "lstm-niaf", note: "The deck writes h for the tanh; its g is left out here.", ..PEEPHOLES },
    Table { cell: "lstm-noaf", note: "The deck writes g for the tanh; its h is left out here.", ..PEEPHOLES },
    Table {
        notation: Notation::Sharif,
        cell: "gru",
        names: &[("n", "~h")],
        subs: &[("n", "")],
        matrices: Matrices::BySource(&[("x", "W"), ("h", "U"), ("rh", "U")]),
        inline: &[("rh", "h")],
        note: NO_BIAS,
        ..OURS
    },
    Table {
        notation: Notation::Jhu,
        cell: "elman",
        matrices: Matrices::SourceOwner,
        recurrent_first: true,
        note: NO_BIAS,
        ..OURS
    },
    Table {
        notation: Notation::Jhu,
        cell: "lstm",
        names: &[("i", "i!"), ("f", "f!"), ("g", "g!"), ("o", "o!")],
        matrices: Matrices::Stacked(&["i", "f", "o", "g"]),
        recurrent_first: true,
        note: "The deck leaves the bias out. Its W has the gates in the order i, f, o, g; files have i, f, g, o.",
        ..OURS
    },
    Table {
        notation: Notation::Uts,
        cell: "elman",
        time: TimeMark::SupParen,
        product: Product::Ring,
        names: &[("h", "a")],
        subs: &[("h", "a")],
        matrices: Matrices::Concatenated,
        recurrent_first: true,
        ..OURS
    },
    Table {
        notation: Notation::Uts,
        cell: "gru",
        time: TimeMark::SupParen,
        product: Product::Times,
        names: &[("h", "c"), ("z", "Γ_u!"), ("r", "Γ_r!"), ("n", "~c")],
        subs: &[("z", "u"), ("n", "c")],
        matrices: Matrices::Concatenated,
        recurrent_first: true,
        inline: &[("rh", "h")],
        note: "The deck adds a^{(t)} = c^{(t)}.",
        ..OURS
    },
    Table {
        notation: Notation::Uts,
        cell: "lstm",
        time: TimeMark::SupParen,
        product: Product::Ring,
        names: &[("i", "Γ_u"), ("f", "Γ_f"), ("g", "~c"), ("o", "Γ_o"), ("h", "a")],
        subs: &[("i", "u"), ("g", "c")],
        matrices: Matrices::Concatenated,
        recurrent_first: true,
        ..OURS
    },
    Table {
        notation: Notation::Oslo,
        cell: "elman",
        time: TimeMark::Sup,
        names: &[("h", "s")],
        subs: &[("h", "")],
        matrices: Matrices::BySource(&[("x", "U"), ("h", "V")]),
        note: OSLO_Y,
        ..OURS
    },
    Table {
        notation: Notation::Oslo,
        cell: "jordan",
        time: TimeMark::Sup,
        names: &[("h", "s")],
        subs: &[("h", "")],
        matrices: Matrices::BySource(&[("x", "U"), ("h", "V"), ("y", "W")]),
        note: "The deck's special case h(x^t, y^{t-1}), which feeds back the output alone; it leaves y^t = f(s^t) open.",
        ..OURS
    },
    Table {
        notation: Notation::Oslo,
        cell: "lstm",
        time: TimeMark::Sup,
        names: &[("g", "r"), ("c", "s"), ("h", "-s")],
        subs: &[("g", "r")],
        matrices: Matrices::BySource(&[("x", "U"), ("h", "V")]),
        note: OSLO_Y,
        ..OURS
    },
    Table { cell: "output-feedback", subs: &[("s", "")], ..RUNG },
    Table { cell: "residual", ..RUNG },
    Table { cell: "residual-before", ..RUNG },
    Table { cell: "residual-input-gate", ..RUNG },
    Table { cell: "residual-forget-gate", ..RUNG },
    Table {
        cell: "residual-output-gate",
        names: &[("m", "-s")],
        matrices: Matrices::BySource(&[("x", "U"), ("s", "V"), ("y", "W"), ("m", "V")]),
        note: OSLO_F_SHOWN,
        ..RUNG
    },
    Table {
        cell: "lstm-output-feedback",
        names: &[("m", "-s")],
        matrices: Matrices::BySource(&[("x", "U"), ("y", "W"), ("m", "V")]),
        note: OSLO_F_SHOWN,
        ..RUNG
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deck_without_the_cell_says_who_has_it() {
        let error = Notation::Jhu.table("gru").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the notation `jhu` is not there for cell `gru`; notations that have it: elman, sharif, uts"
        );
        assert!(Notation::Oslo.table("gru-reset-after").is_err());
        assert!(Notation::Elman.table("gru-reset-after").is_ok());
    }

    #[test]
    fn names_are_parsed() {
        for notation in Notation::ALL {
            assert_eq!(notation.name().parse(), Ok(notation));
        }
        let error = "oxford".parse::<Notation>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown notation `oxford`; there are elman (the default), sharif, jhu, uts and oslo"
        );
    }

    #[test]
    fn tables_speak_of_cells_and_names_that_exist() {
        for table in TABLES {
            let entry = crate::cells::find(table.cell).unwrap_or_else(|| panic!("no cell {}", table.cell));
            let cell = (entry.make)();
            let mut names: Vec<&str> = vec!["x"];
            for (k, stage) in cell.spec().stages.iter().enumerate() {
                names.extend(stage.gates.iter().map(|g| g.name));
                names.extend(stage.units);
                let graph = crate::algebra::expression::StageGraph::of(&*cell, k);
                names.extend(graph.equations.iter().map(|e| e.name));
            }
            let by_source = if let Matrices::BySource(letters) = table.matrices { letters } else { &[] };
            for (name, _) in table.names.iter().chain(table.subs).chain(table.inline).chain(by_source) {
                assert!(names.contains(name), "{} {}: {name}", table.notation, table.cell);
            }
        }
    }
}

//! The description as plain Unicode text and as LaTeX.

use super::equations::{self, Line};
use super::notation::Matrices;
use super::sizes::{self, grouped};
use super::symbols::Symbols;
use super::{Notation, NotationError};
use crate::Layer;
use crate::algebra::expression::Operations;
use crate::cell::NORMALISER_EPSILON;
use crate::layer::Place;

/// How the paragraph begins that says where a cell is from.
pub(crate) const SOURCE: &str = "Source: ";

/// A longer line of text is broken before a `+`.
const LINE: usize = 110;

/// Describes a layer in plain Unicode text: documentation, equations forward and backward, shapes, parameters, operations.
///
/// # Errors
/// [`NotationError::NotInDeck`] if the notation is that of a deck without this cell.
pub fn text(layer: &Layer, notation: Notation) -> Result<String, NotationError> {
    let symbols = Symbols::new(layer, notation)?;
    let writer = symbols.writer(false);
    let spec = layer.cell().spec();
    let mut out = format!("{}\n\n{}\n", spec.name, paragraphs(spec.doc));
    if !spec.source.is_empty() {
        out += &format!("\n{SOURCE}{}.\n", spec.source);
    }
    let write = |out: &mut String, lines: Vec<Line>| {
        for line in lines {
            let line = line.iter().map(|f| writer.formula(f)).collect::<Vec<_>>().join(",   ");
            *out += &format!("  {}\n", broken(&line));
        }
    };
    let names = |places: &[Place], as_delta: bool| {
        let symbols = places.iter().map(|&p| symbols.value(p)).map(|m| if as_delta { m.delta() } else { m });
        symbols.map(|m| writer.math(&m)).collect::<Vec<_>>().join(", ")
    };
    let now: Vec<Place> = layer.carried().iter().map(|&v| Place::Now(v)).collect();
    let before: Vec<Place> = layer.carried().iter().map(|&v| Place::Before(v)).collect();

    out += "\nForward, t = 1 … T\n";
    write(&mut out, equations::forward(&symbols));
    if !symbols.table.note.is_empty() {
        out += &format!("  ({})\n", symbols.table.note);
    }

    if sizes::cost(&symbols).normalised > 0 {
        out += "  norm(a) = (a − mean(a)) / √(var(a) + ";
        out += &format!("{NORMALISER_EPSILON}), over the units of one row; norm′ is its Jacobian, symmetric\n");
    }

    out += "\nBackward, t = T … 1\n";
    let gates = equations::gates(&symbols);
    if !gates.is_empty() {
        out += "  before the nonlinearities:\n";
        write(&mut out, gates);
    }
    out += "  δv is the gradient of the loss by v. Given at t, from the loss at t and from step t + 1: ";
    out += &format!("{}.\n  Other sums start at 0.\n", names(&now, true));
    write(&mut out, equations::backward(&symbols));

    out += &format!("\nShapes: {}\n", sizes::sizes(&symbols));
    out += &columns(&sizes::values(&symbols, writer));
    let widths: usize = layer.state_widths().iter().sum();
    out += &format!("  carried from step to step: {}; {} numbers a row\n", names(&before, false), grouped(widths));

    out += "\nParameters: name, shape, count, symbols from the first row to the last\n";
    out += &columns(&sizes::parameters(&symbols, writer));
    if matches!(symbols.table.matrices, Matrices::Concatenated | Matrices::Stacked(_)) {
        out += "  (weight_ih holds the columns for the input, weight_hh those for the state)\n";
    }
    out += &format!("  total {}\n", grouped(layer.parameter_count()));
    let draws = sizes::draws(&symbols, writer);
    if !draws.is_empty() {
        out += &format!("  drawn before training: {}\n", draws.join("; "));
    }

    let cost = sizes::cost(&symbols);
    out += "\nOperations a step and row\n";
    out += &format!("  matrix products  {} multiply-adds forward, twice that backward\n", grouped(cost.multiply_adds));
    out += &format!("  biases           {} additions\n", grouped(cost.bias_additions));
    if cost.normalised > 0 {
        out += &format!("  normalisers      {} numbers\n", grouped(cost.normalised));
    }
    for (width, units, forward, backward) in &cost.pointwise {
        for (way, n) in [("forward", forward), ("backward", backward)] {
            let all = grouped(n.total() * units);
            out += &format!("  pointwise        {all} {way}: {width} × ({})\n", kinds(n));
        }
    }
    Ok(out)
}

/// The equations of a layer, forward and backward, in LaTeX: `align*` environments of amsmath, without a preamble.
///
/// # Errors
/// [`NotationError::NotInDeck`] if the notation is that of a deck without this cell.
pub fn latex(layer: &Layer, notation: Notation) -> Result<String, NotationError> {
    let symbols = Symbols::new(layer, notation)?;
    let writer = symbols.writer(true);
    let spec = layer.cell().spec();
    let mut out = format!("% {}: {}\n", spec.name, spec.doc.lines().next().unwrap_or("").trim());
    if !spec.source.is_empty() {
        out += &format!("% {SOURCE}{}.\n", spec.source);
    }
    if !symbols.table.note.is_empty() {
        out += &format!("% {}\n", symbols.table.note);
    }
    if sizes::cost(&symbols).normalised > 0 {
        out += &format!("% norm(a) = (a - mean(a)) / sqrt(var(a) + {NORMALISER_EPSILON}), norm' its Jacobian\n");
    }
    let parts = [
        ("forward, t = 1 ... T", equations::forward(&symbols)),
        ("before the nonlinearities", equations::gates(&symbols)),
        ("backward, t = T ... 1", equations::backward(&symbols)),
    ];
    for (title, lines) in parts {
        if lines.is_empty() {
            continue;
        }
        let rows: Vec<String> = lines.into_iter().flatten().map(|f| format!("  {}", writer.formula(&f))).collect();
        out += &format!("% {title}\n\\begin{{align*}}\n{}\n\\end{{align*}}\n", rows.join(" \\\\\n"));
    }
    Ok(out)
}

/// Documentation without the indent that doc comments have.
fn paragraphs(doc: &str) -> String {
    doc.lines().map(str::trim).collect::<Vec<_>>().join("\n").trim().to_string()
}

/// Breaks a long equation before a `+`, and a long list of equations after a comma.
fn broken(line: &str) -> String {
    let mut out = String::new();
    let mut used = 0;
    for (i, part) in line.split(" + ").enumerate() {
        let width = part.chars().count() + 3;
        if i > 0 && used + width > LINE {
            out += "\n      + ";
            used = 8;
        } else if i > 0 {
            out += " + ";
        }
        out += part;
        used += width;
    }
    out
}

/// Kinds of operations and how many: `3 σ, 2 tanh`.
fn kinds(n: &Operations) -> String {
    let kinds: Vec<String> = n.named().iter().filter(|(_, n)| *n > 0).map(|(kind, n)| format!("{n} {kind}")).collect();
    if kinds.is_empty() { "nothing".into() } else { kinds.join(", ") }
}

/// Characters that take a place on the line: combining accents take none.
fn visible(s: &str) -> usize {
    s.chars().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).count()
}

/// A table: two blanks, then columns of equal width.
fn columns(rows: &[Vec<String>]) -> String {
    let n = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| visible(s)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..n).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line += &format!("  {cell}{}", " ".repeat(width - visible(cell)));
        }
        out += line.trim_end();
        out += "\n";
    }
    out
}

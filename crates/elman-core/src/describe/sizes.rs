//! Shapes, parameters and costs of a layer, as rows of tables.

use super::math::{Letter, Math, formula_of_draw};
use super::symbols::Symbols;
use super::write::Writer;
use crate::Draw;
use crate::algebra::expression::{ArgumentKind, Operations};
use crate::cell::Width;
use crate::layer::{Parameter, Place, Role};

fn letter(width: Width) -> &'static str {
    match width {
        Width::Input => "I",
        Width::Hidden => "H",
        Width::Output => "P",
    }
}

/// A number with commas between thousands.
pub(super) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The sizes in words: `I = 65, H = 256`.
pub(super) fn sizes(symbols: &Symbols) -> String {
    let s = symbols.layer.sizes();
    let uses_output = symbols.layer.cell().spec().stages.iter().any(|s| s.width == Width::Output);
    let p = if uses_output { format!(", P = {}", s.output) } else { String::new() };
    format!("T steps, B rows, I = {}, H = {}{p}", s.input, s.hidden)
}

/// Rows of name, shape and remark for the input, every value and every feed.
pub(super) fn values(symbols: &Symbols, writer: Writer) -> Vec<Vec<String>> {
    let layer = symbols.layer;
    let mut rows = vec![vec![writer.math(&symbols.value(Place::Input)), "(T, B, I)".into(), "input".into()]];
    for (v, value) in layer.values().iter().enumerate() {
        let is_read = layer.cell().spec().read_before().contains(&value.name);
        let what = match (v == layer.output(), value.carried.is_some()) {
            (true, true) if !is_read => "output (T, B, same width); the next step does not read it",
            (true, true) => "output (T, B, same width), carried to the next step",
            (false, true) => "carried to the next step",
            (true, false) => "output",
            (false, false) => "within a step",
        };
        let symbol = writer.math(&symbols.value(Place::Now(v)));
        rows.push(vec![symbol, format!("(B, {})", letter(value.width)), what.into()]);
    }
    for (k, graph) in symbols.graphs.iter().enumerate() {
        for (a, argument) in graph.arguments.iter().enumerate() {
            if argument.kind == ArgumentKind::Feed {
                let width = layer.cell().spec().stages[k].width;
                let symbol = writer.math(&symbols.argument(k, a, false));
                rows.push(vec![symbol, format!("(T, B, {})", letter(width)), "fed at each step".into()]);
            }
        }
    }
    rows
}

/// Rows of name, symbolic shape, shape, count and symbols for every parameter.
pub(super) fn parameters(symbols: &Symbols, writer: Writer) -> Vec<Vec<String>> {
    let rows = symbols.layer.parameters().iter().map(|p| {
        let numbers: Vec<String> = p.shape().iter().map(usize::to_string).collect();
        let letters: Vec<String> = letters(symbols, p).into_iter().map(|l| writer.math(&Math::Letter(l))).collect();
        vec![
            p.name.clone(),
            symbolic_shape(symbols, p),
            format!("({})", numbers.join(", ")),
            grouped(p.len()),
            letters.join("; "),
        ]
    });
    rows.collect()
}

/// `ν from -4.6 to -0.7`, or `ν = ln(from 1 to 2)`, for each per-unit parameter for which the cell says how it is drawn.
pub(super) fn draws(symbols: &Symbols, writer: Writer) -> Vec<String> {
    let parameters = symbols.layer.parameters();
    let letter = |p: &Parameter| letters(symbols, p).into_iter().next().map(Math::Letter);
    let unit = |name: &str| {
        let named = parameters.iter().find(|p| p.role == Role::Unit && p.name == format!("weight_{name}"));
        named.and_then(letter).unwrap_or_else(|| Math::Letter(Letter::plain(name, "")))
    };
    let draw = |p: &Parameter| {
        let draw = symbols.layer.initial_draw(p)?;
        let equals = if matches!(draw, Draw::Uniform(..)) { "" } else { "= " };
        Some(format!("{} {equals}{}", writer.math(&letter(p)?), writer.math(&formula_of_draw(&draw, &unit))))
    };
    parameters.iter().filter_map(draw).collect()
}

/// `(4H, I)`.
fn symbolic_shape(symbols: &Symbols, p: &Parameter) -> String {
    let spec = symbols.layer.cell().spec();
    let mut widths: Vec<(Width, usize)> = Vec::new();
    for block in &p.blocks {
        let width = spec.stages[block.stage].width;
        match widths.last_mut() {
            Some((last, n)) if *last == width => *n += 1,
            _ => widths.push((width, 1)),
        }
    }
    let rows: Vec<String> =
        widths.iter().map(|&(w, n)| if n == 1 { letter(w).into() } else { format!("{n}{}", letter(w)) }).collect();
    let rows = rows.join(" + ");
    match p.role {
        Role::Weight => {
            let block = p.blocks[0];
            let width = match symbols.layer.stages()[block.stage].gates[block.gate][block.source] {
                Place::Input => Width::Input,
                Place::Before(v) | Place::Now(v) => symbols.layer.values()[v].width,
            };
            format!("({rows}, {})", letter(width))
        }
        Role::Bias | Role::Gain | Role::Unit => format!("({rows})"),
    }
}

/// The symbols of a parameter's blocks, from its first row to its last; one symbol for all is given once.
pub(super) fn letters(symbols: &Symbols, p: &Parameter) -> Vec<Letter> {
    let mut letters: Vec<Letter> = Vec::new();
    for block in &p.blocks {
        let found = match p.role {
            Role::Weight => {
                let place = symbols.layer.stages()[block.stage].gates[block.gate][block.source];
                let terms = &symbols.gates[block.stage][block.gate].terms;
                terms.iter().find(|t| t.vector.contains(&place)).map(|t| t.matrix.clone())
            }
            Role::Bias => {
                let same = |q: &&Parameter| {
                    q.role == Role::Bias && q.blocks.iter().any(|b| (b.stage, b.gate) == (block.stage, block.gate))
                };
                let index = symbols.layer.parameters().iter().filter(same).position(|q| q.name == p.name);
                index.and_then(|i| symbols.gates[block.stage][block.gate].biases.get(i).cloned())
            }
            Role::Gain => symbols.gates[block.stage][block.gate].gain.clone(),
            Role::Unit => {
                let unit =
                    |a: &crate::algebra::expression::Argument| a.kind == ArgumentKind::Unit && a.index == block.gate;
                let argument = symbols.graphs[block.stage].arguments.iter().position(unit);
                argument.and_then(|a| match symbols.argument(block.stage, a, false) {
                    Math::Letter(letter) => Some(letter),
                    _ => None,
                })
            }
        };
        if let Some(letter) = found
            && !letters.contains(&letter)
        {
            letters.push(letter);
        }
    }
    letters
}

/// What a step costs for one row, forward.
pub(super) struct Cost {
    /// Multiply-adds of the matrix products.
    pub multiply_adds: usize,
    /// Additions of biases.
    pub bias_additions: usize,
    /// Numbers that go through a normaliser.
    pub normalised: usize,
    /// For each stage: its width in letters and numbers, operations for one unit forward, and backward without what
    /// forward has.
    pub pointwise: Vec<(&'static str, usize, Operations, Operations)>,
}

/// Counts the operations of a step; every weight is one multiply-add.
pub(super) fn cost(symbols: &Symbols) -> Cost {
    let total = |role| symbols.layer.parameters().iter().filter(|p| p.role == role).map(Parameter::len).sum();
    let pointwise = symbols.graphs.iter().enumerate().map(|(k, graph)| {
        let width = symbols.layer.cell().spec().stages[k].width;
        let backward = Operations::count(&symbols.gradients[k].nodes[graph.nodes.len()..]);
        (letter(width), symbols.layer.sizes().of(width), graph.operations(), backward)
    });
    Cost {
        multiply_adds: total(Role::Weight),
        bias_additions: total(Role::Bias),
        normalised: total(Role::Gain),
        pointwise: pointwise.collect(),
    }
}

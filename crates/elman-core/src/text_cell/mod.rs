//! Cells from a text of equations, in the notation in which [`describe`](crate::describe) prints them.
//!
//! The text is parsed, its sums are found to be gates, its equations are sorted into stages, and these are recorded
//! twice: as they are, and on dual numbers. Both recordings run block by block on the vector lanes. Operations and their order are
//! those of a compiled cell, so that the description of a cell is that cell to the bit.
//!
//! ```
//! use elman_core::text_cell;
//! use elman_core::{Cell, testing};
//! let cell = text_cell::parse("
//! my-cell
//! A gated unit.
//! Forward
//!   z_t = σ(W_zx x_t + W_zh h_{t-1} + b_z)
//!   h_t = (1 - z_t) * h_{t-1} + z_t * tanh(W_nx x_t + W_nh h_{t-1} + b_n)
//! ")?;
//! assert_eq!(cell.spec().stages[0].gates.len(), 2);
//! testing::check_cell(cell).unwrap();
//! assert_eq!(text_cell::parse("a\nForward\n h_t = tanh(W x_t").unwrap_err().to_string(),
//!            "3:18: the bracket of line 3, column 12 is not closed; write `)` before the end of the equation");
//! # Ok::<(), elman_core::text_cell::TextCellError>(())
//! ```
//!
//! `docs/own-cells.md` has the rules.

use crate::cell::Cell;
use crate::layer::{Layer, Role, Sizes};
use crate::recorded_cell::RecordedCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

mod draws;
mod error;
mod function;
mod lexer;
mod parse;
mod resolve;
mod sections;
mod stages;
mod term;

pub use error::{At, Problem, TextCellError};
pub use sections::MAX_BYTES;

/// Reads a cell. The same text gives the same cell; what it needs is kept until the program ends.
///
/// # Errors
/// [`TextCellError`]: the first thing that is wrong, and where.
pub fn parse(text: &str) -> Result<Arc<dyn Cell>, TextCellError> {
    static KNOWN: Mutex<Option<HashMap<String, Arc<dyn Cell>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(|e| e.into_inner());
    let known = known.get_or_insert_default();
    if let Some(cell) = known.get(text) {
        return Ok(cell.clone());
    }
    let cell = read(text)?;
    known.insert(text.to_string(), cell.clone());
    Ok(cell)
}

/// The text in a file's bytes.
///
/// # Errors
/// They are no text in UTF-8.
pub fn decode(bytes: &[u8]) -> Result<&str, TextCellError> {
    let place = |before: &[u8]| {
        let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
        let start = before.iter().rposition(|&b| b == b'\n').map_or(0, |newline| newline + 1);
        At { line, column: String::from_utf8_lossy(&before[start..]).chars().count() + 1 }
    };
    if let Some(nul) = bytes.iter().position(|&b| b == 0) {
        return Err(place(&bytes[..nul]).error(Problem::Binary));
    }
    str::from_utf8(bytes).map_err(|error| place(&bytes[..error.valid_up_to()]).error(Problem::NotUtf8))
}

/// Reads it anew.
fn read(text: &str) -> Result<Arc<dyn Cell>, TextCellError> {
    let sections = sections::split(text)?;
    let (staged, resolved) = stages::stage(&sections, resolve::resolve(&sections)?)?;
    if let Some((name, _, at)) = sections.draws.iter().find(|(_, draw, _)| draw.range(staged.spec).is_none()) {
        return Err(at.error(Problem::DrawInfinite { name: name.text.clone() }));
    }
    let cell: Arc<dyn Cell> = Arc::new(RecordedCell::new(staged.spec, staged.equations));
    check_parameters(&cell, &sections, &staged.gates, &resolved)?;
    Ok(cell)
}

/// What only a layer knows: how many biases a gate has, and that parameters' names are apart.
fn check_parameters(
    cell: &Arc<dyn Cell>,
    sections: &sections::Sections,
    gates: &[Vec<usize>],
    resolved: &resolve::Resolved,
) -> Result<(), TextCellError> {
    let sizes = Sizes { input: 2, hidden: 3, output: 4 };
    let layer = Layer::new(cell.clone(), sizes)
        .map_err(|error| sections.end.error(Problem::Layer { reason: error.to_string() }))?;
    for (s, gates) in gates.iter().enumerate() {
        for (g, &gate) in gates.iter().enumerate() {
            let here = |role: Role| {
                let parameters = layer.parameters().iter().filter(move |p| p.role == role);
                parameters.flat_map(|p| &p.blocks).filter(|b| (b.stage, b.gate) == (s, g)).count()
            };
            let biases = &resolved.gates[gate].biases;
            if biases.len() > 1 && biases.len() != here(Role::Bias) {
                let (name, at) = &biases[1];
                return Err(at.error(Problem::TwoBiases { name: name.text.clone() }));
            }
        }
    }
    for unit in &resolved.units {
        let parameter = format!("weight_{}", unit.name.joined());
        if layer.parameters().iter().any(|p| p.role != Role::Unit && p.name == parameter) {
            let name = unit.name.text.clone();
            return Err(unit.uses[0].1.error(Problem::ParameterName { name, parameter }));
        }
    }
    Ok(())
}

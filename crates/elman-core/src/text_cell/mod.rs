//! Cells from a text of equations, in the notation in which [`describe`](crate::describe) prints them.
//!
//! The text is parsed, its sums are found to be gates, its equations are sorted into stages, and these are recorded
//! twice: as they are, and on dual numbers. Both recordings run block by block on the vector lanes. Operations and their order are
//! those of a compiled cell, so that the description of a cell is that cell to the bit.
//!
//! ```
//! use elman_core::text_cell::TextCell;
//! use elman_core::{Cell, testing};
//! let cell = TextCell::parse("
//! my-cell
//! A gated unit.
//! Forward
//!   z_t = σ(W_zx x_t + W_zh h_{t-1} + b_z)
//!   h_t = (1 - z_t) * h_{t-1} + z_t * tanh(W_nx x_t + W_nh h_{t-1} + b_n)
//! ")?;
//! assert_eq!(cell.spec().stages[0].gates.len(), 2);
//! testing::check_cell(cell).unwrap();
//! assert_eq!(TextCell::parse("a\nForward\n h_t = tanh(W x_t").unwrap_err().to_string(),
//!            "3:18: the bracket of line 3, column 12 is not closed; write `)` before the end of the equation");
//! # Ok::<(), elman_core::text_cell::TextCellError>(())
//! ```
//!
//! `docs/own-cells.md` has the rules.

use crate::algebra::lanes::Isa;
use crate::algebra::program::{MAX_ARGUMENTS, Program};
use crate::algebra::{Dual, Element, Expr, expression};
use crate::cell::{Cell, CellSpec, Column, Pointwise};
use crate::layer::{Layer, Role, Sizes};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

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

/// A stage in every form.
#[derive(Clone, Debug)]
struct Stage {
    equations: term::Equations,
    forward: Program,
    backward: Program,
}

/// A cell that was read from a text.
#[derive(Clone)]
pub struct TextCell {
    spec: &'static CellSpec,
    stages: Vec<Stage>,
}

impl fmt::Debug for TextCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextCell({})", self.spec.name)
    }
}

impl TextCell {
    /// Reads a cell. The same text gives the same cell; what it needs is kept until the program ends.
    ///
    /// # Errors
    /// [`TextCellError`]: the first thing that is wrong, and where.
    pub fn parse(text: &str) -> Result<Arc<TextCell>, TextCellError> {
        static KNOWN: Mutex<Option<HashMap<String, Arc<TextCell>>>> = Mutex::new(None);
        let mut known = KNOWN.lock().unwrap_or_else(|e| e.into_inner());
        let known = known.get_or_insert_default();
        if let Some(cell) = known.get(text) {
            return Ok(cell.clone());
        }
        let cell = Arc::new(TextCell::new(text)?);
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

    fn new(text: &str) -> Result<TextCell, TextCellError> {
        let sections = sections::split(text)?;
        let (staged, resolved) = stages::stage(&sections, resolve::resolve(&sections)?)?;
        let stages = staged.spec.stages.iter().zip(staged.equations).map(|(spec, equations)| {
            let recording = expression::record(spec.arguments(), |args| equations.eval(args));
            let forward = Program::forward(&recording);
            let dual = |args: &[_]| equations.eval(args);
            let backward = Program::backward(spec.arguments(), spec.writes.len(), spec.accumulated(), dual);
            Stage { equations, forward, backward }
        });
        let cell = TextCell { spec: staged.spec, stages: stages.collect() };
        check_parameters(&cell, &sections, &staged.gates, &resolved)?;
        Ok(cell)
    }
}

/// What only a layer knows: how many biases a gate has, and that parameters' names are apart.
fn check_parameters(
    cell: &TextCell,
    sections: &sections::Sections,
    gates: &[Vec<usize>],
    resolved: &resolve::Resolved,
) -> Result<(), TextCellError> {
    let sizes = Sizes { input: 2, hidden: 3, output: 4 };
    let layer = Layer::new(Arc::new(cell.clone()), sizes)
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

impl Cell for TextCell {
    fn spec(&self) -> &'static CellSpec {
        self.spec
    }

    fn record(&self, stage: usize, args: &[Expr]) -> Vec<Expr> {
        self.stages[stage].equations.eval(args)
    }
}

impl<F: Element> Pointwise<F> for TextCell {
    unsafe fn forward(&self, stage: usize, isa: Isa, args: &[Column<F>], outs: &[Column<F>], rows: usize) {
        // SAFETY: the caller's promise is the program's.
        unsafe { self.stages[stage].forward.run(isa, [args, &[]], outs, rows) }
    }

    unsafe fn backward(
        &self,
        stage: usize,
        isa: Isa,
        args: &[Column<F>],
        d_outs: &[Column<F>],
        d_args: &[Column<F>],
        rows: usize,
    ) {
        // SAFETY: the caller's promise is the program's.
        unsafe { self.stages[stage].backward.run(isa, [args, d_outs], d_args, rows) }
    }

    fn eval(&self, stage: usize, args: &[F], outs: &mut [F]) {
        outs.copy_from_slice(&self.stages[stage].equations.eval(args));
    }

    fn jacobian(&self, stage: usize, args: &[F], outs: &mut [F], jacobian: &mut [F]) {
        let duals: Vec<Dual<F, [F; MAX_ARGUMENTS]>> =
            args.iter().enumerate().map(|(i, &value)| Dual::argument(value, i)).collect();
        for (o, dual) in self.stages[stage].equations.eval(&duals).iter().enumerate() {
            outs[o] = dual.value;
            // Where nothing flows the partial derivative is zero.
            jacobian[o * args.len()..][..args.len()].copy_from_slice(&dual.partials[..args.len()]);
        }
    }
}

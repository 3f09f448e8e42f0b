//! What a thread has at hand while it works: lists of addresses, filled again for each product and each stretch of equations.

use super::product::Segment;
use crate::cell::Column;

/// Lists that a thread fills again and again.
pub(super) struct Hands<F> {
    pub segments: Vec<Segment<F>>,
    pub args: Vec<Column<F>>,
    pub outs: Vec<Column<F>>,
    pub d_args: Vec<Column<F>>,
    /// Whether the next product of gates has the A of the one before.
    pub same_left: bool,
    /// Turns in which work was dealt out.
    pub turns: u64,
}

// SAFETY: the addresses in the lists are only followed inside a run, which answers for them.
unsafe impl<F: Send> Send for Hands<F> {}

impl<F> Default for Hands<F> {
    fn default() -> Self {
        Hands {
            segments: Vec::new(),
            args: Vec::new(),
            outs: Vec::new(),
            d_args: Vec::new(),
            same_left: false,
            turns: 0,
        }
    }
}

/// Lets columns begin at a row.
pub(super) fn from_row<F>(columns: &mut [Column<F>], row: usize) {
    columns.iter_mut().for_each(|column| column.ptr = column.ptr.wrapping_add(row * column.stride));
}

/// Moves columns on by a register.
pub(super) fn next_register<F>(columns: &mut [Column<F>], lanes: usize) {
    columns.iter_mut().for_each(|column| column.ptr = column.ptr.wrapping_add(lanes));
}

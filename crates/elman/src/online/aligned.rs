//! Numbers that begin at a cache line: registers of a whole line are then never read across two.

use elman_core::algebra::Element;
use std::ops::{Deref, DerefMut};

/// A cache line in bytes.
const LINE: usize = 64;

/// A slice of zeros at first, aligned to a cache line.
pub(super) struct Aligned<F> {
    /// Never resized, so that its start does not move.
    values: Vec<F>,
    first: usize,
    len: usize,
}

impl<F: Element> Aligned<F> {
    pub fn zeros(len: usize) -> Self {
        let room = LINE / size_of::<F>();
        let values = vec![F::constant(0.0); len + room];
        // Where the distance cannot be told it stays unaligned, which is slower and nothing else.
        let first = values.as_ptr().align_offset(LINE);
        Aligned { values, first: if first <= room { first } else { 0 }, len }
    }
}

impl<F> Deref for Aligned<F> {
    type Target = [F];
    fn deref(&self) -> &[F] {
        &self.values[self.first..][..self.len]
    }
}

impl<F> DerefMut for Aligned<F> {
    fn deref_mut(&mut self) -> &mut [F] {
        &mut self.values[self.first..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_at_a_line() {
        for len in [0, 1, 100] {
            assert_eq!(Aligned::<f32>::zeros(len).len(), len);
            assert_eq!(Aligned::<f32>::zeros(len).as_ptr() as usize % LINE, 0);
            assert_eq!(Aligned::<f64>::zeros(len).as_ptr() as usize % LINE, 0);
        }
    }
}

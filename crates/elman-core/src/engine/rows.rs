//! The order in which a batch's rows are worked on.
//!
//! Rows are sorted by length, longest first, so that the rows still active at a step are the first ones; a step's work is
//! then only theirs. Everything inside the engine is *packed*: the active rows of step 0, then those of step 1, and so on.

/// The packed order of a batch.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    /// Sorted position -> row of the batch.
    pub batch: Vec<usize>,
    /// Row of the batch -> sorted position.
    pub sorted: Vec<usize>,
    /// Active rows of each step.
    pub active: Vec<usize>,
    /// First packed row of each step, and their total at the end.
    pub offset: Vec<usize>,
    /// Packed row -> `t * B + b`, its place in the caller's arrays.
    pub place: Vec<usize>,
    /// Steps taken by each sorted row.
    pub steps: Vec<usize>,
}

impl Rows {
    /// Recomputes the order in place.
    pub fn set(&mut self, steps: usize, batch: usize, lengths: Option<&[usize]>, reverse: bool) {
        let length = |b: usize| lengths.map_or(steps, |l| l[b]);
        self.batch.clear();
        self.batch.extend(0..batch);
        self.batch.sort_by_key(|&b| core::cmp::Reverse(length(b)));
        self.sorted.clear();
        self.sorted.resize(batch, 0);
        for (position, &b) in self.batch.iter().enumerate() {
            self.sorted[b] = position;
        }
        self.steps.clear();
        self.steps.extend(self.batch.iter().map(|&b| length(b)));
        self.active.clear();
        self.offset.clear();
        self.place.clear();
        self.offset.push(0);
        // Exactly, where a list that grows by itself would take up to twice as much.
        self.active.reserve_exact(steps);
        self.offset.reserve_exact(steps);
        self.place.reserve_exact(self.steps.iter().sum());
        let mut active = batch;
        for s in 0..steps {
            while active > 0 && self.steps[active - 1] <= s {
                active -= 1;
            }
            if active == 0 {
                break;
            }
            self.active.push(active);
            for r in 0..active {
                let t = if reverse { self.steps[r] - 1 - s } else { s };
                self.place.push(t * batch + self.batch[r]);
            }
            self.offset.push(self.place.len());
        }
    }

    /// Number of steps in which any row is active.
    pub fn count(&self) -> usize {
        self.active.len()
    }

    /// Total packed rows.
    pub fn total(&self) -> usize {
        self.place.len()
    }

    /// Consecutive steps with at least `rows` rows together (fewer in the last chunk).
    pub fn chunks(&self, rows: usize) -> Vec<core::ops::Range<usize>> {
        let mut chunks = Vec::new();
        let mut start = 0;
        for s in 0..self.count() {
            if self.offset[s + 1] - self.offset[start] >= rows || s + 1 == self.count() {
                chunks.push(start..s + 1);
                start = s + 1;
            }
        }
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    #[test]
    fn unsorted_lengths_pack_without_padding() {
        let mut rows = Rows::default();
        rows.set(4, 3, Some(&[2, 0, 3]), true);
        assert_eq!(rows.batch, [2, 0, 1]);
        assert_eq!(rows.sorted, [1, 2, 0]);
        assert_eq!(rows.active, [2, 2, 1]);
        assert_eq!(rows.offset, [0, 2, 4, 5]);
        // Row 2 runs t = 2, 1, 0; row 0 runs t = 1, 0.
        assert_eq!(rows.place, [2 * 3 + 2, 3, 3 + 2, 0, 2]);
        assert_eq!(rows.chunks(3), [0..2, 2..3]);
    }
}

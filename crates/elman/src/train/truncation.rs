//! Truncated backpropagation through time with two lengths, k1 and k2.
//!
//! Every k1 steps there is an update; its gradient is that of the losses of these k1 steps, followed back through the last k2 steps. With losses
//! L_j and states h_k, j and k counted from 0, the gradient by a parameter that every step shares is
//!
//! ```text
//! dL/dW = Σ_j Σ_{k ≤ j} (dL_j/dh_j) (dh_j/dh_k) (∂h_k/∂W)       all paths j → k: backpropagation through time
//! ```
//!
//! and truncation keeps the paths with k ≥ min(k1 (⌊j/k1⌋ + 1), T) - k2. So k2 = T over sequences of T steps is the full gradient, whatever k1; k1 = k2 is what
//! most programs do, and cuts every path that crosses a multiple of k1; k1 = 1 with k2 = p + 1 keeps k = j-p..j for every j, the same for
//! all losses, for k2 times the work.
//!
//! Sources: Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network trajectories", 1990: their
//! BPTT(h; h') has h = k2 and h' = k1; Sutskever, "Training recurrent neural networks", 2013, section 2.8.6, names k1 and k2. They reuse the activations
//! of the first pass over a step; here the k2 steps are computed again, with the parameters of now, from the state that the earlier ones left.

use super::trainer::BatchSource;
use crate::network::TokenBatch;
use crate::network::readout::IGNORE;
use std::collections::VecDeque;
use std::ops::Range;

/// k1 and k2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    every: usize,
    back: usize,
}

/// Lengths that make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TruncationError {
    /// A length is zero.
    #[error(
        "{name} is 0; it must be at least 1: k1 steps lie between updates, the gradient goes back k2 steps, 1 being the step of the loss alone"
    )]
    Zero {
        /// k1 or k2.
        name: &'static str,
    },
    /// Some losses would teach nothing.
    #[error("k2 is {back} and k1 is {every}; k2 must be at least k1, or the gradient would not reach the first {} steps of each update", .every - .back)]
    Short {
        /// k1.
        every: usize,
        /// k2.
        back: usize,
    },
}

/// What one update is computed from, in steps of the whole sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The steps that the gradient goes through.
    pub through: Range<usize>,
    /// The steps whose losses count, the last ones of `through`.
    pub losses: Range<usize>,
}

impl Truncation {
    /// An update every `k1` steps, its gradient through the last `k2`.
    ///
    /// ```
    /// use elman::train::Truncation;
    /// let windows: Vec<_> = Truncation::new(2, 5).unwrap().windows(7).map(|w| (w.through, w.losses)).collect();
    /// assert_eq!(windows, [(0..2, 0..2), (0..4, 2..4), (1..6, 4..6), (2..7, 6..7)]);
    /// assert_eq!(Truncation::new(3, 2).unwrap_err().to_string(), "k2 is 2 and k1 is 3; k2 must be at least k1, \
    ///     or the gradient would not reach the first 1 steps of each update");
    /// ```
    ///
    /// # Errors
    /// One is zero, or `k2 < k1`.
    pub fn new(k1: usize, k2: usize) -> Result<Truncation, TruncationError> {
        match (k1, k2) {
            (0, _) => Err(TruncationError::Zero { name: "k1" }),
            (_, 0) => Err(TruncationError::Zero { name: "k2" }),
            _ if k2 < k1 => Err(TruncationError::Short { every: k1, back: k2 }),
            _ => Ok(Truncation { every: k1, back: k2 }),
        }
    }

    /// The sum over k = j-p..j for every j: k1 = 1, k2 = p + 1.
    pub fn last_steps(p: usize) -> Truncation {
        Truncation { every: 1, back: p + 1 }
    }

    /// k1, the steps between updates.
    pub fn every(&self) -> usize {
        self.every
    }

    /// k2, the steps that a gradient goes through at most.
    pub fn back(&self) -> usize {
        self.back
    }

    /// Whether the loss of step `j` reaches step `k` in a sequence of `steps`.
    pub fn survives(&self, steps: usize, j: usize, k: usize) -> bool {
        k <= j && j < steps && k.saturating_add(self.back) >= (self.every * (j / self.every + 1)).min(steps)
    }

    /// The windows over a sequence of `steps`; at its beginning they are shorter than k2, and the last may have less than k1 losses.
    pub fn windows(&self, steps: usize) -> impl Iterator<Item = Window> + use<> {
        let Truncation { every, back } = *self;
        (0..steps.div_ceil(every)).map(move |n| {
            let end = ((n + 1) * every).min(steps);
            Window { through: end.saturating_sub(back)..end, losses: n * every..end }
        })
    }
}

/// Batches of k2 steps, of which the last k1 are new, from a source that gives the k1 new ones. With k1 = k2 they are the source's own.
///
/// The steps before, at most k2 - k1 since the sequences began, are given again with targets that do not count; [`TokenBatch::carry`] says
/// after which of the steps the state is that of the next batch's beginning.
///
/// ```
/// # use elman::network::TokenBatch;
/// # use elman::train::{BatchSource, Overlapping, Truncation};
/// # struct Counted(u32);
/// # impl BatchSource<TokenBatch> for Counted {
/// #     fn next_batch(&mut self) -> Result<TokenBatch, String> {
/// #         let ids = vec![self.0, self.0 + 1].into();
/// #         self.0 += 2;
/// #         Ok(TokenBatch { ids, targets: vec![self.0 - 1, self.0], batch: 1, lengths: None, fresh: self.0 == 2, carry: None })
/// #     }
/// #     fn cursor(&self) -> String { self.0.to_string() }
/// #     fn seek(&mut self, cursor: &str) -> Result<(), String> { self.0 = cursor.parse().unwrap(); Ok(()) }
/// # }
/// // `Counted` gives the tokens 0 1, then 2 3, then 4 5, ... and the token after each as its target.
/// let mut source = Overlapping::new(Counted(0), Truncation::new(2, 5).unwrap());
/// source.next_batch().unwrap();
/// source.next_batch().unwrap();
/// let third = source.next_batch().unwrap();
/// assert_eq!(third.ids[..], [1, 2, 3, 4, 5]);
/// assert_eq!(third.targets[3..], [5, 6]);
/// assert_eq!(third.carry, Some(2)); // the next one begins with token 3
/// ```
#[derive(Clone, Debug)]
pub struct Overlapping<S> {
    source: S,
    truncation: Truncation,
    /// The source's batches that reach into the next window, and where the source was before each.
    kept: VecDeque<(String, TokenBatch)>,
}

impl<S: BatchSource<TokenBatch>> Overlapping<S> {
    /// Wraps a source whose batches have k1 steps.
    pub fn new(source: S, truncation: Truncation) -> Self {
        Overlapping { source, truncation, kept: VecDeque::new() }
    }

    /// The source within.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// The steps to keep for the batch after one that ends `kept` and has `steps`.
    fn overlap(&self, kept: usize) -> usize {
        (self.truncation.back - self.truncation.every).min(kept)
    }

    /// Reads a batch and keeps it.
    fn advance(&mut self) -> Result<(), String> {
        let before = self.source.cursor();
        let batch = self.source.next_batch()?;
        if let Some(lengths) = &batch.lengths {
            return Err(format!("batches with lengths ({lengths:?}) cannot overlap; give contiguous streams"));
        }
        let steps = batch.ids.len() / batch.batch.max(1);
        if steps != self.truncation.every {
            return Err(format!("a batch has {steps} steps, and k1 is {}; make them equal", self.truncation.every));
        }
        if batch.fresh {
            self.kept.clear();
        }
        self.kept.push_back((before, batch));
        let most = 1 + (self.truncation.back - self.truncation.every).div_ceil(self.truncation.every);
        if self.kept.len() > most {
            self.kept.pop_front();
        }
        Ok(())
    }
}

impl<S: BatchSource<TokenBatch>> BatchSource<TokenBatch> for Overlapping<S> {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        if self.truncation.every == self.truncation.back {
            return self.source.next_batch();
        }
        // What was kept before is the past of this batch, unless it begins anew.
        let past = self.kept.len();
        self.advance()?;
        let every = self.truncation.every;
        let (_, new) = self.kept.back().expect("just read");
        let fresh_past = if new.fresh { 0 } else { past * every };
        let repeated = self.overlap(fresh_past);
        let rows = new.batch;
        let all: Vec<u32> = self.kept.iter().flat_map(|(_, batch)| batch.ids.iter().copied()).collect();
        let ids: Vec<u32> = all[all.len() - (repeated + every) * rows..].to_vec();
        let mut targets = vec![IGNORE; repeated * rows];
        targets.extend(&new.targets);
        // The past that is kept may be longer than the overlap; where it is not, the window before began with the sequence.
        let begins = repeated == fresh_past && self.kept.iter().any(|(_, batch)| batch.fresh);
        let carry = repeated + every - self.overlap(fresh_past + every);
        Ok(TokenBatch {
            ids: ids.into(),
            targets,
            batch: rows,
            lengths: None,
            fresh: begins,
            // Where the next window begins with the sequence too, no state is carried: it is fresh.
            carry: (0 < carry && carry < repeated + every).then_some(carry),
        })
    }

    /// The place of the oldest batch that is kept, and how many are; where nothing overlaps, the source's own.
    fn cursor(&self) -> String {
        if self.truncation.every == self.truncation.back {
            return self.source.cursor();
        }
        match self.kept.front() {
            Some((before, _)) => format!("{} {before}", self.kept.len()),
            None => format!("0 {}", self.source.cursor()),
        }
    }

    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        if self.truncation.every == self.truncation.back {
            return self.source.seek(cursor);
        }
        let place = cursor.split_once(' ').and_then(|(count, before)| Some((count.parse::<usize>().ok()?, before)));
        let (count, before) = place.ok_or_else(|| format!("`{cursor}` is not a place of overlapping batches"))?;
        self.source.seek(before)?;
        self.kept.clear();
        (0..count).try_for_each(|_| self.advance())
    }
}

#[cfg(test)]
#[path = "truncation_test.rs"]
mod tests;

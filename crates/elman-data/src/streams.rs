//! A text as parallel contiguous streams: what truncated BPTT with a carried state learns from.
//!
//! With B streams, the first `B * nb` characters of the training part stand in B rows of `nb = (n - 1) / B`; row b goes on
//! where row b - 1 ends. A window is T steps of all rows; the next window starts where it ended, so that the state can be
//! carried over. After the last whole window the rows start again from their beginning, from a new state. The target of
//! a step is the character after it.

use crate::text::{Text, TextError};
use std::ops::Range;

/// A text's training part and the part after it that is kept out, in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Learnt from.
    pub train: Range<usize>,
    /// Scored only; the last `floor(fraction * N)` characters.
    pub held_out: Range<usize>,
}

impl Split {
    /// Keeps the last `floor(fraction * characters)` characters out.
    ///
    /// ```
    /// use elman_data::Split;
    /// assert_eq!(Split::new(1_115_394, 0.1).held_out, 1_003_855..1_115_394);
    /// assert!(Split::new(5, 0.0).held_out.is_empty());
    /// ```
    ///
    /// # Panics
    /// Unless `0 <= fraction < 1`.
    #[track_caller]
    pub fn new(characters: usize, fraction: f64) -> Split {
        assert!((0.0..1.0).contains(&fraction), "the held-out fraction is {fraction}, not in [0, 1)");
        let n = characters - (characters as f64 * fraction).floor() as usize;
        Split { train: 0..n, held_out: n..characters }
    }
}

/// Why streams cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamsError {
    /// There is no character to predict from another.
    #[error("the text has {characters} character(s) to learn from; a prediction needs at least 2: give a longer text")]
    TooShort {
        /// Characters in the training part.
        characters: usize,
    },
    /// A size is zero.
    #[error("the {what} must be at least 1")]
    Zero {
        /// The size's name.
        what: &'static str,
    },
}

/// What had to be made smaller for a short text. Its `Display` says so in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// Characters, or what else the text is of, in the training part.
    pub characters: usize,
    /// Rows asked for and rows used.
    pub batch: (usize, usize),
    /// Steps asked for and steps used.
    pub steps: (usize, usize),
}

impl Adjustment {
    /// The line for a text of another unit than characters: `word`.
    pub fn told(&self, unit: &str) -> String {
        let both = [("batch", self.batch), ("sequence length", self.steps)];
        let changed = both.into_iter().filter(|(_, (asked, used))| asked != used);
        let changed = changed.map(|(what, (asked, used))| format!("{what} {used} instead of {asked}"));
        let changed: Vec<String> = changed.collect();
        format!("the text has only {} {unit}s to learn from: {}", self.characters, changed.join(", "))
    }
}

impl std::fmt::Display for Adjustment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.told("character"))
    }
}

/// What [`Streams::window`] gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The rows start from their beginning: the state is to be zero.
    pub reset: bool,
    /// How many times all windows had been given before this one.
    pub epoch: usize,
}

/// The streams of a text and the place in them.
///
/// ```
/// use elman_data::{Streams, Text};
/// let text = Text::from_static(b"abcdefghijklm")?;
/// let (mut streams, adjusted) = Streams::new(0..text.len(), 2, 3)?;
/// assert!(adjusted.is_none());
/// let (mut x, mut y) = ([0; 6], [0; 6]);
/// let window = streams.window(&text, |c| Some(c as u32 - 'a' as u32), &mut x, &mut y)?;
/// assert!(window.reset);
/// assert_eq!(x, [0, 6, 1, 7, 2, 8]); // time-major: (a, g), (b, h), (c, i)
/// assert_eq!(y, [1, 7, 2, 8, 3, 9]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Streams {
    start: usize,
    length: usize,
    batch: usize,
    steps: usize,
    /// Steps of each row already given since the rows' beginning.
    position: usize,
    epoch: usize,
    row: Vec<u32>,
}

impl Streams {
    /// Streams over the characters `part` of a text: `batch` rows, windows of `steps`.
    ///
    /// If a row would be shorter than a window, there are fewer rows; if one row still is, the window is shorter.
    ///
    /// # Errors
    /// A size is zero, or the part has less than two characters.
    pub fn new(part: Range<usize>, batch: usize, steps: usize) -> Result<(Streams, Option<Adjustment>), StreamsError> {
        for (what, size) in [("batch", batch), ("sequence length", steps)] {
            if size == 0 {
                return Err(StreamsError::Zero { what });
            }
        }
        let characters = part.len();
        if characters < 2 {
            return Err(StreamsError::TooShort { characters });
        }
        let used_steps = steps.min(characters - 1);
        let used_batch = batch.min((characters - 1) / used_steps);
        let adjusted = (used_batch, used_steps) != (batch, steps);
        let adjustment =
            adjusted.then_some(Adjustment { characters, batch: (batch, used_batch), steps: (steps, used_steps) });
        let streams = Streams {
            start: part.start,
            length: (characters - 1) / used_batch,
            batch: used_batch,
            steps: used_steps,
            position: 0,
            epoch: 0,
            row: vec![0; used_steps + 1],
        };
        Ok((streams, adjustment))
    }

    /// B, the rows of a window.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// T, the steps of a window.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Windows from the rows' beginning to their end.
    pub fn windows(&self) -> usize {
        self.length / self.steps
    }

    /// The place in the streams, for [`seek`](Streams::seek): windows given since the first.
    pub fn position(&self) -> usize {
        self.epoch * self.windows() + self.position / self.steps
    }

    /// Goes to the place after `position` windows, exactly as if they had been given.
    pub fn seek(&mut self, position: usize) {
        // At the end of the rows the next window starts them again; the epoch is counted when it does.
        let (epoch, window) = match position {
            0 => (0, 0),
            _ => ((position - 1) / self.windows(), (position - 1) % self.windows() + 1),
        };
        self.epoch = epoch;
        self.position = window * self.steps;
    }

    /// The next window: ids and targets, both (T, B) time-major.
    ///
    /// # Errors
    /// As [`Text::read`].
    ///
    /// # Panics
    /// If a buffer is not T * B long, or the text is shorter than the one that the streams were made for.
    #[track_caller]
    pub fn window(
        &mut self,
        text: &Text,
        mut encode: impl FnMut(char) -> Option<u32>,
        ids: &mut [u32],
        targets: &mut [u32],
    ) -> Result<Window, TextError> {
        self.window_from(|at, row| text.read(at, row, &mut encode), ids, targets)
    }

    /// The same of anything that is read by position: `read` fills a slice with the ids from a position on.
    ///
    /// ```
    /// use elman_data::Streams;
    /// let ids: Vec<u32> = (0..13).collect();
    /// let (mut streams, _) = Streams::new(0..ids.len(), 2, 3)?;
    /// let (mut x, mut y) = ([0; 6], [0; 6]);
    /// let read = |at: usize, row: &mut [u32]| Ok::<(), ()>(row.copy_from_slice(&ids[at..][..row.len()]));
    /// streams.window_from(read, &mut x, &mut y).unwrap();
    /// assert_eq!((x, y), ([0, 6, 1, 7, 2, 8], [1, 7, 2, 8, 3, 9]));
    /// # Ok::<(), elman_data::StreamsError>(())
    /// ```
    ///
    /// # Errors
    /// Those of `read`.
    ///
    /// # Panics
    /// If a buffer is not T * B long.
    #[track_caller]
    pub fn window_from<E>(
        &mut self,
        mut read: impl FnMut(usize, &mut [u32]) -> Result<(), E>,
        ids: &mut [u32],
        targets: &mut [u32],
    ) -> Result<Window, E> {
        let (batch, steps) = (self.batch, self.steps);
        assert!(
            ids.len() == steps * batch && targets.len() == steps * batch,
            "buffers of {} and {} for a window of {steps} steps and {batch} rows",
            ids.len(),
            targets.len()
        );
        if self.position + steps > self.length {
            self.position = 0;
            self.epoch += 1;
        }
        for b in 0..batch {
            read(self.start + b * self.length + self.position, &mut self.row)?;
            for (t, pair) in self.row.windows(2).enumerate() {
                ids[t * batch + b] = pair[0];
                targets[t * batch + b] = pair[1];
            }
        }
        let window = Window { reset: self.position == 0, epoch: self.epoch };
        self.position += steps;
        Ok(window)
    }
}

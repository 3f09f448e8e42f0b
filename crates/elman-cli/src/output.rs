//! Standard output: whole results, and a stream of characters.

use crate::failure::Failure;
use serde_json::{Map, Value};
use std::io::{self, BufWriter, StdoutLock, Write};
use std::time::{Duration, Instant};

/// Prints a text as it is.
pub fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Prints one JSON object in a line.
pub fn json(object: Map<String, Value>) -> Result<(), Failure> {
    text(&format!("{}\n", Value::Object(object)))
}

/// A text as it comes: shown at once to an eye, in bulk when they come faster than an eye sees.
pub struct Characters {
    out: BufWriter<StdoutLock<'static>>,
    flushed: Instant,
    last: Option<char>,
}

/// A sixtieth of a second.
const FRAME: Duration = Duration::from_millis(16);

impl Characters {
    /// On standard output.
    pub fn new() -> Characters {
        Characters { out: BufWriter::new(io::stdout().lock()), flushed: Instant::now(), last: None }
    }

    /// What comes next.
    pub fn push(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes())?;
        self.last = text.chars().last().or(self.last);
        if self.flushed.elapsed() >= FRAME {
            self.out.flush()?;
            self.flushed = Instant::now();
        }
        Ok(())
    }

    /// Ends the line.
    pub fn end(mut self) -> Result<(), Failure> {
        if self.last != Some('\n') {
            self.out.write_all(b"\n")?;
        }
        Ok(self.out.flush()?)
    }
}

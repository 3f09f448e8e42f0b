//! The embedded corpus: a snapshot of Elman's own sources and documents, learnt from when no data is given.
//!
//! The snapshot is a file of this crate, so it is there in a packaged crate too. It changes only when this command is run
//! in the repository:
//!
//! ```text
//! cargo run --release -p elman-data --example snapshot
//! ```

use crate::text::{Text, TextError};

/// The corpus as bytes.
pub static CORPUS: &[u8] = include_bytes!("../corpus/elman.txt");

/// The corpus as a text.
///
/// # Errors
/// None with the committed snapshot, which a test reads.
pub fn text() -> Result<Text, TextError> {
    Text::from_static(CORPUS)
}

//! Data for recurrent networks, from the formats in which it is found.
//!
//! * [`Text`]: a UTF-8 file of any size, mapped and never held whole, read at any character.
//! * [`Streams`]: a text cut into parallel contiguous streams, as truncated BPTT with a carried state wants it.
//! * [`Plant`]: benchmark plants for system identification, from their equations.
//! * [`synthetic`]: the made data of the literature's tasks, each a pure function of a seed.
//! * [`corpus`]: the text that is in the program itself.
//! * [`trees`]: trees in brackets, as treebanks have them.
//! * [`tomita`]: seven small regular languages.
//! * [`Words`]: a text as words. [`gzip`]: packed files.

pub mod corpus;
pub mod gzip;
pub mod plant;
mod scan;
pub mod streams;
pub mod synthetic;
pub mod text;
pub mod tomita;
pub mod trees;
pub mod words;

pub use plant::{Plant, Record};
pub use streams::{Adjustment, Split, Streams, StreamsError, Window};
pub use text::{Text, TextError};
pub use words::Words;

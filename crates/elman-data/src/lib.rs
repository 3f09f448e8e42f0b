//! Data for recurrent networks, from the formats in which it is found.
//!
//! * [`Text`]: a UTF-8 file of any size, mapped and never held whole, read at any character.
//! * [`Streams`]: a text cut into parallel contiguous streams, as truncated BPTT with a carried state wants it.
//! * [`synthetic`]: the made data of the literature's tasks, each a pure function of a seed.
//! * [`corpus`]: the text that is in the program itself.

pub mod corpus;
mod scan;
pub mod streams;
pub mod synthetic;
pub mod text;

pub use streams::{Adjustment, Split, Streams, StreamsError, Window};
pub use text::{Text, TextError};

//! `elman paths`

use crate::args::Paths;
use crate::failure::Failure;
use crate::output;
use elman_tasks::{Truncation, paths};

pub fn run(command: &Paths) -> Result<(), Failure> {
    let k1 = command.k1.unwrap_or(command.steps);
    let k2 = command.k2.unwrap_or(k1);
    if !(1..=100).contains(&command.steps) {
        return Err(Failure::usage(format!("--steps: it is {}; it must be from 1 to 100", command.steps)));
    }
    let truncation = Truncation::new(k1, k2).map_err(|error| Failure::usage(error.to_string()))?;
    output::text(&match command.svg {
        true => paths::svg(truncation, command.steps),
        false => paths::text(truncation, command.steps),
    })
}

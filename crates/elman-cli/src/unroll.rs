//! `elman unroll`

use crate::args::Unroll;
use crate::failure::Failure;
use crate::output;
use elman_run::{atomic, cell};
use elman_tasks::unroll::{Shape, Unrolled};

pub fn run(command: &Unroll) -> Result<(), Failure> {
    let cell = cell::make(&cell::read(&command.cell)?)?;
    let shape: Shape = command.shape.parse()?;
    let length = command.length.unwrap_or(if shape == Shape::OneToOne { 1 } else { 4 });
    let graph = Unrolled::new(cell.spec(), shape, length)?;
    let Some(path) = &command.svg else { return output::text(&graph.dot()) };
    atomic::write(path, |writer| writer.write_all(graph.svg().as_bytes()))?;
    output::text(&format!("{}\n", path.display()))
}

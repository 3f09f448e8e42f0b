//! `elman unroll`

use crate::args::Unroll;
use crate::failure::Failure;
use crate::output;
use elman_core::cells;
use elman_run::{Model, atomic, cell};
use elman_tasks::cell_of;
use elman_tasks::unroll::{Shape, Topology, Unrolled};
use std::path::Path;

pub fn run(command: &Unroll) -> Result<(), Failure> {
    let shape: Shape = command.shape.parse()?;
    let length = command.length.unwrap_or(if shape == Shape::OneToOne { 1 } else { 4 });
    let dir = Path::new(&command.cell);
    // A cell's name wins over a folder of that name.
    let is_run = dir.is_dir() && cells::find(&cell_of(&command.cell)).is_none();
    let (cell, layers, next_input) = match is_run {
        // A run's own network.
        true => {
            if shape != Shape::ManyToMany {
                return Err(Failure::usage(format!(
                    "--shape: it is {shape}, and the run's network predicts at every step; leave it out"
                )));
            }
            let model = Model::load(dir.join("model.safetensors"))?;
            if let Some(layers) = command.layers.filter(|&layers| layers != model.config().layers) {
                let has = model.config().layers;
                return Err(Failure::usage(format!(
                    "--layers: it is {layers}, and the run's network has {has}; leave it out"
                )));
            }
            if command.bidirectional {
                return Err(Failure::usage("--bidirectional: the run's network reads in one direction; leave it out"));
            }
            (cell::make(&model.config().cell)?, model.config().layers, true)
        }
        false => (cell::make(&cell::read(&cell_of(&command.cell))?)?, command.layers.unwrap_or(1), false),
    };
    let (cell, bidirectional) = (cell.spec(), command.bidirectional);
    let graph = Unrolled::network(Topology { cell, layers, bidirectional, shape, length, next_input })?;
    let Some(path) = &command.svg else { return output::text(&graph.dot()) };
    atomic::write(path, |writer| writer.write_all(graph.svg().as_bytes()))?;
    output::text(&format!("{}\n", path.display()))
}

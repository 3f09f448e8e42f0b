//! `elman unroll`

use crate::args::Unroll;
use crate::failure::Failure;
use crate::output;
use elman_core::cells;
use elman_run::{Model, atomic, cell};
use elman_tasks::unroll::{Feed, Other, Shape, Topology, TreeCell, Unrolled, check_layers};
use elman_tasks::{Stop, cell_of, tasks};
use std::path::Path;

/// Steps where nothing else is asked for.
const LENGTH: usize = 4;
/// A tree where no other is given.
const TREE: &str = "(3 (2 It) (4 (2 is) (4 good)))";

pub fn run(command: &Unroll) -> Result<(), Failure> {
    let graph = match other(command)? {
        Some(other) => Unrolled::other(&other, command.length.unwrap_or(LENGTH))?,
        None => stack(command)?,
    };
    let Some(path) = &command.svg else { return output::text(&graph.dot()) };
    atomic::write(path, |writer| writer.write_all(graph.svg().as_bytes()))?;
    output::text(&format!("{}\n", path.display()))
}

/// Refuses every option that was given and is not one of these.
fn only(command: &Unroll, network: &str, allowed: &[&str]) -> Result<(), Failure> {
    let given = [
        ("--layers", command.layers.is_some()),
        ("--bidirectional", command.bidirectional),
        ("--length", command.length.is_some()),
        ("--shape", command.shape.is_some()),
        ("--feed", command.feed.is_some()),
        ("--lags", command.lags.is_some()),
        ("--delay", command.delay.is_some()),
        ("--taps", command.taps.is_some()),
        ("--dilation", command.dilation.is_some()),
        ("--recurrent-output", command.recurrent_output),
        ("--tree", command.tree.is_some()),
    ];
    match given.iter().find(|(option, given)| *given && !allowed.contains(option)) {
        Some((option, _)) => Err(Failure::usage(format!("{option}: it is not for {network}; leave it out"))),
        None => Ok(()),
    }
}

/// Recurrent layers, of cells or of a run.
fn stack(command: &Unroll) -> Result<Unrolled, Failure> {
    let options = ["--layers", "--bidirectional", "--length", "--shape", "--feed"];
    let shape: Shape = command.shape.as_deref().map_or(Ok(Shape::ManyToMany), str::parse)?;
    let length = command.length.unwrap_or(if shape == Shape::OneToOne { 1 } else { LENGTH });
    let feed: Feed = command.feed.as_deref().map_or(Ok(Feed::Nothing), str::parse)?;
    let dir = Path::new(&command.cells[0]);
    // A cell's name wins over a folder of that name.
    let is_run = command.cells.len() == 1 && dir.is_dir() && cells::find(&cell_of(&command.cells[0])).is_none();
    only(command, if is_run { "a run's network" } else { "layers of cells" }, &options)?;
    if is_run && let Some(graph) = plant(command, dir, length)? {
        return Ok(graph);
    }
    let (cells, next_input) = match is_run {
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
            (vec![cell::make(&model.config().cell)?; model.config().layers], true)
        }
        false => {
            let made: Result<Vec<_>, Failure> =
                command.cells.iter().map(|name| Ok(cell::make(&cell::read(&cell_of(name))?)?)).collect();
            let made = made?;
            let layers = command.layers.unwrap_or(made.len());
            if made.len() > 1 && layers != made.len() {
                return Err(Failure::usage(format!(
                    "--layers: it is {layers}, and there are {} cells, a layer each; leave it out",
                    made.len()
                )));
            }
            check_layers(layers)?;
            let copies = if made.len() > 1 { 1 } else { layers };
            (made.into_iter().flat_map(|cell| vec![cell; copies]).collect(), false)
        }
    };
    let cells: Vec<_> = cells.iter().map(|cell| cell.spec()).collect();
    let bidirectional = command.bidirectional;
    Ok(Unrolled::network(Topology { cells: &cells, bidirectional, shape, length, next_input, feed })?)
}

/// The network of a run of `plant`, if it is one: as it was taught, or as `--feed` says.
fn plant(command: &Unroll, dir: &Path, length: usize) -> Result<Option<Unrolled>, Failure> {
    let never = Stop::new(false);
    let (task, run) = tasks::open(dir, &never)?;
    if task.name != "plant" {
        return Ok(None);
    }
    only(command, "a plant's network", &["--length", "--feed"])?;
    let feed = command.feed.as_deref().unwrap_or(run.settings.text("feed")).parse()?;
    Ok(Some(Unrolled::output_fed(&cell::title(run.settings.text("cell")), feed, length)?))
}

/// A network that is no cell, from what was asked about it.
fn other(command: &Unroll) -> Result<Option<Other<'_>>, Failure> {
    let [name] = &command.cells[..] else { return Ok(None) };
    let layers = command.layers.unwrap_or(2);
    let (other, options): (_, &[&str]) = match name.as_str() {
        "narx" => {
            let feed = command.feed.as_deref().map_or(Ok(Feed::Targets), str::parse)?;
            let (lags, delay) = (command.lags.unwrap_or(2), command.delay.unwrap_or(1));
            (Other::Narx { lags, delay, feed }, &["--length", "--feed", "--lags", "--delay"])
        }
        "tdnn" => {
            let (taps, dilation) = (command.taps.unwrap_or(3), command.dilation.unwrap_or(1));
            (Other::Tdnn { layers, taps, dilation }, &["--length", "--layers", "--taps", "--dilation"])
        }
        "rmlp" => {
            let recurrent_output = command.recurrent_output;
            (Other::Rmlp { layers, recurrent_output }, &["--length", "--layers", "--recurrent-output"])
        }
        "recursive" | "tree-lstm" => {
            let cell = if name == "recursive" { TreeCell::Recursive } else { TreeCell::TreeLstm };
            (Other::Tree { cell, text: command.tree.as_deref().unwrap_or(TREE) }, &["--tree"])
        }
        _ => return Ok(None),
    };
    only(command, name, options)?;
    Ok(Some(other))
}

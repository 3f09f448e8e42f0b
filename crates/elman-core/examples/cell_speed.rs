//! Every registered cell's time for an operation beside the LSTM's, in turn, as a table.
//!
//! ```sh
//! cargo run --release -p elman-core --example cell_speed -- 100 64 256 2 7
//! ```
//!
//! Arguments: T, B, H (the input is as wide), threads, rounds. A round runs the LSTM and the cell one after the other, forward and backward; a
//! ratio is the median of the rounds' ratios of time for a multiply-add of the matrix products. With two threads and more each round begins with
//! what a cache line takes from core to core and back: where a host moves its guests' cores, it says whether they shared a cache.

mod hand_over;

use elman_core::engine::{Engine, Gradients, Input, Output, Sequence, Workspace};
use elman_core::layer::Role;
use elman_core::{Layer, Sizes, cells};
use std::time::Instant;

/// As in the program: the system's own puts a large buffer 16 bytes beside the beginning of a cache line.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A layer with all that its passes need.
struct Bench {
    layer: Layer,
    params: Vec<Vec<f32>>,
    workspace: Workspace<f32>,
    output: Output<f32>,
    gradients: Gradients<f32>,
}

impl Bench {
    fn new(cell: &str, width: usize) -> Bench {
        let entry = cells::find(cell).expect("a registered cell");
        let layer = Layer::new((entry.make)(), Sizes::new(width, width)).expect("valid sizes");
        let params = layer.parameters().iter().map(|p| values(p.len())).collect();
        let (workspace, output, gradients) = (Workspace::new(), Output::default(), Gradients::default());
        Bench { layer, params, workspace, output, gradients }
    }

    /// Multiply-adds a step and row.
    fn weights(&self) -> usize {
        self.layer.parameters().iter().filter(|p| p.role == Role::Weight).map(|p| p.len()).sum()
    }

    /// Seconds of one forward and backward pass.
    fn seconds(&mut self, engine: &Engine, (t, b): (usize, usize), x: &[f32], d_y: &[f32]) -> f64 {
        let params: Vec<&[f32]> = self.params.iter().map(Vec::as_slice).collect();
        let seq = Sequence::new(t, b, Input::Dense(x));
        let began = Instant::now();
        engine.forward(&self.layer, &params, &seq, &mut self.workspace, &mut self.output);
        let (workspace, y) = (&mut self.workspace, &self.output.y);
        engine.backward(&self.layer, &params, &seq, workspace, y, d_y, None, &mut self.gradients);
        began.elapsed().as_secs_f64()
    }
}

/// Any small numbers: the time does not depend on them.
fn values(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 997) as f32 * 1e-4 - 0.05).collect()
}

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|a| a.parse().expect("a whole number")).collect();
    let number = |i: usize, default: usize| arguments.get(i).copied().unwrap_or(default);
    let (t, b, h, threads, rounds) = (number(0, 100), number(1, 64), number(2, 256), number(3, 0), number(4, 5));
    let engine = Engine::new(threads);
    let (x, d_y) = (values(t * b * h), values(t * b * h));
    let mut lstm = Bench::new("lstm", h);
    lstm.seconds(&engine, (t, b), &x, &d_y);
    println!("T={t} B={b} I=H=P={h}, {}, {} threads, f32, {rounds} rounds\n", engine.isa(), engine.threads());
    println!("| cell | ms | of the LSTM's time for an operation | between cores, ns |\n| --- | --- | --- | --- |");
    for entry in cells::REGISTRY {
        let mut cell = Bench::new(entry.name, h);
        cell.seconds(&engine, (t, b), &x, &d_y);
        let work = cell.weights() as f64 / lstm.weights() as f64;
        let mut between = Vec::new();
        let mut pairs: Vec<(f64, f64)> = (0..rounds)
            .map(|_| {
                between.push(if engine.threads() > 1 { hand_over::nanoseconds() } else { 0.0 });
                let beside = lstm.seconds(&engine, (t, b), &x, &d_y);
                let seconds = cell.seconds(&engine, (t, b), &x, &d_y);
                (seconds / beside / work, seconds)
            })
            .collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        between.sort_by(f64::total_cmp);
        let (ratio, seconds) = pairs[rounds / 2];
        println!("| `{}` | {:.1} | {ratio:.2} | {:.0} |", entry.name, seconds * 1e3, between[rounds / 2]);
    }
}

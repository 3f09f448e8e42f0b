//! A parallel scan over time beside the engine's steps, forward and backward, in turn.
//!
//! ```sh
//! cargo run --release -p elman-core --example scan_speed -- min-gru 10000 1 64 2
//! ```
//!
//! Arguments: cell, T, B, H (the input is as wide), threads. Prints the least of seven rounds of each, and their ratio.

use elman_core::engine::{Engine, Gradients, Input, Output, Scan, Sequence, Workspace};
use elman_core::{Layer, Sizes, cells};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| arguments.get(i).map_or(default, |a| a.parse().expect("a whole number"));
    let cell = arguments.first().map_or("min-gru", String::as_str);
    let (t, b, h, threads) = (number(1, 10_000), number(2, 1), number(3, 64), number(4, 0));
    let layer =
        Layer::new((cells::find(cell).expect("a registered cell").make)(), Sizes::new(h, h)).expect("valid sizes");
    let scan = Scan::new(&layer).expect("a linear cell");
    // Any small numbers: the time does not depend on them.
    let values = |n: usize| (0..n).map(|i| ((i * 7919) % 997) as f32 * 1e-4 - 0.05).collect::<Vec<f32>>();
    let params: Vec<Vec<f32>> = layer.parameters().iter().map(|p| values(p.len())).collect();
    let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
    let (x, d_y) = (values(t * b * h), values(t * b * layer.output_width()));
    let seq = Sequence::new(t, b, Input::Dense(&x));
    let engine = Engine::new(threads);
    let (mut ws, mut out, mut gradients) = (Workspace::new(), Output::default(), Gradients::default());
    let (mut steps, mut levels) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..7 {
        let began = Instant::now();
        engine.forward(&layer, &params, &seq, &mut ws, &mut out);
        engine.backward(&layer, &params, &seq, &mut ws, &out.y, &d_y, None, &mut gradients);
        steps = began.elapsed().as_secs_f64().min(steps);
        let began = Instant::now();
        let _ = scan.backward(&engine, &params, &seq, &d_y, None);
        levels = began.elapsed().as_secs_f64().min(levels);
    }
    println!("{cell}  T={t} B={b} I=H={h}  {}  {} threads, f32, forward and backward", engine.isa(), engine.threads());
    println!("{t} steps   {:8.2} ms", steps * 1e3);
    println!("{} levels  {:8.2} ms  ({:.2} of the steps' time)", scan.levels(t), levels * 1e3, levels / steps);
}

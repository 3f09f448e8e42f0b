//! Trains on one very long sequence, with and without recomputation: time and memory of each way.
//!
//! ```sh
//! cargo run --release -p elman-core --example long_sequence -- 100000 8 128 2
//! cargo run --release -p elman-core --example long_sequence -- 10000 8 128 2 lstm off 57 20MB
//! ```
//!
//! Arguments: T, B, H (the input is as wide), threads, cell, then ways to recompute: `off`, the steps of a segment, or a
//! budget. Each way runs in a process of its own, whose peak memory is then that way's (Linux tells it). The task is to put
//! out the slow average of the first input: a few steps of gradient descent, whose first and last loss are shown. All ways
//! begin with the same bits, so the first losses are equal.

use elman_core::engine::{Engine, Gradients, Input, Output, Recompute, SegmentWorkspace, Sequence};
use elman_core::testing::Noise;
use elman_core::{Layer, Sizes, cells};
use std::process::Command;
use std::time::Instant;

/// Steps of gradient descent. The first warms up and is not timed.
const UPDATES: usize = 4;
const RATE: f32 = 0.5;
/// How much of the average a step of the sequence keeps.
const KEEP: f32 = 0.9;
/// Ends the arguments of a process for a single way.
const SINGLE: &str = "--single";

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let single = arguments.last().is_some_and(|a| a == SINGLE);
    if single {
        arguments.pop();
    }
    let number = |i: usize, default: usize| arguments.get(i).map_or(default, |a| a.parse().expect("a whole number"));
    let (t, b, h, threads) = (number(0, 100_000), number(1, 8), number(2, 128), number(3, 0));
    let cell = arguments.get(4).map_or("lstm", String::as_str);
    let mut ways: Vec<String> = arguments.iter().skip(5).cloned().collect();
    if ways.is_empty() {
        // Without; short, middling and long segments; a budget.
        let root = (t as f64).sqrt();
        let steps = [root / 2.0, root, root * 4.0].map(|s| (s.ceil() as usize).to_string());
        ways = [vec!["off".into()], steps.to_vec(), vec!["64MB".into()]].concat();
    }
    if single {
        return train(t, b, h, threads, cell, &ways[0]);
    }
    // x, y and their gradients; the parameters are small beside them.
    let arrays = 4 * t * b * h * size_of::<f32>();
    println!("{cell}  T={t} B={b} I=H={h}  {} threads, f32; x, y, d_x, d_y take {:.0} MB", threads, mega(arrays));
    println!(
        "{:>10} {:>8} {:>9} {:>10} {:>10} {:>10}  loss",
        "recompute", "segment", "s/update", "engine MB", "peak MB", "beyond MB"
    );
    for way in &ways {
        let sizes = [t, b, h, threads].map(|n| n.to_string());
        let program = std::env::current_exe().expect("this program's path");
        let status = Command::new(program).args(sizes).args([cell, way, SINGLE]).status().expect("this program again");
        assert!(status.success(), "{way}: {status}");
    }
}

fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

/// The most memory that this process has had, where the system tells it.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? * 1024)
}

fn train(t: usize, b: usize, h: usize, threads: usize, cell: &str, way: &str) {
    let recompute: Recompute = way.parse().unwrap_or_else(|error| panic!("{error}"));
    let layer =
        Layer::new((cells::find(cell).expect("a registered cell").make)(), Sizes::new(h, h)).expect("valid sizes");
    let mut noise = Noise(1);
    let bound = 1.0 / (h as f64).sqrt();
    let mut params: Vec<Vec<f32>> = layer.parameters().iter().map(|p| noise.uniform(p.len(), bound)).collect();
    let x: Vec<f32> = noise.uniform(t * b * h, 1.0);
    let width = layer.output_width();
    let mut d_y = vec![0.0f32; t * b * width];

    let engine = Engine::new(threads);
    let (mut ws, mut out, mut d) = (SegmentWorkspace::new(), Output::default(), Gradients::default());
    let seq = Sequence::new(t, b, Input::Dense(&x));
    let (mut losses, mut seconds) = (Vec::new(), f64::INFINITY);
    for update in 0..UPDATES {
        let began = Instant::now();
        let slices: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
        if let Err(error) = engine.forward_in_segments(&layer, &slices, &seq, recompute, &mut ws, &mut out) {
            println!("{way:>10} {error}");
            return;
        }
        losses.push(slow_average(&x, &out.y, &mut d_y, (t, b, h, width)));
        engine.backward_in_segments(&layer, &slices, &seq, &mut ws, &out.y, &d_y, None, &mut d);
        for (p, d) in params.iter_mut().flatten().zip(d.params.iter().flatten()) {
            *p -= RATE * d;
        }
        if update > 0 {
            seconds = seconds.min(began.elapsed().as_secs_f64());
        }
    }
    let segment = ws.segment().expect("it has run");
    let arrays = 4 * t * b * h * size_of::<f32>();
    let [peak, beyond] = match peak() {
        Some(peak) => [peak, peak.saturating_sub(arrays)].map(|bytes| format!("{:.1}", mega(bytes))),
        None => ["?".to_string(), "?".to_string()],
    };
    let held = mega(ws.bytes());
    let (first, last) = (losses[0], losses[UPDATES - 1]);
    println!("{way:>10} {segment:>8} {seconds:>9.2} {held:>10.1} {peak:>10} {beyond:>10}  {first:.6} -> {last:.6}");
}

/// The mean squared distance of each row's first output from the running average of its first input; its gradient in `d_y`.
fn slow_average(x: &[f32], y: &[f32], d_y: &mut [f32], (t, b, h, width): (usize, usize, usize, usize)) -> f64 {
    let mut average = vec![0.0f32; b];
    let mut sum = 0.0;
    for n in 0..t * b {
        let average = &mut average[n % b];
        *average = KEEP * *average + (1.0 - KEEP) * x[n * h];
        let difference = y[n * width] - *average;
        sum += f64::from(difference * difference);
        d_y[n * width] = 2.0 * difference / (t * b) as f32;
    }
    sum / (t * b) as f64
}

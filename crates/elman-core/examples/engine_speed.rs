//! Times the bare engine: forward and backward over a batch, and one streaming step of one row, with weights in each format.
//!
//! ```sh
//! cargo run --release -p elman-core --example engine_speed -- lstm 100 64 256 2
//! cargo run --release -p elman-core --example engine_speed -- lstm 400 32 100 1 last
//! cargo run --release -p elman-core --example engine_speed -- lstm 100 64 256 2 bf16
//! ```
//!
//! Arguments: cell, T, B, H (the input is as wide), threads, and `last` where only the last step has a loss or `bf16` for products in mixed precision.
//! Prints medians, the least times, and the rate of the matrix products in the median.

use elman_core::engine::{
    Bf16Kernel, Engine, Gradients, Input, Output, Sequence, StepInput, Stepper, WeightFormat, Workspace,
};
use elman_core::layer::Role;
use elman_core::{Layer, Sizes, cells};
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: usize = 15;
const STEPS: usize = 5000;

/// The median seconds of a call, and the least.
fn seconds(mut call: impl FnMut()) -> (f64, f64) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            call();
            began.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[ROUNDS / 2], times[0])
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| arguments.get(i).map_or(default, |a| a.parse().expect("a whole number"));
    let cell = arguments.first().map_or("lstm", String::as_str);
    let (t, b, h, threads) = (number(1, 100), number(2, 64), number(3, 256), number(4, 0));
    let entry = cells::find(cell).expect("a registered cell");
    let layer = Layer::new((entry.make)(), Sizes::new(h, h)).expect("valid sizes");

    // Any small numbers: the time does not depend on them.
    let values = |n: usize| (0..n).map(|i| ((i * 7919) % 997) as f32 * 1e-4 - 0.05).collect::<Vec<f32>>();
    let params: Vec<Vec<f32>> = layer.parameters().iter().map(|p| values(p.len())).collect();
    let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
    let (x, mut d_y) = (values(t * b * h), values(t * b * layer.output_width()));
    let mut engine = Engine::new(threads);
    match arguments.get(5).map(String::as_str) {
        None => {}
        Some("last") => d_y[..(t - 1) * b * layer.output_width()].fill(0.0),
        Some("bf16") => engine = engine.with_bf16(Bf16Kernel::detect().expect("a processor with products of bf16")),
        Some(other) => panic!("the sixth argument is `{other}`; it is `last`, `bf16` or not there"),
    }
    let seq = Sequence::new(t, b, Input::Dense(&x));

    let engine = Arc::new(engine);
    let (mut ws, mut out, mut gradients) = (Workspace::new(), Output::default(), Gradients::default());
    engine.forward(&layer, &params, &seq, &mut ws, &mut out);
    engine.backward(&layer, &params, &seq, &mut ws, &out.y, &d_y, None, &mut gradients);
    let forward = seconds(|| engine.forward(&layer, &params, &seq, &mut ws, &mut out));
    let both = seconds(|| {
        engine.forward(&layer, &params, &seq, &mut ws, &mut out);
        engine.backward(&layer, &params, &seq, &mut ws, &out.y, &d_y, None, &mut gradients);
    });
    let weights: usize = layer.parameters().iter().filter(|p| p.role == Role::Weight).map(|p| p.len()).sum();
    let rate = |seconds: f64, products: usize| (2 * products * weights * t * b) as f64 / seconds / 1e9;

    let products = engine.bf16().map_or("f32".into(), |kernel| format!("bf16 by {kernel}"));
    println!("{cell}  T={t} B={b} I=H={h}  {}  {} threads, {products}", engine.isa(), engine.threads());
    for (what, (median, least), products) in [("forward", forward, 1), ("forward and backward", both, 3)] {
        let (median_ms, least_ms) = (median * 1e3, least * 1e3);
        println!("{what:<20} {median_ms:8.2} ms  least {least_ms:8.2} ms  {:6.1} GF/s", rate(median, products));
    }
    let us = |seconds: f64| seconds / STEPS as f64 * 1e6;
    for format in [WeightFormat::Full, WeightFormat::Bf16, WeightFormat::Int8] {
        let mut stepper = Stepper::with_weights(&engine, &layer, &params, 1, None, format);
        let (median, least) = seconds(|| {
            for i in 0..STEPS {
                stepper.step(StepInput::Dense(&x[i % (t * b) * h..][..h]));
            }
        });
        let what = format!("one step, {format}");
        println!("{what:<20} {:8.2} us  least {:8.2} us", us(median), us(least));
    }
}

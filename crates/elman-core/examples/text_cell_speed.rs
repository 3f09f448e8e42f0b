//! Times a registered cell and the same cell from its description, in turn: forward and backward over a batch, and one
//! streaming step.
//!
//! ```sh
//! cargo run --release -p elman-core --example text_cell_speed -- lstm 100 64 256 1
//! ```
//!
//! Arguments: cell, T, B, H (the input is as wide), threads. Prints the least and the median time of each, and the ratio of both.

use elman_core::describe::{self, Notation};
use elman_core::engine::{Engine, Gradients, Input, Output, Sequence, StepInput, Stepper, Workspace};
use elman_core::text_cell;
use elman_core::{Layer, Sizes, cells};
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: usize = 15;
const STEPS: usize = 2000;

/// Calls in turn; for each, the least and the median seconds.
fn in_turn(calls: &mut [Box<dyn FnMut() + '_>]) -> Vec<(f64, f64)> {
    let mut times = vec![Vec::new(); calls.len()];
    for round in 0..=ROUNDS {
        for (call, times) in calls.iter_mut().zip(&mut times) {
            let began = Instant::now();
            call();
            // The first round makes room in memory.
            if round > 0 {
                times.push(began.elapsed().as_secs_f64());
            }
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    times.iter().map(|times| (times[0], times[ROUNDS / 2])).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| arguments.get(i).map_or(default, |a| a.parse().expect("a whole number"));
    let name = arguments.first().map_or("lstm", String::as_str);
    let (t, b, h, threads) = (number(1, 100), number(2, 64), number(3, 256), number(4, 0));
    let built_in = Layer::new((cells::find(name).expect("a registered cell").make)(), Sizes::new(h, h)).expect("sizes");
    let text = describe::text(&built_in, Notation::Elman).expect("our notation has every cell");
    let from_text =
        Layer::new(text_cell::parse(&text).expect("a description is a cell"), Sizes::new(h, h)).expect("sizes");

    // Any small numbers: the time does not depend on them.
    let values = |n: usize| (0..n).map(|i| ((i * 7919) % 997) as f32 * 1e-4 - 0.05).collect::<Vec<f32>>();
    let params: Vec<Vec<f32>> = built_in.parameters().iter().map(|p| values(p.len())).collect();
    let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
    let (x, d_y) = (values(t * b * h), values(t * b * built_in.output_width()));
    let seq = Sequence::new(t, b, Input::Dense(&x));
    let engine = Arc::new(Engine::new(threads));
    println!("{name}  T={t} B={b} I=H={h}  {}  {} threads, f32: compiled, text", engine.isa(), engine.threads());

    let layers = [&built_in, &from_text];
    let (params, seq, engine) = (&params, &seq, &engine);
    let mut forward: Vec<Box<dyn FnMut()>> = Vec::new();
    let mut both: Vec<Box<dyn FnMut()>> = Vec::new();
    let mut steps: Vec<Box<dyn FnMut()>> = Vec::new();
    for layer in layers {
        let (mut ws, mut out) = (Workspace::new(), Output::default());
        forward.push(Box::new(move || engine.forward(layer, params, seq, &mut ws, &mut out)));
        let (mut ws, mut out, mut gradients, d_y) = (Workspace::new(), Output::default(), Gradients::default(), &d_y);
        both.push(Box::new(move || {
            engine.forward(layer, params, seq, &mut ws, &mut out);
            engine.backward(layer, params, seq, &mut ws, &out.y, d_y, None, &mut gradients);
        }));
        let (mut stepper, x) = (Stepper::new(engine, layer, params, 1, None), &x);
        steps.push(Box::new(move || {
            for i in 0..STEPS {
                stepper.step(StepInput::Dense(&x[i % (t * b) * h..][..h]));
            }
        }));
    }
    for (what, calls, scale, unit) in [
        ("forward", &mut forward, 1e3, "ms"),
        ("forward and backward", &mut both, 1e3, "ms"),
        ("one step, batch 1", &mut steps, 1e6 / STEPS as f64, "us"),
    ] {
        let times = in_turn(calls);
        let [(a, am), (c, cm)] = [times[0], times[1]].map(|(least, median)| (least * scale, median * scale));
        println!(
            "{what:20}  least {a:8.2} {c:8.2} {unit}, ratio {:.3};  median {am:8.2} {cm:8.2} {unit}, ratio {:.3}",
            c / a,
            cm / am
        );
    }
}

//! How far the affordable gradients are from the exact one: bias of SnAp-1 and of the truncated rule, spread of UORO, for docs/online.md.
//!
//! Layers of 32 units before training, U(±1/√H), read numbers drawn from U(-1, 1); the loss at a step is a drawn vector times the output. After
//! 100 steps the gradients of the next 100 are summed, as for one update, and compared with those of exact RTRL.
//!
//! `cargo run --release -p elman --example online_bias`

use elman::online::{Flow, Influence, Input, LinearStep, Rtrl, Sparse, Uoro};
use elman::{Sizes, cells};
use elman_core::Layer;
use elman_core::testing::Noise;

const HIDDEN: usize = 32;
const BEFORE: usize = 100;
const SUMMED: usize = 100;
const SEQUENCES: u64 = 5;
const SEEDS: u64 = 200;

/// The summed gradient of one sequence.
fn gradient(step: &mut LinearStep<f64>, influence: &mut dyn Influence<f64>, parameters: &[f64], seed: u64) -> Vec<f64> {
    let mut noise = Noise(seed);
    let (input, span) = (step.layer().sizes().input, step.output_span());
    let mut total = vec![0.0; parameters.len()];
    let mut one = total.clone();
    for t in 0..BEFORE + SUMMED {
        let x: Vec<f64> = noise.uniform(input, 1.0);
        step.run(parameters, Input::Dense(&x), &[]).expect("numbers of a usual size");
        influence.advance(step);
        let mut d = vec![0.0; step.state_width()];
        d[span.clone()].copy_from_slice(&noise.uniform::<f64>(span.len(), 1.0));
        if t >= BEFORE {
            one.fill(0.0);
            influence.gradient(&d, &mut one);
            total.iter_mut().zip(&one).for_each(|(total, one)| *total += one);
        }
    }
    total
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Cosine, and length of the difference beside the exact one's.
fn compare(got: &[f64], exact: &[f64]) -> (f64, f64) {
    let difference: Vec<f64> = got.iter().zip(exact).map(|(g, e)| g - e).collect();
    let norm = |v: &[f64]| dot(v, v).sqrt();
    (dot(got, exact) / (norm(got) * norm(exact)), norm(&difference) / norm(exact))
}

fn main() {
    println!("| cell | method | cosine with the exact gradient | ‖error‖ / ‖exact‖ |");
    println!("| --- | --- | --- | --- |");
    for name in ["elman", "gru-reset-after", "lstm", "indrnn"] {
        let cell = (cells::find(name).expect("a registered cell").make)();
        let layer = Layer::new(cell, Sizes::new(4, HIDDEN)).expect("sizes above 0");
        let scale = 1.0 / (HIDDEN as f64).sqrt();
        let parameters: Vec<f64> = Noise(9).uniform(layer.parameter_count(), scale);
        let full = || LinearStep::with(&layer, 0, Flow::Full);
        let (mut snap, mut truncated, mut spread, mut mean) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for sequence in 1..=SEQUENCES {
            let mut step = full();
            let mut rtrl = Rtrl::new(&step);
            let exact = gradient(&mut step, &mut rtrl, &parameters, sequence);
            let mut step = full();
            let mut sparse = Sparse::new(&step);
            snap.push(compare(&gradient(&mut step, &mut sparse, &parameters, sequence), &exact));
            if let Ok((mut step, mut sparse)) = Sparse::truncated(&layer, 0) {
                truncated.push(compare(&gradient(&mut step, &mut sparse, &parameters, sequence), &exact));
            }
            let mut sum = vec![0.0; exact.len()];
            for seed in 0..SEEDS {
                let mut step = full();
                let mut uoro = Uoro::new(&step, seed);
                let got = gradient(&mut step, &mut uoro, &parameters, sequence);
                spread.push(compare(&got, &exact));
                sum.iter_mut().zip(&got).for_each(|(sum, got)| *sum += got / SEEDS as f64);
            }
            mean.push(compare(&sum, &exact));
        }
        let show = |method: &str, list: &[(f64, f64)]| {
            let average = |of: fn(&(f64, f64)) -> f64| list.iter().map(of).sum::<f64>() / list.len() as f64;
            if !list.is_empty() {
                println!("| `{name}` | {method} | {:.3} | {:.3} |", average(|c| c.0), average(|c| c.1));
            }
        };
        show("SnAp-1", &snap);
        show("truncated", &truncated);
        show("UORO, one draw", &spread);
        show(&format!("UORO, mean of {SEEDS} draws"), &mean);
    }
}

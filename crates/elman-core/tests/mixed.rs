//! Products in mixed precision: every registered cell against the reference in f64, and what mixed precision leaves alone.

use elman_core::algebra::lanes::Isa;
use elman_core::cell::Normaliser;
use elman_core::engine::{Bf16Kernel, Engine, Output, StepInput, Stepper, Workspace};
use elman_core::testing::{Fused, Noise, Problem, Reference, has_kink, magnifies, movement, problems, results};
use elman_core::{Layer, Sizes, cells};
use std::sync::Arc;

fn numbers(v: &[f32]) -> Vec<f64> {
    v.iter().map(|&x| f64::from(x)).collect()
}

fn lists(v: &[Vec<f32>]) -> Vec<Vec<f64>> {
    v.iter().map(|v| numbers(v)).collect()
}

/// The same numbers in f64.
fn wide(p: &Problem<f32>) -> Problem<f64> {
    Problem {
        layer: p.layer.clone(),
        steps: p.steps,
        batch: p.batch,
        params: lists(&p.params),
        input: numbers(&p.input),
        ids: p.ids.clone(),
        lengths: p.lengths.clone(),
        reverse: p.reverse,
        state: p.state.as_deref().map(lists),
        masks: p.masks.iter().map(|(stage, source, values)| (*stage, *source, numbers(values))).collect(),
        feeds: lists(&p.feeds),
        d_y: numbers(&p.d_y),
        d_state: p.d_state.as_deref().map(lists),
    }
}

/// Largest difference, relative to the tensor's largest value.
fn distance(got: &[f32], want: &[f64]) -> f64 {
    let largest = want.iter().fold(0.1, |m: f64, w| m.max(w.abs()));
    // `f64::max` passes over NaN.
    assert!(got.iter().all(|g| g.is_finite()));
    got.iter().zip(want).fold(0.0, |m: f64, (&g, w)| m.max((f64::from(g) - w).abs())) / largest
}

/// Outputs and gradients in mixed precision, with the reference's in f64.
type Pairs = Vec<(String, Vec<f32>, Vec<f64>)>;

fn both(p: &Problem<f32>, runner: &mut Fused<f32>) -> Pairs {
    let want = results(&mut Reference, &wide(p));
    results(runner, p).into_iter().zip(want).map(|((name, got), (_, want))| (name, got, want)).collect()
}

/// The kernels, on each instruction set that they fit.
fn kernels() -> impl Iterator<Item = (Isa, Bf16Kernel)> {
    let fits = |isa, kernel: Bf16Kernel| kernel.fits(isa);
    Isa::available().into_iter().flat_map(move |isa| {
        Bf16Kernel::available().into_iter().filter(move |&kernel| fits(isa, kernel)).map(move |kernel| (isa, kernel))
    })
}

/// Steps of so many rows that sources are converted once for a chunk of steps, and of few where most sequences have ended.
fn many_rows(layer: &Layer) -> (&'static str, Problem<f32>) {
    let lengths: Vec<usize> = (0..20).map(|row| 1 + row % 7).collect();
    ("many rows", Problem::new(layer, 7, 20, 3).lengths(&lengths).states())
}

/// Rounding moves an operand by at most 2^-8 of itself, two operands of each product, once forward and once backward. What
/// later steps add is damped on its way, and over the terms of a sum the signs differ. The worst here is 2.6 of these four.
const TOLERANCE: f64 = 4.0 / 256.0;
/// More rows make sums longer, not their terms larger: the error of a sum grows as the root of its length, and so does what it is set against, its
/// largest value; but the largest of more elements lies farther out.
const MANY: f64 = 1.5 * TOLERANCE;
/// Less than this is no rounding to 8 bits: the smallest of the largest differences is 1e-3.
const ROUNDED: f64 = 1e-4;

/// Whether sums are divided by their spread across the units: a rounding relative to the terms is then larger relative to what comes out.
fn normalises(layer: &Layer) -> bool {
    layer.stages().iter().flat_map(|stage| &stage.normalisers).any(|n| !matches!(n, Normaliser::None))
}

#[test]
fn every_cell_is_near_the_reference() {
    for (input, hidden, output) in [(3, 17, 5), (31, 31, 33), (65, 70, 40)] {
        for entry in cells::REGISTRY {
            let layer = Layer::new((entry.make)(), Sizes { input, hidden, output }).unwrap();
            for (case, p) in problems::<f32>(&layer).into_iter().chain([many_rows(&layer)]) {
                for (isa, kernel) in kernels() {
                    let mut largest = 0.0f64;
                    let tolerance = if case == "many rows" { MANY } else { TOLERANCE };
                    for (k, (name, got, want)) in both(&p, &mut Fused::in_bf16(isa, 2, kernel)).into_iter().enumerate()
                    {
                        // Where a sum lies within its rounding of the kink the gradient is another one altogether; see below.
                        if has_kink(&*(entry.make)()) && name.starts_with('d') {
                            continue;
                        }
                        let distance = distance(&got, &want);
                        // Such layers move by more already when their parameters are rounded.
                        let reached = || {
                            let largest = want.iter().fold(0.1, |m: f64, w| m.max(w.abs()));
                            distance <= 4.0 * movement(&wide(&p), 1.0 / 256.0)[k] / largest
                        };
                        assert!(
                            distance <= tolerance || (magnifies(&layer) || normalises(&layer)) && reached(),
                            "{}, H = {hidden}, {isa}, {kernel}, {case}, {name}: {distance}",
                            entry.name
                        );
                        largest = largest.max(distance);
                    }
                    assert!(
                        largest > ROUNDED,
                        "{}, {isa}, {kernel}, {case}: nothing was rounded ({largest})",
                        entry.name
                    );
                }
            }
        }
    }
}

/// Chunk after chunk of steps whose sources are converted once, and steps where too few rows are left for it: near the reference, and the same bits
/// for one thread and two.
#[test]
fn chunks_of_many_rows() {
    let (steps, batch) = (60, 20);
    let lengths: Vec<usize> = (0..batch).map(|row| if row < 17 { steps } else { 9 + row }).collect();
    let few: Vec<usize> = (0..batch).map(|row| if row < 8 { steps } else { 2 * row }).collect();
    for cell in ["elman", "lstm", "gru"] {
        let layer = Layer::new((cells::find(cell).unwrap().make)(), Sizes::new(31, 40)).unwrap();
        let new = |seed| Problem::<f32>::new(&layer, steps, batch, seed).states();
        for (case, p) in [
            ("plain", new(1)),
            ("lengths", new(2).lengths(&lengths)),
            ("few rows at the end, reverse", new(3).lengths(&few).reversed()),
            ("masks", new(4).masked()),
            ("tokens, masks", new(5).tokens(7).masked()),
            ("many tokens", new(6).tokens(5000).lengths(&few)),
        ] {
            for (isa, kernel) in kernels() {
                let mut two = results(&mut Fused::in_bf16(isa, 2, kernel), &p).into_iter();
                for (name, got, want) in both(&p, &mut Fused::in_bf16(isa, 1, kernel)) {
                    assert_eq!(two.next().unwrap().1, got, "{cell}, {isa}, {kernel}, {case}, {name}: two threads");
                    let distance = distance(&got, &want);
                    assert!(distance <= MANY, "{cell}, {isa}, {kernel}, {case}, {name}: {distance}");
                }
            }
        }
    }
}

/// Where every operand is a small whole number nothing is rounded: a sparse piecewise linear layer, to the bit.
#[test]
fn whole_numbers_stay_exact() {
    for (input, hidden) in [(3, 17), (31, 33), (65, 130)] {
        let layer = Layer::new((cells::find("elman-relu").unwrap().make)(), Sizes::new(input, hidden)).unwrap();
        for (case, mut p) in problems::<f32>(&layer).into_iter().chain([many_rows(&layer)]) {
            let mut noise = Noise(5);
            let mut draw = |list: &mut [f32], one_in: u64| {
                list.iter_mut().for_each(|x| {
                    *x = [1.0, -1.0][noise.bits() as usize % 2] * f32::from(noise.bits().is_multiple_of(one_in))
                });
            };
            for (list, parameter) in p.params.iter_mut().zip(layer.parameters()) {
                draw(list, parameter.cols as u64);
            }
            [&mut p.input, &mut p.d_y].into_iter().for_each(|list| draw(list, 2));
            p.state.iter_mut().chain(&mut p.d_state).flatten().for_each(|list| draw(list, 2));
            p.masks.iter_mut().for_each(|mask| draw(&mut mask.2, 2));
            for (isa, kernel) in kernels() {
                for (name, got, want) in both(&p, &mut Fused::in_bf16(isa, 1, kernel)) {
                    assert!(want.iter().all(|w| w.abs() <= 256.0), "{case}, {name}: too large for the test");
                    assert_eq!(distance(&got, &want), 0.0, "H = {hidden}, {isa}, {kernel}, {case}, {name}");
                }
            }
        }
    }
}

/// The last steps have no rows.
#[test]
fn sequences_that_all_end_before_the_last_step() {
    let layer = Layer::new((cells::find("lstm").unwrap().make)(), Sizes::new(65, 70)).unwrap();
    for lengths in [[2, 0, 1, 2], [0, 0, 0, 0]] {
        let p = Problem::<f32>::new(&layer, 5, 4, 1).lengths(&lengths);
        for (isa, kernel) in kernels() {
            for (name, got, want) in both(&p, &mut Fused::in_bf16(isa, 2, kernel)) {
                assert!(distance(&got, &want) <= TOLERANCE, "{lengths:?}, {isa}, {kernel}, {name}");
            }
        }
    }
}

/// A pass in f64, and streaming, on an engine of mixed precision.
#[test]
fn f64_and_streaming_stay_exact() {
    let layer = Layer::new((cells::find("lstm").unwrap().make)(), Sizes::new(5, 33)).unwrap();
    for (isa, kernel) in kernels() {
        let (mut mixed, mut exact) = (Fused::in_bf16(isa, 2, kernel), Fused::new(isa, 2));
        let p = Problem::<f64>::new(&layer, 4, 3, 1);
        assert_eq!(p.forward(&mut mixed), p.forward(&mut exact), "{isa}, {kernel}");
        assert_eq!(p.backward(&mut mixed), p.backward(&mut exact), "{isa}, {kernel}");

        let p = Problem::<f32>::new(&layer, 4, 3, 1);
        let engine = Arc::new(Engine::with(isa, 1).with_bf16(kernel));
        assert_eq!(engine.bf16(), Some(kernel));
        let mut stepper = Stepper::new(&engine, &layer, &p.params(), 3, None);
        let y: Vec<f32> = p.input.chunks(15).flat_map(|x| stepper.step(StepInput::Dense(x)).to_vec()).collect();
        assert_eq!(y, p.forward(&mut Fused::new(isa, 1)).y, "{isa}, {kernel}");
    }
}

/// A workspace goes from one precision to the other.
#[test]
fn a_workspace_serves_both_precisions() {
    let layer = Layer::new((cells::find("gru").unwrap().make)(), Sizes::new(5, 33)).unwrap();
    let p = Problem::<f32>::new(&layer, 4, 3, 1);
    let isa = Isa::detect();
    let (exact, mixed) = (Engine::with(isa, 1), Engine::with(isa, 1).with_bf16(Bf16Kernel::Plain));
    let (mut workspace, mut y) = (Workspace::new(), Vec::new());
    for engine in [&exact, &mixed, &exact, &mixed] {
        let mut out = Output::default();
        engine.forward(&layer, &p.params(), &p.sequence(), &mut workspace, &mut out);
        y.push(out.y);
    }
    assert_eq!((&y[0], &y[1]), (&y[2], &y[3]));
    assert_ne!(y[0], y[1]);
}

#[test]
#[should_panic(expected = "needs the instruction set")]
fn a_kernel_of_instructions_needs_their_registers() {
    // On a processor without such a kernel there is none to refuse, and the message is that there is none.
    let Ok(kernel) = Bf16Kernel::detect() else {
        panic!("{} needs the instruction set", Bf16Kernel::detect().unwrap_err())
    };
    drop(Engine::with(Isa::Plain, 1).with_bf16(kernel));
}

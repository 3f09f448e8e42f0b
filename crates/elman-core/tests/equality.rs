//! The same answer every way: step by step, in chunks, padded, alone, with any number of threads, on any instruction set.
//!
//! Where the order of sums is the same the comparison is to the bit. That is everywhere but across instruction sets and
//! for the parameter gradients of a batch, which sum over rows.

use elman_core::algebra::Element;
use elman_core::algebra::lanes::Isa;
use elman_core::engine::{Bf16Kernel, Engine, Input, Output, StepInput, Stepper, reference};
use elman_core::testing::{self, ENGINES_F32, ENGINES_F64, Fused, Problem, Reference, Runner, problems, runners, same};
use elman_core::{Layer, Sizes, cells};
use std::sync::Arc;

/// Input, hidden and output width: odd ones, and whole registers over more than a panel, of which outputs that no product reads are nowhere but
/// in the caller's array.
const WIDTHS: [(usize, usize, usize); 2] = [(3, 17, 5), (3, 80, 48)];

/// Every registered cell at these sizes.
fn layers(input: usize, hidden: usize, output: usize) -> impl Iterator<Item = (&'static str, Layer)> {
    let sizes = Sizes { input, hidden, output };
    cells::REGISTRY.iter().map(move |e| (e.name, Layer::new((e.make)(), sizes).unwrap()))
}

/// The reference, and the fused engine on every instruction set.
fn each_set<F: Element>() -> Vec<Box<dyn Runner<F>>> {
    let mut list: Vec<Box<dyn Runner<F>>> = vec![Box::new(Reference)];
    for isa in Isa::available() {
        list.push(Box::new(Fused::new(isa, 1)));
        // Products in mixed precision keep an order of their own.
        for kernel in kernels(isa) {
            list.push(Box::new(Fused::in_bf16(isa, 1, kernel)));
        }
    }
    list
}

/// The kernels of mixed precision that run on an instruction set.
fn kernels(isa: Isa) -> Vec<Bf16Kernel> {
    let mut list = Bf16Kernel::available();
    list.retain(|&kernel| kernel.fits(isa));
    list
}

/// Equal to the bit (but -0 equals 0), NaN never.
#[track_caller]
fn same_bits<F: Element>(what: &str, got: &[F], want: &[F]) {
    if let Err(failure) = same(what, got, want, 0.0) {
        panic!("{failure}");
    }
}

/// The steps `from..to` of a problem, without its states.
fn part<F: Element>(p: &Problem<F>, from: usize, to: usize) -> Problem<F> {
    let rows = |v: &[F], width: usize| v[from * p.batch * width..to * p.batch * width].to_vec();
    let mut q = p.clone();
    q.steps = to - from;
    match &p.ids {
        Some(ids) => q.ids = Some(ids[from * p.batch..to * p.batch].to_vec()),
        None => q.input = rows(&p.input, p.layer.sizes().input),
    }
    q.d_y = rows(&p.d_y, p.layer.output_width());
    q
}

/// Row `b` of a problem alone, its padding cut off.
fn alone<F: Element>(p: &Problem<F>, b: usize) -> Problem<F> {
    let len = p.lengths.as_ref().map_or(p.steps, |l| l[b]);
    let rows = |v: &[F], width: usize| -> Vec<F> {
        (0..len).flat_map(|t| v[(t * p.batch + b) * width..][..width].to_vec()).collect()
    };
    let row = |v: &[F], width: usize| v[b * width..][..width].to_vec();
    let widths = p.layer.state_widths();
    let state = |s: &Vec<Vec<F>>| s.iter().zip(&widths).map(|(s, &w)| row(s, w)).collect();
    let mut q = p.clone();
    (q.steps, q.batch, q.lengths) = (len, 1, None);
    match &p.ids {
        Some(ids) => q.ids = Some((0..len).map(|t| ids[t * p.batch + b]).collect()),
        None => q.input = rows(&p.input, p.layer.sizes().input),
    }
    q.d_y = rows(&p.d_y, p.layer.output_width());
    (q.state, q.d_state) = (p.state.as_ref().map(state), p.d_state.as_ref().map(state));
    for mask in &mut q.masks {
        mask.2 = row(&mask.2, p.layer.width_of(mask.1));
    }
    q
}

fn chunks<F: Element>((input, hidden, output): (usize, usize, usize)) {
    for (name, layer) in layers(input, hidden, output) {
        for mut runner in each_set::<F>() {
            let what = format!("{name}, {}", runner.name());
            for p in [Problem::new(&layer, 9, 3, 1).states(), Problem::new(&layer, 9, 3, 2).states().masked().tokens(4)]
            {
                let whole = p.forward(&mut *runner);
                let d_whole = p.backward(&mut *runner);
                let bounds = [0, 1, 5, 9];
                let (mut y, mut states) = (Vec::new(), vec![p.state.clone()]);
                for w in bounds.windows(2) {
                    let mut q = part(&p, w[0], w[1]);
                    q.state = states.last().unwrap().clone();
                    let out = q.forward(&mut *runner);
                    y.extend(out.y);
                    states.push(Some(out.state));
                }
                same_bits(&format!("{what}: y in chunks"), &y, &whole.y);
                for (got, want) in states.last().unwrap().iter().flatten().zip(&whole.state) {
                    same_bits(&format!("{what}: state in chunks"), got, want);
                }
                // Backward, from the last chunk to the first: the state's gradient is carried the other way.
                let mut d_state = p.d_state.clone();
                for (w, state) in bounds.windows(2).zip(&states).rev() {
                    let mut q = part(&p, w[0], w[1]);
                    (q.state, q.d_state) = (state.clone(), d_state);
                    d_state = Some(q.backward(&mut *runner).state);
                }
                for (got, want) in d_state.iter().flatten().zip(&d_whole.state) {
                    same_bits(&format!("{what}: d initial state in chunks"), got, want);
                }
            }
        }
    }
}

#[test]
fn chunks_with_the_state_carried_are_the_whole() {
    for widths in WIDTHS {
        chunks::<f32>(widths);
        chunks::<f64>(widths);
    }
}

fn rows<F: Element>(tolerance: f64) {
    for (name, layer) in layers(3, 17, 5) {
        for mut runner in each_set::<F>() {
            for (case, p) in [
                ("dense", Problem::new(&layer, 6, 4, 1).states().lengths(&[4, 6, 1, 3])),
                ("reverse", Problem::new(&layer, 6, 4, 2).states().lengths(&[4, 6, 1, 3]).reversed()),
                ("masks", Problem::new(&layer, 6, 4, 3).states().lengths(&[4, 6, 1, 3]).reversed().masked()),
                ("tokens", Problem::new(&layer, 6, 4, 4).states().lengths(&[4, 6, 1, 3]).tokens(5)),
            ] {
                let what = format!("{name}, {}, {case}", runner.name());
                let (batch, d_batch) = (p.forward(&mut *runner), p.backward(&mut *runner));
                let mut d_params: Vec<Vec<F>> =
                    d_batch.params.iter().map(|d| vec![F::constant(0.0); d.len()]).collect();
                for b in 0..p.batch {
                    let q = alone(&p, b);
                    let (out, d) = (q.forward(&mut *runner), q.backward(&mut *runner));
                    let row = |v: &[F], width: usize| v[b * width..][..width].to_vec();
                    let w = layer.output_width();
                    for t in 0..p.steps {
                        let y = &batch.y[(t * p.batch + b) * w..][..w];
                        if t < q.steps {
                            same_bits(&format!("{what}: y of row {b}"), &out.y[t * w..][..w], y);
                        } else {
                            assert!(y.iter().all(|y| y.to_f64() == 0.0), "{what}: y beyond the length of row {b}");
                        }
                    }
                    for (s, &w) in layer.state_widths().iter().enumerate() {
                        same_bits(&format!("{what}: state of row {b}"), &out.state[s], &row(&batch.state[s], w));
                        same_bits(&format!("{what}: d state of row {b}"), &d.state[s], &row(&d_batch.state[s], w));
                    }
                    for (sum, d) in d_params.iter_mut().zip(&d.params) {
                        sum.iter_mut().zip(d).for_each(|(s, &d)| *s = *s + d);
                    }
                }
                // Gate gradients are summed by token before a product: in mixed precision another number is rounded then, by
                // at most 2^-8 of itself, as are the rows' own.
                let tolerance = match case == "tokens" && runner.name().contains("bf16") {
                    true => 2.0 / 256.0,
                    false => tolerance,
                };
                for (spec, (sum, want)) in layer.parameters().iter().zip(d_params.iter().zip(&d_batch.params)) {
                    if let Err(failure) =
                        same(&format!("{what}: d {} summed over rows", spec.name), sum, want, tolerance)
                    {
                        panic!("{failure}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_of_a_padded_batch_is_the_row_alone() {
    rows::<f32>(ENGINES_F32);
    rows::<f64>(ENGINES_F64);
}

/// What stands in the padding, NaN included, reaches nothing.
#[test]
fn padding_does_not_leak() {
    for (name, layer) in layers(3, 5, 4) {
        for mut runner in runners::<f64>() {
            for reverse in [false, true] {
                for masked in [false, true] {
                    let lengths = [2, 0, 5, 3];
                    let mut p = Problem::new(&layer, 5, 4, 1).states().lengths(&lengths);
                    p.reverse = reverse;
                    if masked {
                        p = p.masked();
                    }
                    let (out, d) = (p.forward(&mut *runner), p.backward(&mut *runner));
                    for n in 0..p.steps * p.batch {
                        if n / p.batch >= lengths[n % p.batch] {
                            p.input[n * 3..][..3].fill(f64::NAN);
                            let w = layer.output_width();
                            p.d_y[n * w..][..w].fill(f64::NAN);
                            assert!(d.input[n * 3..][..3].iter().all(|&d| d == 0.0), "{name}: d input in the padding");
                        }
                    }
                    let what = format!("{name}, {}", runner.name());
                    assert_eq!(p.forward(&mut *runner), out, "{what}: padding leaks forward");
                    assert_eq!(p.backward(&mut *runner), d, "{what}: padding leaks backward");
                }
            }
        }
    }
}

/// A batch in which no row has a step: the state passes through.
#[test]
fn empty_sequences() {
    for (name, layer) in layers(3, 5, 4) {
        for mut runner in runners::<f64>() {
            for p in [Problem::new(&layer, 2, 3, 1), Problem::new(&layer, 2, 3, 1).tokens(4).masked()] {
                let p = p.states().lengths(&[0, 0, 0]);
                let (out, d) = (p.forward(&mut *runner), p.backward(&mut *runner));
                let what = format!("{name}, {}", runner.name());
                assert_eq!(Some(out.state), p.state, "{what}");
                assert_eq!(Some(d.state.clone()), p.d_state, "{what}");
                let rest = d.params.iter().chain(&d.masks).chain([&d.input]).chain([&out.y]);
                assert!(rest.flatten().all(|&v| v == 0.0), "{what}: something comes from no step");
            }
        }
    }
}

/// Steps with a stepper (the fused engine's way), then with the reference's `step`.
fn steps<F: Element>((input, hidden, output): (usize, usize, usize), steps: usize, batch: usize) {
    for (name, layer) in layers(input, hidden, output) {
        for tokens in [false, true] {
            let mut p = Problem::<F>::new(&layer, steps, batch, 1).states();
            if tokens {
                p = p.tokens(4);
            }
            let params = p.params();
            let (i, w) = (layer.sizes().input, layer.output_width());
            let dense = |t: usize| &p.input[t * batch * i..][..batch * i];
            let ids = |t: usize| &p.ids.as_ref().unwrap()[t * batch..][..batch];
            let check = |what: &str, whole: &Output<F>, y: &[F], state: &[Vec<F>]| {
                same_bits(&format!("{name}, {what}: y step by step"), y, &whole.y);
                for (got, want) in state.iter().zip(&whole.state) {
                    same_bits(&format!("{name}, {what}: state step by step"), got, want);
                }
            };

            for isa in Isa::available() {
                for threads in [1, 2] {
                    let engine = Arc::new(Engine::with(isa, threads));
                    let table = tokens.then_some(p.input.as_slice());
                    let mut stepper = Stepper::new(&engine, &layer, &params, batch, table);
                    let initial: Vec<&[F]> = p.state.iter().flatten().map(Vec::as_slice).collect();
                    let run = |stepper: &mut Stepper<F>| -> Vec<F> {
                        let input = |t| if tokens { StepInput::Tokens(ids(t)) } else { StepInput::Dense(dense(t)) };
                        (0..steps).flat_map(|t| stepper.step(input(t)).to_vec()).collect()
                    };
                    stepper.set_state(&initial);
                    let y = run(&mut stepper);
                    let whole = p.forward(&mut Fused::new(isa, threads));
                    check(&format!("fused, {isa}, {threads} threads"), &whole, &y, &stepper.state());

                    // From zero state again, and a step without input is one with zeros.
                    stepper.reset();
                    let mut zero = p.clone();
                    zero.state = None;
                    let y = run(&mut stepper);
                    let whole = zero.forward(&mut Fused::new(isa, threads));
                    check(&format!("fused, {isa}, {threads} threads, reset"), &whole, &y, &stepper.state());
                    let before = stepper.state();
                    let y = stepper.step(StepInput::Zero).to_vec();
                    let mut one = Problem::<F>::new(&layer, 1, batch, 1);
                    (one.params, one.state) = (p.params.clone(), Some(before));
                    one.input.fill(F::constant(0.0));
                    let whole = one.forward(&mut Fused::new(isa, threads));
                    check(&format!("fused, {isa}, {threads} threads, zero input"), &whole, &y, &stepper.state());
                }
            }

            let mut state = p.state.clone().unwrap();
            let mut y = Vec::with_capacity(steps * batch * w);
            for t in 0..steps {
                let input = match tokens {
                    true => Input::Tokens { ids: ids(t), table: &p.input },
                    false => Input::Dense(dense(t)),
                };
                y.extend(reference::step(&layer, &params, input, batch, &mut state));
            }
            check("reference", &p.forward(&mut Reference), &y, &state);
        }
    }
}

#[test]
fn step_by_step_is_the_sequence() {
    // Rows enough for products of the input straight to the pre-activations, too.
    for (widths, (length, batch)) in WIDTHS.into_iter().flat_map(|w| [(7, 3), (2, 26)].map(|size| (w, size))) {
        steps::<f32>(widths, length, batch);
        steps::<f64>(widths, length, batch);
    }
}

fn threads<F: Element>() {
    for (name, layer) in layers(9, 33, 17) {
        for isa in Isa::available() {
            for kernel in core::iter::once(None).chain(kernels(isa).into_iter().map(Some)) {
                let fused = |threads| match kernel {
                    None => Fused::new(isa, threads),
                    Some(kernel) => Fused::in_bf16(isa, threads, kernel),
                };
                for (case, p) in problems::<F>(&layer) {
                    let mut one = fused(1);
                    let (out, d) = (p.forward(&mut one), p.backward(&mut one));
                    for threads in [2, 3] {
                        let mut many = fused(threads);
                        let what = format!("{name}, {isa}, {kernel:?}, {case}, {threads} threads");
                        assert_eq!(p.forward(&mut many), out, "{what}: forward");
                        assert_eq!(p.backward(&mut many), d, "{what}: backward");
                    }
                }
            }
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    threads::<f32>();
    threads::<f64>();
    for isa in Isa::available() {
        many_rows::<f32>(isa, None, (3, 48, 32));
        many_rows::<f64>(isa, None, (3, 48, 32));
        kernels(isa).into_iter().for_each(|kernel| many_rows::<f32>(isa, Some(kernel), (3, 48, 32)));
    }
    // Several panels of units, and weight gradients of an input that is wider than they are, its last panel not full.
    many_rows::<f32>(Isa::detect(), None, (83, 80, 48));
}

/// Batches whose rows are divided among the threads where the cell allows it, but for the last case, of which the units are; over several chunks.
fn many_rows<F: Element>(isa: Isa, kernel: Option<Bf16Kernel>, (input, hidden, output): (usize, usize, usize)) {
    let fused = |threads| match kernel {
        None => Fused::new(isa, threads),
        Some(kernel) => Fused::in_bf16(isa, threads, kernel),
    };
    let uneven: Vec<usize> = (0..32).map(|row| if row == 5 { 11 } else { 20 }).collect();
    for (name, layer) in layers(input, hidden, output) {
        let p = |seed| Problem::<F>::new(&layer, 20, 32, seed).states();
        for (case, p) in [
            ("whole registers", p(1)),
            ("reverse", p(2).reversed()),
            ("masks", p(3).masked()),
            ("tokens", p(4).tokens(7)),
            ("more tokens than rows", p(5).tokens(700)),
            ("lengths", p(6).lengths(&uneven)),
        ] {
            let mut one = fused(1);
            let want = (p.forward(&mut one), p.backward(&mut one));
            for threads in [2, 3] {
                let mut many = fused(threads);
                let got = (p.forward(&mut many), p.backward(&mut many));
                assert_eq!(got, want, "{name}, {isa}, {kernel:?}, {case}, {threads} threads");
            }
        }
    }
}

/// Instruction sets differ in their widths, so in nothing but rounding; each unit's sum has the same order.
#[test]
fn instruction_sets_agree() {
    /// Of the largest value, in f32: the products' roundings (with and without fused multiply-add) through five steps.
    const ACROSS: f64 = 2e-6;
    for (name, layer) in layers(9, 33, 17) {
        for (case, p) in problems::<f32>(&layer) {
            let mut first = Fused::new(Isa::detect(), 1);
            let (out, d) = (p.forward(&mut first), testing::named(&p, &p.backward(&mut first)));
            for isa in Isa::available() {
                let mut other = Fused::new(isa, 1);
                let result = same("y", &p.forward(&mut other).y, &out.y, ACROSS).and_then(|()| {
                    let other = testing::named(&p, &p.backward(&mut other));
                    other.iter().zip(&d).try_for_each(|((what, got), (_, want))| same(what, got, want, ACROSS))
                });
                if let Err(failure) = result {
                    panic!("{name}, {isa}, {case}: {failure}");
                }
            }
        }
    }
}

/// All engines and instruction sets against the reference: widths of one unit, around one register and several, and more
/// rows than the engine's chunks hold.
#[test]
fn fused_is_the_reference() {
    for (input, hidden, output) in [(1, 1, 1), (3, 3, 2), (5, 17, 3), (31, 31, 33), (65, 70, 40), (5, 80, 48)] {
        for (name, layer) in layers(input, hidden, output) {
            let result = testing::check_engines::<f64>(&layer, ENGINES_F64)
                .and_then(|()| testing::check_engines::<f32>(&layer, ENGINES_F32));
            if let Err(failure) = result {
                panic!("{name}: {failure}");
            }
        }
    }
}

#[test]
fn more_rows_than_a_chunk_holds() {
    let lengths = [90, 3, 70, 0, 41, 90, 88, 17, 1, 60];
    for (name, layer) in layers(3, 5, 4) {
        for mut runner in runners::<f64>() {
            for p in [
                Problem::new(&layer, 90, 10, 1).states(),
                Problem::new(&layer, 90, 10, 2).states().lengths(&lengths).reversed().masked(),
                Problem::new(&layer, 90, 10, 3).states().lengths(&lengths).tokens(7),
            ] {
                if let Err(failure) = testing::engine_check(&mut *runner, &p, ENGINES_F64) {
                    panic!("{name}: {failure}");
                }
            }
        }
    }
}

/// Rows enough for products of the input step by step, and input rows of whole registers, whose gradients go straight to the caller.
#[test]
fn many_rows_a_step() {
    let lengths: Vec<usize> = (0..32).map(|b| b % 4).collect();
    for (input, hidden, output) in [(16, 20, 5), (5, 33, 3)] {
        for (name, layer) in layers(input, hidden, output) {
            for mut runner in runners::<f64>() {
                for p in [
                    Problem::new(&layer, 3, 32, 1).states().tokens(9),
                    Problem::new(&layer, 3, 32, 2).states(),
                    Problem::new(&layer, 3, 32, 3).states().lengths(&lengths).reversed().masked(),
                    Problem::new(&layer, 3, 32, 4).states().masked(),
                    Problem::new(&layer, 3, 32, 5),
                ] {
                    if let Err(failure) = testing::engine_check(&mut *runner, &p, ENGINES_F64) {
                        panic!("{name}, {input}, {hidden}: {failure}");
                    }
                }
            }
        }
    }
}

/// A gradient that vanishes becomes zero and not subnormal numbers, with which a step takes many times as long. Until then it is the reference's.
#[test]
fn vanished_gradients_are_zero() {
    let layer = Layer::new((cells::find("elman").unwrap().make)(), Sizes::new(3, 20)).unwrap();
    let (steps, batch) = (120, 2);
    let mut p = Problem::<f32>::new(&layer, steps, batch, 1);
    p.params.iter_mut().flatten().for_each(|w| *w *= 0.1);
    let last = p.d_y.len() - batch * 20;
    p.d_y[..last].fill(0.0);
    let want = p.backward(&mut Reference);
    assert!(want.input.iter().any(|d| d.is_subnormal()), "the problem has subnormal gradients");
    for mut runner in runners::<f32>().into_iter().skip(1) {
        let got = p.backward(&mut *runner);
        assert!(got.input.iter().all(|d| !d.is_subnormal()), "{}", runner.name());
        let settled = got.input.iter().take_while(|&&d| d == 0.0).count();
        assert!(settled > got.input.len() / 4, "{}: only {settled} numbers are zero", runner.name());
        for (got, want) in got.input.iter().zip(&want.input) {
            assert!((got - want).abs() <= 1e-4 * want.abs() + 1e-29, "{}: {got} != {want}", runner.name());
        }
    }
}

//! The algorithms against backpropagation through time, against each other, and against formulations of their own.

use super::*;
use elman_core::engine::{self, Gradients, Sequence, reference};
use elman_core::testing::{Noise, Problem, same};
use elman_core::{Layer, Sizes, cells};

/// Summed gradients of an algorithm over a problem of one row, forward in time: by the flat vector.
fn summed(
    problem: &Problem<f64>,
    step: &mut LinearStep<f64>,
    influence: &mut dyn Influence<f64>,
    mut each: impl FnMut(&dyn Influence<f64>, &LinearStep<f64>, &[f64]),
) -> Vec<f64> {
    let params = flat(problem);
    let state: Vec<f64> = problem.state.iter().flatten().flatten().copied().collect();
    if !state.is_empty() {
        step.set_state(&state).unwrap();
    }
    let width = problem.layer.output_width();
    let mut total = vec![0.0; params.len()];
    for t in 0..problem.steps {
        let x = match &problem.ids {
            Some(ids) => Input::Token(ids[t] as usize),
            None => Input::Dense(&problem.input[t * step.layer().sizes().input..][..step.layer().sizes().input]),
        };
        let stages = problem.layer.stages();
        let widths = stages.iter().flat_map(|s| std::iter::repeat_n(s.width, s.feeds));
        let feeds: Vec<&[f64]> = problem.feeds.iter().zip(widths).map(|(f, w)| &f[t * w..][..w]).collect();
        step.run(&params, x, &feeds).unwrap();
        influence.advance(step);
        let mut d = vec![0.0; step.state_width()];
        d[step.output_span()].copy_from_slice(&problem.d_y[t * width..][..width]);
        if t + 1 == problem.steps
            && let Some(last) = &problem.d_state
        {
            d.iter_mut().zip(last.iter().flatten()).for_each(|(d, l)| *d += l);
        }
        let mut gradient = vec![0.0; params.len()];
        influence.gradient(&d, &mut gradient);
        total.iter_mut().zip(&gradient).for_each(|(t, g)| *t += g);
        each(influence, step, &d);
    }
    total
}

/// The flat vector of a problem: parameters, then the table.
fn flat(problem: &Problem<f64>) -> Vec<f64> {
    let table = problem.ids.iter().flat_map(|_| &problem.input);
    problem.params.iter().flatten().chain(table).copied().collect()
}

fn flat_gradients(problem: &Problem<f64>, gradients: &Gradients<f64>) -> Vec<f64> {
    let table = problem.ids.iter().flat_map(|_| &gradients.input);
    gradients.params.iter().flatten().chain(table).copied().collect()
}

fn backward(problem: &Problem<f64>) -> Gradients<f64> {
    problem.backward(&mut elman_core::testing::Reference)
}

fn layer(name: &str, sizes: Sizes) -> Layer {
    Layer::new((cells::find(name).unwrap().make)(), sizes).unwrap()
}

/// By how much the two may differ, as a share of the largest element. The order of their sums alone is another: some thousand roundings of
/// numbers around 1, far below the 1e-10 asked for; the worst of the registered cells is at 2.5e-14 over 40 steps.
const NEAR: f64 = 1e-10;

/// The summed gradient of exact RTRL, by the parameters and by the initial state, against that of backpropagation through time.
fn check_rtrl(what: &str, problem: &Problem<f64>, tokens: usize) {
    let input = problem.layer.sizes().input;
    let mut step = LinearStep::with(&problem.layer, tokens, Flow::Full);
    let mut rtrl = Rtrl::with_initial_state(&step);
    // `summed` sees an influence; the initial state is the exact one's alone.
    let mut ds: Vec<Vec<f64>> = Vec::new();
    let got = summed(problem, &mut step, &mut rtrl, |_, _, d| ds.push(d.to_vec()));
    let want = backward(problem);
    same(what, &got, &flat_gradients(problem, &want), NEAR).unwrap();

    rtrl.reset();
    let mut d_initial = vec![0.0; step.state_width()];
    let params = flat(problem);
    let state: Vec<f64> = problem.state.iter().flatten().flatten().copied().collect();
    step.set_state(&state).unwrap();
    for (t, d) in ds.iter().enumerate() {
        let x = match &problem.ids {
            Some(ids) => Input::Token(ids[t] as usize),
            None => Input::Dense(&problem.input[t * input..][..input]),
        };
        step.run(&params, x, &[]).unwrap();
        rtrl.advance(&step);
        let one = rtrl.initial_gradient(d).unwrap();
        d_initial.iter_mut().zip(one).for_each(|(t, d)| *t += d);
    }
    same(&format!("{what}, initial state"), &d_initial, &want.state.concat(), NEAR).unwrap();
}

/// All pointwise cells, with no exception, at two sizes, with dense input and with tokens, over 14 steps and over 40.
#[test]
fn summed_gradients_are_those_of_backpropagation_through_time_for_every_cell() {
    for entry in cells::REGISTRY {
        for sizes in [Sizes { input: 2, hidden: 3, output: 4 }, Sizes { input: 3, hidden: 9, output: 5 }] {
            let layer = layer(entry.name, sizes);
            for (steps, tokens) in [(14, 0), (14, 4), (40, 0), (40, 4)] {
                let mut problem = Problem::<f64>::new(&layer, steps, 1, 21).states();
                if tokens > 0 {
                    problem = problem.tokens(tokens);
                }
                let what = format!("{}, {sizes:?}, {steps} steps, {tokens} tokens", entry.name);
                check_rtrl(&what, &problem, tokens);
            }
        }
    }
}

/// Parts cut through the rows of parameters, wherever panels end.
#[test]
fn any_number_of_parts_gives_the_same_bits() {
    for (name, tokens) in
        [("elman", 0), ("lstm-peephole", 0), ("gru-layer-norm", 0), ("deep-transition", 5), ("lstm", 5)]
    {
        let layer = layer(name, Sizes { input: 3, hidden: 17, output: 6 });
        let mut problem = Problem::<f64>::new(&layer, 8, 1, 3).states();
        if tokens > 0 {
            problem = problem.tokens(tokens);
        }
        let mut step = LinearStep::with(&layer, tokens, Flow::Full);
        let mut with = |parts: usize| {
            let mut rtrl = Rtrl::with(&step, true, Some(parts));
            let mut last = Vec::new();
            let got = summed(&problem, &mut step, &mut rtrl, |_, _, d| last = d.to_vec());
            (got, rtrl.initial_gradient(&last), rtrl.export())
        };
        let one = with(1);
        assert!(one.0.iter().any(|&d| d != 0.0));
        for parts in [2, 3, 7, 1000] {
            assert!(with(parts) == one, "{name}, {parts} parts");
        }
    }
}

#[test]
fn in_f32_it_is_the_same_within_rounding() {
    for name in ["elman", "gru", "lstm", "lstm-layer-norm"] {
        let layer = layer(name, Sizes::new(2, 20));
        let exact = Problem::<f64>::new(&layer, 12, 1, 5);
        let want = flat_gradients(&exact, &backward(&exact));
        let narrow = |v: &[f64]| v.iter().map(|&x| x as f32).collect::<Vec<_>>();
        let params = narrow(&flat(&exact));
        let mut step = LinearStep::<f32>::new(&layer);
        let mut rtrl = Rtrl::new(&step);
        let mut got = vec![0.0f32; params.len()];
        for t in 0..12 {
            step.run(&params, Input::Dense(&narrow(&exact.input[2 * t..2 * t + 2])), &[]).unwrap();
            rtrl.advance(&step);
            let mut d = vec![0.0; step.state_width()];
            d[step.output_span()].copy_from_slice(&narrow(&exact.d_y[20 * t..][..20]));
            let mut gradient = vec![0.0; params.len()];
            rtrl.gradient(&d, &mut gradient);
            got.iter_mut().zip(&gradient).for_each(|(t, g)| *t += g);
        }
        // Twelve steps of sums of twenty terms: some hundred roundings of 6e-8, and a normaliser's ten times.
        same(name, &got, &narrow(&want), 1e-4).unwrap();
    }
}

#[test]
fn feeds_reach_the_step() {
    elman_core::cell! {
        /// A unit with a feed.
        #[derive(Clone, Debug)]
        pub struct Fed = "fed" {}
        carry h; output h;
        stage 0 hidden {
            gate a = [x, h];
            feed z;
        } -> h {
            h = tanh(a * z);
        }
    }
    let layer = Layer::new(std::sync::Arc::new(Fed {}), Sizes::new(2, 3)).unwrap();
    let problem = Problem::<f64>::new(&layer, 12, 1, 3).states();
    let mut step = LinearStep::new(&layer);
    let mut rtrl = Rtrl::new(&step);
    let got = summed(&problem, &mut step, &mut rtrl, |_, _, _| ());
    same("fed", &got, &flat_gradients(&problem, &backward(&problem)), 1e-10).unwrap();
    assert!(matches!(step.run(&flat(&problem), Input::Dense(&[0.0; 2]), &[]), Err(OnlineError::Length { .. })));
}

/// Where the step's Jacobian is diagonal nothing is left out.
#[test]
fn snap_1_is_exact_for_diagonal_recurrences_and_biased_for_others() {
    for name in ["indrnn", "unit-feedback", "min-gru", "min-lstm", "lru", "elman", "lstm", "gru-reset-after"] {
        let layer = layer(name, Sizes { input: 2, hidden: 5, output: 3 });
        let problem = Problem::<f64>::new(&layer, 14, 1, 2).states();
        let mut step = LinearStep::new(&layer);
        let mut snap = Sparse::new(&step);
        let got = summed(&problem, &mut step, &mut snap, |_, _, _| ());
        let want = flat_gradients(&problem, &backward(&problem));
        let near = same(name, &got, &want, 1e-10);
        // The LRU turns its real part into its imaginary one: a second carried value, which a step reaches only from the first.
        let diagonal = !["lru", "elman", "lstm", "gru-reset-after"].contains(&name);
        assert_eq!(near.is_ok(), diagonal, "{name}: {near:?}");
    }
}

/// SnAp-1 by its definition, with whole matrices: P ← mask ⊙ (J P) + ∂s/∂θ, the mask what ∂s/∂θ can have.
#[test]
fn snap_1_is_its_definition() {
    for name in ["elman", "leaky", "lstm-peephole", "gru-reset-after", "gru", "lstm-projected", "lstm-layer-norm"] {
        let layer = layer(name, Sizes { input: 2, hidden: 4, output: 3 });
        for tokens in [0, 3] {
            let mut problem = Problem::<f64>::new(&layer, 12, 1, 8).states();
            if tokens > 0 {
                problem = problem.tokens(tokens);
            }
            let mut step = LinearStep::with(&layer, tokens, Flow::Full);
            let mut snap = Sparse::new(&step);
            let (s, n) = (step.state_width(), step.layout().len);
            let mut p = vec![0.0; s * n];
            let mut want = vec![0.0; n];
            let got = summed(&problem, &mut step, &mut snap, |_, step, d| {
                let (immediate, mask) = immediate(step);
                let mut next = immediate;
                for of in 0..step.carried() {
                    for by in 0..step.carried() {
                        for (i, row) in step.span(of).enumerate() {
                            for (j, from) in step.span(by).enumerate() {
                                let v = step.carry(of, by).at(i, j);
                                for k in (0..n).filter(|&k| mask[row * n + k]) {
                                    next[row * n + k] += v * p[from * n + k];
                                }
                            }
                        }
                    }
                }
                p = next;
                for (i, &d) in d.iter().enumerate() {
                    want.iter_mut().zip(&p[i * n..][..n]).for_each(|(w, &p)| *w += d * p);
                }
            });
            same(&format!("{name}, {tokens} tokens"), &got, &want, 1e-12).unwrap();
        }
    }
}

/// ∂s/∂θ of the last step as a whole matrix, and where it can differ from zero.
fn immediate(step: &LinearStep<f64>) -> (Vec<f64>, Vec<bool>) {
    let (s, n) = (step.state_width(), step.layout().len);
    let (mut matrix, mut mask) = (vec![0.0; s * n], vec![false; s * n]);
    for rows in &step.layout().rows {
        let width = step.layout().sites[rows.site];
        for row in 0..rows.rows {
            for c in 0..step.carried() {
                let block = step.site(c, rows.site);
                for (i, at) in step.span(c).enumerate() {
                    let u = row % width;
                    let reached = match block.kind() {
                        Kind::Zero => false,
                        Kind::Diagonal => i == u,
                        Kind::Dense => true,
                    };
                    for j in 0..rows.cols {
                        let place = at * n + rows.first + row * rows.cols + j;
                        mask[place] |= reached;
                        if reached && step.active(rows).contains(&row) {
                            let z = match step.feature(rows, row) {
                                Features::Number(z) => z,
                                Features::Vector(z) => z[j],
                            };
                            matrix[place] += block.at(i, u) * z;
                        }
                    }
                }
            }
        }
    }
    (matrix, mask)
}

/// Mean and standard error over seeds, element by element, against the exact gradient.
#[test]
fn uoro_is_unbiased() {
    for (name, tokens) in [("elman", 0), ("lstm", 0), ("gru", 3)] {
        let layer = layer(name, Sizes::new(1, 2));
        let mut problem = Problem::<f64>::new(&layer, 6, 1, 4).states();
        if tokens > 0 {
            problem = problem.tokens(tokens);
        }
        let mut step = LinearStep::with(&layer, tokens, Flow::Full);
        let mut rtrl = Rtrl::new(&step);
        let exact = summed(&problem, &mut step, &mut rtrl, |_, _, _| ());
        let seeds = 4000;
        let (mut sum, mut squares) = (vec![0.0; exact.len()], vec![0.0; exact.len()]);
        for seed in 0..seeds {
            let mut uoro = Uoro::new(&step, seed);
            let got = summed(&problem, &mut step, &mut uoro, |_, _, _| ());
            for (k, g) in got.iter().enumerate() {
                sum[k] += g;
                squares[k] += g * g;
            }
        }
        let n = seeds as f64;
        let (mut error, mut expected) = (0.0, 0.0);
        for (k, &exact) in exact.iter().enumerate() {
            let mean = sum[k] / n;
            let standard = ((squares[k] / n - mean * mean) / (n - 1.0)).sqrt();
            // Five standard errors, of some fifty elements that are far from normal: less than one failure in ten thousand seeds of the test.
            assert!((mean - exact).abs() <= 5.0 * standard + 1e-12, "{name}, {k}: {mean} ± {standard}, exact {exact}");
            error += (mean - exact).powi(2);
            expected += standard * standard;
        }
        let size = exact.iter().map(|e| e * e).sum::<f64>();
        // The mean is near: within a few standard errors as a whole, and these are a small part of the gradient.
        assert!(error < 4.0 * expected && expected < 0.02 * size, "{name}: {error} {expected} {size}");
        // One estimate alone is far from it: there is a variance.
        assert!(expected * n > 0.05 * size, "{name}: {expected} {size}");
    }
}

/// The truncated rule is the derivative of a network whose gates take h' for an input like x: one with the recurrent matrices beside the input's
/// and the recorded h' in the input, whose own recurrent matrices are zero.
#[test]
fn the_truncated_rule_is_the_gradient_with_recurrent_inputs_held() {
    for name in ["lstm-1997", "lstm-1999", "lstm"] {
        let (input, hidden) = (2, 4);
        let own = layer(name, Sizes::new(input, hidden));
        let problem = Problem::<f64>::new(&own, 15, 1, 6).states();
        let (mut step, mut truncated) = Sparse::truncated(&own, 0).unwrap();
        let mut before: Vec<f64> = problem.state.as_ref().unwrap()[0].clone();
        let mut held = Vec::new();
        let got = summed(&problem, &mut step, &mut truncated, |_, step, _| {
            held.push(before.clone());
            before = step.output().to_vec();
        });

        let wide = layer(name, Sizes::new(input + hidden, hidden));
        let mut other = Problem::<f64>::new(&wide, 15, 1, 6);
        let names: Vec<&str> = own.parameters().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["weight_ih", "weight_hh", "bias_ih"], "{name}");
        let rows = own.parameters()[0].rows;
        let beside =
            |r: usize| [&problem.params[0][r * input..][..input], &problem.params[1][r * hidden..][..hidden]].concat();
        other.params = vec![(0..rows).flat_map(beside).collect(), vec![0.0; rows * hidden], problem.params[2].clone()];
        other.input = (0..15).flat_map(|t| [&problem.input[t * input..][..input], &held[t][..]].concat()).collect();
        other.state.clone_from(&problem.state);
        other.d_y.clone_from(&problem.d_y);
        other.d_state.clone_from(&problem.d_state);
        let gradients = backward(&other);
        let mut want = [Vec::new(), Vec::new(), gradients.params[2].clone()];
        for row in gradients.params[0].chunks(input + hidden) {
            want[0].extend_from_slice(&row[..input]);
            want[1].extend_from_slice(&row[input..]);
        }
        same(name, &got, &want.concat(), 1e-12).unwrap();
        // It is not the whole gradient.
        let whole = flat_gradients(&problem, &backward(&problem));
        assert!(same(name, &got, &whole, 1e-3).is_err(), "{name}");
        // The shape that a sequence has, so that the comparison is with the same outputs.
        let seq = Sequence::new(15, 1, engine::Input::Dense(&other.input));
        assert_eq!(
            reference::forward(&wide, &other.params(), &Sequence { state: other.sequence().state, ..seq }).y.len(),
            15 * hidden
        );
    }
}

/// A GRU's h' is carried by the update gate and seen by matrices; these see it held, in a cell that takes it for an input.
#[test]
fn the_truncated_rule_carries_a_grus_state_through_its_update_gate_alone() {
    elman_core::cell! {
        /// The GRU with the reset gate after the product, whose gates see h' through x.
        #[derive(Clone, Debug)]
        pub struct Held = "held-gru" {}
        carry h; output h;
        stage 0 hidden {
            gate r, z, nx, nh = [x];
            read h;
        } -> h {
            r = sigmoid(r);
            z = sigmoid(z);
            n = tanh(nx + r * nh);
            h = (ONE - z) * n + z * h;
        }
    }
    let (input, hidden, steps) = (2, 4, 15);
    let own = layer("gru-reset-after", Sizes::new(input, hidden));
    let problem = Problem::<f64>::new(&own, steps, 1, 6).states();
    let (mut step, mut truncated) = Sparse::truncated(&own, 0).unwrap();
    let mut states = vec![problem.state.as_ref().unwrap()[0].clone()];
    let got = summed(&problem, &mut step, &mut truncated, |_, step, _| states.push(step.state()));

    let names: Vec<&str> = own.parameters().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]);
    let wide = Layer::new(std::sync::Arc::new(Held {}), Sizes::new(input + hidden, hidden)).unwrap();
    let mut other = Problem::<f64>::new(&wide, steps, 1, 6);
    let row = |matrix: usize, width: usize, r: usize| problem.params[matrix][r * width..][..width].to_vec();
    let nothing = |width: usize| vec![0.0; width];
    // r and z see both, nx the input, nh the state.
    let gates = 0..3 * hidden;
    let weight = gates.clone().flat_map(|r| match r < 2 * hidden {
        true => [row(0, input, r), row(1, hidden, r)].concat(),
        false => [row(0, input, r), nothing(hidden)].concat(),
    });
    let last = (2 * hidden..3 * hidden).flat_map(|r| [nothing(input), row(1, hidden, r)].concat());
    let both = |r: usize| problem.params[2][r] + if r < 2 * hidden { problem.params[3][r] } else { 0.0 };
    let bias = gates.clone().map(both).chain(problem.params[3][2 * hidden..].iter().copied()).collect();
    other.params = vec![weight.chain(last).collect(), bias];
    other.input = (0..steps).flat_map(|t| [&problem.input[t * input..][..input], &states[t][..]].concat()).collect();
    other.state.clone_from(&problem.state);
    other.d_y.clone_from(&problem.d_y);
    other.d_state.clone_from(&problem.d_state);
    let outputs = other.forward(&mut elman_core::testing::Reference);
    same("final h", &outputs.state[0], &states[steps], 1e-13).unwrap();
    let gradients = backward(&other);
    let found = |r: usize| &gradients.params[0][r * (input + hidden)..][..input + hidden];
    // Rows of nh stand behind those of nx.
    let of_state = |r: usize| if r < 2 * hidden { r } else { r + hidden };
    let want = [
        gates.clone().flat_map(|r| found(r)[..input].to_vec()).collect::<Vec<f64>>(),
        gates.clone().flat_map(|r| found(of_state(r))[input..].to_vec()).collect(),
        gates.clone().map(|r| gradients.params[1][r]).collect(),
        gates.map(|r| gradients.params[1][of_state(r)]).collect(),
    ];
    same("truncated", &got, &want.concat(), 1e-12).unwrap();
    assert!(same("whole", &got, &flat_gradients(&problem, &backward(&problem)), 1e-3).is_err());
}

/// Where no matrix sees the state there is nothing to cut.
#[test]
fn the_truncated_rule_is_the_whole_gradient_where_no_matrix_sees_the_state() {
    for name in ["min-gru", "min-lstm"] {
        let own = layer(name, Sizes::new(2, 4));
        let problem = Problem::<f64>::new(&own, 15, 1, 6).states();
        let (mut step, mut truncated) = Sparse::truncated(&own, 0).unwrap();
        let got = summed(&problem, &mut step, &mut truncated, |_, _, _| ());
        same(name, &got, &flat_gradients(&problem, &backward(&problem)), 1e-12).unwrap();
    }
}

/// With peepholes what they see is held too: a cell that takes both as inputs, beside the one that reads them.
#[test]
fn the_truncated_rule_holds_what_peepholes_see() {
    elman_core::cell! {
        /// The LSTM with peepholes whose gates see h' through x, and c' and c through feeds.
        #[derive(Clone, Debug)]
        pub struct Held = "held" {}
        carry h, c; output h;
        stage 0 hidden {
            gate i, f, g, o = [x];
            read c;
            unit pi, pf, po;
            feed before, now;
        } -> h, c {
            i = sigmoid(i + pi * before);
            f = sigmoid(f + pf * before);
            g = tanh(g);
            c = f * c + i * g;
            o = sigmoid(o + po * now);
            h = o * tanh(c);
        }
    }
    let (input, hidden, steps) = (2, 4, 15);
    let own = layer("lstm-peephole", Sizes::new(input, hidden));
    let problem = Problem::<f64>::new(&own, steps, 1, 6).states();
    let (mut step, mut truncated) = Sparse::truncated(&own, 0).unwrap();
    let start = problem.state.clone().unwrap();
    let mut states = vec![start.concat()];
    let got = summed(&problem, &mut step, &mut truncated, |_, step, _| states.push(step.state()));

    let names: Vec<&str> = own.parameters().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["weight_ih", "weight_hh", "bias_ih", "weight_pi", "weight_pf", "weight_po"]);
    let wide = Layer::new(std::sync::Arc::new(Held {}), Sizes::new(input + hidden, hidden)).unwrap();
    let mut other = Problem::<f64>::new(&wide, steps, 1, 6);
    let beside =
        |r: usize| [&problem.params[0][r * input..][..input], &problem.params[1][r * hidden..][..hidden]].concat();
    other.params = vec![(0..4 * hidden).flat_map(beside).collect()];
    other.params.extend_from_slice(&problem.params[2..]);
    other.input =
        (0..steps).flat_map(|t| [&problem.input[t * input..][..input], &states[t][..hidden]].concat()).collect();
    other.feeds = vec![
        (0..steps).flat_map(|t| states[t][hidden..].to_vec()).collect(),
        (0..steps).flat_map(|t| states[t + 1][hidden..].to_vec()).collect(),
    ];
    other.state.clone_from(&problem.state);
    other.d_y.clone_from(&problem.d_y);
    other.d_state.clone_from(&problem.d_state);
    let outputs = other.forward(&mut elman_core::testing::Reference);
    same("final c", &outputs.state[1], &states[steps][hidden..], 1e-13).unwrap();
    let gradients = backward(&other);
    let mut want = vec![Vec::new(), Vec::new()];
    for row in gradients.params[0].chunks(input + hidden) {
        want[0].extend_from_slice(&row[..input]);
        want[1].extend_from_slice(&row[input..]);
    }
    want.extend_from_slice(&gradients.params[1..]);
    same("truncated", &got, &want.concat(), 1e-12).unwrap();
    assert!(same("whole", &got, &flat_gradients(&problem, &backward(&problem)), 1e-3).is_err());
}

#[test]
fn a_cell_without_a_carousel_is_refused_by_the_truncated_rule() {
    for name in ["elman", "gru", "indrnn", "lstm", "lstm-peephole", "min-gru"] {
        let got = Sparse::<f64>::truncated(&layer(name, Sizes::new(1, 2)), 0);
        let carries = !["elman", "indrnn"].contains(&name);
        assert_eq!(got.is_ok(), carries, "{name}");
        if let Err(error) = got {
            assert!(error.to_string().contains("carries nothing past its matrices"), "{error}");
        }
    }
}

#[test]
fn costs_are_what_the_structure_says() {
    let (i, h) = (1, 32);
    // elman: N = H (I + H + 1).
    let step = LinearStep::<f32>::new(&layer("elman", Sizes::new(i, h)));
    let n = h * (i + h + 1);
    let cost = Rtrl::new(&step).cost();
    assert_eq!(cost, Cost { numbers: h * n, operations: h * n * h + h * n + n });
    // Kept: its own row. One product with the diagonal of J, one addition, one for the gradient.
    assert_eq!(Sparse::new(&step).cost(), Cost { numbers: n, operations: 3 * n });
    assert_eq!(Uoro::new(&step, 1).cost().numbers, h + n);
    // lstm: h is multiplied by a matrix, c is not.
    let step = LinearStep::<f32>::new(&layer("lstm", Sizes::new(i, h)));
    let n = 4 * n;
    let cost = Rtrl::new(&step).cost();
    assert_eq!(cost.numbers, 2 * h * n);
    // J by h: 2 H rows of H; J by c: two diagonals; the gradient; ∂s/∂θ: i, f, g reach h and c, o reaches h.
    assert_eq!(cost.operations, 2 * h * h * n + 2 * h * n + 2 * h * n + n / 4 * 7);
    // i, f, g: two numbers a parameter and the four pairs of J; o: one.
    let kept = n / 4 * 7;
    assert_eq!(Sparse::new(&step).cost(), Cost { numbers: kept, operations: n / 4 * (3 * (4 + 2 + 2) + 3) });
    let (_, truncated) = Sparse::<f32>::truncated(&layer("lstm", Sizes::new(i, h)), 0).unwrap();
    assert_eq!(truncated.cost().numbers, kept);
}

#[test]
fn wrong_input_is_one_line_and_changes_nothing() {
    let layer = layer("lstm", Sizes::new(2, 3));
    let mut dense = LinearStep::<f64>::new(&layer);
    let params: Vec<f64> = Noise(1).uniform(dense.layout().len, 0.5);
    dense.run(&params, Input::Dense(&[1.0, 2.0]), &[]).unwrap();
    let state = dense.state();
    let mut lines = vec![
        dense.run(&params, Input::Dense(&[1.0]), &[]).unwrap_err(),
        dense.run(&params, Input::Token(0), &[]).unwrap_err(),
        dense.run(&params[1..], Input::Dense(&[1.0, 2.0]), &[]).unwrap_err(),
        dense.run(&params, Input::Dense(&[1.0, 2.0]), &[&[1.0]]).unwrap_err(),
        dense.set_state(&[0.0]).unwrap_err(),
    ];
    assert_eq!(dense.state(), state);
    let mut tokens = LinearStep::<f64>::with_table(&layer, 4);
    let params: Vec<f64> = Noise(1).uniform(tokens.layout().len, 0.5);
    lines.push(tokens.run(&params, Input::Token(4), &[]).unwrap_err());
    lines.push(tokens.run(&params, Input::Dense(&[1.0, 2.0]), &[]).unwrap_err());
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], "the input has 1 numbers, expected 2");
    assert_eq!(lines[1], "this layer takes vectors, and a token was given");
    assert_eq!(lines[5], "token 4 is not below the vocabulary's size 4");
    assert!(lines.iter().all(|l| !l.contains('\n')), "{lines:?}");
}

/// A token's influence that decays becomes zero, and not subnormal numbers first.
#[test]
fn vanished_influence_is_zero() {
    for (name, method) in Method::ALL {
        let mut config = OnlineConfig::new((cells::find("lstm").unwrap().make)(), Sizes::new(2, 4), 1);
        (config.vocabulary, config.method, config.rate) = (3, method, 0.0);
        let mut online = config.init().unwrap();
        online.predict(Input::Token(2)).unwrap();
        let mut zeros = 0;
        for t in 2..=800 {
            online.predict(Input::Token(t % 2)).unwrap();
            let kept = online.influence.export();
            let values = || kept.iter().flat_map(|(_, values)| values);
            if t % 16 == 0 {
                assert!(values().all(|v| !v.is_subnormal()), "{name}, step {t}");
            }
            zeros = values().filter(|v| **v == 0.0).count();
        }
        assert!(zeros > 0 || method == Method::Uoro, "{name}: token 2 still has influence");
    }
}

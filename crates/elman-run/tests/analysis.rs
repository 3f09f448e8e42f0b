//! Where the gradient goes: against backpropagation through the whole sequence, against differences, against matrices that are known.

mod common;

use common::{config, ids, model, model_with, path};
use elman_core::cells::REGISTRY;
use elman_core::engine::{Engine, Input, Sequence, StepInput, Stepper, reference};
use elman_run::analysis::linear::singular_values;
use elman_run::analysis::{
    AnalysisError, Flow, FlowSettings, Kind, Lyapunov, Network, Path, Paths, Products, Trace, Unfolded, Verdict,
    geometric_lags, recurrent_matrices,
};
use std::sync::Arc;

/// Mean loss of all steps and its gradient by every parameter of the stack, then the embedding: the readable engine through the
/// whole sequence at once.
fn bptt(network: &Network, ids: &[u32]) -> (f64, Vec<Vec<f64>>) {
    let steps = ids.len() - 1;
    let mut inputs = vec![ids[..steps].iter().flat_map(|&id| network.embed(id).to_vec()).collect::<Vec<f64>>()];
    for (k, l) in network.layers().iter().enumerate() {
        let y = reference::forward(&l.layer, &l.slices(), &sequence(network, k, &inputs[k])).y;
        inputs.push(y);
    }
    let mut loss = 0.0;
    let mut d = Vec::new();
    for (y, &target) in inputs.last().unwrap().chunks(network.output_width()).zip(&ids[1..]) {
        let (nats, d_y) = network.loss(y, target);
        loss += nats / steps as f64;
        d.extend(d_y.iter().map(|d| d / steps as f64));
    }
    let mut gradients = Vec::new();
    for (k, l) in network.layers().iter().enumerate().rev() {
        let found = reference::backward(&l.layer, &l.slices(), &sequence(network, k, &inputs[k]), &d, None);
        d = found.input;
        gradients.splice(0..0, found.params);
    }
    let width = network.embedding().len() / network.vocabulary();
    let mut embedding = vec![0.0; network.embedding().len()];
    for (&id, d) in ids.iter().zip(d.chunks(width)) {
        embedding[id as usize * width..][..width].iter_mut().zip(d).for_each(|(sum, d)| *sum += d);
    }
    gradients.push(embedding);
    (loss, gradients)
}

/// Zoneout is at its mean, as where a model streams.
#[test]
fn a_network_is_looked_into_as_it_is_at_evaluation() {
    let model = model("lstm:zoneout=0.2,zoneout-cell=0.5", 4, 1);
    let (network, path, engine) = path(&model, 13);
    let slices = network.layers()[0].slices();
    let mut stepper = Stepper::<f64>::new(&engine, &model.layers()[0].layer, &slices, 1, None);
    for t in 0..path.steps() {
        stepper.step(StepInput::Dense(path.input(&network, t)));
        for (found, want) in path.state(t + 1)[0].iter().zip(stepper.state()) {
            assert!(found.iter().zip(want).all(|(found, want)| (found - want).abs() < 1e-15), "{t}");
        }
    }
    let names: Vec<String> = Trace::new(&network, &path).unwrap().series.iter().map(|s| s.name.to_string()).collect();
    assert!(names.contains(&"f".to_string()) && !names.iter().any(|name| name.starts_with("keep")), "{names:?}");
}

/// The contributions of all lags, from all losses, are the gradient of backpropagation through time: for every cell, and a stack.
#[test]
fn lags_add_up_to_the_gradient_of_bptt() {
    let cells = REGISTRY.iter().map(|entry| (entry.name, 1)).chain([
        ("lstm", 3),
        ("gru", 2),
        ("elman", 2),
        ("lstm:zoneout=0.2,zoneout-cell=0.5", 2),
    ]);
    for (cell, layers) in cells {
        let model = model(cell, 4, layers);
        let (network, path, engine) = path(&model, 13);
        let (loss, want) = bptt(&network, path.ids());
        // As many lags as there are steps, so that each loss reaches the beginning.
        let flow = all(&network, &path, &engine);
        assert!((flow.loss - loss).abs() < 1e-13, "{cell}: {} {loss}", flow.loss);
        assert_eq!(flow.parameters.len(), want.len());
        for (found, want) in flow.parameters.iter().zip(&want) {
            let largest = want.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            for (found_value, want) in found.total.iter().zip(want) {
                // Sums in another order, over some dozen steps of which each passes roundings on.
                assert!((found_value - want).abs() <= 1e-12 * largest, "{cell} {}: {found_value} {want}", found.name);
            }
            if largest > 0.0 {
                // The same roundings.
                assert!((found.shares.iter().sum::<f64>() - 1.0).abs() < 1e-11, "{cell} {}", found.name);
                assert!((found.cosines.last().unwrap() - 1.0).abs() < 1e-11, "{cell} {}", found.name);
            }
        }
    }
}

/// The input of layer `k` from the initial state.
fn sequence<'a>(network: &'a Network, k: usize, x: &'a [f64]) -> Sequence<'a, f64> {
    let mut seq = Sequence::new(x.len() / network.layers()[k].layer.sizes().input, 1, Input::Dense(x));
    seq.state = Some(network.initial()[k].iter().map(Vec::as_slice).collect());
    seq
}

/// From every step, back to the beginning.
fn all(network: &Network, path: &Path, engine: &Arc<Engine>) -> Flow {
    Flow::through_all(network, path, engine).unwrap()
}

/// ∂L_j/∂s_k against central differences: the state after step k is moved, the rest runs again.
#[test]
fn gradients_by_the_state_are_those_of_differences() {
    for (cell, layers) in [("lstm", 1), ("lstm", 2), ("gru", 2), ("elman", 1), ("lstm-projected", 2), ("jordan", 1)] {
        let model = model(cell, 4, layers);
        let n = 12;
        let (network, path, engine) = path(&model, n);
        let lags = n - 2;
        // One loss, the last.
        let flow = Flow::new(&network, &path, &engine, FlowSettings { lags, ends: 1 }).unwrap();
        let j = n - 2;
        assert_eq!(flow.ends, [j]);
        let loss = |k: usize, state: &[Vec<Vec<f64>>]| {
            let mut state = state.to_vec();
            let mut nats = 0.0;
            for t in k + 1..=j {
                let mut x = network.embed(path.ids()[t]).to_vec();
                for (l, state) in network.layers().iter().zip(&mut state) {
                    x = reference::step(&l.layer, &l.slices(), Input::Dense(&x), 1, state);
                }
                nats = network.loss(&x, path.ids()[t + 1]).0;
            }
            nats
        };
        for lag in 1..=lags {
            let k = j - lag;
            let after = path.state(k + 1);
            for (p, part) in network.parts().iter().enumerate() {
                let c = network.parts()[..p].iter().filter(|q| q.layer == part.layer).count();
                let mut square = 0.0;
                for u in 0..part.width {
                    // A step of 1e-5: truncation and rounding both some 1e-10.
                    let moved = |by: f64| {
                        let mut state = after.clone();
                        state[part.layer][c][u] += by;
                        loss(k, &state)
                    };
                    square += ((moved(1e-5) - moved(-1e-5)) / 2e-5).powi(2);
                }
                let found = flow.states[p].mean[lag - 1];
                assert!(
                    (found - square.sqrt()).abs() < 1e-9 + 1e-6 * found,
                    "{cell} {} lag {lag}: {found} {}",
                    part.name,
                    square.sqrt()
                );
                assert_eq!((flow.states[p].low[lag - 1], flow.states[p].high[lag - 1]), (found, found));
            }
        }
    }
}

/// The LSTM's carousel: with the forget gate open and the others' weights zero, the gradient by c neither shrinks nor grows, and
/// that by h is zero.
#[test]
fn the_constant_error_carousel_carries_the_gradient_unchanged() {
    let h = 4;
    let model = model_with(config("lstm", h, 1), |name, values| match name {
        "rnn.weight_hh_l0" => values.fill(0.0),
        "rnn.weight_ih_l0" => values[..2 * h * 5].fill(0.0),
        // i closed, f open: σ(±40) is 0 and 1 to the last bit.
        "rnn.bias_ih_l0" | "rnn.bias_hh_l0" => {
            values[..h].fill(-40.0);
            values[h..2 * h].fill(40.0);
        }
        _ => {}
    });
    let (network, path, engine) = path(&model, 40);
    let flow = Flow::new(&network, &path, &engine, FlowSettings { lags: 30, ends: 1 }).unwrap();
    let (by_h, by_c) = (&flow.states[0], &flow.states[1]);
    assert_eq!((by_h.part.name, by_c.part.name), ("h", "c"));
    assert!(by_h.mean.iter().all(|&x| x == 0.0));
    assert!(by_c.mean[0] > 0.0);
    // σ(40) differs from 1 by 4e-18.
    assert!(by_c.mean.iter().all(|&x| (x / by_c.mean[0] - 1.0).abs() < 1e-14), "{:?}", by_c.mean);
    let products = Products::new(&network, &path, &engine, &[1, 30], 1).unwrap();
    let verdict = Verdict::new(&products.lags, &products.largest()).unwrap();
    assert_eq!(verdict.kind, Kind::Healthy);
}

/// A simple network without input whose state stays 0: there the Jacobian is W itself.
fn linear(cell: &str, w: &[f32], bias: f32) -> (Network, Path, Arc<Engine>) {
    let h = w.len().isqrt();
    let model = model_with(config(cell, h, 1), |name, values| match name {
        "rnn.weight_hh_l0" => values.copy_from_slice(w),
        "rnn.weight_ih_l0" => values.fill(0.0),
        "rnn.bias_ih_l0" => values.fill(bias),
        _ => {}
    });
    path(&model, 60)
}

fn measured(network: &Network, path: &Path, engine: &Arc<Engine>, last: usize) -> (Products, Verdict) {
    let products = Products::new(network, path, engine, &geometric_lags(last), 2).unwrap();
    let verdict = Verdict::new(&products.lags, &products.largest()).unwrap();
    (products, verdict)
}

/// The first deck's diag(0.5, 1.5)^10, through the whole way from a model to singular values.
#[test]
fn the_first_decks_power_of_a_diagonal_matrix() {
    let (network, path, engine) = linear("elman", &[0.5, 0.0, 0.0, 1.5], 0.0);
    let products = Products::new(&network, &path, &engine, &[1, 10], 2).unwrap();
    // 57.665039 and 0.00098 on the slide.
    assert!(
        (products.values[1][0] - 1.5f64.powi(10)).abs() < 1e-11 && (products.values[1][0] - 57.665039).abs() < 1e-6
    );
    assert!((products.values[1][1] - 0.5f64.powi(10)).abs() < 1e-14 && (products.values[1][1] - 0.00098).abs() < 4e-6);
    // ln 1.5 and ln 0.5, to roundings of sums of forty numbers.
    let lyapunov = Lyapunov::new(&network, &path, &engine, 5).unwrap();
    assert_eq!(lyapunov.exponents.len(), 2);
    assert!((lyapunov.exponents[0] - 1.5f64.ln()).abs() < 1e-8, "{lyapunov:?}");
    assert!((lyapunov.exponents[1] - 0.5f64.ln()).abs() < 1e-8, "{lyapunov:?}");
    assert_eq!(measured(&network, &path, &engine, 40).1.kind, Kind::Exploding);
}

/// A largest singular value above 1 does not make the product explode: where W is not normal, and where units are saturated.
#[test]
fn the_verdict_is_the_products_not_the_matrixs() {
    let not_normal = [0.5, 5.0, 0.0, 0.5];
    let saturated = [1.5, 0.0, 0.0, 1.5];
    for (w, bias, radius) in [(not_normal, 0.0, 0.5), (saturated, 5.0, 1.5)] {
        let (network, path, engine) = linear("elman", &w, bias);
        let matrix = &recurrent_matrices(&network, 100)[0];
        assert!(matrix.singular_values[0] > 1.0, "{matrix:?}");
        // A defective double eigenvalue comes out to the root of a rounding.
        assert!((matrix.spectral_radius().unwrap() - radius).abs() < 1e-7, "{matrix:?}");
        let (products, verdict) = measured(&network, &path, &engine, 40);
        assert_eq!(verdict.kind, Kind::Vanishing, "{products:?}");
        assert!(verdict.factor < 1e-3 && verdict.rate < 0.0 && verdict.horizon.is_some());
    }
    // One that is not normal grows before it shrinks, as its singular value says for the first step.
    let (network, path, engine) = linear("elman", &not_normal, 0.0);
    let (products, _) = measured(&network, &path, &engine, 40);
    assert!(products.largest()[0] > 5.0);
    // An orthogonal matrix keeps every length for ever, as long as the state is zero.
    let (network, path, engine) = linear("elman", &[0.6, 0.8, -0.8, 0.6], 0.0);
    let (products, verdict) = measured(&network, &path, &engine, 40);
    // f32's rounding of 0.6 and 0.8, forty times.
    assert!(products.values.iter().flatten().all(|v| (v - 1.0).abs() < 1e-5));
    assert_eq!(verdict.kind, Kind::Healthy);
}

/// The product by rows of the engine is the product of the Jacobians, each taken by differences of a step.
#[test]
fn products_are_those_of_jacobians_by_differences() {
    for (cell, layers) in [("lstm", 1), ("gru", 2), ("lstm-projected", 1)] {
        let model = model(cell, 3, layers);
        let (network, path, engine) = path(&model, 8);
        let width = network.state_width();
        let mut product: Vec<f64> = (0..width * width).map(|k| f64::from(u8::from(k / width == k % width))).collect();
        let flat = |state: &[Vec<Vec<f64>>]| state.iter().flatten().flatten().copied().collect::<Vec<f64>>();
        let (last, lags) = (path.steps() - 1, 5);
        for t in last + 1 - lags..=last {
            let after = |column: usize, by: f64| {
                let mut state = path.state(t).clone();
                *state.iter_mut().flatten().flatten().nth(column).unwrap() += by;
                let mut x = network.embed(path.ids()[t]).to_vec();
                for (l, state) in network.layers().iter().zip(&mut state) {
                    x = reference::step(&l.layer, &l.slices(), Input::Dense(&x), 1, state);
                }
                flat(&state)
            };
            let mut jacobian = vec![0.0; width * width];
            for column in 0..width {
                let (up, down) = (after(column, 1e-5), after(column, -1e-5));
                for row in 0..width {
                    jacobian[row * width + column] = (up[row] - down[row]) / 2e-5;
                }
            }
            product = elman_run::analysis::linear::product(&jacobian, &product, width, width, width);
        }
        let want = singular_values(&product, width, width);
        let found = Products::new(&network, &path, &engine, &[lags], 1).unwrap();
        for (found, want) in found.values[0].iter().zip(&want) {
            // Differences are good to some 1e-10, times the number of factors.
            assert!((found - want).abs() < 1e-8 * want.max(1.0), "{cell}: {found} {want}");
        }
    }
}

/// Fewer rows than the state has numbers: the largest singular value within its bounds, and exact with all of them.
#[test]
fn a_sample_of_rows_estimates_the_largest() {
    let model = model("lstm", 24, 1);
    let (network, path, engine) = path(&model, 40);
    let lags = [1, 8, 30];
    let whole = Products::new(&network, &path, &engine, &lags, 1).unwrap();
    assert_eq!((whole.sampled, whole.values[0].len()), (None, 48));
    let same = Products::sampled(&network, &path, &engine, &lags, 1, 48).unwrap();
    assert_eq!(same, whole);
    for rows in [12, 47] {
        let sample = Products::sampled(&network, &path, &engine, &lags, 1, rows).unwrap();
        assert_eq!((sample.sampled, sample.values[0].len()), (Some(rows), rows));
        let most = (48.0 / rows as f64).sqrt();
        for (found, want) in sample.largest().iter().zip(whole.largest()) {
            // The bound from above holds but for roundings; from below a unit vector has (rows / 48) of its square in the sample, on
            // average, and hardly ever less than a quarter of that.
            assert!(*found <= most * want * (1.0 + 1e-12) && *found >= 0.5 * want, "{rows}: {found} {want}");
        }
    }
    assert!(Products::sampled(&network, &path, &engine, &lags, 1, 0).is_err());
}

#[test]
fn what_cannot_be_asked() {
    let model = model("lstm", 4, 1);
    let (network, path, engine) = path(&model, 10);
    let flow = |lags, ends| Flow::new(&network, &path, &engine, FlowSettings { lags, ends }).unwrap_err().to_string();
    assert_eq!(
        flow(10, 1),
        "the text or series has 9 steps, this needs at least 10; give a longer one, or look back over fewer steps"
    );
    assert_eq!(flow(0, 1), "the number of lags is 0; it must be at least 1");
    assert_eq!(flow(3, 0), "the number of losses is 0; it must be at least 1");
    let short = Path::new(&network, &engine, &ids(1)).unwrap_err();
    assert_eq!(short, AnalysisError::TooShort { found: 0, least: 1 });
    assert!(Products::new(&network, &path, &engine, &[], 1).is_err());
    assert!(Products::new(&network, &path, &engine, &[0, 2], 1).is_err());
    assert!(Products::new(&network, &path, &engine, &[10], 1).is_err());
    assert!(Products::new(&network, &path, &engine, &[9], 1).is_ok());
    assert!(Lyapunov::new(&network, &path, &engine, 0).is_err());
    assert!(Lyapunov::new(&network, &path, &engine, 3).is_err());
    let broken = model_with(config("lstm", 2, 1), |name, values| {
        if name == "readout.bias" {
            values[0] = f32::NAN;
        }
    });
    assert_eq!(Network::new(&broken).unwrap_err(), AnalysisError::NotFinite);
}

/// A feed-forward network with a copy of the weights for each step has, summed over the copies, the recurrent network's gradient.
#[test]
fn the_unfolded_network_has_the_gradient_of_bptt() {
    for (cell, layers) in REGISTRY.iter().map(|entry| (entry.name, 1)).chain([("lstm", 3), ("gru", 2)]) {
        let model = model(cell, 4, layers);
        let (network, path, engine) = path(&model, 11);
        let unfolded = Unfolded::new(&network, &path, 10).unwrap();
        let whole = elman_run::analysis::bptt(&network, &path, &engine, 10).unwrap();
        assert!((unfolded.loss - whole.loss).abs() < 1e-13);
        // Two engines and two orders of sums, some dozen terms.
        assert!(unfolded.difference(&whole) < 1e-12, "{cell}: {}", unfolded.difference(&whole));
        let window = elman_run::analysis::bptt_over(&network, &path, &engine, 0..10).unwrap();
        assert_eq!(window, whole);
        let other = elman_run::analysis::bptt(&network, &path, &engine, 9).unwrap();
        assert!(unfolded.difference(&other) > 1e-3, "{cell}: a gradient of other steps is another");
        assert_eq!(unfolded.norms.iter().map(Vec::len).collect::<Vec<_>>(), vec![10; whole.gradients.len()]);
        for (p, (shares, gradient)) in unfolded.shares.iter().zip(&whole.gradients).enumerate() {
            let sum = if gradient.iter().any(|g| *g != 0.0) { 1.0 } else { 0.0 };
            // Ten quotients' roundings, and those of the sum that they are parts of.
            assert!((shares.iter().sum::<f64>() - sum).abs() < 1e-11, "{cell}: {shares:?}");
            let whole_norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            // A projection is no longer than what is projected.
            let fits = |(share, norm): (&f64, &f64)| share.abs() * whole_norm <= norm * (1.0 + 1e-9);
            assert!(shares.iter().zip(&unfolded.norms[p]).all(fits), "{cell}: {shares:?}");
        }
    }
}

/// Where the layers are linear in what they carry; and a window's gradient is that of a text which begins there.
#[test]
fn a_scan_and_a_window_have_the_gradient_of_bptt() {
    for (cell, layers) in [("min-gru", 2), ("min-lstm", 1), ("lru", 1)] {
        let (network, path, engine) = path(&model(cell, 4, layers), 21);
        let whole = elman_run::analysis::bptt(&network, &path, &engine, 20).unwrap();
        let scan = elman_run::analysis::scanned(&network, &path, &engine, 20).unwrap().unwrap();
        assert!((scan.loss - whole.loss).abs() < 1e-13, "{cell}");
        for (got, want) in scan.gradients.iter().zip(&whole.gradients) {
            let largest = want.iter().fold(f64::MIN_POSITIVE, |most, x| most.max(x.abs()));
            // Sums of twenty steps in another order.
            assert!(got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-11 * largest), "{cell}");
        }
        let (first, second) = [0..10, 10..20]
            .map(|window| elman_run::analysis::bptt_over(&network, &path, &engine, window).unwrap())
            .into();
        assert!((first.loss + second.loss - 2.0 * whole.loss).abs() < 1e-13, "{cell}: the state goes on");
        assert_ne!(first.gradients, second.gradients);
    }
    let (network, path, engine) = path(&model("lstm", 4, 1), 5);
    assert_eq!(elman_run::analysis::scanned(&network, &path, &engine, 4), Ok(None));
    let error = elman_run::analysis::bptt_over(&network, &path, &engine, 2..6).unwrap_err();
    assert_eq!(error, AnalysisError::TooShort { found: 4, least: 6 });
}

/// All steps at once, and one step after the other: the same gradient, which is not that through time.
#[test]
fn outputs_from_targets_need_no_step_to_wait() {
    use elman_run::analysis::{bptt, bptt_over, from_targets};
    for layers in [1, 2] {
        let (network, path, engine) = path(&model("jordan", 4, layers), 13);
        let at_once = from_targets(&network, &path, &engine, 0..12).unwrap().unwrap();
        let whole = bptt(&network, &path, &engine, 12).unwrap();
        // The path's outputs are the network's own: the loss is that of running freely.
        assert!((at_once.loss - whole.loss).abs() < 1e-13);
        assert_ne!(at_once.gradients, whole.gradients);
        let mut sum: Vec<Vec<f64>> = at_once.gradients.iter().map(|g| vec![0.0; g.len()]).collect();
        for t in 0..12 {
            let step = bptt_over(&network, &path, &engine, t..t + 1).unwrap();
            assert!(step.bytes < at_once.bytes);
            for (sum, own) in sum.iter_mut().flatten().zip(step.gradients.iter().flatten()) {
                *sum += own / 12.0;
            }
        }
        for (found, want) in at_once.gradients.iter().flatten().zip(sum.iter().flatten()) {
            // Sums of twelve steps in another order.
            assert!((found - want).abs() < 1e-13, "{found} {want}");
        }
    }
    for cell in ["elman", "lstm", "gru", "mgu", "output-feedback"] {
        let (network, path, engine) = path(&model(cell, 4, 1), 5);
        assert_eq!(from_targets(&network, &path, &engine, 0..4), Ok(None), "{cell}");
    }
}

/// The first deck's rules for an MLP, written out with a matrix for each layer: δ^L = (ŷ - y) at the output, δ^{r-1} = (Σ δ^r θ^r) f'(z).
#[test]
fn the_unfolded_network_is_the_decks_mlp() {
    let h = 4;
    let model = model("elman", h, 1);
    let (network, path, _) = path(&model, 8);
    let l = &network.layers()[0];
    let named = |name: &str| &l.parameters[l.layer.parameters().iter().position(|p| p.name == name).unwrap()];
    let (w, u, b) = (named("weight_ih"), named("weight_hh"), named("bias_ih"));
    let (steps, e) = (7, 5);
    let mut hidden = vec![vec![0.0; h]];
    for t in 0..steps {
        let x = network.embed(path.ids()[t]);
        let z = |i: usize| {
            let input: f64 = (0..e).map(|j| w[i * e + j] * x[j]).sum();
            let before: f64 = (0..h).map(|j| u[i * h + j] * hidden[t][j]).sum();
            input + before + b[i]
        };
        hidden.push((0..h).map(|i| z(i).tanh()).collect());
    }
    let mut sum = vec![0.0; h * h];
    let mut from_above = vec![0.0; h];
    for t in (0..steps).rev() {
        let (_, d_y) = network.loss(&hidden[t + 1], path.ids()[t + 1]);
        let delta: Vec<f64> = (0..h)
            .map(|i| (d_y[i] / steps as f64 + from_above[i]) * (1.0 - hidden[t + 1][i] * hidden[t + 1][i]))
            .collect();
        (0..h * h).for_each(|k| sum[k] += delta[k / h] * hidden[t][k % h]);
        from_above = (0..h).map(|j| (0..h).map(|i| delta[i] * u[i * h + j]).sum()).collect();
    }
    let unfolded = Unfolded::new(&network, &path, steps).unwrap();
    let at = l.layer.parameters().iter().position(|p| p.name == "weight_hh").unwrap();
    let largest = sum.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    for (found, want) in unfolded.gradients[at].iter().zip(&sum) {
        assert!((found - want).abs() < 1e-13 * largest, "{found} {want}");
    }
}

/// Each loss by itself, back to each step: what the flow of that loss alone has at each lag.
#[test]
fn single_paths_are_those_of_each_loss() {
    for cell in ["elman", "lstm", "gru", "indrnn"] {
        let (network, path, engine) = path(&model(cell, 4, 2), 13);
        let paths = Paths::new(&network, &path, &engine, 7).unwrap();
        assert_eq!((paths.first, paths.norms.len()), (5, 7));
        for (i, row) in paths.norms.iter().enumerate() {
            let lags = i + 1;
            let alone = path.beginning(paths.first + lags);
            let flow = Flow::new(&network, &alone, &engine, FlowSettings { lags, ends: 1 }).unwrap();
            let mut parameters: Vec<_> = flow.parameters.iter().filter(|p| p.name.starts_with("weight_hh")).collect();
            if parameters.is_empty() {
                parameters.push(&flow.parameters[0]);
            }
            assert_eq!(row.len(), lags);
            for (lag, got) in row.iter().rev().enumerate() {
                let want = parameters.iter().map(|p| p.norms[lag] * p.norms[lag]).sum::<f64>().sqrt();
                assert!((got - want).abs() <= 1e-12 * want, "{cell}: {got}, expected {want}");
            }
        }
        // More than there are steps: all of them.
        assert_eq!(Paths::new(&network, &path, &engine, 50).unwrap().norms.len(), 12);
        assert!(Paths::new(&network, &path, &engine, 0).is_err());
    }
}

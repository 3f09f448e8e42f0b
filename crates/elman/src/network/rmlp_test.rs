use super::*;
use crate::network::testing::{Golden, doubled, gradient_check, numbers, parameters, tensor};
use crate::network::{SequenceModel, Series, SystemModel};
use crate::random::Random;
use crate::train::Network;

fn config(recurrent_output: bool, activation: Activation) -> RmlpConfig {
    RmlpConfig { recurrent_output, activation, ..RmlpConfig::new(2, &[4, 3], 2) }
}

/// The equations by loops, one row.
fn by_hand(network: &Rmlp, x: &[Vec<f64>], f: fn(f64) -> f64) -> Vec<Vec<f64>> {
    let p = parameters(network);
    let product = |w: &[f64], x: &[f64]| -> Vec<f64> {
        w.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    };
    let step = |path: &str, x: &[f64], h: &[f64], f: fn(f64) -> f64| -> Vec<f64> {
        let (w, v) = (&p[&format!("{path}.weight_ih_l0")], &p[&format!("{path}.weight_hh_l0")]);
        let sums = product(w, x).into_iter().zip(product(v, h)).zip(&p[&format!("{path}.bias_ih_l0")]);
        sums.map(|((a, b), c)| f(a + b + c)).collect()
    };
    let (mut h1, mut h2, mut y) = (vec![0.0; 4], vec![0.0; 3], vec![0.0; 2]);
    let mut ys = Vec::new();
    for x in x {
        h1 = step("hidden.layers.0", x, &h1, f);
        h2 = step("hidden.layers.1", &h1, &h2, f);
        y = match p.get("output.weight") {
            Some(w) => product(w, &h2).iter().zip(&p["output.bias"]).map(|(a, b)| a + b).collect(),
            None => step("recurrent_output", &h2, &y, |a| a),
        };
        ys.push(y.clone());
    }
    ys
}

#[test]
fn it_is_its_equations() {
    let device = Device::flex();
    for (recurrent_output, activation, f) in [
        (false, Activation::Tanh, f64::tanh as fn(f64) -> f64),
        (true, Activation::Sigmoid, |a| 1.0 / (1.0 + (-a).exp())),
    ] {
        let network = doubled(config(recurrent_output, activation).init(2, &device).unwrap());
        let x = tensor([9, 1, 2], "x", &device);
        let rows: Vec<Vec<f64>> = numbers(x.clone()).chunks(2).map(<[f64]>::to_vec).collect();
        let want: Vec<f64> = by_hand(&network, &rows, f).into_iter().flatten().collect();
        let (y, state) = network.forward(x.clone(), None);
        let y = numbers(y);
        // f64 sums of a few terms over nine steps.
        assert!(y.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-13), "{y:?} {want:?}");
        assert_eq!(state.layers.len(), 2 + usize::from(recurrent_output));
        assert_eq!(network.widths(), [2, 2]);

        // In two pieces, with the state between.
        let (first, between) = network.forward(x.clone().slice_dim(0, 0..4), None);
        let (second, _) = network.forward(x.slice_dim(0, 4..9), Some(between));
        let pieces = [numbers(first), numbers(second)].concat();
        assert!(pieces.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-14));
    }
}

#[test]
fn gradients_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    for recurrent_output in [false, true] {
        gradient_check(config(recurrent_output, Activation::Tanh).init(3, &device).unwrap(), |network| {
            let (y, state) = network.forward(tensor([6, 2, 2], "x", &device), None);
            let d_y = tensor(y.dims(), "d y", &device);
            let last = state.layers.last().unwrap()[0].clone();
            let d_last = tensor(last.dims(), "d state", &device);
            (y * d_y).sum() + (last * d_last).sum()
        });
    }
}

#[test]
fn as_a_model_without_feedback_both_predictions_are_one() {
    let device = Device::flex();
    let network = doubled(RmlpConfig::new(1, &[4], 1).init(1, &device).unwrap());
    let model = SequenceModel::new(network, 2, false).unwrap();
    let wave: Vec<f64> = (0..20).map(|t| (0.9 * f64::from(t)).sin()).collect();
    let series = Series::new(wave.clone(), 1, wave, 1).unwrap();
    let ahead = model.one_step(&series).unwrap();
    assert_eq!((model.first(), ahead.len()), (2, 18));
    assert_eq!(model.free_run(series.u(), &series.y()[..6]).unwrap(), ahead[4..]);
    // It has never seen the output.
    assert_eq!(model.free_run(series.u(), &[1e6; 6]).unwrap(), ahead[4..]);
}

#[test]
fn what_cannot_be_made_is_an_error() {
    let message = |config: RmlpConfig| config.init(1, &Device::flex()).unwrap_err().to_string();
    let line = "the number of hidden layers is 0, which is not in 1..=1000000";
    assert_eq!(message(RmlpConfig::new(1, &[], 1)), line);
    let line = "the width of a hidden layer is 0, which is not in 1..=1000000";
    assert_eq!(message(RmlpConfig::new(1, &[3, 0], 1)), line);
    assert_eq!(message(RmlpConfig::new(1, &[3], 0)), "the number of outputs is 0, which is not in 1..=1000000");
}

#[test]
fn the_goldens_are_met() {
    let device = Device::flex().autodiff();
    for (name, recurrent_output) in [("rmlp", false), ("rmlp-recurrent-output", true)] {
        let golden = Golden::read(name);
        let x = golden.leaf::<3>("x", &device);
        let outputs = golden.shape("y")[2];
        let config = RmlpConfig { recurrent_output, ..RmlpConfig::new(x.dims()[2], &[5, 4], outputs) };
        let network = golden.fill(config.init(1, &device).unwrap());
        let count = 2 + usize::from(recurrent_output);
        let state: Vec<Tensor<2>> = (0..count).map(|k| golden.leaf(&format!("state0_{k}"), &device)).collect();
        let layers = state.iter().map(|h| vec![h.clone()]).collect();
        let (y, last) = network.forward(x.clone(), Some(State { layers }));
        let mut loss = golden.part("y", y);
        for (k, values) in last.layers.iter().enumerate() {
            loss = loss + golden.part(&format!("state_{k}"), values[0].clone());
        }
        let d = loss.backward();
        golden.compare_gradients(&network, &d);
        golden.compare_leaf("x", &x, &d);
        for (k, h) in state.iter().enumerate() {
            golden.compare_leaf(&format!("state0_{k}"), h, &d);
        }
    }
}

#[test]
fn as_a_model_of_a_system_its_gradients_are_those_of_central_differences() {
    let golden = Golden::read("system");
    let (batch, units) = golden.recorded();
    let [inputs, outputs] = batch.channels;
    for (feedback, width) in [(true, inputs + outputs), (false, inputs)] {
        let network = RmlpConfig::new(width, &[3, 2], outputs).init(2, &Device::flex().autodiff()).unwrap();
        let model = SequenceModel::new(network, 1, feedback).unwrap().with_units(units.clone());
        gradient_check(model, |model| model.loss(&batch, None, &mut Random::new(1, "")).0);
    }
}

#[test]
fn as_a_model_of_a_system_it_meets_the_golden() {
    let device = Device::flex().autodiff();
    let golden = Golden::read("system");
    let ((batch, units), orders) = (golden.recorded(), golden.sizes("orders"));
    let [inputs, outputs] = batch.channels;
    let network = RmlpConfig::new(inputs + outputs, &[5, 4], outputs).init(1, &device).unwrap();
    let model = golden.fill(SequenceModel::new(network, orders[2], true).unwrap()).with_units(units);
    let d = golden.part("loss", model.loss(&batch, None, &mut Random::new(1, "")).0).backward();
    golden.compare_gradients(&model, &d);
    let (u, y) = (golden.first_row("u"), golden.first_row("y"));
    golden.compare("free_run", &model.free_run(&u, &y[..batch.warm_up * outputs]).unwrap());
    golden.compare("one_step", &model.one_step(&Series::new(u, inputs, y, outputs).unwrap()).unwrap());
}

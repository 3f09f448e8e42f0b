use super::*;
use crate::network::StackLayer;
use crate::network::testing::{Golden, doubled, gradient_check, numbers, parameters, tensor, with};
use elman_core::cells::{Elman, find};

const T: usize = 4;
const B: usize = 3;

fn config(internal_steps: usize, hold: Hold) -> DeepConfig {
    let stack = StackConfig::new(5, ["gru", "elman"].map(|c| StackLayer::new((find(c).unwrap().make)(), 3)).to_vec());
    let new = DeepConfig::new(stack, 2);
    DeepConfig { inputs: 2, before: vec![4, 5], after: vec![6], internal_steps, hold, ..new }
}

#[test]
fn it_is_its_parts_step_by_step() {
    let device = Device::flex();
    for (k, hold) in [(1, Hold::Repeat), (3, Hold::Repeat), (3, Hold::Zero)] {
        let network = doubled(config(k, hold).init(1, &device).unwrap());
        let x = tensor([T, B, 2], "x", &device);
        let (y, last) = network.forward(x.clone(), None);
        assert_eq!(network.widths(), [2, 2]);
        let mut state = None;
        let mut outputs = Vec::new();
        for t in 0..T {
            let a = network.before.as_ref().unwrap().forward_steps(x.clone().slice_dim(0, t..t + 1));
            let mut h = None;
            for j in 0..k {
                let input = if j > 0 && hold == Hold::Zero { a.zeros_like() } else { a.clone() };
                let (output, after) = network.stack.forward(input, state);
                (h, state) = (Some(output), Some(after));
            }
            outputs.push(network.after.forward_steps(h.unwrap()));
        }
        let close = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-14);
        // Products of other sizes may be summed in another order.
        assert!(close(numbers(y), numbers(Tensor::cat(outputs, 0))), "{k} {hold:?}");
        for (a, b) in last.layers.into_iter().flatten().zip(state.unwrap().layers.into_iter().flatten()) {
            assert!(close(numbers(a), numbers(b)), "{k} {hold:?}");
        }
    }
}

#[test]
fn rows_may_have_lengths() {
    let device = Device::flex();
    let network = doubled(config(3, Hold::Repeat).init(1, &device).unwrap());
    let x = tensor([T, B, 2], "x", &device);
    let lengths: Arc<[usize]> = [2, 4, 1].into();
    let (y, _) = network.run(x.clone(), None, Some(lengths.clone()), None);
    for b in 0..B {
        let place = [0..lengths[b], b..b + 1];
        let (want, _) = network.forward(x.clone().slice(place.clone()), None);
        let found = numbers(y.clone().slice(place));
        assert!(found.iter().zip(numbers(want)).all(|(a, b)| (a - b).abs() < 1e-14), "row {b}");
    }
}

#[test]
fn gradients_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    for hold in [Hold::Repeat, Hold::Zero] {
        gradient_check(config(2, hold).init(3, &device).unwrap(), |network| {
            let (y, last) = network.forward(tensor([T, B, 2], "x", &device), None);
            let d_y = tensor(y.dims(), "d y", &device);
            (y * d_y).sum() + (last.layers[0][0].clone() * tensor([B, 3], "d state", &device)).sum()
        });
    }
}

/// With k internal steps, the error's way through T inputs has k T transitions: the same factor that the fourth deck gives for
/// k layers in a transition. The unit is linear, h ← w h + x, so that ∂h / ∂h_0 = w^n over n transitions, and its logarithm counts them.
#[test]
fn with_k_internal_steps_the_path_of_the_error_grows_by_the_factor_k() {
    const W: f64 = 0.5;
    let device = Device::flex().autodiff();
    let linear = Arc::new(Elman { activation: Activation::Identity });
    for k in 1..=4 {
        let stack = StackConfig::new(1, vec![StackLayer::new(linear.clone(), 1)]);
        let config = DeepConfig { internal_steps: k, ..DeepConfig::new(stack, 1) };
        let network = doubled(config.init(1, &device).unwrap());
        let values = parameters(&network).into_keys().map(|name| {
            let value = match &name[..] {
                "stack.layers.0.weight_hh_l0" => W,
                "after.layers.0.weight" => 1.0,
                _ => 0.0,
            };
            (name, vec![value])
        });
        let network = with(network, &values.collect());
        let x = Tensor::<3>::zeros([T, 1, 1], (&device, burn::tensor::DType::F64));
        let h0 = Tensor::<2>::zeros([1, 1], (&device, burn::tensor::DType::F64)).require_grad();
        let (y, _) = network.forward(x, Some(State { layers: vec![vec![h0.clone()]] }));
        let d = y.slice_dim(0, T - 1..T).sum().backward();
        let path = numbers(h0.grad(&d).unwrap())[0].ln() / W.ln();
        // The powers of 1/2 are exact, their logarithms to 1e-15.
        assert!((path - (k * T) as f64).abs() < 1e-12, "{k} internal steps: {path}");
    }
}

#[test]
fn what_cannot_be_made_is_an_error() {
    let message = |config: DeepConfig| config.init(1, &Device::flex()).unwrap_err().to_string();
    let line = "the number of internal steps is 0, which is not in 1..=1000000";
    assert_eq!(message(config(0, Hold::Repeat)), line);
    let line = "layer 0 takes inputs of width 5, and what comes before it has width 2";
    assert_eq!(message(DeepConfig { before: Vec::new(), ..config(1, Hold::Repeat) }), line);
    let line = "the width of a dense layer is 0, which is not in 1..=1000000";
    assert_eq!(message(DeepConfig { before: vec![0, 5], ..config(1, Hold::Repeat) }), line);
    assert_eq!(message(DeepConfig { outputs: 0, ..config(1, Hold::Repeat) }), line);
    let none = StackConfig::new(5, Vec::new());
    let line = "the number of layers is 0, which is not in 1..=1000000";
    assert_eq!(message(DeepConfig { stack: none, ..config(1, Hold::Repeat) }), line);
}

#[test]
fn the_goldens_are_met() {
    let device = Device::flex().autodiff();
    for (name, hold) in [("deep", Hold::Repeat), ("deep-zero", Hold::Zero)] {
        let golden = Golden::read(name);
        let layer = |cell: &str, hidden| StackLayer::new((find(cell).unwrap().make)(), hidden);
        let stack = StackConfig::new(5, vec![layer("gru", 3), layer("elman", 4)]);
        let new = DeepConfig::new(stack, 2);
        let config = DeepConfig { inputs: 2, before: vec![4, 5], after: vec![6], internal_steps: 3, hold, ..new };
        let network = golden.fill(config.init(1, &device).unwrap());
        let x = golden.leaf::<3>("x", &device);
        let state = ["h0_l0", "h0_l1"].map(|name| golden.leaf::<2>(name, &device));
        let layers = state.iter().map(|h| vec![h.clone()]).collect();
        let lengths = golden.sizes("lengths").into();
        let (y, last) = network.run(x.clone(), Some(State { layers }), Some(lengths), None);
        let [lower, upper] = [0, 1].map(|l| last.layers[l][0].clone());
        let d = (golden.part("y", y) + golden.part("h_l0", lower) + golden.part("h_l1", upper)).backward();
        golden.compare_gradients(&network, &d);
        golden.compare_leaf("x", &x, &d);
        golden.compare_leaf("h0_l0", &state[0], &d);
        golden.compare_leaf("h0_l1", &state[1], &d);
    }
}

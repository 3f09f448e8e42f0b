use super::*;
use crate::network::testing::{Golden, Numbers, gradients, numbers, tensor, with};
use crate::recurrent::RecurrentConfig;
use burn::tensor::Device;
use elman_core::cells::find;
use elman_core::{Sizes, Zoneout};

const T: usize = 7;
const B: usize = 3;

fn network(device: &Device) -> OutputFed {
    let config = RecurrentConfig::new((find("jordan").unwrap().make)(), Sizes { input: 2, hidden: 5, output: 4 });
    OutputFed::new(with(config.init(3, device).unwrap(), &Numbers::new())).unwrap()
}

/// Sums of some tens of terms around 1 in another order.
fn assert_near(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).for_each(|(a, b)| assert!((a - b).abs() <= 1e-13, "{a}, expected {b}"));
}

#[test]
fn all_at_once_in_chunks_and_one_by_one_give_the_same_outputs_and_gradients() {
    let device = Device::flex().autodiff();
    let network = network(&device);
    let x = tensor([T, B, 2], "x", &device);
    let targets = tensor([T, B, 4], "targets", &device);
    let first = tensor([B, 4], "first", &device);
    // By hand: one step after another, the state replaced by the target.
    let mut state = first.clone();
    let mut by_hand = Vec::new();
    for t in 0..T {
        let given = Some(State { layers: vec![vec![state]] });
        by_hand.push(network.recurrent().forward(x.clone().slice_dim(0, t..t + 1), given).0);
        state = targets.clone().slice_dim(0, t..t + 1).reshape([B, 4]);
    }
    let by_hand = Tensor::cat(by_hand, 0);
    let loss = |y: Tensor<3>, range: Range<usize>| (y - targets.clone().slice_dim(0, range)).powi_scalar(2).sum();
    let rnn = network.recurrent();
    let want = gradients(rnn, &loss(by_hand.clone(), 0..T).backward());
    assert!(want.values().flatten().any(|d| d.abs() > 1e-2));
    for steps in [1, 2, 3, T, 100] {
        let (mut outputs, mut sum) = (Vec::new(), Numbers::new());
        for (y, range) in network.chunks(x.clone(), targets.clone(), first.clone(), steps) {
            outputs.extend(numbers(y.clone()));
            for (name, d) in gradients(rnn, &loss(y, range).backward()) {
                let total = sum.entry(name).or_insert_with(|| vec![0.0; d.len()]);
                total.iter_mut().zip(d).for_each(|(a, b)| *a += b);
            }
        }
        assert_near(&outputs, &numbers(by_hand.clone()));
        want.iter().for_each(|(name, d)| assert_near(&sum[name], d));
    }
    assert_near(&numbers(network.at_once(x.clone(), targets.clone(), first.clone())), &numbers(by_hand.clone()));
    // Free running is another thing.
    let free = numbers(network.free_run(x, first));
    assert!(free.iter().zip(numbers(by_hand)).any(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn other_layers_are_refused() {
    let device = Device::flex();
    let make = |cell: &str, layers: usize| {
        let cell = (find(cell).unwrap().make)();
        let config = RecurrentConfig { layers, ..RecurrentConfig::new(cell, Sizes { input: 2, hidden: 3, output: 2 }) };
        OutputFed::new(config.init(1, &device).unwrap()).err()
    };
    assert_eq!(make("jordan", 1), None);
    assert_eq!(make("jordan", 2), Some(OutputFedError::Stack { layers: 2 }));
    assert_eq!(
        make("output-feedback", 1),
        Some(OutputFedError::Carries { cell: "output-feedback", carried: "s, y".into() })
    );
    let jordan = Zoneout { output: 0.2, others: 0.0 }.around((find("jordan").unwrap().make)()).unwrap();
    let config = RecurrentConfig::new(jordan, Sizes { input: 2, hidden: 3, output: 2 });
    let error = OutputFed::new(config.init(1, &device).unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("cell `jordan:zoneout=0.2` draws at every step ("), "{error}");
}

#[test]
fn the_goldens_are_met() {
    let device = Device::flex().autodiff();
    for (name, forced) in [("output-fed", true), ("output-fed-free-run", false)] {
        let golden = Golden::read(name);
        let (x, first) = (golden.leaf::<3>("x", &device), golden.leaf::<2>("first", &device));
        let sizes = Sizes { input: x.dims()[2], hidden: golden.values("bias_ih_l0").len(), output: first.dims()[1] };
        let config = RecurrentConfig::new((find("jordan").unwrap().make)(), sizes);
        let network = OutputFed::new(golden.fill(config.init(1, &device).unwrap())).unwrap();
        let targets = forced.then(|| golden.leaf::<3>("targets", &device));
        let y = match &targets {
            Some(targets) => network.at_once(x.clone(), targets.clone(), first.clone()),
            None => network.free_run(x.clone(), first.clone()),
        };
        let d = golden.part("y", y).backward();
        golden.compare_gradients(network.recurrent(), &d);
        golden.compare_leaf("x", &x, &d);
        golden.compare_leaf("first", &first, &d);
        if let Some(targets) = targets {
            golden.compare_leaf("targets", &targets, &d);
        }
    }
}

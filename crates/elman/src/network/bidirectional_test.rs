use super::*;
use crate::network::testing::{Golden, doubled, gradient_check, gradients, numbers, tensor};
use crate::parameters::{self, Named};
use crate::recurrent::Path;
use elman_core::cells::find;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;

const T: usize = 5;
const B: usize = 3;
const I: usize = 2;

fn config(cell: &str, layers: usize, merge: Merge) -> BidirectionalConfig {
    let sizes = Sizes { input: I, hidden: 4, output: 3 };
    BidirectionalConfig { layers, merge, ..BidirectionalConfig::new((find(cell).unwrap().make)(), sizes) }
}

fn lengths() -> Option<Arc<[usize]>> {
    Some([3, 5, 1].into())
}

/// A state of every layer and direction.
fn state(network: &Bidirectional, rows: usize, device: &Device) -> State {
    let layers = network.layers().iter().flatten().enumerate().map(|(l, layer)| {
        let widths = layer.layers()[0].state_widths().into_iter().enumerate();
        widths.map(|(k, w)| tensor([rows, w], &format!("state {l} {k}"), device)).collect()
    });
    State { layers: layers.collect() }
}

/// Columns `row` of a sequence, its first `steps` steps.
fn row(x: &Tensor<3>, row: usize, steps: usize) -> Tensor<3> {
    let width = x.dims()[2];
    x.clone().slice([0..steps, row..row + 1, 0..width])
}

#[test]
fn it_is_one_run_ahead_and_one_over_the_turned_sequence() {
    let device = Device::flex();
    for (cell, merge) in [("lstm", Merge::Concat), ("gru", Merge::Sum), ("lstm-projected", Merge::Concat)] {
        let network = doubled(config(cell, 2, merge).init(3, &device).unwrap());
        let initial = state(&network, B, &device);
        let x = tensor([T, B, I], "x", &device);
        let (y, last) = network.run(Input::Dense(x.clone()), Some(initial.clone()), None, None);

        let mut input = x;
        let mut states = Vec::new();
        for (l, [forward, reverse]) in network.layers().iter().enumerate() {
            let start = |d: usize| Some(State { layers: vec![initial.layers[2 * l + d].clone()] });
            let (h, ahead) = forward.forward(input.clone(), start(0));
            let (g, back) = reverse.forward(input.flip([0]), start(1));
            states.extend(ahead.layers.into_iter().chain(back.layers));
            let g = g.flip([0]);
            input = match merge {
                Merge::Concat => Tensor::cat(vec![h, g], 2),
                Merge::Sum => h + g,
            };
        }
        // The engine promises the same bits.
        assert_eq!(numbers(y), numbers(input), "{cell}");
        for (found, want) in last.layers.into_iter().flatten().zip(states.into_iter().flatten()) {
            assert_eq!(numbers(found), numbers(want), "{cell}");
        }
    }
}

#[test]
fn a_padded_batch_is_each_row_alone_and_padding_never_leaks() {
    let device = Device::flex();
    for merge in [Merge::Concat, Merge::Sum] {
        let network = doubled(config("lstm", 3, merge).init(4, &device).unwrap());
        let initial = state(&network, B, &device);
        let lengths = lengths().unwrap();
        let x = tensor([T, B, I], "x", &device);
        // What stands beyond a row's length must not matter, however large.
        let mut values = numbers(x.clone());
        for (t, b) in (0..T).flat_map(|t| (0..B).map(move |b| (t, b))).filter(|&(t, b)| t >= lengths[b]) {
            values[(t * B + b) * I..][..I].fill(1e30);
        }
        let padded = Tensor::from_data(burn::tensor::TensorData::new(values, [T, B, I]), (&device, x.dtype()));
        for path in [Path::Fused, Path::Portable] {
            let network = network.clone().map_layers(|layer| layer.with_path(path));
            let input = Input::Dense(padded.clone());
            let (y, last) = network.run(input, Some(initial.clone()), Some(lengths.clone()), None);
            for b in 0..B {
                let alone = State {
                    layers: initial
                        .layers
                        .iter()
                        .map(|layer| layer.iter().map(|s| s.clone().slice_dim(0, b..b + 1)).collect())
                        .collect(),
                };
                let (want, want_last) = network.run(Input::Dense(row(&x, b, lengths[b])), Some(alone), None, None);
                let close = |a: Vec<f64>, b: Vec<f64>| match path {
                    // The engine promises the same bits; tensor operations may sum a batch in another order than a row.
                    Path::Fused => a == b,
                    _ => a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-14),
                };
                assert!(close(numbers(row(&y, b, lengths[b])), numbers(want)), "{path:?}, row {b}");
                let states = last.layers.iter().flatten().zip(want_last.layers.into_iter().flatten());
                for (found, want) in states {
                    assert!(close(numbers(found.clone().slice_dim(0, b..b + 1)), numbers(want)), "{path:?}, row {b}");
                }
                let beyond = y.clone().slice([lengths[b]..T, b..b + 1]);
                assert!(lengths[b] == T || numbers(beyond).iter().all(|&v| v == 0.0), "{path:?}, row {b}");
            }
        }
    }
}

#[test]
fn gradients_through_both_directions_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    for (merge, lengths) in [(Merge::Concat, lengths()), (Merge::Sum, None)] {
        let sizes = Sizes::new(I, 2);
        let network = BidirectionalConfig { sizes, ..config("lstm", 2, merge) }.init(5, &device).unwrap();
        gradient_check(network, |network| {
            let initial = state(network, B, &device);
            let x = Input::Dense(tensor([T, B, I], "x", &device));
            let (y, last) = network.run(x, Some(initial), lengths.clone(), None);
            let d_y = tensor(y.dims(), "d y", &device);
            let mut loss = (y * d_y).sum();
            for (k, s) in last.layers.into_iter().flatten().enumerate() {
                let d_s = tensor(s.dims(), &format!("d state {k}"), &device);
                loss = loss + (s * d_s).sum();
            }
            loss
        });
    }
}

/// y_0 has a gradient by x_{T-1}: through the reverse direction alone; y_{T-1} by x_0: through the other.
#[test]
fn every_output_depends_on_every_input() {
    let device = Device::flex().autodiff();
    let network = doubled(config("gru", 1, Merge::Sum).init(6, &device).unwrap());
    for (output, input) in [(0, T - 1), (T - 1, 0)] {
        let x = tensor([T, B, I], "x", &device).require_grad();
        let (y, _) = network.forward(x.clone(), None);
        let d = y.slice_dim(0, output..output + 1).sum().backward();
        let d = numbers(x.grad(&d).unwrap().slice_dim(0, input..input + 1));
        assert!(d.iter().all(|d| d.abs() > 1e-6), "output {output} by input {input}: {d:?}");
    }
}

#[test]
fn names_are_pytorchs_and_every_parameter_is_drawn_for_itself() {
    let device = Device::flex().autodiff();
    let network = config("gru-reset-after", 2, Merge::Concat).init(1, &device).unwrap();
    let named = parameters::export(&network);
    let names: Vec<String> = ["l0", "l0_reverse", "l1", "l1_reverse"]
        .iter()
        .flat_map(|end| ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(|n| format!("{n}_{end}")))
        .collect();
    assert_eq!(names, named.iter().map(|p| p.name.clone()).collect::<Vec<_>>());
    assert_eq!((&named[0].shape[..], &named[8].shape[..]), (&[12, 2][..], &[12, 8][..]));
    for (k, p) in named.iter().enumerate() {
        assert!(named[..k].iter().all(|q| q.values != p.values), "{}", p.name);
    }
    // What is read back, under these names, is what was written.
    let other = config("gru-reset-after", 2, Merge::Concat).init(2, &device).unwrap();
    let back = parameters::import(other, named.clone()).unwrap();
    assert_eq!(parameters::export(&back), named);
    assert_eq!(Module::num_params(&network), named.iter().map(|p| p.values.len()).sum::<usize>());
}

#[test]
fn dropout_is_between_layers_only() {
    let device = Device::flex();
    let run = |layers, random: Option<&mut Random>| {
        let network = BidirectionalConfig { dropout: 0.5, ..config("elman", layers, Merge::Concat) };
        let network = network.init(1, &device).unwrap();
        let x = Input::Dense(Tensor::ones([T, B, I], &device));
        crate::flex::to_vec(network.run(x, None, None, random).0)
    };
    assert_eq!(run(1, Some(&mut Random::new(1, "masks"))), run(1, None));
    assert_ne!(run(2, Some(&mut Random::new(1, "masks"))), run(2, None));
    assert_eq!(run(2, Some(&mut Random::new(1, "masks"))), run(2, Some(&mut Random::new(1, "masks"))));
}

#[test]
fn what_cannot_be_made_is_an_error() {
    let message = |config: BidirectionalConfig| config.init(1, &Device::flex()).unwrap_err().to_string();
    assert_eq!(message(config("lstm", 0, Merge::Sum)), "the number of layers is 0, which is not in 1..=1000000");
    let dropout = BidirectionalConfig { dropout: 1.0, ..config("lstm", 2, Merge::Sum) };
    assert_eq!(message(dropout), "the dropout probability 1 is not in [0, 1)");
    let hidden = BidirectionalConfig { sizes: Sizes::new(2, 0), ..config("lstm", 1, Merge::Sum) };
    assert_eq!(message(hidden), "hidden size must be at least 1");
    let fed = BidirectionalConfig { cell: Arc::new(Fed {}), ..config("lstm", 1, Merge::Sum) };
    assert_eq!(message(fed), "cell `fed` reads feeds, which this network does not pass on: use `Recurrent` itself");
}

elman_core::cell! {
    /// A cell with a feed.
    #[derive(Clone, Debug)]
    pub struct Fed = "fed" {}
    carry h; output h;
    stage 0 hidden {
        gate a = [x, h];
        feed noise;
    } -> h {
        h = tanh(a + noise);
    }
}

/// The golden file: `nn.LSTM(bidirectional=True, num_layers=2)` in f64, whole rows and packed ones.
fn golden() -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden/networks/bidirectional-lstm.safetensors");
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let read = |view: safetensors::tensor::TensorView| {
        let words = view.data().chunks_exact(8).map(|c| c.try_into().unwrap());
        let values: Vec<f64> = match view.dtype() {
            Dtype::F64 => words.map(f64::from_le_bytes).collect(),
            Dtype::I64 => words.map(|w| i64::from_le_bytes(w) as f64).collect(),
            other => panic!("{other:?}"),
        };
        (view.shape().to_vec(), values)
    };
    file.tensors().into_iter().map(|(name, view)| (name, read(view))).collect()
}

#[test]
fn it_is_pytorchs_bidirectional_lstm() {
    let golden = golden();
    let device = Device::flex().autodiff();
    let get = |name: &str| &golden.get(name).unwrap_or_else(|| panic!("no tensor {name}")).1[..];
    let [input, hidden, _] = get("sizes")[..] else { panic!("sizes") };
    let sizes = Sizes::new(input as usize, hidden as usize);
    let cell = (find("lstm").unwrap().make)();
    let network = BidirectionalConfig { layers: 2, ..BidirectionalConfig::new(cell, sizes) }.init(1, &device).unwrap();
    // Ours has one bias a gate, the sum of PyTorch's two. All values are exact in f32.
    let named = parameters::export(&network).into_iter().map(|Named { name, shape, .. }| {
        let second = name.starts_with("bias_ih").then(|| get(&name.replace("bias_ih", "bias_hh")));
        let values = get(&name).iter().enumerate().map(|(k, v)| (v + second.map_or(0.0, |s| s[k])) as f32).collect();
        Named { name, shape, values }
    });
    let named = named.collect();
    let network = doubled(parameters::import(network, named).unwrap());

    // Sums of some hundred terms around 1, each rounded to 1e-16, in two different orders.
    let compare = |what: &str, found: Vec<f64>| {
        let want = get(what);
        assert_eq!(found.len(), want.len(), "{what}");
        for (a, b) in found.iter().zip(want) {
            assert!((a - b).abs() <= 1e-13 + 1e-10 * b.abs(), "{what}: {a}, PyTorch {b}");
        }
    };
    let leaf = |name: &str| -> Tensor<3> {
        let (shape, values) = &golden[name];
        let data = burn::tensor::TensorData::new(values.clone(), shape.clone());
        Tensor::from_data(data, (&device, burn::tensor::DType::F64)).require_grad()
    };
    for case in ["whole", "lengths"] {
        let lengths: Option<Arc<[usize]>> =
            (case == "lengths").then(|| get("lengths").iter().map(|&l| l as usize).collect());
        // PyTorch's states are (2 layers x 2 directions, B, H).
        let (x, h0, c0) = (leaf("input"), leaf("h0"), leaf("c0"));
        let slot = |s: &Tensor<3>, k: usize| s.clone().slice_dim(0, k..k + 1).squeeze_dim::<2>(0);
        let initial = State { layers: (0..4).map(|k| vec![slot(&h0, k), slot(&c0, k)]).collect() };
        let (y, last) = network.run(Input::Dense(x.clone()), Some(initial), lengths, None);
        let stacked = |which: usize| Tensor::stack::<3>(last.layers.iter().map(|l| l[which].clone()).collect(), 0);
        let (hn, cn) = (stacked(0), stacked(1));
        let loss = (y.clone() * leaf("d_output")).sum()
            + (hn.clone() * leaf("d_hn")).sum()
            + (cn.clone() * leaf("d_cn")).sum();
        compare(&format!("{case}.output"), numbers(y));
        compare(&format!("{case}.hn"), numbers(hn));
        compare(&format!("{case}.cn"), numbers(cn));
        let d = loss.backward();
        for (name, leaf) in [("input", &x), ("h0", &h0), ("c0", &c0)] {
            compare(&format!("{case}.d_{name}"), numbers(leaf.grad(&d).unwrap()));
        }
        for (name, gradient) in gradients(&network, &d) {
            compare(&format!("{case}.d_{name}"), gradient);
        }
    }
}

#[test]
fn the_sum_of_both_directions_meets_its_golden() {
    let device = Device::flex().autodiff();
    let golden = Golden::read("bidirectional-sum");
    let sizes = golden.sizes("sizes");
    let new = BidirectionalConfig::new((find("lstm").unwrap().make)(), Sizes::new(sizes[0], sizes[1]));
    let config = BidirectionalConfig { layers: 2, merge: Merge::Sum, ..new };
    let network = golden.fill(config.init(1, &device).unwrap());
    let x = golden.leaf::<3>("x", &device);
    let initial = [0, 1, 2, 3].map(|k| ["h", "c"].map(|s| golden.leaf::<2>(&format!("{s}0_{k}"), &device)));
    let state = State { layers: initial.iter().map(|values| values.to_vec()).collect() };
    let lengths = golden.sizes("lengths").into();
    let (y, last) = network.run(Input::Dense(x.clone()), Some(state), Some(lengths), None);
    let mut loss = golden.part("y", y);
    for (k, values) in last.layers.into_iter().enumerate() {
        for (s, value) in ["h", "c"].into_iter().zip(values) {
            loss = loss + golden.part(&format!("{s}_{k}"), value);
        }
    }
    let d = loss.backward();
    golden.compare_gradients(&network, &d);
    golden.compare_leaf("x", &x, &d);
    for (k, [h, c]) in initial.iter().enumerate() {
        golden.compare_leaf(&format!("h0_{k}"), h, &d);
        golden.compare_leaf(&format!("c0_{k}"), c, &d);
    }
}

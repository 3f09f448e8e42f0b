use super::*;
use crate::network::testing::{Golden, doubled, gradient_check, numbers, tensor};
use crate::network::{SequenceModel, Series, SystemModel, activation_named};

fn config() -> TdnnConfig {
    let second = Context { dilation: 2, activation: activation_named("sigmoid").unwrap(), ..Context::new(4, 3) };
    let third = Context { activation: activation_named("identity").unwrap(), ..Context::new(2, 1) };
    TdnnConfig { inputs: 3, layers: vec![Context::new(5, 2), second, third] }
}

/// The causal network by loops: x (T, B, inputs) as nested vectors.
fn by_hand(network: &Tdnn, mut x: Vec<Vec<Vec<f64>>>) -> Vec<Vec<Vec<f64>>> {
    for layer in &network.layers {
        let [outputs, inputs, taps] = layer.weight.val().dims();
        let (w, b) = (numbers(layer.weight.val()), numbers(layer.bias.val()));
        let mut y = vec![vec![vec![0.0; outputs]; x[0].len()]; x.len()];
        for (t, row) in (0..x.len()).flat_map(|t| (0..x[0].len()).map(move |row| (t, row))) {
            for o in 0..outputs {
                let mut sum = b[o];
                for (i, k) in (0..inputs).flat_map(|i| (0..taps).map(move |k| (i, k))) {
                    let age = (taps - 1 - k) * layer.dilation;
                    if age <= t {
                        sum += w[(o * inputs + i) * taps + k] * x[t - age][row][i];
                    }
                }
                y[t][row][o] = layer.activation.of(sum);
            }
        }
        x = y;
    }
    x
}

fn nested(x: &Tensor<3>) -> Vec<Vec<Vec<f64>>> {
    let [_, batch, width] = x.dims();
    let values = numbers(x.clone());
    values.chunks(batch * width).map(|step| step.chunks(width).map(<[f64]>::to_vec).collect()).collect()
}

fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

#[test]
fn it_is_a_dilated_convolution_over_time() {
    let device = Device::flex();
    let network = doubled(config().init(1, &device).unwrap());
    assert_eq!((network.reach(), network.widths()), (1 + 4, [3, 2]));
    let x = tensor([11, 2, 3], "x", &device);
    let want: Vec<f64> = by_hand(&network, nested(&x)).into_iter().flatten().flatten().collect();
    // f64 sums of some ten terms around 1.
    let y = numbers(network.forward(x.clone(), None).0);
    assert!(close(&y, &want, 1e-14));
    // Zeros before the beginning have no part in whole windows.
    let windows = numbers(network.forward_windows(x).unwrap());
    assert!(close(&windows, &want[5 * 2 * 2..], 1e-14));
    assert_eq!(windows.len(), 6 * 2 * 2);
}

#[test]
fn pieces_and_single_steps_are_the_whole() {
    let device = Device::flex();
    let network = doubled(config().init(2, &device).unwrap());
    let x = tensor([13, 2, 3], "x", &device);
    let whole = numbers(network.forward(x.clone(), None).0);
    // Pieces shorter than a layer's reach, and longer.
    for cuts in [vec![1, 2, 3, 12, 13], vec![6, 13], (1..=13).collect::<Vec<_>>()] {
        let (mut state, mut y, mut from) = (None, Vec::new(), 0);
        for to in cuts {
            let (piece, after) = network.forward(x.clone().slice_dim(0, from..to), state);
            y.extend(numbers(piece));
            (state, from) = (Some(after), to);
        }
        // Products of other sizes may be summed in another order.
        assert!(close(&y, &whole, 1e-14));
    }
}

#[test]
fn the_ring_gives_the_numbers_of_the_whole_sequence() {
    let device = Device::flex();
    let network = config().init(3, &device).unwrap();
    let x = tensor([40, 1, 3], "x", &device).cast(burn::tensor::DType::F32);
    let want = crate::flex::to_vec(network.forward(x.clone(), None).0);
    let rows = crate::flex::to_vec(x);
    let mut stream = network.stream();
    for pass in 0..2 {
        for (t, (x, want)) in rows.chunks(3).zip(want.chunks(2)).enumerate() {
            let y = stream.step(x);
            // f32 sums of at most 15 terms around 1, three layers of them: a few units in the last place.
            assert!(y.iter().zip(want).all(|(a, b)| (a - b).abs() < 2e-6), "pass {pass}, step {t}: {y:?} {want:?}");
        }
        stream.reset();
    }
}

/// The memory of a stream is what its rings were made with.
#[test]
fn a_stream_stays_as_large_as_it_was() {
    let mut stream = config().init(3, &Device::flex()).unwrap().stream();
    let rings =
        |stream: &TdnnStream| stream.layers.iter().map(|l| (l.ring.len(), l.ring.capacity())).collect::<Vec<_>>();
    let before = rings(&stream);
    assert_eq!(before.iter().map(|r| r.0).collect::<Vec<_>>(), [2 * 3, 5 * 5, 4]);
    for t in 0..1000 {
        stream.step(&[t as f32, 0.0, 1.0]);
    }
    assert_eq!(rings(&stream), before);
}

#[test]
fn gradients_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    gradient_check(config().init(4, &device).unwrap(), |network| {
        let x = tensor([6, 2, 3], "x", &device);
        let state = network.forward(tensor([5, 2, 3], "before", &device), None).1;
        let (y, after) = network.forward(x, Some(state));
        let d_y = tensor(y.dims(), "d y", &device);
        let d_state = tensor(after.layers[1][0].dims(), "d state", &device);
        (y * d_y).sum() + (after.layers[1][0].clone() * d_state).sum()
    });
}

/// What is more than the reach away has no influence, what is exactly that far has.
#[test]
fn the_reach_is_what_is_seen() {
    let device = Device::flex().autodiff();
    let network = doubled(config().init(5, &device).unwrap());
    let x = tensor([12, 1, 3], "x", &device).require_grad();
    let d = network.forward(x.clone(), None).0.slice_dim(0, 9..10).sum().backward();
    let d = nested(&x.grad(&d).unwrap());
    for (t, d) in d.iter().enumerate() {
        let seen = (4..=9).contains(&t);
        assert!(d[0].iter().all(|d| (*d != 0.0) == seen), "step {t}: {d:?}");
    }
}

#[test]
fn as_a_model_of_a_system_it_feeds_its_outputs_back() {
    let device = Device::flex();
    let network =
        TdnnConfig { inputs: 2, layers: vec![Context::new(4, 3), Context::new(1, 2)] }.init(6, &device).unwrap();
    let model = SequenceModel::new(doubled(network), 1, true).unwrap();
    let wave: Vec<f64> = (0..20).map(|t| (0.9 * f64::from(t)).sin()).collect();
    let series = Series::new(wave.clone(), 1, wave.iter().map(|u| 0.5 * u + 0.1).collect(), 1).unwrap();
    assert_eq!((model.channels(), model.first()), ([1, 1], 1));
    let free = model.free_run(series.u(), &series.y()[..4]).unwrap();
    // One step ahead of a series that holds the free run's own outputs is the free run.
    let mut y = series.y()[..4].to_vec();
    y.extend(&free);
    let own = Series::new(wave, 1, y, 1).unwrap();
    let ahead = model.one_step(&own).unwrap();
    assert!(close(&ahead[3..], &free, 1e-13));
    assert!(!close(&model.one_step(&series).unwrap()[3..], &free, 1e-3));
}

#[test]
fn what_cannot_be_made_or_used_is_an_error() {
    let device = Device::flex();
    let message = |layers: Vec<Context>| TdnnConfig { inputs: 2, layers }.init(1, &device).unwrap_err().to_string();
    assert_eq!(message(Vec::new()), "the number of layers is 0, which is not in 1..=1000000");
    let line = "the number of taps of a layer is 0, which is not in 1..=1000000";
    assert_eq!(message(vec![Context::new(3, 2), Context::new(3, 0)]), line);
    let line = "the dilation of a layer is 0, which is not in 1..=1000000";
    assert_eq!(message(vec![Context { dilation: 0, ..Context::new(3, 2) }]), line);
    assert_eq!(message(vec![Context::new(0, 2)]), "the width of a layer is 0, which is not in 1..=1000000");
    let network = config().init(1, &device).unwrap();
    let line = "there are 5 steps of the sequence, and 6 are needed: a whole window of the network";
    assert_eq!(network.forward_windows(Tensor::ones([5, 1, 3], &device)).unwrap_err().to_string(), line);
    let line = "the network's number of inputs is 1, which is not in 2..=1000000";
    let one = TdnnConfig { inputs: 1, layers: vec![Context::new(1, 2)] }.init(1, &device).unwrap();
    assert_eq!(SequenceModel::new(one, 1, true).unwrap_err().to_string(), line);
}

#[test]
fn the_goldens_are_met() {
    let device = Device::flex().autodiff();
    let named = |name| activation_named(name).unwrap();
    let second = Context { dilation: 2, activation: named("sigmoid"), ..Context::new(4, 3) };
    let third = Context { activation: named("identity"), ..Context::new(2, 1) };
    for (name, causal) in [("tdnn", true), ("tdnn-windows", false)] {
        let golden = Golden::read(name);
        let x = golden.leaf::<3>("x", &device);
        let config = TdnnConfig { inputs: x.dims()[2], layers: vec![Context::new(5, 2), second, third] };
        let network = golden.fill(config.init(1, &device).unwrap());
        let y = match causal {
            true => network.forward(x.clone(), None).0,
            false => network.forward_windows(x.clone()).unwrap(),
        };
        let d = golden.part("y", y).backward();
        golden.compare_gradients(&network, &d);
        golden.compare_leaf("x", &x, &d);
    }
}

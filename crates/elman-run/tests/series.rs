//! Looking into networks of numbers: the same analyses over a series.

mod common;

use common::{engine, numbers};
use elman_core::cells::REGISTRY;
use elman_core::{Layer, Sizes};
use elman_run::analysis::{
    AnalysisError, Flow, FlowSettings, Lyapunov, Network, NetworkLayer, Path, Products, Trace, Unfolded, bptt,
};

const I: usize = 2;
const K: usize = 3;
const T: usize = 30;

fn wide(len: usize, seed: u64) -> Vec<f64> {
    numbers(len, 0.7, seed).into_iter().map(f64::from).collect()
}

fn layers(cell: &str) -> Vec<NetworkLayer> {
    let cell = (elman_core::cells::find(cell).unwrap().make)();
    let mut input = I;
    (0..2)
        .map(|k| {
            let layer = Layer::new(cell.clone(), Sizes { input, hidden: 4, output: 3 }).unwrap();
            input = layer.output_width();
            let parameters = layer.parameters().iter().enumerate();
            let parameters = parameters.map(|(i, p)| wide(p.len(), 100 * k + i as u64 + 1)).collect();
            NetworkLayer { layer, parameters }
        })
        .collect()
}

fn network(layers: Vec<NetworkLayer>) -> Network {
    let width = layers[1].layer.output_width();
    Network::of_numbers(layers, wide(K * width, 7), wide(K, 8)).unwrap()
}

fn path(network: &Network) -> Path {
    Path::series(network, &engine(), &wide(T * I, 9), &wide(T * K, 10)).unwrap()
}

/// The mean of ½ Σ (W y + b - target)² over the steps, from outputs that are computed step by step.
fn loss(network: &Network) -> f64 {
    let path = path(network);
    let targets = wide(T * K, 10);
    let output = network.layers()[1].layer.output();
    let carried = network.layers()[1].layer.carried().iter().position(|&v| v == output);
    let half = |t: usize| {
        // The output is carried by every cell here.
        let y = &path.state(t + 1)[1][carried.unwrap()];
        let row = |k: usize| &network.readout_weight()[k * y.len()..][..y.len()];
        let predicted = |k: usize| network.readout_bias()[k] + row(k).iter().zip(y).map(|(w, y)| w * y).sum::<f64>();
        (0..K).map(|k| 0.5 * (predicted(k) - targets[t * K + k]).powi(2)).sum::<f64>()
    };
    (0..T).map(half).sum::<f64>() / T as f64
}

/// The gradient by every parameter of every cell: through the whole series, lag by lag, by the unfolded network, and by differences.
#[test]
fn gradients_over_a_series_are_those_of_its_loss() {
    for entry in REGISTRY {
        let network = network(layers(entry.name));
        let path = path(&network);
        let whole = bptt(&network, &path, &engine(), T).unwrap();
        assert!((whole.loss - loss(&network)).abs() < 1e-12 * (1.0 + whole.loss), "{}", entry.name);
        assert!(Unfolded::new(&network, &path, T).unwrap().difference(&whole) < 1e-9, "{}", entry.name);
        let flow = Flow::through_all(&network, &path, &engine()).unwrap();
        assert_eq!(flow.parameters.len(), whole.gradients.len(), "{}: there is no embedding", entry.name);
        for (flow, want) in flow.parameters.iter().zip(&whole.gradients) {
            let scale = want.iter().fold(1.0f64, |most, g| most.max(g.abs()));
            for (got, want) in flow.total.iter().zip(want) {
                assert!((got - want).abs() < 1e-10 * scale, "{} {}", entry.name, flow.name);
            }
        }
        let mut at = 0;
        for k in 0..2 {
            for p in 0..network.layers()[k].parameters.len() {
                let last = network.layers()[k].parameters[p].len() - 1;
                let nudged = |by: f64| {
                    let mut layers = layers(entry.name);
                    layers[k].parameters[p][last] += by;
                    loss(&self::network(layers))
                };
                // So little that the third derivative of thirty steps does not show.
                let difference = (nudged(1e-6) - nudged(-1e-6)) / 2e-6;
                let gradient = whole.gradients[at][last];
                assert!(
                    (difference - gradient).abs() < 1e-8 * (1.0 + gradient.abs()),
                    "{} layer {k}, parameter {p}",
                    entry.name
                );
                at += 1;
            }
        }
    }
}

/// h_t = tanh(w x_t + u h_{t-1} + b) of one unit: every product is one of numbers u (1 - h_t²), every exponent a mean of their logarithms.
#[test]
fn products_and_exponents_of_one_unit_are_those_of_its_slopes() {
    let cell = (elman_core::cells::find("elman").unwrap().make)();
    let layer = Layer::new(cell, Sizes { input: I, hidden: 1, output: 1 }).unwrap();
    let parameters: Vec<Vec<f64>> =
        layer.parameters().iter().enumerate().map(|(i, p)| wide(p.len(), 50 + i as u64)).collect();
    let at = layer.parameters().iter().position(|p| p.name == "weight_hh").unwrap();
    let u = parameters[at][0];
    let network = Network::of_numbers(vec![NetworkLayer { layer, parameters }], wide(K, 7), wide(K, 8)).unwrap();
    let path = path(&network);
    let slope = |t: usize| (u * (1.0 - path.state(t + 1)[0][0][0].powi(2))).abs();
    let products = Products::new(&network, &path, &engine(), &[1, 4, 16], 3).unwrap();
    assert_eq!((products.width, products.ends.len()), (1, 3));
    for (i, &lag) in products.lags.iter().enumerate() {
        // The geometric mean over the ends.
        let logarithm = |&end: &usize| (end + 1 - lag..=end).map(|t| slope(t).ln()).sum::<f64>();
        let want = (products.ends.iter().map(logarithm).sum::<f64>() / 3.0).exp();
        let got = products.largest()[i];
        assert!((got / want - 1.0).abs() < 1e-12, "lag {lag}: {got}, by hand {want}");
    }
    let exponents = Lyapunov::new(&network, &path, &engine(), 3).unwrap();
    let want = (0..exponents.steps).map(|t| slope(t).ln()).sum::<f64>() / exponents.steps as f64;
    assert_eq!((exponents.exponents.len(), exponents.steps), (1, T - 20));
    assert!((exponents.exponents[0] - want).abs() < 1e-12, "{} by hand {want}", exponents.exponents[0]);
}

#[test]
fn states_products_and_exponents_of_a_series() {
    let network = network(layers("lstm"));
    let path = path(&network);
    let trace = Trace::new(&network, &path).unwrap();
    assert_eq!(trace.steps, T);
    for t in 0..T {
        let c = trace.find(1, "c").unwrap();
        let got = &c.values[t * c.width..][..c.width];
        assert!(got.iter().zip(&path.state(t + 1)[1][1]).all(|(a, b)| (a - b).abs() < 1e-12));
    }
    assert!(Products::new(&network, &path, &engine(), &[1, 4, 16], 2).unwrap().largest()[0] > 0.0);
    assert!(Lyapunov::new(&network, &path, &engine(), 3).unwrap().exponents[0] < 0.0);
    assert!(Flow::new(&network, &path, &engine(), FlowSettings { lags: 10, ends: 4 }).unwrap().loss > 0.0);
    // The beginning of a path is the path of the beginning.
    let short = path.beginning(12);
    let own = Path::series(&network, &engine(), &wide(T * I, 9)[..12 * I], &wide(T * K, 10)[..12 * K]).unwrap();
    assert_eq!((short.steps(), short.state(12)), (12, own.state(12)));
}

#[test]
fn what_does_not_fit_is_told() {
    let message = |result: Result<Network, AnalysisError>| result.unwrap_err().to_string();
    assert_eq!(message(Network::of_numbers(Vec::new(), vec![], vec![])), "there is no layer");
    let short = message(Network::of_numbers(layers("gru"), vec![0.0; 5], vec![0.0; K]));
    assert_eq!(short, "the readout has 5 weights and 3 biases for outputs of 4 numbers");
    let mut wrong = layers("gru");
    wrong[1].parameters[0].pop();
    assert!(
        message(Network::of_numbers(wrong, wide(K * 4, 7), wide(K, 8)))
            .starts_with("the parameters of layer 1 have [47, ")
    );
    let network = network(layers("gru"));
    let series = |inputs: usize, targets: usize| Path::series(&network, &engine(), &wide(inputs, 1), &wide(targets, 2));
    assert_eq!(series(0, 0).unwrap_err(), AnalysisError::TooShort { found: 0, least: 1 });
    let text = series(6, 8).unwrap_err().to_string();
    assert_eq!(text, "6 inputs and 8 targets are not 2 and 3 numbers for each step");
    assert!(Path::new(&network, &engine(), &[1, 2]).unwrap_err().to_string().contains("take `Path::series`"));
}

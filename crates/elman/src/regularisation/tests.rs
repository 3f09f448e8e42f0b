use super::*;
use crate::network::testing::{doubled, gradient_check, numbers, tensor};
use crate::network::{LanguageModelConfig, Predict, SequenceBatch, SequenceNetworkConfig, Target, TokenBatch};
use crate::parameters::{Named, export, import};
use crate::recurrent::RecurrentConfig;
use crate::train::{BatchSource, Checkpoint, Optimiser, Rule, Trainer};
use elman_core::cells::{REGISTRY, find};
use elman_core::{Cell, Sizes, Zoneout};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const T: usize = 5;
pub(super) const B: usize = 3;
pub(super) const I: usize = 2;
pub(super) const H: usize = 4;

pub(super) const NONE: Regularisation = Regularisation {
    dropout_words: 0.0,
    dropout_input: 0.0,
    dropout_between: 0.0,
    dropout_recurrent: 0.0,
    dropout_output: 0.0,
    drop_connect: 0.0,
    activation: 0.0,
    temporal: 0.0,
};

pub(super) const ALL: Regularisation = Regularisation {
    dropout_words: 0.3,
    dropout_input: 0.25,
    dropout_between: 0.4,
    dropout_recurrent: 0.5,
    dropout_output: 0.3,
    drop_connect: 0.5,
    activation: 2.0,
    temporal: 1.5,
};

pub(super) fn layers(cell: Arc<dyn Cell>, layers: usize, device: &Device) -> Recurrent {
    let config = RecurrentConfig { layers, ..RecurrentConfig::new(cell, Sizes { input: I, hidden: H, output: H }) };
    doubled(config.init(3, device).unwrap())
}

pub(super) fn cell(name: &str) -> Arc<dyn Cell> {
    (find(name).unwrap().make)()
}

fn options(random: &mut Random) -> Options<'_> {
    Options { dropout: Some(random), ..Options::default() }
}

/// Parameters in f64 by name.
fn parameters(rnn: &Recurrent) -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let mut values = crate::network::testing::parameters(rnn);
    let with_shape = |p: Named| (p.name.clone(), (p.shape, values.remove(&p.name).expect("the same parameters")));
    export(rnn).into_iter().map(with_shape).collect()
}

fn close(found: &[f64], want: &[f64], what: &str) {
    assert_eq!(found.len(), want.len(), "{what}");
    for (a, b) in found.iter().zip(want) {
        // f64 sums of some ten terms of about 1, in another order.
        assert!((a - b).abs() <= 1e-13, "{what}: {a} {b}");
    }
}

/// The mask that comes next.
fn next(random: &mut Random, p: f64, width: usize) -> Vec<f64> {
    let mut mask = vec![0.0; B * width];
    random.dropout(p, &mut mask);
    mask.into_iter().map(f64::from).collect()
}

/// `Σ_k W[u][k] v[b][k]` of rows from `first` on.
fn product(matrix: &(Vec<usize>, Vec<f64>), first: usize, v: &[f64], b: usize, u: usize) -> f64 {
    let cols = matrix.0[1];
    (0..cols).map(|k| matrix.1[(first + u) * cols + k] * v[b * cols + k]).sum()
}

fn times(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

/// Two Elman layers by their equations, with one mask for all steps.
#[test]
fn variational_dropout_is_its_definition() {
    let device = Device::flex();
    let rnn = layers(cell("elman"), 2, &device);
    let x = numbers(tensor([T, B, I], "x", &device));
    let some = Regularisation {
        dropout_input: 0.25,
        dropout_between: 0.4,
        dropout_recurrent: 0.5,
        dropout_output: 0.3,
        ..NONE
    };
    let found =
        some.run(&rnn, Input::Dense(tensor([T, B, I], "x", &device)), None, options(&mut Random::new(5, "masks")));

    let mut random = Random::new(5, "masks");
    let masks: Vec<[Vec<f64>; 2]> = [(0.25, I), (0.4, H)]
        .map(|(p, width)| [next(&mut random, p, width), next(&mut random, 0.5, H)])
        .into_iter()
        .collect();
    let output = next(&mut random, 0.3, H);
    assert!(masks.iter().flatten().chain([&output]).all(|mask| mask.contains(&0.0)), "nothing is dropped");
    let p = parameters(&rnn);
    let mut h = vec![vec![0.0; B * H]; 2];
    let mut y = Vec::new();
    for t in 0..T {
        let mut below = x[t * B * I..][..B * I].to_vec();
        for l in 0..2 {
            let [w, u, b] = ["weight_ih", "weight_hh", "bias_ih"].map(|name| &p[&format!("{name}_l{l}")]);
            let (input, before) = (times(&below, &masks[l][0]), times(&h[l], &masks[l][1]));
            let unit = |i: usize| (i / H, i % H);
            let sum =
                |(row, k): (usize, usize)| product(w, 0, &input, row, k) + product(u, 0, &before, row, k) + b.1[k];
            h[l] = (0..B * H).map(|i| sum(unit(i)).tanh()).collect();
            below = h[l].clone();
        }
        y.extend(times(&below, &output));
    }
    close(&numbers(found.y), &y, "y");
    for (l, state) in found.state.layers.into_iter().enumerate() {
        close(&numbers(state[0].clone()), &h[l], "the state is not dropped");
    }
}

/// In the GRU the reset state goes into a matrix too: it is dropped with the state's mask.
#[test]
fn what_stands_for_the_state_has_its_mask() {
    let device = Device::flex();
    let rnn = layers(cell("gru"), 1, &device);
    let x = numbers(tensor([T, B, I], "x", &device));
    let some = Regularisation { dropout_recurrent: 0.5, ..NONE };
    let found =
        some.run(&rnn, Input::Dense(tensor([T, B, I], "x", &device)), None, options(&mut Random::new(5, "masks")));
    let mask = next(&mut Random::new(5, "masks"), 0.5, H);
    let p = parameters(&rnn);
    let [w, u, b] = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0"].map(|name| &p[name]);
    let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
    let mut h = vec![0.0; B * H];
    for t in 0..T {
        let x = &x[t * B * I..][..B * I];
        let sum = |gate: usize, source: &[f64], i: usize| {
            let (row, k) = (i / H, i % H);
            product(w, gate * H, x, row, k) + product(u, gate * H, source, row, k) + b.1[gate * H + k]
        };
        let before = times(&h, &mask);
        let r: Vec<f64> = (0..B * H).map(|i| sigmoid(sum(0, &before, i))).collect();
        let reset = times(&times(&r, &h), &mask);
        h = (0..B * H)
            .map(|i| {
                let z = sigmoid(sum(1, &before, i));
                (1.0 - z) * h[i] + z * sum(2, &reset, i).tanh()
            })
            .collect();
    }
    close(&numbers(found.state.layers[0][0].clone()), &h, "h");
}

#[test]
fn gates_share_masks_and_sources_are_told_apart() {
    let device = Device::flex();
    let places = |name: &str| {
        let rnn = layers(cell(name), 1, &device);
        let layer = rnn.layers()[0].clone();
        let stages = layer.stages().iter().enumerate();
        let all = stages.flat_map(|(s, stage)| stage.sources.iter().map(move |&source| (s, source)));
        let carried = all.map(|(s, source)| variational::carried_from(&layer, s, source));
        carried.map(|v| v.map_or("-", |v| layer.values()[v].name)).collect::<Vec<_>>()
    };
    assert_eq!(places("lstm"), ["-", "h"]);
    assert_eq!(places("gru"), ["-", "h", "-", "h"]);
    assert_eq!(places("mgu"), ["-", "h", "-", "h"]);
    // A projection, a deep transition and an output are made in this step.
    assert_eq!(places("lstm-projected"), ["-", "h", "-"]);
    assert_eq!(places("deep-transition"), ["-", "h", "-"]);
    assert_eq!(places("jordan"), ["-", "y", "-"]);
    assert_eq!(places("lru"), ["-", "-", "-", "-"]);
    assert_eq!(
        places("lstm-fgr"),
        ["-", "h", "i", "f", "o"].map(|v| match v {
            "i" => "ig",
            "f" => "fg",
            "o" => "og",
            other => other,
        })
    );
}

/// The rows of a dropped word are zero in the table, at every place, and the others are scaled.
#[test]
fn a_dropped_word_is_dropped_everywhere() {
    let device = Device::flex();
    let rnn = layers(cell("lstm"), 1, &device);
    let words = 7;
    let ids: Arc<[u32]> = (0..(T * B) as u32).map(|i| i * 5 % words).collect();
    let table = tensor([words as usize, I], "table", &device);
    let run = |regularisation: Regularisation, table: Tensor<2>| {
        let input = Input::Tokens { ids: ids.clone(), batch: B, table };
        numbers(regularisation.run(&rnn, input, None, options(&mut Random::new(2, "words"))).y)
    };
    let found = run(Regularisation { dropout_words: 0.5, ..NONE }, table.clone());
    let mut mask = vec![0.0; words as usize];
    Random::new(2, "words").dropout(0.5, &mut mask);
    assert!(mask.contains(&0.0) && mask.contains(&2.0), "{mask:?}");
    let mut values = numbers(table);
    values.chunks_mut(I).zip(&mask).for_each(|(row, &m)| row.iter_mut().for_each(|v| *v *= f64::from(m)));
    let edited = Tensor::from_data(TensorData::new(values, [words as usize, I]), (&device, DType::F64));
    assert_eq!(found, run(NONE, edited));
}

#[test]
fn drop_connect_is_a_network_with_fewer_recurrent_weights() {
    let device = Device::flex();
    let config = RecurrentConfig { layers: 2, ..RecurrentConfig::new(cell("lstm"), Sizes::new(I, H)) };
    let rnn = config.init(3, &device).unwrap();
    let x = || Input::Dense(Tensor::<3>::ones([T, B, I], &device));
    let y = |rnn: &Recurrent, p: f64| {
        let some = Regularisation { drop_connect: p, ..NONE };
        crate::flex::to_vec(some.run(rnn, x(), None, options(&mut Random::new(4, "weights"))).y)
    };
    let mut random = Random::new(4, "weights");
    let edited: Vec<Named> = export(&rnn)
        .into_iter()
        .map(|mut p| {
            if p.name.starts_with("weight_hh") {
                let mut mask = vec![0.0; p.values.len()];
                // Gate by gate.
                mask.chunks_mut(H * H).for_each(|block| random.dropout(0.5, block));
                p.values.iter_mut().zip(mask).for_each(|(w, m)| *w *= m);
            }
            p
        })
        .collect();
    let fewer = import(rnn.clone(), edited).unwrap();
    assert_eq!(y(&rnn, 0.5), y(&fewer, 0.0));
    assert_ne!(y(&rnn, 0.5), y(&rnn, 0.0));

    // Of a matrix with other rows only those of what is carried.
    let deep = layers(cell("deep-transition"), 1, &device);
    let mut random = Random::new(1, "weights");
    let mut draw = Draw { random: &mut random, device: device.clone(), dtype: DType::F64 };
    let masks = drop_connect::masks(0.9, deep.layers(), &mut draw);
    let values = numbers(masks[0].values.clone());
    assert_eq!(masks.len(), 1);
    assert!(values[..H * H].iter().all(|&m| m != 1.0) && values[H * H..].iter().all(|&m| m == 1.0), "{values:?}");
}

#[test]
fn penalties_are_the_means_that_they_say() {
    let device = Device::flex();
    let rnn = layers(cell("lstm"), 1, &device);
    let some = Regularisation { dropout_output: 0.5, activation: 2.0, temporal: 3.0, ..NONE };
    for lengths in [None, Some([3, 5, 1])] {
        let mut random = Random::new(1, "p");
        let options = Options { lengths: lengths.map(|l| l.into()), ..options(&mut random) };
        let x = Input::Dense(tensor([T, B, I], "x", &device));
        let plain = Options { lengths: options.lengths.clone(), ..Options::default() };
        let raw = numbers(rnn.run(x.clone(), None, plain).0);
        let found = some.run(&rnn, x, None, options);
        let y = numbers(found.y);
        let inside = |t: usize, b: usize| t < lengths.map_or(T, |l| l[b]);
        let (mut squares, mut changes) = (Vec::new(), Vec::new());
        for (t, b, u) in (0..T).flat_map(|t| (0..B).flat_map(move |b| (0..H).map(move |u| (t, b, u)))) {
            let at = |t: usize| (t * B + b) * H + u;
            if inside(t, b) {
                squares.push(y[at(t)].powi(2));
                if t > 0 {
                    changes.push((raw[at(t)] - raw[at(t - 1)]).powi(2));
                }
            }
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        close(&numbers(found.penalty.unwrap()), &[2.0 * mean(&squares) + 3.0 * mean(&changes)], "penalty");
    }
    // One step has no step before.
    let one = Regularisation { temporal: 1.0, ..NONE };
    let x = Input::Dense(tensor([1, B, I], "x", &device));
    assert!(one.run(&rnn, x, None, options(&mut Random::new(1, "p"))).penalty.is_none());
}

#[test]
fn gradients_are_those_of_central_differences() {
    let device = Device::flex().autodiff();
    for name in ["lstm", "gru"] {
        let zoned = Zoneout { output: 0.2, others: 0.4 }.around(cell(name)).unwrap();
        let rnn = layers(zoned, 2, &device);
        let weights = tensor([T, B, H], "weights", &device);
        gradient_check(rnn, |rnn| {
            // The same masks for every difference.
            let mut random = Random::new(8, "masks");
            let options = Options { lengths: Some([3, 5, 4].into()), ..options(&mut random) };
            let x = Input::Dense(tensor([T, B, I], "x", &device));
            let found = ALL.run(rnn, x, None, options);
            (found.y * weights.clone()).sum() + found.penalty.unwrap()
        });
    }
}

#[test]
fn the_value_is_the_loss_and_the_gradient_that_of_both() {
    let device = Device::flex().autodiff();
    let w = Tensor::<1>::from_data([3.0], &device).require_grad();
    let sum = with_penalty(w.clone() * 2.0, Some(w.clone() * w.clone()));
    let gradients = sum.backward();
    assert_eq!(sum.into_scalar::<f32>(), 6.0);
    assert_eq!(w.grad(&gradients).unwrap().into_scalar::<f32>(), 2.0 + 2.0 * 3.0);
}

/// Every cell takes everything, forward and backward; without random numbers nothing is dropped; and by default nothing is drawn.
#[test]
fn every_cell_can_be_regularised() {
    let device = Device::flex().autodiff();
    for entry in REGISTRY {
        let rnn = layers((entry.make)(), 2, &device);
        let recurrent = variational::is_recurrent(&rnn.layers()[0]);
        let zoned = layers(Zoneout { output: 0.1, others: 0.1 }.around((entry.make)()).unwrap(), 2, &device);
        let some = match recurrent {
            true => ALL,
            false => Regularisation { dropout_recurrent: 0.0, drop_connect: 0.0, ..ALL },
        };
        assert_eq!(ALL.check_for(&rnn).is_ok(), recurrent, "{}", entry.name);
        some.check_for(&zoned).unwrap();
        let x = || Input::Dense(tensor([T, B, I], "x", &device));
        let run = |rnn: &Recurrent, seed| {
            let found = some.run(rnn, x(), None, options(&mut Random::new(seed, "masks")));
            let loss = found.y.clone().sum() + found.penalty.unwrap();
            assert!(numbers(loss.clone())[0].is_finite(), "{}", entry.name);
            loss.backward();
            numbers(found.y)
        };
        assert_eq!(run(&zoned, 1), run(&zoned, 1), "{}", entry.name);
        assert_ne!(run(&zoned, 1), run(&zoned, 2), "{}", entry.name);
        assert_ne!(run(&rnn, 1), run(&zoned, 1), "{}", entry.name);

        let plain = numbers(rnn.run(x(), None, Options::default()).0);
        let mut random = Random::new(1, "masks");
        assert_eq!(numbers(some.run(&rnn, x(), None, Options::default()).y), plain);
        assert_eq!(numbers(NONE.run(&rnn, x(), None, options(&mut random)).y), plain);
        assert_eq!(random.position(), 0);
    }
}

/// Zoneout at evaluation is deterministic, and lies between what is kept and what is new.
#[test]
fn zoneout_takes_its_mean_at_evaluation() {
    let device = Device::flex();
    let p = 0.3;
    let zoned = layers(Zoneout { output: p, others: 0.0 }.around(cell("elman")).unwrap(), 1, &device);
    let plain = layers(cell("elman"), 1, &device);
    let state = State { layers: vec![vec![tensor([B, H], "state", &device)]] };
    let run = |rnn: &Recurrent, random: Option<&mut Random>| {
        let options = Options { dropout: random, ..Options::default() };
        numbers(rnn.run(Input::Dense(tensor([1, B, I], "x", &device)), Some(state.clone()), options).0)
    };
    let (old, new) = (numbers(state.layers[0][0].clone()), run(&plain, None));
    let mean: Vec<f64> = old.iter().zip(&new).map(|(old, new)| p * old + (1.0 - p) * new).collect();
    // p is rounded to f32 on its way: 6e-8 of numbers up to 1.
    assert!(run(&zoned, None).iter().zip(&mean).all(|(a, b)| (a - b).abs() < 1e-7));
    let mut random = Random::new(1, "zoneout");
    let drawn: Vec<Vec<f64>> = (0..4000).map(|_| run(&zoned, Some(&mut random))).collect();
    for (k, (&old, &new)) in old.iter().zip(&new).enumerate() {
        assert!(drawn.iter().all(|y| y[k] == old || y[k] == new));
        let kept = drawn.iter().filter(|y| y[k] == old).count() as f64 / 4000.0;
        // Five standard errors: 5 √(0.3 · 0.7 / 4000).
        assert!((kept - p).abs() < 0.037, "{kept}");
    }
}

const V: usize = 5;

/// Streams over a cyclic text.
struct Cycle(usize);

impl BatchSource<TokenBatch> for Cycle {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        let token = |t: usize, b: usize| ((self.0 + t) * (self.0 + t + b) % 11 % V) as u32;
        let pairs = || (0..T).flat_map(|t| (0..B).map(move |b| (t, b)));
        let batch = TokenBatch {
            ids: pairs().map(|(t, b)| token(t, b)).collect(),
            targets: pairs().map(|(t, b)| token(t + 1, b)).collect(),
            batch: B,
            lengths: None,
            fresh: self.0.is_multiple_of(4 * T),
            carry: None,
        };
        self.0 += T;
        Ok(batch)
    }
    fn cursor(&self) -> String {
        self.0.to_string()
    }
    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.0 = cursor.parse().map_err(|_| "no position".to_string())?;
        Ok(())
    }
}

fn trainer(regularisation: Regularisation) -> Trainer<crate::network::LanguageModel> {
    let cell = Zoneout { output: 0.1, others: 0.3 }.around(cell("lstm")).unwrap();
    let config =
        LanguageModelConfig { vocabulary: V, embedding: 6, hidden: 8, output: 8, layers: 2, dropout: 0.2, cell };
    let network = config.init(4, &Device::flex().autodiff()).unwrap().with_regularisation(regularisation).unwrap();
    Trainer::new(network, Optimiser::new(Rule::ADAM, 0.0), 0.02, 9)
}

#[test]
fn a_regularised_run_resumes_to_the_bit_and_learns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let bits = |trainer: &Trainer<_>| {
        export(trainer.network())
            .into_iter()
            .map(|p| p.values.into_iter().map(f32::to_bits).collect())
            .collect::<Vec<Vec<u32>>>()
    };
    let (mut straight, mut source) = (trainer(ALL), Cycle(0));
    straight.run(&mut source, 20, |_, _| true).unwrap();
    let (mut first, mut source) = (trainer(ALL), Cycle(0));
    first.run(&mut source, 7, |_, _| true).unwrap();
    first.save(&source, "", &path).unwrap();
    let (mut resumed, mut source) = (trainer(ALL), Cycle(0));
    resumed.restore(Checkpoint::load(&path).unwrap(), &mut source).unwrap();
    resumed.run(&mut source, 20, |_, _| true).unwrap();
    assert!(bits(&straight) == bits(&resumed));
    let (mut other, mut source) = (trainer(NONE), Cycle(0));
    other.run(&mut source, 20, |_, _| true).unwrap();
    assert!(bits(&straight) != bits(&other));

    let mild = Regularisation { dropout_input: 0.1, dropout_recurrent: 0.1, drop_connect: 0.1, ..NONE };
    let (mut trainer, mut source) = (trainer(mild), Cycle(0));
    let mut losses = Vec::new();
    let add = |report: &crate::train::Report, _: &Trainer<_>| {
        losses.push(report.loss);
        true
    };
    trainer.run(&mut source, 300, add).unwrap();
    // At first about ln 5 = 1.61; the text is periodic.
    let last = losses[280..].iter().sum::<f64>() / 20.0;
    assert!(last < 0.8 * losses[0], "{} -> {last}", losses[0]);
}

#[test]
fn a_sequence_network_drops_only_while_it_trains() {
    let config = SequenceNetworkConfig {
        cell: cell("lstm"),
        sizes: Sizes::new(I, H),
        layers: 1,
        outputs: 2,
        predict: Predict::Last,
        init: Default::default(),
        learn_initial_state: false,
    };
    let device = Device::flex().autodiff();
    let network = config.init(1, &device).unwrap();
    let x: Vec<f32> = (0..T * B * I).map(|i| (i as f32).sin()).collect();
    let target = Target::Classes(vec![0, 1, 1]);
    let batch = SequenceBatch { x, batch: B, lengths: Some([2, 5, 1].into()), target, fresh: true };
    let some = Regularisation { dropout_output: 0.5, activation: 1.0, ..NONE };
    let noisy = network.clone().with_regularisation(some).unwrap();
    let value = |loss: Tensor<1>| loss.into_scalar::<f32>();
    assert_eq!(value(noisy.loss(&batch, None).0), value(network.loss(&batch, None).0));
    let trained = |seed| value(crate::train::Network::loss(&noisy, &batch, None, &mut Random::new(seed, "train")).0);
    assert_ne!(trained(1), value(network.loss(&batch, None).0));
    assert_eq!(trained(1), trained(1));
    // The mask of the output is on the state that is read.
    let mut mask = vec![0.0; B * H];
    Random::new(1, "train").dropout(0.5, &mut mask);
    let (_, state) = network.outputs(&batch, None);
    let h = state.layers[0][0].clone() * Tensor::from_data(TensorData::new(mask, [B, H]), &device);
    let logits = crate::network::readout::logits(h, network.readout.weight.val(), network.readout.bias.val());
    let logits = crate::flex::to_vec(logits);
    let nats = |b: usize, k: usize| (logits[2 * b].exp() + logits[2 * b + 1].exp()).ln() - logits[2 * b + k];
    let want = (nats(0, 0) + nats(1, 1) + nats(2, 1)) / 3.0;
    // f32 sums of some ten terms.
    assert!((trained(1) - want).abs() <= 1e-6 * want, "{} {want}", trained(1));

    let words = Regularisation { dropout_words: 0.1, ..NONE };
    let error = network.with_regularisation(words).unwrap_err().to_string();
    assert_eq!(error, "dropout-words is 0.1; it must be 0 for a network without an embedding");
}

#[test]
fn wrong_numbers_are_named() {
    let message = |r: Regularisation| r.check().unwrap_err().to_string();
    assert_eq!(
        message(Regularisation { drop_connect: -0.5, ..NONE }),
        "drop-connect is -0.5; it must be from 0 to below 1"
    );
    assert_eq!(
        message(Regularisation { temporal: f64::INFINITY, ..NONE }),
        "temporal-penalty is inf; it must be a finite number, 0 or above"
    );
    assert!(Regularisation { dropout_between: f64::NAN, ..NONE }.check().is_err());
    let rnn = layers(cell("indrnn"), 1, &Device::flex());
    let message = Regularisation { drop_connect: 0.5, ..NONE }.check_for(&rnn).unwrap_err().to_string();
    assert_eq!(message, "drop-connect is 0.5; it must be 0 for a cell without a matrix of what is carried");
}

use super::*;
use crate::network::testing::{Numbers, gradients, numbers, parameters, with};
use crate::network::{LanguageModel, LanguageModelConfig};
use crate::random::Random;
use crate::recurrent::{Recurrent, RecurrentConfig};
use crate::train::{Network, Optimiser, Rule, Trainer};
use burn::tensor::{DType, Device, Tensor, TensorData};
use elman_core::Sizes;
use elman_core::cells::{REGISTRY, find};

const T: usize = 11;
/// Sums of some hundred terms around 1, in two orders: their rounding is some 1e-15.
const NEAR: f64 = 1e-12;

fn draw(len: usize, name: &str) -> Vec<f64> {
    let mut random = Random::new(3, name);
    (0..len).map(|_| f64::from(random.symmetric(1.0))).collect()
}

fn layer(cell: &str, sizes: Sizes) -> Recurrent {
    let config = RecurrentConfig::new((find(cell).unwrap().make)(), sizes);
    with(config.init(5, &Device::flex().autodiff()).unwrap(), &Numbers::new())
}

fn dense(values: &[f64], shape: [usize; 3]) -> Tensor<3> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex().autodiff(), DType::F64))
}

/// The gradient of Σ_j c_j · y_j, update by update, with the parameters as they are.
fn truncated(rnn: &Recurrent, x: &[f64], c: &[f64], truncation: Truncation) -> Numbers {
    let sizes = rnn.layers()[0].sizes();
    let part = |values: &[f64], range: Range<usize>, width: usize| {
        dense(&values[range.start * width..range.end * width], [range.len(), 1, width])
    };
    let mut sum = Numbers::new();
    for window in truncation.windows(T) {
        let before = (window.through.start > 0)
            .then(|| rnn.forward(part(x, 0..window.through.start, sizes.input), None).1.detach());
        let (y, _) = rnn.forward(part(x, window.through.clone(), sizes.input), before);
        let width = rnn.output_width();
        let y = y.slice_dim(0, window.losses.start - window.through.start..window.through.len());
        let loss = (y * part(c, window.losses.clone(), width)).sum();
        for (name, values) in gradients(rnn, &loss.backward()) {
            let total = sum.entry(name).or_insert_with(|| vec![0.0; values.len()]);
            total.iter_mut().zip(values).for_each(|(a, b)| *a += b);
        }
    }
    sum
}

fn assert_near(what: &str, got: &Numbers, want: &Numbers) {
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "{what}");
    for (name, want) in want {
        let scale = want.iter().fold(1.0f64, |m, w| m.max(w.abs()));
        for (got, want) in got[name].iter().zip(want) {
            assert!((got - want).abs() <= NEAR * scale, "{what}: {name}: {got}, expected {want}");
        }
    }
}

#[test]
fn the_full_length_is_full_backpropagation_for_every_cell() {
    for entry in REGISTRY {
        let rnn = layer(entry.name, Sizes { input: 2, hidden: 7, output: 3 });
        let (x, c) = (draw(T * 2, "x"), draw(T * rnn.output_width(), "c"));
        let (y, _) = rnn.forward(dense(&x, [T, 1, 2]), None);
        let width = rnn.output_width();
        let full = gradients(&rnn, &(y * dense(&c, [T, 1, width])).sum().backward());
        // Among them lengths that do not divide T.
        for k1 in [1, 2, 3, 4, T] {
            let got = truncated(&rnn, &x, &c, Truncation::new(k1, T).unwrap());
            assert_near(&format!("{}, k1 = {k1}", entry.name), &got, &full);
        }
        let other = truncated(&rnn, &x, &c, Truncation::new(3, 3).unwrap());
        let differs = full.iter().any(|(name, want)| other[name].iter().zip(want).any(|(a, b)| (a - b).abs() > 1e-6));
        assert!(differs, "{}: truncation cut nothing", entry.name);
    }
}

/// The first deck's sum for h_j = tanh(W x_j + U h_{j-1} + b), in plain loops: the paths that `survives` names, and no others.
#[test]
fn the_sum_over_the_last_p_steps_is_the_one_summed_by_hand() {
    const I: usize = 2;
    const H: usize = 3;
    let rnn = layer("elman", Sizes::new(I, H));
    let (x, c) = (draw(T * I, "x"), draw(T * H, "c"));
    let all = parameters(&rnn);
    let value = |name: &str| all[name].clone();
    let (w, u) = (value("weight_ih_l0"), value("weight_hh_l0"));
    let bias: Vec<f64> = value("bias_ih_l0");
    let both: Vec<f64> = match all.get("bias_hh_l0") {
        Some(other) => bias.iter().zip(other).map(|(a, b)| a + b).collect(),
        None => bias,
    };
    let mut h = vec![vec![0.0; H]];
    for j in 0..T {
        let sum = |i: usize| {
            let input: f64 = (0..I).map(|m| w[i * I + m] * x[j * I + m]).sum();
            let before: f64 = (0..H).map(|m| u[i * H + m] * h[j][m]).sum();
            (input + before + both[i]).tanh()
        };
        h.push((0..H).map(sum).collect());
    }
    for (truncation, p) in
        [(Truncation::last_steps(0), 0), (Truncation::last_steps(4), 4), (Truncation::last_steps(T), T)]
    {
        let (mut dw, mut du) = (vec![0.0; H * I], vec![0.0; H * H]);
        for j in 0..T {
            // dL_j/dh_k, from k = j down.
            let mut d: Vec<f64> = c[j * H..(j + 1) * H].to_vec();
            for k in (j.saturating_sub(p)..=j).rev() {
                assert!(truncation.survives(T, j, k));
                let e: Vec<f64> = (0..H).map(|i| d[i] * (1.0 - h[k + 1][i] * h[k + 1][i])).collect();
                for i in 0..H {
                    (0..I).for_each(|m| dw[i * I + m] += e[i] * x[k * I + m]);
                    (0..H).for_each(|m| du[i * H + m] += e[i] * h[k][m]);
                }
                d = (0..H).map(|m| (0..H).map(|i| u[i * H + m] * e[i]).sum()).collect();
            }
            assert!(j <= p || !truncation.survives(T, j, j - p - 1));
        }
        let got = truncated(&rnn, &x, &c, truncation);
        for (name, want) in [("weight_ih_l0", dw), ("weight_hh_l0", du)] {
            assert_near(
                &format!("p = {p}"),
                &Numbers::from([(name.into(), got[name].clone())]),
                &Numbers::from([(name.into(), want)]),
            );
        }
    }
}

#[test]
fn a_path_survives_exactly_where_its_window_holds_it() {
    for (k1, k2) in [(1, 1), (1, 4), (2, 5), (3, 3), (4, 11), (5, 7)] {
        let truncation = Truncation::new(k1, k2).unwrap();
        let windows: Vec<Window> = truncation.windows(T).collect();
        assert_eq!(windows.iter().map(|w| w.losses.len()).sum::<usize>(), T, "every loss counts once");
        for (j, k) in (0..T).flat_map(|j| (0..T).map(move |k| (j, k))) {
            let held = windows.iter().any(|w| w.losses.contains(&j) && w.through.contains(&k)) && k <= j;
            assert_eq!(truncation.survives(T, j, k), held, "k1 = {k1}, k2 = {k2}, j = {j}, k = {k}");
        }
    }
    for (k1, k2) in [(0, 3), (3, 0), (4, 3)] {
        assert!(Truncation::new(k1, k2).is_err());
    }
}

/// A text in two rows, k1 tokens at a time, that begins again after five windows.
#[derive(Clone)]
struct Text {
    every: usize,
    at: usize,
}

const V: usize = 5;
const B: usize = 2;

impl BatchSource<TokenBatch> for Text {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        let place = self.at % 5 * self.every;
        let token = |t: usize, b: usize| ((place + t) * (place + t + 3 * b + 1) % 7 % V) as u32;
        let pairs = (0..self.every).flat_map(|t| (0..B).map(move |b| (t, b)));
        self.at += 1;
        Ok(TokenBatch {
            ids: pairs.clone().map(|(t, b)| token(t, b)).collect(),
            targets: pairs.map(|(t, b)| token(t + 1, b)).collect(),
            batch: B,
            lengths: None,
            fresh: place == 0,
            carry: None,
        })
    }

    fn cursor(&self) -> String {
        self.at.to_string()
    }

    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.at = cursor.parse().map_err(|_| format!("`{cursor}`"))?;
        Ok(())
    }
}

fn model() -> LanguageModel {
    let cell = (find("lstm").unwrap().make)();
    LanguageModelConfig { vocabulary: V, embedding: 3, hidden: 4, output: 4, layers: 2, dropout: 0.0, cell }
        .init(2, &Device::flex().autodiff())
        .unwrap()
}

#[test]
fn overlapping_batches_give_the_losses_of_the_plain_ones() {
    // Without updates the state at every window's beginning is the one of the whole text, and so are the losses.
    let model = with(model(), &Numbers::new());
    let losses = |source: &mut dyn FnMut() -> TokenBatch| {
        let mut state = None;
        (0..12)
            .map(|_| {
                let batch = source();
                let before = if batch.fresh { None } else { state.take() };
                let (loss, after) = model.loss(&batch, before, None);
                state = Some(after.detach());
                (numbers(loss)[0], LanguageModel::count(&batch))
            })
            .collect::<Vec<_>>()
    };
    for (k1, k2) in [(2, 2), (2, 3), (2, 5), (2, 6), (3, 4), (1, 4), (2, 40)] {
        let mut plain = Text { every: k1, at: 0 };
        let want = losses(&mut || plain.next_batch().unwrap());
        let mut source = Overlapping::new(Text { every: k1, at: 0 }, Truncation::new(k1, k2).unwrap());
        let got = losses(&mut || {
            let batch = source.next_batch().unwrap();
            assert!(batch.ids.len() / B <= k2);
            batch
        });
        for ((got, n), (want, m)) in got.iter().zip(&want) {
            assert!((got - want).abs() <= NEAR && n == m, "k1 = {k1}, k2 = {k2}: {got}, expected {want}");
        }
    }
}

#[test]
fn an_interrupted_run_goes_on_with_the_same_bits() {
    let truncation = Truncation::new(2, 5).unwrap();
    let trainer = || Trainer::new(model(), Optimiser::new(Rule::ADAM, 0.0), 0.02, 9);
    let source = || Overlapping::new(Text { every: 2, at: 0 }, truncation);
    let values = |trainer: &Trainer<LanguageModel>| {
        let parameters = trainer.network().parameters().into_iter();
        parameters.flat_map(|p| p.values.into_iter().map(f32::to_bits)).collect::<Vec<_>>()
    };
    let (mut straight, mut text) = (trainer(), source());
    straight.run(&mut text, 13, |_, _| true).unwrap();
    for stop in [1, 2, 4, 5, 6, 9] {
        let (mut first, mut text) = (trainer(), source());
        first.run(&mut text, stop, |_, _| true).unwrap();
        let saved = first.checkpoint(&text, "");
        let (mut second, mut text) = (trainer(), source());
        second.restore(saved, &mut text).unwrap();
        second.run(&mut text, 13, |_, _| true).unwrap();
        assert!(values(&second) == values(&straight), "stopped after {stop}");
    }
    assert!(source().seek("nowhere").is_err());
}

#[test]
fn batches_that_cannot_overlap_are_refused() {
    let mut wrong = Overlapping::new(Text { every: 3, at: 0 }, Truncation::new(2, 4).unwrap());
    assert_eq!(wrong.next_batch().unwrap_err(), "a batch has 3 steps, and k1 is 2; make them equal");
}

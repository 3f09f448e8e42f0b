use super::*;
use crate::network::testing::{Numbers, gradients, numbers, parameters, with};
use crate::network::{LanguageModel, LanguageModelConfig};
use crate::random::Random;
use crate::recurrent::{Recurrent, RecurrentConfig, State};
use crate::train::{Network, Optimiser, Rule, Trainer};
use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};
use elman_core::Sizes;
use elman_core::cells::{REGISTRY, find};
use std::sync::{Arc, Mutex};

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
fn all_the_way_back_is_every_path() {
    let whole = Truncation::new(1, usize::MAX).unwrap();
    assert!((0..5).all(|j| (0..=j).all(|k| whole.survives(5, j, k))) && !whole.survives(5, 1, 2));
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

fn language_model(cell: &str, layers: usize) -> LanguageModel {
    let cell = (find(cell).unwrap().make)();
    LanguageModelConfig { vocabulary: V, embedding: 3, hidden: 4, output: 4, layers, dropout: 0.0, cell }
        .init(2, &Device::flex().autodiff())
        .unwrap()
}

fn model() -> LanguageModel {
    language_model("lstm", 2)
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

/// A language model that remembers, in f64, the gradients which a trainer takes: of each batch that it was given, from the state that it was
/// given.
#[derive(Module, Debug)]
struct Remembering {
    model: LanguageModel,
    #[module(skip)]
    seen: Arc<Mutex<Vec<Numbers>>>,
}

impl Network for Remembering {
    type Batch = TokenBatch;

    fn loss(&self, batch: &TokenBatch, state: Option<State>, random: &mut Random) -> (Tensor<1>, State) {
        let loss = Network::loss(&self.model, batch, state.clone(), &mut random.clone()).0;
        self.seen.lock().unwrap().push(gradients(&self.model, &loss.backward()));
        Network::loss(&self.model, batch, state, random)
    }

    fn is_fresh(batch: &TokenBatch) -> bool {
        LanguageModel::is_fresh(batch)
    }

    fn count(batch: &TokenBatch) -> usize {
        LanguageModel::count(batch)
    }
}

/// The gradients of every step of a trainer that reads `Text` twice and leaves the parameters as they are.
fn of_a_trainer(model: &LanguageModel, truncation: Truncation) -> Vec<Numbers> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let network = Remembering { model: with(model.clone(), &Numbers::new()), seen: seen.clone() };
    let mut trainer = Trainer::new(network, Optimiser::new(Rule::SGD, 0.0), 0.1, 9);
    // An update would round them to f32.
    trainer.freeze(|_| true);
    let mut source = Overlapping::new(Text { every: truncation.every(), at: 0 }, truncation);
    trainer.run(&mut source, 10, |_, _| true).unwrap();
    drop(trainer);
    Arc::into_inner(seen).unwrap().into_inner().unwrap()
}

fn sum(all: &[Numbers]) -> Numbers {
    let mut sum = Numbers::new();
    for (name, values) in all.iter().flatten() {
        let total = sum.entry(name.clone()).or_insert_with(|| vec![0.0; values.len()]);
        total.iter_mut().zip(values).for_each(|(a, b)| *a += b);
    }
    sum
}

/// The largest difference of a parameter's gradients, as a share of its largest element; of all parameters.
fn apart(got: &Numbers, want: &Numbers) -> f64 {
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
    // No number where one is none.
    let greater = |m: f64, v: f64| if v.abs() > m || v.is_nan() { v.abs() } else { m };
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, greater);
    let of_one = |(name, want): (&String, &Vec<f64>)| {
        let size = largest(&mut want.iter().copied());
        assert!(size > 0.0, "{name} has no gradient");
        largest(&mut got[name].iter().zip(want).map(|(g, w)| g - w)) / size
    };
    want.iter().map(of_one).fold(0.0, greater)
}

/// Five windows of k1 tokens, by the paths that survive and no others, in plain loops: h_j = tanh(W x_j + U h_{j-1} + b), the loss of a window
/// the mean of its k1 B cross-entropies.
fn by_hand(all: &Numbers, k1: usize, k2: usize) -> Numbers {
    let steps = 5 * k1;
    let get = |name: &str| &all[name][..];
    let (table, w, u) = (get("embedding.weight"), get("rnn.weight_ih_l0"), get("rnn.weight_hh_l0"));
    let (bias, readout, readout_bias) = (get("rnn.bias_ih_l0"), get("readout.weight"), get("readout.bias"));
    let (h, e) = (bias.len(), w.len() / bias.len());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let outer = |to: &mut [f64], a: &[f64], b: &[f64]| {
        to.chunks_mut(b.len()).zip(a).for_each(|(row, a)| row.iter_mut().zip(b).for_each(|(t, b)| *t += a * b));
    };
    let transposed = |m: &[f64], a: &[f64]| {
        let width = m.len() / a.len();
        (0..width).map(|j| (0..a.len()).map(|i| m[i * width + j] * a[i]).sum()).collect::<Vec<f64>>()
    };
    let mut d: Numbers = all.iter().map(|(name, values)| (name.clone(), vec![0.0; values.len()])).collect();
    let mut add = |name: &str, a: &[f64], b: &[f64]| outer(d.get_mut(name).unwrap(), a, b);
    let text = Text { every: steps, at: 0 }.next_batch().unwrap();
    for b in 0..B {
        let token = |k: usize| text.ids[k * B + b] as usize;
        let x = |k: usize| &table[token(k) * e..][..e];
        let mut state = vec![vec![0.0; h]];
        for k in 0..steps {
            let a = |i: usize| dot(&w[i * e..][..e], x(k)) + dot(&u[i * h..][..h], &state[k]) + bias[i];
            state.push((0..h).map(|i| a(i).tanh()).collect());
        }
        for j in 0..steps {
            let exp = |v: usize| (dot(&readout[v * h..][..h], &state[j + 1]) + readout_bias[v]).exp();
            let all: f64 = (0..V).map(exp).sum();
            let is = |v: usize| if text.targets[j * B + b] as usize == v { 1.0 } else { 0.0 };
            let d_logits: Vec<f64> = (0..V).map(|v| (exp(v) / all - is(v)) / (k1 * B) as f64).collect();
            add("readout.weight", &d_logits, &state[j + 1]);
            add("readout.bias", &d_logits, &[1.0]);
            let mut d_h = transposed(readout, &d_logits);
            // The window of j ends with step k1 (j / k1 + 1) - 1 and goes through k2 steps.
            for k in (0..=j).rev().take_while(|k| k + k2 >= k1 * (j / k1 + 1)) {
                let d_a: Vec<f64> = d_h.iter().zip(&state[k + 1]).map(|(d, h)| d * (1.0 - h * h)).collect();
                add("rnn.weight_ih_l0", &d_a, x(k));
                add("rnn.weight_hh_l0", &d_a, &state[k]);
                add("rnn.bias_ih_l0", &d_a, &[1.0]);
                let one: Vec<f64> = (0..V).map(|v| if v == token(k) { 1.0 } else { 0.0 }).collect();
                add("embedding.weight", &one, &transposed(w, &d_a));
                d_h = transposed(u, &d_a);
            }
        }
    }
    d
}

/// The same of any model, by the tape: each window from the state that the whole text before it leaves.
fn by_windows(model: &LanguageModel, k1: usize, k2: usize) -> Numbers {
    let text = Text { every: 5 * k1, at: 0 }.next_batch().unwrap();
    let part = |range: Range<usize>, losses: Range<usize>| {
        let mut targets = vec![IGNORE; (losses.start - range.start) * B];
        targets.extend(&text.targets[losses.start * B..losses.end * B]);
        let ids = text.ids[range.start * B..range.end * B].into();
        TokenBatch { ids, targets, batch: B, lengths: None, fresh: range.start == 0, carry: None }
    };
    let window = |end: usize| {
        let begin = end.saturating_sub(k2);
        let before = (begin > 0).then(|| model.loss(&part(0..begin, 0..begin), None, None).1.detach());
        gradients(model, &model.loss(&part(begin..end, end - k1..end), before, None).0.backward())
    };
    sum(&(1..=5).map(|n| window(n * k1)).collect::<Vec<_>>())
}

/// What `Overlapping`, the state that `carry` gives and the trainer make of k1 and k2, in f64, is the truncated sum.
#[test]
fn a_trainers_gradient_is_the_sum_over_the_paths_that_survive() {
    let elman = language_model("elman", 1);
    let exact = parameters(&with(elman.clone(), &Numbers::new()));
    for (k1, k2) in [(2, 5), (1, 4), (3, 3), (3, 7), (2, 10)] {
        let want = by_hand(&exact, k1, k2);
        let got = of_a_trainer(&elman, Truncation::new(k1, k2).unwrap());
        // The second time through the text knows nothing of the first.
        for (time, got) in got.chunks(5).enumerate() {
            let by = apart(&sum(got), &want);
            assert!(by <= NEAR, "k1 = {k1}, k2 = {k2}, time {time}: {by:e} apart");
        }
        let whole = apart(&want, &by_hand(&exact, k1, 5 * k1));
        assert!(k2 == 5 * k1 || whole > 1e-4, "k1 = {k1}, k2 = {k2}: truncation cut nothing, {whole:e}");
    }
    let stack = language_model("lstm", 2);
    let model = with(stack.clone(), &Numbers::new());
    for (k1, k2) in [(2, 5), (2, 3), (3, 7)] {
        let by = apart(&sum(&of_a_trainer(&stack, Truncation::new(k1, k2).unwrap())[..5]), &by_windows(&model, k1, k2));
        assert!(by <= NEAR, "LSTM, k1 = {k1}, k2 = {k2}: {by:e} apart");
    }
}

#[test]
fn a_trainers_gradient_through_all_steps_is_full_backpropagation() {
    for (cell, layers) in [("elman", 1), ("lstm", 2), ("gru", 1)] {
        let model = with(language_model(cell, layers), &Numbers::new());
        for k1 in [1, 2, 3] {
            let text = Text { every: 5 * k1, at: 0 }.next_batch().unwrap();
            let loss = model.loss(&text, None, None).0;
            // The mean over the text is a fifth of the sum of the means over its five windows.
            let full = gradients(&model, &(loss * 5.0).backward());
            let got = |k2| sum(&of_a_trainer(&model, Truncation::new(k1, k2).unwrap())[..5]);
            for k2 in [5 * k1, 40] {
                let by = apart(&got(k2), &full);
                assert!(by <= NEAR, "{cell}, k1 = {k1}, k2 = {k2}: {by:e} apart");
            }
            assert!(apart(&got(5 * k1 - 1), &full) > 1e-6, "{cell}, k1 = {k1}: one step less cut nothing");
        }
    }
}

/// What the optimiser is given of it: at a rate of 0 the buffer of plain descent with momentum is b ← g + b / 2, over five windows.
#[test]
fn the_optimiser_is_given_the_truncated_sum() {
    let elman = language_model("elman", 1);
    let truncation = Truncation::new(2, 5).unwrap();
    let mut want = of_a_trainer(&elman, truncation);
    want.truncate(5);
    for (n, gradients) in want.iter_mut().enumerate() {
        gradients.values_mut().flatten().for_each(|g| *g *= 0.5f64.powi(4 - n as i32));
    }
    let mut trainer = Trainer::new(elman, Optimiser::new(Rule::Sgd { momentum: 0.5 }, 0.0), 0.0, 9);
    trainer.run(&mut Overlapping::new(Text { every: 2, at: 0 }, truncation), 5, |_, _| true).unwrap();
    let kept = trainer.optimiser.state().map(|(path, slot, values)| {
        assert_eq!(slot, "b");
        (path.to_string(), values.iter().map(|&v| f64::from(v)).collect())
    });
    let by = apart(&kept.collect(), &sum(&want));
    // The parameters are the same numbers; states, gradients and their sum are rounded to f32.
    assert!(by < 1e-5, "{by:e} apart");
}

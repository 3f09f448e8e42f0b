use super::*;
use crate::network::LanguageModelConfig;
use crate::train::{BatchSource, Optimiser, Rule, Trainer};
use burn::tensor::Device;
use elman_core::cells::find;

const V: usize = 5;
const B: usize = 3;

fn model(cell: &str, layers: usize) -> LanguageModel {
    let cell = (find(cell).unwrap().make)();
    let config = LanguageModelConfig { vocabulary: V, embedding: 4, hidden: 6, output: 3, layers, dropout: 0.0, cell };
    config.init(2, &Device::flex().autodiff()).unwrap()
}

fn token(t: usize, b: usize) -> u32 {
    ((3 * t + b) * (t + b) % 11 % V) as u32
}

fn batch(steps: std::ops::Range<usize>, fresh: bool) -> TokenBatch {
    let places = || steps.clone().flat_map(|t| (0..B).map(move |b| (t, b)));
    TokenBatch {
        ids: places().map(|(t, b)| token(t, b)).collect(),
        targets: places().map(|(t, b)| token(t + 1, b)).collect(),
        batch: B,
        lengths: None,
        fresh,
        carry: None,
    }
}

/// The gradient by backpropagation: every parameter's, in the order of the fields.
fn backward(model: &LanguageModel, batch: &TokenBatch) -> (f64, Vec<(String, Vec<f32>)>) {
    let loss = LanguageModel::loss(model, batch, None, None).0;
    let value = f64::from(to_vec(loss.clone())[0]);
    let found = parameters::gradients(model, &mut loss.backward());
    (value, found.into_iter().map(|(path, gradient)| (path, gradient.to_vec())).collect())
}

/// Two batches one after the other have the gradient of both at once: the second one's goes through the first.
#[test]
fn nothing_is_cut_off_between_batches() {
    for cell in ["elman", "lstm", "lstm-projected", "gru", "lru", "jordan", "lstm-layer-norm"] {
        let model = model(cell, 1);
        let (loss, want) = backward(&model, &batch(0..7, true));
        let online = model.with_online(Method::Rtrl).unwrap();
        let mut random = Random::new(1, "train");
        let first = online.learn(&batch(0..3, true), None, &mut random).unwrap();
        let second = online.learn(&batch(3..7, false), Some(first.state.clone()), &mut random).unwrap();
        assert!((3.0 / 7.0 * first.loss + 4.0 / 7.0 * second.loss - loss).abs() < 1e-5, "{cell}");
        assert_eq!(want.len(), second.gradients.len(), "{cell}");
        for (((path, want), (own, first)), (_, second)) in want.iter().zip(&first.gradients).zip(&second.gradients) {
            assert_eq!(path, own);
            let largest = want.iter().fold(1e-3_f32, |m, v| m.max(v.abs()));
            for ((want, first), second) in want.iter().zip(first.to_vec()).zip(second.to_vec()) {
                let got = 3.0 / 7.0 * first + 4.0 / 7.0 * second;
                assert!((got - want).abs() < 2e-5 * largest, "{cell}, {path}: {got} and {want}");
            }
        }
    }
}

#[test]
fn rows_end_at_their_lengths_and_ignored_targets_do_not_count() {
    let mut some = batch(0..6, true);
    some.lengths = Some([6, 2, 0].into());
    for (place, target) in some.targets.iter_mut().enumerate() {
        let (t, b) = (place / B, place % B);
        if t >= [6, 2, 0][b] || (t, b) == (1, 0) {
            *target = IGNORE;
        }
    }
    let model = model("gru-reset-after", 1);
    let (loss, want) = backward(&model, &some);
    let got = model.with_online(Method::Rtrl).unwrap().learn(&some, None, &mut Random::new(1, "train")).unwrap();
    assert!((got.loss - loss).abs() < 1e-5);
    for ((path, want), (_, got)) in want.iter().zip(&got.gradients) {
        let largest = want.iter().fold(1e-3_f32, |m, v| m.max(v.abs()));
        for (want, got) in want.iter().zip(got.to_vec()) {
            assert!((got - want).abs() < 2e-5 * largest, "{path}: {got} and {want}");
        }
    }
}

/// Batches of four steps, the sequences begin anew after five of them.
struct Stream(usize);

impl BatchSource<TokenBatch> for Stream {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        self.0 += 1;
        Ok(batch(4 * self.0..4 * self.0 + 4, self.0 % 5 == 1))
    }
    fn cursor(&self) -> String {
        self.0.to_string()
    }
    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.0 = cursor.parse().map_err(|_| format!("`{cursor}` is not a position"))?;
        Ok(())
    }
}

fn trained(method: Option<Method>, parts: usize, steps: &[u64]) -> Vec<(String, Vec<u32>)> {
    let fresh = || {
        let model = model("lstm", 1);
        let model = match method {
            Some(method) => model.with_online(method).unwrap(),
            None => model,
        };
        let mut trainer = Trainer::new(model, Optimiser::new(Rule::ADAM, 0.0), 0.02, 9);
        trainer.clip = Some(1.0);
        trainer.parts = parts;
        (trainer, Stream(0))
    };
    let (mut trainer, mut source) = fresh();
    for &until in steps {
        let saved = trainer.checkpoint(&source, "");
        (trainer, source) = fresh();
        trainer.restore(saved, &mut source).unwrap();
        trainer.run(&mut source, until, |_, _| true).unwrap();
    }
    let entries = trainer.checkpoint(&source, "").entries;
    entries.into_iter().map(|e| (e.name, e.values.into_iter().map(f32::to_bits).collect())).collect()
}

#[test]
fn a_trainer_goes_on_from_a_checkpoint_with_the_same_bits() {
    let before: Vec<Vec<f32>> = parameters::export(&model("lstm", 1)).into_iter().map(|p| p.values).collect();
    let mut all = vec![trained(None, 1, &[8])];
    for (name, method) in Method::ALL {
        let whole = trained(Some(method), 1, &[8]);
        assert!(whole.iter().any(|(name, _)| name.starts_with("state/1/")), "{name}: the influence is not kept");
        assert!(trained(Some(method), 1, &[3, 4, 8]) == whole, "{name}");
        // Every parameter has moved, and not as with the other methods.
        for (before, (path, after)) in before.iter().zip(&whole) {
            assert!(before.iter().zip(after).any(|(b, a)| b.to_bits() != *a), "{name}: {path} has not moved");
        }
        assert!(all.iter().all(|other| other[1] != whole[1]), "{name} is one of the others");
        all.push(whole);
    }
    // Rows are worked on alone in any case: parts change no more than rounding.
    let (whole, parts) = (&all[1], trained(Some(Method::Rtrl), 2, &[8]));
    for ((path, whole), (_, parts)) in whole.iter().zip(&parts).filter(|((path, _), _)| path.starts_with("parameter/"))
    {
        for (&whole, &parts) in whole.iter().zip(parts) {
            let (whole, parts) = (f32::from_bits(whole), f32::from_bits(parts));
            assert!((whole - parts).abs() < 1e-3, "{path}: {whole} and {parts}");
        }
    }
}

#[test]
fn what_cannot_go_forward_is_refused() {
    let error = |model: LanguageModel, method: Method| model.with_online(method).unwrap_err().to_string();
    let penalty = Regularisation { activation: 1.0, ..Regularisation::default() };
    for (model, method, words) in [
        (model("lstm", 2), Method::Rtrl, "2 layers: real-time recurrent learning takes one"),
        (model("elman", 1), Method::Truncated, "cell `elman` carries nothing past its matrices"),
        (model("lstm", 1).with_learned_initial_state(), Method::Snap1, "a learned initial state goes with"),
        (model("lstm", 1).with_dropout(0.1, 0.0).unwrap(), Method::Uoro, "dropout goes with"),
        (model("lstm", 1).with_regularisation(penalty).unwrap(), Method::Rtrl, "regularisation goes with"),
        (model("lstm", 1).with_forcing(Forcing::FREE), Method::Rtrl, "scheduled sampling goes with"),
    ] {
        let message = error(model, method);
        assert!(message.starts_with(words), "{message}");
    }
    let config = |hidden| {
        let cell = (find("lstm").unwrap().make)();
        LanguageModelConfig { vocabulary: V, embedding: 8, hidden, output: hidden, layers: 1, dropout: 0.0, cell }
    };
    let large = config(1024).init(1, &Device::flex()).unwrap();
    let message = error(large.clone(), Method::Rtrl);
    // S = 2048, N = 4 H (I + H + 1) + V I.
    assert!(
        message.starts_with("the influence has 8665513984 numbers for 1 stream(s), at most 536870912"),
        "{message}"
    );
    // Of every parameter of the gates i, f and g c and h, of o's h, of the table all.
    assert!(large.check_influence(Method::Snap1, 71).is_ok());
    let message = large.check_influence(Method::Snap1, 72).unwrap_err().to_string();
    assert!(
        message.starts_with(&format!("the influence has {} numbers", 72 * (4_231_168 / 4 * 7 + 2048 * 40))),
        "{message}"
    );
    assert!(large.with_online(Method::Uoro).is_ok());
}

use super::*;
use crate::network::LanguageModelConfig;
use crate::parameters::{export, import};
use crate::train::{BatchSource, Checkpoint, Optimiser, Rule, Trainer};
use burn::tensor::Device;
use elman_core::cells::find;

const T: usize = 9;
const B: usize = 4;
const V: usize = 6;

fn model(cell: &str) -> LanguageModel {
    let cell = (find(cell).unwrap().make)();
    let config =
        LanguageModelConfig { vocabulary: V, embedding: 5, hidden: 7, output: 4, layers: 2, dropout: 0.0, cell };
    config.init(4, &Device::flex().autodiff()).unwrap()
}

fn batch(first: usize) -> TokenBatch {
    let token = |i: usize| ((i + first) * 5 % 7 % V) as u32;
    TokenBatch {
        ids: (0..T * B).map(token).collect(),
        targets: (B..(T + 1) * B).map(token).collect(),
        batch: B,
        lengths: None,
        fresh: first == 0,
        carry: None,
    }
}

#[test]
fn the_text_alone_is_teacher_forcing_and_draws_nothing() {
    let mut random = Random::new(1, "draws");
    let same = model("lstm").mixed(&batch(0), None, 1.0, &mut random);
    assert_eq!((same.ids, random.position()), (batch(0).ids, 0));
}

/// With readout weights that make every prediction certain, free running is the model's own greedy text, drawn here in whole passes over
/// ever longer beginnings.
#[test]
fn free_running_continues_with_what_the_model_predicts() {
    for cell in ["lstm", "output-feedback"] {
        let model = model(cell);
        let mut parameters = export(&model);
        for p in parameters.iter_mut().filter(|p| p.name.starts_with("readout")) {
            p.values.iter_mut().for_each(|w| *w *= 1e5);
        }
        let model = import(model, parameters).unwrap();
        let (_, state) = model.logits(&batch(3), None);
        let found = model.mixed(&batch(0), Some(state.clone()), 0.0, &mut Random::new(1, "draws"));
        let mut want = batch(0).ids[..B].to_vec();
        for t in 1..T {
            let beginning = TokenBatch { ids: want[..].into(), targets: vec![0; t * B], ..batch(0) };
            let logits = to_vec(model.logits(&beginning, Some(state.clone())).0);
            for row in logits[(t - 1) * B * V..].chunks(V) {
                want.push((0..V).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap() as u32);
            }
        }
        assert_eq!(found.ids[..], want[..], "{cell}");
        assert_eq!(found.targets, batch(0).targets);
    }
}

#[test]
fn draws_have_the_models_probabilities_and_coins_theirs() {
    let logits = [0.0f32, 1.0, -1.0];
    let weights = logits.map(|l| f64::from(l).exp());
    let mut random = Random::new(2, "draws");
    let n = 20_000;
    let mut counts = [0usize; 3];
    (0..n).for_each(|_| counts[draw(&logits, random.uniform()) as usize] += 1);
    for (count, weight) in counts.iter().zip(weights) {
        let p = weight / weights.iter().sum::<f64>();
        // Five standard errors.
        assert!((*count as f64 / n as f64 - p).abs() < 5.0 * (p * (1.0 - p) / n as f64).sqrt(), "{counts:?}");
    }
    assert_eq!((draw(&logits, 0.0), draw(&logits, 0.999_999_94)), (0, 2));

    // A model that never predicts the text's token: what is replaced can be counted.
    let model = model("elman");
    let mut parameters = export(&model);
    for p in parameters.iter_mut().filter(|p| p.name.starts_with("readout")) {
        p.values.fill(0.0);
        if p.name == "readout.bias" {
            p.values[5] = 1e4;
        }
    }
    let model = import(model, parameters).unwrap();
    let text = TokenBatch { ids: vec![1; T * B].into(), ..batch(0) };
    let replaced: usize =
        (0..100).map(|_| model.mixed(&text, None, 0.75, &mut random).ids.iter().filter(|&&id| id == 5).count()).sum();
    let n = (100 * (T - 1) * B) as f64;
    // Five standard errors.
    assert!((replaced as f64 / n - 0.25).abs() < 5.0 * (0.25 * 0.75 / n).sqrt(), "{replaced} of {n}");
}

struct Text(usize);

impl BatchSource<TokenBatch> for Text {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        self.0 += 1;
        Ok(batch(self.0 - 1))
    }
    fn cursor(&self) -> String {
        self.0.to_string()
    }
    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.0 = cursor.parse().map_err(|_| "no position".to_string())?;
        Ok(())
    }
}

#[test]
fn a_trainer_mixes_by_its_step_and_resumes_to_the_bit() {
    let trainer = |forcing| Trainer::new(model("lstm").with_forcing(forcing), Optimiser::new(Rule::ADAM, 0.0), 0.02, 9);
    let after = |forcing: Forcing, steps: u64| {
        let (mut trainer, mut source) = (trainer(forcing), Text(0));
        trainer.run(&mut source, steps, |_, _| true).unwrap();
        (export(trainer.network()), trainer.checkpoint(&source, ""))
    };
    // The first step of a schedule from 1 is the text's.
    let linear = Forcing::linear(1.0, 0.2, 0.1).unwrap();
    assert_eq!(after(linear, 1).0, after(Forcing::TEACHER, 1).0);
    assert_ne!(after(linear, 6).0, after(Forcing::TEACHER, 6).0);
    assert_ne!(after(Forcing::FREE, 1).0, after(Forcing::TEACHER, 1).0);
    let saved: Checkpoint = after(linear, 4).1;
    let (mut resumed, mut source) = (trainer(linear), Text(0));
    resumed.restore(saved, &mut source).unwrap();
    resumed.run(&mut source, 6, |_, _| true).unwrap();
    assert_eq!(export(resumed.network()), after(linear, 6).0);
}

#[test]
fn decays_are_those_of_the_paper() {
    let sigmoid = Forcing::inverse_sigmoid(20.0).unwrap();
    for step in [0, 10, 100] {
        let want = 20.0 / (20.0 + (step as f64 / 20.0).exp());
        assert_eq!(sigmoid.truth(step), want);
    }
    assert_eq!(sigmoid.truth(u64::MAX), 0.0);
    assert_eq!((Forcing::TEACHER.truth(7), Forcing::FREE.truth(0)), (1.0, 0.0));
    for wrong in [
        Forcing::linear(1.5, 0.0, 0.0),
        Forcing::linear(1.0, -1.0, 0.0),
        Forcing::linear(1.0, 0.1, f64::NAN),
        Forcing::exponential(0.0),
        Forcing::inverse_sigmoid(0.5),
    ] {
        assert!(wrong.unwrap_err().to_string().starts_with("scheduled-sampling "));
    }
}

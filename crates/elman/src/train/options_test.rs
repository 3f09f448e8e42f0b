//! Clipping, noise and decay as the trainer applies them.

use super::{BatchSource, Checkpoint, Clip, GradientNoise, Optimiser, Rule, Schedule, TrainError, Trainer};
use crate::LayerError;
use crate::network::{LanguageModel, LanguageModelConfig, TokenBatch};
use crate::parameters::export;
use burn::tensor::Device;
use elman_core::cells::find;

const V: usize = 5;

struct Text(usize);

impl BatchSource<TokenBatch> for Text {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        let token = |i: usize| ((i + self.0) * 3 % 7 % V) as u32;
        let fresh = self.0 == 0;
        let (ids, targets) = ((0..24).map(token).collect(), (4..28).map(token).collect());
        self.0 += 1;
        Ok(TokenBatch { ids, targets, batch: 4, lengths: None, fresh, carry: None })
    }
    fn cursor(&self) -> String {
        self.0.to_string()
    }
    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.0 = cursor.parse().map_err(|_| "no position".to_string())?;
        Ok(())
    }
}

fn trainer() -> Trainer<LanguageModel> {
    let cell = (find("gru").unwrap().make)();
    let config =
        LanguageModelConfig { vocabulary: V, embedding: 6, hidden: 20, output: 20, layers: 1, dropout: 0.0, cell };
    Trainer::new(config.init(4, &Device::flex().autodiff()).unwrap(), Optimiser::new(Rule::SGD, 0.0), 1.0, 9)
}

fn values(trainer: &Trainer<LanguageModel>) -> Vec<f32> {
    export(trainer.network()).into_iter().flat_map(|p| p.values).collect()
}

/// The gradient by which plain descent at rate 1 has moved, and the norm that was reported.
fn moved(change: impl Fn(&mut Trainer<LanguageModel>)) -> (Vec<f32>, f64) {
    let mut trainer = trainer();
    change(&mut trainer);
    let before = values(&trainer);
    let norm = trainer.step(&mut Text(0)).unwrap().norm;
    (before.iter().zip(values(&trainer)).map(|(before, after)| before - after).collect(), norm)
}

fn close(found: &[f32], want: impl ExactSizeIterator<Item = f32>) {
    assert_eq!(found.len(), want.len());
    for (found, want) in found.iter().zip(want) {
        // A difference of parameters up to 3 is rounded to 2^-23 of them.
        assert!((found - want).abs() < 1e-6, "{found} {want}");
    }
}

#[test]
fn every_way_of_clipping_reaches_the_update() {
    let (all, norm) = moved(|_| ());
    let clipped =
        |threshold: f64, clip_by| moved(|trainer| (trainer.clip, trainer.clip_by) = (Some(threshold), clip_by));
    assert!(norm > 0.05, "{norm}");
    let half = 0.5 * norm;
    let (found, reported) = clipped(half, Clip::Norm);
    assert_eq!(reported, norm);
    close(&found, all.iter().map(|g| 0.5 * g));
    let (found, _) = clipped(half * norm, Clip::SquaredNorm);
    close(&found, all.iter().map(|g| 0.5 * g));
    let most = all.iter().fold(0.0f32, |m, g| m.max(g.abs())) / 3.0;
    let (found, _) = clipped(most.into(), Clip::Value);
    close(&found, all.iter().map(|g| g.clamp(-most, most)));
    assert!(found.iter().any(|g| (g.abs() - most).abs() < 1e-6));
}

#[test]
fn noise_comes_after_clipping_and_resumes_to_the_bit() {
    let noisy = |trainer: &mut Trainer<LanguageModel>| {
        (trainer.clip, trainer.noise) = (Some(1e-9), Some(GradientNoise::new(0.09).unwrap()));
    };
    // Of the gradient itself next to nothing is left.
    let (noise, _) = moved(noisy);
    let n = noise.len() as f64;
    let variance = noise.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>() / n;
    // Five standard errors of a variance.
    assert!((variance - 0.09).abs() < 5.0 * 0.09 * (2.0 / n).sqrt(), "{variance} of {n}");

    let run = |from: Option<Checkpoint>, until| {
        let (mut trainer, mut source) = (trainer(), Text(0));
        (trainer.noise, trainer.rate) = (Some(GradientNoise::new(0.01).unwrap()), 0.1);
        if let Some(checkpoint) = from {
            trainer.restore(checkpoint, &mut source).unwrap();
        }
        trainer.run(&mut source, until, |_, _| true).unwrap();
        (values(&trainer), trainer.checkpoint(&source, ""))
    };
    assert_eq!(run(Some(run(None, 3).1), 8).0, run(None, 8).0);
}

#[test]
fn what_is_out_of_its_range_is_refused_before_anything_is_done() {
    type Change = fn(&mut Trainer<LanguageModel>);
    let wrong: [(Change, &str); 19] = [
        (|t| t.clip = Some(0.0), "clip is 0; it must be a finite number above 0, or none for no clipping"),
        (|t| t.clip = Some(-1.0), "clip is -1; it must be a finite number above 0"),
        (|t| t.clip = Some(f64::NAN), "clip is NaN; it must be a finite number above 0"),
        (|t| t.clip = Some(f64::INFINITY), "clip is inf; it must be a finite number above 0"),
        (|t| (t.clip, t.clip_by) = (Some(0.0), Clip::Value), "clip is 0; it must be a finite number above 0"),
        (|t| t.rate = -0.1, "rate is -0.1; it must be a finite number, 0 or above"),
        (|t| t.rate = f64::NAN, "rate is NaN; it must be a finite number, 0 or above"),
        (|t| t.parts = 0, "parts is 0; it must be 1 or more"),
        (|t| t.optimiser.weight_decay = -0.1, "weight-decay is -0.1; it must be a finite number, 0 or above"),
        (|t| t.optimiser.rule = Rule::Sgd { momentum: 1.0 }, "momentum is 1; it must be from 0 to below 1"),
        (|t| t.optimiser.rule = Rule::Adam { beta1: -0.1, beta2: 0.9, epsilon: 0.1 }, "beta1 is -0.1; it must be"),
        (|t| t.optimiser.rule = Rule::Adam { beta1: 0.9, beta2: 1.0, epsilon: 0.1 }, "beta2 is 1; it must be from 0"),
        (|t| t.optimiser.rule = Rule::Adam { beta1: 0.9, beta2: 0.9, epsilon: 0.0 }, "epsilon is 0; it must be a"),
        (|t| t.optimiser.rule = Rule::RmsProp { alpha: 1.5, momentum: 0.0, epsilon: 0.1 }, "alpha is 1.5; it must be"),
        (|t| t.schedule = Schedule::Step { every: 1, gamma: -1.0 }, "gamma is -1; it must be a finite number, 0"),
        (|t| t.schedule = Schedule::HoldThenStep { hold: 1, every: 1, gamma: f64::NAN }, "gamma is NaN; it must be"),
        (|t| t.schedule = Schedule::Exponential { gamma: f64::INFINITY }, "gamma is inf; it must be a finite number"),
        (|t| t.schedule = Schedule::Cosine { steps: 1, floor: 1.5 }, "floor is 1.5; it must be from 0 to 1"),
        (|t| t.schedule = Schedule::Cosine { steps: 1, floor: -0.5 }, "floor is -0.5; it must be from 0 to 1"),
    ];
    for (change, words) in wrong {
        let (mut trainer, mut source) = (trainer(), Text(3));
        change(&mut trainer);
        let before = values(&trainer);
        let error = trainer.step(&mut source).unwrap_err();
        assert!(matches!(error, TrainError::Option(_)), "{error:?}");
        assert!(error.to_string().starts_with(words), "{error}, expected {words}");
        assert_eq!((values(&trainer), trainer.step_count(), source.0), (before, 0, 3), "{words}");
    }
    // What stands at the edges of the ranges is not.
    let right: [Change; 5] = [
        |t| (t.clip, t.rate) = (Some(f64::MIN_POSITIVE), 0.0),
        |t| (t.clip, t.parts) = (None, 4),
        |t| t.optimiser.rule = Rule::Sgd { momentum: 0.999 },
        |t| t.optimiser.rule = Rule::Adam { beta1: 0.0, beta2: 0.0, epsilon: 1e-9 },
        |t| t.schedule = Schedule::Cosine { steps: 1, floor: 0.0 },
    ];
    for change in right {
        let mut trainer = trainer();
        change(&mut trainer);
        trainer.check().unwrap();
        trainer.step(&mut Text(0)).unwrap();
    }
}

#[test]
fn dropout_of_everything_is_refused_where_the_network_is_made() {
    let cell = (find("gru").unwrap().make)();
    for (dropout, text) in [(1.0, "1"), (-0.1, "-0.1"), (f64::NAN, "NaN"), (1.5, "1.5")] {
        let config = LanguageModelConfig {
            vocabulary: V,
            embedding: 2,
            hidden: 2,
            output: 2,
            layers: 2,
            dropout,
            cell: cell.clone(),
        };
        let error = config.init(4, &Device::flex()).unwrap_err();
        assert_eq!(error, LayerError::Dropout { value: text.into() });
        assert_eq!(error.to_string(), format!("the dropout probability {text} is not in [0, 1)"));
    }
}

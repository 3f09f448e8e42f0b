//! Clipping, noise and decay as the trainer applies them.

use super::{BatchSource, Checkpoint, Clip, GradientNoise, Optimiser, Rule, Trainer};
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

fn close(found: &[f32], want: impl Iterator<Item = f32>) {
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
    let (found, _) = clipped(half, Clip::SquaredNorm);
    let factor = if norm * norm > half { half / (norm * norm) } else { 1.0 };
    close(&found, all.iter().map(|g| factor as f32 * g));
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

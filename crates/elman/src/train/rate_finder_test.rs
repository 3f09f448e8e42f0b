use super::*;
use crate::network::{Predict, SequenceBatch, SequenceNetwork, SequenceNetworkConfig, Target};
use crate::parameters::export;
use crate::random::Random;
use crate::train::{Optimiser, Rule};
use burn::tensor::Device;
use elman_core::Sizes;
use elman_core::cells::find;

/// The mean of a row's numbers.
struct Means(u64);

impl BatchSource<SequenceBatch> for Means {
    fn next_batch(&mut self) -> Result<SequenceBatch, String> {
        self.0 += 1;
        if self.0 == 1000 {
            return Err("the disk is gone".into());
        }
        let mut random = Random::new(self.0, "means");
        let x: Vec<f32> = (0..4 * 8).map(|_| random.symmetric(1.0)).collect();
        let mean = |b: usize| (0..4).map(|t| x[t * 8 + b]).sum::<f32>() / 4.0 + 1.0;
        let target = Target::Values((0..8).map(mean).collect());
        Ok(SequenceBatch { x, batch: 8, lengths: None, target, fresh: true })
    }
    fn cursor(&self) -> String {
        self.0.to_string()
    }
    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.0 = cursor.parse().map_err(|_| "no position".to_string())?;
        Ok(())
    }
}

fn trainer() -> Trainer<SequenceNetwork> {
    let config = SequenceNetworkConfig {
        cell: (find("elman").unwrap().make)(),
        sizes: Sizes::new(1, 6),
        layers: 1,
        outputs: 1,
        predict: Predict::Last,
        init: Default::default(),
        learn_initial_state: false,
    };
    let network = config.init(1, &Device::flex().autodiff()).unwrap();
    Trainer::new(network, Optimiser::new(Rule::SGD, 0.0), 0.125, 3)
}

#[test]
fn the_sweep_is_geometric_smoothed_and_leaves_no_trace() {
    let (mut trainer, mut source) = (trainer(), Means(0));
    trainer.step(&mut source).unwrap();
    let before = (export(trainer.network()), source.cursor(), trainer.step_count(), trainer.rate);
    let finder = RateFinder { lowest: 1e-4, highest: 100.0, steps: 61, ..RateFinder::default() };
    let sweep = finder.sweep(&trainer, &mut source).unwrap();
    assert!(before == (export(trainer.network()), source.cursor(), trainer.step_count(), trainer.rate));

    // Six decades in sixty steps: ten a decade.
    assert_eq!(sweep.points[0].rate, 1e-4);
    assert!((sweep.points[10].rate - 1e-3).abs() < 1e-15);
    let mut weights = Vec::new();
    for (k, point) in sweep.points.iter().enumerate() {
        weights.iter_mut().for_each(|w| *w *= 0.9);
        weights.push(0.1);
        let losses = sweep.points[..=k].iter().map(|p| p.loss);
        let mean = losses.zip(&weights).map(|(l, w)| l * w).sum::<f64>() / weights.iter().sum::<f64>();
        // f64 sums of at most 61 terms.
        assert!((point.smoothed - mean).abs() <= 1e-12 * mean, "{} {mean}", point.smoothed);
    }
    // Squares with plain descent: small rates do nothing, large ones diverge, and the rate suggested is between them and learns.
    assert!(sweep.diverged && sweep.points.len() < 61, "{:?}", sweep.points.last());
    let rate = sweep.suggestion().unwrap();
    assert!(rate > 1e-3 && rate < sweep.points.last().unwrap().rate, "{rate}");
    trainer.rate = rate;
    let first = trainer.step(&mut source).unwrap().loss;
    trainer.run(&mut source, 200, |_, _| true).unwrap();
    let last = trainer.step(&mut source).unwrap().loss;
    assert!(last < 0.5 * first, "{first} -> {last} with {rate}");
}

#[test]
fn bad_settings_and_a_failing_source_are_errors() {
    let message = |finder: RateFinder| finder.sweep(&trainer(), &mut Means(0)).unwrap_err().to_string();
    let base = RateFinder::default();
    assert_eq!(message(RateFinder { lowest: 0.0, ..base }), "lowest is 0; it must be a finite number above 0");
    assert_eq!(
        message(RateFinder { highest: 1e-7, ..base }),
        "highest is 0.0000001; it must be a finite number above `lowest`"
    );
    assert_eq!(message(RateFinder { steps: 2, ..base }), "steps is 2; it must be at least 3");
    assert!(message(RateFinder { smoothing: 1.0, ..base }).starts_with("smoothing is 1"));
    assert!(message(RateFinder { divergence: f64::NAN, ..base }).starts_with("divergence is NaN"));
    let mut source = Means(990);
    let error = base.sweep(&trainer(), &mut source).unwrap_err().to_string();
    assert!(error.ends_with("the disk is gone"), "{error}");
    assert_eq!(source.0, 990);
}

#[test]
fn without_a_fall_there_is_no_suggestion() {
    let point = |k: usize, smoothed: f64| RatePoint { rate: k as f64, loss: smoothed, smoothed };
    let sweep =
        |s: &[f64]| RateSweep { points: s.iter().enumerate().map(|(k, &s)| point(k, s)).collect(), diverged: false };
    assert_eq!(sweep(&[1.0, 2.0, 3.0]).suggestion(), None);
    assert_eq!(sweep(&[]).suggestion(), None);
    // The steepest central difference before the least, which is at 4.
    assert_eq!(sweep(&[5.0, 4.9, 4.0, 2.0, 1.0, 3.0]).suggestion(), Some(3.0));
}

//! A cell of one's own: its equations in one file, its gradient checked, trained on a task of memory, timed beside the LSTM.

use burn::tensor::{Device, Tensor};
use elman::init::Init;
use elman::network::{Predict, SequenceBatch, SequenceNetworkConfig, Target};
use elman::train::{BatchSource, Optimiser, Rule, Trainer};
use elman::{Random, RecurrentConfig, Sizes, cells};
use elman_core::{Cell, Layer};
use std::sync::Arc;
use std::time::Instant;

mod fading_gru;
use fading_gru::FadingGru;

/// Was the first of 10 numbers positive? 64 rows of noise between -1 and 1.
struct FirstSign(Random);

impl BatchSource<SequenceBatch> for FirstSign {
    fn next_batch(&mut self) -> Result<SequenceBatch, String> {
        let x: Vec<f32> = (0..10 * 64).map(|_| self.0.symmetric(1.0)).collect();
        let classes = x[..64].iter().map(|&first| u32::from(first > 0.0)).collect();
        Ok(SequenceBatch { x, batch: 64, lengths: None, target: Target::Classes(classes), fresh: true })
    }
    fn cursor(&self) -> String {
        String::new()
    }
    fn seek(&mut self, _: &str) -> Result<(), String> {
        Err("this source only goes on".into())
    }
}

/// Milliseconds of a forward and a backward pass at T = 100, B = 64, I = H = 256: the fastest of five.
fn milliseconds(cell: Arc<dyn Cell>) -> f64 {
    let device = Device::flex().autodiff();
    let layer = RecurrentConfig::new(cell, Sizes::new(256, 256)).init(1, &device).expect("sizes above zero");
    let x = Tensor::<3>::ones([100, 64, 256], &device);
    let pass = || {
        let start = Instant::now();
        let _gradients = layer.forward(x.clone(), None).0.sum().backward();
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..5).map(|_| pass()).fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cell: Arc<dyn Cell> = Arc::new(FadingGru {});
    println!("{}", elman_core::describe::text(&Layer::new(cell.clone(), Sizes::new(1, 16))?, Default::default())?);

    // Every gradient against central differences, every instruction set and number of threads against the reference.
    elman_core::testing::check_cell(cell.clone())?;
    println!("gradients: checked");

    let config = SequenceNetworkConfig {
        cell: cell.clone(),
        sizes: Sizes::new(1, 16),
        layers: 1,
        outputs: 2,
        predict: Predict::Last,
        init: Init::default(),
        learn_initial_state: false,
    };
    let network = config.init(1, &Device::flex().autodiff())?;
    let mut trainer = Trainer::new(network, Optimiser::new(Rule::ADAM, 0.0), 0.01, 1);
    trainer.clip = Some(1.0);
    let mut losses = Vec::new();
    trainer.run(&mut FirstSign(Random::new(1, "first-sign")), 1500, |report, _| {
        losses.push(report.loss);
        true
    })?;
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    let (first, last) = (mean(&losses[..20]), mean(&losses[losses.len() - 20..]));
    println!("loss of the first 20 steps {first:.3} nats, of the last 20 {last:.3}");
    if last > 0.2 {
        return Err("it did not learn".into());
    }

    let lstm = (cells::find("lstm").expect("it is registered").make)();
    let products =
        |cell: &Arc<dyn Cell>| Layer::new(cell.clone(), Sizes::new(256, 256)).map(|l| l.parameter_count() as f64);
    let share = milliseconds(cell.clone()) / milliseconds(lstm.clone()) * products(&lstm)? / products(&cell)?;
    println!("time per operation against the LSTM's: {share:.2}");
    Ok(())
}

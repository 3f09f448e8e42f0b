//! Identification of Narendra & Parthasarathy's plants: NARX, time-delay network and recurrent perceptron, one step ahead and in free run.
//!
//! ```text
//! cargo run --release -p elman-tasks --example plant [-- NOISE [UPDATES]]
//! ```
//!
//! Each model learns from 4,000 steps of uniform noise at the plant's input and is tested with 800 steps of sinusoids. NOISE is the standard
//! deviation of the noise in the measured outputs (0 by default), UPDATES the number of updates (1,000 by default). Errors are against the
//! plant's output without noise.

use burn::tensor::Device;
use elman::network::{
    Context, NarxConfig, RmlpConfig, SequenceModel, Series, SeriesBatch, SystemModel, TdnnConfig, Training, Units,
    Windows, activation_named, scores,
};
use elman::train::{Network, Optimiser, Rule, Schedule, Trainer};
use elman_data::{Plant, Record};
use std::error::Error;

/// The outputs that a free run starts from, and the steps of a window that are not scored.
const WARM_UP: usize = 10;
const TRAIN: usize = 4000;
const TEST: usize = 800;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let noise: f64 = arguments.next().map_or(Ok(0.0), |text| text.parse())?;
    let updates: u64 = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    if !(0.0..=10.0).contains(&noise) {
        return Err(format!("NOISE is {noise}, which is not in 0..=10").into());
    }
    // Networks of some tens of units are too small to be shared out.
    elman::set_threads(1);
    for plant in Plant::ALL {
        identify(plant, noise, updates)?;
    }
    Ok(())
}

fn identify(plant: Plant, noise: f64, updates: u64) -> Result<(), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    let channels = plant.channels();
    let series = |record: Record| Series::new(record.u, channels, record.y, channels);
    let train = series(plant.record(&plant.training_input(TRAIN, 1), noise, 1))?;
    let test_input = plant.test_input(TEST);
    let test = series(plant.record(&test_input, noise, 2))?;
    let truth = plant.run(&test_input);
    println!("{}: {TRAIN} steps to learn from, {TEST} to test with, noise {noise}", plant.name());
    println!("                                 one step ahead            free run");
    println!("                                   RMSE    fit %       RMSE    fit %    seconds");

    let line = |name: &str, Learnt { ahead, free, seconds }: Learnt| {
        // Several outputs: the mean of their scores.
        let score = |predicted: &[f64]| {
            let all = scores(&truth[WARM_UP * channels..], predicted, channels);
            let n = all.len() as f64;
            (all.iter().map(|s| s.rmse).sum::<f64>() / n, all.iter().map(|s| s.fit).sum::<f64>() / n)
        };
        let (ahead, free) = (score(&ahead), score(&free));
        println!("  {name:<26} {:>9.4} {:>8.1}  {:>9.4} {:>8.1}  {seconds:>9.1}", ahead.0, ahead.1, free.0, free.1);
    };
    let tested = &test.y()[WARM_UP * channels..];
    let mean = Units::of(&train).y.mean.repeat(TEST - WARM_UP);
    line("the mean", Learnt { ahead: mean.clone(), free: mean, seconds: 0.0 });
    let held = test.y()[(WARM_UP - 1) * channels..WARM_UP * channels].repeat(TEST - WARM_UP);
    let ahead = [&held[..channels], &tested[..tested.len() - channels]].concat();
    line("the last value", Learnt { ahead, free: held, seconds: 0.0 });

    let learn = Learn { train: &train, test: &test, updates };
    for (name, training) in
        [("NARX, series-parallel", Training::SeriesParallel), ("NARX, parallel", Training::Parallel)]
    {
        // The plants' own orders.
        let (input_lags, output_lags) = match plant {
            Plant::ModelTwo => (1, 2),
            Plant::ModelFour => (2, 3),
            Plant::TwoByTwo => (1, 1),
        };
        let config = NarxConfig::new(input_lags, output_lags, &[20, 10]);
        let model = NarxConfig { inputs: channels, outputs: channels, ..config }.init(1, &device)?;
        let model = model.with_units(Units::of(&train)).with_training(training);
        line(name, learn.run(model)?);
    }
    let linear = Context { activation: activation_named("identity")?, ..Context::new(channels, 1) };
    let layers = vec![Context::new(20, 3), Context::new(10, 2), linear];
    let network = TdnnConfig { inputs: 2 * channels, layers }.init(1, &device)?;
    let model = SequenceModel::new(network, 1, true)?.with_units(Units::of(&train));
    line("TDNN, outputs fed back", learn.run(model)?);
    for (name, feedback) in [("RMLP, outputs fed back", true), ("RMLP, input alone", false)] {
        let inputs = if feedback { 2 * channels } else { channels };
        let network = RmlpConfig::new(inputs, &[20, 10], channels).init(1, &device)?;
        let model = SequenceModel::new(network, 1, feedback)?.with_units(Units::of(&train));
        line(name, learn.run(model)?);
    }
    println!();
    Ok(())
}

/// Predictions of the test's steps from [`WARM_UP`] on, and the seconds of training.
struct Learnt {
    ahead: Vec<f64>,
    free: Vec<f64>,
    seconds: f64,
}

struct Learn<'a> {
    train: &'a Series,
    test: &'a Series,
    updates: u64,
}

impl Learn<'_> {
    /// Trains a model and lets it predict one step ahead and in free run.
    fn run<M>(&self, model: M) -> Result<Learnt, Box<dyn Error>>
    where
        M: SystemModel + Network<Batch = SeriesBatch>,
    {
        let started = std::time::Instant::now();
        let mut source = Windows::new(vec![self.train.clone()], WARM_UP + 30, 32, WARM_UP, 7)?;
        let mut trainer = Trainer::new(model, Optimiser::new(Rule::ADAM, 0.0), 0.01, 1);
        trainer.clip = Some(1.0);
        trainer.schedule = Schedule::Cosine { steps: self.updates, floor: 0.01 };
        trainer.run(&mut source, self.updates, |_, _| true)?;
        let model = trainer.network();
        let outputs = self.test.outputs();
        let mut ahead = model.one_step(self.test)?;
        ahead.drain(..(WARM_UP - model.first()) * outputs);
        let free = model.free_run(self.test.u(), &self.test.y()[..WARM_UP * outputs])?;
        Ok(Learnt { ahead, free, seconds: started.elapsed().as_secs_f64() })
    }
}

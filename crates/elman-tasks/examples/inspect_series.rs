//! A report, as of `elman inspect`, on a network of one's own that reads numbers.
//!
//! ```text
//! cargo run --release -p elman-tasks --example inspect_series [-- CELL [FOLDER]]
//! ```
//!
//! One layer of 16 units of CELL (`lstm` by default) learns the output of Narendra & Parthasarathy's plant IV from its input alone, by 600
//! updates; then it reads the plant's input for tests. The report goes to FOLDER (`runs/inspect-series` by default).

use burn::tensor::Device;
use elman::init::Init;
use elman::network::{Predict, SequenceBatch, SequenceNetworkConfig, Target};
use elman::random::Random;
use elman::train::{BatchSource, Optimiser, Rule, Trainer};
use elman::{Sizes, cells};
use elman_data::{Plant, Record};
use elman_tasks::inspect::series;
use std::error::Error;
use std::sync::atomic::AtomicBool;

/// Steps of a window, and windows of a batch.
const WINDOW: usize = 100;
const BATCH: usize = 32;
const UPDATES: usize = 600;

/// Windows from random places of a record.
struct Windows {
    record: Record,
    random: Random,
}

impl BatchSource<SequenceBatch> for Windows {
    fn next_batch(&mut self) -> Result<SequenceBatch, String> {
        let last = (self.record.u.len() - WINDOW) as f32;
        let starts: Vec<usize> = (0..BATCH).map(|_| (self.random.uniform() * last) as usize).collect();
        let windows = |values: &[f64]| -> Vec<f32> {
            (0..WINDOW).flat_map(|t| starts.iter().map(move |start| values[start + t] as f32)).collect()
        };
        let (x, target) = (windows(&self.record.u), Target::Values(windows(&self.record.y)));
        Ok(SequenceBatch { x, batch: BATCH, lengths: None, target, fresh: true })
    }

    fn cursor(&self) -> String {
        self.random.position().to_string()
    }

    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.random.seek(cursor.parse().map_err(|_| format!("`{cursor}` is no position"))?);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or("lstm".into());
    let folder = arguments.next().unwrap_or("runs/inspect-series".into());
    let cell = cells::find(&name).ok_or(format!("there is no cell `{name}`; `elman cells` lists them"))?;
    // A network of some tens of units is too small to be shared out.
    elman::set_threads(1);
    let config = SequenceNetworkConfig {
        cell: (cell.make)(),
        sizes: Sizes { input: 1, hidden: 16, output: 4 },
        layers: 1,
        outputs: 1,
        predict: Predict::Every,
        init: Init::default(),
        learn_initial_state: false,
    };
    let plant = Plant::ModelFour;
    let untrained = config.init(1, &Device::flex().autodiff())?;
    let mut trainer = Trainer::new(untrained.clone(), Optimiser::new(Rule::ADAM, 0.0), 0.005, 1);
    let record = plant.record(&plant.training_input(4000, 1), 0.0, 1);
    let mut windows = Windows { record, random: Random::new(1, "windows") };
    for update in 1..=UPDATES {
        let report = trainer.step(&mut windows)?;
        if update % 100 == 0 {
            println!("update {update}: mean squared error {:.5}", report.loss);
        }
    }
    let test = plant.record(&plant.test_input(800), 0.0, 1);
    let stop = AtomicBool::new(false);
    let options = series::Options {
        name: format!("{name} and plant {}", plant.name()),
        data: "the plant's input for tests, and its output".into(),
        inputs: &test.u,
        targets: &test.y,
        lags: None,
        window: WINDOW,
        out: folder.into(),
        threads: 1,
        stop: &stop,
    };
    let report = series::run(trainer.network(), &untrained, &options, &mut |part| println!("{part} ..."))?;
    print!("{}", report.text);
    Ok(())
}

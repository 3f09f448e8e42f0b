//! A bidirectional network at work: what is asked at a step depends on what comes before it and on what comes after it.
//!
//! `cargo run --release -p elman --example bidirectional -- [UPDATES]` (default 300: some seconds)
//!
//! The target at step t is x_{t-1} + x_{t+1}, numbers beyond a row's ends being 0; rows have lengths of their own. Printed is the mean squared error on
//! rows that were not learnt from. The x are uniform in ±1: who sees the past alone can at best be wrong by about their variance, 1/3.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use elman::network::{Bidirectional, BidirectionalConfig, Dense, Merge};
use elman::recurrent::{Input, Options};
use elman::train::{BatchSource, Network, Optimiser, Rule, Trainer};
use elman::{Random, Recurrent, RecurrentConfig, Sizes, State, cells};
use std::sync::Arc;

const STEPS: usize = 12;
const ROWS: usize = 32;
const HIDDEN: usize = 16;

/// Rows of numbers, (T, B, 1) each, and their lengths.
struct Rows {
    x: Tensor<3>,
    targets: Tensor<3>,
    /// 1 within a row.
    valid: Tensor<3>,
    lengths: Arc<[usize]>,
}

fn rows(random: &mut Random) -> Rows {
    let lengths: Arc<[usize]> = (0..ROWS).map(|_| 4 + random.word() as usize % (STEPS - 3)).collect();
    let at = |t: usize, row: usize| t * ROWS + row;
    let [mut x, mut targets, mut valid] = [(); 3].map(|_| vec![0.0f32; STEPS * ROWS]);
    for (row, &length) in lengths.iter().enumerate() {
        (0..length).for_each(|t| x[at(t, row)] = random.symmetric(1.0));
        for t in 0..length {
            let before = if t > 0 { x[at(t - 1, row)] } else { 0.0 };
            let after = if t + 1 < length { x[at(t + 1, row)] } else { 0.0 };
            (targets[at(t, row)], valid[at(t, row)]) = (before + after, 1.0);
        }
    }
    let tensor = |values| Tensor::from_data(TensorData::new(values, [STEPS, ROWS, 1]), &Device::flex().autodiff());
    Rows { x: tensor(x), targets: tensor(targets), valid: tensor(valid), lengths }
}

struct Source(Random);

impl BatchSource<Rows> for Source {
    fn next_batch(&mut self) -> Result<Rows, String> {
        Ok(rows(&mut self.0))
    }
    fn cursor(&self) -> String {
        self.0.position().to_string()
    }
    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.0.seek(cursor.parse().map_err(|_| format!("`{cursor}` is no place"))?);
        Ok(())
    }
}

/// One direction or both, and a linear readout at every step.
#[derive(Module, Debug)]
struct Neighbours {
    ahead: Option<Recurrent>,
    both: Option<Bidirectional>,
    readout: Dense,
}

impl Neighbours {
    /// Both directions, merged so; none: forward alone.
    fn new(merge: Option<Merge>, seed: u64, device: &Device) -> Neighbours {
        let cell = || (cells::find("elman").expect("registered").make)();
        let sizes = Sizes::new(1, HIDDEN);
        let both = merge.map(|merge| BidirectionalConfig { merge, ..BidirectionalConfig::new(cell(), sizes) });
        let both = both.map(|config| config.init(seed, device).expect("sizes are not zero"));
        let ahead = both.is_none().then(|| RecurrentConfig::new(cell(), sizes).init(seed, device));
        let ahead = ahead.map(|network| network.expect("sizes are not zero"));
        let width = both.as_ref().map_or(HIDDEN, Bidirectional::output_width);
        let readout = Dense::init(width, 1, seed, "readout", device).expect("sizes are not zero");
        Neighbours { ahead, both, readout }
    }

    /// The mean squared error of a batch.
    fn error(&self, batch: &Rows) -> Tensor<1> {
        let lengths = Some(batch.lengths.clone());
        let y = match (&self.ahead, &self.both) {
            (Some(ahead), _) => {
                ahead.run(Input::Dense(batch.x.clone()), None, Options { lengths, ..Options::default() }).0
            }
            (None, Some(both)) => both.forward(batch.x.clone(), lengths).0,
            (None, None) => unreachable!("one of the two is there"),
        };
        let wrong = (self.readout.forward_steps(y) - batch.targets.clone()) * batch.valid.clone();
        wrong.powi_scalar(2).sum().div_scalar(batch.lengths.iter().sum::<usize>() as f32)
    }
}

impl Network for Neighbours {
    type Batch = Rows;

    fn loss(&self, batch: &Rows, _: Option<State>, _: &mut Random) -> (Tensor<1>, State) {
        (self.error(batch), State { layers: Vec::new() })
    }
    fn is_fresh(_: &Rows) -> bool {
        true
    }
    fn count(batch: &Rows) -> usize {
        batch.lengths.iter().sum()
    }
}

/// Learns from generated rows, and is measured on others.
pub fn held_out(merge: Option<Merge>, updates: u64) -> f64 {
    let network = Neighbours::new(merge, 1, &Device::flex().autodiff());
    let mut trainer = Trainer::new(network, Optimiser::new(Rule::ADAM, 0.0), 0.01, 1);
    let mut source = Source(Random::new(1, "rows"));
    trainer.run(&mut source, updates, |_, _| true).expect("numbers stay finite");
    let mut others = Random::new(2, "rows");
    let errors = (0..10).map(|_| f64::from(trainer.network().error(&rows(&mut others)).into_scalar::<f32>()));
    errors.sum::<f64>() / 10.0
}

fn main() {
    let updates = std::env::args().nth(1).map_or(300, |n| n.parse().expect("a number of updates"));
    println!("held-out mean squared error after {updates} updates; without seeing the next number at best about 1/3");
    for (name, merge) in
        [("forward alone", None), ("both, summed", Some(Merge::Sum)), ("both, concatenated", Some(Merge::Concat))]
    {
        println!("{name:20} {:.4}", held_out(merge, updates));
    }
}

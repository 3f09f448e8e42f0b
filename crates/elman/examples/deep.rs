//! Depth by recurrence: a single input, several internal steps with the same weights, a single output, as in the fourth deck.
//!
//! `cargo run --release -p elman --example deep -- [UPDATES]` (default 2000: some seconds)
//!
//! The target is T_4(x) = 8 x⁴ - 8 x² + 1, three turns within ±1. A perceptron makes the first step's input of x, a layer of three units goes on from
//! it for k internal steps, and a linear map reads the last one. However many steps, the parameters are the same. Printed is the mean squared
//! error over the interval; a constant would be wrong by 1/2 or so. One step is enough for so small a task, and more do not hurt.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use elman::network::{DeepConfig, DeepRecurrent, Hold, StackConfig, StackLayer};
use elman::train::{BatchSource, Network, Optimiser, Rule, Schedule, Trainer};
use elman::{Random, State, cells};

const UNITS: usize = 3;
const ROWS: usize = 64;

fn target(x: f32) -> f32 {
    8.0 * x.powi(4) - 8.0 * x.powi(2) + 1.0
}

/// One step: (1, B, 1).
fn step(values: Vec<f32>) -> Tensor<3> {
    let shape = [1, values.len(), 1];
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

/// Inputs and targets.
struct Pairs(Vec<f32>);

struct Source(Random);

impl BatchSource<Pairs> for Source {
    fn next_batch(&mut self) -> Result<Pairs, String> {
        Ok(Pairs((0..ROWS).map(|_| self.0.symmetric(1.0)).collect()))
    }
    fn cursor(&self) -> String {
        self.0.position().to_string()
    }
    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.0.seek(cursor.parse().map_err(|_| format!("`{cursor}` is no place"))?);
        Ok(())
    }
}

#[derive(Module, Debug)]
struct Deep {
    network: DeepRecurrent,
}

impl Deep {
    fn new(internal_steps: usize, seed: u64) -> Deep {
        let layer = StackLayer::new((cells::find("elman").expect("registered").make)(), UNITS);
        let stack = StackConfig::new(UNITS, vec![layer]);
        let plain = DeepConfig::new(stack, 1);
        let config = DeepConfig { inputs: 1, before: vec![UNITS], internal_steps, hold: Hold::Zero, ..plain };
        Deep { network: config.init(seed, &Device::flex().autodiff()).expect("the widths fit") }
    }

    fn error(&self, batch: &Pairs) -> Tensor<1> {
        let (y, _) = self.network.forward(step(batch.0.clone()), None);
        (y - step(batch.0.iter().copied().map(target).collect())).powi_scalar(2).mean()
    }
}

impl Network for Deep {
    type Batch = Pairs;

    fn loss(&self, batch: &Pairs, _: Option<State>, _: &mut Random) -> (Tensor<1>, State) {
        (self.error(batch), State { layers: Vec::new() })
    }
    fn is_fresh(_: &Pairs) -> bool {
        true
    }
    fn count(batch: &Pairs) -> usize {
        batch.0.len()
    }
}

/// The number of parameters, and the error over the interval after training: the least of some beginnings, which matter in so small a network.
pub fn learnt(internal_steps: usize, updates: u64) -> (usize, f64) {
    let grid = Pairs((0..201).map(|k| k as f32 / 100.0 - 1.0).collect());
    let mut best = f64::INFINITY;
    let mut parameters = 0;
    for seed in 1..=3 {
        let network = Deep::new(internal_steps, seed);
        parameters = network.num_params();
        let mut trainer = Trainer::new(network, Optimiser::new(Rule::ADAM, 0.0), 0.02, seed);
        trainer.schedule = Schedule::Cosine { steps: updates, floor: 0.01 };
        trainer.clip = Some(1.0);
        trainer.run(&mut Source(Random::new(seed, "pairs")), updates, |_, _| true).expect("numbers stay finite");
        best = best.min(f64::from(trainer.network().error(&grid).into_scalar::<f32>()));
    }
    (parameters, best)
}

fn main() {
    let updates = std::env::args().nth(1).map_or(2000, |n| n.parse().expect("a number of updates"));
    println!("{:>14} {:>12} {:>8}", "internal steps", "parameters", "error");
    for internal_steps in [1, 2, 4] {
        let (parameters, error) = learnt(internal_steps, updates);
        println!("{internal_steps:>14} {parameters:>12} {error:>8.4}");
    }
}

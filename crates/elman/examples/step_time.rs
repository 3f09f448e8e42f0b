//! How long a training step of a character model takes, and where the time goes.
//!
//! `cargo run --release -p elman --example step_time -- [HIDDEN] [BATCH] [SEQ] [THREADS] [STEPS]`

use burn::tensor::{Device, Tensor};
use elman::network::{LanguageModel, LanguageModelConfig, TokenBatch, readout};
use elman::recurrent::{Input, Options};
use elman::train::{BatchSource, Optimiser, Rule, Trainer};
use elman::{Random, cells};
use std::time::Instant;

const V: usize = 65;

struct Noise {
    steps: usize,
    batch: usize,
    random: Random,
}

impl BatchSource<TokenBatch> for Noise {
    fn next_batch(&mut self) -> Result<TokenBatch, String> {
        let n = self.steps * self.batch;
        let mut draw = || (0..n).map(|_| self.random.word() % V as u32).collect::<Vec<u32>>();
        Ok(TokenBatch {
            ids: draw().into(),
            targets: draw(),
            batch: self.batch,
            lengths: None,
            fresh: false,
            carry: None,
        })
    }
    fn cursor(&self) -> String {
        String::new()
    }
    fn seek(&mut self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

/// Median and, for a machine that is shared, the fastest.
fn median(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    format!("{:.2} (fastest {:.2})", times[times.len() / 2], times[0])
}

fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let get = |i: usize, default| arguments.get(i).copied().unwrap_or(default);
    let (hidden, batch, steps, threads, count) = (get(0, 256), get(1, 64), get(2, 100), get(3, 0), get(4, 30));
    elman::set_threads(threads);
    let device = Device::flex().autodiff();
    let cell = (cells::find("lstm").expect("registered").make)();
    let config =
        LanguageModelConfig { vocabulary: V, embedding: hidden, hidden, output: hidden, layers: 1, dropout: 0.0, cell };
    let network: LanguageModel = config.init(1, &device).expect("sizes are not zero");
    let mut source = Noise { steps, batch, random: Random::new(1, "noise") };

    let (mut forward, mut backward, mut readouts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..count {
        let tokens = source.next_batch().expect("never fails");
        let input = Input::Tokens { ids: tokens.ids, batch, table: network.embedding.weight.val() };
        let start = Instant::now();
        let (y, _) = network.rnn.run(input, None, Options::default());
        forward.push(start.elapsed().as_secs_f64() * 1e3);
        let d_y = Tensor::<3>::ones(y.dims(), &device.clone());
        let product = (y.clone() * d_y).sum();
        let start = Instant::now();
        let _ = product.backward();
        backward.push(start.elapsed().as_secs_f64() * 1e3);
        let y = y.detach().reshape([steps * batch, hidden]).require_grad();
        let start = Instant::now();
        let weight = network.readout.weight.val();
        let loss = readout::cross_entropy(y, weight, network.readout.bias.val(), &tokens.targets);
        let _ = loss.backward();
        readouts.push(start.elapsed().as_secs_f64() * 1e3);
    }
    println!("recurrent forward {} ms, backward {} ms", median(forward), median(backward));
    println!("readout and cross-entropy, forward and backward {} ms", median(readouts));

    let mut trainer = Trainer::new(network, Optimiser::new(Rule::ADAM, 0.0), 0.002, 1);
    trainer.clip = Some(5.0);
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        trainer.step(&mut source).expect("finite");
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    println!("whole step {} ms", median(times));
    let mut optimiser = Optimiser::new(Rule::ADAM, 0.0);
    let (mut p, g) = (vec![0.1f32; 600_000], vec![0.01f32; 600_000]);
    let times = (0..count).map(|_| {
        let start = Instant::now();
        optimiser.begin(1.0);
        optimiser.update("p", 0.001, &mut p, &g);
        start.elapsed().as_secs_f64() * 1e3
    });
    println!("Adam over 0.6 million parameters {} ms", median(times.collect()));
}

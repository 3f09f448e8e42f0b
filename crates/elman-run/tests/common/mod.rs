//! Small models for tests.

// Each test file uses a part of this.
#![allow(dead_code)]

use elman_core::engine::Engine;
use elman_run::analysis::{Network, Path};
use elman_run::{Model, ModelConfig, Tensor, Vocabulary};
use std::sync::Arc;

pub fn engine() -> Arc<Engine> {
    Arc::new(Engine::new(1))
}

/// Numbers between -scale and scale, the same in every run.
pub fn numbers(len: usize, scale: f32, seed: u64) -> Vec<f32> {
    let mut random = seed.wrapping_mul(2654435761).wrapping_add(1);
    let mut next = || {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((random >> 40) as f32 / (1 << 24) as f32 - 0.5) * 2.0 * scale
    };
    (0..len).map(|_| next()).collect()
}

pub fn config(cell: &str, hidden: usize, layers: usize) -> ModelConfig {
    ModelConfig { task: "char-lm".into(), cell: cell.into(), embedding: 5, hidden, output: 3, layers }
}

/// A model of six characters with random numbers; `change` may put others in their place by name.
pub fn model_with(config: ModelConfig, change: impl Fn(&str, &mut Vec<f32>)) -> Model {
    let mut seed = 0;
    let mut tensor = |name: String, shape: Vec<usize>| {
        seed += 1;
        let mut values = numbers(shape.iter().product(), 0.8, seed);
        change(&name, &mut values);
        Tensor { name, shape, values }
    };
    let stack = config.stack().unwrap();
    let width = stack[config.layers - 1].output_width();
    let mut tensors = vec![
        tensor("embedding.weight".into(), vec![6, config.embedding]),
        tensor("readout.weight".into(), vec![6, width]),
        tensor("readout.bias".into(), vec![6]),
    ];
    for (k, layer) in stack.iter().enumerate() {
        tensors.extend(layer.parameters().iter().map(|p| tensor(format!("rnn.{}_l{k}", p.name), p.shape())));
    }
    Model::from_tensors(config, Vocabulary::new("abcdef".chars()).unwrap(), tensors).unwrap()
}

pub fn model(cell: &str, hidden: usize, layers: usize) -> Model {
    model_with(config(cell, hidden, layers), |_, _| {})
}

/// A text of `n` tokens without a pattern.
pub fn ids(n: usize) -> Vec<u32> {
    numbers(n, 1.0, 77).into_iter().map(|x| (((x + 1.0) * 3.0) as u32).min(5)).collect()
}

pub fn path(model: &Model, n: usize) -> (Network, Path, Arc<Engine>) {
    let (network, engine) = (Network::new(model).unwrap(), engine());
    let path = Path::new(&network, &engine, &ids(n)).unwrap();
    (network, path, engine)
}

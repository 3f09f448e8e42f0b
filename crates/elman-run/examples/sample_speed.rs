//! How fast a model of a given size writes and is scored, on one thread and on all.
//!
//! ```text
//! cargo run --release -p elman-run --example sample_speed -- [CELL] [HIDDEN] [LAYERS] [VOCABULARY]
//! ```

use elman_core::engine::Engine;
use elman_run::{Generator, Model, ModelConfig, SampleSettings, Scorer, Tensor, Vocabulary};
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let cell = arguments.next().unwrap_or("lstm".into());
    let mut number = |default| arguments.next().map_or(Ok(default), |a| a.parse::<usize>());
    let (hidden, layers, vocabulary) = (number(256)?, number(1)?, number(65)?);
    let config = ModelConfig { task: "char-lm".into(), cell, embedding: hidden, hidden, output: hidden, layers };
    let model = model(config, vocabulary)?;
    for threads in [1, 0] {
        let engine = Arc::new(Engine::new(threads));
        for (name, top_p) in [("sample", 1.0), ("sample, top-p 0.9", 0.9)] {
            let settings = SampleSettings { temperature: 0.8, top_p, ..Default::default() };
            let mut generator = Generator::new(&model, &engine, "", settings)?;
            let rate = best(|| generator.by_ref().take(20_000).try_for_each(|c| c.map(drop)))?;
            println!("{name}, {} thread(s), {}: {rate:.0} characters/s", engine.threads(), engine.isa());
        }
        let ids: Vec<u32> = (0..20_000).map(|i| i * 7 % vocabulary as u32).collect();
        let mut scorer = Scorer::new(&model, &engine);
        let rate = best(|| {
            scorer.push(&ids);
            Ok(())
        })?;
        println!("score, {} thread(s): {rate:.0} characters/s", engine.threads());
    }
    Ok(())
}

/// Characters a second in the best of five runs of 20,000.
fn best(mut run: impl FnMut() -> Result<(), elman_run::Error>) -> Result<f64, elman_run::Error> {
    let mut best = 0f64;
    for _ in 0..5 {
        let start = Instant::now();
        run()?;
        best = best.max(20_000.0 / start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Numbers of the size of PyTorch's initialisation: the speed does not depend on them, except that they stay finite.
fn model(config: ModelConfig, vocabulary: usize) -> Result<Model, elman_run::Error> {
    let characters = (0..vocabulary as u32).filter_map(|i| char::from_u32(i + 0x20));
    let mut random = 1u64;
    let scale = 2.0 / (config.hidden as f32).sqrt();
    let mut tensor = |name: &str, shape: &[usize]| {
        let values = (0..shape.iter().product())
            .map(|_| {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((random >> 40) as f32 / (1 << 24) as f32 - 0.5) * scale
            })
            .collect();
        Tensor { name: name.into(), shape: shape.into(), values }
    };
    let stack = config.stack()?;
    let width = stack.last().map_or(0, |layer| layer.output_width());
    let mut tensors = vec![
        tensor("embedding.weight", &[vocabulary, config.embedding]),
        tensor("readout.weight", &[vocabulary, width]),
        tensor("readout.bias", &[vocabulary]),
    ];
    for (k, layer) in stack.iter().enumerate() {
        tensors.extend(layer.parameters().iter().map(|p| tensor(&format!("rnn.{}_l{k}", p.name), &p.shape())));
    }
    Model::from_tensors(config, Vocabulary::new(characters)?, tensors)
}

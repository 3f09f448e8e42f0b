//! `elman sample`

use crate::args::Sample;
use crate::failure::Failure;
use crate::output::{self, Characters};
use elman_core::engine::Engine;
use elman_run::{Generator, Model, SampleSettings};
use elman_tasks::RunDir;
use serde_json::json;

pub fn run(command: &Sample) -> Result<(), Failure> {
    let path = if command.dir.is_file() {
        if command.best {
            return Err(Failure::usage("--best: it chooses between a run's models; leave it out with a model file"));
        }
        command.dir.clone()
    } else {
        RunDir::open(&command.dir)?.trained(command.best)?
    };
    let model = Model::load(&path)?.with_stream_weights(command.weights.into());
    let engine = Engine::new(command.threads).into();
    let &Sample { temperature, top_k, top_p, seed, length, .. } = command;
    let settings = SampleSettings { temperature, top_k, top_p, seed };
    let generator = Generator::new(&model, &engine, &command.prompt, settings).map_err(|error| match error {
        elman_run::Error::UnknownCharacter { .. } => Failure::usage(format!("--prompt: {error}")),
        elman_run::Error::Setting { .. } => Failure::usage(format!("--{error}")),
        other => other.into(),
    })?;
    let written = generator.take(usize::try_from(length).unwrap_or(usize::MAX));
    if command.json {
        let text = written.collect::<Result<String, _>>()?;
        let object = json!({
            "model": path.display().to_string(), "prompt": command.prompt, "text": text,
            "temperature": decimal(temperature), "top_k": top_k, "top_p": decimal(top_p), "seed": seed,
        });
        return output::text(&format!("{object}\n"));
    }
    let mut out = Characters::new();
    out.push(&command.prompt)?;
    for text in written {
        out.push(text?)?;
    }
    out.end()
}

/// The number as it was given: 0.9, and not the f32 nearest to it.
fn decimal(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

//! Streaming: one row, one step at a time, on the engine alone.

use crate::Work;
use crate::spec::{Spec, values};
use elman_core::engine::{Engine, StepInput, Stepper, WeightFormat};
use elman_core::layer::Role;
use std::sync::Arc;

/// Inputs that go round.
const INPUTS: usize = 100;

/// Steps after which the output is compared with a peer's.
const CHECKED: usize = 50;

pub struct Steps {
    stepper: Stepper<f32>,
    x: Vec<f32>,
    steps: usize,
    operations: f64,
}

impl Steps {
    pub fn new(spec: &Spec) -> Self {
        let (layer, steps) = (spec.layer(), spec.number("steps"));
        let named = |p: &elman_core::layer::Parameter| spec.parameter(&format!("{}_l0", p.name), p.len());
        let params: Vec<Vec<f32>> = layer.parameters().iter().map(named).collect();
        let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
        let weights: usize = layer.parameters().iter().filter(|p| p.role == Role::Weight).map(|p| p.len()).sum();
        let format = match spec.text("format") {
            "f32" => WeightFormat::Full,
            "bf16" => WeightFormat::Bf16,
            "int8" => WeightFormat::Int8,
            other => panic!("no weight format `{other}`"),
        };
        let engine = Arc::new(Engine::new(spec.number("threads")));
        Steps {
            stepper: Stepper::with_weights(&engine, &layer, &params, 1, None, format),
            x: values("x", INPUTS * layer.sizes().input, 1.0),
            steps,
            operations: 2.0 * (weights * steps) as f64,
        }
    }

    fn advance(&mut self, steps: usize) -> &[f32] {
        let width = self.x.len() / INPUTS;
        for i in 1..steps {
            self.stepper.step(StepInput::Dense(&self.x[(i - 1) % INPUTS * width..][..width]));
        }
        self.stepper.step(StepInput::Dense(&self.x[(steps - 1) % INPUTS * width..][..width]))
    }
}

impl Work for Steps {
    fn run(&mut self) {
        std::hint::black_box(self.advance(self.steps));
    }

    fn check(&mut self) -> Vec<(String, Vec<f32>)> {
        vec![("h".into(), self.advance(CHECKED).to_vec())]
    }

    fn operations(&self) -> f64 {
        self.operations
    }
}

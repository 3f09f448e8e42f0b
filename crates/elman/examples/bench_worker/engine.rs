//! The same layer on the bare engine: slices in, slices out.

use crate::Work;
use crate::spec::{Spec, values};
use elman_core::Layer;
use elman_core::engine::{Engine, Gradients, Input, Mask, Output, Sequence, Workspace};
use elman_core::layer::{Place, Role};
use std::sync::Arc;

pub struct Bare {
    engine: Engine,
    layer: Layer,
    params: Vec<Vec<f32>>,
    x: Vec<f32>,
    d_y: Vec<f32>,
    size: [usize; 2],
    lengths: Option<Arc<[usize]>>,
    mask: Option<Vec<f32>>,
    workspace: Workspace<f32>,
    out: Output<f32>,
    gradients: Gradients<f32>,
    operations: f64,
}

impl Bare {
    pub fn new(spec: &Spec) -> Self {
        let (t, b, layer) = (spec.number("T"), spec.number("B"), spec.layer());
        let weights: usize = layer.parameters().iter().filter(|p| p.role == Role::Weight).map(|p| p.len()).sum();
        Bare {
            engine: spec.engine(),
            params: layer.parameters().iter().map(|p| spec.parameter(&format!("{}_l0", p.name), p.len())).collect(),
            x: values("x", t * b * layer.sizes().input, 1.0),
            d_y: vec![1.0; t * b * layer.output_width()],
            layer,
            size: [t, b],
            lengths: spec.lengths(),
            mask: spec.mask(),
            workspace: Workspace::new(),
            out: Output::default(),
            gradients: Gradients::default(),
            operations: 6.0 * (weights * spec.rows()) as f64,
        }
    }
}

impl Work for Bare {
    fn run(&mut self) {
        let params: Vec<&[f32]> = self.params.iter().map(Vec::as_slice).collect();
        let mut seq = Sequence::new(self.size[0], self.size[1], Input::Dense(&self.x));
        seq.lengths = self.lengths.as_deref();
        if let Some(values) = &self.mask {
            let sources = &self.layer.stages()[0].sources;
            let source = *sources.iter().find(|&&s| s != Place::Input).expect("a recurrent source");
            seq.masks.push(Mask { stage: 0, source, values });
        }
        let (layer, ws) = (&self.layer, &mut self.workspace);
        self.engine.forward(layer, &params, &seq, ws, &mut self.out);
        self.engine.backward(layer, &params, &seq, ws, &self.out.y, &self.d_y, None, &mut self.gradients);
    }

    fn check(&mut self) -> Vec<(String, Vec<f32>)> {
        self.run();
        let names = self.layer.parameters().iter().map(|p| format!("d_{}_l0", p.name));
        let mut results = vec![("y".into(), self.out.y.clone()), ("d_x".into(), self.gradients.input.clone())];
        results.extend(names.zip(self.gradients.params.iter().cloned()));
        results
    }

    fn operations(&self) -> f64 {
        self.operations
    }
}

//! A layer as a user runs it: the Burn module, with automatic differentiation. The loss is the sum of the output.

use crate::Work;
use crate::spec::{Spec, values};
use burn::module::{Module as _, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use elman::parameters::{Named, export, import};
use elman::recurrent::{Input, Options, SourceMask};
use elman::{Recurrent, RecurrentConfig, Sizes};
use elman_core::layer::{Place, Role};
use std::sync::Arc;

pub struct Module {
    module: Recurrent,
    x: Tensor<3>,
    lengths: Option<Arc<[usize]>>,
    masks: Vec<SourceMask>,
    operations: f64,
}

impl Module {
    pub fn new(spec: &Spec) -> Self {
        let (t, b, i, h) = (spec.number("T"), spec.number("B"), spec.number("I"), spec.number("H"));
        let device = Device::flex().autodiff();
        let module = RecurrentConfig::new(spec.cell(), Sizes::new(i, h)).init(1, &device).expect("sizes are not zero");
        let fill = |p: Named| Named { values: spec.parameter(&p.name, p.values.len()), ..p };
        let parameters = export(&module).into_iter().map(fill).collect();
        let module = import(module, parameters).expect("the module's own parameters");
        let layer = module.layers()[0].clone();
        let weights: usize = layer.parameters().iter().filter(|p| p.role == Role::Weight).map(|p| p.len()).sum();
        let masks = spec.mask().map(|mask| {
            let sources = &layer.stages()[0].sources;
            let source = *sources.iter().find(|&&s| s != Place::Input).expect("a recurrent source");
            let values = Tensor::from_data(TensorData::new(mask, [b, h]), &device);
            SourceMask { layer: 0, stage: 0, source, values }
        });
        Module {
            module: module.with_runtime(spec.runtime()).with_recompute(spec.recompute()),
            x: Tensor::from_data(TensorData::new(values("x", t * b * i, 1.0), [t, b, i]), &device).require_grad(),
            lengths: spec.lengths(),
            masks: masks.into_iter().collect(),
            // A product forward is two backward.
            operations: 6.0 * (weights * spec.rows()) as f64,
        }
    }

    fn pass(&self) -> (Tensor<3>, Gradients) {
        let options = Options { lengths: self.lengths.clone(), masks: self.masks.clone(), ..Options::default() };
        let (y, _) = self.module.run(Input::Dense(self.x.clone()), None, options);
        // Of a tensor that is no scalar, backward starts from ones.
        let gradients = y.backward();
        (y, gradients)
    }
}

impl Work for Module {
    fn run(&mut self) {
        std::hint::black_box(self.pass());
    }

    fn check(&mut self) -> Vec<(String, Vec<f32>)> {
        let (y, gradients) = self.pass();
        let d_x = self.x.grad(&gradients).expect("the input's gradient");
        let mut results = vec![("y".into(), numbers(y)), ("d_x".into(), numbers(d_x))];
        let mut collect = Collect { gradients: &gradients, place: String::new(), results: &mut results };
        self.module.visit(&mut collect);
        results
    }

    fn operations(&self) -> f64 {
        self.operations
    }
}

/// The numbers of a tensor.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec::<f32>().expect("f32")
}

/// Takes the gradients of a layer's parameters by name.
struct Collect<'a> {
    gradients: &'a Gradients,
    place: String,
    results: &'a mut Vec<(String, Vec<f32>)>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.place = format!("d_{name}");
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.gradients) {
            self.results.push((self.place.clone(), numbers(gradient)));
        }
    }
}

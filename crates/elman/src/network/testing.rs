//! For tests of networks: modules in f64, and gradients against central differences.

use crate::random::Random;
use crate::recurrent::leaf;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};

/// The module in f64, so that a difference can be told from rounding.
pub fn doubled<M: Module>(module: M) -> M {
    struct Double;
    impl ModuleMapper for Double {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let device = param.val().device();
            leaf(Tensor::from_data(param.val().into_data().convert::<f64>(), (&device, DType::F64)))
        }
    }
    module.map(&mut Double)
}

/// Random numbers in ±1, the same for one name.
pub fn tensor<const D: usize>(shape: [usize; D], name: &str, device: &Device) -> Tensor<D> {
    let mut random = Random::new(7, name);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| random.symmetric(1.0).into()).collect();
    Tensor::from_data(TensorData::new(values, shape), (device, DType::F64))
}

/// The numbers of a tensor of f64.
pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_to_vec::<f64>().unwrap()
}

/// Every parameter's values, or with gradients their gradients, by path.
pub fn all<M: Module>(module: &M, gradients: Option<&Gradients>) -> Vec<(String, Vec<f64>)> {
    struct All<'a> {
        path: Vec<String>,
        gradients: Option<&'a Gradients>,
        found: Vec<(String, Vec<f64>)>,
    }
    impl ModuleVisitor for All<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let path = self.path.join(".");
            let values = match self.gradients {
                None => param.val(),
                Some(d) => param.val().grad(d).unwrap_or_else(|| panic!("`{path}` has no gradient")),
            };
            self.found.push((path, numbers(values)));
        }
    }
    let mut visitor = All { path: Vec::new(), gradients, found: Vec::new() };
    module.visit(&mut visitor);
    visitor.found
}

/// The module with these values, in the order of its parameters.
pub fn with_values<M: Module>(module: M, values: &[(String, Vec<f64>)]) -> M {
    struct Replace<'a>(std::slice::Iter<'a, (String, Vec<f64>)>);
    impl ModuleMapper for Replace<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let tensor = param.val();
            let (_, values) = self.0.next().unwrap();
            let data = TensorData::new(values.clone(), tensor.shape());
            leaf(Tensor::from_data(data, (&tensor.device(), DType::F64)))
        }
    }
    module.map(&mut Replace(values.iter()))
}

/// Compares the gradient of `loss` by every parameter with central differences in f64.
pub fn gradient_check<M: Module>(module: M, loss: impl Fn(&M) -> Tensor<1>) {
    const STEP: f64 = 1e-5;
    let module = doubled(module);
    let found = all(&module, Some(&loss(&module).backward()));
    let values = all(&module, None);
    assert!(found.iter().any(|(_, d)| d.iter().any(|d| d.abs() > 1e-4)), "nothing has a gradient");
    for (p, (name, found)) in found.iter().enumerate() {
        for (k, found) in found.iter().enumerate() {
            let at = |shift: f64| {
                let mut moved = values.clone();
                moved[p].1[k] += shift;
                numbers(loss(&with_values(module.clone(), &moved)))[0]
            };
            let want = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            // The difference's own error: step² / 6 of a third derivative around 1, and rounding 1e-16 / step.
            assert!((found - want).abs() <= 1e-9 + 1e-6 * want.abs(), "{name}[{k}]: {found}, differences {want}");
        }
    }
}

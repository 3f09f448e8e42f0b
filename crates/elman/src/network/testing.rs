//! For tests of modules: f64, gradients against central differences, golden files.

use super::series::{Scaling, SeriesBatch, Units};
use crate::random::Random;
use crate::recurrent::leaf;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::Path;

#[path = "goldens_test.rs"]
mod goldens;
#[path = "language_model/golden_test.rs"]
mod language_model;

/// Parameters or gradients by path.
pub type Numbers = BTreeMap<String, Vec<f64>>;

pub fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec::<f64>().unwrap()
}

pub fn from_values<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (device, DType::F64))
}

/// Uniform in ±1, the same for one name.
pub fn tensor<const D: usize>(shape: [usize; D], name: &str, device: &Device) -> Tensor<D> {
    let mut random = Random::new(7, name);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| random.symmetric(1.0).into()).collect();
    from_values(&values, shape, device)
}

/// The module with these parameters, in f64; those that are not named keep their values.
pub fn with<M: Module>(module: M, values: &Numbers) -> M {
    struct Set<'a>(Vec<String>, &'a Numbers);
    impl ModuleMapper for Set<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let value = param.val();
            let data = match self.1.get(&self.0.join(".")) {
                Some(values) => TensorData::new(values.clone(), value.shape()),
                None => value.to_data().convert::<f64>(),
            };
            leaf(Tensor::from_data(data, (&value.device(), DType::F64)))
        }
    }
    module.map(&mut Set(Vec::new(), values))
}

/// The module in f64, so that a difference can be told from rounding.
pub fn doubled<M: Module>(module: M) -> M {
    with(module, &Numbers::new())
}

pub fn parameters<M: Module>(module: &M) -> Numbers {
    collect(module, None)
}

/// The gradient of every parameter that has one.
pub fn gradients<M: Module>(module: &M, from: &Gradients) -> Numbers {
    collect(module, Some(from))
}

fn collect<M: Module>(module: &M, from: Option<&Gradients>) -> Numbers {
    struct Collect<'a>(Vec<String>, Option<&'a Gradients>, Numbers);
    impl ModuleVisitor for Collect<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = match self.1 {
                None => Some(numbers(param.val())),
                Some(gradients) => param.val().grad(gradients).map(numbers),
            };
            if let Some(values) = values {
                self.2.insert(self.0.join("."), values);
            }
        }
    }
    let mut visitor = Collect(Vec::new(), from, Numbers::new());
    module.visit(&mut visitor);
    visitor.2
}

/// Every gradient of `loss` by a parameter of the module against central differences, in f64.
pub fn gradient_check<M: Module>(module: M, loss: impl Fn(&M) -> Tensor<1>) {
    gradient_check_with(std::any::type_name::<M>(), &module, &[], |module, _| loss(module));
}

/// Every gradient of `loss` against central differences, in f64: by each parameter of the module and each of its inputs.
pub fn gradient_check_with<M: Module>(
    what: &str,
    module: &M,
    inputs: &[Tensor<2>],
    loss: impl Fn(&M, &[Tensor<2>]) -> Tensor<1>,
) {
    /// The step of the differences.
    const STEP: f64 = 1e-5;
    // An error of the step's square times the third derivative (about 1e-10 here), and the loss's rounding (1e-16) over the step.
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 + 1e-6 * b.abs();
    let module = with(module.clone(), &Numbers::new());
    let inputs: Vec<Tensor<2>> = inputs.iter().map(|x| x.clone().detach().require_grad()).collect();
    let d = loss(&module, &inputs).backward();
    let value = |module: &M, inputs: &[Tensor<2>]| numbers(loss(module, inputs))[0];

    let (values, exact) = (parameters(&module), gradients(&module, &d));
    assert!(exact.values().flatten().any(|d| d.abs() > 1e-4), "{what}: nothing has a gradient");
    for (name, all) in &values {
        let exact = exact.get(name).unwrap_or_else(|| panic!("{what}: {name} has no gradient"));
        for i in 0..all.len() {
            let at = |shift: f64| {
                let mut moved = all.clone();
                moved[i] += shift;
                value(&with(module.clone(), &Numbers::from([(name.clone(), moved)])), &inputs)
            };
            let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            assert!(near(exact[i], difference), "{what}: {name}[{i}]: {} and by differences {difference}", exact[i]);
        }
    }
    for (k, x) in inputs.iter().enumerate() {
        let exact = numbers(x.grad(&d).expect("inputs have gradients"));
        let (all, shape, device) = (numbers(x.clone()), x.dims(), x.device());
        for i in 0..all.len() {
            let at = |shift: f64| {
                let (mut moved, mut inputs) = (all.clone(), inputs.clone());
                moved[i] += shift;
                inputs[k] = from_values(&moved, shape, &device);
                value(&module, &inputs)
            };
            let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            assert!(near(exact[i], difference), "{what}: input {k}[{i}]: {} and by differences {difference}", exact[i]);
        }
    }
}

/// A golden file of `golden/networks`.
pub struct Golden {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
}

impl Golden {
    pub fn read(name: &str) -> Golden {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../golden/networks/{name}.safetensors"));
        let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let read = |tensor: safetensors::tensor::TensorView| {
            let words = tensor.data().chunks_exact(8).map(|c| c.try_into().unwrap());
            let values: Vec<f64> = match tensor.dtype() {
                Dtype::F64 => words.map(f64::from_le_bytes).collect(),
                Dtype::I64 => words.map(|w| i64::from_le_bytes(w) as f64).collect(),
                other => panic!("{other:?}"),
            };
            (tensor.shape().to_vec(), values)
        };
        Golden { tensors: file.tensors().into_iter().map(|(name, t)| (name, read(t))).collect() }
    }

    pub fn shape(&self, name: &str) -> &[usize] {
        &self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}")).0
    }

    pub fn values(&self, name: &str) -> &[f64] {
        &self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}")).1
    }

    pub fn integers(&self, name: &str) -> Vec<i64> {
        self.values(name).iter().map(|&v| v as i64).collect()
    }

    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        from_values(self.values(name), self.shape(name).try_into().unwrap(), device)
    }

    /// An input or initial state that gradients are taken by.
    pub fn leaf<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        self.tensor(name, device).require_grad()
    }

    pub fn sizes(&self, name: &str) -> Vec<usize> {
        self.values(name).iter().map(|&v| v as usize).collect()
    }

    /// A batch of windows and the units, of a file about a system with inputs `u` and outputs `y`.
    pub fn recorded(&self) -> (SeriesBatch, Units) {
        let of = |what: &str| self.values(&format!("units_{what}")).to_vec();
        let scaling = |k: &str| Scaling { mean: of(&format!("{k}_mean")), deviation: of(&format!("{k}_deviation")) };
        let units = Units { u: scaling("u"), y: scaling("y") };
        let &[_, batch, inputs] = self.shape("u") else { panic!("(T, B, M)") };
        let (channels, warm_up) = ([inputs, self.shape("y")[2]], self.sizes("orders")[3]);
        (SeriesBatch { u: self.values("u").to_vec(), y: self.values("y").to_vec(), batch, channels, warm_up }, units)
    }

    /// Row 0 of a sequence.
    pub fn first_row(&self, name: &str) -> Vec<f64> {
        let &[_, batch, width] = self.shape(name) else { panic!("(T, B, width)") };
        self.values(name).chunks(batch * width).flat_map(|step| &step[..width]).copied().collect()
    }

    /// The module with the file's parameters, which stand there under the module's names.
    pub fn fill<M: Module>(&self, module: M) -> M {
        let names: Vec<String> = parameters(&with(module.clone(), &Numbers::new())).into_keys().collect();
        with(module, &names.into_iter().map(|n| (n.clone(), self.values(&n).to_vec())).collect())
    }

    pub fn compare(&self, name: &str, got: &[f64]) {
        let want = self.values(name);
        assert_eq!(got.len(), want.len(), "length of {name}");
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            // As for the cells: 1e-10 relative, and a floor for what is small by cancellation.
            assert!((g - w).abs() <= 1e-13 + 1e-10 * w.abs(), "{name}[{i}] is {g}, expected {w}");
        }
    }

    /// Compares an output and gives its part of the loss, `Σ output · d_output`.
    pub fn part<const D: usize>(&self, name: &str, output: Tensor<D>) -> Tensor<1> {
        self.compare(name, &numbers(output.clone()));
        let d = self.tensor(&format!("d_{name}"), &output.device());
        (output * d).sum()
    }

    /// The gradient by a leaf.
    pub fn compare_leaf<const D: usize>(&self, name: &str, leaf: &Tensor<D>, d: &Gradients) {
        self.compare(&format!("d_{name}"), &numbers(leaf.grad(d).expect("a leaf has a gradient")));
    }

    /// Every gradient by a parameter, under `d_<parameter>`.
    pub fn compare_gradients<M: Module>(&self, module: &M, d: &Gradients) {
        let found = gradients(module, d);
        assert_eq!(found.len(), parameters(module).len(), "every parameter has a gradient");
        found.iter().for_each(|(name, values)| self.compare(&format!("d_{name}"), values));
    }
}

/// The check finds a gradient that is wrong.
#[test]
#[should_panic(expected = "by differences")]
fn a_wrong_gradient_is_found() {
    let device = Device::flex().autodiff();
    let config = super::tree::RecursiveConfig::new(super::tree::Branches::Sum, 2, 3);
    let module = config.init(1, &device).unwrap();
    gradient_check_with("wrong", &module, &[tensor([2, 2], "x", &device)], |module, inputs| {
        // Half of the gradient is lost at the detached factor.
        let y = inputs[0].clone().matmul(module.weight_x.val().transpose());
        (y.clone() * y.detach()).sum() + module.weight_h.val().sum() + module.bias.val().sum()
    });
}

//! A module's parameters by path, as plain numbers: reading, replacing, updating in place.

use crate::flex::{Operand, edit, is_flex, to_vec};
use crate::train::Gradient;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Gradients, Tensor, TensorData};
use std::collections::BTreeMap;

/// A parameter by its path.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Its path in the module: `rnn.weight_ih_l0`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its numbers, row-major.
    pub values: Vec<f32>,
}

/// What does not fit when parameters are replaced.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterError {
    /// The module has a parameter that the list has not.
    #[error("parameter `{0}` is missing")]
    Missing(String),
    /// The list has a parameter that the module has not.
    #[error("there is no parameter `{0}` in this network")]
    Unknown(String),
    /// The shapes differ.
    #[error("parameter `{name}` has shape {found:?}, this network needs {expected:?}")]
    Shape {
        /// The parameter.
        name: String,
        /// The list's.
        found: Vec<usize>,
        /// The module's.
        expected: Vec<usize>,
    },
}

/// Where a traversal stands.
#[derive(Default)]
struct Place(Vec<String>);

impl Place {
    fn path(&self) -> String {
        self.0.join(".")
    }
}

/// Every parameter of the module in the order of its fields.
pub fn export<M: Module>(module: &M) -> Vec<Named> {
    struct Export {
        place: Place,
        found: Vec<Named>,
    }
    impl ModuleVisitor for Export {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.place.0.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.place.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val();
            let shape = tensor.shape().to_vec();
            self.found.push(Named { name: self.place.path(), shape, values: to_vec(tensor) });
        }
    }
    let mut visitor = Export { place: Place::default(), found: Vec::new() };
    module.visit(&mut visitor);
    visitor.found
}

/// Replaces every parameter of the module; the list must have exactly the module's parameters, in any order.
///
/// # Errors
/// One is missing, has another shape, or is not the module's.
pub fn import<M: Module>(module: M, parameters: Vec<Named>) -> Result<M, ParameterError> {
    struct Import {
        place: Place,
        left: BTreeMap<String, Named>,
    }
    impl ModuleMapper for Import {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.place.0.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.place.0.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            match self.left.remove(&self.place.path()) {
                None => param,
                Some(named) => {
                    let (id, tensor, mapper) = param.consume();
                    let options = (&tensor.device(), tensor.dtype());
                    let grad = tensor.is_require_grad();
                    let tensor = Tensor::from_data(TensorData::new(named.values, named.shape), options);
                    Param::from_mapped_value(id, tensor.set_require_grad(grad), mapper)
                }
            }
        }
    }
    let mut left: BTreeMap<String, Named> = parameters.into_iter().map(|p| (p.name.clone(), p)).collect();
    let own = export(&module);
    for p in &own {
        match left.get(&p.name) {
            None => return Err(ParameterError::Missing(p.name.clone())),
            Some(found) if found.shape != p.shape || found.values.len() != p.values.len() => {
                return Err(ParameterError::Shape {
                    name: p.name.clone(),
                    found: found.shape.clone(),
                    expected: p.shape.clone(),
                });
            }
            Some(_) => {}
        }
    }
    if let Some(name) = left.keys().find(|name| !own.iter().any(|p| p.name == **name)) {
        return Err(ParameterError::Unknown(name.clone()));
    }
    let mut mapper = Import { place: Place::default(), left: std::mem::take(&mut left) };
    Ok(module.map(&mut mapper))
}

/// Takes the gradient of every trained parameter, by path, in the order of the module's fields.
pub(crate) fn gradients<M: Module>(module: &M, from: &mut Gradients) -> Vec<(String, Gradient)> {
    struct Collect<'a> {
        place: Place,
        from: &'a mut Gradients,
        found: Vec<(String, Gradient)>,
    }
    impl ModuleVisitor for Collect<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.place.0.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.place.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let Some(gradient) = param.val().grad_remove(self.from) else { return };
            let gradient = if is_flex(&gradient.device()) && gradient.dtype() == DType::F32 {
                Gradient::on_flex(Operand::new(gradient).tensor)
            } else {
                to_vec(gradient).into()
            };
            self.found.push((self.place.path(), gradient));
        }
    }
    let mut visitor = Collect { place: Place::default(), from, found: Vec::new() };
    module.visit(&mut visitor);
    visitor.found
}

/// Changes every parameter that has a gradient, in place where nobody else holds it.
pub(crate) fn update<M: Module>(
    module: M,
    gradients: &[(String, Gradient)],
    change: impl FnMut(&str, &mut [f32], &Gradient),
) -> M {
    struct Update<'a, C> {
        place: Place,
        gradients: std::iter::Peekable<std::slice::Iter<'a, (String, Gradient)>>,
        change: C,
    }
    impl<C: FnMut(&str, &mut [f32], &Gradient)> ModuleMapper for Update<'_, C> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.place.0.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.place.0.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let path = self.place.path();
            let Some((_, gradient)) = self.gradients.next_if(|(name, _)| *name == path) else { return param };
            let (id, tensor, mapper) = param.consume();
            let tensor = edit(tensor, |values| (self.change)(&path, values, gradient));
            Param::from_mapped_value(id, tensor.require_grad(), mapper)
        }
    }
    let mut mapper = Update { place: Place::default(), gradients: gradients.iter().peekable(), change };
    module.map(&mut mapper)
}

/// Changes the parameters that are chosen by their paths, in place where nobody else holds them.
pub(crate) fn change<M: Module, R>(
    module: M,
    choose: impl Fn(&str) -> Option<R>,
    change: impl FnMut(R, &mut [f32]),
) -> M {
    struct Change<S, C> {
        place: Place,
        choose: S,
        change: C,
    }
    impl<R, S: Fn(&str) -> Option<R>, C: FnMut(R, &mut [f32])> ModuleMapper for Change<S, C> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.place.0.push(name.to_string());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.place.0.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(chosen) = (self.choose)(&self.place.path()) else { return param };
            let (id, tensor, mapper) = param.consume();
            let grad = tensor.is_require_grad();
            let tensor = edit(tensor, |values| (self.change)(chosen, values));
            Param::from_mapped_value(id, tensor.set_require_grad(grad), mapper)
        }
    }
    module.map(&mut Change { place: Place::default(), choose, change })
}

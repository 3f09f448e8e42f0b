//! Activations of tensors.

use super::error::NetworkError;
use crate::flex::{Number, Operand, from_vec, is_flex, recorded, slice};
use crate::recurrent::evaluate;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Tensor};
use elman_core::Real;
use elman_core::algebra::Activation;
use elman_core::algebra::expression::StageGraph;
use elman_core::cells::Elman;
use elman_core::elementwise::{Columns, ColumnsMut, Elementwise, Equations};
use std::ops::Range;
use std::sync::OnceLock;

/// The activation of this name, one of [`Activation::ALL`].
///
/// ```
/// use elman::network::activation_named;
/// assert!(activation_named("tanh").is_ok() && activation_named("softplus").is_ok());
/// let error = activation_named("tan").unwrap_err().to_string();
/// assert!(error.starts_with("there is no activation `tan`; there are: tanh, sigmoid, relu, identity, "));
/// ```
///
/// # Errors
/// There is none of this name.
pub fn activation_named(name: &str) -> Result<Activation, NetworkError> {
    let found = Activation::ALL.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, activation)| activation).ok_or_else(|| NetworkError::Activation { name: name.to_string() })
}

/// The activation of every element of a tensor: on Flex a single operation on the vector lanes, elsewhere tensor operations.
pub(crate) fn activate(function: Activation, x: Tensor<2>) -> Tensor<2> {
    match x.dtype() {
        _ if function == Activation::Identity => x,
        DType::F32 if is_flex(&x.device()) => fused::<f32>(function, x),
        DType::F64 if is_flex(&x.device()) => fused::<f64>(function, x),
        _ => portable(function, x),
    }
}

/// The recorded equation of the cell `elman`, whose one gate it is applied to.
fn portable(function: Activation, x: Tensor<2>) -> Tensor<2> {
    let options = (&x.device(), x.dtype());
    let graph = StageGraph::of(&Elman { activation: function }, 0);
    evaluate(&graph, &[x], options).remove(0)
}

struct Equation(Activation);

impl Equations for Equation {
    fn eval<R: Real>(&self, arguments: &[R]) -> Vec<R> {
        vec![self.0.of(arguments[0])]
    }
}

/// It, recorded once.
fn equation_of(function: Activation) -> &'static Elementwise {
    static ALL: OnceLock<Vec<(Activation, Elementwise)>> = OnceLock::new();
    let all = ALL.get_or_init(|| Activation::ALL.map(|(_, a)| (a, Elementwise::new(1, &Equation(a)))).into());
    all.iter().find(|(a, _)| *a == function).map(|(_, equation)| equation).expect("all are in the list")
}

/// A tensor's numbers as a matrix and a last row, each with its size.
fn pieces(len: usize) -> [(Range<usize>, [usize; 2]); 2] {
    const WIDTH: usize = 16;
    let whole = len / WIDTH * WIDTH;
    [(0..whole, [len / WIDTH, WIDTH]), (whole..len, [1, len - whole])]
}

fn matrix<F>(values: &[F], [_, width]: [usize; 2]) -> Columns<'_, F> {
    Columns { values, count: 1, stride: width }
}

fn matrix_mut<F>(values: &mut [F], [_, width]: [usize; 2]) -> ColumnsMut<'_, F> {
    ColumnsMut { values, count: 1, stride: width }
}

fn fused<F: Number>(function: Activation, x: Tensor<2>) -> Tensor<2> {
    let shape = x.dims();
    let Operand { tensor: x, node, checkpointing } = Operand::new(x);
    let equation = equation_of(function);
    let values = slice::<F>(&x);
    let mut y = vec![F::default(); values.len()];
    for (piece, size) in pieces(values.len()) {
        let arguments = [matrix(&values[piece.clone()], size)];
        equation.forward(size, &arguments, &mut [matrix_mut(&mut y[piece], size)]);
    }
    let y = from_vec(y, &shape);
    let Some(node) = node else { return Tensor::from_primitive::<Flex>(y) };
    let op = Applied(std::marker::PhantomData::<F>).prepare::<NoCheckpointing>([node]).compute_bound().stateful();
    let y = match op {
        OpsKind::Tracked(op) => op.finish((equation, x), y),
        OpsKind::UnTracked(op) => op.finish(y),
    };
    recorded(y, checkpointing)
}

/// The operation.
#[derive(Debug)]
struct Applied<F>(std::marker::PhantomData<F>);

impl<F: Number> Backward<Flex, 1> for Applied<F> {
    type State = (&'static Elementwise, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d_y = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let [Some(parent)] = &ops.parents else { return };
        let (equation, x) = ops.state;
        let values = slice::<F>(&x);
        let mut d_x = vec![F::default(); values.len()];
        for (piece, size) in pieces(values.len()) {
            let arguments = [matrix(&values[piece.clone()], size)];
            let d_results = [matrix(&slice(&d_y)[piece.clone()], size)];
            let d_arguments = &mut [matrix_mut(&mut d_x[piece], size)];
            equation.backward(size, &arguments, &d_results, d_arguments);
        }
        gradients.register::<Flex>(parent.id, from_vec(d_x, &x.layout().shape().to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::{numbers, tensor};
    use burn::tensor::Device;

    #[test]
    fn the_operation_is_the_tensor_operations() {
        let device = Device::flex().autodiff();
        for (name, function) in Activation::ALL {
            for shape in [[1, 1], [3, 5], [2, 8], [7, 23]] {
                let d_y = tensor(shape, "d_y", &device);
                let both = [activate, portable].map(|apply| {
                    let x = tensor(shape, "x", &device).require_grad();
                    // Read by rows and, of a transposed tensor, by columns.
                    let y = apply(function, x.clone()) + apply(function, x.clone().transpose()).transpose();
                    let d = (y.clone() * d_y.clone()).sum().backward();
                    [numbers(y), numbers(x.grad(&d).unwrap())].concat()
                });
                for (a, b) in both[0].iter().zip(&both[1]) {
                    assert!((a - b).abs() <= 1e-14 * b.abs().max(1.0), "{name}, {shape:?}: {a} and {b}");
                }
            }
        }
    }
}

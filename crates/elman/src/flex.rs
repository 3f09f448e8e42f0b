//! Between Burn tensors on Flex, Burn's processor backend, and plain slices.

use burn::backend::autodiff::checkpoint::strategy::BalancedCheckpointing;
use burn::backend::autodiff::ops::NodeGuard;
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex};
use burn::tensor::{Device, Tensor, TensorData};
use elman_core::algebra::Element;

/// Flex with automatic differentiation: where fused operations run.
pub(crate) type Tape = Autodiff<Flex>;

/// A number that both the engine and Burn compute with.
pub(crate) trait Number: Element + burn::tensor::Element + bytemuck::Pod {}
impl Number for f32 {}
impl Number for f64 {}

/// Whether a device is the one that fused operations run on.
pub(crate) fn is_flex(device: &Device) -> bool {
    *device == Device::flex()
}

/// A tensor of the numbers, without a copy.
pub(crate) fn from_vec<F: Number>(values: Vec<F>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

/// The numbers of a contiguous tensor.
pub(crate) fn slice<F: Number>(tensor: &FlexTensor) -> &[F] {
    tensor.as_slice::<F>().expect("contiguous, of the type that the operation was chosen for")
}

/// An input of a fused operation: its numbers, contiguous, and its node on the tape if there is one.
pub(crate) struct Operand {
    pub tensor: FlexTensor,
    pub node: Option<NodeGuard>,
    /// Whether its device has gradient checkpointing, as then the results must have.
    pub checkpointing: bool,
}

/// A tensor on the tape.
pub(crate) type TapeTensor = burn::backend::tensor::FloatTensor<Tape>;

/// What an operation gives. A device with gradient checkpointing records on the same graph under another type.
pub(crate) fn recorded<const D: usize>(tensor: TapeTensor, checkpointing: bool) -> Tensor<D> {
    match checkpointing {
        true => Tensor::from_primitive::<Autodiff<Flex, BalancedCheckpointing>>(tensor),
        false => Tensor::from_primitive::<Tape>(tensor),
    }
}

impl Operand {
    /// # Panics
    /// If the tensor is not on Flex.
    pub fn new<const D: usize>(tensor: Tensor<D>) -> Operand {
        let (mut node, mut checkpointing) = (None, false);
        let tensor = if !tensor.is_autodiff() {
            tensor.try_into_primitive::<Flex>().expect("a tensor on Flex")
        } else {
            let (tensor, its_node) = match tensor.clone().try_into_primitive::<Tape>() {
                Ok(tensor) => tensor.into_parts(),
                Err(_) => {
                    checkpointing = true;
                    let tensor = tensor.try_into_primitive::<Autodiff<Flex, BalancedCheckpointing>>();
                    tensor.expect("a tensor on Flex").into_parts()
                }
            };
            node = Some(its_node);
            tensor
        };
        let tensor = if tensor.as_bytes_contiguous() { tensor } else { tensor.to_contiguous() };
        Operand { tensor, node, checkpointing }
    }
}

/// Whether a slice can be taken without a copy.
trait Contiguous {
    fn as_bytes_contiguous(&self) -> bool;
}

impl Contiguous for FlexTensor {
    fn as_bytes_contiguous(&self) -> bool {
        self.layout().contiguous_offsets().is_some()
    }
}

/// Changes a tensor's numbers: in place on Flex where nobody shares them, else through a copy. The result is a new leaf
/// on the same device.
pub(crate) fn edit<const D: usize>(tensor: Tensor<D>, change: impl FnOnce(&mut [f32])) -> Tensor<D> {
    let device = tensor.device();
    if is_flex(&device) {
        let autodiff = tensor.is_autodiff();
        let Operand { mut tensor, checkpointing, .. } = Operand::new(tensor);
        let (start, end) = tensor.layout().contiguous_offsets().expect("operands are contiguous");
        change(&mut tensor.storage_mut::<f32>()[start..end]);
        return match autodiff {
            true => recorded(Tape::from_inner(tensor), checkpointing),
            false => Tensor::from_primitive::<Flex>(tensor),
        };
    }
    let shape = tensor.shape();
    let mut values = to_vec(tensor);
    change(&mut values);
    Tensor::from_data(TensorData::new(values, shape), &device)
}

/// The tensor's numbers.
pub(crate) fn to_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec::<f32>().expect("converted to f32")
}

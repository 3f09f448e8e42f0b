//! Further outputs of an operation, where Burn's have one.
//!
//! A *tap* is an operation on the first output whose backward puts its own gradient aside for the backward of the operation, which comes later, since the first
//! output is the tap's input. So nothing is packed, sliced or copied, and an output that nobody uses costs nothing.

use crate::flex::{TapeTensor, recorded};
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, Shape, Tensor};
use std::sync::{Arc, Mutex};

/// The gradients that taps have left.
#[derive(Clone, Debug)]
pub(crate) struct Taps {
    left: Arc<Mutex<Vec<Option<FlexTensor>>>>,
    /// As the operation's operands.
    checkpointing: bool,
}

impl Taps {
    /// Of so many outputs beside the first.
    pub fn new(count: usize, checkpointing: bool) -> Taps {
        Taps { left: Arc::new(Mutex::new(vec![None; count])), checkpointing }
    }

    /// The output `index` of the operation that made `first`, a tensor of this shape.
    pub fn output<const D: usize>(
        &self,
        index: usize,
        value: FlexTensor,
        first: &TapeTensor,
        shape: Vec<usize>,
    ) -> Tensor<D> {
        let tap = Tap { index, shape };
        let value =
            match Backward::<Flex, 1>::prepare::<NoCheckpointing>(tap, [first.node()]).compute_bound().stateful() {
                OpsKind::Tracked(op) => op.finish(self.clone(), value),
                OpsKind::UnTracked(op) => op.finish(value),
            };
        recorded(value, self.checkpointing)
    }

    /// What they have left; none where all outputs were unused.
    pub fn take(&self, dtype: DType, shapes: impl IntoIterator<Item = [usize; 2]>) -> Option<Vec<FlexTensor>> {
        let left: Vec<Option<FlexTensor>> = self.lock().iter_mut().map(Option::take).collect();
        left.iter().any(Option::is_some).then(|| {
            let all = left.into_iter().zip(shapes).map(|(d, shape)| match d {
                Some(d) => d.to_contiguous(),
                None => FlexTensor::zeros(Shape::from(shape), dtype),
            });
            all.collect()
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Option<FlexTensor>>> {
        self.left.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[derive(Debug)]
struct Tap {
    index: usize,
    /// Of the first output.
    shape: Vec<usize>,
}

impl Backward<Flex, 1> for Tap {
    type State = Taps;

    fn backward(self, ops: Ops<Taps, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d = gradients.consume::<Flex>(&ops.node);
        let dtype = d.dtype();
        ops.state.lock()[self.index] = Some(d);
        if let [Some(first)] = &ops.parents {
            // The first output may have no gradient of its own; the tape wants one.
            gradients.register::<Flex>(first.id, FlexTensor::zeros(Shape::from(self.shape), dtype));
        }
    }
}

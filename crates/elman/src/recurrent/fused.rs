//! One layer over one sequence as a single operation on Flex, forward and backward by the engine.
//!
//! A Burn operation has one output. The layer's is y, which is the engine's own vector; every final state is a tap on y.

use super::{Call, Input, LayerCall};
use crate::flex::{Number, Operand, Tape, TapeTensor, from_vec, recorded, slice};
use crate::runtime::{Lease, Runtime};
use crate::tap::Taps;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients as TapeGradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{AutodiffBackend, Flex};
use burn::tensor::{DType, Tensor};
use elman_core::Layer;
use elman_core::engine::{Gradients, Input as CoreInput, Mask, Output, Scan, Sequence};
use elman_core::layer::Place;
use std::sync::{Arc, Mutex};

/// Runs a layer; the tensors are on Flex.
pub(super) fn run(runtime: &Arc<Runtime>, layer: &Arc<Layer>, call: LayerCall) -> (Tensor<3>, Vec<Tensor<2>>) {
    match call.params.first().map(|p| p.dtype()) {
        Some(DType::F64) => run_in::<f64>(runtime, layer, call),
        _ => run_in::<f32>(runtime, layer, call),
    }
}

/// What stays the same between forward and backward, apart from the tensors.
#[derive(Debug)]
struct Shared {
    layer: Arc<Layer>,
    runtime: Arc<Runtime>,
    call: Call,
    steps: usize,
    batch: usize,
    /// Token ids, for an embedded input.
    ids: Option<Arc<[u32]>>,
    /// Whether the inputs end with initial states.
    has_state: bool,
    masks: Vec<(usize, Place)>,
}

impl Shared {
    /// The layer's scan, if it is to be scanned.
    fn scan(&self) -> Option<Scan> {
        self.call.scan.then(|| Scan::new(&self.layer).unwrap_or_else(|error| panic!("{error}")))
    }

    /// The engine's view of the inputs: input or table, parameters, states, masks, feeds.
    fn view<'a, F: Number>(&'a self, inputs: &'a [FlexTensor]) -> (Vec<&'a [F]>, Sequence<'a, F>) {
        let mut rest = inputs.iter().map(slice::<F>);
        let mut take = |n: usize| rest.by_ref().take(n).collect::<Vec<&[F]>>();
        let first = take(1)[0];
        let params = take(self.layer.parameters().len());
        let state = self.has_state.then(|| take(self.layer.carried().len()));
        let masks = self
            .masks
            .iter()
            .zip(take(self.masks.len()))
            .map(|(&(stage, source), values)| Mask { stage, source, values })
            .collect();
        let input = match &self.ids {
            None => CoreInput::Dense(first),
            Some(ids) => CoreInput::Tokens { ids, table: first },
        };
        let sequence = Sequence {
            lengths: self.call.lengths.as_deref(),
            reverse: self.call.reverse,
            state,
            masks,
            feeds: take(usize::MAX),
            ..Sequence::new(self.steps, self.batch, input)
        };
        (params, sequence)
    }
}

/// What the operation keeps for its backward.
#[derive(Clone, Debug)]
struct Kept<F: Number> {
    shared: Arc<Shared>,
    inputs: Vec<FlexTensor>,
    /// The outputs, which the engine does not keep a second time.
    y: FlexTensor,
    workspace: Arc<Mutex<Lease<F>>>,
    /// Gradients of the final states, left by their taps.
    d_state: Taps,
}

fn run_in<F: Number>(runtime: &Arc<Runtime>, layer: &Arc<Layer>, call: LayerCall) -> (Tensor<3>, Vec<Tensor<2>>) {
    let mut operands = Vec::new();
    let (ids, [steps, batch]) = match call.input {
        Input::Dense(x) => {
            let [t, b, _] = x.dims();
            operands.push(Operand::new(x));
            (None, [t, b])
        }
        Input::Tokens { ids, batch, table } => {
            operands.push(Operand::new(table));
            let steps = ids.len() / batch.max(1);
            (Some(ids), [steps, batch])
        }
    };
    operands.extend(call.params.into_iter().map(|p| p.operand()));
    let has_state = call.state.is_some();
    operands.extend(call.state.into_iter().flatten().map(Operand::new));
    let mut masks = Vec::new();
    for mask in call.masks {
        masks.push((mask.stage, mask.source));
        operands.push(Operand::new(mask.values));
    }
    operands.extend(call.feeds.into_iter().map(Operand::new));

    let shared = Arc::new(Shared {
        layer: layer.clone(),
        runtime: runtime.clone(),
        call: call.call,
        steps,
        batch,
        ids,
        has_state,
        masks,
    });
    let on_tape = operands.iter().any(|o| o.node.is_some());
    let checkpointing = operands.iter().any(|o| o.checkpointing);
    let (inputs, nodes): (Vec<_>, Vec<_>) = operands.into_iter().map(|o| (o.tensor, o.node)).unzip();
    let mut lease = runtime.lend::<F>();
    let mut out = Output { y: Vec::new(), state: Vec::new() };
    {
        let (params, sequence) = shared.view::<F>(&inputs);
        let (engine, recompute) = (runtime.engine(), shared.call.recompute);
        if let Some(scan) = shared.scan() {
            out = scan.forward(&engine, &params, &sequence);
        } else {
            engine
                .forward_in_segments(layer, &params, &sequence, recompute, lease.workspace(), &mut out)
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }
    let y = from_vec(out.y, &[steps, batch, layer.output_width()]);
    let states: Vec<FlexTensor> =
        out.state.into_iter().zip(layer.state_widths()).map(|(s, w)| from_vec(s, &[batch, w])).collect();
    if !on_tape {
        return (Tensor::from_primitive::<Flex>(y), states.into_iter().map(Tensor::from_primitive::<Flex>).collect());
    }

    let nodes: Vec<NodeGuard> = nodes
        .into_iter()
        .zip(&inputs)
        .map(|(node, tensor)| node.unwrap_or_else(|| Tape::from_inner(tensor.clone()).node()))
        .collect();
    let d_state = Taps::new(states.len(), checkpointing);
    let workspace = Arc::new(Mutex::new(lease));
    let kept = Kept { shared, inputs, y: y.clone(), workspace, d_state: d_state.clone() };
    let y = record_any(nodes, kept, y);
    let states = states
        .into_iter()
        .enumerate()
        .map(|(index, state)| d_state.output(index, state, &y, vec![steps, batch, layer.output_width()]))
        .collect();
    (recorded(y, checkpointing), states)
}

/// The tape wants the number of inputs as a constant.
fn record_any<F: Number>(nodes: Vec<NodeGuard>, kept: Kept<F>, y: FlexTensor) -> TapeTensor {
    macro_rules! by_count {
        ($($n:literal)*) => {
            match nodes.len() {
                $($n => record::<F, $n>(nodes, kept, y),)*
                n => panic!("a layer with {n} inputs, parameters, states, masks and feeds; at most 32 are supported"),
            }
        };
    }
    by_count!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32)
}

fn record<F: Number, const N: usize>(nodes: Vec<NodeGuard>, kept: Kept<F>, y: FlexTensor) -> TapeTensor {
    let nodes: [NodeGuard; N] = nodes.try_into().expect("matched by length");
    let op = Backward::<Flex, N>::prepare::<NoCheckpointing>(Recurrence(std::marker::PhantomData::<F>), nodes);
    match op.compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(kept, y),
        OpsKind::UnTracked(op) => op.finish(y),
    }
}

/// The layer's operation.
#[derive(Debug)]
struct Recurrence<F>(std::marker::PhantomData<F>);

impl<F: Number, const N: usize> Backward<Flex, N> for Recurrence<F> {
    type State = Kept<F>;

    fn backward(self, ops: Ops<Kept<F>, N>, gradients: &mut TapeGradients, _: &mut Checkpointer) {
        let d_y = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let Kept { shared, inputs, y, workspace, d_state } = ops.state;
        let layer = &shared.layer;
        let d_state = d_state.take(d_y.dtype(), layer.state_widths().into_iter().map(|w| [shared.batch, w]));
        let d_state: Option<Vec<&[F]>> = d_state.as_ref().map(|s| s.iter().map(slice::<F>).collect());

        let mut d = Gradients::<F>::default();
        {
            let mut lease = workspace.lock().unwrap_or_else(|p| p.into_inner());
            let (params, sequence) = shared.view::<F>(&inputs);
            let engine = shared.runtime.engine();
            let (y, d_y, d_state) = (slice(&y), slice(&d_y), d_state.as_deref());
            match shared.scan() {
                Some(scan) => d = scan.backward(&engine, &params, &sequence, d_y, d_state),
                None => {
                    engine.backward_in_segments(layer, &params, &sequence, lease.workspace(), y, d_y, d_state, &mut d)
                }
            }
        }
        let mut all: Vec<Vec<F>> = Vec::with_capacity(N);
        all.push(d.input);
        all.extend(d.params);
        if shared.has_state {
            all.extend(d.state);
        }
        all.extend(d.masks);
        all.extend(d.feeds);
        for ((parent, gradient), input) in ops.parents.iter().zip(all).zip(&inputs) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, from_vec(gradient, &input.layout().shape().to_vec()));
            }
        }
    }
}

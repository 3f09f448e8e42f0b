//! A batch of trees as a single operation on Flex, forward and backward.
//!
//! Products are Burn's, a level at a time, those of weights' gradients once for all levels; a node's equations run on the vector lanes. Arrays have their rows
//! in the order of the levels, for all nodes, for inner nodes or for inputs alone, and H numbers for each thing in a row.

mod backward;

use super::equations::NodeEquations;
use super::forest::Place;
use super::{Branches, Forest};
use crate::flex::{Number, Operand, Tape, from_vec, is_flex, recorded, slice};
use crate::tap::Taps;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{AutodiffBackend, Flex};
use burn::tensor::{DType, Tensor};
use elman_core::elementwise::{Columns, ColumnsMut};
use std::ops::Range;
use std::sync::Arc;

/// Whether the operation runs on a network with this input.
pub(super) fn runs(x: &Tensor<2>) -> bool {
    is_flex(&x.device()) && matches!(x.dtype(), DType::F32 | DType::F64)
}

/// h and, where the network has it, c of all nodes, tree after tree. The weights are `weight_x` and `weight_h`; the forest fits.
pub(super) fn run(
    equations: &Arc<NodeEquations>,
    forest: &Forest,
    x: Tensor<2>,
    weights: [Tensor<2>; 2],
    bias: Tensor<1>,
) -> Vec<Tensor<2>> {
    let double = x.dtype() == DType::F64;
    let [weight_x, weight_h] = weights.map(Operand::new);
    let operands = [Operand::new(x), weight_x, weight_h, Operand::new(bias)];
    match double {
        true => run_in::<f64>(equations, forest, operands),
        false => run_in::<f32>(equations, forest, operands),
    }
}

fn run_in<F: Number>(equations: &Arc<NodeEquations>, forest: &Forest, operands: [Operand; 4]) -> Vec<Tensor<2>> {
    let on_tape = operands.iter().any(|o| o.node.is_some());
    let checkpointing = operands.iter().any(|o| o.checkpointing);
    let pass = Pass::<F>::forward(equations.clone(), forest, operands.each_ref().map(|o| o.tensor.clone()));
    let size = [forest.nodes(), pass.hidden];
    let h = from_vec(forest.in_order_of_nodes(&pass.h), &size);
    let c = equations.lstm.then(|| from_vec(forest.in_order_of_nodes(&pass.c), &size));
    if !on_tape {
        return [Some(h), c].into_iter().flatten().map(Tensor::from_primitive::<Flex>).collect();
    }
    let taps = Taps::new(1, checkpointing);
    let nodes = operands.map(|o| o.node.unwrap_or_else(|| Tape::from_inner(o.tensor).node()));
    let op = Trees(std::marker::PhantomData::<F>).prepare::<NoCheckpointing>(nodes).compute_bound().stateful();
    let h = match op {
        OpsKind::Tracked(op) => op.finish((Arc::new(pass), taps.clone()), h),
        OpsKind::UnTracked(op) => op.finish(h),
    };
    let c = c.map(|c| taps.output(0, c, &h, size.to_vec()));
    [Some(recorded(h, checkpointing)), c].into_iter().flatten().collect()
}

/// The operation.
#[derive(Debug)]
struct Trees<F>(std::marker::PhantomData<F>);

impl<F: Number> Backward<Flex, 4> for Trees<F> {
    type State = (Arc<Pass<F>>, Taps);

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d_h = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (pass, taps) = ops.state;
        let size = [pass.forest.nodes(), pass.hidden];
        let d_c = taps.take(d_h.dtype(), [size]).and_then(|mut all| all.pop());
        let d = pass.backward(slice(&d_h), d_c.as_ref().map(slice::<F>));
        for (parent, d) in ops.parents.iter().zip(d) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, d);
            }
        }
    }
}

/// What forward leaves for backward.
#[derive(Debug)]
struct Pass<F: Number> {
    equations: Arc<NodeEquations>,
    forest: Forest,
    places: Vec<Place>,
    /// H.
    hidden: usize,
    /// Gates that the inputs are multiplied for: in the forget gates nothing is to be where inner nodes read nothing.
    of_inputs: usize,
    /// x, `weight_x`, `weight_h`, `bias`.
    operands: [FlexTensor; 4],
    /// By input: its row of x.
    x: Tensor<2>,
    /// By input: the gates' sums without what comes from children.
    from_inputs: Vec<F>,
    /// By inner node: the states that enter it, and the arrays of cells.
    states: Vec<F>,
    cells: Vec<F>,
    /// By inner node: the gates' sums.
    sums: Vec<F>,
    /// By node that is a child in a child-sum Tree-LSTM: the sum of its forget gate.
    forget: Vec<F>,
    /// By node.
    h: Vec<F>,
    c: Vec<F>,
}

impl<F: Number> Pass<F> {
    fn forward(equations: Arc<NodeEquations>, forest: &Forest, operands: [FlexTensor; 4]) -> Pass<F> {
        let hidden = dims(&operands[2])[1] / equations.states();
        let of_inputs = equations.own() + usize::from(equations.lstm && forest.inner_nodes_read());
        let places = forest.places();
        let inner = places.last().map_or(0, |place| place.inner.end);

        let width = dims(&operands[0])[1];
        let rows = forest.inputs().iter().flat_map(|&row| &slice::<F>(&operands[0])[row as usize * width..][..width]);
        let x = matrix(rows.copied().collect(), width);
        let weight = tensor(&operands[1]).slice_dim(0, 0..of_inputs * hidden);
        let products = product(x.clone(), weight.transpose());
        let bias = &slice::<F>(&operands[3])[..of_inputs * hidden];
        let mut from_inputs = Vec::with_capacity(forest.inputs().len() * bias.len());
        for row in slice::<F>(&products).chunks_exact(bias.len()) {
            from_inputs.extend(row.iter().zip(bias).map(|(&a, &b)| a + b));
        }
        let zeros = |rows: usize, count: usize| vec![F::default(); rows * count * hidden];
        let mut pass = Pass {
            hidden,
            of_inputs,
            x,
            from_inputs,
            states: zeros(inner, equations.states()),
            cells: zeros(inner, equations.cells()),
            sums: zeros(inner, equations.of_states()),
            forget: zeros(if equations.kept.is_some() { forest.nodes() } else { 0 }, 1),
            h: zeros(forest.nodes(), 1),
            c: zeros(if equations.lstm { forest.nodes() } else { 0 }, 1),
            operands,
            forest: forest.clone(),
            places,
            equations,
        };
        for level in 0..pass.places.len() {
            pass.leaves(level);
            if !pass.places[level].inner.is_empty() {
                pass.inner_nodes(level);
            }
        }
        pass
    }

    fn leaves(&mut self, level: usize) {
        let (place, lstm) = (&self.places[level], self.equations.lstm);
        let (size, rows) = ([place.leaves().len(), self.hidden], self.range(place.leaves(), 1));
        let gates = self.range(place.inputs_of_leaves(), self.of_inputs);
        let (count, stride) = (self.equations.own(), self.of_inputs * self.hidden);
        let arguments = [Columns { values: &self.from_inputs[gates], count, stride }];
        let mut results = vec![one(&mut self.h[rows.clone()], self.hidden)];
        if lstm {
            results.push(one(&mut self.c[rows], self.hidden));
        }
        self.equations.leaf.forward(size, &arguments, &mut results);
    }

    fn inner_nodes(&mut self, level: usize) {
        let kept = self.equations.kept.is_some().then(|| self.keep(level));
        let (place, equations, hidden) = (&self.places[level], &self.equations, self.hidden);
        let sum = equations.branches == Branches::Sum;
        for (k, (child, (parent, branch))) in place.below.clone().zip(self.forest.entries(level, sum)).enumerate() {
            let to = ((place.inner.start + parent) * equations.states() + branch) * hidden;
            add(&mut self.states[to..to + hidden], &self.h[child * hidden..][..hidden]);
            if equations.lstm {
                let cell = kept.as_ref().map_or(&self.c[child * hidden..], |kept| &kept[k * hidden..]);
                add(&mut self.cells[to..to + hidden], &cell[..hidden]);
            }
        }
        let gates = equations.of_states() * hidden;
        let states = self.states[self.range(place.inner.clone(), equations.states())].to_vec();
        let weight = tensor(&self.operands[2]).slice_dim(0, 0..gates);
        let products = product(matrix(states, equations.states() * hidden), weight.transpose());
        let sums = self.range(place.inner.clone(), equations.of_states());
        let rows = self.sums[sums].chunks_exact_mut(gates).zip(slice::<F>(&products).chunks_exact(gates));
        for (row, (sums, products)) in rows.enumerate() {
            let own = place.without_children(row, &self.from_inputs, slice(&self.operands[3]), self.of_inputs * hidden);
            let each = sums.chunks_exact_mut(hidden).zip(products.chunks_exact(hidden));
            for (gate, (sum, product)) in each.enumerate() {
                // All forget gates have the same bias and weights of the input.
                add_two(sum, product, &own[gate.min(equations.own()) * hidden..][..hidden]);
            }
        }
        let (size, rows) = ([place.inner.len(), hidden], self.range(place.inner_rows(), 1));
        let arguments = [
            self.columns(&self.sums, place.inner.clone(), equations.of_states()),
            self.columns(&self.cells, place.inner.clone(), equations.cells()),
        ];
        let mut results = vec![one(&mut self.h[rows.clone()], hidden)];
        if equations.lstm {
            results.push(one(&mut self.c[rows], hidden));
        }
        equations.inner.forward(size, &arguments, &mut results);
    }

    /// What the children of a level's nodes keep in a child-sum Tree-LSTM, child after child.
    fn keep(&mut self, level: usize) -> Vec<F> {
        let (place, own, hidden) = (&self.places[level], self.equations.own(), self.hidden);
        let below = self.range(place.below.clone(), 1);
        let weight = tensor(&self.operands[2]).slice_dim(0, own * hidden..(own + 1) * hidden);
        let products = product(matrix(self.h[below.clone()].to_vec(), hidden), weight.transpose());
        let rows = self.forget[below.clone()].chunks_exact_mut(hidden).zip(slice::<F>(&products).chunks_exact(hidden));
        for ((sum, product), (parent, _)) in rows.zip(self.forest.entries(level, true)) {
            let bias = slice(&self.operands[3]);
            let gates = place.without_children(parent, &self.from_inputs, bias, self.of_inputs * hidden);
            add_two(sum, product, &gates[own * hidden..][..hidden]);
        }
        let mut kept = vec![F::default(); below.len()];
        let arguments = [&self.forget, &self.c].map(|values| self.columns(values, place.below.clone(), 1));
        let equations = self.equations.kept.as_ref().expect("a child-sum Tree-LSTM");
        let size = [place.below.len(), hidden];
        equations.forward(size, &arguments, &mut [one(&mut kept, hidden)]);
        kept
    }

    /// Rows of an array with `count` times H numbers in each.
    fn range(&self, rows: Range<usize>, count: usize) -> Range<usize> {
        rows.start * count * self.hidden..rows.end * count * self.hidden
    }

    /// `count` matrices side by side, which are all that stands in the rows.
    fn columns<'a>(&self, values: &'a [F], rows: Range<usize>, count: usize) -> Columns<'a, F> {
        Columns { values: &values[self.range(rows, count)], count, stride: count * self.hidden }
    }
}

/// A single matrix, to be written.
fn one<F>(values: &mut [F], width: usize) -> ColumnsMut<'_, F> {
    ColumnsMut { values, count: 1, stride: width }
}

fn add<F: Number>(to: &mut [F], from: &[F]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = *to + from);
}

/// `to = a + b`
fn add_two<F: Number>(to: &mut [F], a: &[F], b: &[F]) {
    to.iter_mut().zip(a.iter().zip(b)).for_each(|(to, (&a, &b))| *to = a + b);
}

fn dims(tensor: &FlexTensor) -> [usize; 2] {
    let shape = tensor.layout().shape().to_vec();
    [shape[0], shape[1..].iter().product()]
}

fn tensor(tensor: &FlexTensor) -> Tensor<2> {
    Tensor::from_primitive::<Flex>(tensor.clone())
}

/// Rows of so many numbers.
fn matrix<F: Number>(values: Vec<F>, width: usize) -> Tensor<2> {
    let rows = values.len() / width;
    Tensor::from_primitive::<Flex>(from_vec(values, &[rows, width]))
}

/// The product of two matrices, as it lies in memory.
fn product(a: Tensor<2>, b: Tensor<2>) -> FlexTensor {
    a.matmul(b).try_into_primitive::<Flex>().expect("made on Flex")
}

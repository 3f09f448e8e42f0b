//! The gradients of a batch of trees.

use super::{Pass, add, dims, matrix, one, product, tensor};
use crate::flex::{Number, from_vec, slice};
use burn::backend::flex::FlexTensor;
use elman_core::elementwise::{Columns, ColumnsMut};

/// Gradients by what forward has kept.
struct Gradient<F> {
    h: Vec<F>,
    c: Vec<F>,
    from_inputs: Vec<F>,
    sums: Vec<F>,
    forget: Vec<F>,
}

impl<F: Number> Pass<F> {
    /// From the gradients by h and c in the order of the nodes, those by the operands.
    pub fn backward(&self, d_h: &[F], d_c: Option<&[F]>) -> [FlexTensor; 4] {
        let zeros = |len: usize| vec![F::default(); len];
        let mut d = Gradient {
            h: self.forest.in_order_of_levels(d_h),
            c: d_c.map_or_else(|| zeros(self.c.len()), |d_c| self.forest.in_order_of_levels(d_c)),
            from_inputs: zeros(self.from_inputs.len()),
            sums: zeros(self.sums.len()),
            forget: zeros(self.forget.len()),
        };
        for level in (0..self.places.len()).rev() {
            self.leaves_backward(level, &mut d);
            if !self.places[level].inner.is_empty() {
                self.inner_nodes_backward(level, &mut d);
            }
        }
        let bias = self.d_bias(&d);
        let weight_h = self.d_weight_h(d.sums, d.forget);
        let [x, weight_x] = self.d_inputs(d.from_inputs);
        let all = [x, weight_x, weight_h, bias];
        let mut sizes = self.operands.iter().map(|operand| operand.layout().shape().to_vec());
        all.map(|values| from_vec(values, &sizes.next().expect("as many operands")))
    }

    fn leaves_backward(&self, level: usize, d: &mut Gradient<F>) {
        let (place, hidden) = (&self.places[level], self.hidden);
        let (count, stride) = (self.equations.own(), self.of_inputs * hidden);
        let gates = self.range(place.inputs_of_leaves(), self.of_inputs);
        let arguments = [Columns { values: &self.from_inputs[gates.clone()], count, stride }];
        let d_arguments = ColumnsMut { values: &mut d.from_inputs[gates], count, stride };
        let mut d_results = vec![self.columns(&d.h, place.leaves(), 1)];
        if self.equations.lstm {
            d_results.push(self.columns(&d.c, place.leaves(), 1));
        }
        let size = [place.leaves().len(), hidden];
        self.equations.leaf.backward(size, &arguments, &d_results, &mut [d_arguments]);
    }

    fn inner_nodes_backward(&self, level: usize, d: &mut Gradient<F>) {
        let (place, equations, hidden) = (&self.places[level], &self.equations, self.hidden);
        let (states, gates, cells) = (equations.states(), equations.of_states(), equations.cells());
        let arguments = [
            self.columns(&self.sums, place.inner.clone(), gates),
            self.columns(&self.cells, place.inner.clone(), cells),
        ];
        let mut d_results = vec![self.columns(&d.h, place.inner_rows(), 1)];
        if equations.lstm {
            d_results.push(self.columns(&d.c, place.inner_rows(), 1));
        }
        let d_sums = &mut d.sums[self.range(place.inner.clone(), gates)];
        let mut d_cells = vec![F::default(); place.inner.len() * cells * hidden];
        let d_arguments = &mut [
            ColumnsMut { values: &mut *d_sums, count: gates, stride: gates * hidden },
            ColumnsMut { values: &mut d_cells, count: cells, stride: cells * hidden },
        ];
        let size = [place.inner.len(), hidden];
        equations.inner.backward(size, &arguments, &d_results, d_arguments);

        for (row, d_sums) in d_sums.chunks_exact(gates * hidden).enumerate() {
            let Some(input) = place.input_of_inner(row) else { continue };
            let to = &mut d.from_inputs[input * self.of_inputs * hidden..];
            for (gate, d_sum) in d_sums.chunks_exact(hidden).enumerate() {
                add(&mut to[gate.min(equations.own()) * hidden..][..hidden], d_sum);
            }
        }
        let weight = tensor(&self.operands[2]).slice_dim(0, 0..gates * hidden);
        let d_states = product(matrix(d_sums.to_vec(), gates * hidden), weight);
        let d_states = slice::<F>(&d_states);
        let (sum, kept) = (equations.branches == super::Branches::Sum, equations.kept.is_some());
        for (child, (parent, branch)) in place.below.clone().zip(self.forest.entries(level, sum)) {
            let from = (parent * states + branch) * hidden;
            add(&mut d.h[child * hidden..][..hidden], &d_states[from..from + hidden]);
            if equations.lstm && !kept {
                add(&mut d.c[child * hidden..][..hidden], &d_cells[from..from + hidden]);
            }
        }
        if kept {
            self.keep_backward(level, &d_cells, d);
        }
    }

    /// From the gradient by the sums of what the children of a level's nodes keep.
    fn keep_backward(&self, level: usize, d_kept: &[F], d: &mut Gradient<F>) {
        let (place, own, hidden) = (&self.places[level], self.equations.own(), self.hidden);
        let below = self.range(place.below.clone(), 1);
        let parents = || self.forest.entries(level, true).map(|(parent, _)| parent);
        let d_kept: Vec<F> = parents().flat_map(|parent| &d_kept[parent * hidden..][..hidden]).copied().collect();
        let mut d_c = vec![F::default(); below.len()];
        let arguments = [&self.forget, &self.c].map(|values| self.columns(values, place.below.clone(), 1));
        let d_results = [Columns { values: &d_kept, count: 1, stride: hidden }];
        let d_arguments = &mut [one(&mut d.forget[below.clone()], hidden), one(&mut d_c, hidden)];
        let equations = self.equations.kept.as_ref().expect("a child-sum Tree-LSTM");
        equations.backward([place.below.len(), hidden], &arguments, &d_results, d_arguments);
        add(&mut d.c[below.clone()], &d_c);
        let d_forget = &d.forget[below.clone()];
        let weight = tensor(&self.operands[2]).slice_dim(0, own * hidden..(own + 1) * hidden);
        add(&mut d.h[below], slice(&product(matrix(d_forget.to_vec(), hidden), weight)));
        for (parent, d_forget) in parents().zip(d_forget.chunks_exact(hidden)) {
            if let Some(input) = place.input_of_inner(parent) {
                add(&mut d.from_inputs[(input * self.of_inputs + own) * hidden..][..hidden], d_forget);
            }
        }
    }

    /// By x and by `weight_x`.
    fn d_inputs(&self, d_from_inputs: Vec<F>) -> [Vec<F>; 2] {
        let [[rows, width], [weights, _]] = [dims(&self.operands[0]), dims(&self.operands[1])];
        let gates = self.of_inputs * self.hidden;
        let d_from_inputs = matrix(d_from_inputs, gates);
        let weight = tensor(&self.operands[1]).slice_dim(0, 0..gates);
        let d_read = product(d_from_inputs.clone(), weight);
        let mut d_x = vec![F::default(); rows * width];
        for (&row, d) in self.forest.inputs().iter().zip(slice::<F>(&d_read).chunks_exact(width)) {
            add(&mut d_x[row as usize * width..][..width], d);
        }
        let mut d_weight = slice::<F>(&product(d_from_inputs.transpose(), self.x.clone())).to_vec();
        d_weight.resize(weights * width, F::default());
        [d_x, d_weight]
    }

    fn d_weight_h(&self, d_sums: Vec<F>, d_forget: Vec<F>) -> Vec<F> {
        let ([rows, columns], hidden) = (dims(&self.operands[2]), self.hidden);
        let mut d_weight = Vec::with_capacity(rows * columns);
        if !d_sums.is_empty() {
            let d_sums = matrix(d_sums, self.equations.of_states() * hidden).transpose();
            d_weight.extend_from_slice(slice(&product(d_sums, matrix(self.states.clone(), columns))));
            if !d_forget.is_empty() {
                let d_forget = matrix(d_forget, hidden).transpose();
                d_weight.extend_from_slice(slice(&product(d_forget, matrix(self.h.clone(), hidden))));
            }
        }
        // A batch of leaves alone.
        d_weight.resize(rows * columns, F::default());
        d_weight
    }

    fn d_bias(&self, d: &Gradient<F>) -> Vec<F> {
        let (own, hidden) = (self.equations.own(), self.hidden);
        let mut bias = vec![F::default(); dims(&self.operands[3])[0]];
        for row in d.sums.chunks_exact(self.equations.of_states() * hidden) {
            for (gate, d_sum) in row.chunks_exact(hidden).enumerate() {
                add(&mut bias[gate.min(own) * hidden..][..hidden], d_sum);
            }
        }
        for d_forget in d.forget.chunks_exact(hidden) {
            add(&mut bias[own * hidden..][..hidden], d_forget);
        }
        // Inner nodes' inputs are in their sums.
        for place in &self.places {
            let leaves = &d.from_inputs[self.range(place.inputs_of_leaves(), self.of_inputs)];
            for row in leaves.chunks_exact(self.of_inputs * hidden) {
                add(&mut bias[..own * hidden], &row[..own * hidden]);
            }
        }
        bias
    }
}

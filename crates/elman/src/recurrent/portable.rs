//! One layer over one sequence as tensor operations, step by step: any Burn device, any differentiation.
//!
//! The equations are the cell's recorded expression, so that no cell is written twice. It is the path for devices that the
//! engine does not know, and the check of the fused path.

use super::{Input, LayerCall};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation};
use elman_core::Layer;
use elman_core::algebra::expression::{Node, StageGraph};
use elman_core::cell::{NORMALISER_EPSILON, Normaliser};
use elman_core::layer::{Place, Role};

/// Where a gate's matrix for a source, its biases, and a stage's per-unit values come from.
struct Parameters<'a> {
    layer: &'a Layer,
    tensors: Vec<super::ParamTensor>,
}

impl Parameters<'_> {
    /// (width of the source, width of the stage): the transposed matrix of a gate for its `source`-th source.
    fn weight(&self, stage: usize, gate: usize, source: usize) -> Tensor<2> {
        let (p, block) = self
            .blocks(Role::Weight)
            .find(|(_, b)| (b.stage, b.gate, b.source) == (stage, gate, source))
            .expect("every source of a gate has a matrix");
        let rows = block.row..block.row + self.layer.stages()[stage].width;
        self.tensors[p].clone().matrix().slice([rows]).transpose()
    }

    /// (1, width): the sum of a gate's biases, its gain, or a per-unit parameter.
    fn vector(&self, role: Role, stage: usize, index: usize) -> Option<Tensor<2>> {
        self.blocks(role)
            .filter(|(_, b)| (b.stage, b.gate) == (stage, index))
            .map(|(p, b)| {
                let rows = b.row..b.row + self.layer.stages()[stage].width;
                self.tensors[p].clone().vector().slice([rows]).unsqueeze::<2>()
            })
            .reduce(|a, b| a + b)
    }

    fn blocks(&self, role: Role) -> impl Iterator<Item = (usize, elman_core::layer::Block)> {
        self.layer
            .parameters()
            .iter()
            .enumerate()
            .filter(move |(_, p)| p.role == role)
            .flat_map(|(i, p)| p.blocks.iter().map(move |&b| (i, b)))
    }
}

/// Runs a layer.
pub(super) fn run(layer: &Layer, call: LayerCall) -> (Tensor<3>, Vec<Tensor<2>>) {
    let x = match call.input {
        Input::Dense(x) => x,
        Input::Tokens { ids, batch, table } => {
            let [_, width] = table.dims();
            let steps = ids.len() / batch.max(1);
            let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
            let device = table.device();
            let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [steps * batch]), &device);
            table.select(0, ids).reshape([steps, batch, width])
        }
    };
    let [steps, batch, width] = x.dims();
    let device = x.device();
    // What stands beyond a row's length is never read; NaN there would survive a product with 0.
    let x = match &call.call.lengths {
        None => x,
        Some(lengths) => {
            let beyond: Vec<bool> = (0..steps).flat_map(|t| lengths.iter().map(move |&length| t >= length)).collect();
            let beyond = Tensor::<3, Bool>::from_data(TensorData::new(beyond, [steps, batch, 1]), &device);
            x.mask_fill(beyond.expand([steps, batch, width]), 0.0)
        }
    };
    let options = (&device, x.dtype());
    let graphs: Vec<StageGraph> = (0..layer.stages().len()).map(|s| StageGraph::of(layer.cell().as_ref(), s)).collect();
    let p = Parameters { layer, tensors: call.params };

    let mut state: Vec<Tensor<2>> = match call.state {
        Some(state) => state,
        None => layer.state_widths().into_iter().map(|w| Tensor::zeros([batch, w], options)).collect(),
    };
    let mut y: Vec<Option<Tensor<2>>> = vec![None; steps];
    for k in 0..steps {
        let t = if call.call.reverse { steps - 1 - k } else { k };
        let x_t = x.clone().slice_dim(0, t..t + 1).squeeze_dim::<2>(0);
        let mut now: Vec<Option<Tensor<2>>> = vec![None; layer.values().len()];
        let mut feed = call.feeds.iter();
        for (s, (stage, graph)) in layer.stages().iter().zip(&graphs).enumerate() {
            let value = |place: Place| match place {
                Place::Input => x_t.clone(),
                Place::Before(v) => state[layer.values()[v].carried.expect("carried")].clone(),
                Place::Now(v) => now[v].clone().expect("written by an earlier stage"),
            };
            let masked = |place: Place| {
                let mask = call.masks.iter().find(|m| (m.stage, m.source) == (s, place));
                match mask {
                    None => value(place),
                    Some(mask) => value(place) * mask.values.clone(),
                }
            };
            let mut args: Vec<Tensor<2>> = Vec::new();
            for (g, places) in stage.gates.iter().enumerate() {
                let products = places.iter().enumerate().map(|(i, &place)| masked(place).matmul(p.weight(s, g, i)));
                let sum = match stage.normalisers[g] {
                    Normaliser::Value(place) => Some(value(place)),
                    _ => products.reduce(|a, b| a + b),
                };
                let sum = match p.vector(Role::Gain, s, g) {
                    Some(gain) => sum.map(|a| normalised(a) * gain),
                    None => sum,
                };
                let gate = sum.into_iter().chain(p.vector(Role::Bias, s, g)).reduce(|a, b| a + b);
                args.push(gate.unwrap_or_else(|| Tensor::zeros([1, stage.width], options)));
            }
            args.extend(stage.reads.iter().map(|&place| value(place)));
            args.extend((0..stage.units).map(|u| p.vector(Role::Unit, s, u).expect("every unit parameter is there")));
            args.extend((0..stage.feeds).map(|_| {
                let feed = feed.next().expect("checked by the caller");
                feed.clone().slice_dim(0, t..t + 1).squeeze_dim::<2>(0)
            }));
            let written = evaluate(graph, &args, options);
            for (&v, tensor) in stage.writes.iter().zip(written) {
                // A stage without matrices may have a single row for the whole batch.
                now[v] = Some(tensor.expand([batch, stage.width]));
            }
        }
        let valid = call.call.lengths.as_ref().map(|lengths| valid_rows(lengths, t, &device, x.dtype()));
        for (old, &v) in state.iter_mut().zip(layer.carried()) {
            let new = now[v].clone().expect("every carried value is written");
            *old = match &valid {
                None => new,
                // Beyond its length a row keeps its state.
                Some(valid) => old.clone() + (new - old.clone()) * valid.clone(),
            };
        }
        let out = now[layer.output()].clone().expect("the output is written");
        y[t] = Some(match valid {
            None => out,
            Some(valid) => out * valid,
        });
    }
    (Tensor::stack(y.into_iter().flatten().collect(), 0), state)
}

/// Each row with mean 0 and variance 1.
fn normalised(a: Tensor<2>) -> Tensor<2> {
    let centred = a.clone() - a.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    centred / (variance + NORMALISER_EPSILON).sqrt()
}

/// (B, 1): 1 where step t is within the row's length.
fn valid_rows(lengths: &[usize], t: usize, device: &Device, dtype: burn::tensor::DType) -> Tensor<2> {
    let valid: Vec<f32> = lengths.iter().map(|&l| f32::from(t < l)).collect();
    Tensor::<2>::from_data(TensorData::new(valid, [lengths.len(), 1]), (device, dtype))
}

/// A stage's equations on tensors.
pub(crate) fn evaluate(
    graph: &StageGraph,
    args: &[Tensor<2>],
    options: (&Device, burn::tensor::DType),
) -> Vec<Tensor<2>> {
    let mut values: Vec<Tensor<2>> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let of = |id: usize| values[id].clone();
        values.push(match *node {
            Node::Constant(c) => Tensor::full([1, 1], c, options),
            Node::Argument(a) => args[a].clone(),
            Node::Add(a, b) => of(a) + of(b),
            Node::Sub(a, b) => of(a) - of(b),
            Node::Mul(a, b) => of(a) * of(b),
            Node::Div(a, b) => of(a) / of(b),
            Node::Neg(a) => -of(a),
            Node::Exp(a) => of(a).exp(),
            Node::Tanh(a) => of(a).tanh(),
            Node::Sigmoid(a) => activation::sigmoid(of(a)),
            Node::Relu(a) => activation::relu(of(a)),
            // ln(1 + e^a) = -ln σ(-a), which does not overflow.
            Node::Softplus(a) => -activation::log_sigmoid(-of(a)),
            Node::Sin(a) => of(a).sin(),
            Node::Cos(a) => of(a).cos(),
            // Its own derivative is zero, and NaN stays NaN.
            Node::Step(a) => {
                let a = of(a).detach();
                a.clone().greater_elem(0.0).float().cast(options.1).mask_where(a.clone().is_nan(), a)
            }
        });
    }
    graph.outputs.iter().map(|&id| values[id].clone()).collect()
}

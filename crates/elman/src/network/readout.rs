//! Linear readout, softmax and cross-entropy as one operation.
//!
//! As separate tensor operations with their backward they cost a third of a training step of a character model; here the
//! gradient by the logits is made where the softmax is, in the same memory. Narrow products (a few dozen tokens) are the
//! engine's, a block of rows at a time: Burn's take three times as long there. Wide ones (thousands of words) are Burn's.

use crate::flex::{Operand, Tape, from_vec, is_flex, slice};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::{AutodiffBackend, Flex};
use burn::tensor::{DType, Int, Tensor, TensorData, activation};
use elman_core::algebra::lanes::Isa;
use elman_core::engine::Affine;
use rayon::prelude::*;

/// A target that does not count: padding.
pub const IGNORE: u32 = u32::MAX;

/// Logits y Wᵀ + b of `y` (N, H), `weight` (V, H), `bias` (V): (N, V).
pub fn logits(y: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    y.matmul(weight.transpose()) + bias.unsqueeze()
}

/// The mean over all targets that count of -ln softmax(y Wᵀ + b) at the target, in nats.
///
/// `y` is (N, H), `weight` (V, H), `bias` (V), and there are N targets, each below V or [`IGNORE`]. With no target that counts the
/// result is 0.
///
/// # Panics
/// If a shape or a target is wrong.
pub fn cross_entropy(y: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, targets: &[u32]) -> Tensor<1> {
    let ([n, _], [v, _]) = (y.dims(), weight.dims());
    assert_eq!(targets.len(), n, "number of targets");
    if let Some(bad) = targets.iter().find(|&&t| t as usize >= v && t != IGNORE) {
        panic!("target {bad} is not below the vocabulary's size {v}");
    }
    if is_flex(&y.device()) && y.dtype() == DType::F32 {
        fused(y, weight, bias, targets)
    } else {
        portable(y, weight, bias, targets)
    }
}

/// The same as tensor operations: any device.
pub(crate) fn portable(y: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, targets: &[u32]) -> Tensor<1> {
    let device = y.device();
    let options = (&device, y.dtype());
    let count = targets.iter().filter(|&&t| t != IGNORE).count().max(1);
    let weights: Vec<f32> = targets.iter().map(|&t| f32::from(t != IGNORE)).collect();
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [targets.len(), 1]), options);
    let ids: Vec<i32> = targets.iter().map(|&t| if t == IGNORE { 0 } else { t as i32 }).collect();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [targets.len(), 1]), &device);
    let log = activation::log_softmax(logits(y, weight, bias), 1).gather(1, ids);
    (log * weights).sum().div_scalar(-(count as f64))
}

fn fused(y: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, targets: &[u32]) -> Tensor<1> {
    let operands = [Operand::new(y), Operand::new(weight), Operand::new(bias)];
    let on_tape = operands.iter().any(|o| o.node.is_some());
    let [y, weight, bias] = operands.each_ref().map(|o| o.tensor.clone());
    let (v, width) = (bias.layout().shape()[0], weight.layout().shape()[1]);
    let count = targets.iter().filter(|&&t| t != IGNORE).count().max(1);
    let scale = 1.0 / count as f32;
    // Rows do not depend on each other, and their losses are added in their order: the same bits on any number of threads.
    let losses = |rows: &mut [f32], targets: &[u32]| -> f64 {
        let rows = rows.chunks_exact_mut(v).zip(targets);
        rows.map(|(row, &target)| row_loss(row, target, scale)).sum()
    };
    let (d_logits, losses): (FlexTensor, Vec<f64>) = if is_narrow(&weight) {
        let (w, b) = (slice::<f32>(&weight), slice::<f32>(&bias));
        let mut logits = vec![0.0f32; targets.len() * v];
        let losses = logits
            .par_chunks_mut(v * ROWS)
            .zip(slice::<f32>(&y).par_chunks(width * ROWS))
            .zip(targets.par_chunks(ROWS))
            .map_init(
                || Affine::new(Isa::detect(), w, b, width),
                |affine, ((rows, y), targets)| {
                    affine.apply(y, rows);
                    losses(rows, targets)
                },
            )
            .collect();
        (from_vec(logits, &[targets.len(), v]), losses)
    } else {
        let mut logits = Flex::float_matmul(y.clone(), transposed(weight.clone()));
        let b = slice::<f32>(&bias);
        let losses = logits
            .storage_mut::<f32>()
            .par_chunks_mut(v * ROWS)
            .zip(targets.par_chunks(ROWS))
            .map(|(rows, targets)| {
                for row in rows.chunks_exact_mut(v) {
                    row.iter_mut().zip(b).for_each(|(logit, b)| *logit += b);
                }
                losses(rows, targets)
            })
            .collect();
        (logits, losses)
    };
    let loss = (losses.iter().sum::<f64>() / count as f64) as f32;
    let loss = from_vec(vec![loss], &[1]);
    if !on_tape {
        return Tensor::from_primitive::<Flex>(loss);
    }
    let nodes = operands.map(|o| o.node.unwrap_or_else(|| Tape::from_inner(o.tensor).node()));
    let loss = match Readout.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(Kept { y, weight, d_logits }, loss),
        OpsKind::UnTracked(op) => op.finish(loss),
    };
    Tensor::from_primitive::<Tape>(loss)
}

/// Rows a task takes at a time.
const ROWS: usize = 256;

/// Up to this many weights a block of rows is cheap to do on its own, with its own packed weights and its own sum.
const NARROW: usize = 1 << 17;

fn is_narrow(weight: &FlexTensor) -> bool {
    weight.layout().shape().num_elements() <= NARROW
}

/// d_y = d_logits W for narrow W.
fn narrow_d_y(d_logits: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
    let [v, width] = [weight.layout().shape()[0], weight.layout().shape()[1]];
    let transposed = transposed(weight.clone()).to_contiguous();
    let (w, zeros) = (slice::<f32>(&transposed), vec![0.0f32; width]);
    let d_logits = slice::<f32>(d_logits);
    let mut d_y = vec![0.0f32; d_logits.len() / v * width];
    d_y.par_chunks_mut(width * ROWS).zip(d_logits.par_chunks(v * ROWS)).for_each_init(
        || Affine::new(Isa::detect(), w, &zeros, v),
        |affine, (d_y, d_logits)| affine.apply(d_logits, d_y),
    );
    from_vec(d_y, &[d_logits.len() / v, width])
}

/// d_W = d_logits' y for narrow W: a product for each block of rows, added in their order.
fn narrow_d_weight(d_logits: &FlexTensor, y: &FlexTensor) -> FlexTensor {
    let rows = y.layout().shape()[0];
    let block = |matrix: &FlexTensor, start: usize| {
        let layout = matrix.layout().narrow(0, start, ROWS.min(rows - start));
        matrix.clone().with_layout(layout)
    };
    let starts: Vec<usize> = (0..rows).step_by(ROWS).collect();
    let parts: Vec<FlexTensor> = starts
        .into_par_iter()
        .map(|start| Flex::float_matmul(transposed(block(d_logits, start)), block(y, start)))
        .collect();
    let mut parts = parts.into_iter();
    let mut sum = parts.next().expect("a batch has at least one row");
    let to = sum.storage_mut::<f32>();
    for part in parts {
        to.iter_mut().zip(slice::<f32>(&part)).for_each(|(sum, part)| *sum += part);
    }
    sum
}

/// Turns a row of logits into `scale` times the gradient by the logits, softmax - one-hot; returns the row's loss in nats.
fn row_loss(row: &mut [f32], target: u32, scale: f32) -> f64 {
    if target == IGNORE {
        row.fill(0.0);
        return 0.0;
    }
    let at_target = row[target as usize];
    let max = reduce(row, f32::NEG_INFINITY, |max, v| if v > max { v } else { max });
    for logit in row.iter_mut() {
        *logit = exp(*logit - max);
    }
    let sum = reduce(row, 0.0, |sum, v| sum + v);
    let factor = scale / sum;
    for value in row.iter_mut() {
        *value *= factor;
    }
    row[target as usize] -= scale;
    f64::from(sum).ln() + f64::from(max) - f64::from(at_target)
}

/// A fold in eight strands, so that one operation need not wait for the one before; the order is fixed.
#[inline(always)]
fn reduce(values: &[f32], start: f32, with: impl Fn(f32, f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut strands = [start; 8];
    for chunk in chunks {
        for (strand, &v) in strands.iter_mut().zip(chunk) {
            *strand = with(*strand, v);
        }
    }
    strands.iter().chain(rest).fold(start, |all, &v| with(all, v))
}

/// e^x for x <= 0 within two units in the last place (Cephes' polynomial), in operations that vectorise; NaN stays NaN.
/// Below -87 it is e^-87, 1.6e-38, of which nothing is seen in a sum that holds 1.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23: adding and subtracting it rounds to an integer
    let x = if x < -87.0 { -87.0 } else { x };
    let z = x * core::f32::consts::LOG2_E + MAGIC;
    let n = z - MAGIC;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = p * r + c;
    }
    let y = p * r * r + r + 1.0;
    // The low bits of z are n; n + 127 is in 1..=127, the exponent of 2^n, and the shift drops the rest.
    y * f32::from_bits(z.to_bits().wrapping_add(127) << 23)
}

/// What the operation keeps for its backward.
#[derive(Clone, Debug)]
struct Kept {
    y: FlexTensor,
    weight: FlexTensor,
    /// (N, V): the gradient of the loss by the logits.
    d_logits: FlexTensor,
}

#[derive(Debug)]
struct Readout;

impl Backward<Flex, 3> for Readout {
    type State = Kept;

    fn backward(self, ops: Ops<Kept, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d_loss = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let d_loss = slice::<f32>(&d_loss)[0];
        let Kept { y, weight, mut d_logits } = ops.state;
        if d_loss != 1.0 {
            d_logits.storage_mut::<f32>().iter_mut().for_each(|d| *d *= d_loss);
        }
        let [d_y, d_weight, d_bias] = &ops.parents;
        if let Some(node) = d_y {
            let d = match is_narrow(&weight) {
                true => narrow_d_y(&d_logits, &weight),
                false => Flex::float_matmul(d_logits.clone(), weight.clone()),
            };
            gradients.register::<Flex>(node.id, d);
        }
        if let Some(node) = d_weight {
            let d = match is_narrow(&weight) {
                true => narrow_d_weight(&d_logits, &y),
                false => Flex::float_matmul(transposed(d_logits.clone()), y),
            };
            gradients.register::<Flex>(node.id, d);
        }
        if let Some(node) = d_bias {
            let v = d_logits.layout().shape()[1];
            let mut sums = vec![0.0f32; v];
            for row in slice::<f32>(&d_logits).chunks_exact(v) {
                sums.iter_mut().zip(row).for_each(|(sum, d)| *sum += d);
            }
            gradients.register::<Flex>(node.id, from_vec(sums, &[v]));
        }
    }
}

/// A view of a matrix with rows and columns exchanged.
fn transposed(matrix: FlexTensor) -> FlexTensor {
    let layout = matrix.layout().transpose(0, 1);
    matrix.with_layout(layout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use burn::tensor::Device;

    #[test]
    fn exp_is_within_two_units_of_the_last_place() {
        for i in 0..=8_700 {
            let x = -(i as f32) * 0.01;
            let want = f64::from(x).exp();
            // 2^-22: two units of 2^-23 relative to the value.
            assert!((f64::from(exp(x)) - want).abs() <= want * 2.4e-7, "{x}: {} {want}", exp(x));
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::NEG_INFINITY) < 2e-38);
    }

    #[test]
    fn fused_equals_tensor_operations() {
        equals_tensor_operations(601, 17, 23);
        equals_tensor_operations(70, 33, NARROW / 33 + 1);
    }

    fn equals_tensor_operations(n: usize, h: usize, v: usize) {
        let device = Device::flex().autodiff();
        let mut random = Random::new(1, "test");
        let mut tensor = |len: usize| (0..len).map(|_| random.symmetric(2.0)).collect::<Vec<f32>>();
        let (y, w, b) = (tensor(n * h), tensor(v * h), tensor(v));
        let targets: Vec<u32> = (0..n as u32).map(|i| if i % 7 == 3 { IGNORE } else { i % v as u32 }).collect();
        let run = |f: fn(Tensor<2>, Tensor<2>, Tensor<1>, &[u32]) -> Tensor<1>| {
            let y = Tensor::<2>::from_data(TensorData::new(y.clone(), [n, h]), &device).require_grad();
            let w = Tensor::<2>::from_data(TensorData::new(w.clone(), [v, h]), &device).require_grad();
            let b = Tensor::<1>::from_data(TensorData::new(b.clone(), [v]), &device).require_grad();
            // A factor behind the loss: its gradient is not 1.
            let loss = f(y.clone(), w.clone(), b.clone(), &targets).mul_scalar(3.0);
            let d = loss.backward();
            let grads = [
                crate::flex::to_vec(y.grad(&d).unwrap()),
                crate::flex::to_vec(w.grad(&d).unwrap()),
                crate::flex::to_vec(b.grad(&d).unwrap()),
            ];
            (loss.into_scalar::<f32>(), grads)
        };
        let (loss, grads) = run(cross_entropy);
        let (want, wants) = run(portable);
        // f32 sums of a few hundred terms: a few units in the last place of the largest.
        assert!((loss - want).abs() <= 2e-6 * want, "{loss} {want}");
        for (got, want) in grads.iter().zip(&wants) {
            let scale = want.iter().fold(0.0f32, |m, w| m.max(w.abs()));
            for (g, w) in got.iter().zip(want) {
                assert!((g - w).abs() <= 2e-6 * scale, "{g} {w} of {scale}");
            }
        }
    }

    #[test]
    fn no_target_that_counts_is_a_loss_of_zero() {
        let device = Device::flex();
        let y = Tensor::<2>::ones([2, 3], &device);
        let loss = cross_entropy(y, Tensor::ones([4, 3], &device), Tensor::zeros([4], &device), &[IGNORE, IGNORE]);
        assert_eq!(loss.into_scalar::<f32>(), 0.0);
    }

    #[test]
    #[should_panic(expected = "target 4 is not below the vocabulary's size 4")]
    fn a_target_outside_the_vocabulary_is_named() {
        let device = Device::flex();
        let y = Tensor::<2>::ones([1, 3], &device);
        cross_entropy(y, Tensor::ones([4, 3], &device), Tensor::zeros([4], &device), &[4]);
    }

    #[test]
    fn the_threads_do_not_change_the_bits() {
        for (n, h, v) in [(6400, 256, 65), (700, 256, 1100)] {
            check_threads(n, h, v);
        }
    }

    fn check_threads(n: usize, h: usize, v: usize) {
        let device = Device::flex().autodiff();
        let mut random = Random::new(2, "test");
        let mut tensor = |len: usize| (0..len).map(|_| random.symmetric(1.0)).collect::<Vec<f32>>();
        let (y, w, b) = (tensor(n * h), tensor(v * h), tensor(v));
        let targets: Vec<u32> = (0..n as u32).map(|i| i % v as u32).collect();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let y = Tensor::<2>::from_data(TensorData::new(y.clone(), [n, h]), &device).require_grad();
                let w = Tensor::<2>::from_data(TensorData::new(w.clone(), [v, h]), &device).require_grad();
                let b = Tensor::<1>::from_data(TensorData::new(b.clone(), [v]), &device).require_grad();
                let loss = cross_entropy(y.clone(), w.clone(), b.clone(), &targets);
                let d = loss.backward();
                let mut bits = vec![loss.into_scalar::<f32>().to_bits()];
                bits.extend(crate::flex::to_vec(y.grad(&d).unwrap()).iter().map(|v| v.to_bits()));
                bits.extend(crate::flex::to_vec(w.grad(&d).unwrap()).iter().map(|v| v.to_bits()));
                bits.extend(crate::flex::to_vec(b.grad(&d).unwrap()).iter().map(|v| v.to_bits()));
                bits
            })
        };
        let one = run(1);
        assert!(one == run(2) && one == run(3) && one == run(5), "bits differ between numbers of threads");
    }
}

//! Linear readout, softmax and cross-entropy as one operation.
//!
//! As separate tensor operations with their backward they cost a third of a training step of a character model, and
//! more of a word model's. Here forward makes the gradients at once, in blocks: the scores of all rows for all words never stand in
//! memory together ([`elman_core::engine::readout`] has the equations).

use crate::flex::{Operand, Tape, from_vec, is_flex, recorded, slice};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{AutodiffBackend, Flex};
use burn::tensor::{DType, Int, Tensor, TensorData, activation};
use elman_core::algebra::lanes::Isa;
use elman_core::engine::Bf16Kernel;
pub use elman_core::engine::readout::IGNORE;
use elman_core::engine::readout::{Rows, Words};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard};

/// Logits y Wᵀ + b of `y` (N, H), `weight` (V, H), `bias` (V): (N, V).
pub fn logits(y: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
    y.matmul(weight.transpose()) + bias.unsqueeze()
}

/// Targets (T, B) with those beyond a row's length left out.
pub(crate) fn within<'a>(targets: &'a [u32], batch: usize, lengths: Option<&[usize]>) -> Cow<'a, [u32]> {
    let Some(lengths) = lengths else { return targets.into() };
    let counted = |(i, &target): (usize, &u32)| if i / batch < lengths[i % batch] { target } else { IGNORE };
    targets.iter().enumerate().map(counted).collect()
}

/// The mean over all targets that count of -ln softmax(y Wᵀ + b) at the target, in nats.
///
/// `y` is (N, H), `weight` (V, H), `bias` (V), and there are N targets, each below V or [`IGNORE`]. With no target that counts the
/// result is 0.
///
/// # Panics
/// If a shape or a target is wrong.
pub fn cross_entropy(y: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, targets: &[u32]) -> Tensor<1> {
    cross_entropy_in(None, y, weight, bias, targets)
}

/// The same, with its matrix products in mixed precision where there is a kernel for them: operands rounded to bf16, everything else in f32.
/// Where the numbers are not f32 in the memory of the processor they stay as they are.
///
/// # Panics
/// If a shape or a target is wrong, or this machine cannot run the kernel.
pub fn cross_entropy_in(
    bf16: Option<Bf16Kernel>,
    y: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<1>,
    targets: &[u32],
) -> Tensor<1> {
    let ([n, _], [v, _]) = (y.dims(), weight.dims());
    assert_eq!(targets.len(), n, "number of targets");
    if let Some(bad) = targets.iter().find(|&&t| t as usize >= v && t != IGNORE) {
        panic!("target {bad} is not below the vocabulary's size {v}");
    }
    if n > 0 && is_flex(&y.device()) && y.dtype() == DType::F32 {
        fused(bf16, y, weight, bias, targets)
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
    // Not a division: on the way back Burn would take the reciprocal in f32.
    (log * weights).sum().mul_scalar(-1.0 / count as f64)
}

fn fused(bf16: Option<Bf16Kernel>, y: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, targets: &[u32]) -> Tensor<1> {
    let operands = [Operand::new(y), Operand::new(weight), Operand::new(bias)];
    let on_tape = operands.iter().any(|o| o.node.is_some());
    let checkpointing = operands.iter().any(|o| o.checkpointing);
    let [y, weight, bias] = operands.each_ref().map(|o| slice::<f32>(&o.tensor));
    let scale = 1.0 / targets.iter().filter(|&&t| t != IGNORE).count().max(1) as f32;
    let job = Job { bf16, weight, bias, scale };
    let (loss, gradients) = if bias.len() <= WORDS {
        job.rows_in_parallel(y, targets, on_tape)
    } else {
        job.words_in_parallel(y, targets, on_tape)
    };
    let loss = from_vec(vec![(loss * f64::from(job.scale)) as f32], &[1]);
    let Some(gradients) = gradients else { return Tensor::from_primitive::<Flex>(loss) };
    let nodes = operands.map(|o| o.node.unwrap_or_else(|| Tape::from_inner(o.tensor).node()));
    let loss = match Readout.prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(Arc::new(Mutex::new(Some(gradients))), loss),
        OpsKind::UnTracked(op) => op.finish(loss),
    };
    recorded(loss, checkpointing)
}

/// Words that a thread takes at a time, at most. A vocabulary that is not larger is divided by rows instead.
const WORDS: usize = 1024;

/// Rows that a thread takes at a time there; each such block has its own sum of gradients.
const ROWS: usize = 256;

/// Scores that are held at a time, for a large vocabulary: 32 MB. The rows are worked on in chunks that give so many.
const SCORES: usize = 8 << 20;

/// Gradients by the rows, the weights and the biases.
#[derive(Debug)]
struct ReadoutGradients {
    y: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl ReadoutGradients {
    fn zeros(rows: usize, words: usize, width: usize) -> Self {
        // Written by all threads: 8 MB for 10,000 words of 200 units.
        let mut weight = Vec::new();
        weight.par_extend(rayon::iter::repeat_n(0.0, words * width));
        ReadoutGradients { y: vec![0.0; rows * width], weight, bias: vec![0.0; words] }
    }
}

/// What is worked on, kept between steps.
struct Workspace {
    rows: Rows<f32>,
    words: Vec<Words<f32>>,
}

/// Workspaces not in use.
static IDLE: Mutex<Vec<Workspace>> = Mutex::new(Vec::new());

fn idle() -> MutexGuard<'static, Vec<Workspace>> {
    // A panic elsewhere leaves the list itself whole.
    IDLE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The readout of one step.
#[derive(Clone, Copy)]
struct Job<'a> {
    bf16: Option<Bf16Kernel>,
    weight: &'a [f32],
    bias: &'a [f32],
    /// One over the number of targets that count.
    scale: f32,
}

impl Job<'_> {
    fn width(&self) -> usize {
        self.weight.len() / self.bias.len()
    }

    /// A small vocabulary: blocks of rows on their own; their gradients by the weights are added in their order.
    fn rows_in_parallel(self, y: &[f32], targets: &[u32], gradient: bool) -> (f64, Option<ReadoutGradients>) {
        let (v, h) = (self.bias.len(), self.width());
        let mut d_y = vec![0.0; if gradient { y.len() } else { 0 }];
        // One empty slice a block where there is no gradient.
        let d_rows: Vec<&mut [f32]> = match gradient {
            true => d_y.chunks_mut(ROWS * h).collect(),
            false => targets.chunks(ROWS).map(|_| &mut [][..]).collect(),
        };
        let blocks: Vec<(f64, Vec<f32>, Vec<f32>)> = d_rows
            .into_par_iter()
            .zip(y.par_chunks(ROWS * h))
            .zip(targets.par_chunks(ROWS))
            .map(|((d_y, y), targets)| {
                let (mut d_weight, mut d_bias) = (vec![], vec![]);
                if gradient {
                    (d_weight, d_bias) = (vec![0.0; v * h], vec![0.0; v]);
                }
                let to = gradient.then_some((d_y, &mut d_weight[..], &mut d_bias[..]));
                (self.some_rows(y, targets, to, false), d_weight, d_bias)
            })
            .collect();
        let loss = blocks.iter().map(|(loss, ..)| loss).sum();
        let mut blocks = blocks.into_iter();
        let (_, mut weight, mut bias) = blocks.next().expect("a batch has at least one row");
        for (_, d_weight, d_bias) in blocks {
            weight.iter_mut().zip(d_weight).for_each(|(sum, d)| *sum += d);
            bias.iter_mut().zip(d_bias).for_each(|(sum, d)| *sum += d);
        }
        (loss, gradient.then_some(ReadoutGradients { y: d_y, weight, bias }))
    }

    /// A large vocabulary: chunks of rows one after another, each by all threads, which divide the words.
    fn words_in_parallel(self, y: &[f32], targets: &[u32], gradient: bool) -> (f64, Option<ReadoutGradients>) {
        let (v, h) = (self.bias.len(), self.width());
        let mut all = gradient.then(|| ReadoutGradients::zeros(targets.len(), v, h));
        let most = (SCORES / v / 64 * 64).clamp(64, 512);
        // Chunks of nearly the same size.
        let rows = targets.len().div_ceil(targets.len().div_ceil(most)).next_multiple_of(64);
        let mut loss = 0.0;
        for (i, (y, targets)) in y.chunks(rows * h).zip(targets.chunks(rows)).enumerate() {
            let to = all
                .as_mut()
                .map(|all| (&mut all.y[i * rows * h..][..targets.len() * h], &mut all.weight[..], &mut all.bias[..]));
            loss += self.some_rows(y, targets, to, i > 0);
        }
        (loss, all)
    }

    /// The sum of the losses of some rows, and their gradients by rows, weights and biases (`add`ed to the last two).
    fn some_rows(self, y: &[f32], targets: &[u32], to: Option<(&mut [f32], &mut [f32], &mut [f32])>, add: bool) -> f64 {
        let h = self.width();
        // Slices of one size, so that the threads have the same to do.
        let each = self.bias.len().div_ceil(self.bias.len().div_ceil(WORDS));
        let taken = idle().pop();
        let mut workspace = taken.unwrap_or_else(|| Workspace { rows: Rows::new(Isa::detect()), words: Vec::new() });
        let Workspace { rows, words } = &mut workspace;
        words.resize_with(self.bias.len().div_ceil(each), Words::default);
        let slices = || self.weight.par_chunks(each * h).zip(self.bias.par_chunks(each));
        rows.set_bf16(self.bf16);
        rows.load(y, targets, self.weight, self.bias);
        let exponentials = |rows: &Rows<f32>, words: &mut [Words<f32>]| {
            words.par_iter_mut().zip(slices()).enumerate().for_each(|(i, (words, (weight, bias)))| {
                words.exponentials(rows, i * each, weight, bias, to.is_some());
            });
        };
        exponentials(rows, words);
        let loss = rows.take_sums(words, self.scale).unwrap_or_else(|| {
            words
                .par_iter_mut()
                .zip(slices())
                .enumerate()
                .for_each(|(i, (words, (weight, bias)))| words.maxima(rows, i * each, weight, bias));
            rows.take_maxima(words);
            exponentials(rows, words);
            rows.take_sums(words, self.scale).expect("measured from the maxima")
        });
        if let Some((d_y, d_weight, d_bias)) = to {
            d_y.par_chunks_mut(rows.per_panel() * h)
                .enumerate()
                .for_each(|(panel, d_y)| rows.d_y(words, self.weight, self.scale, panel, d_y));
            rows.scale(y);
            words
                .par_iter_mut()
                .zip(d_weight.par_chunks_mut(each * h))
                .zip(d_bias.par_chunks_mut(each))
                .for_each(|((words, d_weight), d_bias)| words.gradients(rows, d_weight, d_bias, add));
        }
        idle().push(workspace);
        loss
    }
}

#[derive(Debug)]
struct Readout;

impl Backward<Flex, 3> for Readout {
    // Made in forward; backward comes at most once.
    type State = Arc<Mutex<Option<ReadoutGradients>>>;

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d_loss = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let d_loss = slice::<f32>(&d_loss)[0];
        let taken = ops.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        let d = taken.expect("a backward pass comes once");
        let (v, h) = (d.bias.len(), d.weight.len() / d.bias.len());
        let n = d.y.len() / h;
        let all = [(d.y, vec![n, h]), (d.weight, vec![v, h]), (d.bias, vec![v])];
        for (node, (mut values, shape)) in ops.parents.iter().zip(all) {
            let Some(node) = node else { continue };
            if d_loss != 1.0 {
                values.iter_mut().for_each(|d| *d *= d_loss);
            }
            gradients.register::<Flex>(node.id, from_vec(values, &shape));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use burn::tensor::Device;

    #[test]
    fn fused_equals_tensor_operations() {
        equals_tensor_operations(601, 17, 23);
        equals_tensor_operations(70, 33, 2 * WORDS + 77);
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

    /// Whichever way the work is divided.
    #[test]
    fn mixed_precision_is_near_and_takes_effect() {
        for (n, h, v) in [(70, 33, 23), (70, 33, WORDS + 77)] {
            let device = Device::flex();
            let mut random = Random::new(3, "test");
            let mut tensor = |len: usize| (0..len).map(|_| random.symmetric(0.3)).collect::<Vec<f32>>();
            let (y, w, b) = (tensor(n * h), tensor(v * h), tensor(v));
            let targets: Vec<u32> = (0..n as u32).map(|i| i % v as u32).collect();
            let loss = |bf16: Option<Bf16Kernel>| {
                let y = Tensor::<2>::from_data(TensorData::new(y.clone(), [n, h]), &device);
                let w = Tensor::<2>::from_data(TensorData::new(w.clone(), [v, h]), &device);
                let b = Tensor::<1>::from_data(TensorData::new(b.clone(), [v]), &device);
                cross_entropy_in(bf16, y, w, b, &targets).into_scalar::<f32>()
            };
            let (exact, mixed) = (loss(None), loss(Some(Bf16Kernel::Plain)));
            assert!(exact != mixed && (exact - mixed).abs() < 1e-2, "{exact} {mixed}");
            assert_eq!(exact, loss(None), "the precision is that of the call");
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
        for (n, h, v) in [(6400, 256, 65), (700, 200, 2 * WORDS + 100)] {
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

//! Backpropagation through time is backpropagation through a feed-forward network: the recurrent network unfolded, a layer for each
//! step, with the weights of all these layers shared.
//!
//! Here the unfolded network is built in full: every step has a copy of the weights of its own and gets its own gradient, as an MLP's
//! layers do; then the gradients of the copies are summed. That the sum is what the engine gives for the recurrent network is checked
//! on a model and a text, not argued.

use super::AnalysisError;
use super::cost::feeds_back_its_output;
use super::network::{Network, State, dot, norm};
use super::path::Path;
use elman_core::engine::{Engine, Gradients, Input, Output, Scan, Sequence, StepInput, Stepper, Workspace, reference};
use std::ops::Range;
use std::sync::Arc;

/// The gradient of a text's mean loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Bptt {
    /// The mean loss of a step: -ln p(next token) in nats, or of a series ½ Σ (error)².
    pub loss: f64,
    /// By each parameter of each layer, first layer first.
    pub gradients: Vec<Vec<f64>>,
    /// Bytes that were held for it, all layers together: the engine's, and the outputs, of which it keeps none.
    pub bytes: usize,
}

/// Forward through the first `steps` steps of the path, then backward through all of them: the fused engine, each layer's whole
/// sequence at once.
///
/// # Errors
/// `steps` is 0 or more than there are.
pub fn bptt(network: &Network, path: &Path, engine: &Arc<Engine>, steps: usize) -> Result<Bptt, AnalysisError> {
    bptt_over(network, path, engine, 0..steps)
}

/// The same for a window of steps, from the state that the path has before it.
///
/// # Errors
/// The window is empty or reaches beyond the path.
pub fn bptt_over(
    network: &Network,
    path: &Path,
    engine: &Arc<Engine>,
    window: Range<usize>,
) -> Result<Bptt, AnalysisError> {
    check(path, &window)?;
    Ok(pass(network, path, engine, window.clone(), [window.len(), 1], path.state(window.start)))
}

/// The same where every step takes the output of the step before as the path has it, as a target: no gradient goes from one step to
/// another, and all of them are the rows of a single step. None where a layer carries more than an output that it makes of its state.
///
/// # Errors
/// The window is empty or reaches beyond the path.
pub fn from_targets(
    network: &Network,
    path: &Path,
    engine: &Arc<Engine>,
    window: Range<usize>,
) -> Result<Option<Bptt>, AnalysisError> {
    check(path, &window)?;
    if !feeds_back_its_output(network) {
        return Ok(None);
    }
    let before = |k: usize| window.clone().flat_map(|t| path.state(t)[k][0].iter().copied()).collect();
    let targets: State = (0..network.layers().len()).map(|k| vec![before(k)]).collect();
    Ok(Some(pass(network, path, engine, window.clone(), [1, window.len()], &targets)))
}

/// Forward and backward over a window of the path as a sequence of some steps and rows.
fn pass(
    network: &Network,
    path: &Path,
    engine: &Arc<Engine>,
    window: Range<usize>,
    shape: [usize; 2],
    initial: &State,
) -> Bptt {
    let layers = network.layers();
    let mut inputs = vec![embedded(network, path, &window)];
    let mut workspaces: Vec<Workspace<f64>> = layers.iter().map(|_| Workspace::new()).collect();
    for (k, l) in layers.iter().enumerate() {
        let mut out = Output::default();
        let seq = sequence(&inputs[k], shape, &initial[k]);
        engine.forward(&l.layer, &l.slices(), &seq, &mut workspaces[k], &mut out);
        inputs.push(out.y);
    }
    let (loss, mut d) = losses(network, path, &inputs[layers.len()], &window);
    let mut gradients = Vec::new();
    for (k, l) in layers.iter().enumerate().rev() {
        let mut out = Gradients::default();
        let seq = sequence(&inputs[k], shape, &initial[k]);
        engine.backward(&l.layer, &l.slices(), &seq, &mut workspaces[k], &inputs[k + 1], &d, None, &mut out);
        d = out.input;
        gradients.splice(0..0, out.params);
    }
    let outputs = inputs[1..].iter().map(|y| size_of_val(y.as_slice()));
    let bytes = workspaces.iter().map(Workspace::bytes).chain(outputs).sum();
    Bptt { loss, gradients, bytes }
}

/// What a scan gives, as in [`Bptt`].
#[derive(Clone, Debug, PartialEq)]
pub struct Scanned {
    /// The mean loss of a step: -ln p(next token) in nats, or of a series ½ Σ (error)².
    pub loss: f64,
    /// By each parameter of each layer, first layer first.
    pub gradients: Vec<Vec<f64>>,
    /// Bytes that were held: the outputs of all layers, and what the pass of the largest layer leaves. Each layer's backward pass makes its own again.
    pub bytes: usize,
}

/// Loss and gradients of [`bptt`] by a parallel scan over time; none where a layer is not linear in what it carries.
///
/// # Errors
/// `steps` is 0 or more than there are.
pub fn scanned(
    network: &Network,
    path: &Path,
    engine: &Arc<Engine>,
    steps: usize,
) -> Result<Option<Scanned>, AnalysisError> {
    check(path, &(0..steps))?;
    let scans: Result<Vec<Scan>, _> = network.layers().iter().map(|l| Scan::new(&l.layer)).collect();
    let Ok(scans) = scans else { return Ok(None) };
    let layers = || network.layers().iter().zip(&scans).zip(network.initial()).enumerate();
    let mut inputs = vec![embedded(network, path, &(0..steps))];
    let mut held = 0;
    for (k, ((l, scan), initial)) in layers() {
        let y = scan.forward(engine, &l.slices(), &sequence(&inputs[k], [steps, 1], initial)).y;
        inputs.push(y);
    }
    let (loss, mut d) = losses(network, path, &inputs[scans.len()], &(0..steps));
    let mut gradients = Vec::new();
    for (k, ((l, scan), initial)) in layers().rev() {
        let seq = sequence(&inputs[k], [steps, 1], initial);
        let (found, bytes) = scan.backward_with_bytes(engine, &l.slices(), &seq, &d, None);
        held = bytes.max(held);
        d = found.input;
        gradients.splice(0..0, found.params);
    }
    let outputs: usize = inputs[1..].iter().map(|y| size_of_val(y.as_slice())).sum();
    Ok(Some(Scanned { loss, gradients, bytes: held + outputs }))
}

/// A text's mean loss, without a gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Streamed {
    /// The mean loss of a step: -ln p(next token) in nats, or of a series ½ Σ (error)².
    pub loss: f64,
    /// Bytes that were held, all layers together, packed weights included as in [`Bptt::bytes`].
    pub bytes: usize,
}

/// Forward through the first `steps` steps of the path, one step at a time, as a stream runs: nothing but the state is kept.
///
/// # Errors
/// `steps` is 0 or more than there are.
pub fn streamed(network: &Network, path: &Path, engine: &Arc<Engine>, steps: usize) -> Result<Streamed, AnalysisError> {
    check(path, &(0..steps))?;
    let mut steppers: Vec<Stepper<f64>> =
        network.layers().iter().map(|l| Stepper::new(engine, &l.layer, &l.slices(), 1, None)).collect();
    for (stepper, initial) in steppers.iter_mut().zip(network.initial()) {
        stepper.set_state(&initial.iter().map(Vec::as_slice).collect::<Vec<_>>());
    }
    let mut loss = 0.0;
    for t in 0..steps {
        let mut x = path.input(network, t).to_vec();
        for stepper in &mut steppers {
            x = stepper.step(StepInput::Dense(&x)).to_vec();
        }
        loss += path.loss(network, t, &x).0 / steps as f64;
    }
    Ok(Streamed { loss, bytes: steppers.iter().map(Stepper::bytes).sum() })
}

/// The network unfolded over some steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfolded {
    /// Copies of the recurrent layers: the depth of the feed-forward network, in steps.
    pub steps: usize,
    /// The mean loss of a step: -ln p(next token) in nats, or of a series ½ Σ (error)².
    pub loss: f64,
    /// For each parameter of each layer and each step, the norm of the copy's own gradient.
    pub norms: Vec<Vec<f64>>,
    /// For each parameter of each layer and each step, G_t·G / ‖G‖² with G_t the copy's own gradient and G their sum: the copy's share of the
    /// shared gradient. They add up to 1; all are 0 where G is.
    pub shares: Vec<Vec<f64>>,
    /// For each parameter of each layer, the sum over the copies.
    pub gradients: Vec<Vec<f64>>,
}

impl Unfolded {
    /// Unfolds the first `steps` steps of the path: forward and backward from copy to copy, by the readable engine.
    ///
    /// # Errors
    /// `steps` is 0 or more than there are.
    pub fn new(network: &Network, path: &Path, steps: usize) -> Result<Unfolded, AnalysisError> {
        check(path, &(0..steps))?;
        let layers = network.layers();
        // A copy of all weights for every step: these are what the gradients below are taken by.
        let copies: Vec<Vec<Vec<Vec<f64>>>> =
            (0..steps).map(|_| layers.iter().map(|l| l.parameters.clone()).collect()).collect();
        let mut state = network.initial().clone();
        let (mut befores, mut inputs, mut outputs): (Vec<State>, Vec<Vec<Vec<f64>>>, Vec<f64>) = Default::default();
        for (t, copy) in copies.iter().enumerate() {
            befores.push(state.clone());
            let mut x = path.input(network, t).to_vec();
            let mut step_inputs = Vec::new();
            for (k, l) in layers.iter().enumerate() {
                let params: Vec<&[f64]> = copy[k].iter().map(Vec::as_slice).collect();
                let y = reference::step(&l.layer, &params, Input::Dense(&x), 1, &mut state[k]);
                step_inputs.push(std::mem::replace(&mut x, y));
            }
            inputs.push(step_inputs);
            outputs.extend(x);
        }
        let (loss, d_outputs) = losses(network, path, &outputs, &(0..steps));
        let mut d_state: State = state.iter().map(|l| l.iter().map(|s| vec![0.0; s.len()]).collect()).collect();
        let count: usize = layers.iter().map(|l| l.parameters.len()).sum();
        let mut norms = vec![vec![0.0; steps]; count];
        // Each copy's gradients, until their sum is known.
        let mut own: Vec<Vec<Vec<f64>>> = vec![vec![Vec::new(); steps]; count];
        let mut gradients: Vec<Vec<f64>> =
            layers.iter().flat_map(|l| &l.parameters).map(|p| vec![0.0; p.len()]).collect();
        let width = network.output_width();
        for t in (0..steps).rev() {
            let mut d = d_outputs[t * width..][..width].to_vec();
            let mut first = count;
            for (k, l) in layers.iter().enumerate().rev() {
                let params: Vec<&[f64]> = copies[t][k].iter().map(Vec::as_slice).collect();
                let seq = sequence(&inputs[t][k], [1, 1], &befores[t][k]);
                let after: Vec<&[f64]> = d_state[k].iter().map(Vec::as_slice).collect();
                let found = reference::backward(&l.layer, &params, &seq, &d, Some(&after));
                first -= found.params.len();
                for (p, gradient) in found.params.into_iter().enumerate() {
                    norms[first + p][t] = norm(&gradient);
                    gradients[first + p].iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += g);
                    own[first + p][t] = gradient;
                }
                d = found.input;
                d_state[k] = found.state;
            }
        }
        let share = |(own, sum): (Vec<Vec<f64>>, &Vec<f64>)| -> Vec<f64> {
            let square = dot(sum, sum);
            own.iter().map(|own| if square > 0.0 { dot(own, sum) / square } else { 0.0 }).collect()
        };
        let shares = own.into_iter().zip(&gradients).map(share).collect();
        Ok(Unfolded { steps, loss, norms, shares, gradients })
    }

    /// The largest difference from another gradient, each parameter's relative to its largest element; NaN where one is.
    ///
    /// # Panics
    /// If it is another network's.
    pub fn difference(&self, other: &Bptt) -> f64 {
        largest(self.differences(other).into_iter())
    }

    /// The same for each parameter of each layer.
    ///
    /// # Panics
    /// If it is another network's.
    pub fn differences(&self, other: &Bptt) -> Vec<f64> {
        assert_eq!(self.gradients.len(), other.gradients.len(), "gradients of one network");
        let pair = |(a, b): (&Vec<f64>, &Vec<f64>)| {
            let largest = b.iter().fold(f64::MIN_POSITIVE, |m, x| m.max(x.abs()));
            self::largest(a.iter().zip(b).map(|(a, b)| (a - b).abs() / largest))
        };
        self.gradients.iter().zip(&other.gradients).map(pair).collect()
    }
}

/// The largest of numbers from 0 on; NaN where one is.
fn largest(numbers: impl Iterator<Item = f64>) -> f64 {
    numbers.fold(0.0, |m, x| if x > m || x.is_nan() { x } else { m })
}

fn check(path: &Path, steps: &Range<usize>) -> Result<(), AnalysisError> {
    match steps.len() {
        0 => Err(AnalysisError::Zero { what: "the number of steps" }),
        _ if steps.end > path.steps() => Err(AnalysisError::TooShort { found: path.steps(), least: steps.end }),
        _ => Ok(()),
    }
}

/// The inputs of the first layer (steps, E).
fn embedded(network: &Network, path: &Path, steps: &Range<usize>) -> Vec<f64> {
    steps.clone().flat_map(|t| path.input(network, t).to_vec()).collect()
}

/// Mean loss of the outputs (steps, P) and its gradient by them.
fn losses(network: &Network, path: &Path, outputs: &[f64], steps: &Range<usize>) -> (f64, Vec<f64>) {
    let (mut loss, mut d) = (0.0, Vec::with_capacity(outputs.len()));
    for (y, t) in outputs.chunks(network.output_width()).zip(steps.clone()) {
        let (nats, d_y) = path.loss(network, t, y);
        loss += nats / steps.len() as f64;
        d.extend(d_y.iter().map(|d| d / steps.len() as f64));
    }
    (loss, d)
}

/// Of (steps, rows).
fn sequence<'a>(x: &'a [f64], [steps, rows]: [usize; 2], state: &'a [Vec<f64>]) -> Sequence<'a, f64> {
    let mut seq = Sequence::new(steps, rows, Input::Dense(x));
    seq.state = Some(state.iter().map(Vec::as_slice).collect());
    seq
}

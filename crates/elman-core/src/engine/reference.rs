//! The readable engine: the equations row by row, step by step, unit by unit.
//!
//! It says what the fused engine must compute; every test compares the two. Nothing here is fast.
//!
//! In one step of one row, each unit `u` of a stage computes its arguments
//!
//! * gates: `a[u] = b[u] + Σ_source Σ_j W[u][j] · (m[j] · s[j])`, the bias first, then the sources in declared order,
//! * normalised gates: `g[u] · â[u] + b[u]` with `â = (a - mean(a)) / sqrt(var(a) + ε)` over all units of the row, `a` the
//!   sum of products without the bias, or a value,
//! * reads: `s[u]`,
//! * per-unit parameters: `p[u]`,
//! * feeds: `f[t][u]`,
//!
//! and writes the outputs of the stage's equations. Backward, the gradient of argument `i` is
//! `Σ_o d_out[o] · ∂out[o]/∂arg[i]`, and each line above is followed against its direction.

use super::{Gradients, Input, Output, Sequence};
use crate::algebra::Element;
use crate::cell::{NORMALISER_EPSILON, Normaliser};
use crate::layer::{Layer, Place, Role};

/// Runs a layer over a batch of sequences.
///
/// `params` are the [`Layer::parameters`] in order. Shapes are those of [`Sequence`] and [`Output`].
///
/// # Panics
/// If a slice has not the length that the layer asks ([`Sequence::check`]).
pub fn forward<F: Element>(layer: &Layer, params: &[&[F]], seq: &Sequence<F>) -> Output<F> {
    seq.check(layer, params);
    let run = Run::new(layer, params, seq);
    let mut output = Output {
        y: zeros(seq.steps * seq.batch * layer.output_width()),
        state: layer.state_widths().iter().map(|&w| zeros(seq.batch * w)).collect(),
    };
    for b in 0..seq.batch {
        let mut values = run.initial_values(b);
        for t in run.order(b) {
            values = run.step(t, b, &values).now;
            row_mut(&mut output.y, t * seq.batch + b, layer.output_width()).copy_from_slice(&values[layer.output()]);
        }
        for (state, &v) in output.state.iter_mut().zip(layer.carried()) {
            row_mut(state, b, values[v].len()).copy_from_slice(&values[v]);
        }
    }
    output
}

/// One step of a batch: `input` has one row for each row of the batch, `state` (one (B, width) for each of
/// [`Layer::carried`]) is replaced by the state after the step; returns y (B, output width).
///
/// # Panics
/// As [`forward`].
pub fn step<F: Element>(layer: &Layer, params: &[&[F]], input: Input<F>, batch: usize, state: &mut [Vec<F>]) -> Vec<F> {
    let mut seq = Sequence::new(1, batch, input);
    seq.state = Some(state.iter().map(Vec::as_slice).collect());
    let output = forward(layer, params, &seq);
    state.clone_from_slice(&output.state);
    output.y
}

/// Backward of [`forward`] through the whole sequence, which it recomputes keeping every value of every step.
///
/// `d_y` (T, B, output width) and `d_state` (one (B, width) for each of [`Layer::carried`]; none: zeros) are the
/// gradients by what `forward` returned. What `d_y` holds beyond a row's length has no effect.
///
/// # Panics
/// As [`forward`].
pub fn backward<F: Element>(
    layer: &Layer,
    params: &[&[F]],
    seq: &Sequence<F>,
    d_y: &[F],
    d_state: Option<&[&[F]]>,
) -> Gradients<F> {
    seq.check(layer, params);
    assert_eq!(d_y.len(), seq.steps * seq.batch * layer.output_width(), "length of d_y (T, B, output width)");
    let run = Run::new(layer, params, seq);
    let input_len = match seq.input {
        Input::Dense(x) => x.len(),
        Input::Tokens { table, .. } => table.len(),
    };
    let mut gradients = Gradients {
        params: params.iter().map(|p| zeros(p.len())).collect(),
        input: zeros(input_len),
        state: layer.state_widths().iter().map(|&w| zeros(seq.batch * w)).collect(),
        masks: seq.masks.iter().map(|m| zeros(m.values.len())).collect(),
        feeds: seq.feeds.iter().map(|f| zeros(f.len())).collect(),
    };
    for b in 0..seq.batch {
        let mut steps = Vec::new();
        let mut values = run.initial_values(b);
        for t in run.order(b) {
            let step = run.step(t, b, &values);
            let before = std::mem::replace(&mut values, step.now.clone());
            steps.push((t, before, step));
        }

        let mut d_values = run.zero_values();
        if let Some(d_state) = d_state {
            for (&v, d) in layer.carried().iter().zip(d_state) {
                let width = d_values[v].len();
                d_values[v].copy_from_slice(row(d, b, width));
            }
        }
        for (t, before, step) in steps.iter().rev() {
            let d = row(d_y, t * seq.batch + b, layer.output_width());
            for (sum, &d) in d_values[layer.output()].iter_mut().zip(d) {
                add(sum, d);
            }
            d_values = run.step_backward(*t, b, before, step, d_values, &mut gradients);
        }
        for (d_state, &v) in gradients.state.iter_mut().zip(layer.carried()) {
            row_mut(d_state, b, d_values[v].len()).copy_from_slice(&d_values[v]);
        }
    }
    gradients
}

/// For each of [`Layer::values`], its vector in one row; empty where it is not known.
type Values<F> = Vec<Vec<F>>;

/// What one step of one row computed.
struct Step<F> {
    /// The values written.
    now: Values<F>,
    /// For each stage and each of its units, the arguments of the equations.
    arguments: Vec<Vec<Vec<F>>>,
    /// For each stage and gate, what the normaliser made; none where it is not normalised.
    normalised: Vec<Vec<Option<Normalised<F>>>>,
}

/// A vector with mean 0 and variance 1 (nearly, for the ε in it).
struct Normalised<F> {
    values: Vec<F>,
    /// `1 / sqrt(var + ε)` of the vector that it was.
    factor: F,
}

impl<F: Element> Normalised<F> {
    fn of(a: &[F]) -> Self {
        let n = F::constant(a.len() as f64);
        let mean = a.iter().fold(F::constant(0.0), |sum, &a| sum + a) / n;
        let variance = a.iter().fold(F::constant(0.0), |sum, &a| sum + (a - mean) * (a - mean)) / n;
        let factor = F::constant(1.0) / (variance + F::constant(NORMALISER_EPSILON)).sqrt();
        Normalised { values: a.iter().map(|&a| (a - mean) * factor).collect(), factor }
    }

    /// From the gradient by the normalised vector `n`, that by the vector it was: `f (d - mean(d) - n mean(d n))`.
    fn backward(&self, d: &[F]) -> Vec<F> {
        let n = F::constant(d.len() as f64);
        let mean = d.iter().fold(F::constant(0.0), |sum, &d| sum + d) / n;
        let along = d.iter().zip(&self.values).fold(F::constant(0.0), |sum, (&d, &v)| sum + d * v) / n;
        d.iter().zip(&self.values).map(|(&d, &v)| self.factor * (d - mean - v * along)).collect()
    }
}

/// Where a gate's rows stand: (parameter, first row).
#[derive(Clone, Default)]
struct Gate {
    /// For each source.
    weights: Vec<(usize, usize)>,
    /// None, one or two.
    biases: Vec<(usize, usize)>,
    /// Of a normalised gate.
    gain: (usize, usize),
}

struct Run<'a, F> {
    layer: &'a Layer,
    params: &'a [&'a [F]],
    seq: &'a Sequence<'a, F>,
    /// For each stage and gate.
    gates: Vec<Vec<Gate>>,
    /// For each stage and per-unit parameter: (parameter, first row).
    units: Vec<Vec<(usize, usize)>>,
    /// For each stage, the index of its first feed.
    first_feed: Vec<usize>,
}

impl<'a, F: Element> Run<'a, F> {
    fn new(layer: &'a Layer, params: &'a [&'a [F]], seq: &'a Sequence<'a, F>) -> Self {
        let stages = layer.stages();
        let mut gates: Vec<Vec<Gate>> = stages
            .iter()
            .map(|s| s.gates.iter().map(|g| Gate { weights: vec![(0, 0); g.len()], ..Gate::default() }).collect())
            .collect();
        let mut units: Vec<_> = stages.iter().map(|s| vec![(0, 0); s.units]).collect();
        for (p, parameter) in layer.parameters().iter().enumerate() {
            for block in &parameter.blocks {
                let place = (p, block.row);
                match parameter.role {
                    Role::Weight => gates[block.stage][block.gate].weights[block.source] = place,
                    Role::Bias => gates[block.stage][block.gate].biases.push(place),
                    Role::Gain => gates[block.stage][block.gate].gain = place,
                    Role::Unit => units[block.stage][block.gate] = place,
                }
            }
        }
        let first_feed = (0..stages.len()).map(|s| stages[..s].iter().map(|s| s.feeds).sum()).collect();
        Run { layer, params, seq, gates, units, first_feed }
    }

    /// The valid steps of row `b` in the order in which they are run.
    fn order(&self, b: usize) -> Vec<usize> {
        let valid = 0..self.seq.length(b);
        if self.seq.reverse { valid.rev().collect() } else { valid.collect() }
    }

    fn zero_values(&self) -> Values<F> {
        self.layer.values().iter().map(|v| zeros(self.layer.sizes().of(v.width))).collect()
    }

    fn initial_values(&self, b: usize) -> Values<F> {
        let mut values = self.zero_values();
        if let Some(state) = &self.seq.state {
            for (&v, s) in self.layer.carried().iter().zip(state) {
                let width = values[v].len();
                values[v].copy_from_slice(row(s, b, width));
            }
        }
        values
    }

    /// Offset of row `b`'s input at step `t` in the dense input or in the embedding table.
    fn input_offset(&self, t: usize, b: usize) -> usize {
        let n = t * self.seq.batch + b;
        let row = match self.seq.input {
            Input::Dense(_) => n,
            Input::Tokens { ids, .. } => ids[n] as usize,
        };
        row * self.layer.sizes().input
    }

    /// The vector that stands at a place.
    fn at<'v>(&'v self, place: Place, t: usize, b: usize, before: &'v Values<F>, now: &'v Values<F>) -> &'v [F] {
        match place {
            Place::Input => {
                let (Input::Dense(x) | Input::Tokens { table: x, .. }) = self.seq.input;
                &x[self.input_offset(t, b)..][..self.layer.sizes().input]
            }
            Place::Before(v) => &before[v],
            Place::Now(v) => &now[v],
        }
    }

    /// Index of the mask on a source, if it has one.
    fn mask(&self, stage: usize, source: Place) -> Option<usize> {
        self.seq.masks.iter().position(|m| m.stage == stage && m.source == source)
    }

    /// Element `j` of row `b` of a mask; 1 where there is none.
    fn mask_value(&self, mask: Option<usize>, b: usize, j: usize, width: usize) -> F {
        mask.map_or(F::constant(1.0), |m| self.seq.masks[m].values[b * width + j])
    }

    fn step(&self, t: usize, b: usize, before: &Values<F>) -> Step<F> {
        let equations = F::pointwise(&**self.layer.cell());
        let mut now = self.zero_values();
        let (mut arguments, mut normalised) = (Vec::new(), Vec::new());
        for (s, stage) in self.layer.stages().iter().enumerate() {
            let gates: Vec<_> = (0..stage.gates.len()).map(|g| self.gate(s, g, t, b, before, &now)).collect();
            let mut stage_arguments = Vec::new();
            for u in 0..stage.width {
                let mut args: Vec<F> = gates.iter().map(|(gate, _)| gate[u]).collect();
                for &place in &stage.reads {
                    args.push(self.at(place, t, b, before, &now)[u]);
                }
                for &(p, row) in &self.units[s] {
                    args.push(self.params[p][row + u]);
                }
                for feed in &self.seq.feeds[self.first_feed[s]..][..stage.feeds] {
                    args.push(row(feed, t * self.seq.batch + b, stage.width)[u]);
                }
                let mut outs = zeros(stage.writes.len());
                equations.eval(s, &args, &mut outs);
                for (&v, out) in stage.writes.iter().zip(outs) {
                    now[v][u] = out;
                }
                stage_arguments.push(args);
            }
            arguments.push(stage_arguments);
            normalised.push(gates.into_iter().map(|(_, normalised)| normalised).collect());
        }
        Step { now, arguments, normalised }
    }

    /// One gate of all units, and what its normaliser made if it has one.
    fn gate(
        &self,
        s: usize,
        g: usize,
        t: usize,
        b: usize,
        before: &Values<F>,
        now: &Values<F>,
    ) -> (Vec<F>, Option<Normalised<F>>) {
        let (stage, gate) = (&self.layer.stages()[s], &self.gates[s][g]);
        let bias = |u: usize| gate.biases.iter().fold(F::constant(0.0), |sum, &(p, row)| sum + self.params[p][row + u]);
        let products = |u: usize, mut a: F| {
            for (&(p, row), &place) in gate.weights.iter().zip(&stage.gates[g]) {
                let source = self.at(place, t, b, before, now);
                let mask = self.mask(s, place);
                let n = source.len();
                for j in 0..n {
                    a = a + self.params[p][(row + u) * n + j] * (self.mask_value(mask, b, j, n) * source[j]);
                }
            }
            a
        };
        let a: Vec<F> = match stage.normalisers[g] {
            Normaliser::None => return ((0..stage.width).map(|u| products(u, bias(u))).collect(), None),
            Normaliser::Sum => (0..stage.width).map(|u| products(u, F::constant(0.0))).collect(),
            Normaliser::Value(place) => self.at(place, t, b, before, now).to_vec(),
        };
        let normalised = Normalised::of(&a);
        let (p, row) = gate.gain;
        let scaled = normalised.values.iter().enumerate().map(|(u, &n)| self.params[p][row + u] * n + bias(u));
        (scaled.collect(), Some(normalised))
    }

    /// From the gradients by the values of this step, those by the values of the step before. What goes to parameters,
    /// input, masks and feeds is added to `gradients`.
    fn step_backward(
        &self,
        t: usize,
        b: usize,
        before: &Values<F>,
        step: &Step<F>,
        mut d_now: Values<F>,
        gradients: &mut Gradients<F>,
    ) -> Values<F> {
        let equations = F::pointwise(&**self.layer.cell());
        let x = self.input_offset(t, b);
        let mut d_before = self.zero_values();
        for (s, stage) in self.layer.stages().iter().enumerate().rev() {
            let mut d_gates: Vec<Vec<F>> = vec![zeros(stage.width); stage.gates.len()];
            for u in 0..stage.width {
                let args = &step.arguments[s][u];
                let mut outs = zeros(stage.writes.len());
                let mut jacobian = zeros(outs.len() * args.len());
                equations.jacobian(s, args, &mut outs, &mut jacobian);
                let mut d_args: Vec<F> = zeros(args.len());
                for (o, &v) in stage.writes.iter().enumerate() {
                    for i in 0..args.len() {
                        d_args[i] = d_args[i] + d_now[v][u] * jacobian[o * args.len() + i];
                    }
                }

                let mut d_args = d_args.into_iter();
                for (d_gate, d) in d_gates.iter_mut().zip(&mut d_args) {
                    d_gate[u] = d;
                }
                for (&place, d) in stage.reads.iter().zip(&mut d_args) {
                    add(self.d_at(place, u, x, &mut d_before, &mut d_now, gradients), d);
                }
                for (&(p, row), d) in self.units[s].iter().zip(&mut d_args) {
                    add(&mut gradients.params[p][row + u], d);
                }
                for (f, d) in d_args.enumerate() {
                    let d_feed = &mut gradients.feeds[self.first_feed[s] + f];
                    row_mut(d_feed, t * self.seq.batch + b, stage.width)[u] = d;
                }
            }
            for (g, (gate, mut d_gate)) in self.gates[s].iter().zip(d_gates).enumerate() {
                for &(p, row) in &gate.biases {
                    d_gate.iter().enumerate().for_each(|(u, &d)| add(&mut gradients.params[p][row + u], d));
                }
                if let Some(normalised) = &step.normalised[s][g] {
                    let (p, row) = gate.gain;
                    for (u, d) in d_gate.iter_mut().enumerate() {
                        add(&mut gradients.params[p][row + u], *d * normalised.values[u]);
                        *d = *d * self.params[p][row + u];
                    }
                    d_gate = normalised.backward(&d_gate);
                }
                if let Normaliser::Value(place) = stage.normalisers[g] {
                    for (u, &d) in d_gate.iter().enumerate() {
                        add(self.d_at(place, u, x, &mut d_before, &mut d_now, gradients), d);
                    }
                }
                for (u, &d) in d_gate.iter().enumerate() {
                    for (&(p, row), &place) in gate.weights.iter().zip(&stage.gates[g]) {
                        let source = self.at(place, t, b, before, &step.now);
                        let mask = self.mask(s, place);
                        let n = source.len();
                        for j in 0..n {
                            let k = (row + u) * n + j;
                            let (w, m) = (self.params[p][k], self.mask_value(mask, b, j, n));
                            let d_masked = d * w;
                            add(&mut gradients.params[p][k], d * (m * source[j]));
                            if let Some(mask) = mask {
                                add(&mut gradients.masks[mask][b * n + j], d_masked * source[j]);
                            }
                            add(self.d_at(place, j, x, &mut d_before, &mut d_now, gradients), d_masked * m);
                        }
                    }
                }
            }
        }
        d_before
    }

    /// The gradient by element `j` of what stands at a place; `x` is the input's offset.
    fn d_at<'v>(
        &self,
        place: Place,
        j: usize,
        x: usize,
        d_before: &'v mut Values<F>,
        d_now: &'v mut Values<F>,
        gradients: &'v mut Gradients<F>,
    ) -> &'v mut F {
        match place {
            Place::Input => &mut gradients.input[x + j],
            Place::Before(v) => &mut d_before[v][j],
            Place::Now(v) => &mut d_now[v][j],
        }
    }
}

fn zeros<F: Element>(len: usize) -> Vec<F> {
    vec![F::constant(0.0); len]
}

/// Row `i` of a matrix with `width` columns.
fn row<F>(matrix: &[F], i: usize, width: usize) -> &[F] {
    &matrix[i * width..][..width]
}

fn row_mut<F>(matrix: &mut [F], i: usize, width: usize) -> &mut [F] {
    &mut matrix[i * width..][..width]
}

fn add<F: Element>(sum: &mut F, term: F) {
    *sum = *sum + term;
}

//! Linear recurrences by a parallel scan over time.
//!
//! Where gates see the input alone and the step is linear in the values carried, h_t = A_t h_{t-1} + b_t with A_t and b_t known beforehand, two
//! steps are one: (A, b) after (A', b') is (A A', A b' + b). Pairs of steps are combined, pairs of pairs, and so on: log2 T levels, each of them
//! parallel over time, instead of T steps (Blelloch, "Prefix sums and their applications", 1990; Martin & Cundy 2018 for recurrent networks). The
//! backward pass is the same scan from the end with A transposed. Sums are taken in another order than step by step: equal within rounding.
//!
//! A and b come from the cell's equations, evaluated without state and with one unit of each carried value; nothing is written by hand.

mod levels;

use super::memory::{Shared as Address, transpose};
use super::step::Affine;
use super::team::share;
use super::{Engine, Gradients, Input, Output, Sequence};
use crate::Layer;
use crate::algebra::expression::{Node, StageGraph};
use crate::algebra::{Element, lanes::shape};
use crate::cell::{Column, Normaliser};
use crate::layer::{Place, Role};
use levels::{each, scan};

/// Why a cell cannot be scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotLinear {
    /// A matrix multiplies a value of the step before.
    #[error(
        "cell `{cell}` cannot be scanned: gate `{gate}` multiplies a value of the step before; run it step by step"
    )]
    RecurrentProduct {
        /// The cell.
        cell: &'static str,
        /// The gate.
        gate: &'static str,
    },
    /// The equations are not linear in what is carried, or mix it over several stages.
    #[error(
        "cell `{cell}` cannot be scanned: its step is not linear in the values that it carries; run it step by step"
    )]
    Equations {
        /// The cell.
        cell: &'static str,
    },
    /// The cell has normalisers or feeds.
    #[error("cell `{cell}` cannot be scanned: a scan has neither normalisers nor feeds; run it step by step")]
    Unsupported {
        /// The cell.
        cell: &'static str,
    },
}

/// A layer that is run by a parallel scan: the same outputs and gradients as [`Engine::forward`] and [`Engine::backward`] within rounding.
///
/// ```
/// use elman_core::engine::{Engine, Input, Scan, Sequence};
/// use elman_core::{Layer, Sizes, cells};
///
/// let layer = |name| Layer::new((cells::find(name).unwrap().make)(), Sizes::new(2, 3)).unwrap();
/// let scan = Scan::new(&layer("min-gru")).unwrap();
/// let (weight, bias) = ([0.5; 12], [0.0; 6]);
/// let x: Vec<f64> = (0..2000).map(|i| f64::from(i % 7) - 3.0).collect();
/// let out = scan.forward(&Engine::new(1), &[&weight, &bias], &Sequence::new(1000, 1, Input::Dense(&x)));
/// assert_eq!((out.y.len(), scan.levels(1000)), (3000, 9));
///
/// let error = Scan::new(&layer("gru")).unwrap_err();
/// assert!(error.to_string().starts_with("cell `gru` cannot be scanned: gate `r` multiplies a value of the step before"));
/// ```
#[derive(Clone, Debug)]
pub struct Scan {
    layer: Layer,
    /// The stage that carries.
    stage: usize,
}

/// What a forward pass leaves: rows in the order of time, each padded to whole registers.
struct Trace<F> {
    /// (T·B, I).
    x: Vec<F>,
    /// For each stage and gate, its affine map.
    gates: Vec<Vec<Vec<F>>>,
    /// Each of the layer's values.
    values: Vec<Vec<F>>,
    /// For each carried value of the scanned stage, the one of the step before.
    before: Vec<Vec<F>>,
    /// A, row by row, then b: C² + C lists of (T, B, width); b is the state after the scan.
    maps: Vec<Vec<F>>,
}

impl<F> Trace<F> {
    fn bytes(&self) -> usize {
        let Trace { x, gates, values, before, maps } = self;
        let lists = gates.iter().flatten().chain(values).chain(before).chain(maps).chain([x]);
        lists.map(|list| size_of_val(list.as_slice())).sum()
    }
}

impl Scan {
    /// A scan of this layer.
    ///
    /// # Errors
    /// Where the cell is not linear in what it carries.
    pub fn new(layer: &Layer) -> Result<Scan, NotLinear> {
        let spec = layer.cell().spec();
        let cell = spec.name;
        let mut scanned = None;
        for (s, (stage, names)) in layer.stages().iter().zip(spec.stages).enumerate() {
            if stage.feeds > 0 || stage.normalisers.iter().any(|n| *n != Normaliser::None) {
                return Err(NotLinear::Unsupported { cell });
            }
            for (gate, sources) in names.gates.iter().zip(&stage.gates) {
                if sources.iter().any(|place| matches!(place, Place::Before(_))) {
                    return Err(NotLinear::RecurrentProduct { cell, gate: gate.name });
                }
            }
            let before: Vec<usize> =
                stage.reads.iter().filter_map(|p| if let Place::Before(v) = p { Some(*v) } else { None }).collect();
            if before.is_empty() {
                continue;
            }
            let graph = StageGraph::of(&**layer.cell(), s);
            let own = before.len() == stage.writes.len() && before.iter().all(|v| stage.writes.contains(v));
            if scanned.replace(s).is_some() || !own || !is_linear(&graph, stage.gates.len(), &stage.reads) {
                return Err(NotLinear::Equations { cell });
            }
        }
        let stage = scanned.ok_or(NotLinear::Equations { cell })?;
        Ok(Scan { layer: layer.clone(), stage })
    }

    /// The number of levels for T steps: ⌊log2 T⌋. On each there are two passes, parallel over time: pairs of steps are combined on the way up,
    /// their states handed out on the way down. A backward pass has as many.
    pub fn levels(&self, steps: usize) -> u32 {
        steps.max(1).ilog2()
    }

    /// Outputs and final states.
    ///
    /// # Panics
    /// Where a slice does not have the length that the layer asks, or there are masks: a scan has none.
    #[track_caller]
    pub fn forward<F: Element>(&self, engine: &Engine, params: &[&[F]], seq: &Sequence<F>) -> Output<F> {
        let trace = self.trace(engine, params, seq);
        let width = self.layer.output_width();
        let mut y = vec![F::constant(0.0); seq.steps * seq.batch * width];
        for (n, place) in places(seq).into_iter().enumerate() {
            if let Some(place) = place {
                let from = &trace.values[self.layer.output()][n * self.padded::<F>(engine, width)..][..width];
                y[place * width..][..width].copy_from_slice(from);
            }
        }
        let last = |c: usize| {
            let (v, width) = (self.layer.carried()[c], self.layer.state_widths()[c]);
            let padded = self.padded::<F>(engine, width);
            let row = |b: usize| match seq.length(b) {
                0 => seq.state.as_ref().map_or(vec![F::constant(0.0); width], |s| s[c][b * width..][..width].to_vec()),
                length => trace.values[v][((length - 1) * seq.batch + b) * padded..][..width].to_vec(),
            };
            (0..seq.batch).flat_map(row).collect()
        };
        Output { y, state: (0..self.layer.carried().len()).map(last).collect() }
    }

    /// The gradients by everything that went in, from those by the outputs and the final states.
    ///
    /// # Panics
    /// As [`forward`](Scan::forward).
    #[track_caller]
    pub fn backward<F: Element>(
        &self,
        engine: &Engine,
        params: &[&[F]],
        seq: &Sequence<F>,
        d_y: &[F],
        d_state: Option<&[&[F]]>,
    ) -> Gradients<F> {
        self.backward_with_bytes(engine, params, seq, d_y, d_state).0
    }

    /// The same, and the bytes of what its forward pass left for it: inputs, affine maps of the gates, values, carried values before each step,
    /// and A and b.
    ///
    /// # Panics
    /// As [`forward`](Scan::forward).
    #[track_caller]
    pub fn backward_with_bytes<F: Element>(
        &self,
        engine: &Engine,
        params: &[&[F]],
        seq: &Sequence<F>,
        d_y: &[F],
        d_state: Option<&[&[F]]>,
    ) -> (Gradients<F>, usize) {
        let trace = self.trace(engine, params, seq);
        let bytes = trace.bytes();
        let (layer, batch, zero) = (&self.layer, seq.batch, F::constant(0.0));
        let rows = seq.steps * batch;
        let places = places(seq);
        let widths: Vec<usize> = layer.values().iter().map(|v| layer.sizes().of(v.width)).collect();
        let padded: Vec<usize> = widths.iter().map(|&w| self.padded::<F>(engine, w)).collect();
        let mut d_values: Vec<Vec<F>> = padded.iter().map(|p| vec![zero; rows * p]).collect();
        let mut d_x = vec![zero; trace.x.len()];
        let mut d_params: Vec<Vec<F>> = params.iter().map(|p| vec![zero; p.len()]).collect();
        let mut d_initial: Vec<Vec<F>> = layer.state_widths().iter().map(|w| vec![zero; batch * w]).collect();

        let width = layer.output_width();
        assert!(d_y.len() == rows * width, "d_y (T, B, P) has {} elements, expected {}", d_y.len(), rows * width);
        for (n, place) in places.iter().enumerate() {
            if let Some(place) = place {
                let to = &mut d_values[layer.output()][n * padded[layer.output()]..][..width];
                to.iter_mut().zip(&d_y[place * width..]).for_each(|(t, &d)| *t = *t + d);
            }
        }
        let scanned = &layer.stages()[self.stage].writes;
        for (c, d) in d_state.into_iter().flatten().enumerate() {
            let v = layer.carried()[c];
            for b in 0..batch {
                // A state passes the steps beyond a row's length unchanged; one that is no state of the scan has its last valid step.
                let step = if scanned.contains(&v) { Some(seq.steps - 1) } else { seq.length(b).checked_sub(1) };
                let to = match step {
                    Some(t) => &mut d_values[v][(t * batch + b) * padded[v]..][..widths[v]],
                    None => &mut d_initial[c][b * widths[v]..][..widths[v]],
                };
                to.iter_mut().zip(&d[b * widths[v]..]).for_each(|(t, &d)| *t = *t + d);
            }
        }

        for (s, stage) in layer.stages().iter().enumerate().rev() {
            if s == self.stage {
                self.carry_back(engine, seq, &trace, &mut d_values, &mut d_initial);
                for (n, _) in places.iter().enumerate().filter(|(_, place)| place.is_none()) {
                    stage.writes.iter().for_each(|&v| d_values[v][n * padded[v]..][..padded[v]].fill(zero));
                }
            }
            let p = self.padded::<F>(engine, stage.width);
            let units = self.units(s, params, p);
            let mut d_gates = vec![vec![zero; rows * p]; stage.gates.len()];
            let mut d_reads = vec![vec![zero; rows * p]; stage.reads.len()];
            let mut d_units = vec![vec![zero; p]; stage.units];
            let reads: Vec<&[F]> = stage.reads.iter().map(|&place| self.read(&trace, place)).collect();
            let args = lists(&trace.gates[s], &reads, &units, p);
            let d_outs: Vec<(Address<F>, usize)> =
                stage.writes.iter().map(|&v| (Address(d_values[v].as_mut_ptr()), p)).collect();
            let gates = d_gates.iter_mut().chain(&mut d_reads).map(|d| (Address(d.as_mut_ptr()), p));
            let d_args: Vec<(Address<F>, usize)> =
                gates.chain(d_units.iter_mut().map(|d| (Address(d.as_mut_ptr()), 0))).collect();
            columns(engine, p, &[&args, &d_outs, &d_args], |isa, lists| {
                let [args, d_outs, d_args] = lists else { unreachable!("three lists went in") };
                // SAFETY: the engine's set; whole registers of `rows` rows, and each thread has columns of its own.
                unsafe { F::pointwise(&**layer.cell()).backward(s, isa, args, d_outs, d_args, rows) }
            });
            for (&place, d) in stage.reads.iter().zip(&d_reads) {
                if let Place::Now(v) = place {
                    d_values[v].iter_mut().zip(d).for_each(|(t, &d)| *t = *t + d);
                }
            }
            for (i, parameter) in layer.parameters().iter().enumerate() {
                for block in parameter.blocks.iter().filter(|b| b.stage == s) {
                    let to = &mut d_params[i][block.row * parameter.cols..][..stage.width * parameter.cols];
                    if parameter.role == Role::Unit {
                        to.iter_mut().zip(&d_units[block.gate]).for_each(|(t, &d)| *t = *t + d);
                        continue;
                    }
                    let d = packed(&d_gates[block.gate], p, stage.width);
                    if parameter.role == Role::Bias {
                        for row in d.chunks(stage.width) {
                            to.iter_mut().zip(row).for_each(|(t, &d)| *t = *t + d);
                        }
                        continue;
                    }
                    let place = stage.gates[block.gate][block.source];
                    let cols = parameter.cols;
                    let weight = &params[i][block.row * cols..][..stage.width * cols];
                    let source = self.source(engine, &trace, place);
                    let (mut turned, mut d_turned) = (vec![zero; source.len()], vec![zero; d.len()]);
                    transpose(&source, (rows, cols), &mut turned, rows);
                    transpose(&d, (rows, stage.width), &mut d_turned, rows);
                    product(engine, &d_turned, &turned, rows, cols, to);
                    let mut across = vec![zero; weight.len()];
                    transpose(weight, (stage.width, cols), &mut across, stage.width);
                    let mut d_source = vec![zero; rows * cols];
                    product(engine, &d, &across, stage.width, cols, &mut d_source);
                    match place {
                        Place::Input => d_x.iter_mut().zip(&d_source).for_each(|(t, &d)| *t = *t + d),
                        Place::Before(v) | Place::Now(v) => {
                            for (to, from) in d_values[v].chunks_mut(padded[v]).zip(d_source.chunks(cols)) {
                                to.iter_mut().zip(from).for_each(|(t, &d)| *t = *t + d);
                            }
                        }
                    }
                }
            }
        }

        let width = layer.sizes().input;
        let entries = match seq.input {
            Input::Dense(_) => rows,
            Input::Tokens { .. } => seq.vocabulary(layer),
        };
        let mut input = vec![zero; entries * width];
        for (n, place) in places.iter().enumerate() {
            let Some(place) = *place else { continue };
            let row = match seq.input {
                Input::Dense(_) => place,
                Input::Tokens { ids, .. } => ids[place] as usize,
            };
            input[row * width..][..width].iter_mut().zip(&d_x[n * width..]).for_each(|(t, &d)| *t = *t + d);
        }
        let found = Gradients { params: d_params, input, state: d_initial, masks: Vec::new(), feeds: Vec::new() };
        (found, bytes)
    }

    /// Everything that a pass computes.
    #[track_caller]
    fn trace<F: Element>(&self, engine: &Engine, params: &[&[F]], seq: &Sequence<F>) -> Trace<F> {
        let (layer, zero) = (&self.layer, F::constant(0.0));
        seq.check(layer, params);
        assert!(seq.masks.is_empty(), "a scan has no masks; run the layer step by step");
        let rows = seq.steps * seq.batch;
        let width = layer.sizes().input;
        let mut x = vec![zero; rows * width];
        for (row, place) in x.chunks_mut(width).zip(places(seq)) {
            let Some(place) = place else { continue };
            row.copy_from_slice(match seq.input {
                Input::Dense(x) => &x[place * width..][..width],
                Input::Tokens { ids, table } => &table[ids[place] as usize * width..][..width],
            });
        }
        let values = layer.values().iter().map(|_| Vec::new()).collect();
        let mut trace = Trace { x, gates: Vec::new(), values, before: Vec::new(), maps: Vec::new() };
        for (s, stage) in layer.stages().iter().enumerate() {
            let p = self.padded::<F>(engine, stage.width);
            let mut gates = vec![vec![zero; rows * p]; stage.gates.len()];
            for (i, parameter) in layer.parameters().iter().enumerate() {
                for block in parameter.blocks.iter().filter(|b| b.stage == s && parameter.role != Role::Unit) {
                    let part = &params[i][block.row * parameter.cols..][..stage.width * parameter.cols];
                    let mut sum = vec![zero; rows * stage.width];
                    if parameter.role == Role::Bias {
                        sum.chunks_mut(stage.width).for_each(|row| row.copy_from_slice(part));
                    } else {
                        let source = self.source(engine, &trace, stage.gates[block.gate][block.source]);
                        product(engine, &source, part, parameter.cols, stage.width, &mut sum);
                    }
                    for (to, from) in gates[block.gate].chunks_mut(p).zip(sum.chunks(stage.width)) {
                        to.iter_mut().zip(from).for_each(|(t, &f)| *t = *t + f);
                    }
                }
            }
            trace.gates.push(gates);
            let units = self.units(s, params, p);
            if s == self.stage {
                self.carry(engine, seq, &mut trace, &units, p);
                continue;
            }
            let reads: Vec<&[F]> = stage.reads.iter().map(|&place| self.read(&trace, place)).collect();
            let outs = self.evaluate(engine, s, lists(&trace.gates[s], &reads, &units, p), rows, p);
            for (&v, out) in stage.writes.iter().zip(outs) {
                trace.values[v] = out;
            }
        }
        trace
    }

    /// The scanned stage: A and b from the equations, then the states.
    fn carry<F: Element>(&self, engine: &Engine, seq: &Sequence<F>, trace: &mut Trace<F>, units: &[Vec<F>], p: usize) {
        let (stage, zero) = (&self.layer.stages()[self.stage], F::constant(0.0));
        let (c, rows, batch) = (stage.writes.len(), seq.steps * seq.batch, seq.batch);
        let (none, ones) = (vec![zero; rows * p], vec![F::constant(1.0); rows * p]);
        let evaluate = |unit: Option<usize>, trace: &Trace<F>| {
            let read = |&place: &Place| match place {
                Place::Before(v) => (if unit == Some(v) { &ones } else { &none }).as_slice(),
                other => self.read(trace, other),
            };
            let reads: Vec<&[F]> = stage.reads.iter().map(read).collect();
            let args = lists(&trace.gates[self.stage], &reads, units, p);
            self.evaluate(engine, self.stage, args, rows, p)
        };
        let without = evaluate(None, trace);
        let mut maps = vec![Vec::new(); c * c];
        for (j, &v) in stage.writes.iter().enumerate() {
            for (o, with) in evaluate(Some(v), trace).into_iter().enumerate() {
                maps[o * c + j] = with.iter().zip(&without[o]).map(|(&a, &b)| a - b).collect();
            }
        }
        maps.extend(without);
        for (n, _) in places(seq).iter().enumerate().filter(|(_, place)| place.is_none()) {
            // Beyond a row's length the state stays.
            for (m, map) in maps.iter_mut().enumerate() {
                let value = if m < c * c && m % (c + 1) == 0 { 1.0 } else { 0.0 };
                map[n * p..][..p].fill(F::constant(value));
            }
        }
        let initial: Vec<Vec<F>> = stage.writes.iter().map(|&v| self.initial(seq, v, p)).collect();
        // b of the first step takes the initial state in.
        for o in 0..c {
            for e in 0..batch * p {
                let sum = (0..c).fold(zero, |sum, j| sum + maps[o * c + j][e] * initial[j][e]);
                maps[c * c + o][e] = maps[c * c + o][e] + sum;
            }
        }
        scan(engine, &mut maps, c, seq.steps, batch * p);
        for (o, &v) in stage.writes.iter().enumerate() {
            let state = &maps[c * c + o];
            trace.before.push(initial[o].iter().chain(&state[..(rows - batch) * p]).copied().collect());
            trace.values[v] = state.clone();
        }
        trace.maps = maps;
    }

    /// From the gradients of the states at each step alone to the whole ones, and those of the initial states.
    fn carry_back<F: Element>(
        &self,
        engine: &Engine,
        seq: &Sequence<F>,
        trace: &Trace<F>,
        d_values: &mut [Vec<F>],
        d_initial: &mut [Vec<F>],
    ) {
        let (stage, zero) = (&self.layer.stages()[self.stage], F::constant(0.0));
        let (c, p) = (stage.writes.len(), self.padded::<F>(engine, stage.width));
        let e = seq.batch * p;
        // Time runs from the end: what comes from the step after is multiplied by its A, transposed.
        let turned = |values: &[F]| values.chunks(e).rev().flatten().copied().collect::<Vec<F>>();
        let mut maps = Vec::new();
        for (o, j) in (0..c).flat_map(|o| (0..c).map(move |j| (o, j))) {
            let mut a = turned(&trace.maps[j * c + o]);
            a.rotate_right(e);
            a[..e].fill(zero);
            maps.push(a);
        }
        maps.extend(stage.writes.iter().map(|&v| turned(&d_values[v])));
        scan(engine, &mut maps, c, seq.steps, e);
        for (o, &v) in stage.writes.iter().enumerate() {
            d_values[v] = turned(&maps[c * c + o]);
        }
        for (j, &v) in stage.writes.iter().enumerate() {
            let Some(k) = self.layer.carried().iter().position(|&w| w == v) else { continue };
            for b in 0..seq.batch {
                for u in 0..stage.width {
                    let from = |o: usize| trace.maps[o * c + j][b * p + u] * d_values[stage.writes[o]][b * p + u];
                    let sum = (0..c).fold(zero, |sum, o| sum + from(o));
                    d_initial[k][b * stage.width + u] = d_initial[k][b * stage.width + u] + sum;
                }
            }
        }
    }

    /// A stage's equations in all rows.
    fn evaluate<F: Element>(
        &self,
        engine: &Engine,
        s: usize,
        args: Vec<(Address<F>, usize)>,
        rows: usize,
        p: usize,
    ) -> Vec<Vec<F>> {
        let mut outs = vec![vec![F::constant(0.0); rows * p]; self.layer.stages()[s].writes.len()];
        let to: Vec<(Address<F>, usize)> = outs.iter_mut().map(|out| (Address(out.as_mut_ptr()), p)).collect();
        columns(engine, p, &[&args, &to], |isa, lists| {
            let [args, outs] = lists else { unreachable!("two lists went in") };
            // SAFETY: the engine's set; whole registers of `rows` rows, and each thread has columns of its own.
            unsafe { F::pointwise(&**self.layer.cell()).forward(s, isa, args, outs, rows) }
        });
        outs
    }

    /// A width in whole registers.
    fn padded<F: Element>(&self, engine: &Engine, width: usize) -> usize {
        width.next_multiple_of(shape::<F>(engine.isa()).0)
    }

    /// A value that is read.
    fn read<'a, F: Element>(&self, trace: &'a Trace<F>, place: Place) -> &'a [F] {
        match place {
            Place::Before(v) => {
                let stage = &self.layer.stages()[self.stage];
                &trace.before[stage.writes.iter().position(|&w| w == v).expect("checked by `new`")]
            }
            Place::Now(v) => &trace.values[v],
            Place::Input => unreachable!("the input is read by matrices alone"),
        }
    }

    /// A source of matrices, without padding.
    fn source<F: Element>(&self, engine: &Engine, trace: &Trace<F>, place: Place) -> Vec<F> {
        match place {
            Place::Input => trace.x.clone(),
            Place::Before(v) | Place::Now(v) => {
                let width = self.layer.width_of(place);
                packed(&trace.values[v], self.padded::<F>(engine, width), width)
            }
        }
    }

    /// The per-unit parameters of a stage.
    fn units<F: Element>(&self, s: usize, params: &[&[F]], p: usize) -> Vec<Vec<F>> {
        let stage = &self.layer.stages()[s];
        let mut units = vec![vec![F::constant(0.0); p]; stage.units];
        for (parameter, values) in self.layer.parameters().iter().zip(params) {
            for block in parameter.blocks.iter().filter(|b| b.stage == s && parameter.role == Role::Unit) {
                units[block.gate][..stage.width].copy_from_slice(&values[block.row..][..stage.width]);
            }
        }
        units
    }

    /// The state before the first step, (B, padded).
    fn initial<F: Element>(&self, seq: &Sequence<F>, v: usize, p: usize) -> Vec<F> {
        let mut rows = vec![F::constant(0.0); seq.batch * p];
        let c = self.layer.carried().iter().position(|&w| w == v);
        if let Some((state, width)) =
            seq.state.as_ref().zip(c).map(|(state, c)| (state[c], self.layer.state_widths()[c]))
        {
            for (to, from) in rows.chunks_mut(p).zip(state.chunks(width)) {
                to[..width].copy_from_slice(from);
            }
        }
        rows
    }
}

/// Whether no gradient by a value of the step before depends on such a value.
fn is_linear(graph: &StageGraph, gates: usize, reads: &[Place]) -> bool {
    let before = |argument: usize| {
        argument.checked_sub(gates).and_then(|r| reads.get(r)).is_some_and(|p| matches!(p, Place::Before(_)))
    };
    let gradient = graph.gradient();
    let mut left: Vec<usize> =
        (0..graph.arguments.len()).filter(|&a| before(a)).filter_map(|a| gradient.total[a]).collect();
    let mut seen = vec![false; gradient.nodes.len()];
    while let Some(id) = left.pop() {
        if std::mem::replace(&mut seen[id], true) {
            continue;
        }
        match gradient.nodes[id] {
            Node::Argument(a) if before(a) => return false,
            node => left.extend(node.operands()),
        }
    }
    true
}

/// For each row in the order of time, t·B + b of the step that it stands for; none beyond a row's length.
fn places<F: Element>(seq: &Sequence<F>) -> Vec<Option<usize>> {
    let place = |t: usize, b: usize| {
        let length = seq.length(b);
        let step = if seq.reverse { length.checked_sub(t + 1) } else { Some(t).filter(|&t| t < length) };
        step.map(|step| step * seq.batch + b)
    };
    (0..seq.steps).flat_map(|t| (0..seq.batch).map(move |b| place(t, b))).collect()
}

/// Rows without their padding.
fn packed<F: Element>(rows: &[F], padded: usize, width: usize) -> Vec<F> {
    rows.chunks(padded).flat_map(|row| &row[..width]).copied().collect()
}

/// Arguments of a stage, each with the distance between its rows.
fn lists<F: Element>(gates: &[Vec<F>], reads: &[&[F]], units: &[Vec<F>], p: usize) -> Vec<(Address<F>, usize)> {
    let rows = gates.iter().map(Vec::as_slice).chain(reads.iter().copied());
    let rows = rows.map(|list| (Address(list.as_ptr().cast_mut()), p));
    rows.chain(units.iter().map(|list| (Address(list.as_ptr().cast_mut()), 0))).collect()
}

/// Calls `work` for every register's width of columns, divided among the threads.
fn columns<F: Element, const N: usize>(
    engine: &Engine,
    padded: usize,
    lists: &[&Vec<(Address<F>, usize)>; N],
    work: impl Fn(crate::algebra::lanes::Isa, &[Vec<Column<F>>]) + Sync,
) {
    let lanes = shape::<F>(engine.isa()).0;
    engine.team.run(&|thread| {
        for block in share(padded / lanes, engine.threads(), thread) {
            let column = |(list, stride): &(Address<F>, usize)| Column {
                ptr: list.get().wrapping_add(block * lanes),
                stride: *stride,
            };
            let all: Vec<Vec<Column<F>>> = lists.iter().map(|list| list.iter().map(column).collect()).collect();
            work(engine.isa(), &all);
        }
    });
}

/// `out += x wᵀ`: `x` (rows, inner), `w` (outputs, inner), rows divided among the threads.
fn product<F: Element>(engine: &Engine, x: &[F], w: &[F], inner: usize, outputs: usize, out: &mut [F]) {
    let rows = (x.len() / inner).div_ceil(engine.threads()).max(1);
    let zeros = vec![F::constant(0.0); outputs];
    each(engine, x.chunks(rows * inner).zip(out.chunks_mut(rows * outputs)).collect(), |(x, out)| {
        let mut sum = vec![F::constant(0.0); out.len()];
        Affine::new(engine.isa(), w, &zeros, inner).apply(x, &mut sum);
        out.iter_mut().zip(sum).for_each(|(t, s)| *t = *t + s);
    });
}

//! Parameters in the layout of the products, and gradients back out of it.
//!
//! A stage's pre-activations are stored in panels ordered (group of units, gate): panel `group * G + gate` holds one
//! gate of `width` units. A source's weights are packed for those gates only that have it.

use super::compressed::WeightFormat;
use super::memory::{self, Buffer, Matrix, Panels};
use super::mixed::pairs;
use crate::Layer;
use crate::algebra::Element;
use crate::cell::Normaliser;
use crate::layer::{Parameter, Place, ResolvedStage, Role};
use core::ops::Range;

/// Where the rows of one gate's weights, bias or units stand in the caller's parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub parameter: usize,
    pub row: usize,
}

/// A source of a stage.
#[derive(Clone, Debug)]
pub(super) struct SourceShape {
    pub place: Place,
    /// Columns: width of the source.
    pub width: usize,
    /// The gates that have it, and where their weights stand.
    pub gates: Vec<(usize, Rows)>,
    /// Ranges of `gates` that are neighbours among the stage's gates.
    pub runs: Vec<Range<usize>>,
}

/// A normalised gate.
#[derive(Clone, Debug)]
pub(super) struct NormShape {
    pub gate: usize,
    /// The value that is normalised; none: the gate's sum of products.
    pub value: Option<Place>,
    pub gain: Rows,
    /// Added after the normaliser.
    pub biases: Vec<Rows>,
}

/// The shape of a stage in panels.
#[derive(Clone, Debug)]
pub(super) struct StageShape {
    pub width: usize,
    /// Number of gates.
    pub gates: usize,
    /// Groups of units: panels of one gate.
    pub groups: usize,
    pub sources: Vec<SourceShape>,
    /// Neighbouring gates with the same sources: their products have the same left side. Gates that are a value are left
    /// out.
    pub runs: Vec<Range<usize>>,
    /// For each gate, the biases that its sum of products starts from.
    pub biases: Vec<Vec<Rows>>,
    pub norms: Vec<NormShape>,
    pub units: Vec<Rows>,
}

/// The stretches of `items` in which each fits the one before.
fn runs<T>(items: &[T], fits: impl Fn(&T, &T) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for i in 0..items.len() {
        match runs.last_mut() {
            Some(run) if fits(&items[i - 1], &items[i]) => run.end = i + 1,
            _ => runs.push(i..i + 1),
        }
    }
    runs
}

impl StageShape {
    /// The stages of a layer.
    pub fn of(layer: &Layer, panels: Panels) -> Vec<StageShape> {
        let find = |role: Role, stage: usize, gate: usize, source: usize| -> Vec<Rows> {
            let mut found = Vec::new();
            for (parameter, p) in layer.parameters().iter().enumerate() {
                for b in p.blocks.iter().filter(|_| p.role == role) {
                    if b.stage == stage && b.gate == gate && b.source == source {
                        found.push(Rows { parameter, row: b.row });
                    }
                }
            }
            found
        };
        let stage_shape = |(s, stage): (usize, &ResolvedStage)| {
            let sources = stage.sources.iter().map(|&place| {
                let gates = stage.gates.iter().enumerate().filter_map(|(g, places)| {
                    let source = places.iter().position(|&p| p == place)?;
                    Some((g, find(Role::Weight, s, g, source)[0]))
                });
                let gates: Vec<(usize, Rows)> = gates.collect();
                let runs = runs(&gates, |a, b| a.0 + 1 == b.0);
                SourceShape { place, width: layer.width_of(place), gates, runs }
            });
            let all: Vec<usize> = (0..stage.gates.len()).collect();
            let value = |g: usize| matches!(stage.normalisers[g], Normaliser::Value(_));
            let mut gate_runs = runs(&all, |&a, &b| stage.gates[a] == stage.gates[b] && value(a) == value(b));
            gate_runs.retain(|run| !value(run.start));
            let bias = |g: usize| find(Role::Bias, s, g, 0);
            let norms = all.iter().filter_map(|&gate| {
                let value = match stage.normalisers[gate] {
                    Normaliser::None => return None,
                    Normaliser::Sum => None,
                    Normaliser::Value(place) => Some(place),
                };
                Some(NormShape { gate, value, gain: find(Role::Gain, s, gate, 0)[0], biases: bias(gate) })
            });
            StageShape {
                width: stage.width,
                gates: stage.gates.len(),
                groups: panels.count(stage.width),
                sources: sources.collect(),
                runs: gate_runs,
                biases: all
                    .iter()
                    .map(|&g| if stage.normalisers[g] == Normaliser::None { bias(g) } else { Vec::new() })
                    .collect(),
                norms: norms.collect(),
                units: (0..stage.units).map(|u| find(Role::Unit, s, u, 0)[0]).collect(),
            }
        };
        layer.stages().iter().enumerate().map(stage_shape).collect()
    }

    /// Panels of pre-activations.
    pub fn panels(&self) -> usize {
        self.groups * self.gates
    }
}

/// One source's weights, packed.
pub(super) struct PackedSource<F> {
    /// For the forward product: [group, gate][source column][unit]; empty where they are compressed.
    pub forward: Buffer<F>,
    /// The same in mixed precision or compressed: [group, gate][pair or four of source columns][unit].
    pub forward_words: Buffer<u32>,
    /// What bytes are multiplied by, and the sums of a unit's bytes: [group, gate][factor, sum][unit].
    pub scales: Buffer<F>,
    /// For the backward product: [source panel][group, gate][unit][source column].
    pub backward: Buffer<F>,
    /// The same in mixed precision: [source panel][group, gate][pair of units][source column].
    pub backward_pairs: Buffer<u32>,
}

/// A stage's parameters, packed.
pub(super) struct PackedStage<F> {
    pub format: WeightFormat,
    /// Whether weights are packed as pairs, for products in mixed precision.
    pub mixed: bool,
    pub sources: Vec<PackedSource<F>>,
    /// [group, gate][unit].
    pub bias: Buffer<F>,
    /// Gains of normalised gates: [norms][padded width].
    pub gains: Buffer<F>,
    /// Biases of normalised gates: [norms][padded width].
    pub shifts: Buffer<F>,
    /// [units][padded width].
    pub units: Buffer<F>,
}

impl<F: Element> PackedStage<F> {
    pub fn new(shape: &StageShape, mixed: bool) -> Self {
        let source = |_| PackedSource {
            forward: Buffer::default(),
            forward_words: Buffer::default(),
            scales: Buffer::default(),
            backward: Buffer::default(),
            backward_pairs: Buffer::default(),
        };
        PackedStage {
            format: WeightFormat::Full,
            mixed,
            sources: shape.sources.iter().map(source).collect(),
            bias: Buffer::default(),
            gains: Buffer::default(),
            shifts: Buffer::default(),
            units: Buffer::default(),
        }
    }

    /// Makes room for everything that `pack` writes.
    pub fn reserve(&mut self, shape: &StageShape, panels: Panels, backward: bool) {
        for (packed, source) in self.sources.iter_mut().zip(&shape.sources) {
            let blocks = shape.groups * source.gates.len();
            let columns = panels.count(source.width) * blocks * panels.width;
            let pair_rows = pairs::pair_rows(source.width);
            match (self.mixed, backward) {
                (false, false) => _ = packed.forward.room(blocks * source.width * panels.width),
                (false, true) => _ = packed.backward.room(columns * panels.width),
                (true, false) => _ = packed.forward_words.room(blocks * pair_rows * panels.width),
                (true, true) => _ = packed.backward_pairs.room(columns * (panels.width / 2)),
            }
        }
        self.bias.room(shape.panels() * panels.width);
        self.gains.room(shape.norms.len() * panels.padded(shape.width));
        self.shifts.room(shape.norms.len() * panels.padded(shape.width));
        self.units.room(shape.units.len() * panels.padded(shape.width));
    }

    /// Numbers, or words, from the forward weights of one gate that has source `s` to the next gate's.
    pub fn distance(&self, shape: &StageShape, panels: Panels, s: usize) -> usize {
        let width = shape.sources[s].width;
        panels.width
            * match (self.mixed, self.format) {
                (true, _) => pairs::pair_rows(width),
                (false, format) => width.div_ceil(format.rows()),
            }
    }

    /// Address of a source's row (the first of a word, where they stand together) and a unit of the forward weights of the `k`-th gate
    /// that has source `s`, in `group`, in the form in which they are stored.
    pub fn stored(
        &self,
        shape: &StageShape,
        panels: Panels,
        s: usize,
        group: usize,
        k: usize,
        (row, unit): (usize, usize),
    ) -> *const F {
        let block = (group * shape.sources[s].gates.len() + k) * self.distance(shape, panels, s);
        let rows = if self.mixed { 2 } else { self.format.rows() };
        let at = block + row / rows * panels.width + unit;
        match rows {
            1 => self.sources[s].forward.ptr().wrapping_add(at),
            _ => self.sources[s].forward_words.ptr().wrapping_add(at).cast(),
        }
    }

    /// Address of the factors of weights stored as bytes, which their sums follow.
    pub fn scales(&self, shape: &StageShape, panels: Panels, s: usize, group: usize, k: usize) -> *const F {
        let block = group * shape.sources[s].gates.len() + k;
        self.sources[s].scales.ptr().wrapping_add(2 * block * panels.width)
    }

    /// Address of the backward weights for source panel `n`, in the form in which they are stored.
    pub fn backward(&self, shape: &StageShape, panels: Panels, s: usize, n: usize, group: usize, k: usize) -> *mut F {
        let source = &shape.sources[s];
        let block = (n * shape.groups + group) * source.gates.len() + k;
        match self.mixed {
            false => self.sources[s].backward.ptr().wrapping_add(block * panels.width * panels.width),
            true => {
                let size = panels.width / 2 * panels.width;
                self.sources[s].backward_pairs.ptr().wrapping_add(block * size).cast()
            }
        }
    }

    /// Packs the share of `thread`, every `threads`-th group, for the forward products (with biases and units) or for the
    /// backward products. Padding becomes zero.
    ///
    /// # Safety
    /// `reserve` was called for this shape; no other thread packs the same share.
    pub unsafe fn pack(
        &self,
        shape: &StageShape,
        panels: Panels,
        params: &[&[F]],
        backward: bool,
        (thread, threads): (usize, usize),
    ) {
        let w = panels.width;
        let zero = F::constant(0.0);
        for group in (thread..shape.groups).step_by(threads) {
            let first = group * w;
            let units = panels.depth(shape.width, group);
            for (s, source) in shape.sources.iter().enumerate() {
                for (k, (_, rows)) in source.gates.iter().enumerate() {
                    let start = (rows.row + first) * source.width;
                    let weights = &params[rows.parameter][start..start + units * source.width];
                    if !backward {
                        let block = self.stored(shape, panels, s, group, k, (0, 0)).cast_mut();
                        // SAFETY: `reserve` made room for each block; numbers in mixed precision are f32.
                        unsafe {
                            match self.mixed {
                                false => transpose(weights, units, source.width, block, w),
                                true => {
                                    pairs::transposed(weights.as_ptr().cast(), units, source.width, block.cast(), w);
                                }
                            }
                        }
                        continue;
                    }
                    for n in 0..panels.count(source.width) {
                        let columns = panels.depth(source.width, n);
                        // SAFETY: as above.
                        unsafe {
                            let block = self.backward(shape, panels, s, n, group, k);
                            if self.mixed {
                                let from = weights.as_ptr().add(n * w).cast();
                                pairs::straight(from, source.width, (units, columns), block.cast(), w);
                                continue;
                            }
                            for u in 0..units {
                                let row = &weights[u * source.width + n * w..][..columns];
                                let to = block.add(u * w);
                                to.copy_from_nonoverlapping(row.as_ptr(), columns);
                                for c in columns..w {
                                    *to.add(c) = zero;
                                }
                            }
                        }
                    }
                }
            }
            if backward {
                continue;
            }
            // SAFETY (of each use): `reserve` made room for a panel here.
            let sum = |to: *mut F, list: &[Rows]| {
                let to = unsafe { core::slice::from_raw_parts_mut(to, w) };
                to.fill(zero);
                for rows in list {
                    add(&mut to[..units], &params[rows.parameter][rows.row + first..][..units]);
                }
            };
            for (g, biases) in shape.biases.iter().enumerate() {
                sum(self.bias.ptr().wrapping_add((group * shape.gates + g) * w), biases);
            }
            let padded = panels.padded(shape.width);
            for (n, norm) in shape.norms.iter().enumerate() {
                sum(self.gains.ptr().wrapping_add(n * padded + first), &[norm.gain]);
                sum(self.shifts.ptr().wrapping_add(n * padded + first), &norm.biases);
            }
            for (u, &rows) in shape.units.iter().enumerate() {
                sum(self.units.ptr().wrapping_add(u * padded + first), &[rows]);
            }
        }
    }
}

/// Writes `from` (units, depth) as (depth, w), zero beyond `units`.
///
/// # Safety
/// `to` is valid for `depth * w` numbers.
unsafe fn transpose<F: Element>(from: &[F], units: usize, depth: usize, to: *mut F, w: usize) {
    // SAFETY: the caller's promise.
    let to = unsafe { core::slice::from_raw_parts_mut(to, depth * w) };
    memory::transpose(from, (units, depth), to, w);
    if units < w {
        to.chunks_exact_mut(w).for_each(|row| row[units..].fill(F::constant(0.0)));
    }
}

/// The gradients of a stage's parameters, in the layout of the products that make them.
pub(super) struct PackedGradients<F> {
    /// For each source: [group, gate][source panel][unit][source column].
    pub sources: Vec<Buffer<F>>,
    /// [group, gate][unit].
    pub bias: Buffer<F>,
    /// [norms][padded width].
    pub gains: Buffer<F>,
    /// [norms][padded width].
    pub shifts: Buffer<F>,
    /// [units][padded width].
    pub units: Buffer<F>,
}

impl<F: Element> PackedGradients<F> {
    pub fn new(shape: &StageShape) -> Self {
        PackedGradients {
            sources: shape.sources.iter().map(|_| Buffer::default()).collect(),
            bias: Buffer::default(),
            gains: Buffer::default(),
            shifts: Buffer::default(),
            units: Buffer::default(),
        }
    }

    pub fn reserve(&mut self, shape: &StageShape, panels: Panels) {
        for (buffer, source) in self.sources.iter_mut().zip(&shape.sources) {
            buffer.room(shape.groups * source.gates.len() * panels.count(source.width) * panels.width * panels.width);
        }
        self.bias.room(shape.panels() * panels.width);
        self.gains.room(shape.norms.len() * panels.padded(shape.width));
        self.shifts.room(shape.norms.len() * panels.padded(shape.width));
        self.units.room(shape.units.len() * panels.padded(shape.width));
    }

    /// The gradient of the weights of the `k`-th gate that has source `s`, in `group`: (units, source columns).
    pub fn weight(&self, shape: &StageShape, panels: Panels, s: usize, group: usize, k: usize) -> Matrix<F> {
        let source = &shape.sources[s];
        let size = panels.count(source.width) * panels.width * panels.width;
        let ptr = self.sources[s].ptr().wrapping_add((group * source.gates.len() + k) * size);
        Matrix { ptr, rows: panels.width, width: panels.width }
    }

    /// Adds everything into the caller's parameter gradients.
    ///
    /// # Safety
    /// The buffers hold finished gradients of this shape, and no thread writes them.
    pub unsafe fn unpack(&self, shape: &StageShape, panels: Panels, list: &[Parameter], out: &mut [Vec<F>]) {
        let w = panels.width;
        for group in 0..shape.groups {
            let first = group * w;
            let units = panels.depth(shape.width, group);
            for (s, source) in shape.sources.iter().enumerate() {
                for (k, (_, rows)) in source.gates.iter().enumerate() {
                    let from = self.weight(shape, panels, s, group, k);
                    debug_assert_eq!(list[rows.parameter].cols, source.width);
                    for u in 0..units {
                        let to = &mut out[rows.parameter][(rows.row + first + u) * source.width..][..source.width];
                        for n in 0..panels.count(source.width) {
                            let columns = panels.depth(source.width, n);
                            // SAFETY: inside the block that `reserve` made.
                            let from = unsafe { core::slice::from_raw_parts(from.at(n, u), columns) };
                            add(&mut to[n * w..][..columns], from);
                        }
                    }
                }
            }
            let mut give = |from: *const F, list: &[Rows]| {
                // SAFETY: inside the buffer that `reserve` made.
                let from = unsafe { core::slice::from_raw_parts(from, units) };
                for rows in list {
                    add(&mut out[rows.parameter][rows.row + first..][..units], from);
                }
            };
            for (g, biases) in shape.biases.iter().enumerate() {
                give(self.bias.ptr().wrapping_add((group * shape.gates + g) * w), biases);
            }
            let padded = panels.padded(shape.width);
            for (n, norm) in shape.norms.iter().enumerate() {
                give(self.gains.ptr().wrapping_add(n * padded + first), &[norm.gain]);
                give(self.shifts.ptr().wrapping_add(n * padded + first), &norm.biases);
            }
            for (u, &rows) in shape.units.iter().enumerate() {
                give(self.units.ptr().wrapping_add(u * padded + first), &[rows]);
            }
        }
    }
}

/// Adds numbers to as many others.
pub(super) fn add<F: Element>(to: &mut [F], from: &[F]) {
    to.iter_mut().zip(from).for_each(|(t, &f)| *t = *t + f);
}

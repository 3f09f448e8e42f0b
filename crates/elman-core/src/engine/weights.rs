//! Parameters in the layout of the products, and gradients back out of it.
//!
//! A stage's pre-activations are stored in panels ordered (group of units, gate): panel `group * G + gate` holds one
//! gate of `width` units. A source's weights are packed for those gates only that have it.

use super::memory::{Buffer, Matrix, Panels};
use crate::Layer;
use crate::algebra::Element;
use crate::layer::{Parameter, Place, Role};

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
    /// For each gate, the biases that are added.
    pub biases: Vec<Vec<Rows>>,
    pub units: Vec<Rows>,
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
        let stage_shape = |(s, stage): (usize, &crate::layer::ResolvedStage)| {
            let sources = stage.sources.iter().map(|&place| {
                let gates = stage.gates.iter().enumerate().filter_map(|(g, places)| {
                    let source = places.iter().position(|&p| p == place)?;
                    Some((g, find(Role::Weight, s, g, source)[0]))
                });
                SourceShape { place, width: layer.width_of(place), gates: gates.collect() }
            });
            StageShape {
                width: stage.width,
                gates: stage.gates.len(),
                groups: panels.count(stage.width),
                sources: sources.collect(),
                biases: (0..stage.gates.len()).map(|g| find(Role::Bias, s, g, 0)).collect(),
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
    /// For the forward product: [group, gate][source column][unit].
    pub forward: Buffer<F>,
    /// For the backward product: [source panel][group, gate][unit][source column].
    pub backward: Buffer<F>,
}

/// A stage's parameters, packed.
pub(super) struct PackedStage<F> {
    pub sources: Vec<PackedSource<F>>,
    /// [group, gate][unit].
    pub bias: Buffer<F>,
    /// [units][padded width].
    pub units: Buffer<F>,
}

impl<F: Element> PackedStage<F> {
    pub fn new(shape: &StageShape) -> Self {
        let source = |_| PackedSource { forward: Buffer::default(), backward: Buffer::default() };
        PackedStage {
            sources: shape.sources.iter().map(source).collect(),
            bias: Buffer::default(),
            units: Buffer::default(),
        }
    }

    /// Makes room for everything that `pack` writes.
    pub fn reserve(&mut self, shape: &StageShape, panels: Panels, backward: bool) {
        for (packed, source) in self.sources.iter_mut().zip(&shape.sources) {
            let blocks = shape.groups * source.gates.len();
            packed.forward.room(blocks * source.width * panels.width);
            if backward {
                packed.backward.room(panels.count(source.width) * blocks * panels.width * panels.width);
            }
        }
        self.bias.room(shape.panels() * panels.width);
        self.units.room(shape.units.len() * panels.padded(shape.width));
    }

    /// Address of the forward weights of the `k`-th gate that has source `s`, in `group`.
    pub fn forward(&self, shape: &StageShape, panels: Panels, s: usize, group: usize, k: usize) -> *mut F {
        let source = &shape.sources[s];
        let block = group * source.gates.len() + k;
        self.sources[s].forward.ptr().wrapping_add(block * source.width * panels.width)
    }

    /// Address of the backward weights for source panel `n`.
    pub fn backward(&self, shape: &StageShape, panels: Panels, s: usize, n: usize, group: usize, k: usize) -> *mut F {
        let source = &shape.sources[s];
        let block = (n * shape.groups + group) * source.gates.len() + k;
        self.sources[s].backward.ptr().wrapping_add(block * panels.width * panels.width)
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
                        let block = self.forward(shape, panels, s, group, k);
                        // SAFETY: `reserve` made room for each block.
                        unsafe { transpose(weights, units, source.width, block, w) };
                        continue;
                    }
                    for n in 0..panels.count(source.width) {
                        let columns = panels.depth(source.width, n);
                        // SAFETY: as above.
                        unsafe {
                            let block = self.backward(shape, panels, s, n, group, k);
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
            for (g, biases) in shape.biases.iter().enumerate() {
                // SAFETY: as above.
                let to =
                    unsafe { core::slice::from_raw_parts_mut(self.bias.ptr().add((group * shape.gates + g) * w), w) };
                to.fill(zero);
                for rows in biases {
                    let from = &params[rows.parameter][rows.row + first..][..units];
                    to.iter_mut().zip(from).for_each(|(t, &f)| *t = *t + f);
                }
            }
            for (u, rows) in shape.units.iter().enumerate() {
                // SAFETY: as above.
                let to = unsafe {
                    core::slice::from_raw_parts_mut(self.units.ptr().add(u * panels.padded(shape.width) + first), w)
                };
                to.fill(zero);
                to[..units].copy_from_slice(&params[rows.parameter][rows.row + first..][..units]);
            }
        }
    }
}

/// Writes `from` (units, depth) as (depth, w), zero beyond `units`.
///
/// # Safety
/// `to` is valid for `depth * w` numbers.
unsafe fn transpose<F: Element>(from: &[F], units: usize, depth: usize, to: *mut F, w: usize) {
    // Tiles of eight columns keep the lines that are written in the first cache.
    for k0 in (0..depth).step_by(8) {
        let columns = 8.min(depth - k0);
        for u in 0..units {
            let row = &from[u * depth + k0..][..columns];
            for (k, &value) in row.iter().enumerate() {
                // SAFETY: k0 + k < depth and u < w.
                unsafe { *to.add((k0 + k) * w + u) = value };
            }
        }
        for k in k0..k0 + columns {
            for u in units..w {
                // SAFETY: as above.
                unsafe { *to.add(k * w + u) = F::constant(0.0) };
            }
        }
    }
}

/// The gradients of a stage's parameters, in the layout of the products that make them.
pub(super) struct PackedGradients<F> {
    /// For each source: [group, gate][source panel][unit][source column].
    pub sources: Vec<Buffer<F>>,
    /// [group, gate][unit].
    pub bias: Buffer<F>,
    /// [units][padded width].
    pub units: Buffer<F>,
}

impl<F: Element> PackedGradients<F> {
    pub fn new(shape: &StageShape) -> Self {
        PackedGradients {
            sources: shape.sources.iter().map(|_| Buffer::default()).collect(),
            bias: Buffer::default(),
            units: Buffer::default(),
        }
    }

    pub fn reserve(&mut self, shape: &StageShape, panels: Panels) {
        for (buffer, source) in self.sources.iter_mut().zip(&shape.sources) {
            buffer.room(shape.groups * source.gates.len() * panels.count(source.width) * panels.width * panels.width);
        }
        self.bias.room(shape.panels() * panels.width);
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
            for (g, biases) in shape.biases.iter().enumerate() {
                // SAFETY: as above.
                let from =
                    unsafe { core::slice::from_raw_parts(self.bias.ptr().add((group * shape.gates + g) * w), units) };
                for rows in biases {
                    add(&mut out[rows.parameter][rows.row + first..][..units], from);
                }
            }
            for (u, rows) in shape.units.iter().enumerate() {
                // SAFETY: as above.
                let from = unsafe {
                    core::slice::from_raw_parts(self.units.ptr().add(u * panels.padded(shape.width) + first), units)
                };
                add(&mut out[rows.parameter][rows.row + first..][..units], from);
            }
        }
    }
}

fn add<F: Element>(to: &mut [F], from: &[F]) {
    to.iter_mut().zip(from).for_each(|(t, &f)| *t = *t + f);
}

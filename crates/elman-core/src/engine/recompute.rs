//! How long the segments of a recomputed sequence are, and how many bytes a pass takes.

use super::memory::{Buffer, Panels};
use super::mixed::TILE;
use super::mixed::pairs::pair_rows;
use super::segments::SegmentWorkspace;
use super::weights::{PackedGradients, PackedSource, PackedStage, StageShape};
use super::workspace::{AHEAD, BEHIND, GradientSpace, Workspace, outputs_in_place};
use super::{Gradients, Output, Sequence};
use crate::algebra::Element;
use crate::algebra::lanes::{Isa, shape};
use crate::layer::{Layer, Place};
use core::marker::PhantomData;
use core::str::FromStr;

/// How much of a sequence is kept for backward; the rest is computed again, a segment at a time.
///
/// In segments of S steps a pass over T steps takes `bytes(S) = fixed + S * step + (T / S + 2) * state`: the cache of one
/// segment, and the carried values between segments. `fixed` are packed weights, their gradients and chunks of some hundred
/// rows; `step` are, for each of the B rows, pre-activations, values, input and output of a step; `state` are B rows of the
/// carried values. The least is near `S = sqrt(T * state / step)` and grows with the square root of T; time is that of one
/// more forward pass, and a little more where segments are so short (below some hundred rows) that packing the weights for
/// each of them counts.
///
/// As text (`parse`): `off`, a number of steps, or a budget with its unit (`64MB`; kB, MB, GB are powers of 1000, KiB, MiB,
/// GiB of 1024).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// Everything is kept: the fastest backward, and memory that grows with T.
    #[default]
    Never,
    /// The state at every so many steps is kept (1 to T; anything else is moved there).
    Every(usize),
    /// The longest segments with which a pass takes at most so many bytes.
    ///
    /// Counted is all that the engine keeps between and during forward and backward: what a [`SegmentWorkspace`] holds. Not
    /// counted are the caller's own arrays: parameters, inputs, outputs and their gradients.
    Budget(usize),
}

/// A budget within which no length of the segments stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a budget of {} is too small for {steps} steps of {batch} rows; the least is {}, with segments of {segment} steps",
    amount(*budget),
    amount(*least)
)]
pub struct BudgetError {
    /// Bytes allowed.
    pub budget: usize,
    /// The fewest bytes that are possible.
    pub least: usize,
    /// The length of the segments that takes the fewest.
    pub segment: usize,
    /// T.
    pub steps: usize,
    /// B.
    pub batch: usize,
}

/// Rounded up, so that what is shown suffices.
fn amount(bytes: usize) -> String {
    match bytes.div_ceil(1000) {
        thousands @ 0..1000 => format!("{thousands} kB"),
        thousands => format!("{}.{} MB", thousands.div_ceil(100) / 10, thousands.div_ceil(100) % 10),
    }
}

/// A text that is no [`Recompute`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of `off`, a number of steps from 1, a budget such as `64MB`")]
pub struct ParseRecomputeError(String);

impl FromStr for Recompute {
    type Err = ParseRecomputeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const UNITS: [(&str, usize); 7] = [
            ("kB", 1000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("B", 1),
        ];
        let wrong = || ParseRecomputeError(text.into());
        if text == "off" {
            return Ok(Recompute::Never);
        }
        if let Ok(steps) = text.parse::<usize>() {
            return if steps > 0 { Ok(Recompute::Every(steps)) } else { Err(wrong()) };
        }
        let unit = UNITS.into_iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?.trim_end(), bytes)));
        let (number, unit) = unit.ok_or_else(wrong)?;
        let number = number.parse::<f64>().map_err(|_| wrong())?;
        let bytes = number * unit as f64;
        // Beyond 2^53 bytes nobody has a budget, and NaN is none.
        if (1.0..=9e15).contains(&bytes) { Ok(Recompute::Budget(bytes as usize)) } else { Err(wrong()) }
    }
}

/// What the memory of a pass depends on, besides the layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// T.
    pub steps: usize,
    /// B.
    pub batch: usize,
    /// V for token ids; none for dense input.
    pub vocabulary: Option<usize>,
    /// Whether rows may have a length of their own, or run in reverse.
    pub ragged: bool,
    /// Stage and source of each mask.
    pub masks: Vec<(usize, Place)>,
}

impl<F: Element> Sequence<'_, F> {
    /// What the memory of a pass over the sequence depends on.
    pub fn extent(&self, layer: &Layer) -> Extent {
        Extent {
            steps: self.steps,
            batch: self.batch,
            vocabulary: Some(self.vocabulary(layer)).filter(|&v| v > 0),
            ragged: self.lengths.is_some() || self.reverse,
            masks: self.masks.iter().map(|m| (m.stage, m.source)).collect(),
        }
    }
}

impl Recompute {
    /// Steps of a segment, of a pass in numbers `F` on an instruction set ([`Engine::isa`](super::Engine::isa)).
    ///
    /// # Errors
    /// No length of the segments stays within the budget.
    pub fn segment<F: Element>(self, isa: Isa, layer: &Layer, extent: &Extent) -> Result<usize, BudgetError> {
        let total = extent.steps.max(1);
        let budget = match self {
            Recompute::Never => return Ok(total),
            Recompute::Every(steps) => return Ok(steps.clamp(1, total)),
            Recompute::Budget(budget) => budget,
        };
        let estimate = Estimate::<F>::new(isa, layer, extent);
        let (mut least, mut best) = (usize::MAX, total);
        for segments in 1..=total {
            let steps = total.div_ceil(segments);
            let bytes = estimate.bytes(steps);
            if bytes <= budget {
                return Ok(steps);
            }
            if bytes < least {
                (least, best) = (bytes, steps);
            }
            if estimate.states(segments) > least {
                break;
            }
        }
        Err(BudgetError { budget, least, segment: best, steps: extent.steps, batch: extent.batch })
    }
}

/// Counts what [`Workspace::prepare`] and the segments' own arrays take, from above.
struct Estimate<'a, F> {
    layer: &'a Layer,
    extent: &'a Extent,
    panels: Panels,
    stages: Vec<StageShape>,
    number: PhantomData<F>,
}

impl<'a, F: Element> Estimate<'a, F> {
    fn new(isa: Isa, layer: &'a Layer, extent: &'a Extent) -> Self {
        let (lanes, vectors) = shape::<F>(isa);
        let panels = Panels { lanes, width: lanes * vectors };
        Estimate { layer, extent, panels, stages: StageShape::of(layer, panels), number: PhantomData }
    }

    /// Bytes of the states kept for so many segments.
    fn states(&self, segments: usize) -> usize {
        (segments + 1) * self.extent.batch * self.layer.state_widths().iter().sum::<usize>() * size_of::<F>()
    }

    /// Bytes of a pass in segments of `steps`.
    fn bytes(&self, steps: usize) -> usize {
        let Estimate { layer, extent, panels, stages, .. } = self;
        let (batch, input, w) = (extent.batch, layer.sizes().input, panels.width);
        let rows = steps * batch;
        let input_masked = extent.masks.iter().any(|m| m.1 == Place::Input);
        // A segment may be folded into the token table, and a shorter one not.
        let table = extent.vocabulary.filter(|&v| v <= rows && !input_masked).unwrap_or(0);
        let direct = match table {
            0 => rows,
            v => v.min(rows),
        };
        let gathered = if extent.vocabulary.is_some() || extent.ragged { direct } else { 0 };
        let (ahead, behind) = (direct.min(AHEAD + batch), rows.min(BEHIND + batch));

        let mut total = 0;
        let mut room = |list: &[usize]| total += list.iter().map(|&numbers| Buffer::<F>::size(numbers)).sum::<usize>();
        for stage in stages {
            let (padded, norms) = (panels.padded(stage.width), stage.norms.len());
            for source in &stage.sources {
                let blocks = stage.groups * source.gates.len();
                let square = blocks * panels.count(source.width) * w * w;
                // In mixed precision pairs take half of it, but for the padding of a narrow source.
                room(&[blocks * source.width.max(pair_rows(source.width)) * w, square, square]);
                if source.place == Place::Input {
                    room(&[blocks * ahead * w, blocks * table * w]);
                }
            }
            // Parameters of units, and their gradients.
            for _ in 0..2 {
                room(&[stage.panels() * w, norms * padded, norms * padded, stage.units.len() * padded]);
            }
            room(&[stage.units.len() * padded * batch]);
            room(&[stage.panels() * rows * w, stage.groups * norms * rows * w, norms * rows]);
            room(&[stage.panels() * behind * w, stage.panels() * table * w]);
        }
        let widths = || layer.values().iter().map(|v| layer.sizes().of(v.width));
        // The output at the steps of a chunk and the one before, or nowhere, where all rows go through all steps; other values at every step.
        let chunk = match extent.ragged {
            true => rows,
            false if outputs_in_place(layer, stages, panels.lanes, steps) => 0,
            false => rows.min((BEHIND.div_ceil(batch) + 1) * batch),
        };
        for (value, padded) in widths().map(|w| panels.padded(w)).enumerate() {
            let held = if value == layer.output() { chunk } else { rows };
            // Besides: before the first step; two gradients.
            room(&[padded * held, padded * batch, padded * batch, padded * batch]);
        }
        for padded in extent.masks.iter().map(|m| panels.padded(layer.width_of(m.1))) {
            room(&[padded * batch, padded * batch, padded * rows]);
        }
        let feeds = || layer.stages().iter().flat_map(|s| core::iter::repeat_n(s.width, s.feeds));
        for width in feeds() {
            room(&[panels.padded(width) * rows; 2]);
        }
        let (input_rows, input_width) = (table.max(behind), panels.padded(input));
        let widest = panels.padded(widths().max().unwrap_or(0));
        room(&[gathered * input, (input_rows * input_width).max(batch * widest)]);
        // In mixed precision as pairs, and so is a source of a chunk of steps with many rows each. Whether it is mixed is not known here.
        room(&[input_rows.max(pair_rows(input_rows)) * input_width]);
        if size_of::<F>() == size_of::<f32>() && batch >= TILE {
            room(&[behind * widest]);
        }
        // Token ids, and where each row stands; then by row of the batch and by step. Lists that grow have twice the room.
        total += 2 * (rows * (size_of::<u32>() + size_of::<usize>()) + (4 * batch + 2 * steps) * size_of::<usize>());

        let segments = extent.steps.div_ceil(steps);
        if segments > 1 {
            // The segment's own y, states and gradients before they are put in their places.
            let y = rows * layer.output_width();
            let d_input = extent.vocabulary.map_or(rows * input, |v| v * input);
            let states = 3 * batch * layer.state_widths().iter().sum::<usize>();
            let masks: usize = extent.masks.iter().map(|m| batch * layer.width_of(m.1)).sum();
            let own = y + d_input + states + masks + layer.parameter_count() + rows * feeds().sum::<usize>();
            total += own * size_of::<F>() + self.states(segments) + batch * size_of::<usize>();
        }
        total
    }
}

fn vec<T>(v: &Vec<T>) -> usize {
    v.capacity() * size_of::<T>()
}

fn vecs<T>(list: &[Vec<T>]) -> usize {
    list.iter().map(vec).sum()
}

fn buffers<F>(list: &[Buffer<F>]) -> usize {
    list.iter().map(Buffer::bytes).sum()
}

// Every field is named, so that none is forgotten here when one is added.
impl<F> Workspace<F> {
    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let Workspace {
            plan: _,
            rows,
            stages,
            tables,
            ids,
            x,
            ahead,
            pre,
            hats,
            factors,
            values,
            initial,
            masks,
            masked,
            feeds,
            gradients,
        } = self;
        let rows = [&rows.batch, &rows.sorted, &rows.active, &rows.offset, &rows.place, &rows.steps];
        let lists = [tables, ahead, pre, hats, factors, values, initial, masks, masked, feeds];
        let lists: usize = lists.into_iter().map(|list| buffers(list)).sum();
        let rows: usize = rows.into_iter().map(vec).sum();
        rows + stages.iter().map(stage_bytes).sum::<usize>() + vec(ids) + x.bytes() + lists + gradient_bytes(gradients)
    }
}

fn stage_bytes<F>(stage: &PackedStage<F>) -> usize {
    let PackedStage { format: _, mixed: _, sources, bias, gains, shifts, units } = stage;
    let source = |source: &PackedSource<F>| {
        let PackedSource { forward, forward_words, scales, backward, backward_pairs } = source;
        let numbers = forward.bytes() + backward.bytes() + scales.bytes();
        numbers + forward_words.bytes() + backward_pairs.bytes()
    };
    sources.iter().map(source).sum::<usize>() + bias.bytes() + gains.bytes() + shifts.bytes() + units.bytes()
}

fn gradient_bytes<F>(space: &GradientSpace<F>) -> usize {
    let GradientSpace { stages, values, units, gates, tables, x, pairs, scratch, masks, feeds } = space;
    let stage = |stage: &PackedGradients<F>| {
        let PackedGradients { sources, bias, gains, shifts, units } = stage;
        buffers(sources) + bias.bytes() + gains.bytes() + shifts.bytes() + units.bytes()
    };
    let lists = [&values[0], &values[1], units, gates, tables, masks, feeds];
    let lists: usize = lists.into_iter().map(|list| buffers(list)).sum();
    stages.iter().map(stage).sum::<usize>() + x.bytes() + pairs.bytes() + scratch.bytes() + lists
}

impl<F> SegmentWorkspace<F> {
    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let SegmentWorkspace { workspace, run: _, states, lengths, output, gradients, d_state } = self;
        let Output { y, state } = output;
        let Gradients { params, input, state: d_first, masks, feeds } = gradients;
        let lists = [state, params, d_first, masks, feeds, d_state].into_iter().map(|list| vecs(list)).sum::<usize>();
        workspace.bytes() + vec(states) + vec(lengths) + vec(y) + vec(input) + lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sizes, cells};

    #[test]
    fn what_a_text_means() {
        for (text, want) in [
            ("off", Recompute::Never),
            ("316", Recompute::Every(316)),
            ("64MB", Recompute::Budget(64_000_000)),
            ("1.5 GiB", Recompute::Budget(3 << 29)),
            ("12kB", Recompute::Budget(12_000)),
            ("7B", Recompute::Budget(7)),
        ] {
            assert_eq!(text.parse(), Ok(want), "{text}");
        }
        for bad in ["", "on", "0", "-3", "2.5", "0MB", "-1MB", "NaNMB", "infGB", "1TB", "MB", "64 M"] {
            assert!(bad.parse::<Recompute>().is_err(), "{bad}");
        }
    }

    /// The least grows as the square root of T, and the segments with it.
    #[test]
    fn the_least_grows_as_the_square_root() {
        let layer = Layer::new((cells::find("lstm").unwrap().make)(), Sizes::new(128, 128)).unwrap();
        let at = |steps: usize| {
            let extent = Extent { steps, batch: 8, ..Extent::default() };
            let error = Recompute::Budget(0).segment::<f32>(Isa::Plain, &layer, &extent).unwrap_err();
            // What the error names is enough, and one byte less is not.
            let segment = |bytes| Recompute::Budget(bytes).segment::<f32>(Isa::Plain, &layer, &extent);
            assert_eq!(segment(error.least).unwrap(), error.segment);
            assert_eq!(segment(error.least - 1).unwrap_err().least, error.least);
            (error.least as f64, error.segment as f64)
        };
        // So long that the weights and the whole huge pages hardly count.
        let ((short, s), (long, l)) = (at(4_000_000), at(64_000_000));
        assert!((3.5..4.5).contains(&(long / short)) && (3.5..4.5).contains(&(l / s)), "{short} {s} {long} {l}");
        let extent = Extent { steps: 100, batch: 8, ..Extent::default() };
        let all = Recompute::Budget(usize::MAX).segment::<f32>(Isa::Plain, &layer, &extent);
        assert_eq!(all, Ok(100));
    }

    #[test]
    fn an_error_says_what_would_do() {
        let error = BudgetError { budget: 999_000, least: 13_210_000, segment: 316, steps: 100_000, batch: 8 };
        assert_eq!(
            error.to_string(),
            "a budget of 999 kB is too small for 100000 steps of 8 rows; the least is 13.3 MB, with segments of 316 steps"
        );
    }
}

//! Long sequences in segments: memory as the square root of T, for one more forward pass.
//!
//! Forward runs segment after segment with a workspace that holds one of them, and keeps the carried values at each
//! segment's start. Backward goes through the segments the other way round: it runs each forward again from its kept values,
//! then backward with the state's gradient that came from the segment after. The segment that forward ran last is still
//! there and is not run again.

use super::recompute::{BudgetError, Recompute};
use super::workspace::Workspace;
use super::{Engine, Gradients, Input, Output, Sequence};
use crate::Layer;
use crate::algebra::Element;
use core::ops::Range;

/// Memory of one layer's run in segments, owned by the caller and reused: no array is allocated once it has seen the largest
/// batch.
///
/// Between `forward_in_segments` and `backward_in_segments` it holds the carried values at the start of every segment, and
/// the cache of one segment.
pub struct SegmentWorkspace<F> {
    pub(super) workspace: Workspace<F>,
    pub(super) run: Option<Run>,
    /// The carried values before each segment and after the last, in the order of running: [segment][value] (B, width).
    pub(super) states: Vec<F>,
    /// The lengths of rows within a segment.
    pub(super) lengths: Vec<usize>,
    /// Of a segment.
    pub(super) output: Output<F>,
    /// Of a segment.
    pub(super) gradients: Gradients<F>,
    /// Gradient by the carried values before the segment that backward has done last.
    pub(super) d_state: Vec<Vec<F>>,
}

impl<F: Element> Default for SegmentWorkspace<F> {
    fn default() -> Self {
        SegmentWorkspace::new()
    }
}

impl<F: Element> SegmentWorkspace<F> {
    /// An empty workspace; it grows at its first use.
    pub fn new() -> Self {
        SegmentWorkspace {
            workspace: Workspace::new(),
            run: None,
            states: Vec::new(),
            lengths: Vec::new(),
            output: Output::default(),
            gradients: Gradients::default(),
            d_state: Vec::new(),
        }
    }

    /// Steps of a segment of the last forward run; T where there was only one.
    pub fn segment(&self) -> Option<usize> {
        self.run.map(|run| run.cut.segment)
    }
}

/// The last forward run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    cut: Cut,
    batch: usize,
    /// The segment, in the order of running, whose cache is in the workspace.
    held: usize,
}

/// How a sequence is cut. Segments are counted in the order in which they are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cut {
    steps: usize,
    segment: usize,
    reverse: bool,
}

impl Cut {
    fn count(self) -> usize {
        self.steps.div_ceil(self.segment)
    }

    /// The steps of a segment.
    fn range(self, k: usize) -> Range<usize> {
        let from = self.segment * if self.reverse { self.count() - 1 - k } else { k };
        from..(from + self.segment).min(self.steps)
    }
}

/// A segment of a sequence as a sequence of its own, from the carried values `state`.
fn part<'a, F: Element>(
    layer: &Layer,
    seq: &'a Sequence<'_, F>,
    steps: Range<usize>,
    state: Vec<&'a [F]>,
    lengths: &'a mut Vec<usize>,
) -> Sequence<'a, F> {
    let rows = steps.start * seq.batch..steps.end * seq.batch;
    lengths.clear();
    if let Some(all) = seq.lengths {
        lengths.extend(all.iter().map(|l| l.clamp(&steps.start, &steps.end) - steps.start));
    }
    // Where every row goes through the whole segment, the engine can read the caller's arrays in place.
    let ragged = lengths.iter().any(|&l| l < steps.len());
    let feed_widths = layer.stages().iter().flat_map(|s| core::iter::repeat_n(s.width, s.feeds));
    Sequence {
        input: match seq.input {
            Input::Dense(x) => Input::Dense(columns(x, &rows, layer.sizes().input)),
            Input::Tokens { ids, table } => Input::Tokens { ids: &ids[rows.clone()], table },
        },
        steps: steps.len(),
        batch: seq.batch,
        lengths: ragged.then_some(lengths.as_slice()),
        reverse: seq.reverse,
        state: Some(state),
        masks: seq.masks.clone(),
        feeds: seq.feeds.iter().zip(feed_widths).map(|(feed, width)| columns(feed, &rows, width)).collect(),
    }
}

/// The numbers of some rows.
fn columns<'a, F>(values: &'a [F], rows: &Range<usize>, width: usize) -> &'a [F] {
    &values[rows.start * width..rows.end * width]
}

/// The carried values that stand one after the other.
fn slices<'a, F>(mut values: &'a [F], widths: &[usize], batch: usize) -> Vec<&'a [F]> {
    let mut next = |width: &usize| {
        let (first, rest) = values.split_at(width * batch);
        values = rest;
        first
    };
    widths.iter().map(&mut next).collect()
}

/// Zeros.
fn clear<F: Element>(values: &mut Vec<F>, len: usize) {
    values.clear();
    values.resize(len, F::constant(0.0));
}

/// Room for exactly so many, where a list that grows by itself would take more.
fn reserve<F>(values: &mut Vec<F>, len: usize) {
    values.reserve_exact(len.saturating_sub(values.len()));
}

fn add<F: Element>(to: &mut [F], from: &[F]) {
    to.iter_mut().zip(from).for_each(|(t, &f)| *t = *t + f);
}

impl Engine {
    /// [`forward`](Engine::forward), keeping for backward only what `recompute` says: of a long sequence the carried values
    /// between segments of it.
    ///
    /// Outputs and states are the same bits, and so are the gradients by states, dense inputs and feeds. Gradients by
    /// parameters, masks and embedding tables are sums over the steps, taken segment by segment: the same within rounding.
    ///
    /// # Errors
    /// The budget cannot be met; nothing was run.
    ///
    /// # Panics
    /// As `forward`.
    #[track_caller]
    pub fn forward_in_segments<F: Element>(
        &self,
        layer: &Layer,
        params: &[&[F]],
        seq: &Sequence<F>,
        recompute: Recompute,
        workspace: &mut SegmentWorkspace<F>,
        out: &mut Output<F>,
    ) -> Result<(), BudgetError> {
        seq.check(layer, params);
        let segment = recompute.segment::<F>(self.isa, layer, &seq.extent(layer))?;
        let cut = Cut { steps: seq.steps, segment, reverse: seq.reverse };
        let last = cut.count() - 1;
        let SegmentWorkspace { workspace, run, states, lengths, output, .. } = workspace;
        *run = None;
        if last == 0 {
            self.forward(layer, params, seq, workspace, out);
            *run = Some(Run { cut, batch: seq.batch, held: last });
            return Ok(());
        }
        let (widths, width) = (layer.state_widths(), layer.output_width());
        let size = seq.batch * widths.iter().sum::<usize>();
        clear(states, (last + 2) * size);
        let mut rest = states.as_mut_slice();
        for state in seq.state.iter().flatten() {
            let (to, after) = rest.split_at_mut(state.len());
            to.copy_from_slice(state);
            rest = after;
        }
        if out.y.len() != seq.steps * seq.batch * width {
            clear(&mut out.y, seq.steps * seq.batch * width);
        }
        reserve(&mut output.y, segment * seq.batch * width);
        for k in 0..=last {
            let (before, after) = states.split_at_mut((k + 1) * size);
            let steps = cut.range(k);
            let part = part(layer, seq, steps.clone(), slices(&before[k * size..], &widths, seq.batch), lengths);
            self.forward(layer, params, &part, workspace, output);
            let y = &mut out.y[steps.start * seq.batch * width..steps.end * seq.batch * width];
            y.copy_from_slice(&output.y);
            let after = after[..size].iter_mut();
            after.zip(output.state.iter().flatten()).for_each(|(to, &from)| *to = from);
        }
        out.state.clone_from(&output.state);
        *run = Some(Run { cut, batch: seq.batch, held: last });
        Ok(())
    }

    /// [`backward`](Engine::backward) of the `forward_in_segments` call just before, with the same `params` and `seq`, and its
    /// outputs `y`.
    ///
    /// # Panics
    /// As `backward`.
    #[track_caller]
    #[expect(clippy::too_many_arguments, reason = "slices in, slices out")]
    pub fn backward_in_segments<F: Element>(
        &self,
        layer: &Layer,
        params: &[&[F]],
        seq: &Sequence<F>,
        workspace: &mut SegmentWorkspace<F>,
        y: &[F],
        d_y: &[F],
        d_state: Option<&[&[F]]>,
        out: &mut Gradients<F>,
    ) {
        let SegmentWorkspace { workspace, run, states, lengths, output, gradients, d_state: d_next } = workspace;
        let same = |run: &&mut Run| (run.cut.steps, run.batch, run.cut.reverse) == (seq.steps, seq.batch, seq.reverse);
        let Some(Run { cut, held, .. }) = run.as_mut().filter(same) else {
            panic!("backward_in_segments needs the workspace of forward_in_segments of the same layer and sequence")
        };
        let last = cut.count() - 1;
        if last == 0 {
            self.backward(layer, params, seq, workspace, y, d_y, d_state, out);
            return;
        }
        seq.check(layer, params);
        let (batch, width, input) = (seq.batch, layer.output_width(), layer.sizes().input);
        let widths = layer.state_widths();
        let size = batch * widths.iter().sum::<usize>();
        for (what, values) in [("y", y), ("d_y", d_y)] {
            assert!(values.len() == seq.steps * batch * width, "{what} is not (T, B, output width)");
        }
        assert!(states.len() == (last + 2) * size, "the workspace holds the run of another layer");
        out.params.resize(params.len(), Vec::new());
        out.params.iter_mut().zip(params).for_each(|(d, p)| clear(d, p.len()));
        out.masks.resize(seq.masks.len(), Vec::new());
        out.masks.iter_mut().zip(&seq.masks).for_each(|(d, m)| clear(d, m.values.len()));
        out.feeds.resize(seq.feeds.len(), Vec::new());
        out.feeds.iter_mut().zip(&seq.feeds).for_each(|(d, f)| clear(d, f.len()));
        gradients.feeds.resize(seq.feeds.len(), Vec::new());
        for (d, f) in gradients.feeds.iter_mut().zip(&seq.feeds) {
            reserve(d, f.len() / seq.steps * cut.segment);
        }
        match seq.input {
            Input::Dense(x) => {
                clear(&mut out.input, x.len());
                reserve(&mut gradients.input, cut.segment * batch * input);
            }
            Input::Tokens { table, .. } => clear(&mut out.input, table.len()),
        }
        for k in (0..=last).rev() {
            let steps = cut.range(k);
            let state = slices(&states[k * size..(k + 1) * size], &widths, batch);
            let part = part(layer, seq, steps.clone(), state, lengths);
            if *held != k {
                self.forward(layer, params, &part, workspace, output);
                *held = k;
            }
            let rows = steps.start * batch..steps.end * batch;
            let d_after: Vec<&[F]> = d_next.iter().map(Vec::as_slice).collect();
            let d_after = if k == last { d_state } else { Some(d_after.as_slice()) };
            let (y, d_y) = (columns(y, &rows, width), columns(d_y, &rows, width));
            self.backward(layer, params, &part, workspace, y, d_y, d_after, gradients);
            core::mem::swap(d_next, &mut gradients.state);
            out.params.iter_mut().zip(&gradients.params).for_each(|(to, d)| add(to, d));
            out.masks.iter_mut().zip(&gradients.masks).for_each(|(to, d)| add(to, d));
            let place = |to: &mut [F], d: &[F]| {
                let width = d.len() / rows.len();
                to[rows.start * width..rows.end * width].copy_from_slice(d);
            };
            out.feeds.iter_mut().zip(&gradients.feeds).for_each(|(to, d)| place(to, d));
            match seq.input {
                Input::Dense(_) => place(&mut out.input, &gradients.input),
                Input::Tokens { .. } => add(&mut out.input, &gradients.input),
            }
        }
        out.state.clone_from(d_next);
    }
}

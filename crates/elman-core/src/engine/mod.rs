//! Running a layer: forward over time, backward through time, one step.
//!
//! T time, B batch, I input width, H hidden width, P output width. Everything outside is time-major and row-major:
//! inputs (T, B, I), outputs (T, B, output width), states (B, width), masks (B, width of the source), feeds
//! (T, B, width of the stage).

use crate::Layer;
use crate::algebra::Element;
use crate::algebra::lanes::Isa;
use crate::layer::Place;

mod backward;
#[cfg(test)]
mod broken_rule_test;
mod compressed;
mod forward;
mod hands;
mod input_gradients;
mod memory;
mod mixed;
mod normaliser;
mod panel;
pub(crate) mod product;
pub mod readout;
mod recompute;
pub mod reference;
mod rows;
mod run;
mod scan;
mod segments;
mod step;
mod team;
mod weight_gradients;
mod weights;
mod whole;
mod workspace;

pub use compressed::WeightFormat;
pub use mixed::{Bf16Kernel, NoBf16};
pub use recompute::{BudgetError, Extent, ParseRecomputeError, Recompute};
pub use scan::{NotLinear, Scan};
pub use segments::SegmentWorkspace;
pub use step::{Affine, StepInput, Stepper};
pub use workspace::Workspace;

/// The fused engine: an instruction set, a team of threads, and whether products are in mixed precision.
///
/// Any number of threads gives the same bits on one instruction set.
pub struct Engine {
    isa: Isa,
    bf16: Option<Bf16Kernel>,
    team: team::Team,
}

impl Engine {
    /// An engine on the fastest instruction set that the processor has. `threads` counts the caller's own; 0 means as
    /// many as the machine has.
    pub fn new(threads: usize) -> Engine {
        Engine::with(Isa::detect(), threads)
    }

    /// An engine on one instruction set.
    ///
    /// # Panics
    /// Where the processor does not have it.
    pub fn with(isa: Isa, threads: usize) -> Engine {
        assert!(Isa::available().contains(&isa), "this processor has no {isa}");
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
            n => n,
        };
        Engine { isa, bf16: None, team: team::Team::new(threads) }
    }

    /// The same engine with the matrix products of [`forward`](Engine::forward) and [`backward`](Engine::backward) in mixed
    /// precision, for numbers of type f32: their operands are rounded to bf16, everything else stays as it is. A pass in f64
    /// and a [`Stepper`] stay exact.
    ///
    /// Any number of threads gives the same bits with one kernel; two kernels differ in rounding.
    ///
    /// # Panics
    /// Where the kernel is not one of [`Bf16Kernel::available`], or one of instructions and the engine's instruction set is not
    /// AVX-512.
    pub fn with_bf16(mut self, kernel: Bf16Kernel) -> Engine {
        assert!(Bf16Kernel::available().contains(&kernel), "this machine cannot run the bf16 kernel {kernel}");
        assert!(kernel.fits(self.isa), "the bf16 kernel {kernel} needs the instruction set AVX-512");
        self.bf16 = Some(kernel);
        self
    }

    /// The kernel of products in mixed precision; none: they are in f32.
    pub fn bf16(&self) -> Option<Bf16Kernel> {
        self.bf16
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Number of threads, the caller's included.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// Runs a layer over a batch; `params` are slices in the order of [`Layer::parameters`]. The workspace keeps what
    /// [`backward`](Engine::backward) needs.
    ///
    /// # Panics
    /// Where a slice does not have the length that the layer asks (see [`Sequence::check`]).
    #[track_caller]
    pub fn forward<F: Element>(
        &self,
        layer: &Layer,
        params: &[&[F]],
        seq: &Sequence<F>,
        workspace: &mut Workspace<F>,
        out: &mut Output<F>,
    ) {
        forward::forward(self, layer, params, seq, workspace, out);
    }

    /// From the gradients by the outputs `d_y` (T, B, output width) and by the final states, the gradients by everything
    /// that went in. `workspace` is that of the `forward` call just before, with the same `params` and `seq`, and `y` its
    /// outputs: the workspace does not keep them a second time.
    ///
    /// # Panics
    /// As for `forward`, and where the workspace holds another run.
    #[track_caller]
    #[expect(clippy::too_many_arguments, reason = "slices in, slices out")]
    pub fn backward<F: Element>(
        &self,
        layer: &Layer,
        params: &[&[F]],
        seq: &Sequence<F>,
        workspace: &mut Workspace<F>,
        y: &[F],
        d_y: &[F],
        d_state: Option<&[&[F]]>,
        out: &mut Gradients<F>,
    ) {
        backward::backward(&self.team, layer, params, seq, workspace, y, d_y, d_state, out);
    }
}

/// The input of a sequence.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a, F> {
    /// (T, B, I).
    Dense(&'a [F]),
    /// Token ids (T, B) and the embedding table (V, I) they index. The table is folded into the input product, and its
    /// gradient is scattered back.
    Tokens {
        /// (T, B), each below V.
        ids: &'a [u32],
        /// (V, I).
        table: &'a [F],
    },
}

/// A mask on a source: multiplied into it before its matrix products, the same at every step (variational dropout).
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a, F> {
    /// The stage.
    pub stage: usize,
    /// The source, as in [`ResolvedStage::sources`](crate::layer::ResolvedStage::sources).
    pub source: Place,
    /// (B, width of the source).
    pub values: &'a [F],
}

/// A batch of sequences to run.
#[derive(Clone, Debug)]
pub struct Sequence<'a, F> {
    /// T.
    pub steps: usize,
    /// B.
    pub batch: usize,
    /// The input.
    pub input: Input<'a, F>,
    /// The number of valid steps of each row, in any order, 0 to T; none: all T. Beyond its length a row's output is
    /// zero and its state stays.
    pub lengths: Option<&'a [usize]>,
    /// Run each row from its last valid step to its first (outputs stay at their own step).
    pub reverse: bool,
    /// The carried values before the first step, one (B, width) for each of [`Layer::carried`]; none: zeros.
    pub state: Option<Vec<&'a [F]>>,
    /// Masks; a source without one is not masked.
    pub masks: Vec<Mask<'a, F>>,
    /// For each stage in order and each of its feeds in order: (T, B, width of the stage).
    pub feeds: Vec<&'a [F]>,
}

impl<'a, F: Element> Sequence<'a, F> {
    /// A padded batch from zero state, forward in time, without masks.
    pub fn new(steps: usize, batch: usize, input: Input<'a, F>) -> Self {
        Sequence {
            steps,
            batch,
            input,
            lengths: None,
            reverse: false,
            state: None,
            masks: Vec::new(),
            feeds: Vec::new(),
        }
    }

    /// Number of valid steps of row `b`.
    pub fn length(&self, b: usize) -> usize {
        self.lengths.map_or(self.steps, |l| l[b])
    }

    /// The rows of the embedding table; 0 for dense input.
    pub fn vocabulary(&self, layer: &Layer) -> usize {
        match self.input {
            Input::Dense(_) => 0,
            Input::Tokens { table, .. } => table.len() / layer.sizes().input,
        }
    }

    /// Panics with a clear message unless every slice has the length that the layer asks.
    #[track_caller]
    pub fn check(&self, layer: &Layer, params: &[&[F]]) {
        let (t, b, i) = (self.steps, self.batch, layer.sizes().input);
        assert!(t > 0 && b > 0, "a sequence needs at least one step and one row, got T = {t}, B = {b}");
        let len = |what: &str, got: usize, want: usize| {
            assert!(got == want, "{what} has {got} elements, expected {want}");
        };
        match self.input {
            Input::Dense(x) => len("input (T, B, I)", x.len(), t * b * i),
            Input::Tokens { ids, table } => {
                len("token ids (T, B)", ids.len(), t * b);
                assert!(!table.is_empty() && table.len() % i == 0, "embedding table is not (V, {i})");
                let v = table.len() / i;
                if let Some(id) = ids.iter().find(|&&id| id as usize >= v) {
                    panic!("token id {id} is not below the vocabulary's size {v}");
                }
            }
        }
        len("the list of parameters", params.len(), layer.parameters().len());
        for (p, spec) in params.iter().zip(layer.parameters()) {
            len(&spec.name, p.len(), spec.len());
        }
        if let Some(lengths) = self.lengths {
            len("lengths", lengths.len(), b);
            assert!(lengths.iter().all(|&l| l <= t), "a length is above T = {t}");
        }
        if let Some(state) = &self.state {
            let widths = layer.state_widths();
            len("the list of states", state.len(), widths.len());
            for (s, w) in state.iter().zip(widths) {
                len("state (B, width)", s.len(), b * w);
            }
        }
        for mask in &self.masks {
            assert!(
                layer.stages().get(mask.stage).is_some_and(|s| s.sources.contains(&mask.source)),
                "mask on a source that stage {} does not have",
                mask.stage
            );
            len("mask (B, width)", mask.values.len(), b * layer.width_of(mask.source));
        }
        let feeds: Vec<usize> = layer.stages().iter().flat_map(|s| std::iter::repeat_n(s.width, s.feeds)).collect();
        len("the list of feeds", self.feeds.len(), feeds.len());
        for (f, w) in self.feeds.iter().zip(feeds) {
            len("feed (T, B, width)", f.len(), t * b * w);
        }
    }
}

/// What a forward pass returns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output<F> {
    /// (T, B, output width).
    pub y: Vec<F>,
    /// The carried values after each row's last valid step: one (B, width) for each of [`Layer::carried`].
    pub state: Vec<Vec<F>>,
}

/// What a backward pass returns: `d_` = gradient of the loss by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradients<F> {
    /// By each of [`Layer::parameters`].
    pub params: Vec<Vec<F>>,
    /// By the dense input (T, B, I), or by the embedding table (V, I).
    pub input: Vec<F>,
    /// By the initial state.
    pub state: Vec<Vec<F>>,
    /// By each mask.
    pub masks: Vec<Vec<F>>,
    /// By each feed.
    pub feeds: Vec<Vec<F>>,
}

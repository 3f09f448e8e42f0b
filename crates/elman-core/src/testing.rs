//! Checks that any cell can be put through, ours and yours: gradients against central differences, and both engines
//! against each other.
//!
//! ```
//! use elman_core::{cell, testing};
//! use std::sync::Arc;
//! cell! {
//!     /// A leaky unit.
//!     #[derive(Clone, Debug)]
//!     pub struct Leaky = "leaky" { keep: f64 }
//!     carry h; output h;
//!     stage 0 hidden {
//!         gate a = [x, h];
//!         read h;
//!     } -> h {
//!         h = K(*keep) * h + K(1.0 - *keep) * tanh(a);
//!     }
//! }
//! testing::check_cell(Arc::new(Leaky { keep: 0.9 })).unwrap();
//! ```

use crate::algebra::expression::{Node, StageGraph};
use crate::algebra::{Element, lanes::Isa};
use crate::cell::Cell;
use crate::engine::{Bf16Kernel, Engine, Gradients, Input, Mask, Output, Sequence, Workspace, reference};
use crate::layer::{Layer, LayerError, Place, Role, Sizes};
use std::sync::Arc;

/// Half the distance of the two points of a central difference.
///
/// Its truncation error is eps² f‴ / 6, about 1e-10 of the third derivative; its rounding error is the outputs' 1e-16
/// over eps, about 1e-11.
pub const EPSILON: f64 = 1e-5;
/// Absolute tolerance of [`gradient_check`]: above the truncation error for third derivatives of some tens, which the sums
/// over steps and rows of these small problems do not pass.
pub const GRADIENT_ATOL: f64 = 1e-9;
/// Relative tolerance of [`gradient_check`]: a wrong rule is wrong by far more, truncation by less.
pub const GRADIENT_RTOL: f64 = 1e-6;
/// Two engines in f64, relative to the tensor's largest value: they differ in the order of sums of at most some hundred
/// terms and in the last bits of tanh and sigmoid, and each step passes on the difference. The worst of the registered cells
/// is 5e-15.
pub const ENGINES_F64: f64 = 1e-13;
/// The same in f32, where the worst is 1.9e-6 (both sides round).
pub const ENGINES_F32: f64 = 5e-6;

/// A way to run a layer.
pub trait Runner<F> {
    /// What to call it in messages.
    fn name(&self) -> String;
    /// Outputs and final states.
    fn forward(&mut self, layer: &Layer, params: &[&[F]], seq: &Sequence<F>) -> Output<F>;
    /// All gradients; runs forward itself.
    fn backward(
        &mut self,
        layer: &Layer,
        params: &[&[F]],
        seq: &Sequence<F>,
        d_y: &[F],
        d_state: Option<&[&[F]]>,
    ) -> Gradients<F>;
}

/// The readable engine.
#[derive(Clone, Copy, Debug)]
pub struct Reference;

impl<F: Element> Runner<F> for Reference {
    fn name(&self) -> String {
        "reference".into()
    }
    fn forward(&mut self, layer: &Layer, params: &[&[F]], seq: &Sequence<F>) -> Output<F> {
        reference::forward(layer, params, seq)
    }
    fn backward(
        &mut self,
        layer: &Layer,
        params: &[&[F]],
        seq: &Sequence<F>,
        d_y: &[F],
        d_state: Option<&[&[F]]>,
    ) -> Gradients<F> {
        reference::backward(layer, params, seq, d_y, d_state)
    }
}

/// The fused engine, with a workspace and results that are used again from call to call, whatever the layer.
pub struct Fused<F> {
    engine: Engine,
    workspace: Workspace<F>,
    output: Output<F>,
    gradients: Gradients<F>,
}

impl<F: Element> Fused<F> {
    /// On one instruction set, with so many threads.
    pub fn new(isa: Isa, threads: usize) -> Self {
        Fused {
            engine: Engine::with(isa, threads),
            workspace: Workspace::new(),
            output: Output::default(),
            gradients: Gradients::default(),
        }
    }

    /// With products in mixed precision.
    pub fn in_bf16(isa: Isa, threads: usize, kernel: Bf16Kernel) -> Self {
        let mut fused = Fused::new(isa, threads);
        fused.engine = fused.engine.with_bf16(kernel);
        fused
    }
}

impl<F: Element> Runner<F> for Fused<F> {
    fn name(&self) -> String {
        let bf16 = self.engine.bf16().map_or(String::new(), |kernel| format!(", bf16 {kernel}"));
        format!("fused, {}, {} threads{bf16}", self.engine.isa(), self.engine.threads())
    }
    fn forward(&mut self, layer: &Layer, params: &[&[F]], seq: &Sequence<F>) -> Output<F> {
        self.engine.forward(layer, params, seq, &mut self.workspace, &mut self.output);
        self.output.clone()
    }
    fn backward(
        &mut self,
        layer: &Layer,
        params: &[&[F]],
        seq: &Sequence<F>,
        d_y: &[F],
        d_state: Option<&[&[F]]>,
    ) -> Gradients<F> {
        self.engine.forward(layer, params, seq, &mut self.workspace, &mut self.output);
        let (workspace, y, gradients) = (&mut self.workspace, &self.output.y, &mut self.gradients);
        self.engine.backward(layer, params, seq, workspace, y, d_y, d_state, gradients);
        gradients.clone()
    }
}

/// The reference, and the fused engine on the fastest instruction set with one thread: what gradients are checked on.
pub fn engines<F: Element>() -> Vec<Box<dyn Runner<F>>> {
    vec![Box::new(Reference), Box::new(Fused::new(Isa::detect(), 1))]
}

/// Every engine that this machine can run: the reference, and the fused one on each instruction set with one thread and
/// with two.
pub fn runners<F: Element>() -> Vec<Box<dyn Runner<F>>> {
    let mut list: Vec<Box<dyn Runner<F>>> = vec![Box::new(Reference)];
    for isa in Isa::available() {
        for threads in [1, 2] {
            list.push(Box::new(Fused::new(isa, threads)));
        }
    }
    list
}

/// A layer with everything that one forward and backward pass takes, owned.
#[derive(Clone, Debug)]
pub struct Problem<F> {
    /// The layer.
    pub layer: Layer,
    /// T.
    pub steps: usize,
    /// B.
    pub batch: usize,
    /// Parameters.
    pub params: Vec<Vec<F>>,
    /// Dense input (T, B, I), or the embedding table (V, I) where there are `ids`.
    pub input: Vec<F>,
    /// Token ids (T, B).
    pub ids: Option<Vec<u32>>,
    /// Valid steps of each row.
    pub lengths: Option<Vec<usize>>,
    /// Direction.
    pub reverse: bool,
    /// Initial state.
    pub state: Option<Vec<Vec<F>>>,
    /// Masks: stage, source, values.
    pub masks: Vec<(usize, Place, Vec<F>)>,
    /// Feeds.
    pub feeds: Vec<Vec<F>>,
    /// Gradient by the output.
    pub d_y: Vec<F>,
    /// Gradient by the final state.
    pub d_state: Option<Vec<Vec<F>>>,
}

/// Pseudo-random numbers for tests (splitmix64).
#[derive(Clone, Debug)]
pub struct Noise(pub u64);

impl Noise {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `len` numbers between `-scale` and `scale`.
    pub fn uniform<F: Element>(&mut self, len: usize, scale: f64) -> Vec<F> {
        (0..len).map(|_| F::constant(((self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * scale)).collect()
    }
}

impl<F: Element> Problem<F> {
    /// Random parameters, dense input, feeds and output gradient; zero initial state, all steps valid, no masks.
    pub fn new(layer: &Layer, steps: usize, batch: usize, seed: u64) -> Self {
        let mut noise = Noise(seed);
        let n = steps * batch;
        // Weights of a usual scale keep the states of wide layers moderate.
        let scale = |cols: usize| 1.5 / (cols as f64).sqrt();
        Problem {
            layer: layer.clone(),
            steps,
            batch,
            params: layer.parameters().iter().map(|p| noise.uniform(p.len(), scale(p.cols).min(0.8))).collect(),
            input: noise.uniform(n * layer.sizes().input, 1.0),
            ids: None,
            lengths: None,
            reverse: false,
            state: None,
            masks: Vec::new(),
            feeds: layer
                .stages()
                .iter()
                .flat_map(|s| std::iter::repeat_n(s.width, s.feeds))
                .map(|w| noise.uniform(n * w, 1.0))
                .collect(),
            d_y: noise.uniform(n * layer.output_width(), 1.0),
            d_state: None,
        }
    }

    /// With token ids below `vocabulary` instead of dense input.
    pub fn tokens(mut self, vocabulary: usize) -> Self {
        let mut noise = Noise(vocabulary as u64);
        let n = self.steps * self.batch;
        self.input = noise.uniform(vocabulary * self.layer.sizes().input, 1.0);
        self.ids = Some((0..n).map(|_| (noise.bits() % vocabulary as u64) as u32).collect());
        self
    }

    /// With these numbers of valid steps.
    pub fn lengths(mut self, lengths: &[usize]) -> Self {
        self.lengths = Some(lengths.to_vec());
        self
    }

    /// Run from the last valid step to the first.
    pub fn reversed(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// With a random initial state, and gradients by the final one.
    pub fn states(mut self) -> Self {
        let mut noise = Noise(7);
        let widths = self.layer.state_widths();
        let mut draw = || Some(widths.iter().map(|w| noise.uniform(self.batch * w, 1.0)).collect());
        (self.state, self.d_state) = (draw(), draw());
        self
    }

    /// With a mask on every source of every stage.
    pub fn masked(mut self) -> Self {
        let mut noise = Noise(11);
        for (s, stage) in self.layer.stages().iter().enumerate() {
            for &source in &stage.sources {
                let values = noise.uniform(self.batch * self.layer.width_of(source), 1.5);
                self.masks.push((s, source, values));
            }
        }
        self
    }

    /// With every parameter moved by up to `part` of itself.
    pub fn nudged(mut self, part: f64, seed: u64) -> Self {
        let mut noise = Noise(seed);
        for values in &mut self.params {
            let by = noise.uniform::<F>(values.len(), part);
            values.iter_mut().zip(by).for_each(|(x, d)| *x = *x + *x * d);
        }
        self
    }

    /// The parameters as slices.
    pub fn params(&self) -> Vec<&[F]> {
        slices(&self.params)
    }

    /// The sequence.
    pub fn sequence(&self) -> Sequence<'_, F> {
        Sequence {
            steps: self.steps,
            batch: self.batch,
            input: match &self.ids {
                Some(ids) => Input::Tokens { ids, table: &self.input },
                None => Input::Dense(&self.input),
            },
            lengths: self.lengths.as_deref(),
            reverse: self.reverse,
            state: self.state.as_ref().map(|s| slices(s)),
            masks: self
                .masks
                .iter()
                .map(|(stage, source, values)| Mask { stage: *stage, source: *source, values })
                .collect(),
            feeds: slices(&self.feeds),
        }
    }

    /// Outputs and final states.
    pub fn forward(&self, runner: &mut dyn Runner<F>) -> Output<F> {
        runner.forward(&self.layer, &self.params(), &self.sequence())
    }

    /// All gradients.
    pub fn backward(&self, runner: &mut dyn Runner<F>) -> Gradients<F> {
        let d_state = self.d_state.as_ref().map(|s| slices(s));
        runner.backward(&self.layer, &self.params(), &self.sequence(), &self.d_y, d_state.as_deref())
    }

    /// Everything that gradients are taken by, in the order of [`named`].
    fn inputs_mut(&mut self) -> Vec<&mut Vec<F>> {
        let params = self.params.iter_mut();
        let state = self.state.iter_mut().flatten();
        let masks = self.masks.iter_mut().map(|m| &mut m.2);
        params.chain([&mut self.input]).chain(state).chain(masks).chain(&mut self.feeds).collect()
    }
}

fn slices<F>(list: &[Vec<F>]) -> Vec<&[F]> {
    list.iter().map(Vec::as_slice).collect()
}

/// All gradients of a problem with their names; those by the initial state only where the problem has one.
pub fn named<F: Element>(problem: &Problem<F>, gradients: &Gradients<F>) -> Vec<(String, Vec<F>)> {
    let layer = &problem.layer;
    let params = layer.parameters().iter().map(|p| p.name.clone()).zip(&gradients.params);
    let input = if problem.ids.is_some() { "embedding table" } else { "input" };
    let states = layer.carried().iter().map(|&v| format!("initial {}", layer.values()[v].name));
    let states = states.zip(&gradients.state).filter(|_| problem.state.is_some());
    let masks = problem.masks.iter().map(|(stage, source, _)| format!("mask on {source:?} of stage {stage}"));
    let feeds = (0..problem.feeds.len()).map(|f| format!("feed {f}"));
    let list = params.chain([(input.to_string(), &gradients.input)]).chain(states);
    list.chain(masks.zip(&gradients.masks)).chain(feeds.zip(&gradients.feeds)).map(|(n, g)| (n, g.clone())).collect()
}

/// What a check found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The cell cannot be made into a layer.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A check failed in one of the [`problems`].
    #[error("I = {}, H = {}, P = {}, {case}: {failure}", sizes.input, sizes.hidden, sizes.output)]
    Case {
        /// Name of the problem.
        case: &'static str,
        /// Sizes of the layer.
        sizes: Sizes,
        /// What failed.
        failure: Box<Failure>,
    },
    /// A gradient is not the central difference.
    #[error("{engine}: d {name}[{index}] is {gradient:e}, the central difference {difference:e}")]
    Gradient {
        /// The engine.
        engine: String,
        /// By what.
        name: String,
        /// Flat index in it.
        index: usize,
        /// What backward says.
        gradient: f64,
        /// What forward says.
        difference: f64,
    },
    /// Two tensors that should be equal are not.
    #[error("{what}[{index}] is {got:e}, expected {want:e}")]
    Different {
        /// Which tensor of which engine.
        what: String,
        /// Flat index in it.
        index: usize,
        /// What was found.
        got: f64,
        /// What it is compared with.
        want: f64,
    },
}

impl Failure {
    fn in_case(self, case: &'static str, sizes: Sizes) -> Failure {
        Failure::Case { case, sizes, failure: Box::new(self) }
    }
}

/// Compares every gradient of a problem with central differences of the same engine's forward pass: over all parameters
/// (per-unit ones included), the input or embedding table, the initial state, masks and feeds. Where two points do not agree,
/// four decide: the fourth-order difference of the same distance.
pub fn gradient_check(runner: &mut dyn Runner<f64>, problem: &Problem<f64>) -> Result<(), Failure> {
    let gradients = named(problem, &problem.backward(runner));
    let mut moved = problem.clone();
    for (n, (name, gradient)) in gradients.iter().enumerate() {
        for (index, &gradient) in gradient.iter().enumerate() {
            let middle = moved.inputs_mut()[n][index];
            let mut at = |value: f64| {
                moved.inputs_mut()[n][index] = value;
                moved.forward(runner)
            };
            let mut central = |eps: f64| {
                let (up, down) = (at(middle + eps), at(middle - eps));
                loss_difference(problem, &up, &down) / (2.0 * eps)
            };
            // Written so that NaN fails.
            let near =
                |difference: f64| (gradient - difference).abs() <= GRADIENT_ATOL + GRADIENT_RTOL * difference.abs();
            let mut difference = central(EPSILON);
            if !near(difference) {
                // A large third derivative (a normaliser of nearly equal numbers) cancels in four points.
                difference = (4.0 * difference - central(2.0 * EPSILON)) / 3.0;
            }
            at(middle);
            if !near(difference) {
                return Err(Failure::Gradient {
                    engine: runner.name(),
                    name: name.clone(),
                    index,
                    gradient,
                    difference,
                });
            }
        }
    }
    Ok(())
}

/// The difference of the losses `Σ y d_y + Σ state d_state` of two outputs, element by element: subtracting two sums
/// would lose digits. Beyond a row's length `d_y` has no effect, for y is zero there.
fn loss_difference(problem: &Problem<f64>, up: &Output<f64>, down: &Output<f64>) -> f64 {
    let dot = |up: &[f64], down: &[f64], d: &[f64]| -> f64 {
        up.iter().zip(down).zip(d).map(|((u, v), d)| (u - v) * d).sum()
    };
    let states = problem.d_state.iter().flatten().zip(&up.state).zip(&down.state).map(|((d, u), v)| dot(u, v, d));
    dot(&up.y, &down.y, &problem.d_y) + states.sum::<f64>()
}

/// Whether `got` is within `tolerance` of the largest value of `want`, everywhere; of 0.1 where that is smaller, since a sum
/// that is small by cancellation keeps the rounding of its terms, and these are around 1 in the problems here.
pub fn same<F: Element>(what: &str, got: &[F], want: &[F], tolerance: f64) -> Result<(), Failure> {
    assert_eq!(got.len(), want.len(), "length of {what}");
    let largest = want.iter().fold(0.1, |m: f64, w| m.max(w.to_f64().abs()));
    for (index, (g, w)) in got.iter().zip(want).enumerate() {
        let (got, want) = (g.to_f64(), w.to_f64());
        // Written so that NaN fails.
        let near = (got - want).abs() <= tolerance * largest;
        if !near {
            return Err(Failure::Different { what: what.to_string(), index, got, want });
        }
    }
    Ok(())
}

/// Outputs, final states and all gradients of a problem, by name.
pub fn results<F: Element>(runner: &mut dyn Runner<F>, problem: &Problem<F>) -> Vec<(String, Vec<F>)> {
    let out = problem.forward(runner);
    let states = out.state.into_iter().enumerate().map(|(s, values)| (format!("final state {s}"), values));
    let gradients = named(problem, &problem.backward(runner)).into_iter().map(|(name, d)| (format!("d {name}"), d));
    [("y".to_string(), out.y)].into_iter().chain(states).chain(gradients).collect()
}

/// For each of [`results`]: by how much the reference's moves, at most, when the parameters move by up to `part` of themselves.
///
/// It is the yardstick for layers that [magnify](magnifies): no engine can be nearer to another than rounding the parameters would bring it.
pub fn movement<F: Element>(problem: &Problem<F>, part: f64) -> Vec<f64> {
    let still = results(&mut Reference, problem);
    let mut moved = vec![0.0; still.len()];
    for seed in 1..=5 {
        for (most, ((_, a), (_, b))) in
            moved.iter_mut().zip(results(&mut Reference, &problem.clone().nudged(part, seed)).iter().zip(&still))
        {
            *most = a.iter().zip(b).fold(*most, |m: f64, (a, b)| m.max((a.to_f64() - b.to_f64()).abs()));
        }
    }
    moved
}

/// Whether matrices feed back values of two stages of the step before: a state, and an output made from it. A rounding then comes back twice,
/// and such a layer magnifies it from step to step.
pub fn magnifies(layer: &Layer) -> bool {
    let written = |place: &Place| match *place {
        Place::Before(v) => layer.stages().iter().position(|stage| stage.writes.contains(&v)),
        Place::Input | Place::Now(_) => None,
    };
    let mut stages = layer.stages().iter().flat_map(|stage| &stage.sources).filter_map(written);
    stages.next().is_some_and(|first| stages.any(|other| other != first))
}

/// How often the [`movement`] by one rounding of the parameters two engines may differ: each rounds at every operation of a step, some ten
/// in a row, where the movement has one rounding in each product.
const ROUNDINGS: f64 = 10.0;

/// Compares outputs, final states and all gradients of a problem on an engine with those of the reference.
pub fn engine_check<F: Element>(
    runner: &mut dyn Runner<F>,
    problem: &Problem<F>,
    tolerance: f64,
) -> Result<(), Failure> {
    let (got, want) = (results(runner, problem), results(&mut Reference, problem));
    let mut moved = None;
    for (k, ((name, got), (_, want))) in got.iter().zip(&want).enumerate() {
        let what = format!("{}: {name}", runner.name());
        let strict = same(&what, got, want, tolerance);
        if strict.is_err() {
            if !magnifies(&problem.layer) {
                return strict;
            }
            let rounding = if size_of::<F>() == 8 { f64::EPSILON } else { f64::from(f32::EPSILON) };
            let moved = moved.get_or_insert_with(|| movement(problem, rounding));
            let largest = want.iter().fold(0.1, |m: f64, w| m.max(w.to_f64().abs()));
            same(&what, got, want, tolerance.max(ROUNDINGS * moved[k] / largest))?;
        }
    }
    Ok(())
}

/// The problems that [`check_cell`] puts a layer through: every option at least once, also together.
pub fn problems<F: Element>(layer: &Layer) -> Vec<(&'static str, Problem<F>)> {
    let new = |seed| Problem::new(layer, 5, 4, seed);
    let lengths = [3, 0, 5, 1];
    vec![
        ("plain", new(1)),
        ("initial state", new(2).states()),
        ("reverse", new(3).states().reversed()),
        ("lengths", new(4).states().lengths(&lengths)),
        ("reverse, lengths", new(5).states().reversed().lengths(&lengths)),
        // Fewer tokens than steps, and more: the engine goes different ways.
        ("tokens", new(6).states().tokens(3).lengths(&lengths)),
        ("many tokens", new(7).states().tokens(25).reversed()),
        ("masks", new(8).states().masked()),
        ("masks, lengths, reverse", new(9).states().masked().lengths(&lengths).reversed()),
        ("masks, tokens", new(10).states().masked().tokens(3).lengths(&lengths)),
    ]
}

/// Whether a cell's equations have a kink, a rectifier's: near it a rounding of the sum decides which of two slopes the gradient has.
pub fn has_kink(cell: &dyn Cell) -> bool {
    (0..cell.spec().stages.len())
        .any(|k| StageGraph::of(cell, k).nodes.iter().any(|n| matches!(n, Node::Relu(_) | Node::Step(_))))
}

/// Puts a cell through everything: gradients against central differences on both engines; then the fused engine on every
/// instruction set, with one thread and two, against the reference at widths around those of the registers, in f64 and
/// f32.
///
/// The equations must be smooth where they are evaluated: a central difference over a kink is no derivative. At small sizes
/// a rectifier passes.
pub fn check_cell(cell: Arc<dyn Cell>) -> Result<(), Failure> {
    let small = Layer::new(cell.clone(), Sizes { input: 2, hidden: 3, output: 4 })?;
    for mut engine in engines::<f64>() {
        for (case, problem) in problems(&small) {
            gradient_check(&mut *engine, &problem).map_err(|f| f.in_case(case, small.sizes()))?;
        }
    }
    for (input, hidden, output) in [(2, 3, 4), (1, 1, 1), (3, 17, 5), (9, 31, 33)] {
        let layer = Layer::new(cell.clone(), Sizes { input, hidden, output })?;
        check_engines::<f64>(&layer, ENGINES_F64)?;
        check_engines::<f32>(&layer, ENGINES_F32)?;
    }
    Ok(())
}

/// By how much rounding may grow in a layer: a normaliser divides by the spread of its numbers, and of a few ones it may be
/// far below their size (the worst of the problems here needs 10; ε bounds it at 316).
pub fn conditioning(layer: &Layer) -> f64 {
    let few = |stage: usize| layer.stages()[stage].width < 16;
    let mut gains = layer.parameters().iter().filter(|p| p.role == Role::Gain).flat_map(|p| &p.blocks);
    if gains.any(|block| few(block.stage)) { 20.0 } else { 1.0 }
}

/// Every engine against the reference on all [`problems`] of a layer.
pub fn check_engines<F: Element>(layer: &Layer, tolerance: f64) -> Result<(), Failure> {
    let tolerance = tolerance * conditioning(layer);
    for mut runner in runners::<F>() {
        for (case, problem) in problems(layer) {
            engine_check(&mut *runner, &problem, tolerance).map_err(|f| f.in_case(case, layer.sizes()))?;
        }
    }
    Ok(())
}

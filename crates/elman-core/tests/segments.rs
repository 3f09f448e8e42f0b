//! A sequence in segments is the sequence: the same bits where no sum is cut, and within rounding where one is.

use elman_core::algebra::Element;
use elman_core::algebra::lanes::Isa;
use elman_core::engine::{Bf16Kernel, Engine, Gradients, Output, Recompute, SegmentWorkspace, Sequence};
use elman_core::testing::{Fused, Problem, Runner, gradient_check, named, problems, same};
use elman_core::{Layer, Sizes, cell, cells};
use std::sync::Arc;

cell! {
    /// Feeds in two stages of different widths.
    #[derive(Clone, Debug)]
    pub struct Fed = "test-fed" {}
    carry h, y; output y;
    stage 0 hidden {
        gate a = [x, h];
        read h;
        feed noise, keep;
    } -> h {
        h = keep * h + tanh(a + noise);
    }
    stage 1 output {
        gate b = [h, y];
        feed drop;
    } -> y {
        y = tanh(b) * drop;
    }
}

/// Every registered cell, and one with feeds.
fn layers(input: usize, hidden: usize, output: usize) -> Vec<(&'static str, Layer)> {
    let sizes = Sizes { input, hidden, output };
    let all = cells::REGISTRY.iter().map(|e| (e.name, (e.make)()));
    let all = all.chain([("test-fed", Arc::new(Fed {}) as _)]);
    all.map(|(name, cell)| (name, Layer::new(cell, sizes).unwrap())).collect()
}

/// The engine in segments. Workspace and results are used again from call to call, whatever the layer.
struct Segmented<F> {
    engine: Engine,
    recompute: Recompute,
    workspace: SegmentWorkspace<F>,
    output: Output<F>,
    gradients: Gradients<F>,
}

impl<F: Element> Segmented<F> {
    fn new(isa: Isa, threads: usize, recompute: Recompute) -> Self {
        Segmented {
            engine: Engine::with(isa, threads),
            recompute,
            workspace: SegmentWorkspace::new(),
            output: Output::default(),
            gradients: Gradients::default(),
        }
    }
}

impl<F: Element> Runner<F> for Segmented<F> {
    fn name(&self) -> String {
        format!("{}, {} threads, {:?}", self.engine.isa(), self.engine.threads(), self.recompute)
    }
    fn forward(&mut self, layer: &Layer, params: &[&[F]], seq: &Sequence<F>) -> Output<F> {
        let (workspace, output) = (&mut self.workspace, &mut self.output);
        self.engine.forward_in_segments(layer, params, seq, self.recompute, workspace, output).unwrap();
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
        self.forward(layer, params, seq);
        let (workspace, y, gradients) = (&mut self.workspace, &self.output.y, &mut self.gradients);
        self.engine.backward_in_segments(layer, params, seq, workspace, y, d_y, d_state, gradients);
        self.gradients.clone()
    }
}

/// Gradients by parameters, masks and embedding tables: sums over the steps that are cut at the segments. An element's sum has
/// at most some hundred terms here, of the size of the largest value.
const SUMS_F64: f64 = 1e-13;
/// The same in f32.
const SUMS_F32: f64 = 2e-6;
/// In f32, of 900 rows: the sums are ten times as long, and cancel to a fraction of their terms' size.
const LONG_SUMS_F32: f64 = 2e-5;

/// Compares a problem in segments with the whole.
fn check<F: Element>(what: &str, p: &Problem<F>, whole: &mut Fused<F>, parts: &mut Segmented<F>, tolerance: f64) {
    let what = format!("{what}, {}", parts.name());
    // Forward alone, then forward and backward, in the same workspace: the cache of another segment is in it.
    assert_eq!(p.forward(parts), p.forward(whole), "{what}: outputs and states");
    let (got, want) = (p.backward(parts), p.backward(whole));
    assert_eq!(got.state, want.state, "{what}: d initial state");
    assert_eq!(got.feeds, want.feeds, "{what}: d feeds");
    if p.ids.is_none() {
        assert_eq!(got.input, want.input, "{what}: d input");
    }
    assert_eq!((got.params.len(), got.masks.len()), (want.params.len(), want.masks.len()));
    for ((name, got), (_, want)) in named(p, &got).iter().zip(&named(p, &want)) {
        if let Err(failure) = same(&format!("{what}: d {name}"), got, want, tolerance) {
            panic!("{failure}");
        }
    }
}

fn segments<F: Element>(tolerance: f64) {
    let mut runs = Vec::new();
    for isa in Isa::available() {
        runs.push((isa, 1, 2));
    }
    // The problems have T = 5.
    for segment in [1, 3, 5, 9] {
        runs.extend([(Isa::detect(), 1, segment), (Isa::detect(), 2, segment)]);
    }
    for (isa, threads, segment) in runs {
        let mut whole = Fused::new(isa, threads);
        let mut parts = Segmented::new(isa, threads, Recompute::Every(segment));
        for (name, layer) in layers(3, 17, 5) {
            for (case, problem) in problems::<F>(&layer) {
                check(&format!("{name}, {case}"), &problem, &mut whole, &mut parts, tolerance);
            }
        }
    }
}

#[test]
fn every_cell_in_segments_is_the_whole() {
    segments::<f32>(SUMS_F32);
    segments::<f64>(SUMS_F64);
}

fn many_rows<F: Element>(tolerance: f64) {
    let lengths = [90, 3, 70, 0, 41, 90, 88, 17, 1, 60];
    let isa = Isa::detect();
    let mut whole = Fused::new(isa, 1);
    for segment in [7, 32] {
        let mut parts = Segmented::new(isa, 1, Recompute::Every(segment));
        for (name, layer) in layers(3, 5, 4) {
            for (case, p) in [
                ("plain", Problem::<F>::new(&layer, 90, 10, 1)),
                ("states", Problem::new(&layer, 90, 10, 2).states().reversed()),
                ("masks", Problem::new(&layer, 90, 10, 3).states().lengths(&lengths).reversed().masked()),
                // In some segments as many tokens as rows are folded into the table, in others not.
                ("tokens", Problem::new(&layer, 90, 10, 4).states().lengths(&lengths).tokens(100)),
                ("no steps", Problem::new(&layer, 90, 10, 5).states().lengths(&[0; 10])),
            ] {
                check(&format!("{name}, {case}"), &p, &mut whole, &mut parts, tolerance);
            }
        }
    }
}

/// More rows than the engine's chunks hold, with segments that no row reaches.
#[test]
fn long_batches_in_segments_are_the_whole() {
    many_rows::<f32>(LONG_SUMS_F32);
    many_rows::<f64>(SUMS_F64);
}

#[test]
fn gradients_are_central_differences() {
    for name in ["lstm-peephole", "gru"] {
        let cell = (cells::find(name).unwrap().make)();
        let layer = Layer::new(cell, Sizes { input: 2, hidden: 3, output: 4 }).unwrap();
        for segment in [1, 2] {
            let mut runner = Segmented::new(Isa::detect(), 1, Recompute::Every(segment));
            for (case, problem) in problems(&layer) {
                if let Err(failure) = gradient_check(&mut runner, &problem) {
                    panic!("{name}, {case}: {failure}");
                }
            }
        }
    }
}

/// Backward may be called again: it runs the last segment once more.
#[test]
fn backward_twice_is_backward() {
    let (_, layer) = &layers(3, 5, 4)[0];
    let p = Problem::<f64>::new(layer, 7, 2, 1).states();
    let mut parts = Segmented::new(Isa::detect(), 1, Recompute::Every(3));
    let first = p.backward(&mut parts);
    let d_state: Vec<&[f64]> = p.d_state.iter().flatten().map(Vec::as_slice).collect();
    let Segmented { engine, workspace, output, gradients, .. } = &mut parts;
    let (params, seq) = (p.params(), p.sequence());
    engine.backward_in_segments(layer, &params, &seq, workspace, &output.y, &p.d_y, Some(&d_state), gradients);
    assert_eq!(*gradients, first);
}

#[test]
#[should_panic(expected = "needs the workspace of forward_in_segments")]
fn backward_without_its_forward() {
    let (_, layer) = &layers(3, 5, 4)[0];
    let p = Problem::<f64>::new(layer, 7, 2, 1);
    let mut parts = Segmented::new(Isa::detect(), 1, Recompute::Every(3));
    p.forward(&mut parts);
    let longer = Problem::<f64>::new(layer, 8, 2, 1);
    let Segmented { engine, workspace, output, gradients, .. } = &mut parts;
    let (params, seq) = (p.params(), longer.sequence());
    engine.backward_in_segments(layer, &params, &seq, workspace, &output.y, &longer.d_y, None, gradients);
}

/// What a budget allows is what is held, whatever the cell and the options; and a pass like the last allocates nothing.
fn budget<F: Element>() {
    const T: usize = 400;
    let isa = Isa::detect();
    for (name, layer) in layers(9, 33, 17) {
        let new = |seed| Problem::<F>::new(&layer, T, 5, seed).states();
        let lengths = [T, 7, 0, T, 123];
        for (case, p) in [
            ("dense", new(1)),
            ("reverse, lengths", new(2).reversed().lengths(&lengths)),
            ("few tokens", new(3).tokens(60).lengths(&lengths)),
            ("many tokens", new(4).tokens(3000)),
            ("masks", new(5).masked()),
        ] {
            let extent = p.sequence().extent(&layer);
            let error = Recompute::Budget(0).segment::<F>(isa, &layer, &extent).unwrap_err();
            assert!((1..T).contains(&error.segment), "{name}, {case}: {error}");
            for bytes in [error.least, error.least * 5 / 4, error.least * 2, usize::MAX] {
                let mut parts = Segmented::<F>::new(isa, 1, Recompute::Budget(bytes));
                let segment = parts.recompute.segment::<F>(isa, &layer, &extent).unwrap();
                p.backward(&mut parts);
                let held = parts.workspace.bytes();
                let what = format!("{name}, {case}, budget {bytes}");
                assert_eq!(parts.workspace.segment(), Some(segment), "{what}");
                assert!(held <= bytes, "{what}: {held} bytes are held");
                if bytes == error.least {
                    // The estimate counts both ways of the input, and lists at twice their length.
                    assert!(held as f64 >= 0.6 * bytes as f64, "{what}: only {held} bytes are held");
                }
                p.backward(&mut parts);
                assert_eq!(parts.workspace.bytes(), held, "{what}: the second pass");
            }
            // Weights packed in pairs take no more, and with so few rows nothing else is.
            let mut mixed = Segmented::<F>::new(isa, 1, Recompute::Budget(error.least));
            mixed.engine = mixed.engine.with_bf16(Bf16Kernel::Plain);
            p.backward(&mut mixed);
            let held = mixed.workspace.bytes();
            assert!(held <= error.least, "{name}, {case}, budget {}: {held} bytes are held in bf16", error.least);
            let tight = Recompute::Budget(error.least - 1);
            let mut parts = Segmented::<F>::new(isa, 1, tight);
            let result = parts.engine.forward_in_segments(
                &layer,
                &p.params(),
                &p.sequence(),
                tight,
                &mut parts.workspace,
                &mut parts.output,
            );
            assert_eq!(result.unwrap_err().least, error.least, "{name}, {case}");
        }
    }
}

#[test]
fn a_budget_is_kept() {
    budget::<f32>();
    budget::<f64>();
}

/// With many rows a step sources are converted to pairs as well, which takes room of its own, most beside the weights of a single gate.
#[test]
fn a_budget_is_kept_in_mixed_precision() {
    for cell in ["elman", "unit-feedback", "lstm"] {
        for (hidden, batch) in [(128, 16), (128, 33), (40, 20)] {
            let layer = Layer::new((cells::find(cell).unwrap().make)(), Sizes::new(hidden, hidden)).unwrap();
            let new = |seed| Problem::<f32>::new(&layer, 90, batch, seed).states();
            let lengths: Vec<usize> = (0..batch).map(|row| [90, 61, 90, 7][row % 4]).collect();
            for p in [new(1), new(2).masked(), new(3).lengths(&lengths), new(4).tokens(30)] {
                for isa in Isa::available().into_iter().filter(|&isa| Bf16Kernel::Plain.fits(isa)) {
                    let least = Recompute::Budget(0).segment::<f32>(isa, &layer, &p.sequence().extent(&layer));
                    for bytes in [least.unwrap_err().least, usize::MAX] {
                        let mut mixed = Segmented::<f32>::new(isa, 2, Recompute::Budget(bytes));
                        mixed.engine = mixed.engine.with_bf16(Bf16Kernel::Plain);
                        p.backward(&mut mixed);
                        let held = mixed.workspace.bytes();
                        assert!(
                            held <= bytes,
                            "{cell}, {hidden} units, {batch} rows, budget {bytes}: {held} bytes are held"
                        );
                    }
                }
            }
        }
    }
}

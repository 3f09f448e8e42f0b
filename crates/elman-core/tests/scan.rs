//! The parallel scan over time gives what steps give: outputs, states, gradients; and refuses what is not linear.

use elman_core::algebra::Element;
use elman_core::algebra::lanes::Isa;
use elman_core::engine::{Engine, Gradients, NotLinear, Output, Scan, Sequence};
use elman_core::testing::{ENGINES_F32, ENGINES_F64, Problem, Runner, engine_check, gradient_check, problems};
use elman_core::{Layer, Sizes, cells};

/// The scan as one more way to run a layer.
struct Scanned(Engine);

impl<F: Element> Runner<F> for Scanned {
    fn name(&self) -> String {
        format!("scan, {}, {} threads", self.0.isa(), self.0.threads())
    }
    fn forward(&mut self, layer: &Layer, params: &[&[F]], seq: &Sequence<F>) -> Output<F> {
        Scan::new(layer).unwrap().forward(&self.0, params, seq)
    }
    fn backward(
        &mut self,
        layer: &Layer,
        params: &[&[F]],
        seq: &Sequence<F>,
        d_y: &[F],
        d_state: Option<&[&[F]]>,
    ) -> Gradients<F> {
        Scan::new(layer).unwrap().backward(&self.0, params, seq, d_y, d_state)
    }
}

fn layer(cell: &str, sizes: Sizes) -> Layer {
    Layer::new((cells::find(cell).unwrap().make)(), sizes).unwrap()
}

const LINEAR: [&str; 4] = ["unit-feedback", "min-gru", "min-lstm", "lru"];

#[test]
fn linear_cells_are_known_by_their_equations() {
    for entry in cells::REGISTRY {
        let scan = Scan::new(&layer(entry.name, Sizes::new(2, 3)));
        assert_eq!(scan.is_ok(), LINEAR.contains(&entry.name), "{}: {:?}", entry.name, scan.err());
    }
    let refused = |cell| Scan::new(&layer(cell, Sizes::new(2, 3))).unwrap_err();
    assert_eq!(refused("lstm"), NotLinear::RecurrentProduct { cell: "lstm", gate: "i" });
    assert_eq!(refused("indrnn"), NotLinear::Equations { cell: "indrnn" });
    assert_eq!(refused("gru-layer-norm"), NotLinear::Unsupported { cell: "gru-layer-norm" });
}

/// All sizes and options that a scan has, odd and even numbers of steps, on every instruction set, with one thread and two.
fn equal<F: Element>(tolerance: f64) {
    for cell in LINEAR {
        for (input, hidden, output) in [(1, 1, 1), (3, 17, 5), (31, 33, 40)] {
            let layer = layer(cell, Sizes { input, hidden, output });
            let mut all: Vec<(String, Problem<F>)> = problems(&layer)
                .into_iter()
                .filter(|(_, problem)| problem.masks.is_empty())
                .map(|(name, problem)| (name.to_string(), problem))
                .collect();
            for steps in [1, 2, 3, 16, 37] {
                all.push((format!("T = {steps}"), Problem::new(&layer, steps, 3, 1).states()));
            }
            for isa in Isa::available() {
                for threads in [1, 2] {
                    let mut scan = Scanned(Engine::with(isa, threads));
                    for (case, problem) in &all {
                        if let Err(failure) = engine_check(&mut scan, problem, tolerance) {
                            panic!("{cell}, I = {input}, H = {hidden}, P = {output}, {case}: {failure}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_scan_is_the_steps_f64() {
    equal::<f64>(ENGINES_F64);
}

#[test]
fn a_scan_is_the_steps_f32() {
    equal::<f32>(ENGINES_F32);
}

#[test]
fn its_gradients_are_exact() {
    for cell in LINEAR {
        let layer = layer(cell, Sizes { input: 2, hidden: 3, output: 4 });
        for (case, problem) in problems(&layer).into_iter().filter(|(_, problem)| problem.masks.is_empty()) {
            if let Err(failure) = gradient_check(&mut Scanned(Engine::new(1)), &problem) {
                panic!("{cell}, {case}: {failure}");
            }
        }
    }
}

//! Gradients of every cell, option and engine against central differences in f64.

use elman_core::algebra::Activation;
use elman_core::cells::DeepTransition;
use elman_core::layer::Role;
use elman_core::testing::{self, Problem, Reference, engines, gradient_check, problems, runners};
use elman_core::{Cell, Layer, Sizes, cell, cells, without_bias};
use std::sync::Arc;

cell! {
    /// Everything that the contract allows at once: a gate with no source, gates with three, one without a bias, feeds,
    /// per-unit parameters, three stages of two widths, values of this step and of the step before, hyper-parameters.
    #[derive(Clone, Debug)]
    pub struct Everything = "test-everything" { activation: Activation, leak: f64 }
    carry h, c, y; output y;
    stage 0 hidden {
        gate a = [x, h, c];
        gate b = [];
        gate d = [h; no bias];
        gate e = [x, y];
        read c, h;
        unit p, q;
        feed noise, keep;
    } -> m, c {
        k = sigmoid(keep + p * c);
        c = k * c + (ONE - k) * activation.of(a + noise);
        m = tanh(d * b + q * c) / (ONE + exp(e)) - K(*leak) * h;
    }
    stage 1 output {
        gate u = [m, x, y];
        read y;
        unit r;
        feed drop;
    } -> y {
        y = sigmoid(u * drop) + K(*leak) * r * y;
    }
    stage 2 hidden {
        gate v, w = [y, m, c];
        read m, c;
    } -> h {
        h = tanh(v + m) * sigmoid(-w) + K(0.5) * c;
    }
}

cell! {
    /// No recurrent product and no input: carried values that only decay, driven by a bias.
    #[derive(Clone, Debug)]
    pub struct Bare = "test-bare" {}
    carry s; output s;
    stage 0 hidden {
        gate a = [];
        read s;
        unit decay;
    } -> s {
        s = sigmoid(decay) * s + tanh(a);
    }
}

fn contract_cells() -> Vec<Arc<dyn Cell>> {
    vec![
        Arc::new(Everything { activation: Activation::Tanh, leak: 0.3 }),
        Arc::new(Everything { activation: Activation::Sigmoid, leak: 0.7 }),
        Arc::new(Bare {}),
    ]
}

/// H larger than, equal to and smaller than P, so that no two widths can be mistaken for each other.
const SIZES: [(usize, usize, usize); 2] = [(2, 3, 4), (4, 3, 2)];

fn check(name: &str, cell: Arc<dyn Cell>) {
    for (input, hidden, output) in SIZES {
        let layer = Layer::new(cell.clone(), Sizes { input, hidden, output }).unwrap();
        for (case, problem) in problems(&layer) {
            for mut engine in engines() {
                if let Err(failure) = gradient_check(&mut *engine, &problem) {
                    panic!("{name}, I = {input}, H = {hidden}, P = {output}, {case}: {failure}");
                }
            }
        }
    }
}

#[test]
fn registered_cells() {
    for entry in cells::REGISTRY {
        check(entry.name, (entry.make)());
    }
}

#[test]
fn the_contract_in_full_width() {
    for cell in contract_cells() {
        check(&format!("{cell:?}"), cell);
    }
}

/// Cells that have no bias to leave out: `bias=off` is the cell itself.
const NEVER_A_BIAS: &[&str] = &["lru"];

#[test]
fn cells_without_biases() {
    for cells::Entry { name, make: find, .. } in cells::REGISTRY {
        check(&format!("{name} without bias"), without_bias(find()));

        // It computes what the cell computes with zero biases.
        let sizes = Sizes { input: 3, hidden: 5, output: 2 };
        let (with, without) = (Layer::new(find(), sizes).unwrap(), Layer::new(without_bias(find()), sizes).unwrap());
        assert!(without.parameters().iter().all(|p| p.role != Role::Bias), "{name}");
        assert_eq!(with.parameters() == without.parameters(), NEVER_A_BIAS.contains(name), "{name}");
        let mut p = Problem::<f64>::new(&with, 4, 2, 1);
        for (parameter, values) in with.parameters().iter().zip(&mut p.params) {
            if parameter.role == Role::Bias {
                values.fill(0.0);
            }
        }
        let mut q = Problem { layer: without.clone(), ..p.clone() };
        q.params = with
            .parameters()
            .iter()
            .zip(&p.params)
            .filter(|(a, _)| a.role != Role::Bias)
            .map(|(_, v)| v.clone())
            .collect();
        assert_eq!(p.forward(&mut Reference).y, q.forward(&mut Reference).y, "{name}");
    }
}

/// Parameters are named apart whatever the sources' widths.
#[test]
fn every_gate_has_its_own_rows() {
    for cell in contract_cells() {
        let layer = Layer::new(cell, Sizes { input: 2, hidden: 3, output: 4 }).unwrap();
        for parameter in layer.parameters() {
            let rows: usize = parameter.blocks.iter().map(|b| layer.stages()[b.stage].width).sum();
            assert_eq!(rows, parameter.rows, "{}", parameter.name);
            for block in parameter.blocks.iter().filter(|_| parameter.shape().len() == 2) {
                let source = layer.stages()[block.stage].gates[block.gate][block.source];
                assert_eq!(layer.width_of(source), parameter.cols, "{}", parameter.name);
            }
        }
    }
}

#[test]
fn a_users_cell_in_one_call() {
    testing::check_cell(Arc::new(Everything { activation: Activation::Tanh, leak: 0.3 })).unwrap();
}

/// The first deck's unit feedback: the Jacobian from state to state is the identity, so that the gradient by the first state is the sum of those by
/// all outputs and the last state, to the bit.
#[test]
fn unit_feedback_hands_the_gradient_on_unchanged() {
    let layer = Layer::new((cells::find("unit-feedback").unwrap().make)(), Sizes::new(3, 5)).unwrap();
    let problem = Problem::<f64>::new(&layer, 9, 1, 4).states();
    for mut engine in engines::<f64>() {
        let got = problem.backward(&mut *engine).state;
        let mut want = problem.d_state.as_ref().unwrap()[0].clone();
        for step in (0..9).rev() {
            want.iter_mut().zip(&problem.d_y[step * 5..][..5]).for_each(|(sum, d)| *sum += d);
        }
        assert_eq!(got, [want]);
    }
}

/// The fourth deck's "error propagation path will increase by factor l": with nothing but zeros in the network the slope of tanh is 1, and with w
/// times the identity for each of N matrices of a step the error comes back over T steps times w^(N T).
#[test]
fn the_error_path_grows_by_the_layers_of_a_step() {
    let (steps, w) = (6, 0.9f64);
    for layers in (2..=8).chain([64]) {
        let layer = Layer::new(DeepTransition::with_layers(layers).unwrap(), Sizes::new(2, 3)).unwrap();
        let mut p = Problem::<f64>::new(&layer, steps, 1, 1).states();
        p.input.fill(0.0);
        p.d_y.fill(0.0);
        p.state.iter_mut().flatten().for_each(|state| state.fill(0.0));
        let mut squares = 0;
        for (values, parameter) in p.params.iter_mut().zip(layer.parameters()) {
            values.fill(0.0);
            if parameter.cols == 3 {
                (0..parameter.rows).for_each(|row| values[row * 3 + row % 3] = w);
                squares += parameter.rows / 3;
            }
        }
        assert_eq!(squares, layers);
        let sent = p.d_state.clone().unwrap();
        for runner in &mut runners() {
            let got = p.backward(&mut **runner).state;
            let factor = w.powi((layers * steps) as i32);
            for (got, sent) in got[0].iter().zip(&sent[0]) {
                assert!((got - factor * sent).abs() < 1e-14, "{layers} layers, {}", runner.name());
            }
        }
    }
}

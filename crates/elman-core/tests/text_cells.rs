//! Cells from texts: every registered cell out of its own description, and odd ones written by hand.

use elman_core::algebra::Element;
use elman_core::algebra::lanes::Isa;
use elman_core::cell::{Normaliser, Width};
use elman_core::describe::{self, Notation};
use elman_core::testing::{self, Fused, Problem, Reference, Runner, named};
use elman_core::text_cell;
use elman_core::{Cell, Layer, Sizes, cells};
use std::sync::Arc;

const SIZES: [Sizes; 3] = [
    Sizes { input: 2, hidden: 3, output: 4 },
    Sizes { input: 3, hidden: 17, output: 5 },
    // H = I = P, where parameters could be mistaken for each other.
    Sizes { input: 16, hidden: 16, output: 16 },
];

fn layer(cell: &Arc<dyn Cell>, sizes: Sizes) -> Layer {
    Layer::new(cell.clone(), sizes).unwrap()
}

fn described(cell: &Arc<dyn Cell>) -> String {
    describe::text(&layer(cell, SIZES[0]), Notation::Elman).unwrap()
}

#[track_caller]
fn parse(text: &str) -> Arc<dyn Cell> {
    match text_cell::parse(text) {
        Ok(cell) => cell,
        Err(error) => panic!("{error}\n{text}"),
    }
}

/// Outputs, states and all gradients are the same bits, on the reference and on each instruction set.
fn same_bits<F: Element>(name: &str, ours: &Layer, theirs: &Layer) {
    let fused = Isa::available().into_iter().map(|isa| Box::new(Fused::new(isa, 2)) as Box<dyn Runner<F>>);
    let mut list: Vec<Box<dyn Runner<F>>> = vec![Box::new(Reference)];
    list.extend(fused);
    for runner in &mut list {
        let runner: &mut dyn Runner<F> = &mut **runner;
        for problem in [
            Problem::<F>::new(theirs, 5, 19, 2).states().tokens(25).reversed(),
            Problem::new(theirs, 5, 4, 9).states().masked().lengths(&[3, 0, 5, 1]),
        ] {
            let other = Problem { layer: ours.clone(), ..problem.clone() };
            let what = format!("{name}, {:?}, {}", theirs.sizes(), runner.name());
            let (got, want) = (other.forward(runner), problem.forward(runner));
            assert_eq!(got.y, want.y, "{what}");
            assert_eq!(got.state, want.state, "{what}");
            let got = named(&other, &other.backward(runner));
            assert_eq!(got, named(&problem, &problem.backward(runner)), "{what}");
        }
    }
}

/// The description of a cell is the cell: parameters, carried values, output, and every number to the bit, on each engine and
/// instruction set, in f64 and f32. No registered cell is left out.
#[test]
fn every_registered_cell_comes_back_from_its_description() {
    for entry in cells::REGISTRY {
        let cell = (entry.make)();
        let again = parse(&described(&cell));
        let (got, want) = (again.spec(), cell.spec());
        assert_eq!((got.name, got.carry, got.output), (want.name, want.carry, want.output));
        assert_eq!(got.source, want.source, "{}", entry.name);
        for sizes in SIZES {
            let (ours, theirs) = (layer(&again, sizes), layer(&cell, sizes));
            let shapes = |l: &Layer| -> Vec<_> {
                l.parameters()
                    .iter()
                    .map(|p| (p.name.clone(), p.role, p.shape(), p.blocks.len(), l.initial_draw(p)))
                    .collect()
            };
            assert_eq!(shapes(&ours), shapes(&theirs), "{}", entry.name);
            assert_eq!(ours.state_widths(), theirs.state_widths());
            same_bits::<f64>(entry.name, &ours, &theirs);
            same_bits::<f32>(entry.name, &ours, &theirs);
        }
    }
}

/// A text cell is described like any other, and its description is the cell again, to the letter.
#[test]
fn descriptions_of_text_cells_are_texts_too() {
    for (name, text) in ODD {
        let cell = parse(text);
        let again = parse(&described(&cell));
        assert_eq!(described(&again), described(&cell), "{name}");
        let sizes = SIZES[1];
        same_bits::<f64>(name, &layer(&again, sizes), &layer(&cell, sizes));
    }
}

/// Gradients against central differences, and every engine against the reference.
#[test]
fn odd_cells_have_exact_gradients() {
    for (name, text) in ODD {
        if let Err(failure) = testing::check_cell(parse(text)) {
            panic!("{name}: {failure}");
        }
    }
}

/// Cells as nobody has made them, with every construct at least once.
const ODD: &[(&str, &str)] = &[
    (
        "every operation",
        "odd
Forward
  # a comment, ASCII signs, steps in brackets, a number with an exponent
  a_t = 2 * tanh(W_ax x(t) + U_ah h(t-1) + b_a)^2 - 5e-1 sigmoid(-p * c(t-1))
  k_t = [a_t > 0] * a_t / (1.5 + exp(-(h_{t-1}²)))
  c_t = k_t + 0.25 c_{t-1} − (W_kh h_{t-1})
  h_t = relu(c_t) ⊙ p + α × c_t ∘ β
",
    ),
    (
        "a bias alone, a bias first, a product that is subtracted",
        "biases
Forward
  s_t = sigmoid(b_s) * s_{t-1} + tanh(q)
  h_t = tanh(b_h + W_hs s_{t-1} - W_hh h_{t-1}) + s_t
",
    ),
    (
        "a matrix of a parameter, a bias alone beside a product, an index that spells a Greek letter",
        "alone
Forward
  r_t = tanh(W_rx x_t + W_rp p + b_r)
  h_t = b_new * h_{t-1} + p_i * (W_hr r_t + b_h)
",
    ),
    (
        "matrices of products, twice the same one, one inside another",
        "deep
Forward
  r_t = σ(W_rx x_t + W_rh h_{t-1})
  n_t = tanh(W_n (r_t * h_{t-1}) + W_nx x_t)
  m_t = tanh(W_m (r_t * h_{t-1}) + W_mm (n_t * (W_mr r_t + b_m)))
  h_t = n_t + m_t
",
    ),
    (
        "two widths and a normaliser of each kind",
        "wide
Forward
  c_t = tanh(γ_c * norm(W_cx x_t + W_cy y_{t-1}) + b_c + U_cc c_{t-1})
  g_t = 1
  y_t = 0.5 y_{t-1} + tanh(W_yc c_t + b_y) * g_t
  q_t = tanh(gamma_q * norm(c_t)) - c_t
  h_t = q_t + W_hy y_t
Shapes
  y_t (B, P)  # fed back
",
    ),
    (
        "former values after the new ones",
        "former
Forward
  c_t = tanh(W_cx x_t + W_ch h_{t-1} + b_c) + 0.5 c_{t-1}
  d_t = tanh(W_dc c_t + W_d c_{t-1} + b_d) - c_{t-1}
  h_t = tanh(W_hd d_t) + 0.1 c_{t-1} * h_{t-1}
",
    ),
    ("nothing but a number", "one\nForward\n  h_t = 1\n"),
    (
        "no matrix and no input",
        "bare
Forward
  s_t = 0.5 s_{t-1} + p * y_{t-1}
  y_t = tanh(s_t) - y_{t-1} / 2
Shapes
  y_t (B, P) output
",
    ),
    (
        "an output with another name, a prime and subscripts",
        "named
Forward
  z'_t = sigmoid(W_zx x_t + W_{z,y} y_{o,t-1})
  y_{o,t} = z'_t * y_{o,t-1} + (1 - z'_t) * tanh(W_y x_t)
Shapes
  y_{o,t} (B, H) output
",
    ),
];

/// Sums become gates, equations stages; names, widths and order are as written.
#[test]
fn a_text_becomes_the_contract_that_it_says() {
    let cell = parse(
        "my-cell
A title.

More of it.

Source: Somebody, \"Of cells\", 2020,
equation 3.
Forward
  f_t = σ(W_fx x_t + W_fh h_{t-1}
          + p ⊙ c_{t-1} + b_f)
  c_t = f_t ⊙ c_{t-1} + (1 − f_t) ⊙ tanh(W_cx x_t + b_cx + f_t ⊙ (γ_c ⊙ norm(W_ch h_{t-1}) + b_ch))
  h_t = W_hc (f_t ⊙ c_t)
Shapes
  h_t (B, P) output
",
    );
    let spec = cell.spec();
    assert_eq!((spec.name, spec.doc), ("my-cell", "A title.\n\nMore of it."));
    assert_eq!(spec.source, "Somebody, \"Of cells\", 2020, equation 3");
    assert_eq!((spec.carry, spec.output), (&["h", "c"][..], "h"));
    let [first, second] = spec.stages else { panic!("{spec:?}") };
    let gates: Vec<_> = first.gates.iter().map(|g| (g.name, g.sources, g.bias, g.normaliser)).collect();
    assert_eq!(
        gates,
        [
            ("f", &["x", "h"][..], true, Normaliser::None),
            ("cx", &["x"][..], true, Normaliser::None),
            ("ch", &["h"][..], true, Normaliser::Sum),
        ]
    );
    assert_eq!(
        (first.width, first.reads, first.units, first.writes),
        (Width::Hidden, &["c"][..], &["p"][..], &["c", "fc"][..])
    );
    assert_eq!((second.width, second.gates[0].sources, second.gates[0].bias), (Width::Output, &["fc"][..], false));
    let parameters: Vec<String> = layer(&cell, SIZES[0]).parameters().iter().map(|p| p.name.clone()).collect();
    let want = ["weight_ih", "weight_hh", "weight_hr", "bias_ih", "bias_hh", "weight_ln", "weight_p"];
    assert_eq!(parameters, want);
}

/// Where a description's list of parameters has another order than the equations, files keep that order.
#[test]
fn the_order_of_parameters_is_that_of_the_list() {
    let equations =
        "two\nForward\n  a_t = tanh(W_ax x_t + b_a)\n  h_t = a_t * sigmoid(W_gx x_t + W_gh h_{t-1} + b_g)\n";
    let first = |text: &str| parse(text).spec().stages[0].gates.iter().map(|g| g.name).collect::<Vec<_>>();
    assert_eq!(first(equations), ["a", "h"]);
    assert_eq!(first(&format!("{equations}Parameters\n  weight_ih  (2H, I)  W_gx; W_ax\n")), ["h", "a"]);
}

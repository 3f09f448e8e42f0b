//! The printed equations are checked twice: as text against the papers and decks, and as numbers against the cells.

use super::math::{Formula, Function, Math};
use super::notation::Matrices;
use super::symbols::Symbols;
use super::write::Writer;
use super::{Notation, NotationError, equations, graph_dot, graph_svg, latex, sizes, text};
use crate::Layer;
use crate::algebra::expression::ArgumentKind;
use crate::cell::Normaliser;
use crate::cell::{Cell, Pointwise};
use crate::cells::{REGISTRY, find};
use crate::layer::{Place, Role, Sizes};
use std::collections::HashMap;
use std::sync::Arc;

crate::cell! {
    /// A cell that uses what the registry's cells do not: every operation, a feed, literals, a shared gate, a second stage
    /// whose names come from the first.
    #[derive(Clone, Debug)]
    struct Odd = "odd" { rate: f64 }
    carry h, q; output q;
    stage 0 hidden {
        gate a, b = [x, h];
        gate k = [h; no bias];
        gate u = [];
        read h;
        unit alpha, leak;
        feed m;
    } -> h, v {
        s = exp(-a * a) / (ONE + exp(b));
        v = s * k - relu(k) + k;
        s = K(*rate) * s - K(0.5) * u;
        h = (ONE - alpha) * h + alpha * (s * v) * m - leak;
    }
    stage 1 output {
        gate s = [x, v, h];
        gate c = [q];
        read q;
    } -> q {
        q = tanh(s + q) * q - sigmoid(c) * -q;
    }
}

fn layer_of(cell: Arc<dyn Cell>) -> Layer {
    Layer::new(cell, Sizes { input: 3, hidden: 5, output: 2 }).expect("a valid layer")
}

fn layer(name: &str) -> Layer {
    layer_of((find(name).expect("a registered cell").make)())
}

fn lines(name: &str, notation: Notation, make: impl Fn(&Symbols) -> Vec<Vec<Formula>>) -> Vec<String> {
    let layer = layer(name);
    let symbols = Symbols::new(&layer, notation).expect("a notation that has the cell");
    let writer = symbols.writer(false);
    make(&symbols).iter().flatten().map(|f| writer.formula(f)).collect()
}

fn forward(name: &str, notation: Notation) -> Vec<String> {
    lines(name, notation, equations::forward)
}

#[test]
fn lstm_forward() {
    assert_eq!(
        forward("lstm", Notation::Elman),
        [
            "i_t = σ(W_ix x_t + W_ih h_{t-1} + b_i)",
            "f_t = σ(W_fx x_t + W_fh h_{t-1} + b_f)",
            "g_t = tanh(W_gx x_t + W_gh h_{t-1} + b_g)",
            "o_t = σ(W_ox x_t + W_oh h_{t-1} + b_o)",
            "c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t",
            "h_t = o_t ⊙ tanh(c_t)",
        ]
    );
}

#[test]
fn lstm_backward() {
    // The first deck's derivation in its letters (there: a for the block input, δI = Wᵀ δz split into its sources).
    let got = lines("lstm", Notation::Sharif, equations::backward);
    let want = [
        "δo^t = δh^t ⊙ tanh(c^t)",
        "δc^t += δh^t ⊙ o^t ⊙ (1 − tanh²(c^t))",
        "δi^t = δc^t ⊙ a^t",
        "δa^t = δc^t ⊙ i^t",
        "δf^t = δc^t ⊙ c^{t-1}",
        "δô^t = δo^t ⊙ o^t ⊙ (1 − o^t)",
        "δâ^t = δa^t ⊙ (1 − (a^t)²)",
        "δf̂^t = δf^t ⊙ f^t ⊙ (1 − f^t)",
        "δî^t = δi^t ⊙ i^t ⊙ (1 − i^t)",
        "δc^{t-1} += δc^t ⊙ f^t",
        "δx^t = W_iᵀ δî^t + W_fᵀ δf̂^t + W_cᵀ δâ^t + W_oᵀ δô^t",
        "δh^{t-1} += U_iᵀ δî^t + U_fᵀ δf̂^t + U_cᵀ δâ^t + U_oᵀ δô^t",
        "δW_i += δî^t (x^t)ᵀ",
        "δU_i += δî^t (h^{t-1})ᵀ",
        "δb_i += δî^t",
    ];
    assert_eq!(got[..want.len()], want);
    assert_eq!(got.len(), want.len() + 9, "three more gates with two matrices and a bias each");
}

#[test]
fn peepholes_are_inside_the_gates() {
    let got = forward("lstm-peephole", Notation::Elman);
    assert_eq!(got[0], "i_t = σ(W_ix x_t + W_ih h_{t-1} + b_i + p_i ⊙ c_{t-1})");
    assert_eq!(got[4], "o_t = σ(W_ox x_t + W_oh h_{t-1} + b_o + p_o ⊙ c_t)");
    // "LSTM: a search space odyssey" on the first deck: ī = W x + R y + p ⊙ c + b.
    let bars = lines("lstm-peephole", Notation::Sharif, equations::gates);
    assert_eq!(bars[0], "ī^t = W_i x^t + R_i y^{t-1} + b_i + p_i ⊙ c^{t-1}");
    let back = lines("lstm-peephole", Notation::Elman, equations::backward);
    assert!(back.contains(&"δc_t += δh_t ⊙ o_t ⊙ (1 − tanh²(c_t)) + δô_t ⊙ p_o".to_string()));
    assert!(back.contains(&"δp_i += δî_t ⊙ c_{t-1}".to_string()));
}

#[test]
fn sharif() {
    // h_t = σ_h(W_h x_t + U_h h_{t-1} + b_h)
    assert_eq!(forward("elman", Notation::Sharif), ["h_t = tanh(W_h x_t + U_h h_{t-1} + b_h)"]);
    // h_t = σ_h(W_h x_t + U_h y_{t-1} + b_h); y_t = σ_y(W_y h_t + b_y)
    assert_eq!(
        forward("jordan", Notation::Sharif),
        ["h_t = tanh(W_h x_t + U_h y_{t-1} + b_h)", "y_t = σ(W_y h_t + b_y)"]
    );
    // a^t = tanh(W_c x^t + U_c h^{t-1}), i^t = σ(W_i x^t + U_i h^{t-1}), ..., c^t = i^t ⊙ a^t + f^t ⊙ c^{t-1}
    let lstm = forward("lstm", Notation::Sharif);
    assert_eq!(lstm[0], "i^t = σ(W_i x^t + U_i h^{t-1} + b_i)");
    assert_eq!(
        lstm[2..],
        [
            "a^t = tanh(W_c x^t + U_c h^{t-1} + b_c)",
            "o^t = σ(W_o x^t + U_o h^{t-1} + b_o)",
            "c^t = f^t ⊙ c^{t-1} + i^t ⊙ a^t",
            "h^t = o^t ⊙ tanh(c^t)",
        ]
    );
    // z = g(W_z x^t + R_z y^{t-1} + b_z); c^t = z ⊙ i + c^{t-1} ⊙ f; y^t = h(c^t) ⊙ o^t
    let odyssey = forward("lstm-peephole", Notation::Sharif);
    assert_eq!(odyssey[2], "z^t = tanh(W_z x^t + R_z y^{t-1} + b_z)");
    assert_eq!(odyssey[5], "y^t = o^t ⊙ tanh(c^t)");
    // h_t = (1 - z) h_{t-1} + z h̃; h̃ = tanh(W x_t + U (r_t ⊙ h_{t-1})); z = σ(W_z x_t + U_z h_{t-1})
    assert_eq!(
        forward("gru", Notation::Sharif),
        [
            "r_t = σ(W_r x_t + U_r h_{t-1} + b_r)",
            "z_t = σ(W_z x_t + U_z h_{t-1} + b_z)",
            "h\u{303}_t = tanh(W x_t + U (r_t ⊙ h_{t-1}) + b)",
            "h_t = (1 − z_t) ⊙ h_{t-1} + z_t ⊙ h\u{303}_t",
        ]
    );
}

#[test]
fn jhu() {
    // h_t = tanh(W_hh h_{t-1} + W_xh x_t)
    assert_eq!(forward("elman", Notation::Jhu), ["h_t = tanh(W_hh h_{t-1} + W_xh x_t + b_h)"]);
    // (i f o g) = (σ σ σ tanh) W (h_{t-1} x_t), as columns
    assert_eq!(
        forward("lstm", Notation::Jhu),
        ["[i; f; o; g] = [σ; σ; σ; tanh] (W [h_{t-1}; x_t] + b)", "c_t = f ⊙ c_{t-1} + i ⊙ g", "h_t = o ⊙ tanh(c_t)"]
    );
    let back = lines("lstm", Notation::Jhu, equations::backward);
    assert!(back.contains(&"δ[h_{t-1}; x_t] += Wᵀ [δî; δf\u{302}; δô; δĝ]".to_string()), "{back:?}");
    assert!(latex(&layer("lstm"), Notation::Jhu).unwrap().contains(
        r"\begin{pmatrix} i \\ f \\ o \\ g \end{pmatrix} &= \begin{pmatrix} \sigma \\ \sigma \\ \sigma \\ \tanh \end{pmatrix} \left(W \begin{pmatrix} h_{t-1} \\ x_t \end{pmatrix} + b\right)"
    ));
}

#[test]
fn uts() {
    // a^{(t)} = g_1(W_a[a^{(t-1)}, x^{(t)}] + b_a)
    assert_eq!(forward("elman", Notation::Uts), ["a^{(t)} = tanh(W_a[a^{(t-1)}, x^{(t)}] + b_a)"]);
    assert_eq!(
        forward("lstm", Notation::Uts),
        [
            "Γ_u^{(t)} = σ(W_u[a^{(t-1)}, x^{(t)}] + b_u)",
            "Γ_f^{(t)} = σ(W_f[a^{(t-1)}, x^{(t)}] + b_f)",
            "c\u{303}^{(t)} = tanh(W_c[a^{(t-1)}, x^{(t)}] + b_c)",
            "Γ_o^{(t)} = σ(W_o[a^{(t-1)}, x^{(t)}] + b_o)",
            "c^{(t)} = Γ_f^{(t)} ∘ c^{(t-1)} + Γ_u^{(t)} ∘ c\u{303}^{(t)}",
            "a^{(t)} = Γ_o^{(t)} ∘ tanh(c^{(t)})",
        ]
    );
    // c̃ = tanh(W_c[Γ_r * c^{(t-1)}, x^{(t)}] + b_c); c^{(t)} = Γ_u × c̃ + (1 - Γ_u) × c^{(t-1)}
    assert_eq!(
        forward("gru", Notation::Uts),
        [
            "Γ_r = σ(W_r[c^{(t-1)}, x^{(t)}] + b_r)",
            "Γ_u = σ(W_u[c^{(t-1)}, x^{(t)}] + b_u)",
            "c\u{303}^{(t)} = tanh(W_c[Γ_r × c^{(t-1)}, x^{(t)}] + b_c)",
            "c^{(t)} = (1 − Γ_u) × c^{(t-1)} + Γ_u × c\u{303}^{(t)}",
        ]
    );
}

#[test]
fn oslo() {
    // s^t = a(U x^t + V s^{t-1} + b), without the deck's W y^{t-1}
    assert_eq!(forward("elman", Notation::Oslo), ["s^t = tanh(U x^t + V s^{t-1} + b)"]);
    assert_eq!(forward("jordan", Notation::Oslo)[0], "s^t = tanh(U x^t + W y^{t-1} + b)");
    let lstm = forward("lstm", Notation::Oslo);
    // r^t = a(U_r x^t + V_r s̄^{t-1} + b_r); s^t = f^t ⊙ s^{t-1} + i^t ⊙ r^t; s̄^t = o^t ⊙ a(s^t)
    assert_eq!(lstm[2], "r^t = tanh(U_r x^t + V_r s\u{304}^{t-1} + b_r)");
    assert_eq!(lstm[4..], ["s^t = f^t ⊙ s^{t-1} + i^t ⊙ r^t", "s\u{304}^t = o^t ⊙ tanh(s^t)"]);
    // The rungs of its ladder, each with W y^{t-1}.
    let first = "r^t = tanh(U_r x^t + V_r s^{t-1} + W_r y^{t-1} + b_r)";
    for rung in ["residual", "residual-input-gate", "residual-forget-gate", "residual-output-gate"] {
        assert_eq!(forward(rung, Notation::Oslo)[0], first, "{rung}");
    }
    let slide = forward("residual-output-gate", Notation::Oslo);
    assert_eq!(slide[3], "o^t = σ(U_o x^t + V_o s^{t-1} + W_o y^{t-1} + b_o)");
    assert_eq!(slide[5], "s\u{304}^t = o^t ⊙ tanh(s^t)");
    let whole = forward("lstm-output-feedback", Notation::Oslo);
    assert_eq!(whole[3], "o^t = σ(U_o x^t + V_o s\u{304}^{t-1} + W_o y^{t-1} + b_o)");
    assert_eq!(forward("output-feedback", Notation::Oslo)[0], "s^t = tanh(U x^t + V s^{t-1} + W y^{t-1} + b)");
}

#[test]
fn presets_have_the_letters_of_their_cell() {
    assert_eq!(forward("elman-relu", Notation::Oslo), ["s^t = relu(U x^t + V s^{t-1} + b)"]);
    assert!(Notation::of_cell("lstm-np").contains(&Notation::Jhu));
    assert!(Notation::of_cell("elman:activation=sin").contains(&Notation::Uts));
}

#[test]
fn other_cells_in_our_letters() {
    assert_eq!(forward("elman-relu", Notation::Elman), ["h_t = relu(W_hx x_t + W_hh h_{t-1} + b_h)"]);
    assert_eq!(forward("lstm-projected", Notation::Elman)[6], "h_t = W_hm m_t");
    let gru = forward("gru", Notation::Elman);
    assert_eq!(gru[2], "n_t = tanh(W_nx x_t + W_nh (r_t ⊙ h_{t-1}) + b_n)");
    let after = forward("gru-reset-after", Notation::Elman);
    assert_eq!(after[2], "n_t = tanh(W_nx x_t + b_nx + r_t ⊙ (W_nh h_{t-1} + b_nh))");
}

#[test]
fn sizes_and_costs() {
    let cell = (find("lstm").unwrap().make)();
    let text = text(&Layer::new(cell, Sizes::new(65, 256)).unwrap(), Notation::Elman).unwrap();
    for line in [
        "  weight_ih  (4H, I)  (1024, 65)   66,560   W_ix; W_fx; W_gx; W_ox",
        "  bias_ih    (4H)     (1024)       1,024    b_i; b_f; b_g; b_o",
        "  total 329,728",
        "  carried from step to step: h_{t-1}, c_{t-1}; 512 numbers a row",
        "  matrix products  328,704 multiply-adds forward, twice that backward",
        "  pointwise        2,304 forward: H × (3 σ, 2 tanh, 3 ×, 1 +)",
    ] {
        assert!(text.lines().any(|l| l == line), "`{line}` is not in\n{text}");
    }
}

#[test]
fn unknown_cells_have_no_deck() {
    let layer = layer_of(Arc::new(Odd { rate: 0.5 }));
    let error = text(&layer, Notation::Sharif).unwrap_err();
    assert_eq!(
        error,
        NotationError::NotInDeck { notation: Notation::Sharif, cell: "odd", available: "elman".to_string() }
    );
}

/// All layers and notations that go together, and a cell made for the purpose.
fn everything(check: impl Fn(&str, &Layer, Notation)) {
    let odd: Arc<dyn Cell> = Arc::new(Odd { rate: 0.5 });
    let cells = REGISTRY.iter().map(|e| (e.name, (e.make)())).chain([("odd", odd)]);
    for (name, cell) in cells {
        for notation in Notation::of_cell(cell.spec().name) {
            check(name, &layer_of(cell.clone()), notation);
        }
    }
}

/// Evaluates a formula with one number for every vector and matrix; symbols are known by how they are printed.
fn number(m: &Math, known: &HashMap<String, f64>, w: Writer) -> f64 {
    let of = |m: &Math| number(m, known, w);
    match m {
        Math::Letter(_) | Math::Delta(_) => {
            let symbol = w.math(m);
            *known.get(&symbol).unwrap_or_else(|| panic!("`{symbol}` is used before it is defined"))
        }
        Math::Number(k) => *k,
        Math::Sum(terms) => terms.iter().map(|(minus, t)| if *minus { -of(t) } else { of(t) }).sum(),
        Math::Product(factors) => factors.iter().map(of).product(),
        Math::Quotient(a, b) => of(a) / of(b),
        Math::Call(Function::Sigmoid, a) => 1.0 / (1.0 + (-of(a)).exp()),
        Math::Call(Function::Tanh, a) => of(a).tanh(),
        Math::Call(Function::Relu, a) => of(a).max(0.0),
        Math::Call(Function::Exp, a) => of(a).exp(),
        Math::Call(Function::Softplus, a) => of(a).exp().ln_1p(),
        Math::Call(Function::Sin, a) => of(a).sin(),
        Math::Call(Function::Cos, a) => of(a).cos(),
        Math::Call(Function::Ln, a) => of(a).ln(),
        // Of a single number the true one is 0: any function shows whether the chain is right.
        Math::Call(Function::Norm, a) => of(a).sin(),
        Math::Call(Function::NormJacobian, a) => of(a).cos(),
        Math::Square(a) => of(a) * of(a),
        Math::Positive(a) => f64::from(of(a) > 0.0),
        Math::Apply(a, b) => of(a) * of(b),
        Math::Transposed(a) => of(a),
        Math::Function(_) | Math::Between(..) | Math::Concatenated(_) | Math::Column(_) => {
            panic!("not a number: {m:?}")
        }
    }
}

/// Runs formulas in order.
fn run(lines: &[Vec<Formula>], known: &mut HashMap<String, f64>, w: Writer) {
    for formula in lines.iter().flatten() {
        let value = number(&formula.right, known, w);
        let left = w.math(&formula.left);
        if formula.adds {
            *known.entry(left).or_insert(0.0) += value;
        } else {
            assert!(known.insert(left.clone(), value).is_none(), "`{left}` is defined twice");
        }
    }
}

#[test]
fn printed_equations_compute_the_cell_and_its_gradient() {
    everything(|name, layer, notation| {
        let symbols = Symbols::new(layer, notation).unwrap();
        if matches!(symbols.table.matrices, Matrices::Concatenated | Matrices::Stacked(_)) {
            // Their matrices stand for several; the letters are checked as text above.
            return;
        }
        let w = symbols.writer(false);
        // A number for the input, each value of the step before, each parameter and each feed.
        let mut start: HashMap<String, f64> = HashMap::new();
        let mut next = 0.0;
        let mut give = |symbol: String| {
            next += 1.0;
            let fresh = start.insert(symbol.clone(), f64::sin(next * 1.7) * 0.9).is_none();
            assert!(fresh, "{name} {notation}: `{symbol}` stands for two things");
        };
        give(w.math(&symbols.value(Place::Input)));
        layer.carried().iter().for_each(|&v| give(w.math(&symbols.value(Place::Before(v)))));
        for p in layer.parameters() {
            let letters = sizes::letters(&symbols, p);
            assert_eq!(letters.len(), p.blocks.len(), "{name} {notation}: {}", p.name);
            letters.into_iter().for_each(|l| give(w.math(&Math::Letter(l))));
        }
        for (k, graph) in symbols.graphs.iter().enumerate() {
            for (a, _) in graph.arguments.iter().enumerate().filter(|(_, a)| a.kind == ArgumentKind::Feed) {
                give(w.math(&symbols.argument(k, a, false)));
            }
        }

        let mut known = start.clone();
        run(&equations::forward(&symbols), &mut known, w);
        compare_with_cell(name, &symbols, &known);

        // Loss: a weighted sum of the carried values, whose weights are the gradients given.
        let given: Vec<(String, f64)> =
            layer.carried().iter().map(|&v| (w.math(&symbols.value(Place::Now(v))), 0.3 + v as f64)).collect();
        given.iter().for_each(|(s, d)| assert!(known.insert(format!("δ{s}"), *d).is_none()));
        run(&equations::gates(&symbols), &mut known, w);
        run(&equations::backward(&symbols), &mut known, w);
        for symbol in start.keys() {
            let loss = |eps: f64| {
                let mut moved = start.clone();
                *moved.get_mut(symbol).unwrap() += eps;
                run(&equations::forward(&symbols), &mut moved, w);
                given.iter().map(|(s, d)| d * moved[s]).sum::<f64>()
            };
            let eps = 1e-5;
            let want = (loss(eps) - loss(-eps)) / (2.0 * eps);
            let got = known.get(&format!("δ{symbol}")).copied().unwrap_or(0.0);
            // Truncation is eps² = 1e-10 times a third derivative, rounding 1e-16 / eps = 1e-11.
            assert!((got - want).abs() < 1e-8, "{name} {notation}: δ{symbol} is {got}, should be {want}");
        }
    });
}

/// The values written, as the cell itself computes them from the same numbers.
fn compare_with_cell(name: &str, symbols: &Symbols, known: &HashMap<String, f64>) {
    let (layer, w) = (symbols.layer, symbols.writer(false));
    let mut now = vec![0.0; layer.values().len()];
    for (k, (graph, resolved)) in symbols.graphs.iter().zip(layer.stages()).enumerate() {
        let value = |place: Place, now: &[f64]| match place {
            Place::Now(v) => now[v],
            before => known[&w.math(&symbols.value(before))],
        };
        let mut args = vec![0.0; graph.arguments.len()];
        let gates = resolved.gates.len();
        for (gate, normaliser) in resolved.normalisers.iter().enumerate() {
            if let Normaliser::Value(place) = *normaliser {
                args[gate] = value(place, &now);
            }
        }
        // The products, the normalisers and the biases, one after another.
        let rank = |role: Role| [Role::Weight, Role::Gain, Role::Bias, Role::Unit].iter().position(|&r| r == role);
        let mut parameters: Vec<_> = layer.parameters().iter().collect();
        parameters.sort_by_key(|p| rank(p.role));
        for p in parameters {
            for (letter, block) in sizes::letters(symbols, p).into_iter().zip(&p.blocks).filter(|(_, b)| b.stage == k) {
                let parameter = known[&w.math(&Math::Letter(letter))];
                match p.role {
                    Role::Weight => {
                        args[block.gate] += parameter * value(resolved.gates[block.gate][block.source], &now)
                    }
                    Role::Gain => args[block.gate] = parameter * args[block.gate].sin(),
                    Role::Bias => args[block.gate] += parameter,
                    Role::Unit => args[gates + resolved.reads.len() + block.gate] = parameter,
                }
            }
        }
        for (a, argument) in graph.arguments.iter().enumerate() {
            match argument.kind {
                ArgumentKind::Read => args[a] = value(resolved.reads[argument.index], &now),
                ArgumentKind::Feed => args[a] = known[&w.math(&symbols.argument(k, a, false))],
                ArgumentKind::Gate | ArgumentKind::Unit => {}
            }
        }
        let mut outs = vec![0.0; resolved.writes.len()];
        Pointwise::<f64>::eval(&**layer.cell(), k, &args, &mut outs);
        for (&v, &out) in resolved.writes.iter().zip(&outs) {
            now[v] = out;
            // A value that is written out where it is used has no symbol of its own.
            if let Some(printed) = known.get(&w.math(&symbols.value(Place::Now(v)))) {
                // Sums in another order: a few roundings of numbers of order 1.
                assert!(
                    (printed - out).abs() < 1e-13,
                    "{name}: {} is {printed}, should be {out}",
                    layer.values()[v].name
                );
            }
        }
    }
}

#[test]
fn latex_is_balanced() {
    everything(|name, layer, notation| {
        let text = latex(layer, notation).unwrap();
        let formulas: String = text.lines().filter(|l| !l.starts_with('%')).collect::<Vec<_>>().join("\n");
        assert!(formulas.is_ascii(), "{name} {notation}: a letter that LaTeX does not know:\n{formulas}");
        let mut depth = 0;
        for c in formulas.chars() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            assert!(depth >= 0, "{name} {notation}");
        }
        assert_eq!(depth, 0, "{name} {notation}");
        for (open, close) in
            [("\\begin{align*}", "\\end{align*}"), ("\\begin{pmatrix}", "\\end{pmatrix}"), ("\\left", "\\right")]
        {
            assert_eq!(formulas.matches(open).count(), formulas.matches(close).count(), "{name} {notation}");
        }
        // One sign of alignment a row, none of two superscripts on one letter.
        for row in formulas.lines().filter(|l| l.starts_with("  ")) {
            assert_eq!(row.matches('&').count(), 1, "{name} {notation}: {row}");
            assert!(!row.contains("}^{(t)}^") && !row.contains("^t^"), "{name} {notation}: {row}");
        }
    });
}

#[test]
fn dot_declares_what_it_connects() {
    everything(|name, layer, notation| {
        let dot = graph_dot(layer, notation).unwrap();
        assert_eq!(dot.matches('{').count(), dot.matches('}').count(), "{name} {notation}");
        assert_eq!(dot.matches('"').count() % 2, 0, "{name} {notation}");
        let declared: Vec<&str> = dot.lines().filter_map(|l| l.split_once(" [label=")).map(|(v, _)| v.trim()).collect();
        let edges: Vec<(&str, &str)> = dot.lines().filter_map(|l| l.trim().split_once(" -> ")).collect();
        assert!(edges.len() > 3, "{name} {notation}");
        for (from, to) in edges {
            let to = to.split([' ', ';']).next().unwrap_or("");
            assert!(declared.contains(&from) && declared.contains(&to), "{name} {notation}: {from} -> {to}");
        }
    });
}

/// Checks that tags are nested and closed, attributes quoted, and characters escaped; returns the number of elements.
fn well_formed(xml: &str) -> usize {
    let mut open: Vec<&str> = Vec::new();
    let mut elements = 0;
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        assert!(!text.contains('>'), "a bare `>` in {text:?}");
        for entity in text.split('&').skip(1) {
            assert!(["amp;", "lt;", "gt;", "quot;"].iter().any(|e| entity.starts_with(e)), "a bare `&` in {text:?}");
        }
        let end = start + rest[start..].find('>').expect("a tag is not closed");
        let tag = &rest[start + 1..end];
        assert!(!tag.contains('<') && tag.matches('"').count().is_multiple_of(2), "in <{tag}>");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else {
            elements += 1;
            let name = tag.split([' ', '/']).next().unwrap_or("");
            if !tag.ends_with('/') {
                open.push(name);
            }
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{open:?} left open");
    elements
}

#[test]
fn svg_is_well_formed() {
    everything(|name, layer, notation| {
        let svg = graph_svg(layer, notation).unwrap();
        assert!(svg.starts_with("<svg xmlns="), "{name} {notation}");
        assert!(well_formed(&svg) > 20, "{name} {notation}");
    });
}

#[test]
#[should_panic(expected = "assertion")]
fn the_check_of_svg_can_fail() {
    well_formed("<svg><g></svg>");
}

#[test]
fn nothing_overlaps_in_the_picture() {
    everything(|name, layer, notation| {
        let graph = super::graph::graph(&Symbols::new(layer, notation).unwrap());
        let sizes: Vec<(f64, f64)> = graph.vertices.iter().map(super::svg::size_of).collect();
        let layout = super::layout::layout(&graph, &sizes);
        let boxes: Vec<_> = layout.centres.iter().zip(&sizes).collect();
        for (i, (a, s)) in boxes.iter().enumerate() {
            assert!(a.0 - s.0 / 2.0 >= 0.0 && a.0 + s.0 / 2.0 <= layout.width, "{name}: vertex {i} is outside");
            assert!(a.1 - s.1 / 2.0 >= 0.0 && a.1 + s.1 / 2.0 <= layout.height, "{name}: vertex {i} is outside");
            for (b, r) in &boxes[i + 1..] {
                let apart = (a.0 - b.0).abs() >= (s.0 + r.0) / 2.0 || (a.1 - b.1).abs() >= (s.1 + r.1) / 2.0 - 1e-6;
                assert!(apart, "{name} {notation}: vertices overlap at {a:?} and {b:?}");
            }
        }
        for edge in &graph.edges {
            assert!(layout.centres[edge.from].0 < layout.centres[edge.to].0, "{name}: an edge runs backward");
        }
    });
}

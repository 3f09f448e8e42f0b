//! Wrong texts: each gives one line with its place, what is wrong and what to do.

use elman_core::describe::{self, Notation};
use elman_core::testing::Noise;
use elman_core::text_cell;
use elman_core::{Layer, Sizes, cells};

/// The message for these equations; line 3 is the first of them.
fn message(equations: &str) -> String {
    match text_cell::parse(&format!("wrong\nForward\n{equations}")) {
        Ok(cell) => panic!("{cell:?} was made of\n{equations}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let h = "  h_t = tanh(W_hx x_t + W_hh h_{t-1} + b_h)\n";
    let table: &[(&str, &str)] = &[
        // Signs and names.
        (
            "  h_t = tanh(W_hx x_t",
            "3:22: the bracket of line 3, column 13 is not closed; write `)` before the end of the equation",
        ),
        (
            "  c_t = tanh(W_c x_t\n  h_t = c_t",
            "3:21: the bracket of line 3, column 13 is not closed; write `)` before the end of the equation",
        ),
        // Ranges.
        (
            "  h_t = p * h_{t-1} + W_h x_t\nParameters\n  drawn before training: p of 2",
            "5:25: `p of 2` does not say how a parameter is drawn; write a per-unit parameter and two numbers, as in `p from -1 to 1`, or a formula, as in `p = ln(from 1 to 2)`",
        ),
        (
            "  h_t = p * h_{t-1} + W_h x_t\nParameters\n  drawn before training: p from 1 to 0",
            "5:25: `p from 1 to 0` does not say how a parameter is drawn; write a per-unit parameter and two numbers, as in `p from -1 to 1`, or a formula, as in `p = ln(from 1 to 2)`",
        ),
        (
            "  h_t = p * h_{t-1} + W_h x_t\nParameters\n  drawn before training: q from 0 to 1",
            "5:25: `q` is drawn here, but no equation has it as one number a unit; correct the name or leave it out",
        ),
        (
            "  h_t = p * h_{t-1} + W_h x_t\nParameters\n  drawn before training: p = ln(from 1 to 2",
            "5:25: `p = ln(from 1 to 2` does not say how a parameter is drawn; write a per-unit parameter and two numbers, as in `p from -1 to 1`, or a formula, as in `p = ln(from 1 to 2)`",
        ),
        (
            "  h_t = p * h_{t-1} + W_h x_t\nParameters\n  drawn before training: p = ln(from -1 to 1)",
            "5:25: what is drawn for `p` may be infinite, or hangs on a parameter that is not drawn from numbers alone; change its formula",
        ),
        (
            "  h_t = p * h_{t-1} + q * W_h x_t\nParameters\n  drawn before training: p = exp(q)",
            "5:25: what is drawn for `p` may be infinite, or hangs on a parameter that is not drawn from numbers alone; change its formula",
        ),
        (
            "  h_t = p * h_{t-1} + W_h x_t\nParameters\n  drawn before training: p = 2 p",
            "5:25: what is drawn for `p` may be infinite, or hangs on a parameter that is not drawn from numbers alone; change its formula",
        ),
        ("  h_t = tanh(W_hx x_t))", "3:23: `)` closes no bracket; leave it out, or open one before it"),
        ("  h_t = h_{t-1} $ 2", "3:17: '$' means nothing here; leave it out"),
        (
            "  h_t = tanh(x_t + h_{t-2})",
            "3:20: `h_{t-2}` is of another step than t and t-1; give the value of the step before a name, as in `q_t = h_{t-1}`, and read `q_{t-1}`: it is older by a step",
        ),
        ("  h_t = h_{t-1", "3:9: `h_{t-1` has no end; close its brackets, as in `h_{t-1}`"),
        (
            "  h_t = p_i * W_h x_t + π * h_{t-1}",
            "3:25: `π` and `p_i` of line 3, column 9 would be one parameter, as letter and index are joined in its name; choose another letter for one",
        ),
        ("  h_t = W_h h(t-1", "3:13: `h(t-1` has no end; close its brackets, as in `h_{t-1}`"),
        ("  h_t = 0.5.1 h_{t-1}", "3:9: `0.5.1` is no number; write it like 0.5 or 1e-3"),
        (
            "  h_t = h_t-1",
            "3:9: `h_t` is a value less 1, or the value of the step before; write `h_t - 1` or `h_{t-1}`",
        ),
        ("  h_t = h_{t-1}^3", "3:16: only squares can be written, as `a^2`; write the product out"),
        (
            "  h_t = + h_{t-1}",
            "3:9: `+` stands where a value should; write a name, a number, a function or a bracket there",
        ),
        (
            "  h_t =",
            "3:8: the end of the equation stands where a value should; write a name, a number, a function or a bracket there",
        ),
        ("  h_t = [h_{t-1} > 1]", "3:9: `[...]` is the sign of a value; write it as `[a > 0]`"),
        (
            "  c_t = tanh(W_c x_t)\n  h_t = c_t h_{t-1}",
            "4:13: `h_{t-1}` follows without a sign; write `*` for the product of each element (a matrix begins with a capital letter)",
        ),
        // Left sides.
        ("  h_t", "3:6: there is no `=` after `h_t`, but the end of the equation; write an equation as `h_t = ...`"),
        ("  2 = h_{t-1}", "3:3: an equation begins with what it defines; write it as `h_t = ...`, not `2`"),
        ("  h = tanh(W_h x_t)", "3:3: `h` is defined without its step; write `h_t = ...`"),
        ("  h_{t-1} = tanh(W_h x_t)", "3:3: `h_{t-1}` is defined at the step before; write `h_t = ...`"),
        ("  x_t = tanh(W_h h_{t-1})", "3:3: `x_t` is the input and has no equation; name the result otherwise"),
        (
            "  H_t = tanh(W_h x_t)",
            "3:3: the name `H_t` begins with a capital letter, as matrices do; begin a value's name with a small one",
        ),
        (&format!("{h}{h}"), "4:3: `h_t` has an equation already, in line 3; give one of the two another name"),
        // Names that mean nothing, or not yet.
        ("  h_t = tanh(W_hx x_t) * q_t", "3:26: unknown value `q_t`; there are `x_t`, `h_t`"),
        (
            "  h_t = o_t * h_{t-1}\n  o_t = sigmoid(W_o x_t)",
            "3:9: `o_t` is read before its equation, in line 4; move that equation up, or write `o_{t-1}` for the step before",
        ),
        (
            "  i_{g,t} = sigmoid(i_{g,t} * W_i x_t)",
            "3:21: `i_{g,t}` is read before its equation, in line 3; move that equation up, or write `i_{g,t-1}` for the step before",
        ),
        (
            "  z_t = W_z x_t\n  h_t = z * h_{t-1}",
            "4:9: `z` has an equation and needs its step here; write `z_t` or `z_{t-1}`",
        ),
        ("  h_t = tanh(W_h x)", "3:18: the input needs its step; write `x_t`"),
        (
            "  h_t = tanh(W_h x_{t-1})",
            "3:18: the input of the step before is not kept; write `x_t`, or carry a value that you make of it",
        ),
        ("  h_t = tanh(x_t)", "3:14: `x_t` stands without a matrix; write one before it, as in `W_hx x_t`"),
        ("  q_t = W_q x_t\n  h_t = W_h h_{t-1}", "3:3: `q_t` is never used; use it, or leave its equation out"),
        // Matrices, gates, functions.
        (
            "  h_t = tanh(W_h)",
            "3:14: the matrix `W_h` multiplies nothing; write a value right after it, without a sign, as in `W_h x_t`",
        ),
        (
            "  h_t = tanh(W_h * x_t)",
            "3:14: the matrix `W_h` multiplies nothing; write a value right after it, without a sign, as in `W_h x_t`",
        ),
        (
            "  c_t = W_c x_t\n  h_t = c_t + W_c h_{t-1}",
            "4:15: `W_c` stands in line 3, column 9 already; every matrix, bias and gain has one place: give this one another name",
        ),
        (
            "  c_t = W_c x_t + b\n  h_t = c_t + W_h h_{t-1} + b",
            "4:29: `b` stands in line 3, column 19 already; every matrix, bias and gain has one place: give this one another name",
        ),
        ("  h_t = W_a x_t + W_b x_t", "3:19: two matrices of one sum multiply `x_t`; one is enough"),
        ("  h_t = W_a x_t + b_a + b_b", "3:25: a gate has one bias; leave `b_b` out"),
        (
            "  h_t = sinus(W_a x_t)",
            "3:9: unknown function `sinus`; there are sigmoid, tanh, relu, exp, softplus, sin, cos, norm",
        ),
        ("  h_t = σ * h_{t-1}", "3:9: the function `σ` has no argument; write it as `σ(...)`"),
        (
            "  h_t = norm(W_a x_t)",
            "3:9: `norm` has no gain; write one that begins with `γ_` or `gamma_` as its factor, as in `γ_i * norm(W_ix x_t)`",
        ),
        (
            "  h_t = γ_h * norm(W_a x_t + 1)",
            "3:28: `norm` takes matrix products with plus signs, or one value; give the rest an equation of its own",
        ),
        // Parameters of a unit, widths, output.
        (
            "  c_t = p * c_{t-1} + W_c x_t\n  h_t = p * W_h c_t",
            "4:9: `p` is used before and after a matrix of this step's values; write an equation `q_t = p` and use `q_t` in both",
        ),
        (
            "  h_t = ih * h_{t-1} + W_h x_t",
            "3:9: `ih` would be the parameter `weight_ih`, which there is; choose another name",
        ),
        (
            "  y_t = W_y x_t + y_{t-1}",
            "2:1: which value is the output? Name it `h`, or add a line `Shapes` and below it `y_t (B, H) output` for a value `y`",
        ),
        (
            "  c_t = W_c x_t\n  h_t = c_t * h_{t-1}\nShapes\n  c_t (B, P)\n  h_t (B, H)",
            "6:3: `c` meets `h` without a matrix between them, and one has the width H, the other P; give both one width",
        ),
        (
            &format!("{h}Shapes\n  q_t (B, P)"),
            "5:3: `q_t` has a shape, but no equation; write one, or leave this line out",
        ),
        (
            &format!("{h}Shapes\n  h_t is wide"),
            "5:3: a line of Shapes is `h_t (B, H)` or `y_t (B, P) output`; write it so, or leave it out",
        ),
        (
            "  c_t = W_c x_t\n  h_t = c_t * h_{t-1}\nShapes\n  c_t (B, H) output\n  h_t (B, H) output",
            "7:3: `h` is a second output; mark one line with `output`",
        ),
        (
            "",
            "2:1: there is no equation below `Forward`; write one, such as `h_t = tanh(W_hx x_t + W_hh h_{t-1} + b_h)`",
        ),
    ];
    let mut wrong = Vec::new();
    for (equations, expected) in table {
        let said = message(equations);
        if said != *expected {
            wrong.push(format!("{equations}\n  said     {said}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn texts_that_are_no_cell_at_all() {
    let message = |text: &str| text_cell::parse(text).unwrap_err().to_string();
    for empty in ["", "\n  \n\t\n"] {
        assert_eq!(
            message(empty),
            "1:1: the text is empty; write the cell's name, a line `Forward`, and equations below it"
        );
    }
    let name = "1:1: `Forward` is no name; begin with the cell's name, one word, on a line of its own";
    assert_eq!(message("Forward\n  h_t = W_h x_t"), name);
    assert!(message("two words\nForward\n").starts_with("1:1: `two words` is no name"));
    assert_eq!(message("a\n  h_t = W_h x_t"), "2:1: there is no line `Forward`; write it above the equations");
    assert!(message("a\u{0}b\u{1}").starts_with("1:1: `a\0b\u{1}` is no name"));
    let huge = format!("a\nForward\n{}", " ".repeat(300_000));
    assert_eq!(
        message(&huge),
        "1:1: a cell's text has at most 262144 bytes, this one has 300010; write the equations alone"
    );
}

/// No text overflows the stack or takes for ever.
#[test]
fn long_and_deep_equations_are_refused() {
    let long =
        "an equation has at most 256 operations, and brackets at most 64 deep; give a part of it a name of its own";
    let deep = format!("  h_t = {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    for equation in [
        deep,
        format!("  h_t = {}1", "-".repeat(20_000)),
        format!("  h_t = 1{}", " + 1".repeat(20_000)),
        format!("  h_t = {}1", "W (tanh(".repeat(20_000)),
    ] {
        let said = message(&equation);
        assert!(said.ends_with(long) || said.contains("at most 262144"), "{said}");
    }
    let gates: String = (0..40).map(|g| format!(" + tanh(W_{g} x_t)")).collect();
    let said = message(&format!("  h_t = h_{{t-1}}{gates}"));
    assert!(said.starts_with("3:3: the equations up to a matrix of this step's values use 41 gates"), "{said}");
}

/// A long or deep formula of what is drawn is read at once, or refused; none hangs or falls.
#[test]
fn long_and_deep_draws_are_read_or_refused() {
    let cell = |draw: &str| {
        let text =
            format!("draws\nForward\n  h_t = p * h_{{t-1}} + W_h x_t\nParameters\n  drawn before training: p = {draw}");
        text_cell::parse(&text).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(cell(&["1"; 100].join(" + ")), Ok(()));
    assert_eq!(cell(&format!("{}0{}", "exp(0 * ".repeat(50), ")".repeat(50))), Ok(()));
    for long in [["1"; 50_000].join(" + "), "exp(".repeat(40_000), format!("{}1{}", "(".repeat(65), ")".repeat(65))] {
        assert!(cell(&long).unwrap_err().contains("does not say how a parameter is drawn"));
    }
}

/// Whatever is done to a text, it is a cell or an error with a place inside it.
#[test]
fn no_text_makes_the_reader_fall() {
    let mut noise = Noise(1);
    let signs: Vec<char> = "()[]{}+-*/=_^²>,.#\nWbxht0 \u{302}γσ".chars().collect();
    for name in ["lstm-fgr", "gru", "lstm-layer-norm", "jordan"] {
        let layer = Layer::new((cells::find(name).unwrap().make)(), Sizes::new(2, 3)).unwrap();
        let text: Vec<char> = describe::text(&layer, Notation::Elman).unwrap().chars().collect();
        let forward = text.iter().collect::<String>().split("\nBackward").next().unwrap().chars().count();
        for round in 0..1500 {
            let mut text = text.clone();
            if round < 300 {
                text.truncate((noise.bits() as usize) % forward);
            }
            for _ in 0..noise.bits() % 4 {
                // Most changes where the equations are.
                let end = if noise.bits().is_multiple_of(4) { text.len() } else { text.len().min(forward) };
                let at = (noise.bits() as usize) % end.max(1);
                match noise.bits() % 3 {
                    0 if at < text.len() => drop(text.remove(at)),
                    1 if at < text.len() => text[at] = signs[noise.bits() as usize % signs.len()],
                    // A step in brackets, or a part of one.
                    _ if noise.bits().is_multiple_of(4) => {
                        let at = at.min(text.len());
                        let step = &['h', '(', 't', '-', '1', ')'][..2 + noise.bits() as usize % 5];
                        text.splice(at..at, step.iter().copied());
                    }
                    _ => text.insert(at.min(text.len()), signs[noise.bits() as usize % signs.len()]),
                }
            }
            let text: String = text.iter().collect();
            if let Err(error) = text_cell::parse(&text) {
                let (line, lines) = (error.at.line, text.lines().count().max(1));
                assert!((1..=lines).contains(&line), "{error} in\n{text}");
                let widest = text.lines().nth(line - 1).unwrap_or("").chars().count();
                assert!((1..=widest + 1).contains(&error.at.column), "{error} in\n{text}");
                assert!(!error.to_string().contains('\n') && error.to_string().contains("; "), "{error}");
            }
        }
    }
}

use super::*;
use crate::parameters::{Named, export};
use crate::recurrent::RecurrentConfig;
use burn::tensor::Device;
use elman_core::cells::{self, REGISTRY as CELLS};
use elman_core::{Draw, Layer, Sizes};

fn draw(name: &str, rows: usize, cols: usize, seed: u64) -> Vec<f32> {
    let shape = Shape { rows, cols, hidden: rows };
    (find(name).unwrap().draw)(shape, &mut Random::new(seed, "test")).unwrap()
}

fn config(cell: &str, sizes: Sizes) -> RecurrentConfig {
    RecurrentConfig { layers: 2, ..RecurrentConfig::new((cells::find(cell).unwrap().make)(), sizes) }
}

fn made(cell: &str, sizes: Sizes, init: &Init) -> Result<Vec<Named>, InitError> {
    Ok(export(&config(cell, sizes).init_with(init, 5, &Device::flex())?))
}

fn parameter<'a>(all: &'a [Named], name: &str) -> &'a Named {
    all.iter().find(|p| p.name == name).unwrap()
}

type Complex = (f64, f64);

fn times(a: Complex, b: Complex) -> Complex {
    (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0)
}

fn over(a: Complex, b: Complex) -> Complex {
    let norm = b.0 * b.0 + b.1 * b.1;
    let (re, im) = times(a, (b.0, -b.1));
    (re / norm, im / norm)
}

/// All eigenvalues of a small matrix: the characteristic polynomial by Faddeev and Le Verrier, its roots by Durand and Kerner.
fn eigenvalues(a: &[f32], n: usize) -> Vec<Complex> {
    let a: Vec<f64> = a.iter().map(|&x| x.into()).collect();
    let product = |b: &[f64]| -> Vec<f64> {
        (0..n * n).map(|k| (0..n).map(|j| a[k / n * n + j] * b[j * n + k % n]).sum()).collect()
    };
    // c[0] = 1 is the coefficient of x^n.
    let mut c = vec![1.0];
    let mut m = vec![0.0; n * n];
    for k in 1..=n {
        m = product(&m);
        (0..n).for_each(|i| m[i * n + i] += c[k - 1]);
        let am = product(&m);
        c.push(-(0..n).map(|i| am[i * n + i]).sum::<f64>() / k as f64);
    }
    let mut roots: Vec<Complex> =
        (0..n).map(|k| (0.4 * (k as f64 + 0.3).cos(), 0.9 * (k as f64 + 0.7).sin())).collect();
    for _ in 0..5000 {
        for i in 0..n {
            let x = roots[i];
            let value = c.iter().fold((0.0, 0.0), |sum, &c| {
                let (re, im) = times(sum, x);
                (re + c, im)
            });
            let others = roots.iter().enumerate().filter(|(j, _)| *j != i);
            let below = others.fold((1.0, 0.0), |p, (_, r)| times(p, (x.0 - r.0, x.1 - r.1)));
            let (re, im) = over(value, below);
            roots[i] = (x.0 - re, x.1 - im);
        }
    }
    roots
}

fn moduli(a: &[f32], n: usize) -> Vec<f64> {
    let mut moduli: Vec<f64> = eigenvalues(a, n).iter().map(|(re, im)| re.hypot(*im)).collect();
    moduli.sort_by(|a, b| b.total_cmp(a));
    moduli
}

#[test]
fn the_solver_finds_eigenvalues_that_are_known() {
    // Blocks with eigenvalues 3, and 1 ± 2i, and -0.5, mixed by a similarity: rows then columns added.
    let mut a = [[3.0, 0.0, 0.0, 0.0], [0.0, 1.0, 2.0, 0.0], [0.0, -2.0, 1.0, 0.0], [0.0, 0.0, 0.0, -0.5f32]];
    for (i, j) in [(0, 1), (2, 3), (3, 0)] {
        (0..4).for_each(|k| a[i][k] += a[j][k]);
        (0..4).for_each(|k| a[k][j] -= a[k][i]);
    }
    let found = moduli(a.as_flattened(), 4);
    for (found, want) in found.iter().zip([3.0, 5f64.sqrt(), 5f64.sqrt(), 0.5]) {
        assert!((found - want).abs() < 1e-9, "{found} {want}");
    }
    let a: Vec<f64> = a.as_flattened().iter().map(|&x| x.into()).collect();
    assert!((matrix::spectral_radius(&a, 4) - 3.0).abs() < 1e-7);
    assert_eq!(matrix::spectral_radius(&[0.0, 1.0, 0.0, 0.0], 2), 0.0);
}

/// f32 rounding of the matrix's elements moves its eigenvalues by some 1e-7; the solver adds its own, less than as much again
/// times the conditioning of roots of degree 8.
const EIGENVALUE: f64 = 1e-5;

#[test]
fn largest_eigenvalues_are_those_of_the_table() {
    const N: usize = 8;
    for seed in 1..20 {
        let found = moduli(&draw("normalised", N, N, seed), N);
        assert!((found[0] - 1.0).abs() < EIGENVALUE, "{seed}: {found:?}");
        assert!(found[N - 1] < 0.999, "{found:?}");

        let w = draw("normalised-positive-definite", N, N, seed);
        assert!((0..N * N).all(|k| w[k] == w[k % N * N + k / N]), "symmetric");
        let found = eigenvalues(&w, N);
        let largest = found.iter().map(|e| e.0).fold(0.0, f64::max);
        let least = found.iter().map(|e| e.0).fold(2.0, f64::min);
        assert!(found.iter().all(|e| e.1.abs() < EIGENVALUE), "real: {found:?}");
        assert!((largest - 1.0).abs() < EIGENVALUE && least > 0.0, "{seed}: {found:?}");
        // The second is smaller: a normal matrix has no double eigenvalue.
        assert_eq!(found.iter().filter(|e| e.0 > 1.0 - EIGENVALUE).count(), 1, "{found:?}");

        let found = moduli(&draw("orthogonal", N, N, seed), N);
        assert!(found.iter().all(|m| (m - 1.0).abs() < EIGENVALUE), "{seed}: {found:?}");
    }
    assert_eq!(draw("identity", 3, 3, 1), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(draw("identity-small", 2, 2, 1), [0.01, 0.0, 0.0, 0.01]);
}

/// Where eigenvalues are many and close, as in a network, the radius is still exact: a matrix divided by it has radius 1, and
/// a known one has its own.
#[test]
fn the_spectral_radius_of_larger_matrices() {
    let n = 60;
    let w: Vec<f64> = draw("normalised", n, n, 3).iter().map(|&x| x.into()).collect();
    // Both numbers carry the stopping rule's 1e-8 and the matrix f32's rounding.
    assert!((matrix::spectral_radius(&w, n) - 1.0).abs() < 1e-6);
    let q: Vec<f64> = draw("orthogonal", n, n, 3).iter().map(|&x| 1.7 * f64::from(x)).collect();
    assert!((matrix::spectral_radius(&q, n) - 1.7).abs() < 1e-6);
    // Girko's law: 1 in the limit; the largest lies within a few 1/√N of it.
    let g: Vec<f64> = draw("gaussian", n, n, 3).iter().map(|&x| x.into()).collect();
    assert!((matrix::spectral_radius(&g, n) - 1.0).abs() < 0.3);
}

#[test]
fn orthogonal_rows_or_columns_whichever_are_fewer() {
    for (rows, cols) in [(7, 7), (5, 9), (9, 5), (1, 4), (1, 1)] {
        let w = draw("orthogonal", rows, cols, 2);
        let (count, len) = (rows.min(cols), rows.max(cols));
        let at = |i: usize, k: usize| f64::from(if rows <= cols { w[i * cols + k] } else { w[k * cols + i] });
        for i in 0..count {
            for j in 0..count {
                let product: f64 = (0..len).map(|k| at(i, k) * at(j, k)).sum();
                // Rounding of the elements to f32.
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-6, "{rows} x {cols}: {i} {j} {product}");
            }
        }
    }
}

#[test]
fn spreads_are_those_of_the_widths() {
    let (rows, cols) = (60, 90);
    let n = (rows * cols) as f64;
    for (name, variance, uniform) in [
        ("uniform", 1.0 / 3.0 / 60.0, true),
        ("glorot-uniform", 2.0 / 150.0, true),
        ("glorot-normal", 2.0 / 150.0, false),
        ("he-uniform", 2.0 / 90.0, true),
        ("he-normal", 2.0 / 90.0, false),
        ("gaussian", 1.0 / 90.0, false),
    ] {
        let w = draw(name, rows, cols, 4);
        let mean = w.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
        let found = w.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
        // Five standard errors: of the mean √(v/n); of the variance v√(2/n) for normal numbers, less for uniform ones.
        assert!(mean.abs() < 5.0 * (variance / n).sqrt(), "{name}: {mean}");
        assert!((found / variance - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{name}: {found} {variance}");
        let largest = w.iter().fold(0.0f32, |m, x| m.max(x.abs()));
        let bound = (3.0 * variance).sqrt() as f32;
        // 5400 uniform numbers: the largest is within a hundredth of the bound but for a chance of e^-54.
        assert_eq!(largest <= bound && largest > 0.99 * bound, uniform, "{name}: {largest} {bound}");
    }
    assert!(draw("zeros", 3, 4, 1).iter().all(|&x| x == 0.0));
}

/// |λ|² and the angle are uniform on the ring, and γ of each unit is √(1 - |λ|²) of its own λ (Orvieto et al. 2023, lemma 3.2 and section 3.4).
#[test]
fn the_lru_begins_on_its_ring() {
    let all = made("lru", Sizes { input: 1, hidden: 4000, output: 1 }, &Init::default()).unwrap();
    let values = |name: &str| -> Vec<f64> {
        let found = all.iter().find(|p| p.name == format!("weight_{name}_l0")).unwrap();
        found.values.iter().map(|&v| f64::from(v)).collect()
    };
    let squares: Vec<f64> = values("nu").into_iter().map(|nu| (-2.0 * nu.exp()).exp()).collect();
    let angles: Vec<f64> = values("theta").into_iter().map(f64::exp).collect();
    for (what, numbers, low, high) in
        [("|λ|²", &squares, 0.3721, 0.9801), ("angle", &angles, 0.01, std::f64::consts::PI)]
    {
        // A tenth of them in each tenth of the range: 400, with a standard deviation of 19.
        let mut counts = [0; 10];
        for &number in numbers {
            assert!((low - 1e-6..high + 1e-6).contains(&number), "{what} {number}");
            counts[(((number - low) / (high - low) * 10.0) as usize).min(9)] += 1;
        }
        assert!(counts.iter().all(|count| (320..480).contains(count)), "{what}: {counts:?}");
    }
    for (square, g) in squares.iter().zip(values("g")) {
        assert!((square + (2.0 * g).exp() - 1.0).abs() < 1e-6, "|λ|² {square}, γ {}", g.exp());
    }
}

/// The default as it was before there was a choice: element after element from the stream of the parameter's path.
#[test]
fn the_default_is_pytorchs_for_every_cell() {
    for cell in CELLS {
        let all = made(cell.name, Sizes { input: 3, hidden: 5, output: 4 }, &Init::default()).unwrap();
        let two = all.iter().any(|p| p.name == "bias_hh_l0");
        let bound = 1.0 / 5f32.sqrt();
        let layer = Layer::new((cell.make)(), Sizes { input: 3, hidden: 5, output: 4 }).unwrap();
        for (p, parameter) in all.iter().zip(layer.parameters()) {
            let draw = layer.initial_draw(parameter);
            if draw.is_some_and(|draw| !matches!(draw, Draw::Uniform(..))) {
                continue;
            }
            let mut random = Random::new(5, &format!("init/{}", p.name));
            let mut next = || {
                if let Some(Draw::Uniform(low, high)) = draw {
                    return (low + (high - low) * (f64::from(random.symmetric(1.0)) * 0.5 + 0.5)) as f32;
                }
                let first = random.symmetric(bound);
                match &p.name[..p.name.len() - 3] {
                    "weight_ln" => 1.0,
                    "bias_ln" => 0.0,
                    "bias_ih" if !two => first + random.symmetric(bound),
                    _ => first,
                }
            };
            assert!(p.values.iter().all(|&v| v == next()), "{}: {}", cell.name, p.name);
        }
        let default = config(cell.name, Sizes { input: 3, hidden: 5, output: 4 }).init(5, &Device::flex()).unwrap();
        assert_eq!(export(&default), all);
    }
}

#[test]
fn gates_are_drawn_one_by_one_and_inputs_apart_from_recurrent_matrices() {
    let init = Init {
        input: find("glorot-uniform").unwrap(),
        recurrent: find("identity").unwrap(),
        bias: Bias::Zeros,
        forget_bias: None,
        chrono: None,
    };
    let all = made("lstm", Sizes::new(3, 2), &init).unwrap();
    assert_eq!(parameter(&all, "weight_hh_l0").values, [1.0, 0.0, 0.0, 1.0].repeat(4));
    assert!(parameter(&all, "bias_ih_l1").values.iter().all(|&b| b == 0.0));
    let bound = (6.0f32 / 5.0).sqrt();
    let largest = parameter(&all, "weight_ih_l0").values.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    assert!(largest <= bound && largest > 0.6 * bound, "{largest} of {bound}");
    // The second stage's matrix of r * h is recurrent too; the input's stays.
    let all = made("gru", Sizes::new(3, 2), &init).unwrap();
    let hh: Vec<f32> = all.iter().filter(|p| p.name == "weight_hh_l0").flat_map(|p| p.values.clone()).collect();
    assert_eq!(hh, [1.0, 0.0, 0.0, 1.0].repeat(3));
    assert_ne!(parameter(&all, "weight_ih_l0").values[..4], [1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn the_same_seed_and_path_give_the_same_numbers() {
    for initialiser in REGISTRY {
        let init = Init { recurrent: initialiser, ..Init::default() };
        let sizes = Sizes::new(6, 6);
        let all = made("lstm", sizes, &init).unwrap();
        assert_eq!(made("lstm", sizes, &init).unwrap(), all);
        let (first, second) = (parameter(&all, "weight_hh_l0"), parameter(&all, "weight_hh_l1"));
        let drawn = !["zeros", "identity", "identity-small"].contains(&initialiser.name);
        assert_eq!(first.values != second.values, drawn, "{}: paths", initialiser.name);
        let other = export(&config("lstm", sizes).init_with(&init, 6, &Device::flex()).unwrap());
        assert_eq!(parameter(&other, "weight_hh_l0") != first, drawn, "{}: seeds", initialiser.name);
        assert!(first.values.iter().all(|x| x.is_finite()));
        assert_eq!(find(initialiser.name).unwrap(), initialiser);
    }
}

#[test]
fn the_forget_gates_bias_is_what_it_is_asked_to_be() {
    let init = Init { forget_bias: Some(1.5), ..Init::default() };
    let all = made("lstm", Sizes::new(3, 4), &init).unwrap();
    let default = made("lstm", Sizes::new(3, 4), &Init::default()).unwrap();
    let (bias, before) = (&parameter(&all, "bias_ih_l0").values, &parameter(&default, "bias_ih_l0").values);
    // i, f, g, o.
    assert_eq!(bias[4..8], [1.5; 4]);
    assert_eq!((&bias[..4], &bias[8..]), (&before[..4], &before[8..]));
    let error = |cell: &str, init: &Init| made(cell, Sizes::new(3, 4), init).unwrap_err().to_string();
    assert_eq!(
        error("gru", &init),
        "cell `gru` has no gate `f` with a bias for a forget bias; leave it out or take a cell such as `lstm`"
    );
    let error = error("lstm", &Init { forget_bias: Some(f32::NAN), ..init });
    assert_eq!(error, "the forget bias is NaN; it must be a finite number");
}

#[test]
fn the_chrono_initialisation_spreads_the_times_of_units() {
    let init = Init { chrono: Some(400.0), ..Init::default() };
    let (hidden, sizes) = (500, Sizes::new(1, 500));
    let all = made("lstm", sizes, &init).unwrap();
    let default = made("lstm", sizes, &Init::default()).unwrap();
    for l in ["bias_ih_l0", "bias_ih_l1"] {
        let (bias, before) = (&parameter(&all, l).values, &parameter(&default, l).values);
        // i, f, g, o.
        let (i, f) = (&bias[..hidden], &bias[hidden..2 * hidden]);
        assert!(i.iter().zip(f).all(|(i, f)| *i == -f), "{l}");
        assert_eq!(bias[2 * hidden..], before[2 * hidden..], "{l}");
        // Uniform from 1 to 399: the mean within four standard errors.
        let times: Vec<f32> = f.iter().map(|f| f.exp()).collect();
        assert!(times.iter().all(|u| (0.99..399.1).contains(u)), "{l}");
        let mean = times.iter().sum::<f32>() / hidden as f32;
        assert!((mean - 200.0).abs() < 4.0 * 398.0 / (12.0 * hidden as f32).sqrt(), "{l}: {mean}");
    }
    assert_ne!(parameter(&all, "bias_ih_l0").values, parameter(&all, "bias_ih_l1").values);
    let error = |cell: &str, init: &Init| made(cell, Sizes::new(3, 4), init).unwrap_err().to_string();
    assert_eq!(
        error("lstm-cifg", &init),
        "cell `lstm-cifg` has no gates `f` and `i` with biases for the chrono initialisation; leave it out or take a cell such as `lstm`"
    );
    for wrong in [2.0, f32::INFINITY, f32::NAN] {
        let message = error("lstm", &Init { chrono: Some(wrong), ..Init::default() });
        assert!(
            message.starts_with(&format!("the chrono initialisation's longest time is {wrong}; it must be")),
            "{message}"
        );
    }
    assert!(
        error("lstm", &Init { forget_bias: Some(1.0), ..init })
            .contains("a forget bias of 1 is asked for too; leave one out")
    );
}

#[test]
fn what_does_not_fit_is_an_error() {
    let identity = Init { recurrent: find("identity").unwrap(), ..Init::default() };
    let sizes = Sizes { input: 3, hidden: 4, output: 2 };
    let error = made("lstm-projected", sizes, &identity).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`identity` needs square matrices, and `weight_hh_l0` of cell `lstm-projected` has blocks of 4 x 2; make the \
         widths equal or choose an initialiser for any shape, such as `orthogonal`"
    );
    made("lstm-projected", Sizes::new(3, 4), &identity).unwrap();
    made("lstm-projected", sizes, &Init { recurrent: find("orthogonal").unwrap(), ..identity }).unwrap();
    let input = Init { input: find("identity").unwrap(), ..Init::default() };
    assert!(matches!(made("elman", sizes, &input), Err(InitError::NotSquare { rows: 4, cols: 3, .. })));
    let error = made("unit-feedback", sizes, &identity).unwrap_err();
    assert_eq!(error, InitError::NoRecurrentMatrix { cell: "unit-feedback", initialiser: "identity" });
    assert!(
        find("identidad").unwrap_err().to_string().starts_with("unknown initialiser `identidad`; there are uniform, ")
    );
    let zero = config("elman", Sizes::new(0, 1)).init_with(&identity, 1, &Device::flex()).unwrap_err();
    assert_eq!(zero.to_string(), "input size must be at least 1");
}

#[test]
fn every_row_of_the_table_is_a_network() {
    for preset in PRESETS {
        let all = made(preset.cell, Sizes::new(8, 8), &preset.init()).unwrap();
        let largest = moduli(&parameter(&all, "weight_hh_l0").values, 8)[0];
        let wanted = match preset.title {
            // Eight equal roots: the solver finds them to the eighth root of its rounding, some hundredths.
            "IRNN" => 0.9..1.1,
            "iRNN" => 0.009..0.011,
            "nRNN" | "np-RNN" | "np-tanhRNN" | "oRNN" => 1.0 - EIGENVALUE..1.0 + EIGENVALUE,
            // Random: of the order of 1/√3 and of 1.
            _ => 0.2..2.0,
        };
        assert!(wanted.contains(&largest), "{}: {largest}", preset.name);
        let zero = parameter(&all, "bias_ih_l0").values.iter().all(|&b| b == 0.0);
        assert_eq!(zero, preset.bias == Bias::Zeros, "{}", preset.name);
        assert_eq!(find_preset(preset.name).map(|p| p.title), Some(preset.title));
        assert!(cells::find(preset.name).is_none(), "{} is a cell too", preset.name);
    }
    assert_eq!(PRESETS.len(), 8);
}

//! A registered cell with options: `elman:activation=relu`, `lstm:bias=off,zoneout=0.1`. The form needs no quotes in a shell.

use crate::Error;
use elman_core::options::{self, WrongOption};
use elman_core::{Cell, cells};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Whether this is a name with options; a path may have a colon too, but not behind the name of a cell.
pub(crate) fn has_options(cell: &str) -> bool {
    let name = cell.split_once(':').map(|(name, _)| name.trim());
    name.is_some_and(|name| !name.is_empty() && !name.contains(|c: char| c == '\n' || std::path::is_separator(c)))
}

/// The name and its options, each with its value, in the order given.
type Parts<'a> = (&'a str, Vec<(&'a str, &'a str)>);

fn split(given: &str) -> Result<Parts<'_>, Error> {
    let (name, list) = given.split_once(':').ok_or_else(|| wrong(given, WrongOption::Form))?;
    Ok((name.trim(), options::read(list).map_err(|error| wrong(given, error))?))
}

fn wrong(cell: &str, what: WrongOption) -> Error {
    Error::CellOption { cell: cell.into(), what }
}

/// The same without blanks, so that equal cells are equal texts.
pub(crate) fn tidy(given: &str) -> Result<String, Error> {
    let (name, options) = split(given)?;
    let options: Vec<String> = options.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Ok(format!("{name}:{}", options.join(",")))
}

/// Makes the cell. The same text gives the same cell; what it needs is kept until the program ends.
pub(crate) fn make(given: &str) -> Result<Arc<dyn Cell>, Error> {
    static KNOWN: Mutex<Option<HashMap<String, Arc<dyn Cell>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let known = known.get_or_insert_default();
    if let Some(cell) = known.get(given) {
        return Ok(cell.clone());
    }
    let (name, list) = split(given)?;
    let entry = cells::find(name).ok_or_else(|| crate::model::unknown_cell(name))?;
    let cell = options::make(entry, &list).map_err(|error| wrong(given, error))?;
    known.insert(given.to_string(), cell.clone());
    Ok(cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use elman_core::algebra::{Activation, Dual};
    use elman_core::layer::{Layer, Role, Sizes};
    use elman_core::testing::{Problem, Reference, engines, gradient_check};

    fn layer(cell: &str) -> Layer {
        Layer::new(crate::cell::make(cell).unwrap(), Sizes::new(2, 3)).unwrap()
    }

    /// What one cell computes with the parameters of a problem of another.
    fn outputs(cell: &str, problem: &Problem<f64>) -> Vec<f64> {
        Problem { layer: layer(cell), ..problem.clone() }.forward(&mut Reference).y
    }

    #[test]
    fn options_are_the_cells_that_they_name() {
        let find = |name: &str| Layer::new((cells::find(name).unwrap().make)(), Sizes::new(2, 3)).unwrap();
        let problem = |name: &str| Problem::<f64>::new(&find(name), 4, 2, 1);
        for (given, registered) in [
            ("elman:activation=relu", "elman-relu"),
            ("elman:activation=sigmoid", "elman-sigmoid"),
            ("elman:bias=on", "elman"),
            ("jordan:activation=tanh", "jordan"),
            ("jordan:output-activation=sigmoid", "jordan"),
            ("output-feedback:activation=tanh", "output-feedback"),
            ("lstm-peephole:input-activation=identity", "lstm-niaf"),
            ("lstm-peephole:output-activation=identity", "lstm-noaf"),
            ("leaky-fixed:alpha=0.9", "leaky-fixed"),
        ] {
            let problem = problem(registered);
            assert_eq!(outputs(given, &problem), problem.forward(&mut Reference).y, "{given}");
        }
        let leaky = problem("leaky-fixed");
        assert_ne!(outputs("leaky-fixed:alpha=0.3", &leaky), leaky.forward(&mut Reference).y);
        for (given, registered) in
            [("jordan:output-activation=identity", "jordan"), ("output-feedback:activation=relu", "output-feedback")]
        {
            let problem = problem(registered);
            assert_ne!(outputs(given, &problem), problem.forward(&mut Reference).y, "{given}");
        }
        assert!(layer("lstm:bias=off").parameters().iter().all(|p| p.role != Role::Bias));
        let all = layer("lstm: zoneout = 0.1,bias=off,  zoneout-cell=0.5 ");
        assert_eq!(all.feeds(), [(3, Some(0.1)), (3, Some(0.5))]);
        assert_eq!(all.parameters().len(), 2);
    }

    /// Every activation is what its formula says, and tells its name.
    #[test]
    fn activations_by_name() {
        let formula = |name: &str, x: f64| match name {
            "tanh" => x.tanh(),
            "sigmoid" => 1.0 / (1.0 + (-x).exp()),
            "relu" => x.max(0.0),
            "identity" => x,
            "softplus" => (1.0 + x.exp()).ln(),
            "softsign" => x / (1.0 + x.abs()),
            "leaky-relu" => {
                if x > 0.0 {
                    x
                } else {
                    0.01 * x
                }
            }
            "elu" => {
                if x > 0.0 {
                    x
                } else {
                    x.exp() - 1.0
                }
            }
            "silu" => x / (1.0 + (-x).exp()),
            "hard-tanh" => x.clamp(-1.0, 1.0),
            "hard-sigmoid" => (x / 6.0 + 0.5).clamp(0.0, 1.0),
            "sin" => x.sin(),
            "cos" => x.cos(),
            other => panic!("no formula for {other}"),
        };
        for (name, activation) in Activation::ALL {
            for x in [-7.0, -2.5, -1.0, -0.3, 0.0, 0.4, 1.7, 3.5] {
                assert!((activation.of(x) - formula(name, x)).abs() < 1e-12, "{name} of {x}");
            }
            let given = format!("elman:activation={name}");
            assert_eq!(make(&given).unwrap().spec().name, given);
            let small = Layer::new(make(&given).unwrap(), Sizes { input: 2, hidden: 3, output: 3 }).unwrap();
            for mut engine in engines::<f64>() {
                gradient_check(&mut *engine, &Problem::new(&small, 5, 2, 1)).unwrap_or_else(|e| panic!("{name}: {e}"));
            }
            // f32 beside f64: cancellation costs some of the last bits, no more.
            for k in -60..60 {
                let x = f64::from(k) / 8.0 + 1e-3;
                let got = f64::from(activation.of(x as f32));
                assert!((got - activation.of(x)).abs() < 1e-6, "{name} of {x}: {got}");
            }
            // Far out.
            for x in [-1e8f32, 1e8] {
                let want = formula(name, f64::from(x));
                let bounded = !["sin", "cos"].contains(&name);
                assert!(
                    !bounded || (f64::from(activation.of(x)) - want).abs() <= 1e-6 * want.abs().max(1.0),
                    "{name} of {x}"
                );
            }
            // At zero, where a rectifier's slope is PyTorch's 0 and those of the smooth or leaky ones are theirs.
            let slope = match name {
                "relu" => 0.0,
                "sigmoid" => 0.25,
                "softplus" | "silu" => 0.5,
                "leaky-relu" => 0.01,
                "hard-sigmoid" => 1.0 / 6.0,
                "cos" => 0.0,
                _ => 1.0,
            };
            let dual: Dual<f64, [f64; 1]> = activation.of(Dual::argument(0.0, 0));
            assert!((dual.partials[0] - slope).abs() < 1e-12, "{name}: {dual:?}");
            // What is described is the cell again.
            let text = elman_core::describe::text(&layer(&given), elman_core::describe::Notation::Elman).unwrap();
            let problem = Problem::<f64>::new(&layer(&given), 4, 2, 1);
            // Sums in another order: a + (b - 1) is written without brackets.
            for (got, want) in outputs(&text, &problem).iter().zip(problem.forward(&mut Reference).y) {
                assert!((got - want).abs() < 1e-12, "{given}");
            }
        }
    }

    #[test]
    fn leaky_units_begin_where_they_are_told() {
        let range = |given: &str| match make(given).unwrap().spec().stages[0].draws[0] {
            Some(elman_core::Draw::Uniform(first, last)) => (first, last),
            other => panic!("{other:?}"),
        };
        let share = |leak: f64| 1.0 / (1.0 + (-leak).exp());
        let (first, last) = range("leaky:alpha=0.5..0.99");
        assert!((share(first) - 0.5).abs() < 1e-12 && (share(last) - 0.99).abs() < 1e-12);
        let (first, last) = range("leaky:tau=20,dt=0.5");
        assert!(first == last && (share(first) - (-0.5f64 / 20.0).exp()).abs() < 1e-12);
        let problem = Problem::<f64>::new(&layer("leaky-fixed:alpha=0.5"), 4, 2, 1);
        let alpha = (-1.0f64 / 3.0).exp();
        assert_eq!(outputs("leaky-fixed:tau=3", &problem), outputs(&format!("leaky-fixed:alpha={alpha}"), &problem));
    }

    /// Three layers from state to state, in plain loops.
    #[test]
    fn deep_transition_has_as_many_layers_as_it_is_told() {
        let deep = layer("deep-transition:layers=3");
        assert_eq!(deep.stages().len(), 3);
        let problem = Problem::<f64>::new(&deep, 4, 2, 1);
        let y = problem.forward(&mut Reference).y;
        // weight_ih (H, I); weight_hh (3 H, H): U, V, V2; bias_ih (3 H).
        let names: Vec<&str> = deep.parameters().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["weight_ih", "weight_hh", "bias_ih"]);
        let (w, u, b) = (&problem.params[0], &problem.params[1], &problem.params[2]);
        for row in 0..2 {
            let mut h = vec![0.0; 3];
            for t in 0..4 {
                let x = &problem.input[(t * 2 + row) * 2..][..2];
                let affine = |k: usize, from: &[f64]| -> Vec<f64> {
                    (0..3)
                        .map(|i| b[k * 3 + i] + (0..3).map(|j| u[(k * 3 + i) * 3 + j] * from[j]).sum::<f64>())
                        .collect()
                };
                let mut a = affine(0, &h);
                (0..3).for_each(|i| a[i] += w[i * 2] * x[0] + w[i * 2 + 1] * x[1]);
                for k in 1..3 {
                    a = affine(k, &a.iter().map(|a| a.tanh()).collect::<Vec<_>>());
                }
                h = a.iter().map(|a| a.tanh()).collect();
                for (got, want) in y[(t * 2 + row) * 3..][..3].iter().zip(&h) {
                    assert!((got - want).abs() < 1e-12, "step {t}: {got}, expected {want}");
                }
            }
        }
        elman_core::testing::check_cell(make("deep-transition:layers=3").unwrap()).unwrap();
        let text = elman_core::describe::text(&deep, elman_core::describe::Notation::Elman).unwrap();
        assert!(
            text.contains("u_{2,t} = tanh(") && text.contains("`layers=3`, the layers from state to state"),
            "{text}"
        );
        assert_eq!(outputs(&text, &problem), y);
    }

    /// The name in a cell's specification makes it again.
    #[test]
    fn names_are_their_own_options() {
        for given in [
            "gru:zoneout=0.25",
            "lstm:zoneout=0.05,zoneout-cell=0.5",
            "elman:activation=relu,bias=off",
            "deep-transition:layers=4",
            "leaky:tau=2..30",
        ] {
            assert_eq!(make(given).unwrap().spec().name, given);
            assert_eq!(tidy(&format!(" {} ", given.replace(',', " , ").replace('=', " = "))).unwrap(), given);
        }
    }

    #[test]
    fn errors_name_the_option_and_its_range() {
        for (given, message) in [
            ("lstm:zoneout=1", "cell `lstm:zoneout=1`: zoneout is 1; it must be from 0 to below 1"),
            ("lstm:zoneout=x", "cell `lstm:zoneout=x`: zoneout is `x`; it must be a number"),
            ("lstm:bias=no", "cell `lstm:bias=no`: bias is `no`; it must be on or off"),
            ("leaky-fixed:alpha=2", "cell `leaky-fixed:alpha=2`: alpha is 2; it must be from 0 to 1"),
            (
                "elman:activation=step",
                "cell `elman:activation=step`: activation is `step`; it must be one of tanh, sigmoid, relu, identity, softplus, softsign, \
                 leaky-relu, elu, silu, hard-tanh, hard-sigmoid, sin, cos",
            ),
            (
                "gru:zoneout-cell=0.5",
                "cell `gru:zoneout-cell=0.5`: `gru` has no option `zoneout-cell`; it has activation, bias, zoneout",
            ),
            (
                "leaky:alpha=0.5..1",
                "cell `leaky:alpha=0.5..1`: alpha is 1; it must be above 0 and below 1, the first at most the last",
            ),
            (
                "leaky:tau=5..2",
                "cell `leaky:tau=5..2`: tau is 5; it must be a time of which e^(-dt/tau) is above 0 and below 1, the first at most the last",
            ),
            ("leaky:alpha=x", "cell `leaky:alpha=x`: alpha is `x`; it must be a number, or two as in 0.5..0.9"),
            (
                "leaky-fixed:alpha=0.5,tau=2",
                "cell `leaky-fixed:alpha=0.5,tau=2`: alpha and tau are two ways to say the same; leave one out",
            ),
            ("leaky-fixed:dt=2", "cell `leaky-fixed:dt=2`: dt is the step beside which tau is measured; give tau too"),
            ("leaky-fixed:tau=0", "cell `leaky-fixed:tau=0`: tau is 0; it must be a positive number of seconds"),
            (
                "deep-transition:layers=65",
                "cell `deep-transition:layers=65`: layers is `65`; it must be a whole number from 2 to 64",
            ),
            ("gru:", "cell `gru:`: options are written `name:option=value,option=value`"),
            ("gru:bias=off,bias=on", "cell `gru:bias=off,bias=on`: `bias` stands there twice"),
        ] {
            assert_eq!(make(given).unwrap_err().to_string(), message);
        }
        let unknown = make("lstn:bias=off").unwrap_err().to_string();
        assert!(unknown.starts_with("unknown cell `lstn`; did you mean `lstm"), "{unknown}");
    }
}

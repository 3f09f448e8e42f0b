//! Every option of the table, on every cell that takes it: gradients against central differences, engines against the reference, the description
//! against the cell that runs. `tests/golden.rs` has their goldens.

use elman_core::describe::{self, Notation};
use elman_core::options::{self, Case, OPTIONS, WrongOption};
use elman_core::testing::{ENGINES_F64, Problem, Reference, Runner, engine_check, engines, gradient_check};
use elman_core::testing::{runners, same};
use elman_core::{Cell, Layer, Sizes, algebra::Activation, cells, text_cell, with_mean_feeds};
use std::sync::Arc;

const SIZES: Sizes = Sizes { input: 2, hidden: 3, output: 4 };

fn make(given: &str) -> Result<Arc<dyn Cell>, WrongOption> {
    let (name, list) = given.split_once(':').unwrap();
    options::make(cells::find(name).unwrap(), &options::read(list)?)
}

fn layer(cell: &Arc<dyn Cell>, sizes: Sizes) -> Layer {
    Layer::new(cell.clone(), sizes).unwrap()
}

/// With all that a problem can have, forward and from the end.
fn problems(layer: &Layer) -> [Problem<f64>; 2] {
    let lengths = [3, 0, 5, 1];
    [
        Problem::new(layer, 4, 2, 2).states(),
        Problem::new(layer, 5, 4, 10).states().masked().tokens(3).lengths(&lengths).reversed(),
    ]
}

fn gradients_hold(name: &str, cell: &Arc<dyn Cell>) {
    for problem in problems(&layer(cell, SIZES)) {
        for mut engine in engines() {
            if let Err(failure) = gradient_check(&mut *engine, &problem) {
                panic!("{name}: {failure}");
            }
        }
    }
}

/// The description, read as a cell, computes what the cell computes: outputs, states, gradients. What training draws is at its mean in both, for a text
/// has no feeds.
fn is_its_description(name: &str, cell: &Arc<dyn Cell>) {
    let ours = layer(&with_mean_feeds(cell.clone()), SIZES);
    let drawn = layer(cell, SIZES);
    let text = describe::text(&ours, Notation::Elman).unwrap_or_else(|error| panic!("{name}: {error}"));
    let again = text_cell::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
    let theirs = layer(&again, SIZES);
    assert_eq!(theirs.parameters(), ours.parameters(), "{name}\n{text}");
    assert_eq!(again.spec().name, name);
    for mut problem in problems(&drawn) {
        let means = drawn.feeds().into_iter().filter_map(|(_, mean)| mean);
        problem.feeds.iter_mut().zip(means).for_each(|(feed, mean)| feed.fill(mean));
        let other = Problem { layer: theirs.clone(), feeds: Vec::new(), ..problem.clone() };
        let (got, want) = (other.forward(&mut Reference), problem.forward(&mut Reference));
        // a + (b - 1) is written without brackets: sums in another order.
        same(&format!("{name}: y"), &got.y, &want.y, 1e-12).unwrap();
        for (got, want) in got.state.iter().zip(&want.state) {
            same(&format!("{name}: state"), got, want, 1e-12).unwrap();
        }
        let (got, want) = (other.backward(&mut Reference), problem.backward(&mut Reference));
        for (got, want) in got.params.iter().zip(&want.params).chain([(&got.input, &want.input)]) {
            same(&format!("{name}: gradient"), got, want, 1e-12).unwrap();
        }
    }
}

#[test]
fn every_row_has_examples_and_goldens() {
    for option in OPTIONS {
        let what = format!("{} of {}", option.name, option.of());
        let takers: Vec<_> = cells::REGISTRY.iter().filter(|cell| option.is_of(cell)).map(|cell| cell.name).collect();
        assert!(!takers.is_empty() && !option.meaning.is_empty() && !option.default.is_empty(), "{what}");
        if let options::Takers::These(names) = option.cells {
            assert_eq!(takers.len(), names.len(), "{what}: a name is not registered, or stands there twice");
        }
        let twice = OPTIONS.iter().filter(|other| other.name == option.name);
        for cell in takers.iter().map(|name| cells::find(name).unwrap()) {
            assert_eq!(
                twice.clone().filter(|other| other.is_of(cell)).count(),
                1,
                "{what}: two rows for {}",
                cell.name
            );
            assert!(option.example(cell.name).is_some(), "{what}: no example for {}", cell.name);
        }
        for example in option.examples {
            let of = |cell: &&str| option.example(cell).is_some_and(|found| std::ptr::eq(found, example));
            assert!(example.cells.iter().all(|cell| takers.contains(cell)), "{what}: {example:?}");
            assert!(takers.iter().any(of), "{what}: nothing uses {example:?}");
            let given = options::read(example.given).unwrap();
            assert!(given.iter().any(|(name, _)| *name == option.name), "{what}: {example:?} is of another option");
            assert!(!example.goldens.is_empty(), "{what}: {example:?} has no golden");
            assert!(example.goldens.iter().all(|cell| takers.contains(cell) && of(cell)), "{what}: {example:?}");
        }
    }
}

/// A value out of range is told with the option, what was given, and what it may be.
#[test]
fn wrong_values_are_told_with_their_range() {
    for option in OPTIONS {
        let cell = cells::REGISTRY.iter().find(|cell| option.is_of(cell)).unwrap();
        // With what it needs beside it.
        let given = options::read(option.example(cell.name).unwrap().given).unwrap();
        let wrong: Vec<_> =
            given.iter().map(|&(name, value)| (name, if name == option.name { option.wrong } else { value })).collect();
        let error = options::make(cell, &wrong).unwrap_err().to_string();
        let range = match option.values {
            options::Values::Span(range) => range.to_string(),
            values => values.words(),
        };
        let [quoted, plain] =
            ["`", ""].map(|tick| format!("{} is {tick}{}{tick}; it must be {range}", option.name, option.wrong));
        assert!(error == quoted || error == plain, "{}: {error}", option.name);
        let none = options::make(cell, &[("nothing", "1")]).unwrap_err().to_string();
        assert!(none.contains("has no option `nothing`; it has ") && none.contains(option.name), "{none}");
    }
}

#[test]
fn every_option_has_exact_gradients() {
    for case in options::cases() {
        gradients_hold(&case.name(), &case.make());
    }
}

#[test]
fn every_engine_gives_the_same() {
    for case in options::cases() {
        let layer = layer(&case.make(), Sizes { input: 3, hidden: 17, output: 5 });
        for mut runner in runners::<f64>() {
            engine_check(&mut *runner, &problems(&layer)[1], ENGINES_F64)
                .unwrap_or_else(|e| panic!("{}: {e}", case.name()));
        }
    }
}

#[test]
fn every_option_is_described_as_it_runs() {
    for case in options::cases() {
        is_its_description(&case.name(), &case.make());
    }
}

/// An option that is given changes the cell: its numbers, its parameters, what training draws, or where units begin.
#[test]
fn every_option_does_something() {
    let seen = |cell: &Arc<dyn Cell>| {
        let layer = layer(cell, SIZES);
        let parameters = layer.parameters().to_vec();
        let ranges: Vec<_> = parameters.iter().map(|parameter| layer.initial_range(parameter)).collect();
        let y = Problem::<f64>::new(&layer, 4, 2, 1).forward(&mut Reference).y;
        (parameters, ranges, layer.feeds(), y)
    };
    // Without the option, but with what its example has beside it.
    let without = |case: &Case| {
        let given: Vec<_> = options::read(case.example.given).unwrap();
        let others: Vec<_> = given.into_iter().filter(|(name, _)| *name != case.option.name).collect();
        if case.option.name == "tau" || others.is_empty() {
            return (case.cell.make)();
        }
        options::make(case.cell, &others).unwrap()
    };
    for case in options::cases() {
        // This cell has no bias to leave out.
        let nothing = (case.cell.name, case.option.name) == ("lru", "bias");
        assert_eq!(seen(&case.make()) == seen(&without(&case)), nothing, "{}", case.name());
    }
}

/// Every activation, where the equations use it once, where they use it twice, and where its number has no name.
#[test]
fn every_activation_in_other_cells() {
    for (name, _) in Activation::ALL {
        for given in [
            format!("lstm:input-activation={name},output-activation={name}"),
            format!("residual-before:activation={name},output-activation={name}"),
            format!("residual-output-gate:activation={name}"),
            format!("output-feedback-preprocessed:activation={name}"),
            format!("deep-output-shortcut:layers=3,output-layers=2,activation={name},output-activation={name}"),
        ] {
            is_its_description(&given, &make(&given).unwrap());
        }
    }
}

/// The registered functions by their names are the registered cell, to the bit.
#[test]
fn registered_activations_by_name_change_nothing() {
    for (name, list) in [
        ("lstm", "input-activation=tanh,output-activation=tanh"),
        ("residual-output-gate", "activation=tanh,output-activation=tanh"),
        ("deep-output-shortcut", "activation=tanh,output-activation=tanh,layers=2,output-layers=1"),
        ("second-order", "activation=sigmoid"),
        ("indrnn", "activation=relu"),
        ("lstm-fgr", "input-activation=tanh,output-activation=tanh"),
    ] {
        let registered = (cells::find(name).unwrap().make)();
        let given = make(&format!("{name}:{list}")).unwrap();
        for mut runner in runners::<f64>() {
            for problem in problems(&layer(&registered, Sizes { input: 3, hidden: 17, output: 5 })) {
                let other = Problem { layer: layer(&given, problem.layer.sizes()), ..problem.clone() };
                let runner: &mut dyn Runner<f64> = &mut *runner;
                assert_eq!(other.forward(runner), problem.forward(runner), "{name}, {}", runner.name());
            }
        }
    }
}

#[test]
fn options_go_together() {
    for given in [
        "deep-output-shortcut:layers=4,output-layers=3,activation=silu,output-activation=elu,bias=off,zoneout=0.25",
        "deep-output:output-layers=2",
        "leaky:tau=2..30,activation=softsign,zoneout=0.5",
    ] {
        let cell = make(given).unwrap();
        gradients_hold(given, &cell);
        is_its_description(given, &cell);
    }
    for (given, message) in [
        ("leaky:alpha=0.5,tau=2", "alpha and tau are two ways to say the same; leave one out"),
        ("leaky-fixed:dt=2", "dt is the step beside which tau is measured; give tau too"),
        ("gru:bias=off,bias=on", "`bias` stands there twice"),
        ("gru:bias", "options are written `name:option=value,option=value`"),
    ] {
        assert_eq!(make(given).unwrap_err().to_string(), message);
    }
}

//! Zoneout around cells: its definition, its gradient, every engine, streaming.

use elman_core::algebra::lanes::Isa;
use elman_core::cells::{REGISTRY, find};
use elman_core::engine::{Engine, Input, Sequence, StepInput, Stepper};
use elman_core::testing::{self, Fused, Problem, Reference, Runner, engines, gradient_check, problems};
use elman_core::{Cell, Layer, Sizes, Zoneout};
use std::sync::Arc;

const SIZES: Sizes = Sizes { input: 2, hidden: 3, output: 4 };

fn make(name: &str) -> Arc<dyn Cell> {
    (find(name).unwrap().make)()
}

fn zoned(name: &str) -> Arc<dyn Cell> {
    Zoneout { output: 0.25, others: 0.5 }.around(make(name)).unwrap()
}

#[test]
fn gradients_are_those_of_central_differences() {
    for name in REGISTRY.iter().map(|entry| entry.name) {
        let layer = Layer::new(zoned(name), SIZES).unwrap();
        for (case, problem) in problems(&layer) {
            for mut engine in engines() {
                if let Err(failure) = gradient_check(&mut *engine, &problem) {
                    panic!("{name}, {case}: {failure}");
                }
            }
        }
    }
}

#[test]
fn every_engine_gives_the_same() {
    for name in REGISTRY.iter().map(|entry| entry.name) {
        let layer = Layer::new(zoned(name), Sizes { input: 3, hidden: 17, output: 5 }).unwrap();
        testing::check_engines::<f64>(&layer, testing::ENGINES_F64).unwrap();
        testing::check_engines::<f32>(&layer, testing::ENGINES_F32).unwrap();
    }
}

/// The problem of a cell with zoneout, and the same of the cell within.
fn pair(name: &str, feed: impl Fn(usize) -> f64) -> [Problem<f64>; 2] {
    let mut with = Problem::<f64>::new(&Layer::new(zoned(name), SIZES).unwrap(), 5, 2, 3).states();
    for feed_values in &mut with.feeds {
        feed_values.iter_mut().enumerate().for_each(|(i, value)| *value = feed(i));
    }
    let layer = Layer::new(make(name), SIZES).unwrap();
    let without = Problem { layer, feeds: Vec::new(), ..with.clone() };
    [with, without]
}

#[test]
fn nothing_kept_is_the_cell_within_to_the_bit() {
    for entry in REGISTRY {
        let [with, without] = pair(entry.name, |_| 0.0);
        assert_eq!(with.layer.parameters(), without.layer.parameters(), "{}", entry.name);
        for engine in [&mut Reference as &mut dyn Runner<f64>, &mut Fused::new(Isa::detect(), 1)] {
            assert_eq!(with.forward(engine), without.forward(engine), "{}", entry.name);
            let (a, b) = (with.backward(engine), without.backward(engine));
            assert_eq!((a.params, a.input, a.state), (b.params, b.input, b.state), "{}", entry.name);
        }
    }
}

#[test]
fn everything_kept_is_the_state_before() {
    for name in REGISTRY.iter().map(|entry| entry.name) {
        let [with, _] = pair(name, |_| 1.0);
        assert_eq!(with.forward(&mut Fused::new(Isa::detect(), 1)).state, with.state.clone().unwrap(), "{name}");
    }
}

/// The definition, step by step, from the cell within: each carried value is the old one where its feed is 1.
#[test]
fn a_unit_keeps_its_value_where_its_feed_is_one() {
    for name in ["elman", "lstm", "gru", "slstm"] {
        let [with, without] = pair(name, |i| f64::from(u8::from(i % 3 == 0 || i % 7 == 2)));
        let found = with.forward(&mut Fused::new(Isa::detect(), 1));
        let (input, width) = (SIZES.input * without.batch, SIZES.hidden * without.batch);
        let carry = make(name).spec().carry;
        // Feeds are in the order of what the stages write.
        let writes: Vec<&str> = make(name).spec().stages.iter().flat_map(|stage| stage.writes).copied().collect();
        let kept: Vec<&str> = writes.into_iter().filter(|value| carry.contains(value)).collect();
        let mut state = without.state.clone().unwrap();
        for t in 0..without.steps {
            let mut step = Problem { steps: 1, state: Some(state.clone()), ..without.clone() };
            step.input = without.input[t * input..][..input].to_vec();
            step.d_y = vec![0.0; width];
            let new = step.forward(&mut Reference).state;
            for (k, value) in carry.iter().enumerate() {
                let feed = &with.feeds[kept.iter().position(|v| v == value).unwrap()][t * width..][..width];
                for u in 0..width {
                    state[k][u] = if feed[u] == 1.0 { state[k][u] } else { new[k][u] };
                }
            }
            let output = carry.iter().position(|&v| v == make(name).spec().output).unwrap();
            testing::same("y", &found.y[t * width..][..width], &state[output], testing::ENGINES_F64).unwrap();
        }
    }
}

#[test]
fn a_stream_takes_the_means() {
    let [problem, _] = pair("lstm", |_| 0.0);
    let layer = &problem.layer;
    let params: Vec<&[f64]> = problem.params.iter().map(Vec::as_slice).collect();
    let means: Vec<Vec<f64>> =
        layer.feeds().iter().map(|&(width, p)| vec![p.unwrap(); problem.steps * problem.batch * width]).collect();
    assert_eq!(means.iter().map(|feed| feed[0]).collect::<Vec<_>>(), [0.25, 0.5]);
    let engine = Arc::new(Engine::new(1));
    let (mut workspace, mut out) = (Default::default(), Default::default());
    let feeds = means.iter().map(Vec::as_slice).collect();
    let sequence = Sequence { feeds, ..Sequence::new(problem.steps, problem.batch, Input::Dense(&problem.input)) };
    engine.forward(layer, &params, &sequence, &mut workspace, &mut out);
    let mut stepper = Stepper::new(&engine, layer, &params, problem.batch, None);
    let mut y = Vec::new();
    for x in problem.input.chunks(problem.batch * SIZES.input) {
        y.extend_from_slice(stepper.step(StepInput::Dense(x)));
    }
    assert_eq!(y, out.y);
    assert_eq!(stepper.state(), out.state);
}

#[test]
fn probabilities_have_a_range() {
    for (zoneout, message) in [
        (Zoneout { output: 1.0, others: 0.0 }, "zoneout is 1; it must be from 0 to below 1"),
        (Zoneout { output: 0.0, others: -0.1 }, "zoneout-cell is -0.1; it must be from 0 to below 1"),
        (Zoneout { output: f64::NAN, others: 0.0 }, "zoneout is NaN; it must be from 0 to below 1"),
    ] {
        assert_eq!(zoneout.around(make("lstm")).unwrap_err().to_string(), message);
    }
    let none = Zoneout::default().around(make("lstm")).unwrap();
    assert!(none.spec().stages.iter().all(|stage| stage.feeds.is_empty()));
    let hidden = Zoneout { output: 0.1, others: 0.0 }.around(make("lstm")).unwrap();
    assert_eq!(hidden.spec().stages[0].feeds, ["keep_h"]);
}

#[test]
fn it_is_described_like_any_cell() {
    let text = elman_core::describe::text(&Layer::new(zoned("lstm"), SIZES).unwrap(), Default::default()).unwrap();
    assert!(text.starts_with("lstm:zoneout=0.25,zoneout-cell=0.5\n"), "{text}");
    // What the cell makes has a prime, what is carried has none.
    assert!(text.contains("h_t = keep_h_t ⊙ h_{t-1} + (1 − keep_h_t) ⊙ h′_t"), "{text}");
}

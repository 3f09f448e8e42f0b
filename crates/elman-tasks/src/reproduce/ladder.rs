//! From Elman's network to the LSTM: the fourth deck's ladder on one task.

use super::adding::{BASELINE, SOLVED, batch};
use super::training::{Plan, draw_by_lag, gradient_by_lag, lags, logarithms, numbers, train, trainer};
use super::{Experiment, Log, Options, Outcome, Row};
use crate::Error;
use crate::plot::{self, Curve};
use elman::init::Init;
use elman::network::{Predict, SequenceNetwork, SequenceNetworkConfig};
use elman::{Sizes, cells};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "ladder",
    file: "ladder",
    paper: "the fourth lecture deck; no published figures",
    summary: "from Elman's network to the LSTM, a gate at a time, on the adding problem: curves and gradient by lag",
    doc: "\
The rungs: state and output fed back; a residual state; an input gate; a forget gate; an output gate; the full LSTM of the deck, which feeds its output back; beside them
Elman's network and the LSTM of the libraries. All have 32 units, learn the adding problem with T = 60, by Adam at one rate with gradients
clipped at norm 1, batches of 32, at most 4,000 steps, from the default initial weights with forget gates opened (bias 3). The figure is the error on 1,000
sequences kept apart (0.167 without looking). Pictures: the error by step, and the size of the gradient by the state at each lag, before and after
training.",
    lengths: Some(20..=200),
    mixed: false,
    run,
};

/// The rungs, from the ground.
const RUNGS: [&str; 8] = [
    "elman",
    "output-feedback",
    "residual",
    "residual-input-gate",
    "residual-forget-gate",
    "residual-output-gate",
    "lstm-output-feedback",
    "lstm",
];

fn run(options: &Options, log: Log) -> Result<Outcome, Error> {
    let length = options.length.unwrap_or(if options.quick { 20 } else { 60 });
    let (hidden, steps, rows) = if options.quick { (8, 30, 50) } else { (32, 4000, 1000) };
    let every = steps / 60 + 1;
    let held_out = batch(length, rows, !options.seed, u64::MAX);
    let few = batch(length, 50, !options.seed, 0);
    let by_lag = |network: &SequenceNetwork| logarithms(&gradient_by_lag(network, &few, &lags(length)));
    let error = |network: &SequenceNetwork| f64::from(numbers(network.loss(&held_out, None).0)[0]);
    let mut outcome = Outcome::default();
    let (mut curves, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for name in RUNGS {
        let cell = (cells::find(name).expect("a registered cell").make)();
        let forgets = cell.spec().stages.iter().flat_map(|stage| stage.gates).any(|gate| gate.name == "f");
        let config = SequenceNetworkConfig {
            cell,
            sizes: Sizes { input: 2, hidden, output: hidden },
            layers: 1,
            outputs: 1,
            predict: Predict::Last,
            init: Init { forget_bias: forgets.then_some(3.0), ..Init::default() },
            learn_initial_state: false,
        };
        let plan = Plan::adam(steps, 0.003, 1.0);
        before.push(Curve { name, points: by_lag(trainer(&config, plan, options.seed)?.network()), marks: false });
        let (mut points, mut solved_at, mut low) = (Vec::new(), None, 0);
        let make = |k| batch(length, 32, options.seed, k);
        let network = train(&config, plan, options.seed, options, make, |step, _, network| {
            if !step.is_multiple_of(every) {
                return true;
            }
            let error = error(network);
            points.push((step as f64, error));
            log(&format!("{name}, step {step}: mean squared error {error:.5}"));
            if error < SOLVED {
                solved_at = solved_at.or(Some(step));
            }
            low = if error < SOLVED / 5.0 { low + 1 } else { 0 };
            low < 3
        })?;
        after.push(Curve { name, points: by_lag(&network), marks: false });
        let row = |what: &str, measured: f64, unit: &'static str| Row {
            name: format!("{name}, T = {length}{what}"),
            measured,
            unit,
            published: None,
            holds: None,
        };
        outcome.rows.push(row("", error(&network), "mean squared error"));
        if let Some(step) = solved_at {
            outcome.rows.push(row(": below a tenth of 0.167 at step", step as f64, ""));
        }
        curves.push(Curve { name, points, marks: false });
    }
    let title = format!("the ladder on the adding problem, T = {length}");
    let svg = plot::draw(&title, "mean squared error", &curves, &[("always 1", BASELINE)]).map_err(Error::Failed)?;
    outcome.pictures.push(("ladder.svg", svg));
    let task = format!("adding problem, T = {length}");
    draw_by_lag(&mut outcome, &task, [("ladder-gradient-before.svg", before), ("ladder-gradient-after.svg", after)])?;
    Ok(outcome)
}

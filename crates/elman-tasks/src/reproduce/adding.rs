//! The adding problem: which recurrent networks of rectifiers carry a number over a hundred steps.

use super::training::{Plan, batch_seed, draw_by_lag, gradient_by_lag, lags, logarithms, numbers, train, trainer};
use super::{Experiment, Log, Options, Outcome, Published, Row};
use crate::Error;
use crate::plot::{self, Curve};
use elman::init::{Init, find_preset};
use elman::network::{Predict, SequenceBatch, SequenceNetwork, SequenceNetworkConfig, Target};
use elman::train::Schedule;
use elman::{Sizes, cells};
use elman_data::synthetic::{Random, adding::Adding};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "adding",
    file: "adding",
    paper: "Hochreiter & Schmidhuber 1997, experiment 4; Le, Jaitly & Hinton 2015; Talathi & Vartak 2015",
    summary: "the sum of two marked numbers among T = 100: IRNN, np-RNN, orthogonal matrix, LSTM and tanh",
    doc: "\
Each step gives a number in [0, 1) and a mark; after the last step the sum of the two marked numbers is asked for. Who answers
1 always has a mean squared error of 1/6 = 0.167. One layer of 100 units each, Adam, gradients clipped at norm 1; a new batch of 32
sequences at every step, at most 4,000 of them, or 40 T where that is more; after every 10,000 the rate falls to a fifth. The LSTM runs
twice: as it begins by default, its forget gate at about one half, and with gates that remember for up to T steps (the chrono
initialisation of Tallec & Ollivier 2018). The figure is the error on 1,000 sequences kept apart. Two pictures show the size of the gradient
by the state at each lag, before and after training. The papers trained by plain gradient descent on a fixed set.",
    lengths: Some(20..=400),
    mixed: false,
    run,
};

/// The networks: name, cell or preset, learning rate, what the papers say.
const NETWORKS: [(&str, &str, f64, Option<&str>); 6] = [
    ("irnn", "irnn", 3e-4, Some("solved: far below 0.167")),
    ("np-rnn", "np-rnn", 3e-4, Some("solved: far below 0.167")),
    ("ornn", "ornn", 3e-4, None),
    ("lstm", "lstm", 3e-3, None),
    (REMEMBERS, "lstm", 3e-3, Some("solved: far below 0.167")),
    ("elman", "elman", 1e-3, Some("not solved: about 0.167")),
];

/// The LSTM whose units remember for up to T steps at first.
const REMEMBERS: &str = "lstm, chrono";

/// Mean squared error of the constant answer 1.
pub(super) const BASELINE: f64 = 1.0 / 6.0;
/// Below a tenth of it both numbers are carried: one of them alone leaves half of it.
pub(super) const SOLVED: f64 = BASELINE / 10.0;

/// Batch `k` of `count` sequences.
pub(super) fn batch(length: usize, count: usize, seed: u64, k: u64) -> SequenceBatch {
    let mut random = Random::new(batch_seed(seed, k));
    let all: Vec<Adding> = (0..count).map(|_| Adding::new(length, &mut random)).collect();
    let x = (0..length).flat_map(|t| all.iter().flat_map(move |one| one.input(t))).collect();
    let target = Target::Values(all.iter().map(Adding::sum).collect());
    SequenceBatch { x, batch: count, lengths: None, target, fresh: true }
}

fn run(options: &Options, log: Log) -> Result<Outcome, Error> {
    let length = options.length.unwrap_or(if options.quick { 20 } else { 100 });
    let (hidden, steps, rows) = if options.quick { (16, 30, 50) } else { (100, 4000.max(40 * length as u64), 1000) };
    let every = steps / 60 + 1;
    let held_out = batch(length, rows, !options.seed, u64::MAX);
    let error = |network: &SequenceNetwork| f64::from(numbers(network.loss(&held_out, None).0)[0]);
    let mut outcome = Outcome::default();
    let (mut curves, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
    // Enough for a mean: the gradient is followed once for each lag.
    let few = batch(length, 50, !options.seed, 0);
    let by_lag = |network: &SequenceNetwork| logarithms(&gradient_by_lag(network, &few, &lags(length)));
    for (name, cell, rate, published) in NETWORKS {
        let preset = find_preset(cell);
        let cell = cells::find(preset.map_or(cell, |p| p.cell)).expect("a registered cell");
        let mut init = preset.map_or(Init::default(), |p| p.init());
        if name == REMEMBERS {
            init.chrono = Some(length as f32);
        }
        let config = SequenceNetworkConfig {
            cell: (cell.make)(),
            sizes: Sizes::new(2, hidden),
            layers: 1,
            outputs: 1,
            predict: Predict::Last,
            init,
            learn_initial_state: false,
        };
        let mut points = Vec::new();
        let mut low = 0;
        let plan = Plan { schedule: Schedule::Step { every: 10_000, gamma: 0.2 }, ..Plan::adam(steps, rate, 1.0) };
        let make = |k| batch(length, 32, options.seed, k);
        before.push(Curve { name, points: by_lag(trainer(&config, plan, options.seed)?.network()), marks: false });
        let network = train(&config, plan, options.seed, options, make, |step, _, network| {
            if !step.is_multiple_of(every) {
                return true;
            }
            let error = error(network);
            points.push((step as f64, error));
            log(&format!("{name}, step {step}: mean squared error {error:.5}"));
            // Solved and stays so.
            low = if error < SOLVED / 5.0 { low + 1 } else { 0 };
            low < 3
        })?;
        after.push(Curve { name, points: by_lag(&network), marks: false });
        let measured = error(&network);
        let solved = measured < SOLVED;
        outcome.rows.push(Row {
            name: format!("{name}, T = {length}"),
            measured,
            unit: "mean squared error",
            published: published.and_then(Published::from_memory),
            holds: published.filter(|_| !options.quick).map(|_| solved == (name != "elman")),
        });
        curves.push((name, points));
    }
    let curves: Vec<Curve> = curves.into_iter().map(|(name, points)| Curve { name, points, marks: false }).collect();
    let title = format!("adding problem, T = {length}");
    let svg = plot::draw(&title, "mean squared error", &curves, &[("always 1", BASELINE)]).map_err(Error::Failed)?;
    outcome.pictures.push(("adding.svg", svg));
    let task = format!("adding problem, T = {length}");
    draw_by_lag(&mut outcome, &task, [("adding-gradient-before.svg", before), ("adding-gradient-after.svg", after)])?;
    Ok(outcome)
}

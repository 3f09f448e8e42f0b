//! What clipping the gradient does for plain gradient descent on long sequences.

use super::training::{End, Plan, batch_seed, run as train, trainer};
use super::{Experiment, Log, Options, Outcome, Published, Row, adding, temporal_order};
use crate::Error;
use crate::plot::{self, Curve};
use elman::init::find_preset;
use elman::network::{Predict, SequenceBatch, SequenceNetwork, SequenceNetworkConfig};
use elman::train::{Rule, Schedule};
use elman::{Sizes, cells};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "clipping",
    file: "clipping",
    paper: "Pascanu, Mikolov & Bengio 2013; Le, Jaitly & Hinton 2015",
    summary: "plain gradient descent on the adding problem and on temporal order, T = 100: with and without clipping",
    doc: "\
A network of 100 rectifiers whose recurrent matrix begins as the identity, plain gradient descent without momentum, batches of 32; the same seed, rate and data
once as the gradient comes and once with its norm clipped. It says when the loss stopped being a finite number, the largest norm seen, and the error
on 1,000 sequences kept apart.",
    lengths: Some(20..=200),
    mixed: false,
    run,
};

/// A task in what differs between them.
struct Task {
    name: &'static str,
    inputs: usize,
    outputs: usize,
    rate: f64,
    clip: f64,
    /// The error of who does not look at the sequence, and the one below which it is learnt.
    levels: (f64, f64),
    steps: u64,
    batch: fn(usize, usize, u64, u64) -> SequenceBatch,
    error: fn(&SequenceNetwork, &SequenceBatch) -> f64,
    unit: &'static str,
    picture: &'static str,
}

const TASKS: [Task; 2] = [
    Task {
        name: "adding",
        inputs: 2,
        outputs: 1,
        rate: 0.01,
        clip: 1.0,
        levels: (adding::BASELINE, adding::SOLVED),
        steps: 20_000,
        batch: adding::batch,
        error: |network, batch| f64::from(super::training::numbers(network.loss(batch, None).0)[0]),
        unit: "mean squared error",
        picture: "clipping-adding.svg",
    },
    Task {
        name: "temporal order",
        inputs: temporal_order::INPUTS,
        outputs: 4,
        rate: 0.05,
        clip: 1.0,
        levels: (0.75, 0.1),
        steps: 10_000,
        batch: |length, count, seed, k| temporal_order::batch(length, count, batch_seed(seed, k)),
        error: temporal_order::error,
        unit: "of classes wrong",
        picture: "clipping-temporal-order.svg",
    },
];

fn run(options: &Options, log: Log) -> Result<Outcome, Error> {
    let length = options.length.unwrap_or(if options.quick { 20 } else { 100 });
    let preset = find_preset("irnn").expect("a preset");
    let mut outcome = Outcome::default();
    for task in &TASKS {
        let (hidden, steps, rows) = if options.quick { (16, 30, 50) } else { (100, task.steps, 1000) };
        let every = steps / 60 + 1;
        let held_out = (task.batch)(length, rows, !options.seed, u64::MAX);
        let config = SequenceNetworkConfig {
            cell: (cells::find(preset.cell).expect("a registered cell").make)(),
            sizes: Sizes::new(task.inputs, hidden),
            layers: 1,
            outputs: task.outputs,
            predict: Predict::Last,
            init: preset.init(),
            learn_initial_state: false,
        };
        let mut curves = Vec::new();
        for (name, clip) in [("as it comes", None), ("clipped", Some(task.clip))] {
            let plan = Plan { steps, rate: task.rate, clip, rule: Rule::SGD, schedule: Schedule::Constant };
            let mut trainer = trainer(&config, plan, options.seed)?;
            let (mut points, mut largest, mut low) = (Vec::new(), 0.0f64, 0);
            let make = |k| (task.batch)(length, 32, options.seed, k);
            let end = train(&mut trainer, steps, options, make, |report, network| {
                largest = largest.max(report.norm);
                if report.step.is_multiple_of(every) {
                    let error = (task.error)(network, &held_out);
                    points.push((report.step as f64, error));
                    log(&format!("{}, {name}, step {}: {error:.5}, norm {:.3}", task.name, report.step, report.norm));
                    low = if error < task.levels.1 / 2.0 { low + 1 } else { 0 };
                }
                low < 3
            })?;
            let error = (task.error)(trainer.network(), &held_out);
            let row = |what: &str, measured: f64, unit: &'static str, published, holds: Option<bool>| Row {
                name: format!("{}, T = {length}, {name}: {what}", task.name),
                measured,
                unit,
                published,
                holds: holds.filter(|_| !options.quick),
            };
            let learnt = error < task.levels.1;
            let (published, holds) = match clip {
                None => ("explodes or does not learn", end != End::Done || !learnt),
                Some(_) => ("learns", end == End::Done && learnt),
            };
            outcome.rows.push(row("largest norm", largest, "", None, None));
            let (what, measured, unit) = match end {
                End::Done => ("error", error, task.unit),
                // The error of what is left may be anything.
                End::NotFinite(step) => ("no longer finite in step", step as f64, ""),
            };
            log(&format!("{}, {name}: {what} {measured}", task.name));
            outcome.rows.push(row(what, measured, unit, Published::from_memory(published), Some(holds)));
            curves.push(Curve { name, points, marks: false });
        }
        let title = format!("{}, T = {length}: plain gradient descent", task.name);
        let levels = [("without looking", task.levels.0)];
        let svg = plot::draw(&title, task.unit, &curves, &levels).map_err(Error::Failed)?;
        outcome.pictures.push((task.picture, svg));
    }
    Ok(outcome)
}

//! The temporal order problem: two symbols far apart, and which came first.

use super::training::{
    Plan, argmax, batch_seed, draw_by_lag, gradient_by_lag, lags, logarithms, numbers, train, trainer,
};
use super::{Experiment, Log, Options, Outcome, Published, Row};
use crate::Error;
use crate::plot::{self, Curve};
use elman::init::{Init, find_preset};
use elman::network::{Predict, SequenceBatch, SequenceNetwork, SequenceNetworkConfig, Target};
use elman::{Sizes, cells};
use elman_data::synthetic::Random;
use elman_data::synthetic::temporal_order::{SYMBOLS, TemporalOrder};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "temporal-order",
    file: "temporal_order",
    paper: "Hochreiter & Schmidhuber 1997, experiment 6a; Pascanu, Mikolov & Bengio 2013",
    summary: "which of X and Y came first and second among 100 symbols: the LSTM of 1997, LSTM, GRU, IRNN, np-RNN, orthogonal matrix and tanh",
    doc: "\
Among distractors stand X or Y at a tenth to a fifth and at a half to three fifths of a sequence; its class is one of XX, XY, YX,
YY, asked for after the last symbol. 5 trials a network with 16 units, batches of 20, Adam, gradients clipped at norm 10, at most
100,000 sequences. The forget bias of `lstm` is 5, so that half of its memory lasts 100 steps at first. A trial is solved when at most 1 % of 1,000 sequences kept apart get a wrong class.
Two pictures show the size of the gradient by the state at each lag, before and after the first trial.",
    lengths: Some(20..=200),
    mixed: false,
    run,
};

/// The networks: name, learning rate, what the papers say.
const NETWORKS: [(&str, f64, Option<&str>); 7] = [
    ("lstm-1997", 3e-3, Some("every trial; after 31,390 sequences on average")),
    ("lstm", 3e-3, None),
    ("gru", 3e-3, None),
    ("irnn", 1e-3, None),
    ("np-rnn", 1e-3, None),
    ("ornn", 1e-3, None),
    ("elman", 3e-3, Some("no trial at this length without help")),
];

/// Width of a symbol's vector.
pub(super) const INPUTS: usize = SYMBOLS.len();

pub(super) fn batch(length: usize, count: usize, seed: u64) -> SequenceBatch {
    let mut random = Random::new(seed);
    together(&(0..count).map(|_| TemporalOrder::new(length, &mut random)).collect::<Vec<_>>())
}

fn together(all: &[TemporalOrder]) -> SequenceBatch {
    let count = all.len();
    let lengths: Vec<usize> = all.iter().map(|one| one.symbols.len()).collect();
    let steps = lengths.iter().copied().max().unwrap_or(0);
    let mut x = vec![0.0; steps * count * SYMBOLS.len()];
    for (row, one) in all.iter().enumerate() {
        for (t, &symbol) in one.symbols.iter().enumerate() {
            x[(t * count + row) * SYMBOLS.len() + symbol] = 1.0;
        }
    }
    let target = Target::Classes(all.iter().map(|one| one.class).collect());
    SequenceBatch { x, batch: count, lengths: Some(lengths.into()), target, fresh: true }
}

/// Sequences of exactly this length.
fn even_batch(length: usize, count: usize, seed: u64) -> SequenceBatch {
    let mut random = Random::new(seed);
    let drawn = std::iter::repeat_with(|| TemporalOrder::new(length, &mut random));
    let all: Vec<TemporalOrder> = drawn.filter(|one| one.symbols.len() == length).take(count).collect();
    SequenceBatch { lengths: None, ..together(&all) }
}

/// Fraction of wrong classes.
pub(super) fn error(network: &SequenceNetwork, batch: &SequenceBatch) -> f64 {
    let Target::Classes(classes) = &batch.target else { return f64::NAN };
    let logits = numbers(network.predictions(batch, None).0);
    let wrong = logits.chunks(4).zip(classes).filter(|(row, class)| argmax(row) != **class as usize).count();
    wrong as f64 / classes.len() as f64
}

fn run(options: &Options, log: Log) -> Result<Outcome, Error> {
    let length = options.length.unwrap_or(if options.quick { 20 } else { 100 });
    let (trials, steps, every, rows) = if options.quick { (1, 20, 10, 50) } else { (5, 5000, 100, 1000) };
    let mut outcome = Outcome::default();
    let (mut curves, mut before, mut after) = (Vec::new(), Vec::new(), Vec::new());
    let few = even_batch(length, 50, !options.seed);
    let by_lag = |network: &SequenceNetwork| logarithms(&gradient_by_lag(network, &few, &lags(length)));
    for (name, rate, published) in NETWORKS {
        let preset = find_preset(name);
        let config = SequenceNetworkConfig {
            cell: (cells::find(preset.map_or(name, |p| p.cell)).expect("a registered cell").make)(),
            sizes: Sizes::new(SYMBOLS.len(), 16),
            layers: 1,
            outputs: 4,
            predict: Predict::Last,
            init: preset.map_or_else(
                || Init { forget_bias: (name == "lstm").then_some(5.0), ..Init::default() },
                |preset| preset.init(),
            ),
            learn_initial_state: false,
        };
        let mut solved_at = Vec::new();
        // The mean error of all trials by step; one that has ended keeps its last.
        let mut errors = vec![0.0; (steps / every) as usize];
        for trial in 0..trials {
            let seed = options.seed.wrapping_mul(1000).wrapping_add(trial);
            let held_out = batch(length, rows, !seed);
            let plan = Plan::adam(steps, rate, 10.0);
            let make = |k: u64| batch(length, 20, batch_seed(seed, k));
            let mut last = (0, 1.0);
            if trial == 0 {
                before.push(Curve { name, points: by_lag(trainer(&config, plan, seed)?.network()), marks: false });
            }
            let network = train(&config, plan, seed, options, make, |step, _, network| {
                if !step.is_multiple_of(every) {
                    return true;
                }
                let error = error(network, &held_out);
                log(&format!("{name}, trial {trial}, step {step}: {:.1} % wrong", 100.0 * error));
                let place = (step / every - 1) as usize;
                errors[place] += 100.0 * error / trials as f64;
                last = (place, error);
                if error <= 0.01 {
                    solved_at.push(20 * step);
                }
                error > 0.01
            })?;
            if trial == 0 {
                after.push(Curve { name, points: by_lag(&network), marks: false });
            }
            errors[last.0 + 1..].iter_mut().for_each(|sum| *sum += 100.0 * last.1 / trials as f64);
        }
        let percent = 100.0 * solved_at.len() as f64 / trials as f64;
        outcome.rows.push(Row {
            name: format!("{name}: trials solved, length {length}"),
            measured: percent,
            unit: "%",
            published: published.and_then(Published::from_memory),
            holds: match (options.quick || length != 100, name) {
                (true, _) => None,
                (_, "lstm-1997") => Some(percent == 100.0),
                (_, "elman") => Some(percent == 0.0),
                _ => None,
            },
        });
        if !solved_at.is_empty() {
            outcome.rows.push(Row {
                name: format!("{name}: sequences until solved, mean"),
                measured: solved_at.iter().sum::<u64>() as f64 / solved_at.len() as f64,
                unit: "sequences",
                published: None,
                holds: None,
            });
        }
        let at = |i: usize| ((i as u64 + 1) * every * 20) as f64;
        let points = errors.iter().enumerate().map(|(i, &e)| (at(i), e)).collect();
        curves.push(Curve { name, points, marks: false });
    }
    let title = format!("temporal order, length {length}, mean of {trials} trials");
    let svg = plot::draw_over(&title, "sequences learnt from", "wrong classes, %", &curves, &[("chance", 75.0)]);
    outcome.pictures.push(("temporal-order.svg", svg.map_err(Error::Failed)?));
    let task = format!("temporal order, length {length}");
    let pictures = [("temporal-order-gradient-before.svg", before), ("temporal-order-gradient-after.svg", after)];
    draw_by_lag(&mut outcome, &task, pictures)?;
    Ok(outcome)
}

//! The embedded Reber grammar: a symbol kept over a string of unknown length.

use super::training::{Plan, argmax, batch_seed, numbers, train};
use super::{Experiment, Log, Options, Outcome, Published, Row};
use crate::Error;
use crate::plot::{self, Curve};
use elman::init::Init;
use elman::network::{Predict, SequenceBatch, SequenceNetwork, SequenceNetworkConfig, Target, readout::IGNORE};
use elman::{Sizes, cells};
use elman_data::synthetic::Random;
use elman_data::synthetic::reber::{EmbeddedReber, SYMBOLS};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "reber",
    file: "reber",
    paper: "Hochreiter & Schmidhuber 1997, experiment 1",
    summary: "the next symbol of embedded Reber strings: the LSTM of 1997, of 1999, with peepholes, and Elman's network",
    doc: "\
A string begins with T or P behind its first symbol and has the same one before its last; between them stands a string of Reber's grammar.
At each step the next symbol is predicted. A trial is solved when on 256 strings kept apart the likeliest next symbol is always
one that the grammar allows, the embedded one before the end included. Eight units, 20 trials a cell of at most 60,000 strings in
batches of 10, Adam, the whole gradient. The paper trained by plain gradient descent, string by string, with the gradient of the LSTM cut
but in its cells and that of Elman's network cut after one step; it had 30 trials. What it says of Elman's network is
no claim about the one here, whose gradient goes back to the beginning.",
    lengths: None,
    mixed: false,
    run,
};

/// The cells and what the paper says of them.
const CELLS: [(&str, Option<&str>); 4] = [
    ("lstm-1997", Some("97 to 100 % of trials")),
    ("lstm-1999", None),
    ("lstm-peephole", None),
    ("elman", Some("0 % of trials")),
];

/// Strings side by side, padded to the longest.
fn batch(strings: &[EmbeddedReber]) -> SequenceBatch {
    let b = strings.len();
    let lengths: Vec<usize> = strings.iter().map(|s| s.legal.len()).collect();
    let steps = lengths.iter().copied().max().unwrap_or(0);
    let mut x = vec![0.0; steps * b * SYMBOLS.len()];
    let mut classes = vec![IGNORE; steps * b];
    for (row, string) in strings.iter().enumerate() {
        for (t, pair) in string.symbols.windows(2).enumerate() {
            x[(t * b + row) * SYMBOLS.len() + pair[0]] = 1.0;
            classes[t * b + row] = pair[1] as u32;
        }
    }
    SequenceBatch { x, batch: b, lengths: Some(lengths.into()), target: Target::Classes(classes), fresh: true }
}

fn strings(count: usize, seed: u64) -> Vec<EmbeddedReber> {
    let mut random = Random::new(seed);
    (0..count).map(|_| EmbeddedReber::new(&mut random)).collect()
}

/// Fractions of strings: with the embedded symbol right, and with every prediction allowed.
fn score(network: &SequenceNetwork, strings: &[EmbeddedReber]) -> (f64, f64) {
    let logits = numbers(network.predictions(&batch(strings), None).0);
    let n = SYMBOLS.len();
    let (mut embedded, mut all) = (0, 0);
    for (row, string) in strings.iter().enumerate() {
        let right = |t: usize| string.legal[t][argmax(&logits[(t * strings.len() + row) * n..][..n])];
        let steps = string.legal.len();
        embedded += usize::from(right(steps - 2));
        all += usize::from((0..steps).all(right));
    }
    (embedded as f64 / strings.len() as f64, all as f64 / strings.len() as f64)
}

fn run(options: &Options, log: Log) -> Result<Outcome, Error> {
    let (trials, steps, every) = if options.quick { (2, 20, 10) } else { (20, 6000, 100) };
    let mut outcome = Outcome::default();
    let mut curves = Vec::new();
    for (name, published) in CELLS {
        let config = SequenceNetworkConfig {
            cell: (cells::find(name).expect("a registered cell").make)(),
            sizes: Sizes::new(SYMBOLS.len(), 8),
            layers: 1,
            outputs: SYMBOLS.len(),
            predict: Predict::Every,
            init: Init::default(),
            learn_initial_state: false,
        };
        let mut solved_at: Vec<u64> = Vec::new();
        for trial in 0..trials {
            let seed = options.seed.wrapping_mul(1000).wrapping_add(trial);
            let held_out = strings(256, !seed);
            let plan = Plan::adam(steps, 0.01, 1.0);
            let make = |k: u64| batch(&strings(10, batch_seed(seed, k)));
            train(&config, plan, seed, options, make, |step, _, network| {
                if !step.is_multiple_of(every) {
                    return true;
                }
                let (embedded, all) = score(network, &held_out);
                log(&format!(
                    "{name}, trial {trial}, step {step}: embedded symbol {embedded:.3}, whole strings {all:.3}"
                ));
                if all == 1.0 {
                    solved_at.push(step * 10);
                }
                all < 1.0
            })?;
        }
        let percent = 100.0 * solved_at.len() as f64 / trials as f64;
        outcome.rows.push(Row {
            name: format!("{name}: trials solved"),
            measured: percent,
            unit: "%",
            published: published.and_then(Published::from_memory),
            holds: match (options.quick, name) {
                (true, _) => None,
                (_, "lstm-1997") => Some(percent >= 95.0),
                _ => None,
            },
        });
        solved_at.sort_unstable();
        if let Some(&median) = solved_at.get(solved_at.len() / 2) {
            outcome.rows.push(Row {
                name: format!("{name}: median of strings until solved"),
                measured: median as f64,
                unit: "strings",
                published: None,
                holds: None,
            });
        }
        let mut points = vec![(0.0, 0.0)];
        for (i, &strings) in solved_at.iter().enumerate() {
            points.push((strings as f64, 100.0 * i as f64 / trials as f64));
            points.push((strings as f64, 100.0 * (i + 1) as f64 / trials as f64));
        }
        points.push(((steps * 10) as f64, percent));
        curves.push(Curve { name, points, marks: false });
    }
    let svg = plot::draw_over("embedded Reber grammar", "strings learnt from", "trials solved, %", &curves, &[]);
    outcome.pictures.push(("reber.svg", svg.map_err(Error::Failed)?));
    Ok(outcome)
}

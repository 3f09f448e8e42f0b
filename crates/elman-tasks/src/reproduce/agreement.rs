//! Agreement over a distance: "the cats, which already ate a bunch of food, were full".

use super::training::{Plan, numbers, train};
use super::{Experiment, Log, Options, Outcome, Published, Row};
use crate::Error;
use crate::plot::{self, Curve};
use elman::init::Init;
use elman::network::{Predict, SequenceBatch, SequenceNetwork, SequenceNetworkConfig, Target, readout::IGNORE};
use elman::{Sizes, cells};
use elman_data::synthetic::Random;
use elman_data::synthetic::agreement::{Agreement, WORDS};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "agreement",
    file: "agreement",
    paper: "third lecture deck, long-distance dependencies",
    summary: "the number of a verb 5 to 30 words after its subject, other nouns between: Elman's network, GRU, LSTM",
    doc: "\
Sentences such as \"the cats , which already ate a bunch of food , were full .\" with 5 to 30 words from subject to verb. A network
reads the words before the verb and learns to predict it (number prediction, Linzen, Dupoux & Goldberg 2016); the figure is how often it
gives the right one of \"was\" and \"were\" the higher probability. 32 units, 3,000 batches of 32 sentences, Adam, forget bias 1 for the
LSTM; 500 sentences for each distance.",
    lengths: None,
    mixed: false,
    run,
};

const CELLS: [&str; 3] = ["elman", "gru", "lstm"];
/// Words between subject and verb, plus one.
const DISTANCES: std::ops::RangeInclusive<usize> = 5..=30;
/// Where the figures are compared.
const FAR: usize = 20;

fn batch(sentences: &[Agreement]) -> SequenceBatch {
    let (b, v) = (sentences.len(), WORDS.len());
    let lengths: Vec<usize> = sentences.iter().map(|s| s.words.len() - 1).collect();
    let steps = lengths.iter().copied().max().unwrap_or(0);
    let (mut x, mut classes) = (vec![0.0; steps * b * v], vec![IGNORE; steps * b]);
    for (row, sentence) in sentences.iter().enumerate() {
        for (t, pair) in sentence.words.windows(2).enumerate() {
            x[(t * b + row) * v + pair[0]] = 1.0;
        }
        classes[(sentence.verb - 1) * b + row] = sentence.words[sentence.verb] as u32;
    }
    SequenceBatch { x, batch: b, lengths: Some(lengths.into()), target: Target::Classes(classes), fresh: true }
}

/// How often the right verb is the likelier of the two.
fn accuracy(network: &SequenceNetwork, sentences: &[Agreement]) -> f64 {
    let logits = numbers(network.predictions(&batch(sentences), None).0);
    let [was, were] = Agreement::verbs();
    let right = |(row, sentence): &(usize, &Agreement)| {
        let logits = &logits[((sentence.verb - 1) * sentences.len() + row) * WORDS.len()..][..WORDS.len()];
        (logits[were] > logits[was]) == sentence.plural()
    };
    sentences.iter().enumerate().filter(right).count() as f64 / sentences.len() as f64
}

fn run(options: &Options, log: Log) -> Result<Outcome, Error> {
    let (steps, count) = if options.quick { (20, 20) } else { (3000, 500) };
    let mut random = Random::new(!options.seed);
    let kept: Vec<(usize, Vec<Agreement>)> = DISTANCES
        .map(|distance| (distance, (0..count).map(|_| Agreement::new(distance, &mut random)).collect()))
        .collect();
    let far = kept.iter().find(|(distance, _)| *distance == FAR).map(|(_, sentences)| sentences).expect("in the range");
    let mut outcome = Outcome::default();
    let mut curves = Vec::new();
    for name in CELLS {
        let config = SequenceNetworkConfig {
            cell: (cells::find(name).expect("a registered cell").make)(),
            sizes: Sizes::new(WORDS.len(), 32),
            layers: 1,
            outputs: WORDS.len(),
            predict: Predict::Every,
            init: Init { forget_bias: (name == "lstm").then_some(1.0), ..Init::default() },
            learn_initial_state: false,
        };
        let make = |k: u64| {
            let mut random = Random::new(options.seed.wrapping_mul(0x1_0000_0001).wrapping_add(k));
            let range = DISTANCES.end() - DISTANCES.start() + 1;
            let sentence = |_| {
                let distance = DISTANCES.start() + random.below(range);
                Agreement::new(distance, &mut random)
            };
            batch(&(0..32).map(sentence).collect::<Vec<_>>())
        };
        let plan = Plan::adam(steps, 0.01, 1.0);
        let network = train(&config, plan, options.seed, options, make, |step, loss, network| {
            if step.is_multiple_of(steps / 20) {
                let far = 100.0 * accuracy(network, far);
                log(&format!("{name}, step {step}: {loss:.4} nats a verb, {far:.1} % at distance {FAR}"));
            }
            true
        })?;
        let points: Vec<(f64, f64)> = kept
            .iter()
            .map(|(distance, sentences)| (*distance as f64, 100.0 * accuracy(&network, sentences)))
            .collect();
        for distance in [5, FAR, 30] {
            let measured = points[distance - DISTANCES.start()].1;
            let gated = name != "elman";
            outcome.rows.push(Row {
                name: format!("{name}, {distance} words apart"),
                measured,
                unit: "% right",
                published: match (distance, gated) {
                    (FAR, true) => Published::from_memory("gates keep the number"),
                    (FAR, false) => Published::from_memory("falls behind"),
                    _ => None,
                },
                holds: (!options.quick && distance == FAR).then_some((measured >= 99.0) == gated),
            });
        }
        curves.push(Curve { name, points, marks: true });
    }
    let title = "agreement of subject and verb";
    let svg = plot::draw_over(title, "words from subject to verb", "right verb, %", &curves, &[("chance", 50.0)]);
    outcome.pictures.push(("agreement.svg", svg.map_err(Error::Failed)?));
    Ok(outcome)
}

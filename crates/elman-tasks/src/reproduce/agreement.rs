//! Agreement over a distance: "the cats, which already ate a bunch of food, were full".

use super::training::{Plan, batch_seed, numbers, train};
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
reads the words before the verb and learns to predict it (number prediction, Linzen, Dupoux & Goldberg 2016), or learns to predict every
word, as a language model does; the figure is how often it gives the right one of \"was\" and \"were\" the higher probability. 64 units, batches of 32 sentences, Adam with a rate of 0.003, forget bias
1 for the LSTM; 500 sentences for each distance. Compared after 1,000 updates; it goes on until 99 % are right 20 words on, to 20,000 at most.",
    lengths: None,
    mixed: false,
    run,
};

const CELLS: [&str; 3] = ["elman", "gru", "lstm"];

/// What a network learns to predict.
#[derive(Clone, Copy, PartialEq)]
enum Learns {
    Verb,
    EveryWord,
}

/// Words between subject and verb, plus one.
const DISTANCES: std::ops::RangeInclusive<usize> = 5..=30;
/// Units.
const HIDDEN: usize = 64;
/// Where the figures are compared.
const FAR: usize = 20;

fn batch(sentences: &[Agreement], learns: Learns) -> SequenceBatch {
    let (b, v) = (sentences.len(), WORDS.len());
    let lengths: Vec<usize> = sentences.iter().map(|s| s.words.len() - 1).collect();
    let steps = lengths.iter().copied().max().unwrap_or(0);
    let (mut x, mut classes) = (vec![0.0; steps * b * v], vec![IGNORE; steps * b]);
    for (row, sentence) in sentences.iter().enumerate() {
        for (t, pair) in sentence.words.windows(2).enumerate() {
            x[(t * b + row) * v + pair[0]] = 1.0;
            if learns == Learns::EveryWord || t + 1 == sentence.verb {
                classes[t * b + row] = pair[1] as u32;
            }
        }
    }
    SequenceBatch { x, batch: b, lengths: Some(lengths.into()), target: Target::Classes(classes), fresh: true }
}

/// How often the right verb is the likelier of the two.
fn accuracy(network: &SequenceNetwork, sentences: &[Agreement]) -> f64 {
    let logits = numbers(network.predictions(&batch(sentences, Learns::Verb), None).0);
    let [was, were] = Agreement::verbs();
    let right = |(row, sentence): &(usize, &Agreement)| {
        let logits = &logits[((sentence.verb - 1) * sentences.len() + row) * WORDS.len()..][..WORDS.len()];
        (logits[were] > logits[was]) == sentence.plural()
    };
    sentences.iter().enumerate().filter(right).count() as f64 / sentences.len() as f64
}

/// How a network came to agree.
struct Learnt {
    label: String,
    /// Right verbs by distance, in per cent, after the first updates of the budget.
    early: Vec<(f64, f64)>,
    /// Right verbs at the distance [`FAR`], in per cent, by updates.
    far: Vec<(f64, f64)>,
    /// Updates after which 99 % of those were right.
    reached: Option<u64>,
}

fn learn(
    name: &str,
    learns: Learns,
    kept: &[(usize, Vec<Agreement>)],
    plan: &Budget,
    options: &Options,
    log: Log,
) -> Result<Learnt, Error> {
    let (label, unit) = match learns {
        Learns::Verb => (name.to_string(), "verb"),
        Learns::EveryWord => (format!("{name}, every word"), "word"),
    };
    let config = SequenceNetworkConfig {
        cell: (cells::find(name).expect("a registered cell").make)(),
        sizes: Sizes::new(WORDS.len(), HIDDEN),
        layers: 1,
        outputs: WORDS.len(),
        predict: Predict::Every,
        init: Init { forget_bias: (name == "lstm").then_some(1.0), ..Init::default() },
        learn_initial_state: false,
    };
    let make = |k: u64| {
        let mut random = Random::new(batch_seed(options.seed, k));
        let range = DISTANCES.end() - DISTANCES.start() + 1;
        let sentence = |_| {
            let distance = DISTANCES.start() + random.below(range);
            Agreement::new(distance, &mut random)
        };
        batch(&(0..32).map(sentence).collect::<Vec<_>>(), learns)
    };
    let right = |network: &SequenceNetwork, sentences: &[Agreement]| 100.0 * accuracy(network, sentences);
    let (_, distant) = kept.iter().find(|(distance, _)| *distance == FAR).expect("in the range");
    let mut learnt = Learnt { label, early: Vec::new(), far: Vec::new(), reached: None };
    train(&config, Plan::adam(plan.most, 0.003, 1.0), options.seed, options, make, |step, loss, network| {
        if step.is_multiple_of(plan.look) {
            let far = right(network, distant);
            learnt.far.push((step as f64, far));
            if far >= 99.0 {
                learnt.reached.get_or_insert(step);
            }
            log(&format!("{}, step {step}: {loss:.4} nats a {unit}, {far:.1} % at distance {FAR}", learnt.label));
        }
        if step == plan.early {
            learnt.early = kept.iter().map(|(d, sentences)| (*d as f64, right(network, sentences))).collect();
        }
        learnt.reached.is_none() || step < plan.early
    })?;
    Ok(learnt)
}

/// Updates.
struct Budget {
    early: u64,
    most: u64,
    /// Between two looks at the sentences that were kept.
    look: u64,
}

fn run(options: &Options, log: Log) -> Result<Outcome, Error> {
    let (budget, count) = match options.quick {
        true => (Budget { early: 20, most: 20, look: 10 }, 20),
        false => (Budget { early: 1000, most: 20_000, look: 250 }, 500),
    };
    let mut random = Random::new(!options.seed);
    let kept: Vec<(usize, Vec<Agreement>)> = DISTANCES
        .map(|distance| (distance, (0..count).map(|_| Agreement::new(distance, &mut random)).collect()))
        .collect();
    let mut outcome = Outcome::default();
    let mut all = Vec::new();
    for (learns, name) in [Learns::Verb, Learns::EveryWord].into_iter().flat_map(|l| CELLS.map(|name| (l, name))) {
        let learnt = learn(name, learns, &kept, &budget, options, log)?;
        let gated = name != "elman";
        let claim = if gated { "gates keep the number" } else { "falls behind" };
        let verb = learns == Learns::Verb;
        let measured = learnt.early[FAR - DISTANCES.start()].1;
        outcome.rows.push(Row {
            name: format!("{}: {FAR} words apart, {} updates", learnt.label, budget.early),
            measured,
            unit: "% right",
            published: Published::from_memory(claim).filter(|_| verb),
            holds: (!options.quick && verb).then_some((measured >= 99.0) == gated),
        });
        if let Some(reached) = learnt.reached {
            outcome.rows.push(Row {
                name: format!("{}: updates until 99 % are right", learnt.label),
                measured: reached as f64,
                unit: "updates",
                published: None,
                holds: None,
            });
        }
        all.push(learnt);
    }
    let curves = |points: fn(&Learnt) -> &Vec<(f64, f64)>| -> Vec<Curve> {
        all.iter().map(|l| Curve { name: &l.label, points: points(l).clone(), marks: true }).collect()
    };
    let chance = [("chance", 50.0)];
    let title = format!("agreement after {} updates", budget.early);
    let svg = plot::draw_over(&title, "words from subject to verb", "right verb, %", &curves(|l| &l.early), &chance);
    outcome.pictures.push(("agreement.svg", svg.map_err(Error::Failed)?));
    let title = format!("agreement {FAR} words apart");
    let svg = plot::draw_over(&title, "updates", "right verb, %", &curves(|l| &l.far), &chance);
    outcome.pictures.push(("agreement_learning.svg", svg.map_err(Error::Failed)?));
    Ok(outcome)
}

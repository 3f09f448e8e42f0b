//! Tomita's seven grammars, learnt by a second-order network.

use super::{Experiment, Log, Options, Outcome, Published, Row, check_stop};
use crate::Error;
use crate::plot::{self, Curve};
use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use elman::network::readout;
use elman::network::second_order::{SecondOrder, SecondOrderConfig, SecondOrderInput};
use elman::train::{BatchSource, Network, Optimiser, Rule, Schedule, Trainer};
use elman::{Random, State};
use elman_data::tomita::Grammar;
use std::ops::RangeInclusive;

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "tomita",
    file: "tomita",
    paper: "Giles et al. 1992; Watrous & Kuhn 1992; Tomita 1982",
    summary: "seven regular languages of 0 and 1, learnt from short strings by a second-order network, tried on longer ones",
    doc: "\
It learns from all strings of up to 10 symbols and 500 drawn ones of 16 to 20, half of each batch in the language, short strings first. It is
tried on all 63,488 strings of 11 to 15 symbols, and on drawn ones of 21 to 40, of which half of those outside of a language are one symbol away from it.
Eight sigmoid units and the whole tensor of weights, Adam; where a training string is still wrong at the end it begins anew from other weights, up to five times:
no held-out string has a say in that. The papers train by real-time recurrent learning, or by the whole gradient, and add strings as they are needed.",
    lengths: None,
    mixed: false,
    run,
};

/// Units.
const HIDDEN: usize = 8;
/// All strings of these lengths are learnt from, and drawn ones of those.
const LEARNT: [RangeInclusive<usize>; 2] = [0..=10, 16..=20];
/// All strings of these lengths are held out, and drawn ones of those.
const HELD_OUT: [RangeInclusive<usize>; 2] = [11..=15, 21..=40];
/// Strings of a length and kind that are drawn.
const DRAWN: usize = 50;
/// Strings of a step, half of them in the language.
const BATCH: usize = 64;
/// Updates.
const STEPS: u64 = 3000;
/// The longest strings of the first updates, and the number of updates after which there is one symbol more.
const FIRST: (usize, u64) = (4, 200);
/// The most initial weights that are tried.
const ATTEMPTS: u64 = 5;
/// The learning rate of Adam, which falls to a twentieth of it along a cosine.
const RATE: f64 = 0.02;

/// How long it learns and what it is tried on.
struct Plan {
    learnt: [RangeInclusive<usize>; 2],
    held_out: [RangeInclusive<usize>; 2],
    drawn: usize,
    steps: u64,
    attempts: u64,
}

impl Plan {
    fn new(quick: bool) -> Plan {
        if quick {
            return Plan { learnt: [0..=4, 6..=7], held_out: [5..=6, 8..=9], drawn: 4, steps: 20, attempts: 1 };
        }
        Plan { learnt: LEARNT, held_out: HELD_OUT, drawn: DRAWN, steps: STEPS, attempts: ATTEMPTS }
    }
}

/// What came out for one grammar.
struct Learnt {
    /// Initial weights tried.
    attempts: u64,
    /// Fractions that are classified correctly.
    learnt: f64,
    all: f64,
    drawn: f64,
    /// The loss over the steps of the last attempt.
    curve: Vec<(f64, f64)>,
}

/// The second-order network and a readout of its last state: the scores of "not in the language" and "in it".
#[derive(Module, Debug)]
struct Classifier {
    network: SecondOrder,
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

/// Strings of any lengths, padded.
struct Strings {
    ids: Vec<u32>,
    lengths: Vec<usize>,
    members: Vec<u32>,
}

impl Strings {
    fn new<'a>(strings: impl Iterator<Item = &'a (Vec<u8>, bool)>) -> Strings {
        let (strings, members): (Vec<&[u8]>, Vec<u32>) = strings.map(|(s, m)| (&s[..], u32::from(*m))).unzip();
        let lengths: Vec<usize> = strings.iter().map(|s| s.len()).collect();
        // One step at least, for batches of nothing but the empty string.
        let steps = lengths.iter().max().map_or(1, |&l| l.max(1));
        let symbol = |t: usize, s: &[u8]| s.get(t).map_or(0, |&c| u32::from(c));
        let ids = (0..steps).flat_map(|t| strings.iter().map(move |s| symbol(t, s))).collect();
        Strings { ids, lengths, members }
    }
}

impl Classifier {
    fn new(seed: u64, device: &Device) -> Classifier {
        let mut random = Random::new(seed, "init/readout");
        let values: Vec<f32> = (0..2 * HIDDEN).map(|_| random.symmetric(1.0)).collect();
        let weight = Tensor::<2>::from_data(TensorData::new(values, [2, HIDDEN]), device).require_grad();
        Classifier {
            network: SecondOrderConfig::new(2, HIDDEN).init(seed, device).expect("sizes are not zero"),
            weight: Param::initialized(ParamId::new(), weight),
            bias: Param::initialized(ParamId::new(), Tensor::zeros([2], device).require_grad()),
        }
    }

    fn last(&self, strings: &Strings) -> Tensor<2> {
        let input = SecondOrderInput::Tokens { ids: &strings.ids, batch: strings.lengths.len() };
        self.network.forward(input, None, Some(&strings.lengths)).expect("strings of 0 and 1").1
    }

    /// The fraction that is classified correctly.
    fn accuracy(&self, strings: &[(Vec<u8>, bool)]) -> f64 {
        let correct = |chunk: &[(Vec<u8>, bool)]| {
            let batch = Strings::new(chunk.iter());
            let scores = readout::logits(self.last(&batch), self.weight.val(), self.bias.val());
            let scores = scores.into_data().try_to_vec::<f32>().expect("f32");
            scores.chunks(2).zip(&batch.members).filter(|(s, m)| (s[1] > s[0]) == (**m == 1)).count()
        };
        strings.chunks(1024).map(correct).sum::<usize>() as f64 / strings.len() as f64
    }
}

impl Network for Classifier {
    type Batch = Strings;

    fn loss(&self, batch: &Strings, _: Option<State>, _: &mut Random) -> (Tensor<1>, State) {
        let loss = readout::cross_entropy(self.last(batch), self.weight.val(), self.bias.val(), &batch.members);
        (loss, State { layers: Vec::new() })
    }

    fn is_fresh(_: &Strings) -> bool {
        true
    }

    fn count(batch: &Strings) -> usize {
        batch.members.len()
    }
}

/// Batches with as many strings of the language as others, drawn from the training set: short strings first.
struct Balanced {
    /// Others, and strings of the language, sorted by length.
    kinds: [Vec<(Vec<u8>, bool)>; 2],
    random: Random,
    batches: u64,
}

impl BatchSource<Strings> for Balanced {
    fn next_batch(&mut self) -> Result<Strings, String> {
        let longest = FIRST.0 + (self.batches / FIRST.1) as usize;
        self.batches += 1;
        let usable = self.kinds.each_ref().map(|kind| kind.partition_point(|(s, _)| s.len() <= longest));
        let picks: Vec<(usize, usize)> =
            (0..BATCH).map(|i| (i % 2, self.random.word() as usize % usable[i % 2])).collect();
        Ok(Strings::new(picks.into_iter().map(|(kind, i)| &self.kinds[kind][i])))
    }
    fn cursor(&self) -> String {
        String::new()
    }
    fn seek(&mut self, _: &str) -> Result<(), String> {
        Err("this source does not resume".into())
    }
}

/// All strings of the first lengths, and drawn ones of the second.
fn strings(
    language: &Grammar,
    lengths: &[RangeInclusive<usize>; 2],
    per_length: usize,
    random: &mut Random,
) -> [Vec<(Vec<u8>, bool)>; 2] {
    let all = lengths[0].clone().flat_map(|l| language.strings(l));
    let all = all.map(|s| (s.clone(), language.accepts(&s))).collect();
    let mut uniform = || f64::from(random.uniform());
    let mut drawn = Vec::new();
    for length in lengths[1].clone() {
        for i in 0..per_length {
            let near = if i % 2 == 0 { language.near_miss(length, &mut uniform) } else { None };
            let other = near.or_else(|| language.draw(length, false, &mut uniform));
            drawn.extend(other.map(|s| (s, false)));
            drawn.extend(language.draw(length, true, &mut uniform).map(|s| (s, true)));
        }
    }
    [all, drawn]
}

/// Learns one grammar; everything depends on the seed alone.
fn learn(grammar: usize, plan: &Plan, options: &Options, log: Log) -> Result<Learnt, Error> {
    let failed = |error: String| Error::Failed(error);
    let language = Grammar::new(grammar).map_err(|error| failed(error.to_string()))?;
    let mut random = Random::new(options.seed, "tomita/strings");
    let learnt = strings(&language, &plan.learnt, plan.drawn, &mut random).concat();
    let [all, drawn] = strings(&language, &plan.held_out, plan.drawn, &mut random);

    let device = Device::flex().autodiff();
    let (members, others) = learnt.iter().cloned().partition(|(_, member)| *member);
    let kinds: [Vec<(Vec<u8>, bool)>; 2] = [others, members];
    let mut attempt = 0;
    loop {
        attempt += 1;
        // Seeds of their own, far from those that people give.
        let seed = options.seed.wrapping_add((attempt - 1) * 1_000_000);
        let mut trainer = Trainer::new(Classifier::new(seed, &device), Optimiser::new(Rule::ADAM, 0.0), RATE, seed);
        trainer.clip = Some(1.0);
        trainer.schedule = Schedule::Cosine { steps: plan.steps, floor: 0.05 };
        let random = Random::new(seed, "tomita/batches");
        let mut source = Balanced { kinds: kinds.clone(), random, batches: 0 };
        let mut curve = Vec::new();
        while trainer.step_count() < plan.steps {
            check_stop(options)?;
            let end = (trainer.step_count() + 50).min(plan.steps);
            let (mut sum, mut count) = (0.0, 0.0);
            trainer
                .run(&mut source, end, |report, _| {
                    (sum, count) = (sum + report.loss, count + 1.0);
                    true
                })
                .map_err(|error| failed(error.to_string()))?;
            curve.push((end as f64, sum / count));
        }
        let network = trainer.network().valid();
        let learnt = network.accuracy(&learnt);
        log(&format!("grammar {grammar}, attempt {attempt}: {:.3} % of the training strings", 100.0 * learnt));
        if learnt == 1.0 || attempt == plan.attempts {
            let [all, drawn] = [&all, &drawn].map(|strings| network.accuracy(strings));
            return Ok(Learnt { attempts: attempt, learnt, all, drawn, curve });
        }
    }
}

fn run(options: &Options, log: Log) -> Result<Outcome, Error> {
    let plan = Plan::new(options.quick);
    let names: Vec<String> = (1..=7).map(|grammar| format!("grammar {grammar}")).collect();
    let mut outcome = Outcome::default();
    let mut curves = Vec::new();
    for (grammar, name) in (1..=7).zip(&names) {
        let learnt = learn(grammar, &plan, options, log)?;
        let [shorter, longer] = &plan.held_out;
        let published = Published::checked("many long unseen strings are classified correctly");
        for (lengths, right, claim) in [(shorter, learnt.all, true), (longer, learnt.drawn, false)] {
            outcome.rows.push(Row {
                name: format!("{name}: strings of {} to {}", lengths.start(), lengths.end()),
                measured: 100.0 * right,
                unit: "%",
                published: if claim { published } else { None },
                holds: (claim && !options.quick).then_some(right == 1.0),
            });
        }
        outcome.text += &format!(
            "{name}: {:.3} % of the training strings, {} draw(s) of initial weights\n",
            100.0 * learnt.learnt,
            learnt.attempts
        );
        curves.push(Curve { name, points: learnt.curve, marks: false });
    }
    let svg = plot::draw("Tomita's grammars, second-order network", "nats a string", &curves, &[]);
    outcome.pictures.push(("tomita.svg", svg.map_err(Error::Failed)?));
    Ok(outcome)
}

//! Elman's sentences: word classes in the hidden units of a network that predicts the next word.

use super::dendrogram::Tree;
use super::training::{Plan, numbers, train};
use super::{Experiment, Log, Options, Outcome, Published, Row};
use crate::Error;
use elman::init::Init;
use elman::network::{Predict, SequenceBatch, SequenceNetwork, SequenceNetworkConfig, Target};
use elman::{Sizes, cells};
use elman_data::synthetic::elman_grammar::{Kind, WORDS, kind, sentences};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "elman-1990",
    file: "elman_1990",
    paper: "Elman 1990, Finding structure in time",
    summary: "next word in two- and three-word sentences: the hidden units' averages by word cluster into nouns and verbs",
    doc: "\
10,000 sentences of the paper's sixteen templates, 29 words as one bit each, 150 hidden units, the next word as target, 6 passes. The hidden
vectors of each word are averaged over all its contexts and clustered (mean Euclidean distance). The figure is the share of words on
the right side of the tree's first split. As in the paper, the hidden units of the step before are an input like any other: the gradient
ends there, and the units are logistic. Here 20 streams are learnt from side by side, by Adam at a rate of 0.0001, with cross-entropy as the error.
The halves are those of a network that has not learnt all: with ten times the rate, or a gradient that goes back ten words, the words that end a
sentence, verbs or not, come together instead, since what follows them is the same.",
    lengths: None,
    mixed: false,
    run,
};

/// Streams side by side, and words of each in a step: with one, the gradient ends at the context, as in the paper.
const STREAMS: usize = 20;
const WINDOW: usize = 1;

/// Window `k` of the streams; they begin again after their last.
fn batch(words: &[usize], k: u64) -> SequenceBatch {
    let stream = words.len() / STREAMS;
    let windows = (stream - 1) / WINDOW;
    let at = k as usize % windows * WINDOW;
    let (v, n) = (WORDS.len(), WINDOW * STREAMS);
    let (mut x, mut classes) = (vec![0.0; n * v], vec![0; n]);
    for t in 0..WINDOW {
        for b in 0..STREAMS {
            let place = b * stream + at + t;
            x[(t * STREAMS + b) * v + words[place]] = 1.0;
            classes[t * STREAMS + b] = words[place + 1] as u32;
        }
    }
    SequenceBatch { x, batch: STREAMS, lengths: None, target: Target::Classes(classes), fresh: at == 0 }
}

/// The mean hidden vector of each word over all the windows.
fn averages(network: &SequenceNetwork, words: &[usize]) -> Vec<Vec<f64>> {
    let width = network.rnn.output_width();
    let mut sums = vec![vec![0.0; width]; WORDS.len()];
    let mut counts = vec![0usize; WORDS.len()];
    let windows = (words.len() / STREAMS - 1) / WINDOW;
    let mut state = None;
    for k in 0..windows {
        let batch = batch(words, k as u64);
        let (y, after) = network.outputs(&batch, state);
        state = Some(after.detach());
        for (row, x) in numbers(y).chunks(width).zip(batch.x.chunks(WORDS.len())) {
            let word = x.iter().position(|&bit| bit == 1.0).unwrap_or(0);
            counts[word] += 1;
            sums[word].iter_mut().zip(row).for_each(|(sum, &h)| *sum += f64::from(h));
        }
    }
    let mean = |(sum, count): (Vec<f64>, usize)| sum.into_iter().map(|s| s / count.max(1) as f64).collect();
    sums.into_iter().zip(counts).map(mean).collect()
}

/// The share of words that the first split puts on their side: nouns on one, verbs on the other.
fn purity(tree: &Tree) -> f64 {
    let Tree::Join(_, left, _) = tree else { return 0.0 };
    let left = left.leaves();
    let right_sides = (0..WORDS.len()).filter(|w| left.contains(w) == (kind(*w) == Kind::Noun)).count();
    right_sides.max(WORDS.len() - right_sides) as f64 / WORDS.len() as f64
}

fn run(options: &Options, log: Log) -> Result<Outcome, Error> {
    let (count, passes, hidden) = if options.quick { (300, 2, 20) } else { (10_000, 6, 150) };
    let words = sentences(count, options.seed);
    let config = SequenceNetworkConfig {
        cell: (cells::find("elman-sigmoid").expect("a registered cell").make)(),
        sizes: Sizes::new(WORDS.len(), hidden),
        layers: 1,
        outputs: WORDS.len(),
        predict: Predict::Every,
        init: Init::default(),
        learn_initial_state: false,
    };
    let windows = ((words.len() / STREAMS - 1) / WINDOW) as u64;
    let plan = Plan::adam(passes * windows, 0.0001, 5.0);
    let (mut sum, mut last) = (0.0, f64::NAN);
    let network = train(
        &config,
        plan,
        options.seed,
        options,
        |k| batch(&words, k),
        |step, loss, _| {
            sum += loss;
            if step.is_multiple_of(windows) {
                last = sum / windows as f64;
                log(&format!("pass {}: {last:.4} nats a word", step / windows));
                sum = 0.0;
            }
            true
        },
    )?;
    let tree = Tree::new(&averages(&network, &words));
    let purity = 100.0 * purity(&tree);
    let row =
        |name: &str, measured, unit, published, holds| Row { name: name.into(), measured, unit, published, holds };
    let label = |word: usize| {
        let colour = if kind(word) == Kind::Noun { "#0072B2" } else { "#D55E00" };
        (WORDS[word].to_string(), colour)
    };
    let claim = Published::from_memory("nouns and verbs are the tree's two halves");
    Ok(Outcome {
        rows: vec![
            row(
                "words on the right side of the first split",
                purity,
                "%",
                claim,
                (!options.quick).then_some(purity >= 96.0),
            ),
            row("loss of the last pass", last, "nats a word", None, None),
        ],
        pictures: vec![("elman-1990.svg", tree.svg("hidden vectors by word: nouns blue, verbs red", label))],
        text: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purity_counts_words_on_the_wrong_side() {
        let side = |words: Vec<usize>| {
            words.into_iter().map(Tree::Leaf).reduce(|a, b| Tree::Join(1.0, a.into(), b.into())).unwrap()
        };
        let split = |left: Vec<usize>| {
            let right = (0..WORDS.len()).filter(|w| !left.contains(w)).collect();
            purity(&Tree::Join(2.0, side(left).into(), side(right).into()))
        };
        assert_eq!(split((0..18).collect()), 1.0);
        assert_eq!(split((18..29).collect()), 1.0);
        assert_eq!(split((0..17).collect()), 28.0 / 29.0);
    }

    #[test]
    fn streams_go_on_from_window_to_window() {
        let words = sentences(300, 1);
        let (first, second) = (batch(&words, 0), batch(&words, 1));
        assert!(first.fresh && !second.fresh);
        let word = |batch: &SequenceBatch, t: usize, b: usize| {
            batch.x[(t * STREAMS + b) * WORDS.len()..][..WORDS.len()].iter().position(|&x| x == 1.0).unwrap()
        };
        let Target::Classes(targets) = &first.target else { panic!() };
        for b in 0..STREAMS {
            assert_eq!(word(&first, 0, b), words[b * (words.len() / STREAMS)]);
            assert_eq!(targets[(WINDOW - 1) * STREAMS + b] as usize, word(&second, 0, b));
        }
    }
}

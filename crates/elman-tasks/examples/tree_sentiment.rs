//! A binary Tree-LSTM learns the sentiment of every phrase of the Stanford Sentiment Treebank, five classes.
//!
//! `cargo run --release -p elman-tasks --example tree_sentiment -- FOLDER [STEPS] [SEED]`
//!
//! FOLDER has train.txt and dev.txt. Default 700 steps of 25 trees, two passes over the training trees. It prints the accuracy on dev.txt at the
//! roots and at all nodes, beside that of always saying what is most frequent in train.txt.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use elman::network::readout;
use elman::network::tree::{Branches, Forest, Node, Tree, TreeLstm, TreeLstmConfig};
use elman::train::{BatchSource, Network, Optimiser, Rule, Trainer};
use elman::{Random, State};
use elman_data::trees::{BracketTree, read};
use std::collections::HashMap;
use std::time::Instant;

const CLASSES: usize = 5;
const EMBEDDING: usize = 100;
const HIDDEN: usize = 100;
const BATCH: usize = 25;
/// The token of words that are seen fewer than twice in training.
const UNKNOWN: usize = 0;

/// A tree whose leaves are tokens, and the class of each node.
struct Example {
    tree: Tree,
    classes: Vec<u32>,
}

struct TreeBatch {
    forest: Forest,
    classes: Vec<u32>,
}

impl TreeBatch {
    fn new<'a>(examples: impl Iterator<Item = &'a Example>) -> TreeBatch {
        let (trees, classes): (Vec<Tree>, Vec<&[u32]>) = examples.map(|e| (e.tree.clone(), &e.classes[..])).unzip();
        TreeBatch { forest: Forest::new(&trees).expect("a batch has trees"), classes: classes.concat() }
    }
}

/// Embedding, Tree-LSTM, and a linear readout at every node.
#[derive(Module, Debug)]
struct Sentiment {
    embedding: Param<Tensor<2>>,
    lstm: TreeLstm,
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Sentiment {
    fn new(vocabulary: usize, seed: u64, device: &Device) -> Sentiment {
        let draw = |name: &str, rows: usize, columns: usize, bound: f32| {
            let mut random = Random::new(seed, name);
            let values: Vec<f32> = (0..rows * columns).map(|_| random.symmetric(bound)).collect();
            let tensor = Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), device).require_grad();
            Param::initialized(ParamId::new(), tensor)
        };
        let config = TreeLstmConfig::new(Branches::Exactly(2), EMBEDDING, HIDDEN);
        Sentiment {
            embedding: draw("embedding", vocabulary, EMBEDDING, 0.1),
            lstm: config.init(seed, device).expect("sizes are not zero"),
            weight: draw("weight", CLASSES, HIDDEN, 0.1),
            bias: Param::initialized(ParamId::new(), Tensor::zeros([CLASSES], device).require_grad()),
        }
    }

    fn states(&self, forest: &Forest) -> Tensor<2> {
        self.lstm.forward(forest, self.embedding.val()).expect("binary trees of known tokens").0
    }

    /// The most probable class of every node.
    fn classes(&self, forest: &Forest) -> Vec<u32> {
        let logits = readout::logits(self.states(forest), self.weight.val(), self.bias.val());
        let logits = logits.into_data().try_to_vec::<f32>().expect("f32");
        let best = |row: &[f32]| (0..CLASSES).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or_default() as u32;
        logits.chunks(CLASSES).map(best).collect()
    }
}

impl Network for Sentiment {
    type Batch = TreeBatch;

    fn loss(&self, batch: &TreeBatch, _: Option<State>, _: &mut Random) -> (Tensor<1>, State) {
        let h = self.states(&batch.forest);
        let loss = readout::cross_entropy(h, self.weight.val(), self.bias.val(), &batch.classes);
        (loss, State { layers: Vec::new() })
    }

    fn is_fresh(_: &TreeBatch) -> bool {
        true
    }

    fn count(batch: &TreeBatch) -> usize {
        batch.classes.len()
    }
}

/// Passes over the examples, each in a new order.
struct Passes<'a> {
    examples: &'a [Example],
    order: Vec<usize>,
    random: Random,
}

impl BatchSource<TreeBatch> for Passes<'_> {
    fn next_batch(&mut self) -> Result<TreeBatch, String> {
        if self.order.len() < BATCH {
            self.order = (0..self.examples.len()).collect();
            for i in (1..self.order.len()).rev() {
                self.order.swap(i, self.random.word() as usize % (i + 1));
            }
        }
        let chosen = self.order.split_off(self.order.len() - BATCH);
        Ok(TreeBatch::new(chosen.iter().map(|&i| &self.examples[i])))
    }
    fn cursor(&self) -> String {
        String::new()
    }
    fn seek(&mut self, _: &str) -> Result<(), String> {
        Err("this source does not resume".into())
    }
}

fn vocabulary(trees: &[BracketTree]) -> HashMap<String, usize> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for word in trees.iter().flat_map(BracketTree::words) {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    let mut words: Vec<String> = counts.into_iter().filter(|&(_, n)| n > 1).map(|(word, _)| word).collect();
    words.sort();
    words.into_iter().zip(UNKNOWN + 1..).collect()
}

fn example(bracket: &BracketTree, vocabulary: &HashMap<String, usize>) -> Result<Example, Box<dyn std::error::Error>> {
    let token = |word: &String| vocabulary.get(&word.to_lowercase()).copied().unwrap_or(UNKNOWN);
    let nodes = bracket.nodes().iter().map(|node| Node {
        input: node.word.as_ref().map(token),
        children: node.children.iter().copied().map(Some).collect(),
    });
    let class = |label: &str| match label.parse::<u32>() {
        Ok(class) if (class as usize) < CLASSES => Ok(class),
        _ => Err(format!("the label `{label}` is not a class from 0 to {}", CLASSES - 1)),
    };
    let classes = bracket.nodes().iter().map(|node| class(&node.label)).collect::<Result<_, _>>()?;
    Ok(Example { tree: Tree::new(nodes.collect())?, classes })
}

/// Correct and counted: roots, then all nodes. `guess` gives the classes of a batch's nodes.
fn score(examples: &[Example], mut guess: impl FnMut(&TreeBatch) -> Vec<u32>) -> [f64; 2] {
    let (mut roots, mut nodes, mut total) = (0, 0, 0);
    for chunk in examples.chunks(100) {
        let guesses = guess(&TreeBatch::new(chunk.iter()));
        let mut rest = &guesses[..];
        for example in chunk {
            let (mine, others) = rest.split_at(example.classes.len());
            rest = others;
            roots += usize::from(mine[example.tree.root()] == example.classes[example.tree.root()]);
            nodes += mine.iter().zip(&example.classes).filter(|(a, b)| a == b).count();
            total += mine.len();
        }
    }
    [roots as f64 / examples.len() as f64, nodes as f64 / total as f64]
}

fn most_frequent(classes: impl Iterator<Item = u32>) -> u32 {
    let mut counts = [0usize; CLASSES];
    classes.for_each(|class| counts[class as usize] += 1);
    (0..CLASSES).max_by_key(|&class| counts[class]).unwrap_or_default() as u32
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().ok_or("give the folder of train.txt and dev.txt")?;
    let number = |i: usize, default| arguments.get(i).map_or(Ok(default), |a| a.parse::<u64>());
    let (steps, seed) = (number(1, 700)?, number(2, 1)?);
    let brackets = |name: &str| read(std::path::Path::new(folder).join(name));
    let (train, dev) = (brackets("train.txt")?, brackets("dev.txt")?);
    let vocabulary = vocabulary(&train);
    let train = train.iter().map(|b| example(b, &vocabulary)).collect::<Result<Vec<_>, _>>()?;
    let dev = dev.iter().map(|b| example(b, &vocabulary)).collect::<Result<Vec<_>, _>>()?;
    println!("{} training and {} held-out trees, {} words", train.len(), dev.len(), vocabulary.len());

    let roots = most_frequent(train.iter().map(|e| e.classes[e.tree.root()]));
    let nodes = most_frequent(train.iter().flat_map(|e| e.classes.iter().copied()));
    let always = |class: u32| score(&dev, |batch| vec![class; batch.classes.len()]);
    let baseline = [always(roots)[0], always(nodes)[1]];

    let device = Device::flex().autodiff();
    let network = Sentiment::new(vocabulary.len() + 1, seed, &device);
    let mut trainer = Trainer::new(network, Optimiser::new(Rule::ADAM, 0.0), 0.003, seed);
    trainer.clip = Some(5.0);
    let mut source = Passes { examples: &train, order: Vec::new(), random: Random::new(seed, "order") };
    let start = Instant::now();
    let mut sum = 0.0;
    trainer.run(&mut source, steps, |report, _| {
        sum += report.loss;
        if report.step % 100 == 0 {
            println!("step {}: {:.3} nats a node, {:.0} s", report.step, sum / 100.0, start.elapsed().as_secs_f64());
            sum = 0.0;
        }
        true
    })?;
    let network = trainer.network().valid();
    let [root, node] = score(&dev, |batch| network.classes(&batch.forest));
    println!("held-out accuracy   roots   all nodes");
    println!("Tree-LSTM           {root:.3}   {node:.3}");
    println!("most frequent       {:.3}   {:.3}", baseline[0], baseline[1]);
    Ok(())
}

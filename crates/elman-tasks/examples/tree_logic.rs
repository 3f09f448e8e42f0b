//! Tree networks learn what bracketed logical expressions are worth: with a matrix for each branch, and with the children's sum.
//!
//! `cargo run --release -p elman-tasks --example tree_logic -- [UPDATES]` (default 400: some seconds)
//!
//! Trees like `(1 (0 (1 true) (and and) (0 false)) (implies implies) (0 false))` are generated and read as any treebank is; a node's label is its value. An
//! operator is a leaf between two operands. Learnt from are trees of at most three levels of operators, measured are trees of four and five. Printed
//! is the share of roots whose value is right. A sum of children does not know which operand came first, and `implies` needs it: it is wrong for
//! about half of the implications between unequal operands, and for what is built on them.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};
use elman::network::readout;
use elman::network::tree::{
    Activation, Branches, Forest, Node, Recursive, RecursiveConfig, Tree, TreeLstm, TreeLstmConfig,
};
use elman::train::{BatchSource, Network, Optimiser, Rule, Trainer};
use elman::{Random, State};
use elman_data::trees::{BracketTree, parse};

/// The words, and the labels of nodes: two values, and operators, which label themselves.
const WORDS: [&str; 5] = ["false", "true", "and", "or", "implies"];
const LABELS: [&str; 5] = ["0", "1", "and", "or", "implies"];
const EMBEDDING: usize = 8;
const HIDDEN: usize = 24;
const BATCH: usize = 32;

/// An expression in brackets, with at most so many levels of operators, and its value.
fn expression(random: &mut Random, levels: usize, exactly: bool) -> (String, bool) {
    if levels == 0 || !exactly && random.uniform() < 0.3 {
        let value = random.uniform() < 0.5;
        return (format!("({} {})", u8::from(value), WORDS[usize::from(value)]), value);
    }
    let operator = random.word() as usize % 3;
    // The deep operand is the first or the second.
    let first = random.uniform() < 0.5;
    let (left, a) = expression(random, levels - 1, exactly && first);
    let (right, b) = expression(random, levels - 1, exactly && !first);
    let value = [a && b, a || b, !a || b][operator];
    let name = WORDS[2 + operator];
    (format!("({} {left} ({name} {name}) {right})", u8::from(value)), value)
}

/// A batch: its trees and each node's label.
struct TreeBatch {
    forest: Forest,
    trees: Vec<Tree>,
    labels: Vec<u32>,
}

impl TreeBatch {
    fn new(brackets: &[BracketTree]) -> TreeBatch {
        let place = |names: &[&str], name: &str| names.iter().position(|known| *known == name).expect("of the grammar");
        let node = |node: &elman_data::trees::BracketNode| Node {
            input: node.word.as_ref().map(|word| place(&WORDS, word)),
            children: node.children.iter().copied().map(Some).collect(),
        };
        let tree = |t: &BracketTree| Tree::new(t.nodes().iter().map(node).collect()).expect("it was read as one");
        let trees: Vec<Tree> = brackets.iter().map(tree).collect();
        let labels = brackets.iter().flat_map(|t| t.nodes()).map(|node| place(&LABELS, &node.label) as u32).collect();
        TreeBatch { forest: Forest::new(&trees).expect("a batch has trees"), trees, labels }
    }

    fn draw(random: &mut Random, levels: usize, exactly: bool) -> TreeBatch {
        let text: String = (0..BATCH).map(|_| expression(random, levels, exactly).0 + "\n").collect();
        TreeBatch::new(&parse(&text).expect("brackets match"))
    }
}

struct Source(Random);

impl BatchSource<TreeBatch> for Source {
    fn next_batch(&mut self) -> Result<TreeBatch, String> {
        Ok(TreeBatch::draw(&mut self.0, 3, false))
    }
    fn cursor(&self) -> String {
        self.0.position().to_string()
    }
    fn seek(&mut self, cursor: &str) -> Result<(), String> {
        self.0.seek(cursor.parse().map_err(|_| format!("`{cursor}` is no place"))?);
        Ok(())
    }
}

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// h = tanh(W x + Σ_k U_k h_k + b).
    Recursive,
    /// The Tree-LSTM.
    TreeLstm,
}

/// Embedding, tree network, readout at every node.
#[derive(Module, Debug)]
struct Logic {
    embedding: Param<Tensor<2>>,
    recursive: Option<Recursive>,
    lstm: Option<TreeLstm>,
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Logic {
    fn new(kind: Kind, branches: Branches, seed: u64, device: &Device) -> Logic {
        let draw = |name: &str, rows: usize, columns: usize, bound: f32| {
            let mut random = Random::new(seed, name);
            let values: Vec<f32> = (0..rows * columns).map(|_| random.symmetric(bound)).collect();
            let tensor = Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), device).require_grad();
            Param::initialized(ParamId::new(), tensor)
        };
        let recursive = (kind == Kind::Recursive).then(|| {
            let config =
                RecursiveConfig { activation: Activation::Tanh, ..RecursiveConfig::new(branches, EMBEDDING, HIDDEN) };
            config.init(seed, device).expect("sizes are not zero")
        });
        let lstm = (kind == Kind::TreeLstm)
            .then(|| TreeLstmConfig::new(branches, EMBEDDING, HIDDEN).init(seed, device).expect("sizes are not zero"));
        Logic {
            embedding: draw("embedding", WORDS.len(), EMBEDDING, 1.0),
            recursive,
            lstm,
            weight: draw("weight", LABELS.len(), HIDDEN, 0.2),
            bias: Param::initialized(ParamId::new(), Tensor::zeros([LABELS.len()], device).require_grad()),
        }
    }

    /// The states of all nodes.
    fn states(&self, forest: &Forest) -> Tensor<2> {
        let x = self.embedding.val();
        let states = match (&self.recursive, &self.lstm) {
            (Some(network), _) => network.forward(forest, x),
            (None, Some(network)) => network.forward(forest, x).map(|(h, _)| h),
            (None, None) => unreachable!("one of the two is there"),
        };
        states.expect("an operator between two operands, of known words")
    }

    /// How many roots of a batch have the right value.
    fn right(&self, batch: &TreeBatch) -> usize {
        let logits = readout::logits(self.states(&batch.forest), self.weight.val(), self.bias.val());
        let logits = logits.into_data().try_to_vec::<f32>().expect("f32");
        let mut first = 0;
        let mut right = 0;
        for tree in &batch.trees {
            let root = first + tree.root();
            let row = &logits[root * LABELS.len()..][..LABELS.len()];
            let best = (0..LABELS.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or_default();
            right += usize::from(best as u32 == batch.labels[root]);
            first += tree.nodes().len();
        }
        right
    }
}

impl Network for Logic {
    type Batch = TreeBatch;

    fn loss(&self, batch: &TreeBatch, _: Option<State>, _: &mut Random) -> (Tensor<1>, State) {
        let h = self.states(&batch.forest);
        let loss = readout::cross_entropy(h, self.weight.val(), self.bias.val(), &batch.labels);
        (loss, State { layers: Vec::new() })
    }
    fn is_fresh(_: &TreeBatch) -> bool {
        true
    }
    fn count(batch: &TreeBatch) -> usize {
        batch.labels.len()
    }
}

/// The share of roots that are right, of deeper trees than were learnt from: of four and of five levels.
pub fn held_out(kind: Kind, branches: Branches, updates: u64) -> f64 {
    let network = Logic::new(kind, branches, 1, &Device::flex().autodiff());
    let mut trainer = Trainer::new(network, Optimiser::new(Rule::ADAM, 0.0), 0.01, 1);
    trainer.clip = Some(1.0);
    trainer.run(&mut Source(Random::new(1, "trees")), updates, |_, _| true).expect("numbers stay finite");
    let (network, mut random) = (trainer.network().valid(), Random::new(2, "trees"));
    let batches = [4, 5].into_iter().flat_map(|levels| std::iter::repeat_n(levels, 10));
    let right: usize = batches.map(|levels| network.right(&TreeBatch::draw(&mut random, levels, true))).sum();
    right as f64 / (20 * BATCH) as f64
}

fn main() {
    let updates = std::env::args().nth(1).map_or(400, |n| n.parse().expect("a number of updates"));
    let (text, _) = expression(&mut Random::new(3, "trees"), 2, true);
    println!("{text}\nright roots of deeper trees after {updates} updates");
    for (name, kind) in [("recursive", Kind::Recursive), ("Tree-LSTM", Kind::TreeLstm)] {
        for (form, branches) in
            [("a matrix for each branch", Branches::Exactly(3)), ("the children's sum", Branches::Sum)]
        {
            println!("{name}, {form:26} {:.3}", held_out(kind, branches, updates));
        }
    }
}

//! How much faster a batch of trees is than the same trees one by one, forward and backward.
//!
//! `cargo run --release -p elman --example tree_speed -- TREES.txt [ROUNDS] [THREADS]`
//!
//! TREES.txt has bracketed trees, one word a leaf (the Stanford Sentiment Treebank's train.txt). The first 64 are taken; widths I = 100,
//! H = 150. Three ways take turns: the batch; tree after tree, the nodes of a level together; and the loop that the equations suggest, tree after tree and
//! node after node, children first. Each tree alone has an input of its own words only. A figure is the median of the rounds; all ways
//! must give the same states.

use burn::tensor::{Device, Tensor, TensorData, activation};
use elman::Random;
use elman::network::tree::{Branches, Forest, Node, Recursive, RecursiveConfig, Tree, TreeLstm, TreeLstmConfig};
use std::time::Instant;

// The program's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TREES: usize = 64;
const I: usize = 100;
const H: usize = 150;

enum Network {
    Lstm(TreeLstm),
    Recursive(Recursive),
}

impl Network {
    /// The states of all nodes.
    fn states(&self, forest: &Forest, x: Tensor<2>) -> Tensor<2> {
        match self {
            Network::Lstm(network) => network.forward(forest, x).expect("trees fit").0,
            Network::Recursive(network) => network.forward(forest, x).expect("trees fit"),
        }
    }

    /// The same for one tree whose children come before their parents, node after node.
    fn node_after_node(&self, tree: &Tree, x: &Tensor<2>) -> Tensor<2> {
        let mut states: Vec<(Tensor<2>, Tensor<2>)> = Vec::with_capacity(tree.nodes().len());
        for node in tree.nodes() {
            let x = node.input.map(|row| x.clone().slice_dim(0, row..row + 1));
            let children = node.children.iter().flatten().map(|&child| states[child].clone()).collect();
            states.push(match self {
                Network::Lstm(network) => lstm_node(network, x, children),
                Network::Recursive(network) => {
                    let h = recursive_node(network, x, children);
                    (h.clone(), h)
                }
            });
        }
        Tensor::cat(states.into_iter().map(|(h, _)| h).collect(), 0)
    }
}

/// h of a node with matrices of its own for each branch.
fn recursive_node(network: &Recursive, x: Option<Tensor<2>>, children: Vec<(Tensor<2>, Tensor<2>)>) -> Tensor<2> {
    let from_x = x.map(|x| x.matmul(network.weight_x.val().transpose()));
    let h = (!children.is_empty()).then(|| Tensor::cat(children.into_iter().map(|(h, _)| h).collect(), 1));
    let from_h = h.map(|h| h.matmul(network.weight_h.val().transpose()));
    from_x.into_iter().chain(from_h).fold(network.bias.val().unsqueeze(), |sum, part| sum + part).tanh()
}

/// (h, c) of a node of a Tree-LSTM: rows i, o, u, f of the weights, or i, o, u, f_1 ... f_K.
fn lstm_node(
    network: &TreeLstm,
    x: Option<Tensor<2>>,
    children: Vec<(Tensor<2>, Tensor<2>)>,
) -> (Tensor<2>, Tensor<2>) {
    let gate = |sums: &Tensor<2>, gate: usize| sums.clone().slice_dim(1, gate * H..(gate + 1) * H);
    let bias: Tensor<2> = network.bias.val().unsqueeze();
    // Leaves read words, inner nodes their children.
    let (mut sums, mut kept) = (bias.clone().slice_dim(1, 0..3 * H), None);
    if let Some(x) = x {
        sums = sums + x.matmul(network.weight_x.val().slice_dim(0, 0..3 * H).transpose());
    }
    if !children.is_empty() {
        let u = network.weight_h.val().transpose();
        let forget = gate(&bias, 3);
        let (h, c): (Vec<_>, Vec<_>) = children.into_iter().unzip();
        let each: Vec<Tensor<2>> = if u.dims()[0] == H {
            let sum = h.iter().skip(1).fold(h[0].clone(), |sum, h| sum + h.clone());
            sums = sums + sum.matmul(u.clone().slice_dim(1, 0..3 * H));
            let u = u.slice_dim(1, 3 * H..4 * H);
            h.into_iter().map(|h| h.matmul(u.clone())).collect()
        } else {
            let all = Tensor::cat(h, 1).matmul(u);
            sums = sums + all.clone().slice_dim(1, 0..3 * H);
            (0..c.len()).map(|k| gate(&all, 3 + k)).collect()
        };
        let gated = each.into_iter().zip(c).map(|(f, c)| activation::sigmoid(f + forget.clone()) * c);
        kept = gated.reduce(|sum, part| sum + part);
    }
    let new = activation::sigmoid(gate(&sums, 0)) * gate(&sums, 2).tanh();
    let c = kept.into_iter().fold(new, |c, kept| c + kept);
    (activation::sigmoid(gate(&sums, 1)) * c.clone().tanh(), c)
}

/// A line of brackets as nodes, its words numbered from `first`, and the number of words. (`elman_data::trees` reads with checks.)
fn nodes(line: &str, first: usize) -> (Vec<Node>, usize) {
    let (mut nodes, mut open, mut words) = (Vec::new(), vec![Vec::new()], 0);
    for part in line.split('(').skip(1) {
        open.push(Vec::new());
        // `label word))`: a leaf and the ends of those that it ends.
        if let Some((_, word)) = part.trim_end().split_once(' ').filter(|(_, word)| !word.is_empty()) {
            for closed in 0..word.matches(')').count() {
                let children = open.pop().unwrap_or_default();
                nodes.push(if closed == 0 { Node::leaf(first + words) } else { Node::inner(children) });
                open.last_mut().into_iter().for_each(|parent| parent.push(nodes.len() - 1));
            }
            words += 1;
        }
    }
    (nodes, words)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().ok_or("give the path of a file of bracketed trees")?;
    let number = |i: usize, default| arguments.get(i).map_or(Ok(default), |a| a.parse::<usize>());
    let (rounds, threads) = (number(1, 7)?, number(2, 0)?);
    elman::set_threads(threads);
    let text = std::fs::read_to_string(path)?;
    let device = Device::flex().autodiff();
    let mut random = Random::new(1, "tree_speed");
    let mut input = |rows: usize| {
        let values: Vec<f32> = (0..rows * I).map(|_| random.symmetric(1.0)).collect();
        Tensor::<2>::from_data(TensorData::new(values, [rows, I]), &device).require_grad()
    };
    let mut words = 0;
    let mut together = Vec::new();
    let mut alone = Vec::new();
    for line in text.lines().take(TREES) {
        let (own, count) = nodes(line, 0);
        together.push(Tree::new(nodes(line, words).0)?);
        let tree = Tree::new(own)?;
        alone.push((Forest::new(std::slice::from_ref(&tree))?, tree, input(count)));
        words += count;
    }
    let forest = Forest::new(&together)?;
    let x = Tensor::cat(alone.iter().map(|(.., x)| x.clone().detach()).collect(), 0);
    let x = Tensor::<2>::from_data(x.into_data(), &device).require_grad();
    println!("{} trees, {} nodes, {} levels; I = {I}, H = {H}", forest.trees(), forest.nodes(), forest.levels());
    let networks = [
        ("binary Tree-LSTM", Network::Lstm(TreeLstmConfig::new(Branches::Exactly(2), I, H).init(1, &device)?)),
        ("child-sum Tree-LSTM", Network::Lstm(TreeLstmConfig::new(Branches::Sum, I, H).init(1, &device)?)),
        (
            "recursive, two branches",
            Network::Recursive(RecursiveConfig::new(Branches::Exactly(2), I, H).init(1, &device)?),
        ),
    ];
    for (name, network) in &networks {
        let batch = |_: &()| network.states(&forest, x.clone()).sum();
        let levels = |(forest, _, x): &(Forest, Tree, Tensor<2>)| network.states(forest, x.clone()).sum();
        let by_node = |(_, tree, x): &(Forest, Tree, Tensor<2>)| network.node_after_node(tree, x).sum();
        let mut rounds: Vec<[f64; 3]> = (0..rounds)
            .map(|_| [timed(&[()], batch), timed(&alone, levels), timed(&alone, by_node)])
            .map(|ways| {
                let sums = ways.map(|(_, sum)| sum);
                let close = sums.iter().all(|sum| (sum - sums[0]).abs() <= 1e-3 * sums[0].abs().max(1.0));
                assert!(close, "{name}: the ways' states differ: {sums:?}");
                ways.map(|(ms, _)| ms)
            })
            .collect();
        let mut middle = |of: &dyn Fn(&[f64; 3]) -> f64| {
            rounds.sort_by(|a, b| of(a).total_cmp(&of(b)));
            of(&rounds[rounds.len() / 2])
        };
        println!(
            "{name}: batch {:.1} ms; tree after tree {:.1} ms, ratio {:.1}; node after node {:.1} ms, ratio {:.1}",
            middle(&|r| r[0]),
            middle(&|r| r[1]),
            middle(&|r| r[1] / r[0]),
            middle(&|r| r[2]),
            middle(&|r| r[2] / r[0]),
        );
    }
    Ok(())
}

/// Milliseconds of forward and backward of each item, and the sum of their losses.
fn timed<T>(items: &[T], loss: impl Fn(&T) -> Tensor<1>) -> (f64, f64) {
    let began = Instant::now();
    let losses: Vec<Tensor<1>> = items
        .iter()
        .map(|item| {
            let loss = loss(item);
            let _ = loss.backward();
            loss
        })
        .collect();
    let ms = began.elapsed().as_secs_f64() * 1e3;
    let sum = losses
        .into_iter()
        .map(|loss| f64::from(loss.into_data().convert::<f32>().as_slice::<f32>().expect("one number")[0]));
    (ms, sum.sum())
}

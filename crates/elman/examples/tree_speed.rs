//! How much faster a batch of trees is than the same trees one by one, forward and backward.
//!
//! `cargo run --release -p elman --example tree_speed -- TREES.txt [ROUNDS] [THREADS]`
//!
//! TREES.txt has bracketed trees, one word a leaf (the Stanford Sentiment Treebank's train.txt). The first 64 are taken; widths I = 100,
//! H = 150. The two ways take turns, and each tree alone has an input of its own words only. A figure is the median of the rounds.

use burn::tensor::{Device, Tensor, TensorData};
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
    fn pass(&self, forest: &Forest, x: Tensor<2>) {
        let h = match self {
            Network::Lstm(network) => network.forward(forest, x).expect("trees fit").0,
            Network::Recursive(network) => network.forward(forest, x).expect("trees fit"),
        };
        let _ = h.sum().backward();
    }
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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
        alone.push((Forest::new(&[Tree::new(own)?])?, input(count)));
        words += count;
    }
    let forest = Forest::new(&together)?;
    let x = input(words);
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
        let (mut batch, mut single, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let start = Instant::now();
            network.pass(&forest, x.clone());
            batch.push(start.elapsed().as_secs_f64() * 1e3);
            let start = Instant::now();
            for (forest, x) in &alone {
                network.pass(forest, x.clone());
            }
            single.push(start.elapsed().as_secs_f64() * 1e3);
            ratios.extend(single.last().zip(batch.last()).map(|(single, batch)| single / batch));
        }
        println!(
            "{name}: batch {:.1} ms, one by one {:.1} ms, ratio {:.1}",
            median(batch),
            median(single),
            median(ratios)
        );
    }
    Ok(())
}

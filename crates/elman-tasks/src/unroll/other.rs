//! Networks that are no cell, by the numbers that their pictures depend on: widths do not show.

use super::models::training;
use super::{Feed, MAX_DRAWN, TreeCell, Unrolled, check_layers};
use crate::Error;
use elman::network::tree::{Node, Tree};
use elman::network::{Context, NarxConfig, RmlpConfig, TdnnConfig};
use elman_data::trees;

/// Such a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other<'a> {
    /// [`Narx`](elman::network::Narx) with so many lags of inputs and of outputs.
    Narx {
        /// n_u and n_y.
        lags: usize,
        /// d.
        delay: usize,
        /// Its outputs in parallel form; else targets, in series-parallel form.
        feed: Feed,
    },
    /// [`Tdnn`](elman::network::Tdnn).
    Tdnn {
        /// Layers.
        layers: usize,
        /// Steps that a unit sees of the layer below.
        taps: usize,
        /// The distance between them in the first layer; its powers above.
        dilation: usize,
    },
    /// [`Rmlp`](elman::network::Rmlp).
    Rmlp {
        /// Hidden layers.
        layers: usize,
        /// Whether the output layer is fed its own output.
        recurrent_output: bool,
    },
    /// A network over a tree.
    Tree {
        /// Which.
        cell: TreeCell,
        /// The tree in brackets.
        text: &'a str,
    },
}

impl Unrolled {
    /// Draws it over `length` steps, which a tree has not.
    ///
    /// # Errors
    /// As [`narx`](Unrolled::narx), [`tdnn`](Unrolled::tdnn), [`rmlp`](Unrolled::rmlp) and [`tree`](Unrolled::tree); a text that is not one tree.
    pub fn other(other: &Other, length: usize) -> Result<Unrolled, Error> {
        match *other {
            Other::Narx { lags, delay, feed } => {
                Unrolled::narx(&NarxConfig { delay, ..NarxConfig::new(lags, lags, &[1]) }, training(feed), length)
            }
            Other::Tdnn { layers, taps, dilation } => {
                check_layers(layers)?;
                // Beyond the picture's width all distances are alike.
                let power = |l: usize| dilation.saturating_pow(l as u32 + 1).min(MAX_DRAWN);
                let at = |l: usize| if l == 0 { dilation } else { power(l) };
                let layer = |l: usize| Context { dilation: at(l), ..Context::new(1, taps) };
                Unrolled::tdnn(&TdnnConfig { inputs: 1, layers: (0..layers).map(layer).collect() }, length)
            }
            Other::Rmlp { layers, recurrent_output } => {
                check_layers(layers)?;
                let config = RmlpConfig { recurrent_output, ..RmlpConfig::new(1, &vec![1; layers], 1) };
                Unrolled::rmlp(&config, length)
            }
            Other::Tree { cell, text } => {
                let wrong = |why: String| Error::Usage(format!("--tree: {why}"));
                let found = trees::parse(text).map_err(|error| wrong(error.to_string()))?;
                let [bracket] = &found[..] else {
                    return Err(wrong(format!("there are {} trees; give one", found.len())));
                };
                let words: Vec<String> = bracket.words().map(String::from).collect();
                let mut rows = 0..words.len();
                let nodes = bracket.nodes().iter().map(|node| match node.word {
                    Some(_) => Node { input: rows.next(), children: Vec::new() },
                    None => Node::inner(node.children.iter().copied()),
                });
                let tree = Tree::new(nodes.collect()).map_err(|error| wrong(error.to_string()))?;
                Unrolled::tree(&tree, cell, &words)
            }
        }
    }
}

//! The unrolled computational graph: a cell over several steps with its inputs, outputs, targets and losses.
//!
//! ```
//! use elman_core::cells;
//! use elman_tasks::unroll::{Shape, Unrolled};
//! let lstm = (cells::find("lstm").unwrap().make)();
//! let graph = Unrolled::new(lstm.spec(), Shape::ManyToOne, 4)?;
//! // Four inputs, one output, one loss with its target; one set of weights for four steps.
//! assert_eq!(graph.count('x'), 4);
//! assert_eq!((graph.count('y'), graph.count('L')), (1, 1));
//! assert!(graph.dot().starts_with("digraph"));
//! # Ok::<(), elman_tasks::Error>(())
//! ```
//!
//! [`Topology`] has layers of any cells, a second direction and what is fed back besides; [`Unrolled::narx`], [`Unrolled::tdnn`], [`Unrolled::rmlp`] and
//! [`Unrolled::tree`] draw those networks of [`elman::network`] from their own configurations.

mod dot;
mod models;
mod other;
mod svg;
mod tree;
pub use other::Other;
pub use tree::TreeCell;

use crate::Error;
use elman_core::CellSpec;
use elman_run::nearest;
use std::fmt;
use std::str::FromStr;

/// Which steps have an input and which an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One step with both.
    OneToOne,
    /// An input at the first step, an output at every one, such as a caption for a picture.
    OneToMany,
    /// An input at every step, an output at the last, such as the mood of a sentence.
    ManyToOne,
    /// Both at every step, such as the next character, or a label for each frame.
    ManyToMany,
    /// All inputs, then all outputs, with weights of its own for each half, such as a translation.
    EncoderDecoder,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Shape; 5] =
        [Shape::OneToOne, Shape::OneToMany, Shape::ManyToOne, Shape::ManyToMany, Shape::EncoderDecoder];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Shape::OneToOne => "one-to-one",
            Shape::OneToMany => "one-to-many",
            Shape::ManyToOne => "many-to-one",
            Shape::ManyToMany => "many-to-many",
            Shape::EncoderDecoder => "encoder-decoder",
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Shape, Error> {
        Shape::ALL.into_iter().find(|shape| shape.name() == text).ok_or_else(|| {
            let names = Shape::ALL.map(Shape::name);
            let advice = match nearest(text, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.join(", ")),
            };
            Error::Usage(format!("--shape: unknown shape `{text}`; {advice}"))
        })
    }
}

/// What stands at a vertex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An input, a target, or the state before the first step.
    Given,
    /// Weights, shared by all steps that they go to.
    Weights,
    /// One step of the cell.
    Step,
    /// An output.
    Output,
    /// A loss.
    Loss,
    /// Steps that are not drawn.
    Gap,
}

#[derive(Clone, Debug)]
struct Vertex {
    kind: Kind,
    label: String,
    /// Place on the grid: columns are steps, rows go down from the whole loss to the weights.
    column: f64,
    row: usize,
}

#[derive(Clone, Debug)]
struct Edge {
    from: usize,
    to: usize,
    /// Such as the values that are carried.
    label: String,
    way: Way,
}

/// What an edge is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The network as it is computed within a step and from state to state.
    Plain,
    /// From weights.
    Shared,
    /// From an output or target to a later step.
    Fed,
}

/// What a step is given of the step before, besides its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feed {
    /// Nothing.
    #[default]
    Nothing,
    /// Its target: teacher forcing. No gradient goes back along it.
    Targets,
    /// Its output: free running.
    Outputs,
}

impl FromStr for Feed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Feed, Error> {
        match text {
            "targets" => Ok(Feed::Targets),
            "outputs" => Ok(Feed::Outputs),
            _ => Err(Error::Usage(format!(
                "--feed: unknown `{text}`; there are targets (teacher forcing) and outputs (free running)"
            ))),
        }
    }
}

/// The most steps that are drawn one by one; of longer sequences the first and the last ones.
pub const MAX_DRAWN: usize = 50;
/// Steps that are drawn at each end of a longer sequence.
const ENDS: usize = 4;

/// What is unrolled.
#[derive(Clone, Copy, Debug)]
pub struct Topology<'a> {
    /// The cell of each layer, from the input up.
    pub cells: &'a [&'a CellSpec],
    /// Whether each layer also reads from the end to the beginning, with weights of its own.
    pub bidirectional: bool,
    /// Which steps have an input and which an output.
    pub shape: Shape,
    /// Steps; of an encoder and decoder, of each.
    pub length: usize,
    /// Whether the target of a step is the input of the next, as in a language model.
    pub next_input: bool,
    /// What a step is given of the step before. Where the target is the next input, it takes that input's place.
    pub feed: Feed,
}

impl Topology<'_> {
    /// Refuses what cannot be drawn.
    fn check(&self) -> Result<(), Error> {
        let Topology { length, bidirectional, shape, feed, .. } = *self;
        if !(1..=MAX_LENGTH).contains(&length) {
            return Err(Error::Usage(format!("--length: it is {length}; it must be from 1 to {MAX_LENGTH}")));
        }
        check_layers(self.cells.len())?;
        if shape == Shape::OneToOne && length > 1 {
            return Err(Error::Usage(format!(
                "--length: it is {length}, and one-to-one has one step; leave it out or take another --shape"
            )));
        }
        if bidirectional && !matches!(shape, Shape::ManyToOne | Shape::ManyToMany) {
            return Err(Error::Usage(format!(
                "--bidirectional: it reads the whole input before it writes, and {shape} does not; take many-to-one or many-to-many"
            )));
        }
        if feed != Feed::Nothing && matches!(shape, Shape::OneToOne | Shape::ManyToOne) {
            return Err(Error::Usage(format!(
                "--feed: {shape} has one output, and no step after it; take one-to-many, many-to-many or encoder-decoder"
            )));
        }
        if feed != Feed::Nothing && bidirectional {
            return Err(Error::Usage(
                "--feed: a network that reads in both directions needs its whole input first; leave out one of the two"
                    .into(),
            ));
        }
        Ok(())
    }

    fn title(&self) -> String {
        let mut names: Vec<&str> = self.cells.iter().map(|cell| cell.name).collect();
        let layers = if names.len() > 1 { format!(", {} layers", names.len()) } else { String::new() };
        names.dedup();
        let both = if self.bidirectional { ", in both directions" } else { "" };
        let fed = match self.feed {
            Feed::Nothing => "",
            Feed::Targets => ", targets fed back (teacher forcing)",
            Feed::Outputs => ", outputs fed back (free running)",
        };
        format!("{} unrolled, {}{layers}{both}{fed}", names.join(" + "), self.shape)
    }

    fn steps(&self) -> usize {
        if self.shape == Shape::EncoderDecoder { self.length.saturating_mul(2) } else { self.length }
    }

    fn reads(&self, t: usize) -> bool {
        match self.shape {
            Shape::OneToOne | Shape::OneToMany => t == 1,
            Shape::ManyToOne | Shape::ManyToMany => true,
            Shape::EncoderDecoder => t <= self.length,
        }
    }

    fn writes(&self, t: usize) -> bool {
        match self.shape {
            Shape::OneToOne | Shape::OneToMany | Shape::ManyToMany => true,
            Shape::ManyToOne => t == self.steps(),
            Shape::EncoderDecoder => t > self.length,
        }
    }

    /// The steps that are drawn, in turn; none: those in between are left out.
    fn drawn(&self) -> Vec<Option<usize>> {
        if self.steps() <= MAX_DRAWN {
            return (1..=self.steps()).map(Some).collect();
        }
        let part = |from: usize, to: usize| {
            let whole = to - from < 2 * ENDS + 1;
            let first = (from..=if whole { to } else { from + ENDS - 1 }).map(Some);
            let last = (if whole { to + 1 } else { to + 1 - ENDS }..=to).map(Some);
            first.chain((!whole).then_some(None)).chain(last).collect::<Vec<_>>()
        };
        match self.shape {
            Shape::EncoderDecoder => [part(1, self.length), part(self.length + 1, self.steps())].concat(),
            _ => part(1, self.steps()),
        }
    }

    /// Whether a step is given something of the step before it.
    fn is_fed(&self, t: usize) -> bool {
        self.feed != Feed::Nothing && t > 1 && self.writes(t - 1)
    }

    /// What goes up from a step of a layer; where two directions cross, there is no room for it.
    fn upwards(&self, layer: usize, t: usize) -> String {
        if self.bidirectional { String::new() } else { format!("{}_{t}", self.cells[layer].output) }
    }

    /// The values of a step of a layer that the next one reads.
    fn state(&self, layer: usize, t: usize) -> String {
        self.cells[layer].read_before().iter().map(|name| format!("{name}_{t}")).collect::<Vec<_>>().join(", ")
    }
}

/// More steps have no numbers that are read.
pub const MAX_LENGTH: usize = 1_000_000_000;
/// More layers are no picture.
pub const MAX_LAYERS: usize = 12;

/// Refuses a number of layers that is no picture, before there are so many.
///
/// # Errors
/// None, or more than [`MAX_LAYERS`].
pub fn check_layers(layers: usize) -> Result<(), Error> {
    match (1..=MAX_LAYERS).contains(&layers) {
        true => Ok(()),
        false => Err(Error::Usage(format!("--layers: from 1 to {MAX_LAYERS} can be drawn, not {layers}"))),
    }
}

/// A network unrolled over time.
#[derive(Clone, Debug)]
pub struct Unrolled {
    title: String,
    vertices: Vec<Vertex>,
    edges: Vec<Edge>,
}

/// One direction of a layer: its steps by the column.
type Chain = Vec<usize>;

impl Unrolled {
    /// One layer of a cell in one direction.
    ///
    /// # Errors
    /// As [`Unrolled::network`].
    pub fn new(cell: &CellSpec, shape: Shape, length: usize) -> Result<Unrolled, Error> {
        let (cells, feed) = ([cell], Feed::Nothing);
        Unrolled::network(Topology { cells: &cells, bidirectional: false, shape, length, next_input: false, feed })
    }

    /// A network. Above [`MAX_DRAWN`] steps the middle is one vertex.
    ///
    /// # Errors
    /// No step or layer, more than [`MAX_LAYERS`], more than one step for one to one, both directions where the output begins before the input
    /// ends or something is fed back, something fed back where there is one output.
    pub fn network(network: Topology) -> Result<Unrolled, Error> {
        network.check()?;
        let mut graph = Unrolled { title: network.title(), vertices: Vec::new(), edges: Vec::new() };
        let drawn = network.drawn();
        // From the top: the whole loss, losses, outputs, then each layer's directions and weights; the inputs stand above the lowest weights.
        let directions = 1 + usize::from(network.bidirectional);
        let layers = network.cells.len();
        let row_of = |layer: usize| 3 + (layers - 1 - layer) * (directions + 1);
        let inputs = row_of(0) + directions;
        let mut below: Vec<Vec<usize>> = Vec::new();
        for (at, &step) in drawn.iter().enumerate() {
            // After a gap nothing is there to be fed.
            let instead = |t: usize| network.next_input && network.is_fed(t) && at > 0 && drawn[at - 1].is_some();
            let label = step.and_then(|t| match network.reads(t) && !instead(t) {
                true => Some(format!("x_{t}")),
                // A decoder has nothing else to begin with.
                false => (network.feed != Feed::Nothing && !network.reads(t) && t == network.length + 1)
                    .then(|| "start".into()),
            });
            below.push(
                label.map(|label| graph.vertex(Kind::Given, label, (at + 1) as f64, inputs)).into_iter().collect(),
            );
        }
        let (mut chains, mut lowest): (Vec<Chain>, Chain) = Default::default();
        for layer in 0..layers {
            let weights = if layer == 0 { inputs + 1 } else { row_of(layer) + directions };
            chains = (0..directions)
                .map(|back| graph.chain(&network, &drawn, layer, back == 1, (row_of(layer) + back, weights), &below))
                .collect();
            below = (0..drawn.len()).map(|at| chains.iter().map(|chain| chain[at]).collect()).collect();
            if layer == 0 {
                lowest = chains[0].clone();
            }
        }
        let (mut losses, mut before) = (Vec::new(), None);
        for (at, &step) in drawn.iter().enumerate() {
            // What the step before has to give.
            if let (Some(from), Some(t)) = (before.take(), step)
                && network.is_fed(t)
            {
                graph.edge(from, lowest[at], String::new(), Way::Fed);
            }
            let Some(t) = step.filter(|&t| network.writes(t)) else { continue };
            let output = graph.vertex(Kind::Output, format!("y_{t}"), (at + 1) as f64, 2);
            for (back, chain) in chains.iter().enumerate() {
                // One output for all: the backward direction has read everything at the first step.
                let (at, t) = if back == 1 && network.shape == Shape::ManyToOne { (0, 1) } else { (at, t) };
                graph.edge(chain[at], output, network.upwards(layers - 1, t), Way::Plain);
            }
            let target = if network.next_input { format!("x_{}, target", t + 1) } else { format!("target {t}") };
            let (loss, target) = graph.loss(output, target, t);
            before = Some(if network.feed == Feed::Targets { target } else { output });
            losses.push(loss);
        }
        graph.total(&losses, drawn.len());
        Ok(graph)
    }

    /// The loss of an output, and its target beside it.
    fn loss(&mut self, output: usize, target: String, t: usize) -> (usize, usize) {
        let column = self.vertices[output].column;
        let loss = self.vertex(Kind::Loss, format!("L_{t}"), column, 1);
        self.edge(output, loss, String::new(), Way::Plain);
        let target = self.vertex(Kind::Given, target, column + 0.42, 2);
        self.edge(target, loss, String::new(), Way::Plain);
        (loss, target)
    }

    /// The whole loss, above the middle of so many columns.
    fn total(&mut self, losses: &[usize], columns: usize) {
        let total = self.vertex(Kind::Loss, "L = Σ L_t".into(), (columns as f64 + 1.0) / 2.0, 0);
        losses.iter().for_each(|&loss| self.edge(loss, total, String::new(), Way::Plain));
    }

    /// One direction of a layer, fed by what stands `below` at each column.
    fn chain(
        &mut self,
        network: &Topology,
        drawn: &[Option<usize>],
        layer: usize,
        back: bool,
        (row, weights): (usize, usize),
        below: &[Vec<usize>],
    ) -> Chain {
        let (layers, cell) = (network.cells.len(), network.cells[layer]);
        let columns = drawn.len();
        let number = if layers > 1 { format!(" {}", layer + 1) } else { String::new() };
        let arrow = if back { " ←" } else { "" };
        // Beside the other direction, past whose steps its lines go.
        let place = |at: usize| (at + 1) as f64 + if back { 0.5 } else { 0.0 };
        let middle = (columns as f64 + 1.0) / 2.0;
        let aside = if layer == 0 && !network.bidirectional {
            0.0
        } else if back {
            0.75
        } else {
            -0.25
        };
        let sets: Vec<usize> = match network.shape {
            Shape::EncoderDecoder => {
                let half = columns as f64 / 2.0;
                let first =
                    self.vertex(Kind::Weights, format!("W{number} encoder"), (half + 1.0) / 2.0 + aside, weights);
                vec![
                    first,
                    self.vertex(
                        Kind::Weights,
                        format!("W{number} decoder"),
                        (half + 1.0) / 2.0 + half + aside,
                        weights,
                    ),
                ]
            }
            _ => vec![self.vertex(Kind::Weights, format!("W{number}{arrow}"), middle + aside, weights)],
        };
        let begin = if back { network.steps() + 1 } else { 0 };
        let edge_of = if back { columns as f64 + 1.5 } else { 0.0 };
        let mut before = self.vertex(Kind::Given, network.state(layer, begin), edge_of, row);
        let mut label = String::new();
        let mut chain = vec![0; columns];
        let order: Vec<usize> = if back { (0..columns).rev().collect() } else { (0..columns).collect() };
        for at in order {
            let step = match drawn[at] {
                Some(t) => {
                    let which = if layers > 1 { format!(", layer{number}") } else { String::new() };
                    let step = self.vertex(Kind::Step, format!("{} {t}{arrow}{which}", cell.name), place(at), row);
                    self.edge(before, step, std::mem::replace(&mut label, network.state(layer, t)), Way::Plain);
                    let set = sets[usize::from(t > network.length && sets.len() > 1)];
                    self.edge(set, step, String::new(), Way::Shared);
                    for &from in &below[at] {
                        let from_layer = self.vertices[from].kind == Kind::Step;
                        let carried = if from_layer { network.upwards(layer - 1, t) } else { String::new() };
                        self.edge(from, step, carried, Way::Plain);
                    }
                    step
                }
                None => {
                    let gap = self.vertex(Kind::Gap, "…".into(), place(at), row);
                    self.edge(before, gap, std::mem::take(&mut label), Way::Plain);
                    gap
                }
            };
            chain[at] = step;
            before = step;
        }
        chain
    }

    fn vertex(&mut self, kind: Kind, label: String, column: f64, row: usize) -> usize {
        self.vertices.push(Vertex { kind, label, column, row });
        self.vertices.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, label: String, way: Way) {
        self.edges.push(Edge { from, to, label, way });
    }

    /// How many vertices are named by this letter and a step, such as x_1, x_2.
    pub fn count(&self, letter: char) -> usize {
        let named = |label: &str| label.strip_prefix(letter).is_some_and(|rest| rest.starts_with('_'));
        self.vertices.iter().filter(|v| v.kind != Kind::Step && named(&v.label)).count()
    }

    /// In Graphviz' DOT language.
    pub fn dot(&self) -> String {
        dot::draw(self)
    }

    /// As a picture that needs nothing else.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }
}

#[cfg(test)]
mod tests;

//! A cell as it is at evaluation: what training draws is at its mean.

use crate::algebra::Real;
use crate::algebra::expression::StageGraph;
use crate::cell::{Cell, CellSpec, StageSpec};
use crate::elementwise;
use crate::recorded_cell::RecordedCell;
use std::sync::Arc;

/// The same cell with every feed that training draws ([`StageSpec::feed_probabilities`]) at its mean, a constant of the equations. Feeds that the
/// caller gives stay; a cell without others stays itself. The parameters are the same.
///
/// The specification, less than a thousand bytes, stays for the life of the process.
///
/// ```
/// use elman_core::{Layer, Sizes, Zoneout, cells, with_mean_feeds};
///
/// let cell = Zoneout { output: 0.05, others: 0.5 }.around((cells::find("lstm").unwrap().make)()).unwrap();
/// let layer = Layer::new(cell.clone(), Sizes::new(1, 2)).unwrap();
/// let mean = Layer::new(with_mean_feeds(cell), Sizes::new(1, 2)).unwrap();
/// assert_eq!((layer.feeds().len(), mean.feeds().len()), (2, 0));
/// assert_eq!(layer.parameters(), mean.parameters());
/// ```
pub fn with_mean_feeds(cell: Arc<dyn Cell>) -> Arc<dyn Cell> {
    let spec = cell.spec();
    if spec.stages.iter().all(|stage| stage.feed_probabilities.iter().all(Option::is_none)) {
        return cell;
    }
    let mut stages = Vec::new();
    let mut equations = Vec::new();
    for (k, stage) in spec.stages.iter().enumerate() {
        let mean = |feed: usize| stage.feed_probabilities.get(feed).copied().flatten();
        let first = stage.arguments() - stage.feeds.len();
        let given: Vec<usize> = (0..stage.feeds.len()).filter(|&feed| mean(feed).is_none()).collect();
        let mut arguments: Vec<Argument> = (0..first).map(Argument::Given).collect();
        let mut next = first..;
        arguments.extend((0..stage.feeds.len()).map(|feed| match mean(feed) {
            Some(mean) => Argument::Mean(mean),
            None => Argument::Given(next.next().expect("there is always a next number")),
        }));
        let feeds: Vec<&'static str> = given.iter().map(|&feed| stage.feeds[feed]).collect();
        stages.push(StageSpec { feeds: feeds.leak(), feed_probabilities: &[], ..*stage });
        equations.push(AtMeans { within: StageGraph::of(&*cell, k), arguments });
    }
    let spec = Box::leak(Box::new(CellSpec { stages: stages.leak(), ..*spec }));
    Arc::new(RecordedCell::new(spec, equations))
}

/// Where an argument of the cell within comes from.
#[derive(Clone, Copy, Debug)]
enum Argument {
    /// From this argument.
    Given(usize),
    /// It is this number.
    Mean(f64),
}

/// A stage's equations with some arguments that are constants.
struct AtMeans {
    within: StageGraph,
    arguments: Vec<Argument>,
}

impl elementwise::Equations for AtMeans {
    fn eval<R: Real>(&self, arguments: &[R]) -> Vec<R> {
        let argument = |from: &Argument| match *from {
            Argument::Given(index) => arguments[index],
            Argument::Mean(mean) => R::constant(mean),
        };
        self.within.eval_named(&self.arguments.iter().map(argument).collect::<Vec<_>>())
    }
}

//! Zoneout around any cell: carried values that keep what they were, at random.

use crate::algebra::Real;
use crate::algebra::expression::StageGraph;
use crate::cell::{Cell, CellSpec, OptionError, StageSpec};
use crate::elementwise;
use crate::recorded_cell::RecordedCell;
use std::sync::Arc;

/// Zoneout (Krueger, Maharaj, Kramár, Pezeshki, Ballas, Ke, Goyal, Bengio, Courville & Pal, "Zoneout: regularizing RNNs by randomly
/// preserving hidden activations", ICLR 2017): at each step each unit of a carried value keeps its old number with a probability.
///
/// `v = k ⊙ v' + (1 - k) ⊙ ṽ`, where v' is the value of the step before and ṽ the one that the cell makes. k is a feed, `keep_v`: while
/// training 1 with probability p and 0 otherwise, for each step, row and unit anew; at evaluation p, its mean. The other
/// equations of the stage that makes ṽ see ṽ: in the LSTM `h̃ = o ⊙ tanh(c̃)`, as in the paper. Later stages of a step see v: that of
/// `lstm-layer-norm` which makes h from c, those of `deep-output`, `output-feedback`, the `residual-...` cells and `lru` which make the output.
///
/// It is a cell like any other, with the parameters of the one within: its equations are that cell's, recorded, and the line above.
///
/// ```
/// use elman_core::{Layer, Sizes, Zoneout, cells, engine};
///
/// let lstm = || (cells::find("lstm").unwrap().make)();
/// let cell = Zoneout { output: 0.05, others: 0.5 }.around(lstm()).unwrap();
/// let layer = Layer::new(cell, Sizes::new(1, 2)).unwrap();
/// assert_eq!(layer.feeds(), [(2, Some(0.05)), (2, Some(0.5))]); // of h and of c
/// assert_eq!(layer.parameters(), Layer::new(lstm(), Sizes::new(1, 2)).unwrap().parameters());
/// assert_eq!(layer.cell().spec().name, "lstm:zoneout=0.05,zoneout-cell=0.5");
/// let wrong = Zoneout { output: 1.5, others: 0.0 }.around(lstm()).unwrap_err();
/// assert_eq!(wrong.to_string(), "zoneout is 1.5; it must be from 0 to below 1");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Zoneout {
    /// The probability for the cell's output: h of an LSTM.
    pub output: f64,
    /// The probability for the other carried values: c of an LSTM.
    pub others: f64,
}

impl Zoneout {
    /// Puts it around a cell. With both probabilities 0 it is the cell itself.
    ///
    /// The specification, less than a thousand bytes, stays for the life of the process.
    ///
    /// # Errors
    /// A probability is not in [0, 1).
    ///
    /// # Panics
    /// If a stage of the cell has more than 32 arguments with these.
    pub fn around(self, cell: Arc<dyn Cell>) -> Result<Arc<dyn Cell>, OptionError> {
        for (option, value) in [("zoneout", self.output), ("zoneout-cell", self.others)] {
            if !(0.0..1.0).contains(&value) {
                return Err(OptionError { option, value, range: "from 0 to below 1" });
            }
        }
        let spec = cell.spec();
        let probability = |value: &str| match spec.carry.contains(&value) {
            true if value == spec.output => self.output,
            true => self.others,
            false => 0.0,
        };
        let changed = |stage: &StageSpec| stage.writes.iter().any(|value| probability(value) > 0.0);
        if !spec.stages.iter().any(changed) {
            return Ok(cell);
        }
        let (mut specs, mut stages) = (Vec::new(), Vec::new());
        for (k, inner) in spec.stages.iter().enumerate() {
            let graph = StageGraph::of(&*cell, k);
            let mut new = Extended { reads: inner.reads.to_vec(), feeds: inner.feeds.to_vec(), kept: Vec::new() };
            let mut probabilities: Vec<Option<f64>> = inner.feed_probabilities.to_vec();
            probabilities.resize(inner.feeds.len(), None);
            for (output, &value) in inner.writes.iter().enumerate().filter(|(_, value)| probability(value) > 0.0) {
                let read = new.read(value);
                new.feeds.push(String::leak(format!("keep_{value}")));
                probabilities.push(Some(probability(value)));
                new.kept.push((output, read));
            }
            let equations = Equations::new(inner, graph, &new);
            specs.push(StageSpec {
                reads: new.reads.leak(),
                feeds: new.feeds.leak(),
                feed_probabilities: probabilities.leak(),
                ..*inner
            });
            stages.push(equations);
        }
        let name: &'static str = String::leak(self.name(spec.name));
        let specs: &'static [StageSpec] = specs.leak();
        let spec = Box::leak(Box::new(CellSpec { name, stages: specs, ..*spec }));
        Ok(Arc::new(RecordedCell::new(spec, stages)))
    }

    /// `lstm:zoneout=0.05,zoneout-cell=0.5`.
    fn name(self, cell: &str) -> String {
        let options = [("zoneout", self.output), ("zoneout-cell", self.others)];
        let options = options.iter().filter(|(_, p)| *p > 0.0).map(|(option, p)| format!("{option}={p}"));
        let options = options.collect::<Vec<_>>().join(",");
        format!("{cell}{}{options}", if cell.contains(':') { ',' } else { ':' })
    }
}

/// What a stage has more than that of the cell within.
struct Extended {
    reads: Vec<&'static str>,
    feeds: Vec<&'static str>,
    /// For each value that is kept: its index among those written, and that of its old number among the reads.
    kept: Vec<(usize, usize)>,
}

impl Extended {
    /// The index of the value of the step before, which the stage that writes it may read or not.
    fn read(&mut self, value: &'static str) -> usize {
        self.reads.iter().position(|read| *read == value).unwrap_or_else(|| {
            self.reads.push(value);
            self.reads.len() - 1
        })
    }
}

/// A stage's equations: those of the cell within and what is kept, for any number.
#[derive(Clone, Debug)]
struct Equations {
    within: StageGraph,
    /// For each argument of the cell within, its index here.
    arguments: Vec<usize>,
    /// For each value kept: its index among those written, its old number's and its feed's argument, its name.
    kept: Vec<(usize, usize, usize, &'static str)>,
}

impl Equations {
    /// Arguments are gates, reads, units, feeds; new ones come at the end of the reads and of the feeds.
    fn new(inner: &StageSpec, within: StageGraph, new: &Extended) -> Equations {
        let gates = inner.gates.len();
        let units = gates + new.reads.len();
        let feeds = units + inner.units.len();
        let arguments = (0..gates + inner.reads.len())
            .chain(units..units + inner.units.len())
            .chain(feeds..feeds + inner.feeds.len())
            .collect();
        let kept = new.kept.iter().enumerate();
        let kept = kept.map(|(n, &(o, read))| (o, gates + read, feeds + inner.feeds.len() + n, inner.writes[o]));
        Equations { within, arguments, kept: kept.collect() }
    }
}

impl elementwise::Equations for Equations {
    fn eval<R: Real>(&self, arguments: &[R]) -> Vec<R> {
        let own: Vec<R> = self.arguments.iter().map(|&a| arguments[a]).collect();
        let mut written = self.within.eval_named(&own);
        for &(output, old, keep, name) in &self.kept {
            let (old, keep) = (arguments[old], arguments[keep]);
            written[output] = (keep * old + (R::constant(1.0) - keep) * written[output]).named(name);
        }
        written
    }
}

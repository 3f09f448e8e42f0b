//! Every named value of every step: gates, candidates, states.
//!
//! The engine keeps no gates after their use. The cell's recorded equations name what they compute; here they are evaluated once more,
//! unit by unit, and every name is written down.

use super::AnalysisError;
use super::network::{Network, NetworkLayer};
use super::path::Path;
use elman_core::algebra::expression::{Node, StageGraph};
use elman_core::cell::{NORMALISER_EPSILON, Normaliser};
use elman_core::layer::{Place, Role};

/// What a named value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// A logistic function: between 0 (closed) and 1 (open).
    Gate,
    /// Carried to the next step.
    State,
    /// Anything else, such as a candidate.
    Other,
}

/// A named value over the steps of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The layer, from 0.
    pub layer: usize,
    /// The name in the cell's equations.
    pub name: &'static str,
    /// What it is.
    pub nature: Nature,
    /// Units.
    pub width: usize,
    /// (T, width).
    pub values: Vec<f64>,
}

impl Series {
    /// Unit `u` over time.
    pub fn unit(&self, u: usize) -> Vec<f64> {
        self.values.iter().skip(u).step_by(self.width).copied().collect()
    }
}

/// All named values of a network over a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// T.
    pub steps: usize,
    /// Layer after layer, each in the order of its equations.
    pub series: Vec<Series>,
}

impl Trace {
    /// Evaluates the equations at every step of the path.
    ///
    /// # Errors
    /// A value is not finite.
    pub fn new(network: &Network, path: &Path) -> Result<Trace, AnalysisError> {
        let steps = path.steps();
        let mut input: Vec<Vec<f64>> = (0..steps).map(|t| path.input(network, t).to_vec()).collect();
        let mut series: Vec<Series> = Vec::new();
        for (k, l) in network.layers().iter().enumerate() {
            let graphs: Vec<StageGraph> =
                (0..l.layer.stages().len()).map(|s| StageGraph::of(&**l.layer.cell(), s)).collect();
            let first = series.len();
            series.extend(names(k, l, &graphs));
            let mut y = Vec::with_capacity(steps);
            for (t, x) in input.iter().enumerate() {
                let step = Step::new(l, &graphs, x, &path.state(t)[k]);
                for s in &mut series[first..] {
                    s.values.extend(step.named(l, &graphs, s.name));
                }
                y.push(step.now[l.layer.output()].clone());
            }
            input = y;
        }
        if !series.iter().flat_map(|s| &s.values).all(|v| v.is_finite()) {
            return Err(AnalysisError::NotFinite);
        }
        Ok(Trace { steps, series })
    }

    /// A value by layer and name.
    pub fn find(&self, layer: usize, name: &str) -> Option<&Series> {
        self.series.iter().find(|s| s.layer == layer && s.name == name)
    }
}

/// The names of a layer's equations, each once, without values yet.
fn names(layer: usize, l: &NetworkLayer, graphs: &[StageGraph]) -> Vec<Series> {
    let mut found: Vec<Series> = Vec::new();
    for (graph, stage) in graphs.iter().zip(l.layer.stages()) {
        for equation in &graph.equations {
            let carried = l.layer.values().iter().any(|v| v.name == equation.name && v.carried.is_some());
            let nature = match graph.nodes[equation.value] {
                _ if carried => Nature::State,
                Node::Sigmoid(_) => Nature::Gate,
                _ => Nature::Other,
            };
            // A name that is given again means the later value.
            found.retain(|s| s.name != equation.name);
            found.push(Series { layer, name: equation.name, nature, width: stage.width, values: Vec::new() });
        }
    }
    found
}

/// What one step of one layer computes.
struct Step {
    /// For each of the layer's values.
    now: Vec<Vec<f64>>,
    /// For each stage and unit, every node of the recorded equations.
    nodes: Vec<Vec<Vec<f64>>>,
}

impl Step {
    fn new(l: &NetworkLayer, graphs: &[StageGraph], x: &[f64], state: &[Vec<f64>]) -> Step {
        let layer = &l.layer;
        let mut before = vec![Vec::new(); layer.values().len()];
        for (&v, s) in layer.carried().iter().zip(state) {
            before[v].clone_from(s);
        }
        let mut step = Step { now: vec![Vec::new(); layer.values().len()], nodes: Vec::new() };
        for (s, (stage, graph)) in layer.stages().iter().zip(graphs).enumerate() {
            let gates: Vec<Vec<f64>> = (0..stage.gates.len()).map(|g| step.gate(l, s, g, x, &before)).collect();
            let reads: Vec<Vec<f64>> = stage.reads.iter().map(|&place| step.at(place, x, &before).to_vec()).collect();
            let units: Vec<&[f64]> = (0..stage.units).map(|u| unit(l, s, u)).collect();
            let mut written = vec![vec![0.0; stage.width]; stage.writes.len()];
            let mut nodes = Vec::with_capacity(stage.width);
            for u in 0..stage.width {
                let args: Vec<f64> =
                    gates.iter().chain(&reads).map(|v| v[u]).chain(units.iter().map(|v| v[u])).collect();
                let mut values: Vec<f64> = Vec::with_capacity(graph.nodes.len());
                for node in &graph.nodes {
                    let value = node.eval(&args, &values);
                    values.push(value);
                }
                written.iter_mut().zip(&graph.outputs).for_each(|(w, &id)| w[u] = values[id]);
                nodes.push(values);
            }
            for (&v, values) in stage.writes.iter().zip(written) {
                step.now[v] = values;
            }
            step.nodes.push(nodes);
        }
        step
    }

    fn at<'v>(&'v self, place: Place, x: &'v [f64], before: &'v [Vec<f64>]) -> &'v [f64] {
        match place {
            Place::Input => x,
            Place::Before(v) => &before[v],
            Place::Now(v) => &self.now[v],
        }
    }

    /// One gate of all units, before the equations.
    fn gate(&self, l: &NetworkLayer, s: usize, g: usize, x: &[f64], before: &[Vec<f64>]) -> Vec<f64> {
        let stage = &l.layer.stages()[s];
        let (mut sums, mut bias, mut gain) = (vec![0.0; stage.width], vec![0.0; stage.width], vec![1.0; stage.width]);
        for (parameter, values) in l.layer.parameters().iter().zip(&l.parameters) {
            for block in parameter.blocks.iter().filter(|b| (b.stage, b.gate) == (s, g)) {
                let rows = &values[block.row * parameter.cols..][..stage.width * parameter.cols];
                match parameter.role {
                    Role::Weight => {
                        let source = self.at(stage.gates[g][block.source], x, before);
                        for (sum, row) in sums.iter_mut().zip(rows.chunks(parameter.cols)) {
                            *sum += super::network::dot(row, source);
                        }
                    }
                    Role::Bias => bias.iter_mut().zip(rows).for_each(|(b, r)| *b += r),
                    Role::Gain => gain.copy_from_slice(rows),
                    Role::Unit => {}
                }
            }
        }
        let normalised = match stage.normalisers[g] {
            Normaliser::None => sums,
            Normaliser::Sum => normalise(&sums),
            Normaliser::Value(place) => normalise(self.at(place, x, before)),
        };
        normalised.iter().zip(&gain).zip(&bias).map(|((a, g), b)| a * g + b).collect()
    }

    /// What the name means after the step: for every unit.
    fn named(&self, l: &NetworkLayer, graphs: &[StageGraph], name: &str) -> Vec<f64> {
        let stages = (0..l.layer.stages().len()).rev();
        let mut found =
            stages.filter_map(|s| Some((s, graphs[s].equations.iter().rev().find(|e| e.name == name)?.value)));
        let Some((s, id)) = found.next() else { return Vec::new() };
        self.nodes[s].iter().map(|nodes| nodes[id]).collect()
    }
}

/// Per-unit parameter `u` of stage `s`.
fn unit(l: &NetworkLayer, s: usize, u: usize) -> &[f64] {
    let width = l.layer.stages()[s].width;
    for (parameter, values) in l.layer.parameters().iter().zip(&l.parameters) {
        if parameter.role == Role::Unit
            && let Some(block) = parameter.blocks.iter().find(|b| (b.stage, b.gate) == (s, u))
        {
            return &values[block.row..][..width];
        }
    }
    &[]
}

/// Mean 0 and variance 1 over the units.
fn normalise(a: &[f64]) -> Vec<f64> {
    let n = a.len() as f64;
    let mean = a.iter().sum::<f64>() / n;
    let variance = a.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / n;
    a.iter().map(|a| (a - mean) / (variance + NORMALISER_EPSILON).sqrt()).collect()
}

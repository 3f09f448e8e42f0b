//! What gates and units do over a text or a series: how often a gate is shut or open, and which unit follows what is read.
//!
//! A. Karpathy, J. Johnson & L. Fei-Fei, "Visualizing and understanding recurrent networks", 2015, section 4.

use super::network::Network;
use super::path::Path;
use super::trace::{Nature, Series, Trace};

/// How often the units of a gate are saturated.
#[derive(Clone, Debug, PartialEq)]
pub struct Saturation {
    /// The layer, from 0.
    pub layer: usize,
    /// The gate's name.
    pub name: &'static str,
    /// For each unit, the fraction of steps in which it is below 0.1: left-saturated, shut.
    pub left: Vec<f64>,
    /// For each unit, the fraction of steps in which it is above 0.9: right-saturated, open.
    pub right: Vec<f64>,
}

impl Saturation {
    /// Below this a gate is left-saturated.
    pub const LEFT: f64 = 0.1;
    /// Above this it is right-saturated.
    pub const RIGHT: f64 = 0.9;

    /// Of every gate of the trace.
    pub fn of(trace: &Trace) -> Vec<Saturation> {
        let share = |s: &Series, u: usize, counts: fn(f64) -> bool| {
            s.values.iter().skip(u).step_by(s.width).filter(|&&v| counts(v)).count() as f64 / trace.steps as f64
        };
        let gates = trace.series.iter().filter(|s| s.nature == Nature::Gate);
        let all = |s: &Series, counts| (0..s.width).map(|u| share(s, u, counts)).collect();
        gates
            .map(|s| Saturation {
                layer: s.layer,
                name: s.name,
                left: all(s, |v| v < Saturation::LEFT),
                right: all(s, |v| v > Saturation::RIGHT),
            })
            .collect()
    }

    /// Mean fractions over the units: left, right.
    pub fn means(&self) -> (f64, f64) {
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len().max(1) as f64;
        (mean(&self.left), mean(&self.right))
    }
}

/// A property of the text at every token, or of the series at every step.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// What it is, such as `inside quotes`.
    pub name: String,
    /// One number a token.
    pub values: Vec<f64>,
}

/// Properties that a unit may follow, of a text of characters or of words: the place in the line, quotes, brackets, capitals, digits; of
/// characters the place in the word and blanks; and each of the commonest tokens. Those that are the same everywhere are left out.
///
/// ```
/// use elman_run::analysis::features;
/// let text: Vec<String> = "f(x) \"y\"".chars().map(String::from).collect();
/// let inside = features(&text).into_iter().find(|f| f.name == "inside brackets").unwrap();
/// assert_eq!(inside.values, [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
/// let words = ["The", "cat", "<eos>", "It", "sat"].map(String::from);
/// let place = features(&words).into_iter().find(|f| f.name == "place in the line").unwrap();
/// assert_eq!(place.values, [1.0, 2.0, 0.0, 1.0, 2.0]);
/// ```
pub fn features(text: &[String]) -> Vec<Feature> {
    /// Tokens of their own.
    const COMMONEST: usize = 12;
    let words = text.iter().any(|token| token.chars().count() > 1);
    let (mut line, mut word, mut quoted, mut depth) = (0.0, 0.0, false, 0u32);
    let mut found: Vec<(String, Vec<f64>)> = [
        "place in the line",
        "place in the word",
        "inside quotes",
        "inside brackets",
        "capital letter",
        "digit",
        "blank",
    ]
    .map(|name| (name.to_string(), Vec::with_capacity(text.len())))
    .into();
    let truth = |yes: bool| f64::from(u8::from(yes));
    for token in text {
        let c = token.chars().next().unwrap_or(' ');
        line = if c == '\n' || token == "<eos>" { 0.0 } else { line + 1.0 };
        word = if c.is_alphanumeric() && !words { word + 1.0 } else { 0.0 };
        quoted ^= c == '"';
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let now = [
            line,
            word,
            truth(quoted),
            truth(depth > 0),
            truth(c.is_uppercase()),
            truth(token.chars().any(|c| c.is_ascii_digit())),
            truth(c.is_whitespace()),
        ];
        found.iter_mut().zip(now).for_each(|((_, values), x)| values.push(x));
    }
    let mut counts: std::collections::BTreeMap<&str, usize> = Default::default();
    text.iter().for_each(|token| *counts.entry(token).or_default() += 1);
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    for (token, _) in counts.into_iter().take(COMMONEST) {
        let name = match token.chars().next() {
            Some(c) if !words => format!("the character {c:?}"),
            _ => format!("the word {token}"),
        };
        found.push((name, text.iter().map(|other| truth(other == token)).collect()));
    }
    varying(found)
}

/// Properties of a series that a unit may follow: each number that is read, each that is to be predicted, and how much each of them has changed
/// since the step before, at every step. Those that are the same everywhere are left out; of a text there are none.
///
/// ```
/// use elman_core::{Layer, Sizes, cells, engine::Engine};
/// use elman_run::analysis::{Network, NetworkLayer, Path, series_features};
///
/// let layer = Layer::new((cells::find("gru").unwrap().make)(), Sizes::new(1, 2)).unwrap();
/// let parameters = layer.parameters().iter().map(|p| vec![0.5; p.len()]).collect();
/// let network = Network::of_numbers(vec![NetworkLayer { layer, parameters }], vec![1.0, -1.0], vec![0.0])?;
/// let path = Path::series(&network, &Engine::new(1).into(), &[1.0, 3.0, 7.0], &[0.5, 0.5, 0.5])?;
/// let found: Vec<_> = series_features(&network, &path).into_iter().map(|f| (f.name, f.values)).collect();
/// let (input, change) = (vec![1.0, 3.0, 7.0], vec![0.0, 2.0, 4.0]);
/// assert_eq!(found, [("input 0".to_string(), input), ("change of input 0".to_string(), change)]);
/// # Ok::<(), elman_run::analysis::AnalysisError>(())
/// ```
pub fn series_features(network: &Network, path: &Path) -> Vec<Feature> {
    if network.is_of_tokens() {
        return Vec::new();
    }
    let steps = 0..path.steps();
    let mut values: Vec<(String, Vec<f64>)> = Vec::new();
    for i in 0..path.input(network, 0).len() {
        values.push((format!("input {i}"), steps.clone().map(|t| path.input(network, t)[i]).collect()));
    }
    for k in 0..path.target(0).map_or(0, <[f64]>::len) {
        let target = steps.clone().filter_map(|t| path.target(t)).map(|target| target[k]);
        values.push((format!("target {k}"), target.collect()));
    }
    let change = |values: &[f64]| (0..values.len()).map(|t| values[t] - values[t.saturating_sub(1)]).collect();
    let changes: Vec<_> = values.iter().map(|(name, values)| (format!("change of {name}"), change(values))).collect();
    varying(values.into_iter().chain(changes))
}

/// Those that are not the same at every step.
fn varying(found: impl IntoIterator<Item = (String, Vec<f64>)>) -> Vec<Feature> {
    let varies = |values: &[f64]| values.iter().any(|v| *v != values[0]);
    found.into_iter().filter(|(_, v)| varies(v)).map(|(name, values)| Feature { name, values }).collect()
}

/// A unit and what it follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Selective {
    /// Index into [`Trace::series`].
    pub series: usize,
    /// The unit.
    pub unit: usize,
    /// The feature's name.
    pub feature: String,
    /// Pearson's correlation over the steps, -1 to 1.
    pub correlation: f64,
}

/// For each feature, the unit among all states that follows it most closely; strongest first.
///
/// A unit's value after step t is set beside the property at step t. With hundreds of units the best of them correlates a little with anything:
/// over T steps some 4/√T is chance.
///
/// # Panics
/// If a feature has fewer values than the trace has steps.
pub fn most_selective(trace: &Trace, features: &[Feature]) -> Vec<Selective> {
    let mut found: Vec<Selective> = Vec::new();
    for feature in features {
        let (name, given) = (&feature.name, feature.values.len());
        assert!(given >= trace.steps, "feature `{name}` has {given} values; the trace has {} steps", trace.steps);
        let wanted = centred(&feature.values[..trace.steps]);
        let mut best: Option<Selective> = None;
        for (i, series) in trace.series.iter().enumerate().filter(|(_, s)| s.nature == Nature::State) {
            for unit in 0..series.width {
                let values = centred(&series.unit(unit));
                let correlation: f64 = values.iter().zip(&wanted).map(|(a, b)| a * b).sum();
                if best.as_ref().is_none_or(|b| correlation.abs() > b.correlation.abs()) {
                    best = Some(Selective { series: i, unit, feature: feature.name.clone(), correlation });
                }
            }
        }
        found.extend(best);
    }
    found.sort_by(|a, b| b.correlation.abs().total_cmp(&a.correlation.abs()));
    found
}

/// Less its mean, of length 1; zeros where it is constant.
fn centred(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let length = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>().sqrt();
    // Below this a value is constant but for rounding.
    let constant = length <= 1e-12 * (mean.abs() * (values.len() as f64).sqrt());
    values.iter().map(|v| if constant { 0.0 } else { (v - mean) / length }).collect()
}

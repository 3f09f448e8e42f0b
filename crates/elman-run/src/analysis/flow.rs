//! How much gradient arrives how far back: ‖∂L_j/∂s_k‖ by the lag j - k, and ∂L/∂W split by lag.

use super::network::{Network, StatePart, dot, norm};
use super::path::Path;
use super::sweep::Sweep;
use super::{AnalysisError, network};
use elman_core::engine::Engine;
use std::sync::Arc;

/// How far back, and from how many losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowSettings {
    /// The largest lag.
    pub lags: usize,
    /// How many losses L_j, spread evenly over the steps that have so many steps before them.
    pub ends: usize,
}

impl Default for FlowSettings {
    /// 100 lags from 32 losses.
    fn default() -> Self {
        FlowSettings { lags: 100, ends: 32 }
    }
}

/// The gradient by one part of the state.
#[derive(Clone, Debug, PartialEq)]
pub struct StateFlow {
    /// Which part.
    pub part: StatePart,
    /// For lags 1, 2, ...: the mean over j of ‖∂L_j/∂s_{j-lag}‖.
    pub mean: Vec<f64>,
    /// The same, its lowest over j.
    pub low: Vec<f64>,
    /// The same, its highest over j.
    pub high: Vec<f64>,
}

/// The gradient by one parameter, split by the lag at which the parameter acted.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterFlow {
    /// Its name in the model file without `rnn.`, such as `weight_hh_l0`; or `embedding.weight`.
    pub name: String,
    /// For lags 0, 1, ...: ‖G_lag‖ with G_lag the mean over j of the part of ∂L_j/∂W that goes through step j - lag.
    pub norms: Vec<f64>,
    /// For lags 0, 1, ...: G_lag·G / ‖G‖² with G = Σ G_lag: the share of the whole gradient. They add up to 1.
    pub shares: Vec<f64>,
    /// For p = 0, 1, ...: the cosine between the gradient truncated after lag p, Σ_{lag ≤ p} G_lag, and G.
    pub cosines: Vec<f64>,
    /// G itself, row-major: the gradient of the mean of the losses L_j, back over all lags.
    pub total: Vec<f64>,
}

/// Where the gradient goes.
///
/// ∂L_j/∂s_k is by the state that step k hands to step k + 1, its parts taken as independent of each other: for an LSTM the
/// gradients by h_k and by c_k, each with the other held. Lag 1 is what step j gets from the step before it. In a stack the paths
/// through all layers count.
///
/// The double sum of backpropagation through time, ∂L/∂W = Σ_j Σ_k (∂L_j/∂s_k) (∂s_k/∂W), is sorted by j - k.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// The steps j.
    pub ends: Vec<usize>,
    /// The mean of L_j: in nats, or of a series ½ Σ (error)².
    pub loss: f64,
    /// For each of [`Network::parts`].
    pub states: Vec<StateFlow>,
    /// For each parameter of each layer, then the embedding.
    pub parameters: Vec<ParameterFlow>,
}

impl Flow {
    /// Follows the gradient of some losses of the path back.
    ///
    /// ```no_run
    /// # use elman_core::engine::Engine;
    /// use elman_run::Model;
    /// use elman_run::analysis::{Flow, FlowSettings, Network, Path};
    /// let model = Model::load("runs/first/model.safetensors")?;
    /// let ids = model.vocabulary().encode("Once upon a time there was a network")?;
    /// let (network, engine) = (Network::new(&model)?, Engine::new(1).into());
    /// let path = Path::new(&network, &engine, &ids)?;
    /// let flow = Flow::new(&network, &path, &engine, FlowSettings { lags: 20, ends: 8 })?;
    /// println!("{} at lag 1, {} at lag 20", flow.states[0].mean[0], flow.states[0].mean[19]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A setting is 0, the text has fewer than `lags` steps, or a result is not finite.
    pub fn new(
        network: &Network,
        path: &Path,
        engine: &Arc<Engine>,
        settings: FlowSettings,
    ) -> Result<Flow, AnalysisError> {
        let FlowSettings { lags, ends } = settings;
        if lags == 0 {
            return Err(AnalysisError::Zero { what: "the number of lags" });
        }
        if ends == 0 {
            return Err(AnalysisError::Zero { what: "the number of losses" });
        }
        // A loss at step j has j steps before it, and the state before the first.
        if path.steps() < lags {
            return Err(AnalysisError::TooShort { found: path.steps(), least: lags });
        }
        Flow::from_ends(network, path, engine, path.spread(lags - 1, ends), lags)
    }

    /// From the losses of all steps, each back to the beginning: G is then the gradient of the whole text's mean loss, the full
    /// backpropagation through time.
    ///
    /// # Errors
    /// A result is not finite.
    pub fn through_all(network: &Network, path: &Path, engine: &Arc<Engine>) -> Result<Flow, AnalysisError> {
        Flow::from_ends(network, path, engine, (0..path.steps()).collect(), path.steps())
    }

    /// From these losses; one that is nearer to the beginning than `lags` steps ends there.
    fn from_ends(
        network: &Network,
        path: &Path,
        engine: &Arc<Engine>,
        ends: Vec<usize>,
        lags: usize,
    ) -> Result<Flow, AnalysisError> {
        let parts = network.parts();
        let mut states: Vec<StateFlow> = parts
            .iter()
            .map(|part| StateFlow {
                part: part.clone(),
                mean: Vec::with_capacity(lags),
                low: Vec::with_capacity(lags),
                high: Vec::with_capacity(lags),
            })
            .collect();
        let names = names(network);
        let mut parameters: Vec<ParameterFlow> = names
            .into_iter()
            .map(|(name, len)| ParameterFlow {
                name,
                norms: Vec::with_capacity(lags),
                shares: Vec::new(),
                cosines: Vec::new(),
                total: vec![0.0; len],
            })
            .collect();
        // Once for the sums, once more for the shares of them: all lags together would not fit into memory.
        let loss = sweep(network, path, engine, &ends, lags, |_, rows, d_state, gradients| {
            for (flow, d) in states.iter_mut().zip(d_state.iter().flatten()) {
                let norms: Vec<f64> = d.chunks(flow.part.width).map(norm).collect();
                // All ends count in the mean: one that has no step so far back has no gradient there.
                flow.mean.push(norms.iter().sum::<f64>() / ends.len() as f64);
                flow.low.push(norms.iter().copied().fold(f64::INFINITY, f64::min));
                flow.high.push(norms.iter().copied().fold(0.0, f64::max));
                debug_assert_eq!(norms.len(), rows);
            }
            for (flow, gradient) in parameters.iter_mut().zip(gradients) {
                flow.norms.push(norm(gradient));
                flow.total.iter_mut().zip(gradient).for_each(|(total, g)| *total += g);
            }
        });
        let mut so_far: Vec<Vec<f64>> = parameters.iter().map(|p| vec![0.0; p.total.len()]).collect();
        sweep(network, path, engine, &ends, lags, |_, _, _, gradients| {
            for ((flow, so_far), gradient) in parameters.iter_mut().zip(&mut so_far).zip(gradients) {
                let whole = dot(&flow.total, &flow.total);
                flow.shares.push(if whole > 0.0 { dot(gradient, &flow.total) / whole } else { 0.0 });
                so_far.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
                let both = norm(so_far) * whole.sqrt();
                flow.cosines.push(if both > 0.0 { dot(so_far, &flow.total) / both } else { 0.0 });
            }
        });
        let finite = states.iter().flat_map(|s| &s.mean).chain(parameters.iter().flat_map(|p| &p.norms));
        if !finite.copied().all(f64::is_finite) {
            return Err(AnalysisError::NotFinite);
        }
        Ok(Flow { ends, loss, states, parameters })
    }
}

/// Name and length of every parameter: each layer's, then the embedding if there is one.
fn names(network: &Network) -> Vec<(String, usize)> {
    let layer = |(k, l): (usize, &network::NetworkLayer)| {
        l.layer.parameters().iter().map(|p| (format!("{}_l{k}", p.name), p.len())).collect::<Vec<_>>()
    };
    let mut names: Vec<(String, usize)> = network.layers().iter().enumerate().flat_map(layer).collect();
    names.extend(network.is_of_tokens().then(|| ("embedding.weight".into(), network.embedding().len())));
    names
}

/// Goes back from the losses at `ends`, all of them in step. After each lag `see` gets the lag, the rows that are left, the gradients by
/// the state before step j - lag of each row, and the parameters' gradients at this lag, in the order of [`names`]. Gives the mean loss.
fn sweep(
    network: &Network,
    path: &Path,
    engine: &Arc<Engine>,
    ends: &[usize],
    lags: usize,
    mut see: impl FnMut(usize, usize, &network::State, &[Vec<f64>]),
) -> f64 {
    let mut sweep = Sweep::new(network, path, engine);
    let width = network.output_width();
    let share = 1.0 / ends.len() as f64;
    // The longest way first, so that the rows that are left are always the first ones.
    let mut ends = ends.to_vec();
    ends.sort_unstable_by(|a, b| b.cmp(a));
    let loss = std::cell::Cell::new(0.0);
    let from_losses = |y: &[f64]| -> Vec<f64> {
        let rows = y.chunks(width).zip(&ends).flat_map(|(y, &j)| {
            let (nats, d_y) = path.loss(network, j, y);
            loss.set(loss.get() + nats * share);
            d_y
        });
        rows.collect()
    };
    let mut d_state = sweep.zero_state(ends.len());
    for lag in 0..lags {
        let times: Vec<usize> = ends.iter().take_while(|&&j| j >= lag).map(|j| j - lag).collect();
        if times.is_empty() {
            break;
        }
        for (d, part) in d_state.iter_mut().flatten().zip(network.parts()) {
            d.truncate(times.len() * part.width);
        }
        sweep.step(&times, (lag == 0).then_some(&from_losses as _), &mut d_state);
        let mut gradients: Vec<Vec<f64>> =
            sweep.gradients.iter().flat_map(|g| &g.params).map(|g| g.iter().map(|x| x * share).collect()).collect();
        if network.is_of_tokens() {
            let mut embedding = vec![0.0; network.embedding().len()];
            let input = network.embedding().len() / network.vocabulary();
            for (&t, d_x) in times.iter().zip(sweep.gradients[0].input.chunks(input)) {
                let row = &mut embedding[path.ids()[t] as usize * input..][..input];
                row.iter_mut().zip(d_x).for_each(|(sum, d)| *sum += d * share);
            }
            gradients.push(embedding);
        }
        see(lag, times.len(), &d_state, &gradients);
    }
    loss.get()
}

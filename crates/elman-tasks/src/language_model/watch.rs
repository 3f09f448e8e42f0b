//! A look into training while it runs: how much of the time gates are saturated.

use super::material::Material;
use crate::Error;
use elman_core::engine::Engine;
use elman_run::Model;
use elman_run::analysis::{Network, Path, Saturation, Trace};
use std::sync::Arc;

/// Tokens over which gates are followed.
const TOKENS: usize = 200;

/// For each gate the mean share of units and steps that are below 0.1 and above 0.9 over the beginning of the held-out part, or of the part
/// that is learnt from.
pub fn gates(model: &Model, material: &Material) -> Result<Vec<(String, f64)>, Error> {
    let corpus = &material.corpus;
    let part = if corpus.held_out.len() > 1 { &corpus.held_out } else { &corpus.train };
    let mut ids = vec![0; part.len().min(TOKENS)];
    corpus.tokens.read(&corpus.vocabulary, part.start, &mut ids)?;
    let failed = |error: elman_run::analysis::AnalysisError| Error::Failed(error.to_string());
    let network = Network::new(model).map_err(failed)?;
    let path = Path::new(&network, &Arc::new(Engine::new(1)), &ids).map_err(failed)?;
    let mut shares = Vec::new();
    for gate in Saturation::of(&Trace::new(&network, &path).map_err(failed)?) {
        let (left, right) = gate.means();
        shares.push((format!("watch/{}_l{}_below_0.1", gate.name, gate.layer), left));
        shares.push((format!("watch/{}_l{}_above_0.9", gate.name, gate.layer), right));
    }
    Ok(shares)
}

//! Variational dropout: which sources of a layer's matrices are masked, and by which mask.

use super::{Draw, Regularisation};
use crate::recurrent::SourceMask;
use elman_core::Layer;
use elman_core::layer::Place;
use std::sync::Arc;

/// The carried value that a stage's source brings from the step before: an index into [`Layer::values`].
///
/// A value of this step stands for it where it is made from it and goes into a sum together with the input: `r ⊙ h'` in the GRU, `f ⊙ h'` in
/// the minimal gated unit. What a stage merely hands on (a projection, a deep transition) is not from the step before.
pub(super) fn carried_from(layer: &Layer, stage: usize, source: Place) -> Option<usize> {
    let values = layer.values();
    match source {
        Place::Input => None,
        Place::Before(v) => Some(v),
        Place::Now(v) if values[v].carried.is_some() => None,
        Place::Now(v) => {
            let mut gates = layer.stages()[stage].gates.iter();
            if !gates.any(|gate| gate.contains(&source) && gate.contains(&Place::Input)) {
                return None;
            }
            let made = layer.stages().iter().find(|stage| stage.writes.contains(&v))?;
            made.reads.iter().find_map(|read| match *read {
                Place::Before(carried) if values[carried].width == values[v].width => Some(carried),
                _ => None,
            })
        }
    }
}

/// Whether some matrix sees what is carried.
pub(super) fn is_recurrent(layer: &Layer) -> bool {
    let sources = |(s, stage): (usize, &elman_core::layer::ResolvedStage)| {
        stage.sources.iter().any(|&source| carried_from(layer, s, source).is_some())
    };
    layer.stages().iter().enumerate().any(sources)
}

/// One mask for each layer's input and each value that it carries; all stages share it.
pub(super) fn masks(
    regularisation: &Regularisation,
    layers: &[Arc<Layer>],
    batch: usize,
    draw: &mut Draw,
) -> Vec<SourceMask> {
    let mut masks = Vec::new();
    for (l, layer) in layers.iter().enumerate() {
        let input = if l == 0 { regularisation.dropout_input } else { regularisation.dropout_between };
        // By what is masked: nothing stands for the input.
        let mut drawn = Vec::new();
        for (s, stage) in layer.stages().iter().enumerate() {
            for &source in &stage.sources {
                let carried = carried_from(layer, s, source);
                let p = match (source, carried) {
                    (Place::Input, _) => input,
                    (_, Some(_)) => regularisation.dropout_recurrent,
                    (_, None) => 0.0,
                };
                if p == 0.0 {
                    continue;
                }
                let known = drawn.iter().position(|(what, _)| *what == carried).unwrap_or_else(|| {
                    drawn.push((carried, draw.mask(p, [batch, layer.width_of(source)])));
                    drawn.len() - 1
                });
                masks.push(SourceMask { layer: l, stage: s, source, values: drawn[known].1.clone() });
            }
        }
    }
    masks
}

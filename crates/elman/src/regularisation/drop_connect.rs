//! DropConnect on the matrices of what is carried.

use super::{Draw, variational};
use crate::recurrent::WeightMask;
use elman_core::Layer;
use elman_core::layer::Role;
use std::sync::Arc;

/// One mask for each matrix that has rows for what is carried; 1 in its other rows.
pub(super) fn masks(p: f64, layers: &[Arc<Layer>], draw: &mut Draw) -> Vec<WeightMask> {
    let mut masks = Vec::new();
    if p == 0.0 {
        return masks;
    }
    for (l, layer) in layers.iter().enumerate() {
        for (parameter, spec) in layer.parameters().iter().enumerate().filter(|(_, spec)| spec.role == Role::Weight) {
            let mut values = vec![1.0; spec.len()];
            let mut found = false;
            for block in &spec.blocks {
                let stage = &layer.stages()[block.stage];
                if variational::carried_from(layer, block.stage, stage.gates[block.gate][block.source]).is_some() {
                    draw.random.dropout(p, &mut values[block.row * spec.cols..][..stage.width * spec.cols]);
                    found = true;
                }
            }
            if found {
                let values = draw.tensor(values, [spec.rows, spec.cols]);
                masks.push(WeightMask { layer: l, parameter, values });
            }
        }
    }
    masks
}

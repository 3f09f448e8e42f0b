//! The recurrent matrices themselves: eigenvalues and singular values of each gate's.

use super::linear::{eigenvalues, singular_values};
use super::network::Network;
use elman_core::layer::{Place, Role};

/// The matrix with which one gate multiplies a value of the step before.
#[derive(Clone, Debug, PartialEq)]
pub struct RecurrentMatrix {
    /// The layer, from 0.
    pub layer: usize,
    /// The gate's name in the equations.
    pub gate: &'static str,
    /// The value that it multiplies.
    pub source: &'static str,
    /// Rows and columns.
    pub shape: (usize, usize),
    /// Largest first.
    pub singular_values: Vec<f64>,
    /// (real, imaginary), by falling modulus; empty for a matrix that is not square.
    pub eigenvalues: Vec<(f64, f64)>,
}

impl RecurrentMatrix {
    /// The largest modulus of an eigenvalue; none for a matrix that is not square.
    pub fn spectral_radius(&self) -> Option<f64> {
        self.eigenvalues.first().map(|(re, im)| re.hypot(*im))
    }
}

/// Every matrix between a carried value of the step before and a gate, of all layers. Left out are those with more than `limit` rows
/// or columns, whose eigenvalues would take long.
///
/// What such a matrix says about the gradient's way is little: see [`Verdict`](super::Verdict).
pub fn recurrent_matrices(network: &Network, limit: usize) -> Vec<RecurrentMatrix> {
    let mut found = Vec::new();
    for (layer, l) in network.layers().iter().enumerate() {
        let spec = l.layer.cell().spec();
        for (parameter, values) in l.layer.parameters().iter().zip(&l.parameters) {
            if parameter.role != Role::Weight {
                continue;
            }
            for block in &parameter.blocks {
                let stage = &l.layer.stages()[block.stage];
                let Place::Before(v) = stage.gates[block.gate][block.source] else { continue };
                let shape = (stage.width, parameter.cols);
                if shape.0.max(shape.1) > limit {
                    continue;
                }
                let matrix = &values[block.row * shape.1..][..shape.0 * shape.1];
                let mut eigenvalues =
                    if shape.0 == shape.1 { eigenvalues(matrix, shape.0) } else { None }.unwrap_or_default();
                eigenvalues.sort_by(|a, b| b.0.hypot(b.1).total_cmp(&a.0.hypot(a.1)));
                found.push(RecurrentMatrix {
                    layer,
                    gate: spec.stages[block.stage].gates[block.gate].name,
                    source: l.layer.values()[v].name,
                    shape,
                    singular_values: singular_values(matrix, shape.0, shape.1),
                    eigenvalues,
                });
            }
        }
    }
    found
}

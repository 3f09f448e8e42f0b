//! Constraints on weights: after each update the chosen parameters are projected onto the set in which they must lie.

use crate::parameters::{self, Named};
use burn::module::Module;
use std::collections::{BTreeMap, BTreeSet};

/// A set in which a parameter must lie. Rows are those of PyTorch's layout: the weights that come into one unit of one gate.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Constraint {
    /// ‖w‖ <= c for each row; a longer one is scaled down to it (Hinton, Srivastava, Krizhevsky, Sutskever & Salakhutdinov 2012).
    MaxNorm(f64),
    /// ‖w‖ = 1 for each row. A row of zeros stays.
    UnitNorm,
    /// Every element is at least 0; others become 0.
    NonNegative,
}

/// What is wrong with a constraint.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum ConstraintError {
    /// The norm is not above 0.
    #[error("the largest norm of a row is {0}; it must be a finite number above 0")]
    Norm(f64),
    /// No parameter is chosen.
    #[error("no parameter of the network is chosen for the constraint; it has {names}")]
    Nothing {
        /// The names that there are.
        names: String,
    },
    /// A norm of rows is asked for and there are none.
    #[error("`{name}` has shape {shape:?}, and the norm of rows is for matrices; leave it out or take `NonNegative`")]
    NotAMatrix {
        /// The parameter.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
    },
}

impl Constraint {
    /// Projects a matrix with rows of `cols` elements: the nearest point of the set.
    fn project(self, values: &mut [f32], cols: usize) {
        let norm = |row: &[f32]| row.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        let scale = |row: &mut [f32], factor: f64| row.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
        match self {
            Constraint::MaxNorm(most) => values.chunks_mut(cols).for_each(|row| {
                let norm = norm(row);
                if norm > most {
                    scale(row, most / norm);
                }
            }),
            Constraint::UnitNorm => values.chunks_mut(cols).for_each(|row| {
                let norm = norm(row);
                if norm > 0.0 {
                    scale(row, 1.0 / norm);
                }
            }),
            // Not `max`, which would hide a NaN.
            Constraint::NonNegative => values.iter_mut().filter(|x| **x < 0.0).for_each(|x| *x = 0.0),
        }
    }
}

/// Constraints on chosen parameters of a network. They have no state: a resumed run needs the same choice and nothing else.
///
/// ```
/// use burn::tensor::Device;
/// use elman::train::{Constraint, Constraints};
/// use elman::{RecurrentConfig, Sizes, cells, parameters};
///
/// let lstm = RecurrentConfig::new((cells::find("lstm").unwrap().make)(), Sizes::new(3, 5)).init(1, &Device::flex()).unwrap();
/// let constraints = Constraints::new(&lstm, Constraint::MaxNorm(0.25), |name| name.starts_with("weight_hh")).unwrap();
/// let hh = parameters::export(&constraints.apply(lstm)).into_iter().find(|p| p.name == "weight_hh_l0").unwrap();
/// let norms = hh.values.chunks(5).map(|row| row.iter().map(|w| w * w).sum::<f32>().sqrt());
/// assert!(norms.fold(0.0, f32::max) <= 0.25 + 1e-6);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constraints {
    /// By parameter path: the constraint, and the length of a row.
    rules: BTreeMap<String, Vec<(Constraint, usize)>>,
}

impl Constraints {
    /// One constraint on the parameters whose path is chosen.
    ///
    /// # Errors
    /// The norm is not above 0, nothing is chosen, or a norm of rows is asked for a vector.
    pub fn new<M: Module>(
        network: &M,
        constraint: Constraint,
        chosen: impl Fn(&str) -> bool,
    ) -> Result<Constraints, ConstraintError> {
        Constraints::default().and(network, constraint, chosen)
    }

    /// One more, after those that there are.
    ///
    /// # Errors
    /// As for [`new`](Constraints::new).
    pub fn and<M: Module>(
        mut self,
        network: &M,
        constraint: Constraint,
        chosen: impl Fn(&str) -> bool,
    ) -> Result<Constraints, ConstraintError> {
        if let Constraint::MaxNorm(norm) = constraint
            && !(norm > 0.0 && norm.is_finite())
        {
            return Err(ConstraintError::Norm(norm));
        }
        let all = parameters::export(network);
        let mut found = all.iter().filter(|p| chosen(&p.name)).peekable();
        if found.peek().is_none() {
            let names = all.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(ConstraintError::Nothing { names });
        }
        for Named { name, shape, .. } in found {
            let cols = match shape[..] {
                [_, cols] => cols,
                _ if constraint == Constraint::NonNegative => 1,
                _ => return Err(ConstraintError::NotAMatrix { name: name.clone(), shape: shape.clone() }),
            };
            self.rules.entry(name.clone()).or_default().push((constraint, cols));
        }
        Ok(self)
    }

    /// Projects the parameters of a network.
    pub fn apply<M: Module>(&self, network: M) -> M {
        self.apply_except(network, &BTreeSet::new())
    }

    /// The same, but for the parameters of these paths.
    pub(super) fn apply_except<M: Module>(&self, network: M, frozen: &BTreeSet<String>) -> M {
        if self.rules.is_empty() {
            return network;
        }
        parameters::change(
            network,
            |name| self.rules.get(name).filter(|_| !frozen.contains(name)),
            |rules, values| {
                rules.iter().for_each(|(constraint, cols)| constraint.project(values, *cols));
            },
        )
    }
}

#[cfg(test)]
#[path = "constraint_test.rs"]
mod tests;

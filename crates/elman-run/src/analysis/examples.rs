//! Networks of two units whose products are known beforehand: what a matrix says beside what is measured.

use super::{AnalysisError, Network, NetworkLayer, Path, Products, RecurrentMatrix, Verdict, recurrent_matrices};
use elman_core::engine::Engine;
use elman_core::{Layer, Sizes, cells};
use std::sync::Arc;

/// A simple network h_t = tanh(W h_{t-1} + b) of two units that reads nothing, from h_0 = 0, with its Jacobian product as [`Products`] measures it
/// back from its last step.
///
/// ```
/// use elman_run::analysis::{Example, Kind};
///
/// let turned = Example::not_normal()?;
/// assert!(turned.recurrent.singular_values[0] > 5.0 && turned.verdict.kind == Kind::Vanishing);
/// # Ok::<(), elman_run::analysis::AnalysisError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// In a few words.
    pub name: &'static str,
    /// W (2, 2), row-major.
    pub matrix: [f64; 4],
    /// b, the same for both units.
    pub bias: f64,
    /// Singular values and eigenvalues of W.
    pub recurrent: RecurrentMatrix,
    /// At every lag from 1 on.
    pub products: Products,
    /// Read from the products.
    pub verdict: Verdict,
}

impl Example {
    /// The first deck's diag(0.5, 1.5), ten times: one direction vanishes, the other explodes. The state stays 0, where tanh has slope 1, so that
    /// the product is the power of W: 0.5^10 = 0.000977 and 1.5^10 = 57.665.
    ///
    /// # Errors
    /// None: the numbers are finite and the steps are there.
    pub fn lecture() -> Result<Example, AnalysisError> {
        Example::new("diag(0.5, 1.5)", [0.5, 0.0, 0.0, 1.5], 0.0, 10)
    }

    /// W = (0.5 5; 0 0.5), which turns what it has stretched into what it shrinks: its largest singular value is 5.05, its eigenvalues are 0.5, and
    /// its powers rise and then vanish.
    ///
    /// # Errors
    /// As [`lecture`](Example::lecture).
    pub fn not_normal() -> Result<Example, AnalysisError> {
        Example::new("not normal", [0.5, 5.0, 0.0, 0.5], 0.0, 30)
    }

    /// W = diag(1.5, 1.5) with a bias of 0.2: singular values and eigenvalues are 1.5, but the units rest at 0.92, where the slope of tanh is 0.16.
    ///
    /// # Errors
    /// As [`lecture`](Example::lecture).
    pub fn saturated() -> Result<Example, AnalysisError> {
        Example::new("saturated units", [1.5, 0.0, 0.0, 1.5], 0.2, 30)
    }

    /// The lecture's, then those whose largest singular value is above 1 and whose product vanishes.
    ///
    /// # Errors
    /// As [`lecture`](Example::lecture).
    pub fn all() -> Result<[Example; 3], AnalysisError> {
        Ok([Example::lecture()?, Example::not_normal()?, Example::saturated()?])
    }

    fn new(name: &'static str, matrix: [f64; 4], bias: f64, lags: usize) -> Result<Example, AnalysisError> {
        let cell = cells::find("elman").expect("a registered cell");
        let layer = Layer::new((cell.make)(), Sizes::new(1, 2)).expect("sizes that fit");
        let parameters = layer.parameters().iter().map(|p| match p.name.as_str() {
            "weight_hh" => matrix.to_vec(),
            "bias_ih" => vec![bias; 2],
            _ => vec![0.0; p.len()],
        });
        let layers = vec![NetworkLayer { parameters: parameters.collect(), layer }];
        let network = Network::of_numbers(layers, vec![1.0, 1.0], vec![0.0])?;
        let engine = Arc::new(Engine::new(1));
        // Twice as long: by then the units are at rest.
        let nothing = vec![0.0; 2 * lags];
        let path = Path::series(&network, &engine, &nothing, &nothing)?;
        let lags: Vec<usize> = (1..=lags).collect();
        let products = Products::new(&network, &path, &engine, &lags, 1)?;
        let verdict = Verdict::new(&products.lags, &products.largest()).expect("there are lags");
        let recurrent = recurrent_matrices(&network, 2).swap_remove(0);
        Ok(Example { name, matrix, bias, recurrent, products, verdict })
    }
}

//! Deep transition.

use crate::cell::Cell;
use crate::options::{self, WrongOption};
use std::sync::Arc;

crate::cell! {
    /// A simple recurrent network whose step from state to state passes through a layer of its own.
    ///
    /// With one layer in between, u = tanh(W x + U h' + b), h = tanh(V u + c). The error passes two layers in a step; with
    /// `deep-transition:layers=N` N of them, the fourth deck's factor l.
    #[derive(Clone, Debug)]
    pub struct DeepTransition = "deep-transition" {}
    source "Pascanu, Gulcehre, Cho & Bengio, \"How to construct deep recurrent neural networks\", ICLR 2014, the DT-RNN of its figure 2 b";
    carry h; output h;
    stage 0 hidden {
        gate a = [x, h];
    } -> u {
        u = tanh(a);
    }
    stage 1 hidden {
        gate b = [u];
    } -> h {
        h = tanh(b);
    }
}

impl DeepTransition {
    /// With `layers` layers from state to state, 2 to 64: the multilayer perceptron of the fourth deck's V. The cell's specification stays for the
    /// life of the process.
    ///
    /// # Errors
    /// If there are not 2 to 64.
    ///
    /// ```
    /// use elman_core::{Layer, Sizes, cells::DeepTransition};
    /// let layer = Layer::new(DeepTransition::with_layers(3)?, Sizes::new(4, 5)).unwrap();
    /// // W (5, 4), U, V, V2 (5, 5) and three biases.
    /// assert_eq!(layer.parameter_count(), 20 + 3 * 25 + 3 * 5);
    /// assert_eq!(DeepTransition::with_layers(1).unwrap_err().to_string(), "layers is `1`; it must be a whole number from 2 to 64");
    /// # Ok::<(), elman_core::options::WrongOption>(())
    /// ```
    pub fn with_layers(layers: usize) -> Result<Arc<dyn Cell>, WrongOption> {
        let entry = super::find("deep-transition").expect("it is registered");
        options::make(entry, &[("layers", &layers.to_string())])
    }
}

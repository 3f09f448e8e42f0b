//! Jordan's network.

use crate::algebra::Activation;

crate::cell! {
    /// Jordan's network: the output y, of its own width P, is fed back instead of the hidden state.
    ///
    /// h = σ_h(W_h x + U_h y' + b_h), y = σ_y(W_y h + b_y) with σ_h = tanh and σ_y the logistic function; y' is the output of the step
    /// before. What is fed back is y itself, not a sampled symbol. Registered with these functions; `jordan:activation=...` and
    /// `output-activation` take others.
    #[derive(Clone, Debug)]
    pub struct Jordan = "jordan" { hidden: Activation, output: Activation }
    source "Jordan, \"Serial order: a parallel distributed processing approach\", 1986";
    carry y; output y;
    stage 0 hidden {
        gate a = [x, y];
    } -> h {
        h = hidden.of_named(a, "a");
    }
    stage 1 output {
        gate q = [h];
    } -> y {
        y = output.of_named(q, "q");
    }
}

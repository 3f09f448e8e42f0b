//! The state-space model.

crate::cell! {
    /// The state-space model: a hidden state driven by the input, of which the output, of its own width P, is a linear map.
    ///
    /// x_n+1 = a(x_n, u_n), y_n = B x_n, with a = tanh of an affine map. The deck's state x is s here, its input u is x. The output is read
    /// *before* the update: y of a step does not see the input of that step.
    #[derive(Clone, Debug)]
    pub struct StateSpace = "state-space" {}
    source "the first lecture deck; Haykin, \"Neural networks: a comprehensive foundation\", 2nd edition, 1999, section 15.3";
    carry y, s; output y;
    stage 0 output {
        gate q = [s; no bias];
    } -> y {
        y = q;
    }
    stage 1 hidden {
        gate a = [x, s];
    } -> s {
        s = tanh(a);
    }
}

//! Second rung of the fourth deck's ladder: an input gate.

crate::cell! {
    /// The second rung of the fourth deck's ladder: an input gate decides what is written.
    ///
    /// s = s' + i ⊙ r; r and i see x, s' and y'. y = tanh(Q s + q) is fed back. Nothing is forgotten, and nothing bounds the state.
    #[derive(Clone, Debug)]
    pub struct ResidualInputGate = "residual-input-gate" {}
    source "the fourth lecture deck, the input gate";
    carry s, y; output y;
    stage 0 hidden {
        gate r, i = [x, s, y];
        read s;
    } -> s {
        r = tanh(r);
        i = sigmoid(i);
        s = s + i * r;
    }
    stage 1 output {
        gate q = [s];
    } -> y {
        y = tanh(q);
    }
}

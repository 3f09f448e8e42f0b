//! Third rung of the fourth deck's ladder: a forget gate.

crate::cell! {
    /// The third rung of the fourth deck's ladder: a forget gate decides what is kept.
    ///
    /// s = f ⊙ s' + i ⊙ r; r, i and f see x, s' and y'. y = tanh(Q s + q) is fed back. The deck's f of y = f(s) is another one.
    #[derive(Clone, Debug)]
    pub struct ResidualForgetGate = "residual-forget-gate" {}
    source "the fourth lecture deck, the forget gate";
    carry s, y; output y;
    stage 0 hidden {
        gate r, i, f = [x, s, y];
        read s;
    } -> s {
        r = tanh(r);
        i = sigmoid(i);
        f = sigmoid(f);
        s = f * s + i * r;
    }
    stage 1 output {
        gate q = [s];
    } -> y {
        y = tanh(q);
    }
}

//! Fourth rung of the fourth deck's ladder: an output gate.

crate::cell! {
    /// The fourth rung of the fourth deck's ladder: an output gate decides what is read.
    ///
    /// s = f ⊙ s' + i ⊙ r, m = o ⊙ tanh(s), y = tanh(Q m + q). As on the deck's slide of the output gate, all gates see the ungated s'; in
    /// the whole LSTM (`lstm-output-feedback`) they see m'. y is fed back.
    #[derive(Clone, Debug)]
    pub struct ResidualOutputGate = "residual-output-gate" {}
    source "the fourth lecture deck, the output gate";
    carry s, y; output y;
    stage 0 hidden {
        gate r, i, f, o = [x, s, y];
        read s;
    } -> s, m {
        r = tanh(r);
        i = sigmoid(i);
        f = sigmoid(f);
        o = sigmoid(o);
        s = f * s + i * r;
        m = o * tanh(s);
    }
    stage 1 output {
        gate q = [m];
    } -> y {
        y = tanh(q);
    }
}

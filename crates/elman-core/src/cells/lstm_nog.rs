//! Long short-term memory without output gate.

crate::cell! {
    /// Long short-term memory with peepholes and no output gate: everything is read.
    ///
    /// o = 1. The gates' order is i, f, g (g is the paper's z).
    #[derive(Clone, Debug)]
    pub struct LstmNog = "lstm-nog" {}
    source "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber, \"LSTM: a search space odyssey\", IEEE TNNLS 28(10), 2017, variant NOG";
    carry h, c; output h;
    stage 0 hidden {
        gate i, f, g = [x, h];
        read c;
        unit pi, pf;
    } -> h, c {
        i = sigmoid(i + pi * c);
        f = sigmoid(f + pf * c);
        g = tanh(g);
        c = f * c + i * g;
        h = tanh(c);
    }
}

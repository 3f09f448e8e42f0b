//! Long short-term memory without forget gate.

crate::cell! {
    /// Long short-term memory with peepholes and no forget gate: nothing is forgotten.
    ///
    /// f = 1. The gates' order is i, g, o (g is the paper's z). Nothing bounds the cell state.
    #[derive(Clone, Debug)]
    pub struct LstmNfg = "lstm-nfg" {}
    source "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber, \"LSTM: a search space odyssey\", IEEE TNNLS 28(10), 2017, variant NFG";
    carry h, c; output h;
    stage 0 hidden {
        gate i, g, o = [x, h];
        read c;
        unit pi, po;
    } -> h, c {
        i = sigmoid(i + pi * c);
        g = tanh(g);
        c = c + i * g;
        o = sigmoid(o + po * c);
        h = o * tanh(c);
    }
}

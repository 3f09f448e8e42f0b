//! Long short-term memory without input gate.

crate::cell! {
    /// Long short-term memory with peepholes and no input gate: everything is written.
    ///
    /// i = 1. The gates' order is f, g, o (g is the paper's z).
    #[derive(Clone, Debug)]
    pub struct LstmNig = "lstm-nig" {}
    source "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber, \"LSTM: a search space odyssey\", IEEE TNNLS 28(10), 2017, variant NIG";
    carry h, c; output h;
    stage 0 hidden {
        gate f, g, o = [x, h];
        read c;
        unit pf, po;
    } -> h, c {
        f = sigmoid(f + pf * c);
        g = tanh(g);
        c = f * c + g;
        o = sigmoid(o + po * c);
        h = o * tanh(c);
    }
}

//! Long short-term memory with coupled input and forget gate.

crate::cell! {
    /// Long short-term memory with peepholes whose forget gate is one minus its input gate.
    ///
    /// f = 1 - i. The gates' order is i, g, o (g is the paper's z); the output gate sees the new cell state.
    #[derive(Clone, Debug)]
    pub struct LstmCifg = "lstm-cifg" {}
    source "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber, \"LSTM: a search space odyssey\", IEEE TNNLS 28(10), 2017, variant CIFG";
    carry h, c; output h;
    stage 0 hidden {
        gate i, g, o = [x, h];
        read c;
        unit pi, po;
    } -> h, c {
        i = sigmoid(i + pi * c);
        g = tanh(g);
        c = (ONE - i) * c + i * g;
        o = sigmoid(o + po * c);
        h = o * tanh(c);
    }
}

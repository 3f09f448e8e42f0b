//! Long short-term memory with peepholes.

crate::cell! {
    /// Long short-term memory whose gates see the cell state through peepholes: one weight a unit.
    ///
    /// Gers & Schmidhuber, "Recurrent nets that time and count", 2000; in the notation of Greff et al., "LSTM: a search
    /// space odyssey", 2017, equations of section II-A. The input and forget gates see the cell state of the step before,
    /// the output gate that of this step.
    #[derive(Clone, Debug)]
    pub struct LstmPeephole = "lstm-peephole" {}
    carry h, c; output h;
    stage 0 hidden {
        gate i, f, g, o = [x, h];
        read c;
        unit pi, pf, po;
    } -> h, c {
        i = sigmoid(i + pi * c);
        f = sigmoid(f + pf * c);
        g = tanh(g);
        c = f * c + i * g;
        o = sigmoid(o + po * c);
        h = o * tanh(c);
    }
}

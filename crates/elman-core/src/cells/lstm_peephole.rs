//! Long short-term memory with peepholes.

use crate::algebra::Activation;

crate::cell! {
    /// Long short-term memory whose gates see the cell state through peepholes: one weight a unit.
    ///
    /// The input and forget gates see the cell state of the step before, the output gate that of this step. The activations of input and
    /// output are tanh (`lstm-peephole`); the paper's variants NIAF (`lstm-niaf`) and NOAF (`lstm-noaf`) leave out the one or the other.
    #[derive(Clone, Debug)]
    pub struct LstmPeephole = "lstm-peephole" { input: Activation, output: Activation }
    source "Gers & Schmidhuber, \"Recurrent nets that time and count\", 2000, in the notation of Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber, \"LSTM: a search space odyssey\", IEEE TNNLS 28(10), 2017, section II-A";
    carry h, c; output h;
    stage 0 hidden {
        gate i, f, g, o = [x, h];
        read c;
        unit pi, pf, po;
    } -> h, c {
        i = sigmoid(i + pi * c);
        f = sigmoid(f + pf * c);
        g = input.of_named(g, "a");
        c = f * c + i * g;
        o = sigmoid(o + po * c);
        h = o * output.of(c);
    }
}

//! Long short-term memory with full gate recurrence.

crate::cell! {
    /// Long short-term memory with peepholes whose gates also see all three gates of the step before.
    ///
    /// Those of Hochreiter & Schmidhuber's cell (1997) did so too in some experiments. The gates' values are carried as ig, fg and og: R_ii of the
    /// paper is the first block of `weight_igh`, R_fi of `weight_fgh`, R_oi of `weight_ogh`.
    #[derive(Clone, Debug)]
    pub struct LstmFgr = "lstm-fgr" {}
    source "Greff, Srivastava, Koutnik, Steunebrink & Schmidhuber, \"LSTM: a search space odyssey\", IEEE TNNLS 28(10), 2017, variant FGR";
    carry h, c, ig, fg, og; output h;
    stage 0 hidden {
        gate i, f, o = [x, h, ig, fg, og];
        gate g = [x, h];
        read c;
        unit pi, pf, po;
    } -> h, c, ig, fg, og {
        ig = sigmoid(i + pi * c);
        fg = sigmoid(f + pf * c);
        g = tanh(g);
        c = fg * c + ig * g;
        og = sigmoid(o + po * c);
        h = og * tanh(c);
    }
}

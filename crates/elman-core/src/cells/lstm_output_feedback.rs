//! The last rung of the fourth deck's ladder: the LSTM with its output fed back.

crate::cell! {
    /// The last rung of the fourth deck's ladder, its "LSTM in a slide": the gates see the gated state m' and the output y'.
    ///
    /// s = f ⊙ s' + i ⊙ r, m = o ⊙ tanh(s), y = tanh(Q m + q); r, i, f and o see x, m' and y'. y = f(m) is left open in the deck. Without
    /// the term in y' this is `lstm`, whose h is m and whose c is s.
    #[derive(Clone, Debug)]
    pub struct LstmOutputFeedback = "lstm-output-feedback" {}
    source "the fourth lecture deck, \"LSTM in a slide\"";
    carry m, s, y; output y;
    stage 0 hidden {
        gate r, i, f, o = [x, m, y];
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

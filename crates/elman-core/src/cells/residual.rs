//! First rung of the fourth deck's ladder: a skip connection over time.

crate::cell! {
    /// The first rung of the fourth deck's ladder from the vanilla network to the LSTM: a skip connection over time.
    ///
    /// r = tanh(U x + V s' + W y' + b), s = s' + r, with the state added after the activation; `residual-before` adds it before; the
    /// deck asks which. y = f(s) is left open there; here y = tanh(Q s + q), and this y is what is fed back. Nothing bounds the state.
    #[derive(Clone, Debug)]
    pub struct Residual = "residual" {}
    source "the fourth lecture deck, the skip connection over time";
    carry s, y; output y;
    stage 0 hidden {
        gate r = [x, s, y];
        read s;
    } -> s {
        r = tanh(r);
        s = s + r;
    }
    stage 1 output {
        gate q = [s];
    } -> y {
        y = tanh(q);
    }
}

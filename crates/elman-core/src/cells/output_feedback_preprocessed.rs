//! State and output fed back, behind small networks of their own.

crate::cell! {
    /// The fourth deck's vanilla network with a small network before the input and another before the fed-back output.
    ///
    /// u = tanh(P x + p) and v = tanh(R y' + r) stand in the deck's equation 1 for x and y', s = tanh(U u + V s' + W v + b), y = tanh(Q s +
    /// q). What is fed back is y, before any readout, softmax or choice of a symbol.
    #[derive(Clone, Debug)]
    pub struct OutputFeedbackPreprocessed = "output-feedback-preprocessed" {}
    source "the fourth lecture deck, \"Both input and output can be preprocessed\"";
    carry s, y; output y;
    stage 0 hidden {
        gate u = [x];
        gate v = [y];
    } -> u, v {
        u = tanh(u);
        v = tanh(v);
    }
    stage 1 hidden {
        gate a = [u, s, v];
    } -> s {
        s = tanh(a);
    }
    stage 2 output {
        gate q = [s];
    } -> y {
        y = tanh(q);
    }
}

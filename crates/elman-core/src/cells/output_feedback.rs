//! State and output fed back.

use crate::algebra::Activation;

crate::cell! {
    /// The fourth deck's vanilla network: both the state s and the output y, of its own width P, are fed back.
    ///
    /// s = a(U x + V s' + W y' + b) with a = tanh, and y = f(s), which the deck leaves open: here y = tanh(Q s + q). What is fed back is
    /// this y, before any readout, softmax or choice of a symbol. `output-feedback:activation=...` and `output-activation` take other
    /// functions than tanh.
    #[derive(Clone, Debug)]
    pub struct OutputFeedback = "output-feedback" { hidden: Activation, output: Activation }
    source "the fourth lecture deck, equation 1";
    carry s, y; output y;
    stage 0 hidden {
        gate a = [x, s, y];
    } -> s {
        s = hidden.of_named(a, "a");
    }
    stage 1 output {
        gate q = [s];
    } -> y {
        y = output.of_named(q, "q");
    }
}

//! Deep output with a shortcut in the transition.

crate::cell! {
    /// Deep output over a deep transition with a shortcut from state to state.
    ///
    /// u = tanh(W x + U h' + b), h = tanh(V u + S h' + c), y = tanh(Q h + q), of its own width P. y is carried as the output alone: nothing
    /// reads it.
    #[derive(Clone, Debug)]
    pub struct DeepOutputShortcut = "deep-output-shortcut" {}
    source "Pascanu, Gulcehre, Cho & Bengio, \"How to construct deep recurrent neural networks\", ICLR 2014, the DOT(S)-RNN";
    carry h, y; output y;
    stage 0 hidden {
        gate a = [x, h];
    } -> u {
        u = tanh(a);
    }
    stage 1 hidden {
        gate b = [u, h];
    } -> h {
        h = tanh(b);
    }
    stage 2 output {
        gate q = [h];
    } -> y {
        y = tanh(q);
    }
}

//! Deep transition with a shortcut.

crate::cell! {
    /// Deep transition with a shortcut from state to state past the layer in between.
    ///
    /// u = tanh(W x + U h' + b), h = tanh(V u + S h' + c). Through S the error passes one layer in a step.
    #[derive(Clone, Debug)]
    pub struct DeepTransitionShortcut = "deep-transition-shortcut" {}
    source "Pascanu, Gulcehre, Cho & Bengio, \"How to construct deep recurrent neural networks\", ICLR 2014, the DT(S)-RNN of its figure 2 b*";
    carry h; output h;
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
}

//! Deep output.

crate::cell! {
    /// Deep transition and a layer between the state and the output.
    ///
    /// u = tanh(W x + U h' + b), h = tanh(V u + c), y = tanh(Q h + q), of its own width P. y is carried as the output alone: nothing reads
    /// it.
    #[derive(Clone, Debug)]
    pub struct DeepOutput = "deep-output" {}
    source "Pascanu, Gulcehre, Cho & Bengio, \"How to construct deep recurrent neural networks\", ICLR 2014, the DOT-RNN of its figure 2 c";
    carry h, y; output y;
    stage 0 hidden {
        gate a = [x, h];
    } -> u {
        u = tanh(a);
    }
    stage 1 hidden {
        gate b = [u];
    } -> h {
        h = tanh(b);
    }
    stage 2 output {
        gate q = [h];
    } -> y {
        y = tanh(q);
    }
}

//! Long short-term memory.

crate::cell! {
    /// Long short-term memory with input, forget and output gates.
    ///
    /// Without peepholes: variant NP of Greff et al., "LSTM: a search space odyssey", 2017, and registered as `lstm-np` too. The gates'
    /// order i, f, g, o and the equations are PyTorch's; PyTorch keeps two biases a gate, of which only the sum matters: here there is one.
    #[derive(Clone, Debug)]
    pub struct Lstm = "lstm" {}
    source "Hochreiter & Schmidhuber, \"Long short-term memory\", Neural Computation 9(8), 1997; forget gate: Gers, Schmidhuber & Cummins, \"Learning to forget: continual prediction with LSTM\", 1999";
    carry h, c; output h;
    stage 0 hidden {
        gate i, f, g, o = [x, h];
        read c;
    } -> h, c {
        i = sigmoid(i);
        f = sigmoid(f);
        g = tanh(g);
        o = sigmoid(o);
        c = f * c + i * g;
        h = o * tanh(c);
    }
}

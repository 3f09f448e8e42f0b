//! Long short-term memory with a forget gate, as it was first.

crate::cell! {
    /// Long short-term memory with a forget gate and the squashing functions of its time.
    ///
    /// The squashing functions are g(a) = 4 sigmoid(a) - 2 and h(a) = 2 sigmoid(a) - 1, here as the same numbers 2 tanh(a / 2) and tanh(a /
    /// 2). `lstm` is the same with tanh(a) for both.
    #[derive(Clone, Debug)]
    pub struct Lstm1999 = "lstm-1999" {}
    source "Gers, Schmidhuber & Cummins, \"Learning to forget: continual prediction with LSTM\", 1999 and Neural Computation 12(10), 2000, with one cell a block";
    carry h, c; output h;
    stage 0 hidden {
        gate i, f, g, o = [x, h];
        read c;
    } -> h, c {
        i = sigmoid(i);
        f = sigmoid(f);
        g = K(2.0) * tanh(K(0.5) * g);
        o = sigmoid(o);
        c = f * c + i * g;
        h = o * tanh(K(0.5) * c);
    }
}

//! The first long short-term memory.

crate::cell! {
    /// Long short-term memory as it was first: input and output gate, and a cell that forgets nothing.
    ///
    /// The cell's self-connection is 1, the constant error carousel. The squashing functions are the paper's, g(a) = 4 sigmoid(a) - 2 and
    /// h(a) = 2 sigmoid(a) - 1, here as the same numbers 2 tanh(a / 2) and tanh(a / 2). The gradient is the whole one; the paper cuts it
    /// everywhere but in the cell.
    #[derive(Clone, Debug)]
    pub struct Lstm1997 = "lstm-1997" {}
    source "Hochreiter & Schmidhuber, \"Long short-term memory\", Neural Computation 9(8), 1997, with one cell a block";
    carry h, c; output h;
    stage 0 hidden {
        gate i, g, o = [x, h];
        read c;
    } -> h, c {
        i = sigmoid(i);
        g = K(2.0) * tanh(K(0.5) * g);
        o = sigmoid(o);
        c = c + i * g;
        h = o * tanh(K(0.5) * c);
    }
}

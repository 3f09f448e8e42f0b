//! The long short-term memory of a captioner.

crate::cell! {
    /// Long short-term memory whose output is the gated cell state itself, without a squashing function.
    ///
    /// m = o * c. Here m is called h, as in the other cells; the paper has no biases, this cell has.
    #[derive(Clone, Debug)]
    pub struct LstmShowAndTell = "lstm-show-and-tell" {}
    source "Vinyals, Toshev, Bengio & Erhan, \"Show and tell: a neural image caption generator\", CVPR 2015, equations 4 to 8";
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
        h = o * c;
    }
}

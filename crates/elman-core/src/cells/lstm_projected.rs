//! Long short-term memory with a projection.

crate::cell! {
    /// Long short-term memory whose hidden state is projected to P units before it is fed back and put out.
    ///
    /// Without the paper's peepholes; PyTorch's `LSTM(proj_size=P)`.
    #[derive(Clone, Debug)]
    pub struct LstmProjected = "lstm-projected" {}
    source "Sak, Senior & Beaufays, \"Long short-term memory based recurrent neural network architectures for large vocabulary speech recognition\", 2014, its LSTMP";
    carry h, c; output h;
    stage 0 hidden {
        gate i, f, g, o = [x, h];
        read c;
    } -> m, c {
        i = sigmoid(i);
        f = sigmoid(f);
        g = tanh(g);
        o = sigmoid(o);
        c = f * c + i * g;
        m = o * tanh(c);
    }
    stage 1 output {
        gate q = [m; no bias];
    } -> h {
        h = q;
    }
}

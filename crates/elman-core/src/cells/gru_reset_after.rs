//! Gated recurrent unit, reset gate after the matrix product (cuDNN, PyTorch).

crate::cell! {
    /// Gated recurrent unit as cuDNN and PyTorch compute it: the reset gate acts on the matrix product of the state.
    ///
    /// One stage, since the product does not wait for the gate. Its candidate has two biases, of the input's and of the state's product.
    /// The update gate z multiplies the *old state*, as in PyTorch's `GRU`.
    #[derive(Clone, Debug)]
    pub struct GruResetAfter = "gru-reset-after" {}
    source "Cho et al., \"Learning phrase representations using RNN encoder-decoder for statistical machine translation\", EMNLP 2014, with the reset gate of its preprint's first version";
    carry h; output h;
    stage 0 hidden {
        gate r, z = [x, h];
        gate nx = [x];
        gate nh = [h];
        read h;
    } -> h {
        r = sigmoid(r);
        z = sigmoid(z);
        n = tanh(nx + r * nh);
        h = (ONE - z) * n + z * h;
    }
}

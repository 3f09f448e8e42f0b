//! Gated recurrent unit, reset gate before the matrix product.

crate::cell! {
    /// Gated recurrent unit; the reset gate acts on the state before the candidate's matrix product.
    ///
    /// The update gate z multiplies the *candidate*, as in Chung et al. and in the decks; PyTorch's z multiplies the old state, so its z is
    /// 1 - z here.
    #[derive(Clone, Debug)]
    pub struct Gru = "gru" {}
    source "Cho et al., \"Learning phrase representations using RNN encoder-decoder for statistical machine translation\", EMNLP 2014; equations of Chung, Gulcehre, Cho & Bengio, \"Empirical evaluation of gated recurrent neural networks on sequence modeling\", 2014, section 3.2";
    carry h; output h;
    stage 0 hidden {
        gate r, z = [x, h];
        read h;
    } -> rh, z {
        r = sigmoid(r);
        z = sigmoid(z);
        rh = r * h;
    }
    stage 1 hidden {
        gate n = [x, rh];
        read z, h;
    } -> h {
        n = tanh(n);
        h = (ONE - z) * h + z * n;
    }
}

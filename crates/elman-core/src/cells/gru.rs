//! Gated recurrent unit, reset gate before the matrix product.

crate::cell! {
    /// Gated recurrent unit; the reset gate acts on the state before the candidate's matrix product.
    ///
    /// Cho et al. 2014; equations of Chung, Gulcehre, Cho & Bengio, "Empirical evaluation of gated recurrent neural
    /// networks on sequence modeling", 2014, section 3.2. The update gate z multiplies the *candidate*, as there and in the
    /// decks; PyTorch's z multiplies the old state, so its z is 1 - z here.
    #[derive(Clone, Debug)]
    pub struct Gru = "gru" {}
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

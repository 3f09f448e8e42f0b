//! Gated recurrent unit with layer normalisation.

crate::cell! {
    /// Gated recurrent unit with layer normalisation: each product is normalised across the units.
    ///
    /// The reset gate acts after the matrix product, as in `gru-reset-after`. As in the paper, z multiplies the candidate; the paper takes
    /// mean and variance over both gates together, here each has its own. The input products (x) have no bias, the recurrent ones (h) bring
    /// it.
    #[derive(Clone, Debug)]
    pub struct GruLayerNorm = "gru-layer-norm" {}
    source "Ba, Kiros & Hinton, \"Layer normalization\", 2016, supplementary material, the equations of the GRU";
    carry h; output h;
    stage 0 hidden {
        gate rx, zx, nx = [norm x; no bias];
        gate rh, zh, nh = [norm h];
        read h;
    } -> h {
        r = sigmoid(rx + rh);
        z = sigmoid(zx + zh);
        n = tanh(nx + r * nh);
        h = (ONE - z) * h + z * n;
    }
}

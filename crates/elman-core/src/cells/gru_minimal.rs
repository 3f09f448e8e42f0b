//! Gated recurrent unit with an update gate alone.

crate::cell! {
    /// Gated recurrent unit with an update gate and no reset gate.
    ///
    /// A simplified form. The deck's c is h here and its update gate, which multiplies the *candidate*, is z.
    #[derive(Clone, Debug)]
    pub struct GruMinimal = "gru-minimal" {}
    source "the third lecture deck, where it introduces the gated recurrent unit of Cho et al. 2014";
    carry h; output h;
    stage 0 hidden {
        gate z, n = [x, h];
        read h;
    } -> h {
        z = sigmoid(z);
        n = tanh(n);
        h = (ONE - z) * h + z * n;
    }
}

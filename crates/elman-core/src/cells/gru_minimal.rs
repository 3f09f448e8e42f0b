//! Gated recurrent unit with an update gate alone.

crate::cell! {
    /// Gated recurrent unit with an update gate and no reset gate.
    ///
    /// The simplified form in which the third deck introduces the gated recurrent unit of Cho et al. 2014: its c is h here and
    /// its update gate, which multiplies the *candidate*, is z.
    #[derive(Clone, Debug)]
    pub struct GruMinimal = "gru-minimal" {}
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

//! Minimal gated unit.

crate::cell! {
    /// Minimal gated unit: one gate, which is the forget gate of the state and the reset gate of the candidate.
    ///
    /// f multiplies the *candidate*, as in the paper.
    #[derive(Clone, Debug)]
    pub struct Mgu = "mgu" {}
    source "Zhou, Wu, Zhang & Zhou, \"Minimal gated unit for recurrent neural networks\", 2016, equations 8 to 10";
    carry h; output h;
    stage 0 hidden {
        gate f = [x, h];
        read h;
    } -> fh, f {
        f = sigmoid(f);
        fh = f * h;
    }
    stage 1 hidden {
        gate n = [x, fh];
        read f, h;
    } -> h {
        n = tanh(n);
        h = (ONE - f) * h + f * n;
    }
}

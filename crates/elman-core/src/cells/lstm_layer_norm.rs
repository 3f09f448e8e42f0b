//! Long short-term memory with layer normalisation.

crate::cell! {
    /// Long short-term memory with layer normalisation: each product and the cell state are normalised across the units.
    ///
    /// The paper takes mean and variance over the four gates together; here each gate has its own, so that a gate's scale does not depend
    /// on the others'. The gates' order is i, f, g, o; the input products (x) have no bias, the recurrent ones (h) bring it.
    #[derive(Clone, Debug)]
    pub struct LstmLayerNorm = "lstm-layer-norm" {}
    source "Ba, Kiros & Hinton, \"Layer normalization\", 2016, equations 20 to 22";
    carry h, c; output h;
    stage 0 hidden {
        gate ix, fx, gx, ox = [norm x; no bias];
        gate ih, fh, gh, oh = [norm h];
        read c;
    } -> c, o {
        i = sigmoid(ix + ih);
        f = sigmoid(fx + fh);
        g = tanh(gx + gh);
        o = sigmoid(ox + oh);
        c = f * c + i * g;
    }
    stage 1 hidden {
        gate m = (norm c);
        read o;
    } -> h {
        h = o * tanh(m);
    }
}

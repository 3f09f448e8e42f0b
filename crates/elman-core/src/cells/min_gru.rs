//! Minimal gated recurrent unit without recurrent products.

crate::cell! {
    /// Gated recurrent unit reduced to what can be scanned: gate and candidate see the input alone.
    ///
    /// h = (1 - z) h' + z n with z = sigmoid(Linear(x)) and n = Linear(x). There is no recurrent matrix; `engine::Scan` runs it in log T
    /// levels, with nothing but a multiply-add a unit and step.
    #[derive(Clone, Debug)]
    pub struct MinGru = "min-gru" {}
    source "Feng, Tung, Ahmed, Bengio & Hajimirsadegh, \"Were RNNs all we needed?\", 2024, section 3.1";
    carry h; output h;
    stage 0 hidden {
        gate z, n = [x];
        read h;
    } -> h {
        z = sigmoid(z);
        h = (ONE - z) * h + z * n;
    }
}

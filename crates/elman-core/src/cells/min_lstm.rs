//! Minimal long short-term memory without recurrent products.

crate::cell! {
    /// Long short-term memory reduced to what can be scanned: gates and candidate see the input alone, there is no output gate, and the two
    /// gates are normalised to a sum of one.
    ///
    /// h = f / (f + i) h' + i / (f + i) n. There is no recurrent matrix; `engine::Scan` runs it in log T levels over time.
    #[derive(Clone, Debug)]
    pub struct MinLstm = "min-lstm" {}
    source "Feng, Tung, Ahmed, Bengio & Hajimirsadegh, \"Were RNNs all we needed?\", 2024, section 3.2";
    carry h; output h;
    stage 0 hidden {
        gate f, i, n = [x];
        read h;
    } -> h {
        f = sigmoid(f);
        i = sigmoid(i);
        h = (f * h + i * n) / (f + i);
    }
}

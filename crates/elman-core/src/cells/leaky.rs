//! Leaky integration.

crate::cell! {
    /// Leaky integration: every unit keeps a share of what it was, and each learns its own share.
    ///
    /// Jaeger, Lukosevicius, Popovici & Siewert, Neural Networks 20(3), 2007; Bengio, Boulanger-Lewandowski & Pascanu, 2013,
    /// section 3.1. `alpha = sigmoid(leak)` keeps the share between 0 and 1 whatever the optimiser does; with steps of dt its
    /// time constant is `-dt / ln(alpha)`.
    #[derive(Clone, Debug)]
    pub struct Leaky = "leaky" {}
    carry h; output h;
    stage 0 hidden {
        gate a = [x, h];
        read h;
        unit leak;
    } -> h {
        alpha = sigmoid(leak);
        h = alpha * h + (ONE - alpha) * tanh(a);
    }
}

//! The second-order network.

crate::cell! {
    /// The second-order network, bilinear in state and input, its tensor of weights a sum of H products.
    ///
    /// h_i = σ(Σ_jk W_ijk h'_j x_k + b_i). Here W_ijk = Σ_r F_ir Q_rj P_rk with r = 1 … H, that is h = σ(F (P x ⊙ Q h') + b), the factored
    /// form of Sutskever, Martens & Hinton, 2011: H (I + 2 H) numbers instead of H² I, and nothing is lost where H reaches the tensor's
    /// rank. `elman::network` has the whole tensor, for few symbols.
    #[derive(Clone, Debug)]
    pub struct SecondOrder = "second-order" {}
    source "Giles et al., \"Learning and extracting finite state automata with second-order recurrent neural networks\", Neural Computation 4(3), 1992; factored as in Sutskever, Martens & Hinton, \"Generating text with recurrent neural networks\", ICML 2011";
    carry h; output h;
    stage 0 hidden {
        gate p = [x; no bias];
        gate q = [h; no bias];
    } -> m {
        m = p * q;
    }
    stage 1 hidden {
        gate a = [m];
    } -> h {
        h = sigmoid(a);
    }
}

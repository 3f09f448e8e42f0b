//! The independently recurrent network.

crate::cell! {
    /// The independently recurrent network: every unit is fed back to itself alone, by a weight of its own.
    ///
    /// h = relu(W x + u ⊙ h' + b). The gradient of a unit over n steps is u^n where the unit is active: |u| <= 2^(1/T) keeps it from
    /// exploding over T steps. u is uniform from 0 to 1 at first; the paper's bound is that root, 1 for long T. Layers mix the units.
    #[derive(Clone, Debug)]
    pub struct IndRnn = "indrnn" {}
    source "Li, Li, Cook, Zhu & Gao, \"Independently recurrent neural network (IndRNN)\", CVPR 2018, equation 2";
    carry h; output h;
    stage 0 hidden {
        gate a = [x];
        read h;
        unit u in 0.0..1.0;
    } -> h {
        h = relu(a + u * h);
    }
}

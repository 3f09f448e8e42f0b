//! The skip connection over time, before the activation.

crate::cell! {
    /// The first rung of the fourth deck's ladder with the state added before the activation: s = tanh(s' + U x + V s' + W y' + b).
    ///
    /// The deck leaves open whether it is added before or after. Here the state stays between -1 and 1, and its Jacobian is (1 - s²) (I + V): a skip past the matrix, not
    /// past the activation. y = tanh(Q s + q) is fed back.
    #[derive(Clone, Debug)]
    pub struct ResidualBefore = "residual-before" {}
    source "the fourth lecture deck, where it asks where the state is added";
    carry s, y; output y;
    stage 0 hidden {
        gate r = [x, s, y];
        read s;
    } -> s {
        s = tanh(s + r);
    }
    stage 1 output {
        gate q = [s];
    } -> y {
        y = tanh(q);
    }
}

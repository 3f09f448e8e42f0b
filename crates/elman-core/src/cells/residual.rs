//! The residual recurrent unit.

crate::cell! {
    /// A simple recurrent network with a skip connection over time: what it was, plus what it learns to add.
    ///
    /// The skip connection is that of He, Zhang, Ren & Sun, 2016, taken over time. The state is added after the activation, so
    /// that its Jacobian is the identity plus that of the step; nothing bounds the state.
    #[derive(Clone, Debug)]
    pub struct Residual = "residual" {}
    carry h; output h;
    stage 0 hidden {
        gate r = [x, h];
        read h;
    } -> h {
        r = tanh(r);
        h = h + r;
    }
}

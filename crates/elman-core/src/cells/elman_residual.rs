//! The simple recurrent network with a skip connection over time.

crate::cell! {
    /// A simple recurrent network with a skip connection over time: what it was, plus what it learns to add.
    ///
    /// The state is added after the activation, so that its Jacobian is the identity plus that of the step; nothing bounds the state.
    /// `residual` is the same with the output fed back.
    #[derive(Clone, Debug)]
    pub struct ElmanResidual = "elman-residual" {}
    source "the skip connection of He, Zhang, Ren & Sun, \"Deep residual learning for image recognition\", 2016, taken over time";
    carry h; output h;
    stage 0 hidden {
        gate r = [x, h];
        read h;
    } -> h {
        r = tanh(r);
        h = h + r;
    }
}

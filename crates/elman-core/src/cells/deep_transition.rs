//! Deep transition.

crate::cell! {
    /// A simple recurrent network whose step from state to state passes through a layer of its own.
    ///
    /// Pascanu, Gulcehre, Cho & Bengio, "How to construct deep recurrent neural networks", 2014, section 3.1: the DT-RNN of its figure 2 b with one
    /// layer in between. u = tanh(W x + U h' + b), h = tanh(V u + c). The error passes twice as many layers in a step.
    #[derive(Clone, Debug)]
    pub struct DeepTransition = "deep-transition" {}
    carry h; output h;
    stage 0 hidden {
        gate a = [x, h];
    } -> u {
        u = tanh(a);
    }
    stage 1 hidden {
        gate b = [u];
    } -> h {
        h = tanh(b);
    }
}

//! The simple recurrent network.

use crate::algebra::Activation;

crate::cell! {
    /// The simple recurrent network: the hidden state is fed back.
    ///
    /// PyTorch's `RNN`. The activation is tanh (`elman`), the rectifier (`elman-relu`) or the logistic function (`elman-sigmoid`).
    #[derive(Clone, Debug)]
    pub struct Elman = "elman" { activation: Activation }
    source "Elman, \"Finding structure in time\", Cognitive Science 14, 1990";
    carry h; output h;
    stage 0 hidden {
        gate a = [x, h];
    } -> h {
        h = activation.of_named(a, "a");
    }
}

//! A gated unit whose memory fades at a speed that each unit learns.

elman_core::cell! {
    /// A minimal gated unit whose memory also fades by itself: h = a (1 - z) h' + z tanh(W x + U (z h') + b), a = sigmoid(fade).
    #[derive(Clone, Debug)]
    pub struct FadingGru = "fading-gru" {}
    source "an example of ours, after the minimal gated unit of Zhou, Wu, Zhang & Zhou, 2016";
    carry h; output h;
    stage 0 hidden {
        gate z = [x, h];
        read h;
    } -> zh, z {
        z = sigmoid(z);
        zh = z * h;
    }
    stage 1 hidden {
        gate n = [x, zh];
        read z, h;
        unit fade in 4.0..7.0;
    } -> h {
        a = sigmoid(fade);
        h = a * (ONE - z) * h + z * tanh(n);
    }
}

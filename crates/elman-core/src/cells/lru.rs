//! The linear recurrent unit.

crate::cell! {
    /// The linear recurrent unit: a diagonal linear recurrence in complex numbers; its output is a linear map of the state and the input.
    ///
    /// s = λ ⊙ s' + γ ⊙ (B x), y = Re(C s) + D x with λ = exp(-exp(ν) + i exp(θ)), so that |λ| < 1 whatever the optimiser does. s = re + i
    /// im; the matrix on `im` is -Im(C). γ = exp(g). ν, θ and g are uniform at first, such that |λ| lies between 0.61 and 0.99, its angle between
    /// 0.01 and π, and γ between 0.14 and 0.79, as √(1 - |λ|²) does; the paper draws |λ|² and the angle uniformly and sets γ of each unit to that
    /// root. There is no nonlinearity over time: it belongs between layers.
    #[derive(Clone, Debug)]
    pub struct Lru = "lru" {}
    source "Orvieto et al., \"Resurrecting recurrent neural networks for long sequences\", ICML 2023, sections 3.2 to 3.4";
    carry re, im, y; output y;
    stage 0 hidden {
        gate br, bi = [x; no bias];
        read re, im;
        unit nu in -4.6..-0.7, theta in -4.6..1.14, g in -1.96..-0.23;
    } -> re, im {
        size = exp(-exp(nu));
        angle = exp(theta);
        a = size * cos(angle);
        b = size * sin(angle);
        gamma = exp(g);
        c = b * re;
        re = a * re - b * im + gamma * br;
        im = a * im + c + gamma * bi;
    }
    stage 1 output {
        gate q = [re, im, x; no bias];
    } -> y {
        y = q;
    }
}

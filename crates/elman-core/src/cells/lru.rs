//! The linear recurrent unit.

use core::f64::consts::PI;

crate::cell! {
    /// The linear recurrent unit: a diagonal linear recurrence in complex numbers; its output is a linear map of the state and the input.
    ///
    /// s = λ ⊙ s' + γ ⊙ (B x), y = Re(C s) + D x with λ = exp(-exp(ν) + i exp(θ)), so that |λ| < 1 whatever the optimiser does. s = re + i
    /// im; the matrix on `im` is -Im(C). γ = exp(g). As in the paper, |λ|² and the angle of λ are uniform at first, here on the ring of |λ| from
    /// 0.61 to 0.99 and from 0.01 to π (the paper's ring and largest angle are hyper-parameters), and γ of each unit begins at √(1 - |λ|²).
    /// There is no nonlinearity over time: it belongs between layers.
    #[derive(Clone, Debug)]
    pub struct Lru = "lru" {}
    source "Orvieto et al., \"Resurrecting recurrent neural networks for long sequences\", ICML 2023, sections 3.2 to 3.4";
    carry re, im, y; output y;
    stage 0 hidden {
        gate br, bi = [x; no bias];
        read re, im;
        unit nu = Ln(&Product(&Number(-0.5), &Ln(&Uniform(0.3721, 0.9801)))),
            theta = Ln(&Uniform(0.01, PI)),
            g = Product(&Number(0.5), &Ln(&Difference(&Number(1.0), &Exp(&Product(&Number(-2.0), &Exp(&Unit("nu")))))));
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

//! Long short-term memory with exponential gates.

crate::cell! {
    /// Long short-term memory with exponential input and forget gates and a normaliser state.
    ///
    /// With the exponential forget gate and one head. Instead of the cell c, the normaliser n and the stabiliser m, the quotient s = c / n
    /// and the logarithm l = ln n are carried: with α = e^f n' / (e^f n' + e^i) = σ(l' + f - i) the cell's equations are s = α s' + (1 - α)
    /// z and l = i + ln(1 + e^(l' + f - i)), and no exponential can overflow. A zero state means n = 1 and c = 0; the paper starts from n =
    /// 0.
    #[derive(Clone, Debug)]
    pub struct Slstm = "slstm" {}
    source "Beck et al., \"xLSTM: extended long short-term memory\", 2024, equations 8 to 14";
    carry h, s, l; output h;
    stage 0 hidden {
        gate i, f, z, o = [x, h];
        read s, l;
    } -> h, s, l {
        i = i;
        z = tanh(z);
        o = sigmoid(o);
        d = l + f - i;
        alpha = sigmoid(d);
        s = alpha * s + (ONE - alpha) * z;
        l = i + softplus(d);
        h = o * s;
    }
}

"""Goldens of the cells that PyTorch lacks: the papers' equations in plain numpy, one row and one step at a time.

"Unnumbered" stands where the paper numbers no such equation, "unnumbered here" where we do not know the number for certain.

    python golden/equation_cells.py [--check] [CELL ...]

Gradients are complex-step derivatives, d L / d p = Im L(p + i e) / e with e = 1e-30: exact to rounding, since nothing is
subtracted, and independent of any rule of differentiation. Every function here is analytic.
"""

from functools import partial

import numpy as np

from common import B, GRID, H, I, LENGTHS, P, T, Draw, case_name, draw_inputs, finish

EPSILON = 1e-30


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_peephole(w, x, h, c, mask, g=np.tanh, out=np.tanh):
    """Greff et al., "LSTM: a search space odyssey", section II-A (unnumbered); rows of the matrices in the order i, f, z, o."""
    x, recurrent = x * mask("0_x"), h * mask("0_h")
    Wi, Wf, Wz, Wo = np.split(w["weight_ih"], 4)
    Ri, Rf, Rz, Ro = np.split(w["weight_hh"], 4)
    bi, bf, bz, bo = np.split(w["bias_ih"], 4)
    z = g(Wz @ x + Rz @ recurrent + bz)
    i = sigmoid(Wi @ x + Ri @ recurrent + w["weight_pi"] * c + bi)
    f = sigmoid(Wf @ x + Rf @ recurrent + w["weight_pf"] * c + bf)
    c = z * i + c * f
    o = sigmoid(Wo @ x + Ro @ recurrent + w["weight_po"] * c + bo)
    return {"h": out(c) * o, "c": c}


def gru(w, x, h, mask, a=np.tanh):
    """Chung et al. 2014, section 3.2: equation 5 for h; z, the candidate and r unnumbered. The reset gate before the product, z multiplies
    the candidate; rows r, z, n."""
    Wr, Wz, W = np.split(w["weight_ih"], 3)
    Ur, Uz, U = np.split(w["weight_hh"], 3)
    br, bz, b = np.split(w["bias_ih"], 3)
    r = sigmoid(Wr @ (x * mask("0_x")) + Ur @ (h * mask("0_h")) + br)
    z = sigmoid(Wz @ (x * mask("0_x")) + Uz @ (h * mask("0_h")) + bz)
    candidate = a(W @ (x * mask("1_x")) + U @ (r * h * mask("1_rh")) + b)
    return {"h": (1 - z) * h + z * candidate}


def jordan(w, x, y, mask, a=np.tanh, f=sigmoid):
    """Jordan 1986, "Serial order" (unnumbered here); first deck: h = tanh(W_h x + U_h y' + b_h), y = sigmoid(W_y h + b_y)."""
    h = a(w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (y * mask("0_y")) + w["bias_ih"])
    return {"y": f(w["weight_hr"] @ (h * mask("1_h")) + w["bias_hr"])}


def layer_norm(a):
    a = a - a.mean()
    return a / np.sqrt((a * a).mean() + 1e-5)


def lstm_layer_norm(w, x, h, c, mask, block=np.tanh, out=np.tanh):
    """Ba, Kiros & Hinton 2016, equations 20 to 22, with statistics of each gate's own; rows i, f, g, o, x before h, then c."""
    gains = np.split(w["weight_ln"], 9)
    from_x = [gain * layer_norm(W @ (x * mask("0_x"))) for W, gain in zip(np.split(w["weight_ih"], 4), gains[:4])]
    from_h = [gain * layer_norm(U @ (h * mask("0_h"))) for U, gain in zip(np.split(w["weight_hh"], 4), gains[4:8])]
    i, f, g, o = (a + b + bias for a, b, bias in zip(from_x, from_h, np.split(w["bias_hh"], 4)))
    c = sigmoid(f) * c + sigmoid(i) * block(g)
    return {"h": sigmoid(o) * out(gains[8] * layer_norm(c) + w["bias_ln"]), "c": c}


def leaky(w, x, h, mask, a=np.tanh):
    """Bengio et al. 2013, the section on leaky integration (unnumbered here): h = alpha h' + (1 - alpha) tanh(W x + U h' + b), alpha = sigmoid(leak)."""
    alpha = sigmoid(w["weight_leak"])
    return {"h": alpha * h + (1 - alpha) * a(w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (h * mask("0_h")) + w["bias_ih"])}


def elman_residual(w, x, h, mask):
    """Elman 1990 (unnumbered) with the state added: h = h' + tanh(W x + U h' + b)."""
    return {"h": h + np.tanh(w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (h * mask("0_h")) + w["bias_ih"])}


def lstm_cifg(w, x, h, c, mask):
    """Greff et al., section II-A (unnumbered) with f = 1 - i; rows i, z, o."""
    x, recurrent = x * mask("0_x"), h * mask("0_h")
    Wi, Wz, Wo = np.split(w["weight_ih"], 3)
    Ri, Rz, Ro = np.split(w["weight_hh"], 3)
    bi, bz, bo = np.split(w["bias_ih"], 3)
    z = np.tanh(Wz @ x + Rz @ recurrent + bz)
    i = sigmoid(Wi @ x + Ri @ recurrent + w["weight_pi"] * c + bi)
    c = z * i + c * (1 - i)
    o = sigmoid(Wo @ x + Ro @ recurrent + w["weight_po"] * c + bo)
    return {"h": np.tanh(c) * o, "c": c}


def odyssey(gates, w, x, h, c, mask, g=np.tanh, out=np.tanh):
    """Greff et al., section II-A (unnumbered), with the gates that the variant has (rows in this order, z among them); a missing gate is 1."""
    x, recurrent = x * mask("0_x"), h * mask("0_h")
    rows = {name: (W, R, b) for name, W, R, b in zip(
        gates, *(np.split(w[k], len(gates)) for k in ("weight_ih", "weight_hh", "bias_ih")))}

    def gate(name, cell):
        if name not in rows:
            return 1
        W, R, b = rows[name]
        return sigmoid(W @ x + R @ recurrent + w[f"weight_p{name}"] * cell + b)

    Wz, Rz, bz = rows["z"]
    c = g(Wz @ x + Rz @ recurrent + bz) * gate("i", c) + c * gate("f", c)
    return {"h": out(c) * gate("o", c), "c": c}


def identity(a):
    return a


def plain_lstm(w, x, h, c, mask, g, out):
    """Input, forget, block input and output, in this order, without peepholes. Three papers, each with its g and out:

    * lstm-1999: Gers, Schmidhuber & Cummins, "Learning to forget", the section on the forward pass of LSTM with forget gates (unnumbered here);
      g, out, the input and the output gate are equations 5, 4, 7 and 8 of Hochreiter & Schmidhuber 1997, appendix A.1. i, f, z, o:
      y^in, y^phi, net_c, y^out.
    * lstm-np: Greff et al., "LSTM: a search space odyssey", section II-A (unnumbered) without the peepholes' terms, their variant NP.
    * lstm-show-and-tell: Vinyals et al., "Show and tell", equations 4 (i), 5 (f), 6 (o), 7 (c) and 8 (m, here h); their h is the tanh of z.
      The paper has no biases.
    """
    pre = w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (h * mask("0_h")) + w["bias_ih"]
    i, f, z, o = np.split(pre, 4)
    c = sigmoid(f) * c + sigmoid(i) * g(z)
    return {"h": sigmoid(o) * out(c), "c": c}


def squash_g(a):
    """Hochreiter & Schmidhuber 1997, equation 5 of appendix A.1: from -2 to 2."""
    return 4 / (1 + np.exp(-a)) - 2


def squash_h(a):
    """The same, equation 4: from -1 to 1."""
    return 2 / (1 + np.exp(-a)) - 1


def lstm_1997(w, x, h, c, mask):
    """Hochreiter & Schmidhuber 1997, appendix A.1, equations 7 (in), 8 (out) and 9 (net_c, s_c, y^c): no forget gate; rows in, c, out."""
    pre = w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (h * mask("0_h")) + w["bias_ih"]
    net_in, net_c, net_out = np.split(pre, 3)
    c = c + sigmoid(net_in) * squash_g(net_c)
    return {"h": sigmoid(net_out) * squash_h(c), "c": c}


def lstm_fgr(w, x, h, c, ig, fg, og, mask):
    """Greff et al., variant FGR (unnumbered): R_ii i' + R_fi f' + R_oi o' in i, and so in f and o; rows i, f, o, then z."""
    before = {"ig": ig * mask("0_ig"), "fg": fg * mask("0_fg"), "og": og * mask("0_og")}
    x, recurrent = x * mask("0_x"), h * mask("0_h")
    pre = w["weight_ih"] @ x + w["weight_hh"] @ recurrent + w["bias_ih"]
    i, f, o, z = np.split(pre, 4)
    more = sum(w[f"weight_{name}h"] @ value for name, value in before.items())
    more_i, more_f, more_o = np.split(more, 3)
    i = sigmoid(i + more_i + w["weight_pi"] * c)
    f = sigmoid(f + more_f + w["weight_pf"] * c)
    c = np.tanh(z) * i + c * f
    o = sigmoid(o + more_o + w["weight_po"] * c)
    return {"h": np.tanh(c) * o, "c": c, "ig": i, "fg": f, "og": o}


def gru_minimal(w, x, h, mask, a=np.tanh):
    """Third deck: u = sigmoid(W_u [c', x] + b_u), c~ = tanh(W_c [c', x] + b_c), c = u c~ + (1 - u) c'; rows u, c."""
    u, candidate = np.split(w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (h * mask("0_h")) + w["bias_ih"], 2)
    u = sigmoid(u)
    return {"h": u * a(candidate) + (1 - u) * h}


def mgu(w, x, h, mask):
    """Zhou et al. 2016, equations 8 to 10; rows f, n."""
    (Wf, W), (Uf, U), (bf, b) = (np.split(w[k], 2) for k in ("weight_ih", "weight_hh", "bias_ih"))
    f = sigmoid(Wf @ (x * mask("0_x")) + Uf @ (h * mask("0_h")) + bf)
    candidate = np.tanh(W @ (x * mask("1_x")) + U @ (f * h * mask("1_fh")) + b)
    return {"h": (1 - f) * h + f * candidate}


def min_gru(w, x, h, mask):
    """Feng et al. 2024, "Were RNNs all we needed?", section 3.1 (unnumbered here): z = sigmoid(Linear(x)), n = Linear(x); rows z, n."""
    z, n = np.split(w["weight_ih"] @ (x * mask("0_x")) + w["bias_ih"], 2)
    z = sigmoid(z)
    return {"h": (1 - z) * h + z * n}


def min_lstm(w, x, h, mask):
    """Feng et al. 2024, section 3.2 (unnumbered here): f and i normalised to a sum of one; rows f, i, n."""
    f, i, n = np.split(w["weight_ih"] @ (x * mask("0_x")) + w["bias_ih"], 3)
    f, i = sigmoid(f), sigmoid(i)
    return {"h": f / (f + i) * h + i / (f + i) * n}


def unit_feedback(w, x, h, mask):
    """First deck (unnumbered): h = h' + F(x)."""
    return {"h": h + np.tanh(w["weight_ih"] @ (x * mask("0_x")) + w["bias_ih"])}


def lstm_shapes(gates, *peepholes):
    """Shapes of an LSTM's parameters with so many gates and these peepholes."""
    return lambda i: {"weight_ih": (gates * H, i), "weight_hh": (gates * H, H), "bias_ih": (gates * H,)} | {
        f"weight_{name}": (H,) for name in peepholes}


def from_input(gates):
    """Shapes of a cell whose gates see the input alone."""
    return lambda i: {"weight_ih": (gates * H, i), "bias_ih": (gates * H,)}


def fed_back(gates):
    """Shapes of a cell of the fourth deck with so many gates."""
    return lambda i: {"weight_ih": (gates * H, i), "weight_hh": (gates * H, H), "weight_yh": (gates * H, P), "weight_hr": (P, H),
                      "bias_ih": (gates * H,), "bias_hr": (P,)}


def deep_shapes(shortcut, output, layers=2):
    square = layers + max(output - 1, 0)
    return lambda i: {"weight_ih": (H, i), "weight_hh": ((square + shortcut) * H, H), "bias_ih": (square * H,)} | (
        {"weight_hr": (P, H), "bias_hr": (P,)} if output else {})


FED_BACK = {"y": P, "s": H}
LADDER = {"0_x": 0, "0_s": H, "0_y": P}
LSTM = {"h": H, "c": H}
MASKS = {"0_x": 0, "0_h": H}



def affine(w, x, s, y, mask):
    """U x + V s + W y + b of the fourth deck's slides, all gates' rows."""
    return (
        w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (s * mask("0_s")) + w["weight_yh"] @ (y * mask("0_y")) + w["bias_ih"]
    )


def read_out(w, s, mask, f=np.tanh):
    return f(w["weight_hr"] @ (s * mask) + w["bias_hr"])


def output_feedback(w, x, y, s, mask, a=np.tanh, f=np.tanh):
    """Fourth deck, equation 1: s = a(U x + V s' + W y' + b), y = f(s)."""
    s = a(affine(w, x, s, y, mask))
    return {"y": read_out(w, s, mask("1_s"), f), "s": s}


def output_feedback_preprocessed(w, x, y, s, mask, a=np.tanh):
    """Fourth deck, "both input and output can be preprocessed": u = a(P x + p), v = a(R y' + r) in equation 1 for x and y'."""
    r, b = np.split(w["bias_hh"], 2)
    u = a(w["weight_ih"] @ (x * mask("0_x")) + w["bias_ih"])
    v = a(w["weight_hh"] @ (y * mask("0_y")) + r)
    s = a(w["weight_uh"] @ (u * mask("1_u")) + w["weight_sh"] @ (s * mask("1_s")) + w["weight_vh"] @ (v * mask("1_v")) + b)
    return {"y": read_out(w, s, mask("2_s")), "s": s}


def residual(before, w, x, y, s, mask, a=np.tanh):
    """Fourth deck, residual: r = U x + V s' + W y' + b; s = s' + a(r), or a(s' + r)."""
    r = affine(w, x, s, y, mask)
    s = a(s + r) if before else s + a(r)
    return {"y": read_out(w, s, mask("1_s")), "s": s}


def residual_input_gate(w, x, y, s, mask):
    """Fourth deck, input gate: s = s' + i r; rows r, i."""
    r, i = np.split(affine(w, x, s, y, mask), 2)
    s = s + sigmoid(i) * np.tanh(r)
    return {"y": read_out(w, s, mask("1_s")), "s": s}


def residual_forget_gate(w, x, y, s, mask, g=np.tanh):
    """Fourth deck, forget gate: s = f s' + i r; rows r, i, f."""
    r, i, f = np.split(affine(w, x, s, y, mask), 3)
    s = sigmoid(f) * s + sigmoid(i) * np.tanh(r)
    return {"y": read_out(w, s, mask("1_s"), g), "s": s}


def residual_output_gate(w, x, y, s, mask, a=np.tanh):
    """Fourth deck, output gate: y = f(o a(s)), the gates still see s'; rows r, i, f, o."""
    r, i, f, o = np.split(affine(w, x, s, y, mask), 4)
    s = sigmoid(f) * s + sigmoid(i) * a(r)
    return {"y": read_out(w, sigmoid(o) * a(s), mask("1_m")), "s": s}


def lstm_output_feedback(w, x, y, m, s, mask):
    """Fourth deck, "LSTM in a slide": the gates see m' = the gated state; rows r, i, f, o."""
    pre = w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (m * mask("0_m")) + w["weight_yh"] @ (y * mask("0_y")) + w["bias_ih"]
    r, i, f, o = np.split(pre, 4)
    s = sigmoid(f) * s + sigmoid(i) * np.tanh(r)
    m = sigmoid(o) * np.tanh(s)
    return {"y": read_out(w, m, mask("1_m")), "m": m, "s": s}


def state_space(w, x, y, s, mask, a=np.tanh):
    """First deck: x_n+1 = a(x_n, u_n), y_n = B x_n; its state is s here, its input x."""
    out = w["weight_hr"] @ (s * mask("0_s"))
    return {"y": out, "s": a(w["weight_ih"] @ (x * mask("1_x")) + w["weight_hh"] @ (s * mask("1_s")) + w["bias_ih"])}


def elman_sigmoid(w, x, h, mask):
    """First deck, "Elman network" (unnumbered): h = sigmoid(W x + U h' + b)."""
    return {"h": sigmoid(w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (h * mask("0_h")) + w["bias_ih"])}


def relu(a):
    return np.where(a.real > 0, a, 0)


def indrnn(w, x, h, mask, a=relu):
    """Li et al. 2018, equation 2: h = relu(W x + u h' + b)."""
    return {"h": a(w["weight_ih"] @ (x * mask("0_x")) + w["weight_u"] * h + w["bias_ih"])}


def gru_layer_norm(w, x, h, mask):
    """Ba et al. 2016, supplement, with statistics of each gate's own; rows r, z, n, x before h."""
    gains = np.split(w["weight_ln"], 6)
    xs = [gain * layer_norm(W @ (x * mask("0_x"))) for W, gain in zip(np.split(w["weight_ih"], 3), gains[:3])]
    bias = np.split(w["bias_hh"], 3)
    hs = [gain * layer_norm(U @ (h * mask("0_h"))) + b for U, gain, b in zip(np.split(w["weight_hh"], 3), gains[3:], bias)]
    r, z = sigmoid(xs[0] + hs[0]), sigmoid(xs[1] + hs[1])
    return {"h": (1 - z) * h + z * np.tanh(xs[2] + r * hs[2])}


def slstm(w, x, h, s, l, mask, block=np.tanh):
    """Beck et al. 2024, equations 8 to 14 (f = exp) and 15 to 17 (the stabiliser m); s = c / n, l = ln n + m; rows i, f, z, o."""
    pre = w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (h * mask("0_h")) + w["bias_ih"]
    i, f, z, o = np.split(pre, 4)
    m, n = 0.25, np.exp(l - 0.25)  # any m: it cancels
    c = s * n
    new_m = np.where((f + m).real > i.real, f + m, i)
    i, f = np.exp(i - new_m), np.exp(f + m - new_m)
    c, n = f * c + i * block(z), f * n + i
    return {"h": sigmoid(o) * c / n, "s": c / n, "l": np.log(n) + new_m}


def lru(w, x, y, re, im, mask):
    """Orvieto et al. 2023, sections 3.2 to 3.4 (unnumbered here: lambda = exp(-exp(nu) + i exp(theta)), "enforcing stability"; gamma, "normalization"):
    s = lambda s' + gamma (B x), y = Re(C s) + D x in complex numbers; rows Re B, Im B, D."""
    # i times a complex-step number must not mix with the step's own imaginary unit: (real, imaginary) pairs.
    size, angle = np.exp(-np.exp(w["weight_nu"])), np.exp(w["weight_theta"])
    lr, li = size * np.cos(angle), size * np.sin(angle)
    Br, Bi, D = np.split(w["weight_ih"], [H, 2 * H])
    gamma = np.exp(w["weight_g"])
    x0 = x * mask("0_x")
    re, im = lr * re - li * im + gamma * (Br @ x0), li * re + lr * im + gamma * (Bi @ x0)
    out = w["weight_hr"] @ (re * mask("1_re")) + w["weight_imh"] @ (im * mask("1_im")) + D @ (x * mask("1_x"))
    return {"y": out, "re": re, "im": im}


def second_order(w, x, h, mask, a=sigmoid):
    """Giles et al. 1992 (S_i = g(Σ_jk W_ijk S_j I_k), unnumbered here) with W_ijk = sum_r F_ir Q_rj P_rk: h = sigmoid(F (P x * Q h') + b); rows Q, F."""
    Q, F = np.split(w["weight_hh"], 2)
    m = (w["weight_ih"] @ (x * mask("0_x"))) * (Q @ (h * mask("0_h")))
    return {"h": a(F @ (m * mask("1_m")) + w["bias_ih"])}


def leaky_fixed(w, x, h, mask, alpha=0.9):
    """Jaeger et al. 2007, equation 6: h = alpha h' + (1 - alpha) tanh(W x + U h' + b)."""
    return {"h": alpha * h + (1 - alpha) * np.tanh(w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (h * mask("0_h")) + w["bias_ih"])}


def deep(shortcut, output, w, x, h, mask, y=None, layers=2, a=np.tanh, f=np.tanh):
    """Pascanu et al. 2014, figure 2, "deep transition RNN" and "deep output RNN" (unnumbered here): DT-RNN (b), DT(S)-RNN (b*), DOT-RNN (c) and
    DOT(S)-RNN with `layers` layers in the transition and `output` in the output; rows u, ..., h, shortcut, those of the output but the last."""
    U, *rest = np.split(w["weight_hh"], layers + shortcut + max(output - 1, 0))
    V, S, Q = rest[: layers - 1], rest[layers - 1 :][:shortcut], rest[layers - 1 + shortcut :]
    b, *c = np.split(w["bias_ih"], layers + len(Q))
    u, old = a(w["weight_ih"] @ (x * mask("0_x")) + U @ (h * mask("0_h")) + b), h
    for k, matrix in enumerate(V, 1):
        more = sum(shortcut @ (old * mask(f"{k}_h")) for shortcut in S) if k == layers - 1 else 0
        u = a(matrix @ (u * mask(f"{k}_u" if layers == 2 else f"{k}_u{k}")) + more + c[k - 1])
    h = z = u
    for k, matrix in enumerate(Q):
        z = f(matrix @ (z * mask(f"{layers + k}_{f'z{k}' if k else 'h'}")) + c[layers - 1 + k])
    last = f"{layers + len(Q)}_{f'z{len(Q)}' if Q else 'h'}"
    return {"y": f(w["weight_hr"] @ (z * mask(last)) + w["bias_hr"]), "h": h} if output else {"h": h}


# name: step, states with their widths, shapes of the parameters for an input width, widths of the masks (0: the input's).
# The first state is the output. Last, where it is not 0.8, the bound of the parameters.
CELLS = {
    "lstm-peephole": (
        lstm_peephole,
        {"h": H, "c": H},
        lambda i: {"weight_ih": (4 * H, i), "weight_hh": (4 * H, H), "bias_ih": (4 * H,),
                   "weight_pi": (H,), "weight_pf": (H,), "weight_po": (H,)},
        {"0_x": 0, "0_h": H},
    ),
    "gru": (
        gru,
        {"h": H},
        lambda i: {"weight_ih": (3 * H, i), "weight_hh": (3 * H, H), "bias_ih": (3 * H,)},
        {"0_x": 0, "0_h": H, "1_x": 0, "1_rh": H},
    ),
    "jordan": (
        jordan,
        {"y": P},
        lambda i: {"weight_ih": (H, i), "weight_hh": (H, P), "bias_ih": (H,), "weight_hr": (P, H), "bias_hr": (P,)},
        {"0_x": 0, "0_y": P, "1_h": H},
    ),
    "lstm-layer-norm": (
        lstm_layer_norm,
        {"h": H, "c": H},
        lambda i: {"weight_ih": (4 * H, i), "weight_hh": (4 * H, H), "bias_hh": (4 * H,), "bias_ln": (H,), "weight_ln": (9 * H,)},
        {"0_x": 0, "0_h": H},
    ),
    "leaky": (
        leaky,
        {"h": H},
        lambda i: {"weight_ih": (H, i), "weight_hh": (H, H), "bias_ih": (H,), "weight_leak": (H,)},
        {"0_x": 0, "0_h": H},
    ),
    "elman-residual": (
        elman_residual,
        {"h": H},
        lambda i: {"weight_ih": (H, i), "weight_hh": (H, H), "bias_ih": (H,)},
        {"0_x": 0, "0_h": H},
        0.4,  # nothing bounds this cell's gradient: it doubles in a step, and f32's rounding with it
    ),
    "lstm-cifg": (
        lstm_cifg,
        {"h": H, "c": H},
        lambda i: {"weight_ih": (3 * H, i), "weight_hh": (3 * H, H), "bias_ih": (3 * H,), "weight_pi": (H,), "weight_po": (H,)},
        {"0_x": 0, "0_h": H},
    ),
    "lstm-nig": (partial(odyssey, "fzo"), LSTM, lstm_shapes(3, "pf", "po"), MASKS),
    "lstm-nfg": (partial(odyssey, "izo"), LSTM, lstm_shapes(3, "pi", "po"), MASKS),
    "lstm-nog": (partial(odyssey, "ifz"), LSTM, lstm_shapes(3, "pi", "pf"), MASKS),
    "lstm-niaf": (partial(odyssey, "ifzo", g=identity), LSTM, lstm_shapes(4, "pi", "pf", "po"), MASKS),
    "lstm-noaf": (partial(odyssey, "ifzo", out=identity), LSTM, lstm_shapes(4, "pi", "pf", "po"), MASKS),
    "lstm-np": (partial(plain_lstm, g=np.tanh, out=np.tanh), LSTM, lstm_shapes(4), MASKS),
    "lstm-fgr": (
        lstm_fgr,
        LSTM | {"ig": H, "fg": H, "og": H},
        lambda i: lstm_shapes(4, "pi", "pf", "po")(i) | {f"weight_{name}h": (3 * H, H) for name in ("ig", "fg", "og")},
        MASKS | {"0_ig": H, "0_fg": H, "0_og": H},
    ),
    "lstm-1997": (lstm_1997, LSTM, lstm_shapes(3), MASKS),
    "lstm-1999": (partial(plain_lstm, g=squash_g, out=squash_h), LSTM, lstm_shapes(4), MASKS),
    "lstm-show-and-tell": (partial(plain_lstm, g=np.tanh, out=identity), LSTM, lstm_shapes(4), MASKS),
    "gru-minimal": (gru_minimal, {"h": H}, lstm_shapes(2), MASKS),
    "mgu": (mgu, {"h": H}, lstm_shapes(2), MASKS | {"1_x": 0, "1_fh": H}),
    "min-gru": (min_gru, {"h": H}, from_input(2), {"0_x": 0}),
    "min-lstm": (min_lstm, {"h": H}, from_input(3), {"0_x": 0}),
    "unit-feedback": (unit_feedback, {"h": H}, from_input(1), {"0_x": 0}),
    "elman-sigmoid": (elman_sigmoid, {"h": H}, lstm_shapes(1), MASKS),
    # Fed back twice, by s and by y: as above for the parameters' bound.
    "output-feedback": (output_feedback, FED_BACK, fed_back(1), LADDER | {"1_s": H}, 0.4),
    "output-feedback-preprocessed": (
        output_feedback_preprocessed,
        FED_BACK,
        lambda i: {"weight_ih": (H, i), "weight_hh": (H, P), "weight_uh": (H, H), "weight_sh": (H, H), "weight_vh": (H, H), "weight_hr": (P, H),
                   "bias_ih": (H,), "bias_hh": (2 * H,), "bias_hr": (P,)},
        {"0_x": 0, "0_y": P, "1_u": H, "1_s": H, "1_v": H, "2_s": H},
        0.4,
    ),
    "state-space": (
        state_space,
        FED_BACK,
        lambda i: {"weight_hr": (P, H), "weight_ih": (H, i), "weight_hh": (H, H), "bias_ih": (H,)},
        {"0_s": H, "1_x": 0, "1_s": H},
    ),
    "residual": (partial(residual, False), FED_BACK, fed_back(1), LADDER | {"1_s": H}, 0.4),
    "residual-before": (partial(residual, True), FED_BACK, fed_back(1), LADDER | {"1_s": H}, 0.4),
    "residual-input-gate": (residual_input_gate, FED_BACK, fed_back(2), LADDER | {"1_s": H}, 0.4),
    "residual-forget-gate": (residual_forget_gate, FED_BACK, fed_back(3), LADDER | {"1_s": H}, 0.4),
    "residual-output-gate": (residual_output_gate, FED_BACK, fed_back(4), LADDER | {"1_m": H}, 0.4),
    "lstm-output-feedback": (lstm_output_feedback, {"y": P, "m": H, "s": H}, fed_back(4), {"0_x": 0, "0_m": H, "0_y": P, "1_m": H}, 0.4),
    "indrnn": (indrnn, {"h": H}, lambda i: from_input(1)(i) | {"weight_u": (H,)}, {"0_x": 0}),
    "gru-layer-norm": (
        gru_layer_norm,
        {"h": H},
        lambda i: {"weight_ih": (3 * H, i), "weight_hh": (3 * H, H), "bias_hh": (3 * H,), "weight_ln": (6 * H,)},
        MASKS,
    ),
    "slstm": (slstm, {"h": H, "s": H, "l": H}, lstm_shapes(4), MASKS),
    "lru": (
        lru,
        {"y": P, "re": H, "im": H},
        lambda i: {"weight_ih": (2 * H + P, i), "weight_hr": (P, H), "weight_imh": (P, H), "weight_nu": (H,), "weight_theta": (H,), "weight_g": (H,)},
        {"0_x": 0, "1_re": H, "1_im": H, "1_x": 0},
    ),
    # Two layers a step: as above.
    "deep-transition": (partial(deep, 0, 0), {"h": H}, deep_shapes(0, 0), MASKS | {"1_u": H}, 0.4),
    "deep-transition-shortcut": (partial(deep, 1, 0), {"h": H}, deep_shapes(1, 0), MASKS | {"1_u": H, "1_h": H}, 0.4),
    "deep-output": (partial(deep, 0, 1), {"y": P, "h": H}, deep_shapes(0, 1), MASKS | {"1_u": H, "2_h": H}, 0.4),
    "deep-output-shortcut": (partial(deep, 1, 1), {"y": P, "h": H}, deep_shapes(1, 1), MASKS | {"1_u": H, "1_h": H, "2_h": H}, 0.4),
    "second-order": (
        second_order,
        {"h": H},
        lambda i: {"weight_ih": (H, i), "weight_hh": (2 * H, H), "bias_ih": (H,)},
        MASKS | {"1_m": H},
    ),
    "leaky-fixed": (leaky_fixed, {"h": H}, lstm_shapes(1), MASKS),
}


def run(step, states, shared, inputs, layers, reverse, lengths, tokens):
    """Outputs and final states for these values of what is differentiated."""
    x = inputs["table"][shared["ids"]] if tokens else inputs["input"]
    results = {}
    for k in range(layers):
        weights = {name.removesuffix(f"_l{k}"): value for name, value in inputs.items() if name.endswith(f"_l{k}")}
        out_name = next(iter(states))
        y = np.zeros((T, B, states[out_name]), complex)
        finals = {s: np.zeros((B, states[s]), complex) for s in states}
        for b in range(B):
            valid = range(lengths[b])
            state = {s: weights[f"{s}0"][b] for s in states}
            for t in reversed(valid) if reverse else valid:
                kept = {name: value[t, b] for name, value in weights.items() if name.startswith("keep_")}
                state = step(weights | kept, x[t, b], **state, mask=lambda name: weights.get(f"mask_{name}", np.ones((B, 1)))[b])
                y[t, b] = state[out_name]
            for s in states:
                finals[s][b] = state[s]
        x = y
        results |= {f"{s}n_l{k}": finals[s] for s in states}
    return results | {"output": x}


def make(seed, step, states, shapes, masks, scale=0.8, keep=None, cases=(*GRID, (1, False, True, "tokens"), (1, True, True, "masks"))):
    """`keep`: {state: probability} for a step with zoneout, which finds `keep_<state>` among the parameters, 1 or 0 for each step and
    row; in the case `means` the probability."""
    keep = keep or {}
    draw = Draw(seed)
    first = next(iter(states.values()))
    shared = draw_inputs(draw, lambda layer: shapes(first if layer else I), states, first, scale)
    shared |= {f"mask_{name}_l0": draw.dropout_mask(B, width or I) for name, width in masks.items()}
    shared |= {f"keep_{s}_l{layer}": (draw.rng.uniform(0, 1, (T, B, states[s])) < 0.5) * 1.0 for layer in (0, 1) for s in keep}
    tensors = dict(shared)
    means = [(2, False, True, "means")] if keep else []
    for layers, reverse, lengths, *extras in [*cases, *means]:
        tokens = "tokens" in extras
        case = case_name(layers, reverse, lengths, *extras)
        inputs = {
            k: v.astype(complex)
            for k, v in shared.items()
            if v.dtype.kind == "f"
            and not k.startswith("d_")
            and (layers == 2 or not k.endswith("_l1"))
            and ("masks" in extras or not k.startswith("mask_"))
        }
        inputs.pop("input" if tokens else "table")
        if "means" in extras:
            inputs |= {k: np.full_like(v, keep[k.split("_")[1]]) for k, v in inputs.items() if k.startswith("keep_")}
        arguments = (layers, reverse, LENGTHS if lengths else [T] * B, tokens)
        for name, value in run(step, states, shared, inputs, *arguments).items():
            tensors[f"{case}.{name}"] = value.real

        def loss():
            return sum((v * shared[f"d_{k}"]).sum() for k, v in run(step, states, shared, inputs, *arguments).items())

        for name, value in inputs.items():
            gradient = np.zeros(value.shape)
            for index in np.ndindex(value.shape):
                value[index] += 1j * EPSILON
                gradient[index] = loss().imag / EPSILON
                value[index] = value[index].real
            tensors[f"{case}.d_{name}"] = gradient
    return tensors


if __name__ == "__main__":
    finish({cell: partial(make, seed, *definition) for seed, (cell, definition) in enumerate(CELLS.items(), 11)}, "equation_cells.py")

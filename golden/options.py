"""Goldens of options that cells have: `bias=off` from PyTorch, the others from their papers' equations in plain numpy.

    python golden/options.py [--check] [FILE ...]

Writes golden/options/<cell>-<option>.safetensors, laid out like the cells' own files, with fewer cases, for the example that the table of options
(crates/elman-core/src/options/table.rs) has. With zoneout there are `keep_<state>_l<layer>` (T, B, width), 1 where a unit keeps what it was and 0
elsewhere, their gradients, and the case `2-forward-lengths-means`, in which they are the probabilities `keep_<state>_p`, as at evaluation. Where an
option says between which numbers a parameter of the units begins, `range_<name>` has the two.
"""

from functools import partial

import numpy as np

import equation_cells as cells
import torch_cells
from common import HERE, H, P, finish
from equation_cells import CELLS, LSTM, MASKS, deep, deep_shapes, lstm_shapes, make, relu, sigmoid
from equation_cells import gru as gru_step

# What an option changes is the step's equations: fewer cases than a cell has show it.
CASES = [(1, False, False), (2, True, True), (1, True, True, "masks")]


def silu(a):
    """Elfwing et al. 2018: x sigma(x)."""
    return a * sigmoid(a)


def softplus(a):
    return np.log(1 + np.exp(a))


def softsign(a):
    """x / (1 + |x|); the absolute value by the sign of the real part, which complex steps keep."""
    return a / (1 + np.where(a.real > 0, a, -a))


def elu(a):
    """Clevert et al. 2016, equation 15 with alpha = 1."""
    return np.where(a.real > 0, a, np.exp(a) - 1)


def leaky_relu(a):
    """Maas et al. 2013: 0.01 x below 0."""
    return np.where(a.real > 0, a, 0.01 * a)


def clipped(a, low, high):
    return np.where(a.real < low, low, np.where(a.real > high, high, a))


def hard_tanh(a):
    return clipped(a, -1, 1)


def hard_sigmoid(a):
    return clipped(a / 6 + 0.5, 0, 1)


def elman(w, x, h, mask, a):
    """Elman 1990 (unnumbered): h = a(W x + U h' + b)."""
    return {"h": a(w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (h * mask("0_h")) + w["bias_ih"])}


def plain_lstm(w, x, h, c, mask, g=np.tanh, out=np.tanh):
    return cells.plain_lstm(w, x, h, c, mask, g, out)


def zoneout_lstm(w, x, h, c, mask):
    """Krueger et al. 2017, "Zoneout", section 3.2 (unnumbered here), from the LSTM of the same section:
    c = d^c c' + (1 - d^c) (f c' + i g), h = d^h h' + (1 - d^h) (o tanh(f c' + i g)). Rows i, f, g, o."""
    pre = w["weight_ih"] @ (x * mask("0_x")) + w["weight_hh"] @ (h * mask("0_h")) + w["bias_ih"]
    i, f, g, o = np.split(pre, 4)
    new = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    d_c, d_h = w["keep_c"], w["keep_h"]
    return {"h": d_h * h + (1 - d_h) * (sigmoid(o) * np.tanh(new)), "c": d_c * c + (1 - d_c) * new}


def zoneout_gru(w, x, h, mask):
    """The same, section 3.1 (unnumbered here): T = d T~ + (1 - d) 1, around the GRU of Chung et al. 2014; 1 - d is `keep_h`."""
    d = 1 - w["keep_h"]
    return {"h": d * gru_step(w, x, h, mask)["h"] + (1 - d) * h}


def zoneout(seed, step, states, shapes, masks, keep):
    return make(seed, step, states, shapes, masks, keep=keep) | {f"keep_{s}_p": np.array([p]) for s, p in keep.items()}


def without_bias(seed, cell):
    kind, options, states = torch_cells.CELLS[cell]
    return torch_cells.make(seed, kind, options | {"bias": False}, states)


def changed(seed, cell, step=None, **functions):
    """The cell with other functions in its equations."""
    known, states, shapes, masks, *scale = CELLS[cell] if cell in CELLS else OWN[cell]
    return make(seed, partial(step or known, **functions), states, shapes, masks, *scale, cases=CASES)


def begun(seed, first, last):
    """leaky: alpha = sigmoid(leak) lies between the two before training, so that leak does between their logits. The equations stay."""
    return changed(seed, "leaky") | {"range_leak": np.array([np.log(first / (1 - first)), np.log(last / (1 - last))])}


def deeper(seed, shortcut, output, layers):
    """Deep transition and deep output with more layers: values u1, u2, ... between the states, z1, ... between state and output."""
    masks = MASKS | {f"{k}_u{k}": H for k in range(1, layers)} | ({f"{layers - 1}_h": H} if shortcut else {})
    masks |= {f"{layers + k}_{f'z{k}' if k else 'h'}": H for k in range(output)}
    states = ({"y": P} if output else {}) | {"h": H}
    return make(seed, partial(deep, shortcut, output, layers=layers), states, deep_shapes(shortcut, output, layers), masks, 0.4, cases=CASES)


# Cells whose goldens are PyTorch's: step, states, shapes, masks.
OWN = {"elman": (elman, {"h": H}, lstm_shapes(1), MASKS), "lstm": (plain_lstm, LSTM, lstm_shapes(4), MASKS)}

FILES = {
    "elman-bias": partial(without_bias, 501, "elman"),
    "lstm-bias": partial(without_bias, 502, "lstm"),
    "gru-reset-after-bias": partial(without_bias, 503, "gru-reset-after"),
    "lstm-zoneout-cell": partial(zoneout, 504, zoneout_lstm, LSTM, lstm_shapes(4), MASKS, {"h": 0.25, "c": 0.5}),
    "gru-zoneout": partial(zoneout, 505, zoneout_gru, {"h": H}, lstm_shapes(3), MASKS | {"1_x": 0, "1_rh": H}, {"h": 0.25}),
    "elman-activation": partial(changed, 506, "elman", a=silu),
    "jordan-activation": partial(changed, 507, "jordan", a=softplus),
    "output-feedback-activation": partial(changed, 508, "output-feedback", a=softsign),
    "leaky-activation": partial(changed, 509, "leaky", a=elu),
    "indrnn-activation": partial(changed, 510, "indrnn", a=hard_tanh),
    "second-order-activation": partial(changed, 511, "second-order", a=np.sin),
    "state-space-activation": partial(changed, 512, "state-space", a=leaky_relu),
    "deep-output-shortcut-activation": partial(changed, 513, "deep-output-shortcut", a=silu),
    "gru-activation": partial(changed, 514, "gru", a=softsign),
    "gru-minimal-activation": partial(changed, 515, "gru-minimal", a=np.cos),
    "output-feedback-preprocessed-activation": partial(changed, 516, "output-feedback-preprocessed", a=silu),
    "residual-before-activation": partial(changed, 517, "residual-before", a=softsign),
    "residual-output-gate-activation": partial(changed, 518, "residual-output-gate", a=softsign),
    "lstm-peephole-input-activation": partial(changed, 519, "lstm-peephole", g=silu),
    "slstm-input-activation": partial(changed, 520, "slstm", block=sigmoid),
    "lstm-input-activation": partial(changed, 521, "lstm", g=softsign),
    "lstm-layer-norm-input-activation": partial(changed, 522, "lstm-layer-norm", block=softsign),
    "jordan-output-activation": partial(changed, 523, "jordan", f=cells.identity),
    "output-feedback-output-activation": partial(changed, 524, "output-feedback", f=hard_sigmoid),
    "lstm-peephole-output-activation": partial(changed, 525, "lstm-peephole", out=softsign),
    "lstm-layer-norm-output-activation": partial(changed, 526, "lstm-layer-norm", out=elu),
    "lstm-output-activation": partial(changed, 527, "lstm", out=relu),
    "deep-output-output-activation": partial(changed, 528, "deep-output", f=elu),
    "residual-forget-gate-output-activation": partial(changed, 529, "residual-forget-gate", g=silu),
    "leaky-fixed-alpha": partial(changed, 530, "leaky-fixed", alpha=0.3),
    # Jaeger et al. 2007, section 2: a unit decays by e^(-dt/tau) in a step.
    "leaky-fixed-tau": partial(changed, 531, "leaky-fixed", alpha=np.exp(-1 / 3)),
    "leaky-fixed-dt": partial(changed, 532, "leaky-fixed", alpha=np.exp(-0.5 / 3)),
    "leaky-alpha": partial(begun, 533, 0.5, 0.99),
    "leaky-tau": partial(begun, 534, np.exp(-1 / 2), np.exp(-1 / 100)),
    "leaky-dt": partial(begun, 535, np.exp(-0.5 / 20), np.exp(-0.5 / 20)),
    "deep-transition-layers": partial(deeper, 536, 0, 0, 3),
    "deep-transition-shortcut-layers": partial(deeper, 537, 1, 0, 3),
    "deep-output-output-layers": partial(deeper, 538, 0, 2, 3),
    "deep-output-shortcut-output-layers": partial(deeper, 539, 1, 2, 3),
}

if __name__ == "__main__":
    torch_cells.torch.set_num_threads(1)
    (HERE / "options").mkdir(exist_ok=True)
    finish({f"options/{name}": make for name, make in FILES.items()}, "options.py")

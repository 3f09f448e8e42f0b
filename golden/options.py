"""Goldens of options that cells have: `bias=off` from PyTorch, zoneout from its paper's equations in plain numpy.

    python golden/options.py [--check] [FILE ...]

Writes golden/options/<cell>-<option>.safetensors, laid out like the cells' own files. With zoneout there are `keep_<state>_l<layer>` (T, B, width),
1 where a unit keeps what it was and 0 elsewhere, their gradients, and the case `2-forward-lengths-means`, in which they are the probabilities
`keep_<state>_p`, as at evaluation.
"""

from functools import partial

import numpy as np

import torch_cells
from common import HERE, H, finish
from equation_cells import LSTM, MASKS, lstm_shapes, make, sigmoid
from equation_cells import gru as gru_step


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


FILES = {
    "elman-bias-off": partial(without_bias, 501, "elman"),
    "lstm-bias-off": partial(without_bias, 502, "lstm"),
    "gru-reset-after-bias-off": partial(without_bias, 503, "gru-reset-after"),
    "lstm-zoneout": partial(zoneout, 504, zoneout_lstm, LSTM, lstm_shapes(4), MASKS, {"h": 0.25, "c": 0.5}),
    "gru-zoneout": partial(zoneout, 505, zoneout_gru, {"h": H}, lstm_shapes(3), MASKS | {"1_x": 0, "1_rh": H}, {"h": 0.25}),
}

if __name__ == "__main__":
    torch_cells.torch.set_num_threads(1)
    (HERE / "options").mkdir(exist_ok=True)
    finish({f"options/{name}": make for name, make in FILES.items()}, "options.py")

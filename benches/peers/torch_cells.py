"""Cells that PyTorch has no module for, written by hand: the input's product for all steps at once, then a loop.

Each `step(pre, h, c, w, units)` takes the input's product with the bias added, the states and the recurrent matrix.
Equations and parameter names are those of Elman's cells.
"""

import torch


def peephole(pre, h, c, w, units):
    i, f, g, o = (pre + h @ w).chunk(4, 1)
    pi, pf, po = units
    i, f, g = torch.sigmoid(i + pi * c), torch.sigmoid(f + pf * c), torch.tanh(g)
    c = f * c + i * g
    o = torch.sigmoid(o + po * c)
    return o * torch.tanh(c), c


def cifg(pre, h, c, w, units):
    i, g, o = (pre + h @ w).chunk(3, 1)
    pi, po = units
    i, g = torch.sigmoid(i + pi * c), torch.tanh(g)
    c = (1 - i) * c + i * g
    o = torch.sigmoid(o + po * c)
    return o * torch.tanh(c), c


def leaky(pre, h, c, w, units):
    alpha = torch.sigmoid(units[0])
    return alpha * h + (1 - alpha) * torch.tanh(pre + h @ w), c


def elman_residual(pre, h, c, w, units):
    return h + torch.tanh(pre + h @ w), c


# The step, the number of gates, the parameters a unit.
CELLS = {
    "lstm-peephole": (peephole, 4, ["pi", "pf", "po"]),
    "lstm-cifg": (cifg, 3, ["pi", "po"]),
    "leaky": (leaky, 1, ["leak"]),
    "elman-residual": (elman_residual, 1, []),
}


# Steps that are compiled together. A hundred take minutes to compile.
CHUNK = 10


class Loop(torch.nn.Module):
    """A cell over a sequence (T, B, I). `compiled`: nothing, one "step" or a "chunk" of steps through torch.compile."""

    def __init__(self, cell, inputs, hidden, compiled=None):
        super().__init__()
        step, gates, units = CELLS[cell]
        self.step = torch.compile(step) if compiled == "step" else step
        self.chunk = torch.compile(self.steps) if compiled == "chunk" else self.steps
        self.size = CHUNK if compiled == "chunk" else None
        self.weight_ih_l0 = torch.nn.Parameter(torch.empty(gates * hidden, inputs))
        self.weight_hh_l0 = torch.nn.Parameter(torch.empty(gates * hidden, hidden))
        self.bias_ih_l0 = torch.nn.Parameter(torch.empty(gates * hidden))
        self.units = [f"weight_{unit}_l0" for unit in units]
        for name in self.units:
            self.register_parameter(name, torch.nn.Parameter(torch.empty(hidden)))

    def steps(self, pre, h, c, w, units):
        ys = []
        for at in pre:
            h, c = self.step(at, h, c, w, units)
            ys.append(h)
        return ys, h, c

    def forward(self, x, state=None):
        pre = torch.nn.functional.linear(x, self.weight_ih_l0, self.bias_ih_l0).unbind(0)
        w, units = self.weight_hh_l0.t(), [getattr(self, name) for name in self.units]
        h = c = x.new_zeros(x.shape[1], w.shape[0])
        ys, size = [], self.size or len(pre)
        for start in range(0, len(pre), size):
            y, h, c = self.chunk(pre[start : start + size], h, c, w, units)
            ys += y
        return torch.stack(ys), h

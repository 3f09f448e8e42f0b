"""Goldens of the cells that PyTorch has: outputs, final states and every gradient, in float64 from `torch.nn`.

    python golden/torch_cells.py [--check]
"""

import os

# The plain code paths: the same sums on every x86 processor.
os.environ["ATEN_CPU_CAPABILITY"] = "default"
os.environ["MKL_CBWR"] = "COMPATIBLE"

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from common import B, GRID, H, I, LENGTHS, P, T, Draw, case_name, draw_inputs, finish

# name: module, its options, its states with their widths
CELLS = {
    "elman": (torch.nn.RNN, {"nonlinearity": "tanh"}, {"h": H}),
    "elman-relu": (torch.nn.RNN, {"nonlinearity": "relu"}, {"h": H}),
    "lstm": (torch.nn.LSTM, {}, {"h": H, "c": H}),
    "lstm-projected": (torch.nn.LSTM, {"proj_size": P}, {"h": P, "c": H}),
    "gru-reset-after": (torch.nn.GRU, {}, {"h": H}),
}


def parameters_of(module):
    """{name: shape} of a one-layer module, names without the layer's number."""
    return {name.removesuffix("_l0"): tuple(p.shape) for name, p in module.named_parameters()}


def run(module, x, states, lengths):
    """(output, final states) of a torch module, packed when there are lengths."""
    packed = x if lengths is None else pack_padded_sequence(x, lengths, enforce_sorted=False)
    out, final = module(packed, states[0] if len(states) == 1 else tuple(states))
    if lengths is not None:
        out, _ = pad_packed_sequence(out, total_length=T)
    return out, [final] if len(states) == 1 else list(final)


def forward_layers(kind, options, layers, leaves, x, lengths):
    """`layers` layers in one torch module."""
    module = kind(I, H, num_layers=layers, dtype=torch.float64, **options)
    names = [name for name, _ in module.named_parameters()]
    states = [torch.stack([leaves[f"{s}0_l{k}"] for k in range(layers)]) for s in leaves["states"]]

    def call(x, *states):
        return run(module, x, states, lengths)

    return functional(module, call, {name: leaves[name] for name in names}, x, *states)


def reverse_layers(kind, options, layers, leaves, x, lengths):
    """`layers` layers, each the reverse half of a bidirectional torch module; the next one's input is that half alone."""
    finals = []
    for k in range(layers):
        module = kind(x.shape[-1], H, bidirectional=True, dtype=torch.float64, **options)
        width = leaves[f"h0_l{k}"].shape[-1]
        weights = {}
        for name, parameter in module.named_parameters():
            mine = name.removesuffix("_reverse").replace("_l0", f"_l{k}")
            weights[name] = leaves[mine] if name.endswith("_reverse") else torch.zeros_like(parameter)
        states = [torch.stack([torch.zeros_like(leaves[f"{s}0_l{k}"]), leaves[f"{s}0_l{k}"]]) for s in leaves["states"]]

        def call(x, *states, module=module):
            return run(module, x, states, lengths)

        out, final = functional(module, call, weights, x, *states)
        x = out[..., width:]
        finals.append([s[1] for s in final])
    return x, [torch.stack(list(s)) for s in zip(*finals)]


def functional(module, call, weights, *arguments):
    """Calls the module with these tensors as its parameters."""

    class Holder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, *arguments):
            return call(*arguments)

    return torch.func.functional_call(Holder(), {f"inner.{k}": v for k, v in weights.items()}, arguments)


def make(seed, kind, options, states):
    def shapes(layer):
        return parameters_of(kind(states["h"] if layer else I, H, dtype=torch.float64, **options))

    shared = draw_inputs(Draw(seed), shapes, states, states["h"])
    tensors = dict(shared)
    cases = [(*c, False) for c in GRID] + [(1, False, True, True)]
    for layers, reverse, lengths, tokens in cases:
        name = case_name(layers, reverse, lengths, *(["tokens"] if tokens else []))
        leaves = {
            k: torch.tensor(v, requires_grad=True)
            for k, v in shared.items()
            if v.dtype.kind == "f" and not k.startswith("d_") and (layers == 2 or not k.endswith("_l1"))
        }
        leaves.pop("input" if tokens else "table")
        x = leaves["table"][torch.tensor(shared["ids"])] if tokens else leaves["input"]
        build = reverse_layers if reverse else forward_layers
        y, final = build(kind, options, layers, leaves | {"states": list(states)}, x, LENGTHS if lengths else None)
        loss = (y * torch.tensor(shared["d_output"])).sum()
        for s, value in zip(states, final):
            for k in range(layers):
                tensors[f"{name}.{s}n_l{k}"] = value[k].detach().numpy()
                loss = loss + (value[k] * torch.tensor(shared[f"d_{s}n_l{k}"])).sum()
        loss.backward()
        tensors[f"{name}.output"] = y.detach().numpy()
        for k, leaf in leaves.items():
            tensors[f"{name}.d_{k}"] = leaf.grad.numpy()
    return tensors


if __name__ == "__main__":
    torch.set_num_threads(1)
    files = {cell: make(seed, *definition) for seed, (cell, definition) in enumerate(CELLS.items(), 1)}
    finish(files, "torch_cells.py")

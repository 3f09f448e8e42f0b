"""Goldens of whole networks that PyTorch has: outputs, final states and every gradient, in float64 from `torch.nn`.

    python golden/torch_networks.py [--check] [FILE ...]

`bidirectional-lstm` has a layout of its own (golden/README.md); the others have that of networks.py.
"""

import os

# The plain code paths: the same sums on every x86 processor.
os.environ["ATEN_CPU_CAPABILITY"] = "default"
os.environ["MKL_CBWR"] = "COMPATIBLE"

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from common import B, H, I, LENGTHS, P, T, V, Draw, finish

LAYERS = 2


def bidirectional_lstm(seed):
    """Two layers, both directions, from states that are not zero; whole rows, then rows of different lengths, packed."""
    draw = Draw(seed)
    module = torch.nn.LSTM(I, H, num_layers=LAYERS, bidirectional=True, dtype=torch.float64)
    tensors = {"sizes": np.array([I, H, H]), "lengths": np.array(LENGTHS), "input": draw.uniform(T, B, I)}
    tensors["d_output"] = draw.uniform(T, B, 2 * H)
    for state in ("h", "c"):
        tensors[f"{state}0"] = draw.uniform(2 * LAYERS, B, H)
        tensors[f"d_{state}n"] = draw.uniform(2 * LAYERS, B, H)
    for name, parameter in module.named_parameters():
        tensors[name] = draw.uniform(*parameter.shape, scale=0.8)
        parameter.data = torch.tensor(tensors[name])
    shared = {name: torch.tensor(value) for name, value in tensors.items()}

    for case in ("whole", "lengths"):
        module.zero_grad()
        x, h0, c0 = (shared[name].clone().requires_grad_() for name in ("input", "h0", "c0"))
        packed = pack_padded_sequence(x, LENGTHS, enforce_sorted=False) if case == "lengths" else x
        y, (hn, cn) = module(packed, (h0, c0))
        if case == "lengths":
            y, _ = pad_packed_sequence(y, total_length=T)
        loss = (y * shared["d_output"]).sum() + (hn * shared["d_hn"]).sum() + (cn * shared["d_cn"]).sum()
        loss.backward()
        results = {"output": y, "hn": hn, "cn": cn, "d_input": x.grad, "d_h0": h0.grad, "d_c0": c0.grad}
        results |= {f"d_{name}": parameter.grad for name, parameter in module.named_parameters()}
        tensors |= {f"{case}.{name}": value.detach().numpy().copy() for name, value in results.items()}
    return tensors


def module(draw, kind, *sizes, second_bias=False, **options):
    """A torch module with drawn parameters. Ours has one bias a gate: the second one is 0, unless both are kept."""
    made = kind(*sizes, dtype=torch.float64, **options)
    for name, parameter in made.named_parameters():
        kept = second_bias or not name.startswith("bias_hh")
        parameter.data = torch.tensor(draw.uniform(*parameter.shape, scale=0.8)) if kept else torch.zeros_like(parameter)
    return made


def named(made, prefix="", second_bias=False):
    """Its parameters under our names."""
    return {prefix + name: p for name, p in made.named_parameters() if second_bias or not name.startswith("bias_hh")}


def leaf(draw, *shape, scale=1.0):
    return torch.tensor(draw.uniform(*shape, scale=scale), requires_grad=True)


def golden(draw, leaves, outputs, more=()):
    """Leaves, outputs, drawn gradients by the outputs, and those of their sum by every leaf: the layout of networks.py."""
    tensors, loss = dict(more), 0
    for name, value in outputs.items():
        weight = draw.uniform(*value.shape)
        tensors |= {name: value.detach().numpy(), f"d_{name}": weight}
        loss = loss + (value * torch.tensor(weight)).sum()
    loss.backward()
    for name, value in leaves.items():
        tensors |= {name: value.detach().numpy().copy(), f"d_{name}": value.grad.numpy().copy()}
    return tensors


def run(made, x, states, lengths=None):
    """Output and final states, from states of (directions, B, H); packed when there are lengths."""
    packed = x if lengths is None else pack_padded_sequence(x, lengths, enforce_sorted=False)
    y, final = made(packed, states[0] if len(states) == 1 else tuple(states))
    if lengths is not None:
        y, _ = pad_packed_sequence(y, total_length=T)
    return y, [final] if len(states) == 1 else list(final)


def stack(seed, widths, lengths=None, residual=False):
    """nn.RNN, nn.LSTM and nn.GRU one over the other. With `residual`, a layer above the first adds its input to its output
    (He et al. 2016, "Deep residual learning", equation 1), and all outputs are read side by side."""
    draw = Draw(seed)
    leaves = {"x": leaf(draw, T, B, I)}
    y, width, outputs, finals = leaves["x"], I, [], {}
    for l, (kind, hidden) in enumerate(zip((torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU), widths)):
        both = kind is torch.nn.GRU  # the reset gate stands between its candidate's two
        made = module(draw, kind, width, hidden, second_bias=both)
        leaves |= {f"layers.{l}.{name}": p for name, p in named(made, second_bias=both).items()}
        states = ["h", "c"] if kind is torch.nn.LSTM else ["h"]
        leaves |= {f"{s}0_l{l}": leaf(draw, B, hidden) for s in states}
        out, final = run(made, y, [leaves[f"{s}0_l{l}"][None] for s in states], lengths)
        finals |= {f"{s}_l{l}": value[0] for s, value in zip(states, final)}
        y = out + y if residual and l else out
        outputs.append(y)
        width = hidden
    y = torch.cat(outputs, 2) if residual else y
    more = {"sizes": np.array([I, *widths])} | ({"lengths": np.array(lengths)} if lengths else {})
    return golden(draw, leaves, {"y": y} | finals, more)


def bidirectional_sum(seed):
    """Two layers of nn.LSTM(bidirectional=True), packed rows, whose halves are added: Schuster & Paliwal 1997 with a sum for
    the merged output."""
    draw = Draw(seed)
    leaves = {"x": leaf(draw, T, B, I)}
    y, finals = leaves["x"], {}
    for l in (0, 1):
        made = module(draw, torch.nn.LSTM, y.shape[-1], H, bidirectional=True)
        leaves |= {name.replace("_l0", f"_l{l}"): p for name, p in named(made).items()}
        leaves |= {f"{s}0_{2 * l + d}": leaf(draw, B, H) for d in (0, 1) for s in "hc"}
        start = [torch.stack([leaves[f"{s}0_{2 * l + d}"] for d in (0, 1)]) for s in "hc"]
        y, final = run(made, y, start, LENGTHS)
        y = y[..., :H] + y[..., H:]
        finals |= {f"{s}_{2 * l + d}": value[d] for d in (0, 1) for s, value in zip("hc", final)}
    return golden(draw, leaves, {"y": y} | finals, {"sizes": np.array([I, H]), "lengths": np.array(LENGTHS)})


# Width, taps, dilation and activation of each layer of the time-delay network.
TDNN = [(5, 2, 1, torch.tanh), (4, 3, 2, torch.sigmoid), (2, 1, 1, lambda a: a)]


def tdnn(seed, causal):
    """Waibel et al. 1989, section II (its equations are unnumbered): windows over time with the same weights, which is nn.Conv1d.
    `causal`: zeros before the beginning, as many as a layer reaches back; else whole windows only."""
    draw = Draw(seed)
    leaves = {"x": leaf(draw, 2 * T, B, I)}
    y = leaves["x"].permute(1, 2, 0)
    for l, (width, taps, dilation, activation) in enumerate(TDNN):
        weight, bias = leaf(draw, width, y.shape[1], taps, scale=0.8), leaf(draw, width, scale=0.8)
        leaves |= {f"layers.{l}.weight": weight, f"layers.{l}.bias": bias}
        y = torch.nn.functional.pad(y, ((taps - 1) * dilation, 0)) if causal else y
        y = activation(torch.nn.functional.conv1d(y, weight, bias, dilation=dilation))
    return golden(draw, leaves, {"y": y.permute(2, 0, 1)})


def mlp(seed):
    """nn.Linear, tanh, nn.Linear, tanh, nn.Linear, the logistic function."""
    draw = Draw(seed)
    leaves = {"x": leaf(draw, T, B, I)}
    y = leaves["x"]
    for l, (width, activation) in enumerate([(5, torch.tanh), (3, torch.tanh), (2, torch.sigmoid)]):
        made = module(draw, torch.nn.Linear, y.shape[-1], width)
        leaves |= named(made, f"layers.{l}.")
        y = activation(made(y))
    return golden(draw, leaves, {"y": y})


def language_model(seed, by_loss):
    """nn.Embedding, two layers of nn.LSTM from a learned state, nn.Linear, and the cross-entropy of the ten targets that count. Gradients are of
    the loss, or of the logits; the loss then stands beside them."""
    draw = Draw(seed)
    table, rnn = module(draw, torch.nn.Embedding, V, I), module(draw, torch.nn.LSTM, I, H, num_layers=2)
    readout = module(draw, torch.nn.Linear, H, V)
    leaves = named(table, "embedding.") | named(rnn, "rnn.") | named(readout, "readout.")
    initial = {f"initial.layers.{l}.{k}": leaf(draw, H) for l in (0, 1) for k in (0, 1)}
    ids, targets = draw.ids(T, B), draw.ids(T, B)
    targets[np.arange(T)[:, None] >= np.array(LENGTHS)] = -100
    targets[1, 0] = -100
    start = [torch.stack([initial[f"initial.layers.{l}.{k}"].expand(B, H) for l in (0, 1)]) for k in (0, 1)]
    y, _ = run(rnn, table(torch.tensor(ids)), start, LENGTHS)
    logits = readout(y).reshape(T * B, V)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(targets).reshape(-1), ignore_index=-100)
    more = {"ids": ids, "targets": targets, "lengths": np.array(LENGTHS)}
    if by_loss:
        return golden(draw, leaves | initial, {"loss": loss[None]}, more)
    return golden(draw, leaves | initial, {"logits": logits}, more | {"loss": loss[None].detach().numpy()})


def sequence(seed, last):
    """nn.GRU and nn.Linear. `last`: one class at the last valid step of a row; else numbers at every valid step."""
    draw = Draw(seed)
    rnn, readout = module(draw, torch.nn.GRU, I, H, second_bias=True), module(draw, torch.nn.Linear, H, P)
    leaves = named(rnn, "rnn.", second_bias=True) | named(readout, "readout.")
    x, classes, values = draw.uniform(T, B, I), np.array([1, -100, 0]), draw.uniform(T, B, P)
    y, (h_n,) = run(rnn, torch.tensor(x), [torch.zeros(1, B, H, dtype=torch.float64)], LENGTHS)
    more = {"sizes": np.array([I, H, P]), "x": x, "lengths": np.array(LENGTHS)}
    if last:
        predictions = readout(h_n[0])
        loss = torch.nn.functional.cross_entropy(predictions, torch.tensor(classes), ignore_index=-100)
        return golden(draw, leaves, {"loss": loss[None], "predictions": predictions}, more | {"classes": classes})
    predictions = readout(y)
    valid = torch.tensor(np.arange(T)[:, None] < np.array(LENGTHS))
    loss = ((predictions - torch.tensor(values))[valid] ** 2).mean()
    return golden(draw, leaves, {"loss": loss[None], "predictions": predictions.reshape(T * B, P)}, more | {"values": values})


FILES = {
    "bidirectional-lstm": lambda: bidirectional_lstm(101),
    "bidirectional-sum": lambda: bidirectional_sum(102),
    "stack": lambda: stack(103, [5, 4, 3]),
    "stack-lengths": lambda: stack(104, [5, 4, 3], LENGTHS),
    "stack-residual": lambda: stack(105, [3, 3, 3], residual=True),
    "tdnn": lambda: tdnn(106, True),
    "tdnn-windows": lambda: tdnn(107, False),
    "mlp": lambda: mlp(108),
    "language-model": lambda: language_model(109, False),
    "language-model-loss": lambda: language_model(110, True),
    "sequence-last": lambda: sequence(111, True),
    "sequence-every": lambda: sequence(112, False),
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    finish({f"networks/{name}": make for name, make in FILES.items()}, "torch_networks.py")

"""Goldens of whole networks that PyTorch has: outputs, final states and every gradient, in float64 from `torch.nn`.

    python golden/torch_networks.py [--check]
"""

import os

# The plain code paths: the same sums on every x86 processor.
os.environ["ATEN_CPU_CAPABILITY"] = "default"
os.environ["MKL_CBWR"] = "COMPATIBLE"

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from common import B, H, I, LENGTHS, T, Draw, finish

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


if __name__ == "__main__":
    torch.set_num_threads(1)
    finish({"networks/bidirectional-lstm": bidirectional_lstm(101)}, "torch_networks.py")

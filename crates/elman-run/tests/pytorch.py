"""Makes pytorch.safetensors: small models as PyTorch saves them, and what they answer.
Made with torch 2.15.0, safetensors 0.8.0.
usage: python pytorch.py pytorch.safetensors"""
import sys, torch, torch.nn as nn
from safetensors.torch import save_file

V, E, H, P, L, T = 6, 5, 7, 3, 2, 9
torch.manual_seed(1)
tensors = {}
for cell, make in {
    "elman": lambda: nn.RNN(E, H, L),
    "lstm": lambda: nn.LSTM(E, H, L),
    "gru-reset-after": lambda: nn.GRU(E, H, L),
    "lstm-projected": lambda: nn.LSTM(E, H, L, proj_size=P),
}.items():
    rnn = make()
    model = nn.ModuleDict(dict(embedding=nn.Embedding(V, E), rnn=rnn, readout=nn.Linear(P if rnn.proj_size else H, V)))
    tensors |= {f"{cell}/{name}": value.clone() for name, value in model.state_dict().items()}
    # The answer in f64, from the same f32 parameters.
    model.double()
    ids = torch.randint(V, (T,))
    y, _ = model["rnn"](model["embedding"](ids)[:, None])
    logits = model["readout"](y[:, 0])
    nats = nn.functional.cross_entropy(logits[:-1], ids[1:])
    # Without a prompt: zero input first.
    x = torch.cat([torch.zeros(1, E, dtype=torch.float64), model["embedding"](ids)])
    first, _ = model["rnn"](x[:, None])
    tensors[f"{cell}:ids"] = ids.float()
    tensors[f"{cell}:logits"] = logits.detach()
    tensors[f"{cell}:nats"] = nats.detach().reshape(1)
    tensors[f"{cell}:from_zero"] = model["readout"](first[:, 0]).detach()
save_file(tensors, sys.argv[1])

"""Golden numbers of the optimisers: three parameters over five updates, by PyTorch 2.15 in float32.

python golden/optimisers.py > crates/elman/src/train/optimiser_golden.json
"""
import json
import math

import torch

RULES = {
    "adam": (lambda p: torch.optim.Adam(p, lr=0.01, foreach=False)),
    "adam-decay": (lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1, foreach=False)),
    "adam-epsilon": (lambda p: torch.optim.Adam(p, lr=0.01, eps=0.01, foreach=False)),
    "adam-decoupled": (lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, foreach=False)),
    "sgd": (lambda p: torch.optim.SGD(p, lr=0.05, foreach=False)),
    "sgd-momentum-decay": (lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1, foreach=False)),
    "rmsprop": (lambda p: torch.optim.RMSprop(p, lr=0.01, foreach=False)),
    "rmsprop-momentum-decay": (
        lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, weight_decay=0.1, foreach=False)
    ),
}
start = [0.5, -1.25, 2.0]
gradients = [[math.sin(1.0 + 3 * k + i) * 10.0 ** (i - 1) for i in range(3)] for k in range(5)]
out = {"start": start, "gradients": torch.tensor(gradients).tolist(), "rules": {}}
for name, make in RULES.items():
    p = torch.nn.Parameter(torch.tensor(start))
    optimiser = make([p])
    steps = []
    for g in gradients:
        p.grad = torch.tensor(g)
        optimiser.step()
        steps.append(p.tolist())
    out["rules"][name] = steps
print(json.dumps(out, indent=1))

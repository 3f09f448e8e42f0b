"""The character language model in PyTorch: the peer of `elman train char-lm`, at the same settings.

Embedding -> LSTM / GRU / RNN -> linear readout; contiguous streams with the state carried over; Adam; clipping by global
norm; the last tenth of the text scored as one stream from zero state. Prints one JSON object.
"""

import argparse
import json
import time

import torch
from torch import nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("text")
parser.add_argument("--cell", default="lstm", choices=["lstm", "gru", "rnn"])
parser.add_argument("--hidden", type=int, default=256)
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--seq-len", type=int, default=100)
parser.add_argument("--steps", type=int, default=1500)
parser.add_argument("--lr", type=float, default=0.002)
parser.add_argument("--clip", type=float, default=5.0)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

began = time.perf_counter()
torch.manual_seed(args.seed)
torch.set_num_threads(args.threads)

with open(args.text, encoding="utf-8") as file:
    text = file.read()
vocabulary = {c: i for i, c in enumerate(sorted(set(text)))}
ids = torch.tensor([vocabulary[c] for c in text])
held_out = ids[len(ids) - len(ids) // 10 :]
train = ids[: len(ids) - len(ids) // 10]
length = (len(train) - 1) // args.batch
inputs = train[: length * args.batch].view(args.batch, length)
targets = train[1 : length * args.batch + 1].view(args.batch, length)


class CharLm(nn.Module):
    def __init__(self):
        super().__init__()
        layer = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[args.cell]
        self.embedding = nn.Embedding(len(vocabulary), args.hidden)
        self.rnn = layer(args.hidden, args.hidden, batch_first=True)
        self.readout = nn.Linear(args.hidden, len(vocabulary))

    def forward(self, x, state):
        y, state = self.rnn(self.embedding(x), state)
        return self.readout(y), state


model = CharLm()
optimiser = torch.optim.Adam(model.parameters(), lr=args.lr)
loss_of = nn.CrossEntropyLoss()
state, position, step_times = None, 0, []
train_began = time.perf_counter()
for _ in range(args.steps):
    if position + args.seq_len > length:
        state, position = None, 0
    step_began = time.perf_counter()
    window = slice(position, position + args.seq_len)
    logits, state = model(inputs[:, window], state)
    state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
    loss = loss_of(logits.reshape(-1, len(vocabulary)), targets[:, window].reshape(-1))
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), args.clip)
    optimiser.step()
    position += args.seq_len
    step_times.append(time.perf_counter() - step_began)
train_seconds = time.perf_counter() - train_began

model.eval()
nats, tokens, state = 0.0, 0, None
with torch.no_grad():
    for start in range(0, len(held_out) - 1, 1000):
        x = held_out[start : start + 1000]
        y = held_out[start + 1 : start + 1001]
        logits, state = model(x[None, : len(y)], state)
        nats += nn.functional.cross_entropy(logits[0], y, reduction="sum").item()
        tokens += len(y)
step_times.sort()
print(
    json.dumps(
        {
            "peer": f"torch {torch.__version__}",
            "nats": nats / tokens,
            "tokens": tokens,
            "train_seconds": train_seconds,
            "seconds": time.perf_counter() - began,
            "step_ms": 1e3 * step_times[len(step_times) // 2],
        }
    )
)

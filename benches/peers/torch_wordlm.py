"""The word language model in PyTorch: the peer of `elman train word-lm --preset zaremba-small`, at the same settings.

Embedding -> two LSTM layers -> linear readout, every parameter uniform in +-range; contiguous streams with the state carried over;
the loss is the mean over steps and streams, plain gradient descent, clipping by global norm; the validation part scored as one stream
from zero state. PyTorch's LSTM has two biases a gate, Elman's one. Prints the mean loss of every hundred steps, then one JSON object.

    python benches/peers/torch_wordlm.py ../shared/data/ptb --steps 300
    elman train word-lm --data ../shared/data/ptb --preset zaremba-small --steps 300 --log-every 100 --out runs/ptb
"""

import argparse
import collections
import gzip
import json
import math
import pathlib
import time

import torch
from torch import nn

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--hidden", type=int, default=200)
parser.add_argument("--batch", type=int, default=20)
parser.add_argument("--seq-len", type=int, default=20)
parser.add_argument("--steps", type=int, default=2323)
parser.add_argument("--range", type=float, default=0.1)
parser.add_argument("--lr", type=float, default=20.0)
parser.add_argument("--clip", type=float, default=0.25)
parser.add_argument("--dropout", type=float, default=0.0)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--no-score", action="store_true", help="do not score the validation part")
args = parser.parse_args()

began = time.perf_counter()
torch.manual_seed(args.seed)
torch.set_num_threads(args.threads)


def words(part):
    plain, packed = (args.folder / f"ptb.{part}.txt{ending}" for ending in ("", ".gz"))
    opened = open(plain, encoding="utf-8") if plain.exists() else gzip.open(packed, "rt", encoding="utf-8")
    with opened as file:
        return file.read().replace("\n", " <eos> ").split()


train_words = words("train")
counts = collections.Counter(train_words)
vocabulary = {word: i for i, word in enumerate(sorted(counts, key=lambda word: (-counts[word], word)))}
train = torch.tensor([vocabulary[word] for word in train_words])
length = (len(train) - 1) // args.batch
inputs = train[: length * args.batch].view(args.batch, length).T.contiguous()
targets = train[1 : length * args.batch + 1].view(args.batch, length).T.contiguous()


class WordLm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(vocabulary), args.hidden)
        self.drop = nn.Dropout(args.dropout)
        self.rnn = nn.LSTM(args.hidden, args.hidden, num_layers=2, dropout=args.dropout)
        self.readout = nn.Linear(args.hidden, len(vocabulary))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -args.range, args.range)

    def forward(self, x, state):
        y, state = self.rnn(self.drop(self.embedding(x)), state)
        return self.readout(self.drop(y)), state


model = WordLm()
optimiser = torch.optim.SGD(model.parameters(), lr=args.lr)
state, position, losses, step_times = None, 0, [], []
for step in range(1, args.steps + 1):
    if position + args.seq_len > length:
        state, position = None, 0
    step_began = time.perf_counter()
    window = slice(position, position + args.seq_len)
    logits, state = model(inputs[window], state)
    state = tuple(s.detach() for s in state)
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets[window].flatten())
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), args.clip)
    optimiser.step()
    position += args.seq_len
    step_times.append(time.perf_counter() - step_began)
    losses.append(loss.item())
    if step % 100 == 0:
        print(f"step {step}: mean loss {sum(losses[-100:]) / 100:.4f} nats", flush=True)

result = {"peer": f"torch {torch.__version__}"}
if not args.no_score:
    model.eval()
    valid = torch.tensor([vocabulary[word] for word in words("valid")])
    nats, tokens, state = 0.0, 0, None
    with torch.no_grad():
        for start in range(0, len(valid) - 1, 1000):
            y = valid[start + 1 : start + 1001]
            logits, state = model(valid[start : start + len(y), None], state)
            nats += nn.functional.cross_entropy(logits[:, 0], y, reduction="sum").item()
            tokens += len(y)
    result |= {"nats": nats / tokens, "perplexity": math.exp(nats / tokens), "tokens": tokens}
step_times.sort()
print(json.dumps(result | {"seconds": time.perf_counter() - began, "step_ms": 1e3 * step_times[len(step_times) // 2]}))

"""PyTorch's side of `engine.py`: `python torch_worker.py THREADS`. A work's `onednn` says whether oneDNN may be used."""

import sys

import torch
from protocol import parameter, serve, tokens, values
from torch import nn
from torch_cells import CELLS, Loop

MODULES = {"lstm": nn.LSTM, "gru-reset-after": nn.GRU, "elman": nn.RNN}


def fill(module, spec):
    """Elman's parameters. Of PyTorch's two biases Elman has one, but for the GRU; the other is zero."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            if "bias_hh" in name and spec["cell"] != "gru-reset-after":
                p.zero_()
            else:
                p.copy_(torch.from_numpy(parameter(spec, name, tuple(p.shape))))


def flags(spec):
    return torch.backends.mkldnn.flags(enabled=spec.get("onednn", True))


class Layer:
    """Forward and backward of one layer; the loss is the sum of the output."""

    def __init__(self, spec):
        t, b, i, h = (spec[k] for k in "TBIH")
        self.spec = spec
        if spec["cell"] in CELLS:
            self.module = Loop(spec["cell"], i, h, spec.get("compiled"))
        else:
            self.module = MODULES[spec["cell"]](i, h)
        fill(self.module, spec)
        self.x = torch.from_numpy(values("x", (t, b, i))).requires_grad_()
        self.lengths = torch.tensor(spec["lengths"]) if spec.get("lengths") else None
        self.d_y = torch.ones(t, b, h)
        self.mixed = spec.get("precision") == "bf16"

    def run(self):
        with flags(self.spec):
            self.x.grad = None
            self.module.zero_grad()
            x = self.x
            if self.lengths is not None:
                x = nn.utils.rnn.pack_padded_sequence(x, self.lengths, enforce_sorted=False)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.mixed):
                y, _ = self.module(x)
            if self.lengths is not None:
                y, _ = nn.utils.rnn.pad_packed_sequence(y, total_length=self.spec["T"])
            y.backward(self.d_y.to(y.dtype))
            return y

    def check(self):
        y = self.run()
        gradients = {f"d_{name}": p.grad.numpy() for name, p in self.module.named_parameters()}
        return {"y": y.detach().float().numpy(), "d_x": self.x.grad.numpy(), **gradients}


class LanguageModel(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.embedding = nn.Embedding(spec["V"], spec["H"])
        self.rnn = MODULES[spec["cell"]](spec["H"], spec["H"], num_layers=spec["layers"])
        self.readout = nn.Linear(spec["H"], spec["V"])

    def forward(self, ids, state):
        y, state = self.rnn(self.embedding(ids), state)
        return self.readout(y), state


class Training:
    """A whole training step of a language model with the state carried over."""

    BATCHES = 4

    def __init__(self, spec):
        shape = (spec["T"], spec["B"])
        self.spec, self.model = spec, LanguageModel(spec)
        fill(self.model, spec)
        ids = [torch.from_numpy(tokens(f"ids{k}", shape, spec["V"])) for k in range(self.BATCHES)]
        targets = [torch.from_numpy(tokens(f"targets{k}", shape, spec["V"])).reshape(-1) for k in range(self.BATCHES)]
        self.batches, self.step, self.state = list(zip(ids, targets)), 0, None
        rules = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
        self.optimiser = rules[spec["rule"]](self.model.parameters(), lr=spec["rate"], fused=spec.get("fused", False))

    def run(self):
        with flags(self.spec):
            ids, targets = self.batches[self.step % self.BATCHES]
            logits, state = self.model(ids, self.state)
            self.state = tuple(s.detach() for s in state)
            loss = nn.functional.cross_entropy(logits.reshape(len(targets), -1), targets)
            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.spec["clip"])
            self.optimiser.step()
            self.step += 1
            return loss.item()

    def check(self):
        return {"loss": [self.run() for _ in range(3)]}


class Steps:
    """Streaming through LSTMCell: one row, one step at a time."""

    def __init__(self, spec):
        self.spec, self.cell = spec, nn.LSTMCell(spec["I"], spec["H"])
        with torch.no_grad():
            for name, p in self.cell.named_parameters():
                p.copy_(torch.from_numpy(parameter(spec, f"{name}_l0", tuple(p.shape))))
            self.cell.bias_hh.zero_()
        self.x = torch.from_numpy(values("x", (100, 1, spec["I"]))).unbind(0)
        self.state = (torch.zeros(1, spec["H"]), torch.zeros(1, spec["H"]))

    def advance(self, steps):
        # Threads are a setting of the process: each work sets its own.
        torch.set_num_threads(self.spec["threads"])
        with torch.inference_mode(), flags(self.spec):
            for k in range(steps):
                self.state = self.cell(self.x[k % 100], self.state)

    def run(self):
        self.advance(self.spec["steps"])

    def check(self):
        self.advance(50)
        return {"h": self.state[0].numpy()}


class Product:
    """A matrix product of PyTorch's, by which shares of the machine's rate are counted."""

    def __init__(self, spec):
        self.a, self.b = torch.rand(spec["M"], spec["K"]), torch.rand(spec["K"], spec["N"])
        self.out = torch.empty(spec["M"], spec["N"])

    def run(self):
        torch.mm(self.a, self.b, out=self.out)


KINDS = {"layer": Layer, "language-model": Training, "step": Steps, "product": Product}


def prepare(spec):
    torch.set_num_threads(spec["threads"])
    return KINDS[spec["kind"]](spec)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    serve(prepare)

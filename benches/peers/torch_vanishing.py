"""A gradient that vanishes, in PyTorch: an LSTM over 400 steps with a loss at the last one, one thread.

    python benches/peers/torch_vanishing.py
    cargo run --release -p elman-core --example engine_speed -- lstm 400 32 100 1 last

Prints milliseconds of forward and of backward, the median of nine passes, with subnormal numbers as they come (PyTorch's default) and taken for
zero. T, B and the width may be given as arguments.
"""

import statistics
import sys
import time

import torch


def milliseconds(lstm, x):
    began = time.perf_counter()
    y, _ = lstm(x)
    middle = time.perf_counter()
    y[-1].sum().backward()
    return 1e3 * (middle - began), 1e3 * (time.perf_counter() - middle)


def main():
    steps, batch, width = map(int, sys.argv[1:] or (400, 32, 100))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(width, width)
    x = torch.randn(steps, batch, width, requires_grad=True)
    for flush in (False, True):
        if torch.set_flush_denormal(flush) is False:
            sys.exit("this processor cannot take subnormal numbers for zero")
        milliseconds(lstm, x)
        forward, backward = zip(*(milliseconds(lstm, x) for _ in range(9)))
        name = "taken for zero" if flush else "as they come"
        print(f"subnormal numbers {name}: forward {statistics.median(forward):.0f} ms, backward {statistics.median(backward):.0f} ms")


if __name__ == "__main__":
    main()

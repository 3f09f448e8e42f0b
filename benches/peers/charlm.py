"""Runs `elman train char-lm` and PyTorch in turn on one text and prints quality, time and memory side by side.

    python benches/peers/charlm.py --text input.txt --elman target/release/elman --seeds 1 2 3

Both see the same settings. Time and memory are of the whole process (start, reading, training, scoring), by the operating
system's account of it. With --tuned the peer also runs with an allocator that keeps its pages.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from worker import TUNED

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--text", required=True)
parser.add_argument("--elman", default="target/release/elman")
parser.add_argument("--cell", default="lstm", choices=["lstm", "gru", "rnn"])
parser.add_argument("--hidden", default="256")
parser.add_argument("--batch", default="64")
parser.add_argument("--seq-len", default="100")
parser.add_argument("--steps", default="1500")
parser.add_argument("--threads", default="2")
parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
parser.add_argument("--tuned", action="store_true")
args = parser.parse_args()

ELMAN_CELLS = {"lstm": "lstm", "gru": "gru-reset-after", "rnn": "elman"}


def run(command, extra=None):
    """Wall seconds, peak memory in MB, standard output."""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(extra or {})})
    out, err = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {child.returncode}:\n{err.decode()}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024, out


def elman(seed):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "run")
        command = [args.elman, "train", "char-lm", "--data", args.text, "--out", out, "--seed", str(seed)]
        command += ["--cell", ELMAN_CELLS[args.cell], "--hidden", args.hidden, "--batch", args.batch]
        command += ["--seq-len", args.seq_len, "--steps", args.steps, "--lr", "0.002", "--threads", args.threads]
        seconds, memory, _ = run(command)
        # Without --data, `eval` scores the run's own held-out part.
        return seconds, memory, json.loads(run([args.elman, "eval", out, "--json"])[2])["nats"]


def torch(seed, extra=None):
    script = os.path.join(os.path.dirname(__file__), "torch_charlm.py")
    command = [sys.executable, script, args.text, "--cell", args.cell, "--hidden", args.hidden, "--batch", args.batch]
    command += ["--seq-len", args.seq_len, "--steps", args.steps, "--seed", str(seed), "--threads", args.threads]
    seconds, memory, out = run(command, extra)
    return seconds, memory, json.loads(out)["nats"]


peers = {"elman": elman, "torch": torch}
if args.tuned:
    peers["torch tuned"] = lambda seed: torch(seed, {"GLIBC_TUNABLES": TUNED})
results = {name: [] for name in peers}
print(f"{'seed':>4} {'peer':<12} {'seconds':>8} {'peak MB':>8} {'nats':>7}")
for seed in args.seeds:
    for name, peer in peers.items():
        seconds, memory, nats = peer(seed)
        results[name].append((seconds, memory, nats))
        print(f"{seed:>4} {name:<12} {seconds:>8.1f} {memory:>8.0f} {nats:>7.4f}", flush=True)
print("medians:")
for name, rows in results.items():
    seconds, memory, nats = (statistics.median(column) for column in zip(*rows))
    ratio = statistics.median(other[0] / own[0] for other, own in zip(rows, results["elman"]))
    print(f"     {name:<12} {seconds:>8.1f} {memory:>8.0f} {nats:>7.4f}   time / elman's: {ratio:.2f}")

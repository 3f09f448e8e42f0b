"""Elman beside its peers on this machine: one command, one table.

    pip install -r benches/environment.txt            # in an environment outside the repository
    python benches/peers/engine.py > table.md         # everything: about half an hour
    python benches/peers/engine.py --only 'step|leaky' --rounds 9

Every peer runs in a process of its own; they take turns, and a row's figures are medians over the rounds. Elman is
measured through its library (Burn module, automatic differentiation, optimiser), the bare engine beside it. A ratio is
the peer's time over Elman's, or Elman's over the peer's where it says "of it". Results are compared first: standard error
says how far they agree. PyTorch runs with glibc's allocator as it is and told to keep its pages, with oneDNN and without;
the best counts. The last column is what a cache line takes from core to core and back: 60 ns where the cores share a cache, several
times that where a host has moved them apart, and passes on two threads with it. torch.compile needs a C++ compiler. candle is optional: `cargo build --release` in benches/peers/candle.

The machine must be idle: PyTorch's threads wait for each other, and a second busy process makes it ten times slower.
"""

import argparse
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version

from measure import Bench, note
from rows import all_rows
from table import header, lines
from worker import Workers, build_elman

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--only", default="", metavar="PATTERN", help="rows whose name has this regular expression")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it runs, figures mean nothing")
parser.add_argument("--list", action="store_true", help="names of the rows")
parser.add_argument("--worker", metavar="PATH", help="Elman's worker, where it is built already")


def machine(threads):
    """The machine and the peers' versions in a line."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next(l.split(":")[1].strip() for l in file if l.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()

    def of(package):
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return f"no {package}"

    return f"{name}, {threads} threads. {', '.join(map(of, ['torch', 'onnxruntime']))}."


def main():
    args = parser.parse_args()
    rows = [row for row in all_rows() if re.search(args.only, f"{row.name} {row.tags}")]
    if not rows:
        parser.error(f"no row has {args.only!r} in its name; --list shows them")
    if args.list:
        print("\n".join(row.name for row in rows))
        return
    workers = Workers(args.worker or build_elman(), args.threads)
    bench = Bench(workers, 1 if args.quick else args.rounds, args.threads, args.quick)
    print(machine(args.threads), end="\n\n")
    if args.quick:
        print("Sizes are cut to show that everything runs: the figures mean nothing.\n")
    print(header(), flush=True)
    for number, row in enumerate(rows, 1):
        note(f"{number}/{len(rows)} {row.name}")
        measured = bench.memory(row) if row.measure == "memory" else bench.time(row)
        print("\n".join(lines(row, *measured)), flush=True)
    workers.close()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

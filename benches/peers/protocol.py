"""What the peers' workers have in common: the numbers that all make in the same way, and the loop of requests.

A worker prepares works and runs them when told to; `bench_worker` of the crate `elman` lists the requests.
"""

import json
import os
import sys
import time

import numpy as np


def mix(name, n):
    """FNV-1a of a name, mixed with the indices 0 .. n by the finaliser of MurmurHash3."""
    salt = 0x811C9DC5
    for byte in name.encode():
        salt = (salt ^ byte) * 0x01000193 & 0xFFFFFFFF
    x = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(salt)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def values(name, shape, scale=1.0):
    """Numbers in [-scale, scale), of 24 bits."""
    unit = (mix(name, int(np.prod(shape))) >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)
    return (unit * np.float32(scale)).reshape(shape)


def tokens(name, shape, below):
    """Whole numbers below `below`."""
    return (mix(name, int(np.prod(shape))) % np.uint32(below)).astype(np.int64).reshape(shape)


def parameter(spec, name, shape):
    """The values of a parameter: uniform in ±1/√H, the embedding in ±1."""
    return values(name, shape, 1.0 if name == "embedding.weight" else np.float32(1) / np.sqrt(np.float32(spec["H"])))


def sample(array):
    """Up to 257 of the values, evenly spread from the first to the last."""
    flat = np.asarray(array).reshape(-1)
    n = min(flat.size, 257)
    return [float(flat[k * (flat.size - 1) // max(n - 1, 1)]) for k in range(n)]


def status(field):
    """A field of /proc/self/status in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


def memory(work):
    """By how much one run raises the resident memory above what it is before."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # sets the peak back to what is resident now
    before = status("VmRSS")
    work.run()
    return status("VmHWM") - before


def timed(work, calls, warm):
    """One call that is not timed if `warm`, then the seconds of each of `calls`."""
    if warm:
        work.run()
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        work.run()
        seconds.append(time.perf_counter() - began)
    return seconds


def serve(prepare):
    """Answers requests; `prepare(spec)` makes a work with `run()` and `check()`."""
    # Whatever a library prints, its compiler included, goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    works = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            match request["do"]:
                case "prepare":
                    works[request["id"]] = prepare(request["work"])
                    answer = {"operations": 0.0}
                case "check":
                    answer = {name: sample(array) for name, array in works[request["id"]].check().items()}
                case "time":
                    answer = {"seconds": timed(works[request["id"]], request["calls"], request["warm"])}
                case "memory":
                    answer = {"bytes": memory(works[request["id"]])}
                case "drop":
                    works.pop(request["id"], None)
                    answer = {}
        except Exception as error:  # one peer that cannot do one work does not end the run
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:120]}
        print(json.dumps(answer), file=answers, flush=True)

"""A peer in a process of its own, which lives as long as the bench: set-up is paid once and peers take turns."""

import itertools
import json
import os
import subprocess
import sys

# glibc's allocator told to keep its pages (huge ones): without it every step of training pays for page faults.
TUNED = ":".join(
    [
        "glibc.malloc.hugetlb=1",
        "glibc.malloc.mmap_max=0",
        "glibc.malloc.trim_threshold=8589934592",
        "glibc.malloc.top_pad=268435456",
    ]
)

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CANDLE = os.path.join(HERE, "candle")


class Failed(Exception):
    """A peer cannot do a work; the message goes into the table."""


class Worker:
    def __init__(self, name, command, extra=None):
        self.name = name
        environment = {**os.environ, **(extra or {})}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, **pipes)

    def ask(self, do, **request):
        try:
            self.process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": "its process ended; standard error says why"}
        if "error" in answer:
            raise Failed(answer["error"].replace("|", "/"))
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Workers:
    """Every peer's process, started when first asked for."""

    def __init__(self, elman, threads):
        python = lambda script: [sys.executable, "-W", "ignore", os.path.join(HERE, script), str(threads)]
        self.commands = {
            "elman": ([elman, str(threads)], {}),
            "torch": (python("torch_worker.py"), {}),
            "torch tuned": (python("torch_worker.py"), {"GLIBC_TUNABLES": TUNED}),
            "onnx": (python("onnx_worker.py"), {}),
            "candle": ([os.path.join(CANDLE, "target/release/worker")], {"RAYON_NUM_THREADS": str(threads)}),
        }
        self.running, self.ids = {}, itertools.count()

    def fresh(self, name):
        """A process of its own, for measuring memory."""
        command, extra = self.commands[name]
        if not os.path.exists(command[0]):
            raise Failed(f"not built: cargo build --release in {os.path.relpath(CANDLE, ROOT)}")
        return Worker(name, command, extra)

    def get(self, name):
        if name not in self.running or self.running[name].process.poll() is not None:
            self.running[name] = self.fresh(name)
        return self.running[name]

    def close(self):
        for worker in self.running.values():
            worker.close()


def build_elman():
    """Builds Elman's worker and returns where it is."""
    command = ["cargo", "build", "--release", "-p", "elman", "--example", "bench_worker", "--message-format=json"]
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    artefacts = [json.loads(line) for line in output.splitlines()]
    return next(a["executable"] for a in reversed(artefacts) if a.get("executable"))

"""Measuring one row: prepare every side, compare results, then let the sides take turns."""

import statistics
import sys
import time
from dataclasses import dataclass, field

import numpy as np
from rows import LARGE_PRODUCT, LAYER_PRODUCT, Side, quick
from worker import Failed

# A turn of a side repeats its work for about this long.
TURN = 0.2
# A work that takes longer than this has no untimed call in its turn, and fewer turns.
SLOW = 3.0


@dataclass
class Timed:
    """A side with the median seconds of each of its turns."""

    side: Side
    turns: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)  # ns of a cache line from core to core and back, before its turns
    operations: float = 0.0
    bytes: float = 0.0
    ran: str = ""  # the precision, where the work asked for one
    error: str = ""
    id: str = ""
    calls: int = 1
    slow: bool = False

    @property
    def value(self):
        return statistics.median(self.turns)


def note(text):
    print(text, file=sys.stderr, flush=True)


class Bench:
    def __init__(self, workers, rounds, threads, is_quick):
        self.workers, self.rounds, self.threads, self.quick = workers, rounds, threads, is_quick

    def prepare(self, side):
        timed = Timed(side, id=str(next(self.workers.ids)))
        work = {"threads": self.threads, **side.work}
        timed.side = Side(side.worker, quick(work) if self.quick else work)
        self.attempt(timed, "prepare", work=timed.side.work)
        return timed

    def attempt(self, timed, do, worker=None, **request):
        """Asks; a failure stays with the side."""
        if timed.error:
            return {}
        try:
            answer = (worker or self.workers.get(timed.side.worker)).ask(do, id=timed.id, **request)
        except Failed as failure:
            timed.error = str(failure)
            return {}
        timed.operations = answer.get("operations", timed.operations)
        timed.ran = answer.get("ran", timed.ran)
        return answer

    def check(self, row, elman, engine, peers):
        """Compares results: where they differ, the works are not the same."""
        own = self.attempt(elman, "check")
        others = [("the bare engine", timed, 1e-4) for timed in engine]
        others += [(peer.label, timed, peer.tolerance) for peer, sides in peers if peer.same for timed in sides]
        found = {}
        for label, timed, tolerance in others:
            theirs = self.attempt(timed, "check")
            for name in own.keys() & theirs.keys() if not timed.error else ():
                # Infinite and NaN come as nothing, and numpy's maximum keeps NaN.
                a, b = np.array(own[name], float), np.array(theirs[name], float)
                difference = np.abs(a - b).max() / max(1.0, np.abs(b).max())
                found.setdefault((label, tolerance), []).append(difference)
        for (label, tolerance), differences in found.items():
            worst = np.max(differences)
            agree = "agrees within" if worst <= tolerance else "DOES OTHER WORK: results differ by"
            note(f"  {label} {agree} {worst:.0e}")

    def time(self, row):
        """Elman, the bare engine, the matrix products and [(peer, settings)], timed in turns."""
        elman = self.prepare(row.elman)
        engine = [self.prepare(row.engine)] if row.engine else []
        products = [self.prepare(Side("torch tuned", p)) for p in (LARGE_PRODUCT, LAYER_PRODUCT) if row.share]
        peers = [(peer, [self.prepare(side) for side in peer.settings]) for peer in row.peers]
        for timed in products:
            timed.operations = 2.0 * timed.side.work["M"] * timed.side.work["N"] * timed.side.work["K"]
        self.check(row, elman, engine, peers)
        sides = [elman, *engine, *products, *(timed for _, settings in peers for timed in settings)]
        for timed in sides:
            seconds = self.attempt(timed, "time", calls=1, warm=True).get("seconds", [0.0])[0]
            timed.calls = 1 if self.quick else max(1, min(50, round(TURN / max(seconds, 1e-6))))
            timed.slow = seconds > SLOW
        for turn in range(self.rounds):
            for timed in sides[turn % len(sides) :] + sides[: turn % len(sides)]:
                if timed.error or (timed.slow and turn > 1):
                    continue
                # The threads of the side before may still spin for work.
                time.sleep(0.02)
                if timed is elman and self.threads > 1:
                    timed.between.append(self.attempt(timed, "between").get("nanoseconds", 0.0))
                answer = self.attempt(timed, "time", calls=timed.calls, warm=not timed.slow)
                if answer:
                    timed.turns.append(statistics.median(answer["seconds"]) / timed.side.work.get("steps", 1))
        for timed in sides:
            self.attempt(timed, "drop")
        return elman, engine, products, peers

    def memory(self, row):
        """The same with bytes beyond x, y and their gradients, each side in a process of its own."""

        def growth(side):
            timed = Timed(Side(side.worker, {"threads": self.threads, **side.work}), id="work")
            if self.quick:
                timed.side.work = {**timed.side.work, "T": 1000}
            try:
                worker = self.workers.fresh(side.worker)
            except Failed as failure:
                timed.error = str(failure)
                return timed
            # What a library sets up once is no part of the work.
            short = {**timed.side.work, "T": 20}
            self.attempt(timed, "prepare", worker, work=short)
            self.attempt(timed, "time", worker, calls=1, warm=True)
            self.attempt(timed, "drop", worker)
            self.attempt(timed, "prepare", worker, work=timed.side.work)
            answer = self.attempt(timed, "memory", worker)
            worker.close()
            work = timed.side.work
            # y and the gradient of x are made during the pass, and in Burn the gradient of y as well.
            widths = work["I"] + work["H"] * (2 if work["kind"] == "module" else 1)
            if answer:
                timed.turns = [answer["bytes"] - 4.0 * work["T"] * work["B"] * widths]
            return timed

        engine = [growth(row.engine)] if row.engine else []
        return growth(row.elman), engine, [], [(peer, [growth(side) for side in peer.settings]) for peer in row.peers]

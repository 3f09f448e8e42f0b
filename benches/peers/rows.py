"""The works that `engine.py` compares: each row is a work of Elman's with its peers and the bars to reach."""

from dataclasses import dataclass

LARGE_PRODUCT = {"kind": "product", "M": 2048, "N": 2048, "K": 2048}
LAYER_PRODUCT = {"kind": "product", "M": 6400, "N": 1024, "K": 256}


@dataclass
class Side:
    """A work and who does it."""

    worker: str
    work: dict


@dataclass
class Peer:
    """Whom Elman is compared with. Of several settings the fastest counts."""

    label: str
    settings: list[Side]
    at_least: float | None = None  # bar: the peer's time over Elman's
    at_most: float | None = None  # bar: Elman's time (or memory) over the peer's
    per_operation: bool = False  # times are divided by the operations of the products
    same: bool = True  # the results must agree
    tolerance: float = 1e-4  # of the largest result, or of 1; f32 sums in another order


@dataclass
class Row:
    name: str
    elman: Side
    peers: list[Peer]
    engine: Side | None = None  # the bare engine beside the public path
    share: bool = False  # measure the matrix rate beside it
    share_at_least: float | None = None
    measure: str = "time"
    tags: str = ""  # further words for --only


def layer(cell, t, b, h, **more):
    return {"kind": "layer", "cell": cell, "T": t, "B": b, "I": h, "H": h, **more}


def module(work):
    return Side("elman", {**work, "kind": "module"})


def engine(work):
    return Side("elman", {**work, "kind": "engine"})


def torch(label, workers, works, **more):
    return Peer(label, [Side(worker, work) for worker in workers for work in works], **more)


def onednn(work):
    return [{**work, "onednn": on} for on in (True, False)]


def torch_twice(works, default=None, tuned=None, name="torch"):
    """PyTorch with both allocators."""
    return [
        torch(f"{name}, default", ["torch"], works, at_least=default),
        torch(f"{name}, tuned", ["torch tuned"], works, at_least=tuned),
    ]


def layers():
    """Layers that PyTorch has, forward and backward."""
    for cell, t, b, h, default, tuned, share in [
        ("lstm", 100, 64, 128, 1.6, 1.15, None),
        ("lstm", 100, 64, 256, 1.6, 1.15, 0.85),
        ("lstm", 100, 64, 512, 1.3, 1.0, 0.85),
        ("lstm", 35, 20, 650, 1.1, 1.05, None),
        ("lstm", 256, 16, 512, 1.3, 1.1, None),
        ("gru-reset-after", 100, 64, 256, 1.6, 1.6, None),
        ("gru-reset-after", 35, 20, 650, 1.6, 1.6, None),
        ("elman", 100, 64, 256, 1.4, 1.4, None),
        ("elman", 35, 20, 650, 1.4, 1.4, None),
    ]:
        work = layer(cell, t, b, h)
        # Only the LSTM has a path through oneDNN.
        peers = torch_twice(onednn(work) if cell == "lstm" else [work], default, tuned)
        if (cell, t, h) in [("lstm", 100, 128), ("lstm", 100, 256)]:
            peers.append(Peer("burn::nn::Lstm", [Side("elman", {**work, "kind": "burn-lstm"})]))
            peers.append(Peer("candle", [Side("candle", work)]))
        yield Row(f"{cell} {t},{b},{h}", module(work), peers, engine(work), share=True, share_at_least=share)


def cells():
    """Cells that PyTorch has not: against Elman's own LSTM, and against a loop written by hand."""
    lstm = module(layer("lstm", 100, 64, 256))
    for cell in ["lstm-peephole", "leaky", "elman-residual", "lstm-cifg"]:
        work, both = layer(cell, 100, 64, 256), ["torch", "torch tuned"]
        # The residual unit keeps its state as it is and adds to it: rounding grows with T instead of being forgotten.
        tolerance = 1e-3 if cell == "elman-residual" else 1e-4
        compiled = [{**work, "compiled": what} for what in ("step", "chunk")]
        peers = [
            Peer("elman lstm, per operation", [lstm], at_most=1.15, per_operation=True, same=False),
            torch("torch loop", both, [work], at_least=10, tolerance=tolerance),
            torch("torch.compile", both, compiled, at_least=3, tolerance=tolerance),
        ]
        yield Row(f"{cell} 100,64,256", module(work), peers, engine(work), share=True, tags="cells")


def lengths():
    """Rows of different lengths: uniform in 1 .. T, unsorted."""
    for t, b, h in [(100, 64, 256), (1000, 32, 128)]:
        padded = layer("lstm", t, b, h)
        # 37 has no factor in common with b: the order is mixed, and every length occurs once.
        work = {**padded, "lengths": [max(1, (row * 37 % b + 1) * t // b) for row in range(b)]}
        peers = [Peer("elman, padded", [module(padded)], at_most=0.65, same=False)]
        peers += torch_twice(onednn(work), 5, 5, name="PackedSequence")
        yield Row(f"lstm {t},{b},{h}, lengths 1..T", module(work), peers, engine(work), share=True)


def masks():
    """Variational dropout: one mask a row on the recurrent source."""
    plain = layer("lstm", 100, 64, 256)
    work = {**plain, "mask": True}
    peers = [Peer("elman, no mask", [module(plain)], at_most=1.03, same=False)]
    yield Row("lstm 100,64,256, recurrent mask", module(work), peers, engine(work), share=True)


def mixed():
    """Products in bf16 where a processor has instructions for them; elsewhere Elman runs f32, and the table says so."""
    for h in (256, 512):
        plain = layer("lstm", 100, 64, h)
        work = {**plain, "precision": "bf16"}
        # Numbers of 8 bits: 2^-8 an operand, and autocast keeps the output in them as well.
        peers = [Peer("elman, f32", [module(plain)], tolerance=2e-2)]
        for name, worker in [("default", "torch"), ("tuned", "torch tuned")]:
            # Without oneDNN its products in bf16 take minutes: never the best.
            peers.append(torch(f"torch autocast, {name}", [worker], [{**work, "onednn": True}], tolerance=5e-2, at_least=1.0))
        yield Row(f"lstm 100,64,{h}, bf16", module(work), peers, engine(work))


def language_models():
    """Whole steps: embedding, layers, readout, loss, clipping at 5, optimiser, state carried over."""
    char = {"V": 65, "H": 256, "layers": 1, "T": 100, "B": 64, "rule": "adam", "rate": 0.002}
    small = {"V": 10_000, "H": 200, "layers": 2, "T": 20, "B": 20, "rule": "sgd", "rate": 1.0}
    medium = {**small, "H": 650, "T": 35}
    for name, sizes, default, tuned in [
        ("char-LM step", char, 2.2, 1.5),
        ("Zaremba small step", small, 1.3, 1.3),
        ("Zaremba medium step", medium, 1.1, 1.1),
    ]:
        work = {"kind": "language-model", "cell": "lstm", "clip": 5.0, **sizes}
        works = [{**setting, "fused": fused} for setting in onednn(work) for fused in (True, False)]
        yield Row(name, Side("elman", work), torch_twice(works, default, tuned))


def steps():
    """One streaming step at batch 1; times are of one step."""
    for h in (128, 256, 512):
        for threads in (1, 2):
            work = {"kind": "step", "cell": "lstm", "I": h, "H": h, "steps": 1000, "threads": threads}
            for weights in ("f32", "bf16", "int8"):
                # Weights of 8 bits are within half a per cent, and a sum of many has a smaller error than its terms.
                tolerance = 1e-4 if weights == "f32" else 5e-3
                onnx, cell = {("f32", 128): (4, 5.5), ("f32", 256): (4, 5.5), ("bf16", 512): (5, None)}.get(
                    (weights, h), (None, None)
                )
                bound = [Side("onnx", {**work, "bound": bound}) for bound in (True, False)]
                cells = [Side(worker, setting) for worker in ("torch", "torch tuned") for setting in onednn(work)]
                peers = [
                    Peer("ONNX Runtime", bound, at_least=onnx, tolerance=tolerance),
                    Peer("LSTMCell", cells, at_least=cell, tolerance=tolerance),
                ]
                plural = "threads" if threads > 1 else "thread"
                elman = Side("elman", {**work, "format": weights})
                yield Row(f"lstm step, H={h}, {weights}, {threads} {plural}", elman, peers)


def long_sequences():
    """Time and memory of a long sequence: memory is what a pass needs beyond x, y and their gradients."""
    work = layer("lstm", 10_000, 8, 128)
    yield Row("lstm 10000,8,128", module(work), torch_twice(onednn(work), 2, 2), engine(work), share=True, tags="long")
    # In segments of the square root of T, nearly.
    segments = {**work, "recompute": "100"}
    peers = [Peer("elman, all kept", [module(work)]), *torch_twice(onednn(work))]
    yield Row("lstm 10000,8,128, recomputed", module(segments), peers, share=True, tags="long")
    for name, work, bar, bare in [("memory", work, 0.4, engine(work)), ("memory, recomputed", segments, 0.08, None)]:
        peers = [Peer("torch, default", [Side("torch", w) for w in onednn(work)], at_most=bar)]
        yield Row(f"lstm 10000,8,128, {name}", module(work), peers, bare, measure="memory", tags="long")


def all_rows():
    groups = [layers, cells, lengths, masks, mixed, language_models, steps, long_sequences]
    return [row for group in groups for row in group()]


def quick(work):
    """The same work at sizes that only show that it runs."""
    small = {"T": 12, "V": 300, "steps": 20, "M": 256, "N": 256, "K": 256}
    work = {**work, **{k: min(work[k], n) for k, n in small.items() if k in work}}
    if "lengths" in work:
        work["lengths"] = [1 + n % work["T"] for n in work["lengths"]]
    return work

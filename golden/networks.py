"""Goldens of networks that are no chains of cells: trees and the second-order network, from the papers' equations in plain numpy.

    python golden/networks.py [--check]

Writes golden/networks/*.safetensors. One node, or one row and one step, at a time; gradients are complex-step derivatives as in
equation_cells.py. Each file has the parameters under Elman's names, the inputs, the outputs, the gradients by the outputs (`d_h`, `d_c`, ...)
and the gradients of `Σ output · d_output` by every parameter and input (`d_<name>`).
"""

import numpy as np

from common import HERE, Draw, finish

EPSILON = 1e-30
I, H, ROWS = 4, 3, 6

# (input row or -1, children or -1) of each node; -1 as a child is an empty branch.
TREES = [
    [(0, -1, -1)],
    [(1, -1, -1), (2, -1, -1), (-1, 0, 1), (3, -1, -1), (-1, 2, 3), (0, -1, -1), (5, 4, 5)],
    [(-1, 2, -1), (2, -1, -1), (4, 1, 3), (5, -1, -1)],
]


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def states(trees, node_function):
    """Calls `node_function(row, children's states by branch, None for an empty one)` from the leaves up, for all nodes in their order."""
    all_states = []
    for tree in trees:
        def visit(node):
            row, *children = tree[node]
            return node_function(row, [None if c < 0 else visit(c) for c in children])
        all_states += [visit(node) for node in range(len(tree))]
    return all_states


def recursive(p, trees, branches):
    """h = tanh(W x + Σ_k U_k h_k + b); with a sum, one U for all children."""
    U = np.split(p["weight_h"], branches, axis=1) if branches else None

    def node(row, children):
        a = p["bias"] + (p["weight_x"] @ p["x"][row] if row >= 0 else 0)
        for k, h in enumerate(children):
            if h is not None:
                a = a + (U[k] if branches else p["weight_h"]) @ h
        return np.tanh(a)

    return {"h": np.array(states(trees, node))}


def tree_lstm(p, trees, branches):
    """Tai, Socher & Manning 2015: equations 2 to 8 (child-sum), 9 to 14 (N-ary)."""
    Wi, Wo, Wu, Wf = np.split(p["weight_x"], 4)
    bi, bo, bu, bf = np.split(p["bias"], 4)
    Ui, Uo, Uu, *Uf = np.split(p["weight_h"], 3 + max(branches, 1))
    zero = np.zeros(H)

    def node(row, children):
        x = p["x"][row] if row >= 0 else np.zeros(I)
        if branches:
            below = np.concatenate([zero if child is None else child[0] for child in children])
        else:
            children = [child for child in children if child is not None]
            below = sum((child[0] for child in children), zero)
        i = sigmoid(Wi @ x + Ui @ below + bi)
        o = sigmoid(Wo @ x + Uo @ below + bo)
        u = np.tanh(Wu @ x + Uu @ below + bu)
        c = i * u
        for k, child in enumerate(children):
            if child is not None:
                f = sigmoid(Wf @ x + (Uf[k] @ below if branches else Uf[0] @ child[0]) + bf)
                c = c + f * child[1]
        return o * np.tanh(c), c

    both = states(trees, node)
    return {"h": np.array([h for h, _ in both]), "c": np.array([c for _, c in both])}


def second_order(p, lengths, ids=None):
    """Giles et al. 1992: h_i = g(Σ_jk W_ijk h_j x_k + b_i), g the logistic function. The state stays beyond a row's length."""
    x = p["table"][ids] if ids is not None else p["x"]
    steps, batch = x.shape[:2]
    out = [[None] * batch for _ in range(steps)]
    last = []
    for b in range(batch):
        h = p["h0"][b]
        for t in range(steps):
            if t < lengths[b]:
                h = sigmoid(np.einsum("ijk,j,k->i", p["weight"], h, x[t, b]) + p["bias"])
                out[t][b] = h
            else:
                out[t][b] = np.zeros_like(h)
        last.append(h)
    return {"y": np.array(out), "h_n": np.array(last)}


def golden(shared, wanted, function, draw):
    """`shared` and the outputs of `function(parameters)`, and the gradients by all that is `wanted`."""
    outputs = function(shared)
    weights = {f"d_{name}": draw.uniform(*value.shape) for name, value in outputs.items()}
    tensors = shared | outputs | weights
    for name in wanted:
        gradient = np.zeros(shared[name].shape)
        for place in np.ndindex(gradient.shape):
            moved = shared[name].astype(complex)
            moved[place] += 1j * EPSILON
            out = function(shared | {name: moved})
            gradient[place] = sum((out[k] * weights[f"d_{k}"]).sum() for k in out).imag / EPSILON
        tensors[f"d_{name}"] = gradient
    return tensors


def main():
    files = {}
    nodes = np.array([node for tree in TREES for node in tree])
    sizes = np.array([len(tree) for tree in TREES])
    for seed, (name, function, gates, forget) in enumerate([("recursive", recursive, 1, 0), ("tree-lstm", tree_lstm, 4, 1)]):
        for branches in (2, 0):
            draw = Draw(100 + 2 * seed + branches)
            k = max(branches, 1)
            rows = (gates - forget + forget * k) * H
            p = {"weight_x": draw.uniform(gates * H, I), "weight_h": draw.uniform(rows, k * H), "bias": draw.uniform(gates * H),
                 "x": draw.uniform(ROWS, I)}
            tensors = golden(p, list(p), lambda p, f=function, b=branches: f(p, TREES, b), draw)
            files[f"networks/{name}-{branches or 'sum'}"] = tensors | {"nodes": nodes, "sizes": sizes}

    lengths = np.array([3, 5, 1])
    draw = Draw(200)
    p = {"weight": draw.uniform(H, H, I), "bias": draw.uniform(H), "h0": draw.uniform(3, H), "x": draw.uniform(5, 3, I)}
    files["networks/second-order"] = golden(p, list(p), lambda p: second_order(p, lengths), draw) | {"lengths": lengths}
    ids = draw.rng.integers(0, I, (5, 3))
    del p["x"]
    p["table"] = np.eye(I)
    tokens = golden(p, ["weight", "bias", "h0"], lambda p: second_order(p, lengths, ids), draw)
    files["networks/second-order-tokens"] = tokens | {"lengths": lengths, "ids": ids}
    (HERE / "networks").mkdir(exist_ok=True)
    finish(files, "networks.py")


if __name__ == "__main__":
    main()

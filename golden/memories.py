"""Goldens of the two memories: Hopfield's network and the modern one of continuous states, from their papers' equations in plain numpy.

    python golden/memories.py [--check] [FILE ...]

Nothing here is differentiated. Of each start (`starts`) of a Hopfield network the files have the local fields, the energy, and what a recall
ends in: `<order>.state`, `<order>.sweeps` (the one that changes nothing is counted), `<order>.outcome` (0 a fixed point, 1 a cycle of two). The
orders are `in_order` (unit 0 first, each seeing what the others have become) and `synchronous`.
"""

from functools import partial

import numpy as np

from common import Draw, finish

N, STARTS = 12, 16


def sweep_in_order(s, field):
    s = s.copy()
    for i in range(len(s)):
        h = field(s, i)
        s[i] = s[i] if h == 0 else 1 if h > 0 else -1
    return s


def sweep_synchronous(s, field):
    h = [field(s, i) for i in range(len(s))]
    return np.array([old if h == 0 else 1 if h > 0 else -1 for old, h in zip(s, h)])


def recall(s, field, sweep):
    """The last state, how many sweeps were made, and whether it is a fixed point (0) or goes back and forth (1)."""
    history = [s]
    while True:
        history.append(sweep(history[-1], field))
        if (history[-1] == history[-2]).all():
            return history[-1], len(history) - 1, 0
        if len(history) > 2 and (history[-1] == history[-3]).all():
            assert sweep is sweep_synchronous
            return history[-1], len(history) - 1, 1


def hopfield(weights, thresholds, field, starts):
    """`field(s, i)` is a number of the sign of unit i's local field."""
    s = np.asarray(starts, float)
    tensors = {"weights": weights, "thresholds": thresholds, "starts": np.array(starts)}
    tensors["fields"] = np.array([[sum(weights[i, j] * s[j] for j in range(N)) - thresholds[i] for i in range(N)] for s in s])
    # Amit, Gutfreund & Sompolinsky 1985 (unnumbered here), with thresholds: E = -1/2 s'W s + theta's.
    tensors["energy"] = np.array([-0.5 * s @ weights @ s + thresholds @ s for s in s])
    for name, sweep in [("in_order", sweep_in_order), ("synchronous", sweep_synchronous)]:
        ends = [recall(start, field, sweep) for start in starts]
        for k, what in enumerate(["state", "sweeps", "outcome"]):
            tensors[f"{name}.{what}"] = np.array([end[k] for end in ends])
    return tensors


def random_starts(draw, patterns=()):
    """Random states, and the patterns with two units turned over."""
    starts = list(draw.rng.choice([-1, 1], (STARTS, N)))
    for pattern in patterns:
        noisy = pattern.copy()
        noisy[draw.rng.permutation(N)[:2]] *= -1
        starts.append(noisy)
    return starts


def hopfield_1982(seed):
    """Hopfield 1982 as he wrote it: bits V, V_i -> 1 if Σ_j T_ij V_j > U_i, -> 0 if it is less [equation 1]; symmetric T without a
    diagonal. With s = 2 V - 1 that is W = T / 2 and theta_i = U_i - 1/2 Σ_j T_ij."""
    draw = Draw(seed)
    half = np.tril(draw.uniform(N, N), -1)
    T, U = half + half.T, draw.uniform(N)
    starts = random_starts(draw)
    # All numbers are multiples of 2^-10: the sums are exact.
    files = hopfield(T / 2, U - T.sum(1) / 2, lambda s, i: sum(T[i, j] * ((s[j] + 1) // 2) for j in range(N)) - U[i], starts)
    return files | {"T": T, "U": U}


def hebbian(seed):
    """Hopfield 1982, equation 2: T_ij = Σ_s (2 V_i^s - 1) (2 V_j^s - 1), T_ii = 0; as Amit et al. 1985 scale it, by 1/N."""
    draw = Draw(seed)
    patterns = draw.rng.choice([-1, 1], (4, N))
    sums = np.array([[0 if i == j else sum(xi[i] * xi[j] for xi in patterns) for j in range(N)] for i in range(N)])
    # Whole numbers, so that a field of 0 is one.
    field = lambda s, i: int(sums[i] @ s)
    return hopfield(sums / N, np.zeros(N), field, random_starts(draw, patterns)) | {"patterns": patterns}


def pseudo_inverse(seed):
    """Personnaz, Guyon & Dreyfus 1985 (unnumbered here): W = Ξ Ξ⁺, the patterns being Ξ's columns; Kanter & Sompolinsky 1987: the same as
    1/N Σ ξ_i^μ (C⁻¹)_μν ξ_j^ν with C = Ξ'Ξ / N, and the diagonal set to 0. Some units are the same in all patterns, and the last
    pattern is another one turned over: it adds nothing."""
    draw = Draw(seed)
    patterns = draw.rng.choice([-1, 1], (4, N))
    patterns[:, : N // 3] = patterns[0, : N // 3]
    xi = patterns.T.astype(float)
    patterns = np.concatenate([patterns, -patterns[1:2]])
    weights = xi @ np.linalg.inv(xi.T @ xi / N) @ xi.T / N
    assert np.allclose(weights, patterns.T @ np.linalg.pinv(patterns.T), rtol=1e-13, atol=1e-14)
    weights = (weights + weights.T) / 2
    np.fill_diagonal(weights, 0)

    def field(s, i):
        h = weights[i] @ s
        assert abs(h) > 1e-9, "a field whose sign is rounding"
        return h

    return hopfield(weights, np.zeros(N), field, random_starts(draw, patterns)) | {"patterns": patterns}


def modern(seed, beta):
    """Ramsauer et al. 2020: lse (equation 1), the energy (2), the update ξ = X softmax(beta X'ξ) (3); X has the patterns as columns."""
    draw = Draw(seed)
    X, states = draw.uniform(5, 7), draw.uniform(6, 5)

    def lse(z):
        return np.log(np.exp(beta * z).sum()) / beta

    def energy(xi):
        longest = max(np.sqrt(x @ x) for x in X.T)
        return -lse(X.T @ xi) + xi @ xi / 2 + np.log(X.shape[1]) / beta + longest**2 / 2

    def weights(xi):
        e = np.exp(beta * X.T @ xi)
        return e / e.sum()

    after, finals = [X @ weights(xi) for xi in states], list(states)
    for _ in range(4):
        finals = [X @ weights(xi) for xi in finals]
    return {"patterns": X.T, "beta": np.array([beta]), "states": states, "weights": np.array([weights(xi) for xi in states]),
            "energy": np.array([energy(xi) for xi in states]), "update": np.array(after), "after_4": np.array(finals)}


FILES = {
    "hopfield": partial(hopfield_1982, 401),
    "hopfield-hebbian": partial(hebbian, 402),
    "hopfield-pseudo-inverse": partial(pseudo_inverse, 403),
    "modern-hopfield": partial(modern, 404, 1.75),
}

if __name__ == "__main__":
    finish({f"networks/{name}": make for name, make in FILES.items()}, "memories.py")

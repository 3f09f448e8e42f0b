"""Numbers behind docs/decks/errata.md: each function shows one erratum on small random examples, and fails if it is none;
the last two show what is right.

    python docs/decks/check.py

Needs numpy alone. Central differences in f64 with eps 1e-6 are right to about 1e-9 here; EXACT leaves room for that. What is called
wrong below is wrong by far more than FAR.
"""

import numpy as np

EXACT, FAR = 1e-7, 1e-2
rng = np.random.default_rng(0)


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


def numeric(f, v, eps=1e-6):
    """The derivative of f (a number or a vector) by each element of v; elements of f come first."""
    v = np.asarray(v, float)
    out = np.empty(np.shape(f(v)) + v.shape)
    for i in np.ndindex(v.shape):
        up, down = v.copy(), v.copy()
        up[i] += eps
        down[i] -= eps
        out[(..., *i)] = (f(up) - f(down)) / (2 * eps)
    return out


def off(a, b):
    return np.abs(a - b).max()


I, H, T = 3, 4, 5
Wx, Wa, b = rng.normal(size=(H, I)), rng.normal(size=(H, H)), rng.normal(size=H)
x, x_before, a = rng.normal(size=I), rng.normal(size=I), rng.normal(size=H)
upstream = rng.normal(size=H)


def step(Wx=Wx, Wa=Wa, x=x, a=a):
    return np.tanh(Wx @ x + Wa @ a + b)


def e1_3():
    """A bounded Φ cannot follow x <- x + u for ever: outputs stay below ‖W_c‖ √H, the plant does not."""
    W_c = rng.normal(size=(1, H))
    bound = np.linalg.norm(W_c) * np.sqrt(H)
    s, plant = np.zeros(H), 0.0
    for _ in range(1000):
        s, plant = np.tanh(Wa @ s + Wx @ np.ones(I)), plant + 1
        assert np.abs(W_c @ s) <= bound
    assert plant > 10 * bound


def e1_4():
    """a_t = g(W_hh h_{t-1} + ..), h_t = W_hy a_t: a network whose recurrent matrix is the product W_hh W_hy."""
    W_hy, xs = rng.normal(size=(H, H)), rng.normal(size=(T, I))
    h, one, plain = np.zeros(H), np.zeros(H), np.zeros(H)
    for t in range(T):
        made = np.tanh(Wa @ h + Wx @ xs[t])
        h = W_hy @ made
        one = np.tanh((Wa @ W_hy) @ one + Wx @ xs[t])
        plain = np.tanh(Wa @ plain + Wx @ xs[t])
    assert off(made, one) < EXACT and off(made, plain) > FAR


def e1_5_to_1_8():
    """Two sums of BPTT: immediate derivatives, all k, the Jacobian untransposed."""
    W, xs, R, h0 = Wa * 0.6, rng.normal(size=(T, I)), rng.normal(size=(T, H)), rng.normal(size=H)

    def states(W):
        h = [h0]
        for t in range(T):
            h.append(np.tanh(W @ h[-1] + Wx @ xs[t]))
        return h

    want = numeric(lambda W: sum(R[t] @ states(W)[t + 1] for t in range(T)), W)
    h = states(W)
    D = [None] + [np.diag(1 - h[m] ** 2) for m in range(1, T + 1)]

    def gradient(losses, first, jacobian, immediate=True):
        total = np.zeros_like(W)
        for j in losses:
            for k in range(first(j), j + 1):
                row = R[j - 1].copy()
                for m in range(j, k, -1):  # ∂h_j/∂h_k: the latest factor first
                    row = row @ jacobian(m)
                if immediate:
                    total += np.outer(row @ D[k], h[k - 1])
                else:
                    total += np.einsum("i,ijk->jk", row, numeric(lambda W: states(W)[k], W))
        return total

    right = lambda m: D[m] @ W
    every = range(1, T + 1)
    assert off(gradient(every, lambda j: 1, right), want) < EXACT
    # 1.5: losses 0 .. T-1 with k from 1: the loss of the last step is left out
    assert off(gradient(range(1, T), lambda j: 1, right), want) > FAR
    # 1.6: with whole instead of immediate derivatives paths are counted more than once
    assert off(gradient(every, lambda j: 1, right, immediate=False), want) > FAR
    # 1.7: a truncation longer than the sequence is no truncation, and k starts at 1 whatever p is
    assert off(gradient(every, lambda j: max(1, j - 2 * T), right), want) < EXACT
    # 1.8: Wᵀ diag(f') in the same place is another matrix
    assert off(gradient(every, lambda j: 1, lambda m: W.T @ D[m]), want) > FAR
    assert off(numeric(lambda a: step(a=a), a), np.diag(1 - step() ** 2) @ Wa) < EXACT


def e1_9_and_1_10():
    """With rectifiers a step's Jacobian is diag(0 or 1) W; the power needs every unit active. W and Wᵀ have different Q."""
    h, J = np.abs(rng.normal(size=H)), np.eye(H)
    for _ in range(3):
        z = Wa @ h
        J, h = np.diag((z > 0).astype(float)) @ Wa @ J, np.maximum(z, 0)
    assert off(J, np.linalg.matrix_power(Wa, 3)) > FAR
    values, vectors = np.linalg.eig(Wa)
    Q = np.linalg.inv(vectors)  # W = Q⁻¹ Λ Q
    power = lambda Q: np.linalg.inv(Q) @ np.diag(values**3) @ Q
    assert off(power(Q), np.linalg.matrix_power(Wa, 3)) < EXACT
    assert off(power(Q), np.linalg.matrix_power(Wa.T, 3)) > FAR
    assert off(power(np.linalg.inv(Q).T), np.linalg.matrix_power(Wa.T, 3)) < EXACT


def e1_11():
    """Powers go through eigenvalues, not through singular values; and equal eigenvalues are not equal powers."""
    U, s, V = np.linalg.svd(Wa)
    assert off(U @ np.diag(s**3) @ V, np.linalg.matrix_power(Wa, 3)) > FAR
    assert np.linalg.matrix_power(np.array([[1, 1], [0, 1]]), 10)[0, 1] == 10
    assert (0.5**10, 1.5**10) == (0.0009765625, 57.6650390625)  # the slide's figures are right


def e1_14():
    """Of Gaussian matrices of 100 x 100 most have a complex pair as the largest eigenvalues: two of them become 1."""
    pairs = 0
    for _ in range(100):
        values = np.linalg.eigvals(rng.normal(size=(100, 100)))
        values = values[np.argsort(-np.abs(values))]
        pairs += np.isclose(np.abs(values[0]), np.abs(values[1]))
    assert 50 < pairs < 95, pairs  # seen: about 73 of 100; five standard deviations are 22
    R = rng.normal(size=(100, 100))
    A = R.T @ R / 100 + np.eye(100)
    values = np.linalg.eigvalsh(A / np.linalg.eigvalsh(A)[-1])
    assert abs(values[-1] - 1) < EXACT and values[-2] < 1 - EXACT  # np-RNN: symmetric, one eigenvalue is the highest


def lstm(W, xs, h, c):
    """The first deck's LSTM, rows a, i, f, o; what it kept by step."""
    kept = []
    for v in xs:
        inputs = np.concatenate([v, h])
        za, zi, zf, zo = np.split(W @ inputs, 4)
        a, i, f, o = np.tanh(za), sigmoid(zi), sigmoid(zf), sigmoid(zo)
        before, c = c, i * a + f * c
        h = o * np.tanh(c)
        kept.append((inputs, a, i, f, o, before, c, h))
    return kept


def e1_17_to_1_19():
    """The derivation of the LSTM's backward pass is right with += and the sum over t; c to c' is f on one path only."""
    W, xs, R = rng.normal(size=(4 * H, I + H)) * 0.6, rng.normal(size=(T, I)), rng.normal(size=(T, H))
    h0, c0 = rng.normal(size=H), rng.normal(size=H)
    loss = lambda W: sum(r @ k[-1] for r, k in zip(R, lstm(W, xs, h0, c0)))
    want = numeric(loss, W)

    def backward(add):
        parts, dh, dc = [], np.zeros(H), np.zeros(H)
        for t in reversed(range(T)):
            inputs, a, i, f, o, before, c, _ = lstm(W, xs, h0, c0)[t]
            dh = dh + R[t]
            do = dh * np.tanh(c)
            dc = add * dc + dh * o * (1 - np.tanh(c) ** 2)
            di, df, da, dc = dc * a, dc * before, dc * i, dc * f
            dz = np.concatenate([da * (1 - a**2), di * i * (1 - i), df * f * (1 - f), do * o * (1 - o)])
            parts.append(np.outer(dz, inputs))
            dh = (W.T @ dz)[I:]
        return parts

    assert off(sum(backward(1)), want) < EXACT
    assert off(sum(backward(0)), want) > FAR  # 1.18: "=" in the place of "+="
    assert off(backward(1)[0], want) > FAR  # 1.19: one step's δW is not the gradient
    # 1.17: c_2 by c_1, with h_1 = o tanh(c_1) held and with h_1 going along
    k1 = lstm(W, xs[:1], h0, c0)[0]
    o, c1, h1 = k1[4], k1[6], k1[7]
    f2 = np.diag(lstm(W, xs[1:2], h1, c1)[0][3])
    assert off(numeric(lambda c: lstm(W, xs[1:2], h1, c)[0][6], c1), f2) < EXACT
    assert off(numeric(lambda c: lstm(W, xs[1:2], o * np.tanh(c), c)[0][6], c1), f2) > FAR


def e1_31():
    """Softmax with cross-entropy: δ = ŷ - y, without the factor f'."""
    z, y = rng.normal(size=H), np.eye(H)[1]
    softmax = lambda z: np.exp(z) / np.exp(z).sum()
    assert off(numeric(lambda z: -np.log(softmax(z)[1]), z), softmax(z) - y) < EXACT


def e2_1():
    """Clipping by the squared norm: the longer the gradient, the shorter what is left of it."""
    right = lambda n, limit: limit if n >= limit else n
    slide = lambda n, limit: n * limit / n**2 if n**2 > limit else n
    assert [round(slide(n, 5.0), 3) for n in (2, 3, 5, 10, 100)] == [2, 1.667, 1, 0.5, 0.05]
    assert [right(n, 5.0) for n in (2, 3, 5, 10, 100)] == [2, 3, 5, 5, 5]
    # a threshold below 1: some that are too long are left as they are, and up to length 1 the rest is clipped too little
    assert slide(0.4, 0.25) == 0.4 and slide(0.6, 0.25) > right(0.6, 0.25) and slide(2, 0.25) < right(2, 0.25)


def e2_2():
    """A largest singular value above 1 does not make gradients explode."""
    W = np.array([[0.0, 2.0], [0.0, 0.0]])
    assert np.linalg.svd(W)[1][0] == 2 and not (W @ W).any()
    W, h, J = 1.2 * np.linalg.qr(rng.normal(size=(20, 20)))[0], rng.normal(size=20), np.eye(20)
    for _ in range(200):  # every singular value is 1.2; units near saturation
        h = np.tanh(W @ h + 1.5)
        J = np.diag(1 - h**2) @ W @ J
    assert np.linalg.norm(J) < 1e-20


def e3_1():
    """[W_ax, W_aa] against [a, x]: both are I + H wide, so that no shape gives the mistake away; the numbers do."""
    want = Wx @ x + Wa @ a
    assert off(np.hstack([Wa, Wx]) @ np.concatenate([a, x]), want) < EXACT
    assert off(np.hstack([Wx, Wa]) @ np.concatenate([x, a]), want) < EXACT
    assert off(np.hstack([Wx, Wa]) @ np.concatenate([a, x]), want) > FAR


def e3_2_and_3_4():
    """The slide's derivatives are those of the sum of the units; for any other loss δa has to stand in front."""
    d = 1 - step() ** 2
    ones = np.ones(H)
    for u, right in [(ones, True), (upstream, False)]:
        same = lambda got, want: (off(got, want) < EXACT) if right else (off(got, want) > FAR)
        assert same(np.outer(d, x), numeric(lambda W: u @ step(Wx=W), Wx))
        assert same(np.outer(d, a), numeric(lambda W: u @ step(Wa=W), Wa))
        assert same(Wx.T @ d, numeric(lambda x: u @ step(x=x), x))
        assert same(Wa.T @ d, numeric(lambda a: u @ step(a=a), a))
        assert off(np.outer(u * d, x), numeric(lambda W: u @ step(Wx=W), Wx)) < EXACT
        assert off(Wa.T @ (u * d), numeric(lambda a: u @ step(a=a), a)) < EXACT
    # 3.2: with x^(t-1) in the last line it is no derivative at all
    assert off(Wa.T @ (1 - step(x=x_before) ** 2), numeric(lambda a: step(a=a).sum(), a)) > FAR


def right_lstms_and_grus():
    """The LSTMs of the decks are one function (without peepholes and the fourth's W y), the GRUs of the first and third another."""
    h, c = rng.normal(size=H), rng.normal(size=H)
    Wi, Wf, Wo, Wg = W = rng.normal(size=(4, H, I))
    Ui, Uf, Uo, Ug = U = rng.normal(size=(4, H, H))
    c1 = sigmoid(Wi @ x + Ui @ h) * np.tanh(Wg @ x + Ug @ h) + sigmoid(Wf @ x + Uf @ h) * c
    h1 = sigmoid(Wo @ x + Uo @ h) * np.tanh(c1)
    # second: i, f, o, g on top of each other, (h; x)
    i, f, o, g = np.split(np.vstack([np.hstack([u, w]) for w, u in zip(W, U)]) @ np.concatenate([h, x]), 4)
    c2 = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    assert off(c2, c1) < EXACT and off(sigmoid(o) * np.tanh(c2), h1) < EXACT
    # third: each gate by itself, [a, x]; fourth: U on x, V on the gated state
    f, u, o, g = (np.hstack([U[k], W[k]]) @ np.concatenate([h, x]) for k in (1, 0, 2, 3))
    c3 = sigmoid(f) * c + sigmoid(u) * np.tanh(g)
    assert off(c3, c1) < EXACT and off(sigmoid(o) * np.tanh(c3), h1) < EXACT
    z, r = sigmoid(Wi @ x + Ui @ h), sigmoid(Wf @ x + Uf @ h)
    first = (1 - z) * h + z * np.tanh(Wg @ x + Ug @ (r * h))
    third = z * np.tanh(np.hstack([Ug, Wg]) @ np.concatenate([r * h, x])) + (1 - z) * h
    assert off(first, third) < EXACT
    # PyTorch's: z on the old state, r after the product
    assert off((1 - z) * np.tanh(Wg @ x + r * (Ug @ h)) + z * h, first) > FAR


def right_figures():
    """What else the slides compute and have right."""
    assert [256 * 6 * 6 * 4096, 4096 * 4096, 4096 * 1000] == [37748736, 16777216, 4096000]  # 38, 17 and 4 million
    M = np.array([[17, 24, 1], [23, 5, 7], [4, 6, 13], [10, 12, 19], [11, 18, 25]])
    assert (np.array([0, 0, 0, 1, 0]) @ M).tolist() == [10, 12, 19]
    # δ^{r-1}_j = (Σ_k δ^r_k θ^r_kj) f'(z^{r-1}_j) for squared errors and tanh
    outer, z, y = rng.normal(size=(I, H)), rng.normal(size=H), rng.normal(size=I)
    loss = lambda z: ((np.tanh(outer @ np.tanh(z)) - y) ** 2).sum() / 2
    out = np.tanh(outer @ np.tanh(z))
    last = (out - y) * (1 - out**2)
    assert off(numeric(loss, z), (last @ outer) * (1 - np.tanh(z) ** 2)) < EXACT
    # 1.32: two units of weight -1, both updated together
    s = np.array([1, 1])
    assert (np.sign(np.array([[0, -1], [-1, 0]]) @ s) == -s).all()


if __name__ == "__main__":
    for name, check in list(globals().items()):
        if name.startswith("right_") or (name[0] == "e" and name[1].isdigit()):
            check()
            print(name, check.__doc__)

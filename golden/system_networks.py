"""Goldens of networks that model systems, and of those around a cell: from their equations in plain numpy.

    python golden/system_networks.py [--check] [FILE ...]

NARX, RMLP, a sequence model with feedback, the output-fed network, the deep recurrent network. One row and one step at a time. Layout of the
files and gradients (complex steps) as in networks.py; what is not differentiated (`units_u_mean`, `one_step`, ...) stands beside it.
"""

from functools import partial

import numpy as np

from common import LENGTHS, Draw, finish
from equation_cells import gru
from networks import golden, sigmoid

T, B = 9, 3
# M inputs and P outputs of a system, n_u and n_y lags, the delay d, and the steps of a window that are not scored.
M, P, N_U, N_Y, DELAY, WARM = 2, 3, 3, 2, 2, 5


def affine(p, path, x):
    return p[f"{path}.weight"] @ x + p[f"{path}.bias"]


def perceptron(p, path, layers, x, last=lambda a: a):
    """a_l = tanh(W_l a_{l-1} + b_l), the last layer with `last`."""
    for l in range(layers):
        x = (last if l == layers - 1 else np.tanh)(affine(p, f"{path}.layers.{l}", x))
    return x


def perceptron_shapes(path, *widths):
    return {f"{path}.layers.{l}.{name}": shape for l, (i, o) in enumerate(zip(widths, widths[1:]))
            for name, shape in {"weight": (o, i), "bias": (o,)}.items()}


def elman_layer(p, path, x, h, activation=np.tanh):
    """Elman 1990: h = sigma(W x + V h' + b); our names of its parameters."""
    return activation(p[f"{path}.weight_ih_l0"] @ x + p[f"{path}.weight_hh_l0"] @ h + p[f"{path}.bias_ih_l0"])


def elman_shapes(path, inputs, hidden):
    return {f"{path}.weight_ih_l0": (hidden, inputs), f"{path}.weight_hh_l0": (hidden, hidden), f"{path}.bias_ih_l0": (hidden,)}


def drawn(draw, shapes):
    return {name: draw.uniform(*shape, scale=0.8) for name, shape in shapes.items()}


# Systems: what is recorded is in physical units, the network works on (value - mean) / deviation.


def recorded(draw):
    """An input (T, B, M) and output (T, B, P), their units and scaled values."""
    series = {"u": 3 + 2 * draw.uniform(T, B, M), "y": 20 - 5 * draw.uniform(T, B, P)}
    units = {"units_u_mean": 3 + draw.uniform(M), "units_u_deviation": 2 + draw.uniform(M)}
    units |= {"units_y_mean": 20 + draw.uniform(P), "units_y_deviation": 5 + draw.uniform(P)}
    scaled = {k: (series[k] - units[f"units_{k}_mean"]) / units[f"units_{k}_deviation"] for k in "uy"}
    return series | units, scaled


def narx_output(p, past, u, t):
    """Leontaritis & Billings 1985; Narendra & Parthasarathy 1990, their model IV (unnumbered here):
    y_t = f(y_{t-1}, ..., y_{t-n_y}; u_{t-d}, ..., u_{t-d-n_u+1}), f a perceptron. `past` has the outputs before t."""
    z = [past[t - lag] for lag in range(1, N_Y + 1)] + [u[t - DELAY - j] for j in range(N_U)]
    return perceptron(p, "mlp", 3, np.concatenate(z))


def narx_run(p, u, y, start, parallel):
    """Predictions of the steps from `start` on of one row. The same paper's two identification models: series-parallel reads the
    measured outputs, parallel the model's own from `start` on."""
    past, predicted = list(y), []
    for t in range(start, len(u)):
        predicted.append(narx_output(p, past, u, t))
        if parallel:
            past[t] = predicted[-1]
    return predicted


def rmlp_step(p, path, state, x):
    """Puskorius & Feldkamp 1994 and the first deck (unnumbered here): each layer of a perceptron is fed its own output of the step before.
    `state` has h^1, h^2 and, where the output layer is recurrent too, y."""
    h1 = elman_layer(p, f"{path}hidden.layers.0", x, state[0])
    h2 = elman_layer(p, f"{path}hidden.layers.1", h1, state[1])
    if len(state) == 2:
        return [h1, h2], affine(p, f"{path}output", h2)
    y = elman_layer(p, f"{path}recurrent_output", h2, state[2], lambda a: a)
    return [h1, h2, y], y


def rmlp_shapes(path, inputs, outputs, recurrent_output):
    shapes = elman_shapes(f"{path}hidden.layers.0", inputs, 5) | elman_shapes(f"{path}hidden.layers.1", 5, 4)
    if recurrent_output:
        return shapes | elman_shapes(f"{path}recurrent_output", 4, outputs)
    return shapes | {f"{path}output.weight": (outputs, 4), f"{path}output.bias": (outputs,)}


def system_run(p, u, y, start, parallel):
    """A network as a model of a system: its input at t is u_{t-d} and y_{t-1}, measured or, in parallel from `start` on, its own; it has
    run from the first step that has both. Predictions from `start` on."""
    state, past, predicted = [np.zeros(5), np.zeros(4)], list(y), []
    for t in range(max(DELAY, 1), len(u)):
        state, out = rmlp_step(p, "network.", state, np.concatenate([u[t - DELAY], past[t - 1]]))
        if t >= start:
            predicted.append(out)
            if parallel:
                past[t] = out
    return predicted


def system(seed, run, shapes, first, parallel):
    """The loss of a batch of windows: the mean square of the scaled error from the step WARM on. Row 0 is also predicted whole, in
    physical units: one step ahead from the first step that can be, and in free run from the step WARM on."""
    draw = Draw(seed)
    series, scaled = recorded(draw)
    p = drawn(draw, shapes)

    def loss(p):
        rows = [run(p, scaled["u"][:, b], scaled["y"][:, b], WARM, parallel) for b in range(B)]
        errors = np.array(rows) - scaled["y"][WARM:].swapaxes(0, 1)
        return {"loss": (errors * errors).mean().reshape(1)}

    def physical(start, parallel):
        rows = run(p, scaled["u"][:, 0], scaled["y"][:, 0], start, parallel)
        return np.array(rows) * series["units_y_deviation"] + series["units_y_mean"]

    whole = {"one_step": physical(first, False), "free_run": physical(WARM, True)}
    return golden(p, list(p), loss, draw) | series | whole | {"orders": np.array([N_U, N_Y, DELAY, WARM])}


def rmlp(seed, recurrent_output):
    draw = Draw(seed)
    p = drawn(draw, rmlp_shapes("", M, P, recurrent_output)) | {"x": draw.uniform(T, B, M)}
    starts = [f"state0_{k}" for k in range(2 + recurrent_output)]
    p |= {name: draw.uniform(B, width) for name, width in zip(starts, (5, 4, P))}

    def function(p):
        y, finals = np.zeros((T, B, P), p["x"].dtype) + 0j, [[] for _ in starts]
        for b in range(B):
            state = [p[name][b] for name in starts]
            for t in range(T):
                state, y[t, b] = rmlp_step(p, "", state, p["x"][t, b])
            for k, value in enumerate(state):
                finals[k].append(value)
        return reals(p, {"y": y} | {f"state_{k}": np.array(value) for k, value in enumerate(finals)})

    return golden(p, list(p), function, draw)


def reals(p, outputs):
    """Real outputs, unless something is moved into the complex plane."""
    moved = any(np.iscomplexobj(value) for value in p.values())
    return outputs if moved else {name: value.real for name, value in outputs.items()}


def output_fed(seed, forced):
    """Jordan 1986 (unnumbered): h = tanh(W x + U y' + b), y = sigmoid(V h + c). y' is the network's own output of the step before or, forced,
    the target (fourth deck, "special case": s_t = h(x_t, y_{t-1}))."""
    I, H, O = 4, 5, 2
    draw = Draw(seed)
    p = drawn(draw, {"weight_ih_l0": (H, I), "weight_hh_l0": (H, O), "bias_ih_l0": (H,), "weight_hr_l0": (O, H), "bias_hr_l0": (O,)})
    p |= {"x": draw.uniform(T, B, I), "first": draw.uniform(B, O)} | ({"targets": draw.uniform(T, B, O)} if forced else {})

    def function(p):
        y = np.zeros((T, B, O), complex)
        for b in range(B):
            before = p["first"][b]
            for t in range(T):
                h = np.tanh(p["weight_ih_l0"] @ p["x"][t, b] + p["weight_hh_l0"] @ before + p["bias_ih_l0"])
                y[t, b] = sigmoid(p["weight_hr_l0"] @ h + p["bias_hr_l0"])
                before = p["targets"][t, b] if forced else y[t, b]
        return reals(p, {"y": y})

    return golden(p, list(p), function, draw)


def output_fed_run(p, u, y, start, parallel):
    """Jordan 1986 with a linear output as a model of a system (fourth deck, "special case"): h = tanh(W u_{t-d} + U y_{t-1} + b), y_t = V h + c.
    y_{t-1} is measured or, in parallel after `start`, the network's own. Predictions from `start` on."""
    w = {name: p[f"network.rnn.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "weight_hr", "bias_hr")}
    past, predicted = list(y), []
    for t in range(start, len(u)):
        h = np.tanh(w["weight_ih"] @ u[t - DELAY] + w["weight_hh"] @ past[t - 1] + w["bias_ih"])
        predicted.append(w["weight_hr"] @ h + w["bias_hr"])
        if parallel:
            past[t] = predicted[-1]
    return predicted


def output_fed_shapes(path, hidden):
    shapes = {"weight_ih_l0": (hidden, M), "weight_hh_l0": (hidden, P), "bias_ih_l0": (hidden,), "weight_hr_l0": (P, hidden), "bias_hr_l0": (P,)}
    return {f"{path}{name}": shape for name, shape in shapes.items()}


def deep(seed, zero, lengths):
    """Pascanu et al. 2014, "How to construct deep recurrent neural networks", "deep input-to-hidden function", "deep hidden-to-output function"
    and "stack of hidden states" (unnumbered here): a perceptron before a GRU and an Elman layer, a perceptron after them; 3 internal steps for
    each input, of which the later ones read the same again or zeros. Beyond a row's length the perceptron after sees zeros."""
    I, STEPS, O = 2, 3, 2
    draw = Draw(seed)
    shapes = perceptron_shapes("before", I, 4, 5) | perceptron_shapes("after", 4, 6, O) | elman_shapes("stack.layers.1", 3, 4)
    shapes |= {"stack.layers.0.weight_ih_l0": (9, 5), "stack.layers.0.weight_hh_l0": (9, 3), "stack.layers.0.bias_ih_l0": (9,)}
    p = drawn(draw, shapes) | {"x": draw.uniform(T, B, I), "h0_l0": draw.uniform(B, 3), "h0_l1": draw.uniform(B, 4)}

    def function(p):
        w = {name: p[f"stack.layers.0.{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih")}
        y, lower, upper = np.zeros((T, B, O), complex), [], []
        for b in range(B):
            g, h = p["h0_l0"][b], p["h0_l1"][b]
            for t in range(T):
                if t >= lengths[b]:
                    y[t, b] = perceptron(p, "after", 2, np.zeros(4))
                    continue
                u = perceptron(p, "before", 2, p["x"][t, b], last=np.tanh)
                for j in range(STEPS):
                    g = gru(w, u if j == 0 or not zero else 0 * u, g, lambda _: 1)["h"]
                    h = elman_layer(p, "stack.layers.1", g, h)
                y[t, b] = perceptron(p, "after", 2, h)
            lower.append(g)
            upper.append(h)
        return reals(p, {"y": y, "h_l0": np.array(lower), "h_l1": np.array(upper)})

    return golden(p, list(p), function, draw) | {"lengths": np.array(lengths)}


NARX = (narx_run, perceptron_shapes("mlp", N_Y * P + N_U * M, 4, 5, P), max(N_Y, DELAY + N_U - 1))
MODEL = (system_run, rmlp_shapes("network.", M + P, P, False), max(DELAY, 1))
OUTPUT_FED = (output_fed_run, output_fed_shapes("network.rnn.", 5), max(DELAY, 1))
FILES = {
    "narx-series-parallel": partial(system, 301, *NARX, False),
    "narx-parallel": partial(system, 302, *NARX, True),
    "system": partial(system, 303, *MODEL, False),
    "rmlp": partial(rmlp, 305, False),
    "rmlp-recurrent-output": partial(rmlp, 306, True),
    "output-fed": partial(output_fed, 307, True),
    "output-fed-free-run": partial(output_fed, 308, False),
    "output-fed-system": partial(system, 311, *OUTPUT_FED, False),
    "output-fed-system-parallel": partial(system, 312, *OUTPUT_FED, True),
    "deep": partial(deep, 309, False, LENGTHS),
    "deep-zero": partial(deep, 310, True, [T] * B),
}

if __name__ == "__main__":
    finish({f"networks/{name}": make for name, make in FILES.items()}, "system_networks.py")

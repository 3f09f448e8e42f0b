"""What both generators share: sizes, cases, random numbers, and the files."""

import argparse
import pathlib
import sys

import numpy as np
import safetensors.numpy

# Time, batch, input, hidden, projection or fed-back output, vocabulary: small, and no two alike.
T, B, I, H, P, V = 6, 3, 4, 5, 2, 7
LENGTHS = [4, 6, 1]  # not sorted; one row is full, one is a single step
HERE = pathlib.Path(__file__).parent

# (layers, reversed, with lengths): every cell's file has all of them.
GRID = [(layers, reverse, lengths) for layers in (1, 2) for reverse in (False, True) for lengths in (False, True)]


def case_name(layers, reverse, lengths, *extras):
    """`2-reverse-lengths`: number of layers, direction, then what else the case has."""
    return "-".join([str(layers), "reverse" if reverse else "forward", *(["lengths"] if lengths else []), *extras])


class Draw:
    """Random numbers on a grid of 2^-10, so that they (and the sum of two biases) are exact in f32 too."""

    def __init__(self, seed):
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def uniform(self, *shape, scale=1.0):
        return np.round(self.rng.uniform(-scale, scale, shape) * 1024) / 1024

    def dropout_mask(self, *shape):
        return np.where(self.rng.uniform(0, 1, shape) < 0.7, 1.25, 0.0)

    def ids(self, *shape):
        return self.rng.integers(0, V, shape)


def draw_inputs(draw, parameter_shapes, state_widths, output_width, scale=0.8):
    """What all cases of a file share: parameters, inputs, initial states, and the gradients that come from outside.

    `parameter_shapes(layer)` and `state_widths` ({name: width}) describe the cell; `scale` bounds its parameters.
    """
    shared = {"sizes": np.array([I, H, P]), "input": draw.uniform(T, B, I), "d_output": draw.uniform(T, B, output_width)}
    shared |= {"ids": draw.ids(T, B), "table": draw.uniform(V, I), "lengths": np.array(LENGTHS)}
    for layer in (0, 1):
        for name, shape in parameter_shapes(layer).items():
            shared[f"{name}_l{layer}"] = draw.uniform(*shape, scale=scale)
        for name, width in state_widths.items():
            shared[f"{name}0_l{layer}"] = draw.uniform(B, width)
            shared[f"d_{name}n_l{layer}"] = draw.uniform(B, width)
    return shared


def finish(files, generator):
    """Writes the files, or with `--check` compares them with those that are there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true", help="compare with the files instead of writing them")
    parser.add_argument("names", nargs="*", help="these files only")
    arguments = parser.parse_args()
    check = arguments.check
    for cell, tensors in files.items():
        if arguments.names and cell not in arguments.names:
            continue
        tensors = tensors() if callable(tensors) else tensors
        path = HERE / f"{cell}.safetensors"
        # One entry only: the order of several would differ between runs.
        metadata = {"generator": f"golden/{generator}"}
        tensors = {k: np.ascontiguousarray(v, np.int64 if v.dtype.kind == "i" else np.float64) for k, v in tensors.items()}
        if not check:
            safetensors.numpy.save_file(tensors, path, metadata)
            print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size} bytes")
            continue
        there = safetensors.numpy.load_file(path)
        # Another processor may order sums differently: a few roundings of numbers around 1.
        bad = sorted(k for k in tensors.keys() | there.keys() if k not in tensors or k not in there
                     or tensors[k].shape != there[k].shape or not np.allclose(tensors[k], there[k], rtol=1e-12, atol=1e-13))
        if bad:
            sys.exit(f"{path.name}: differs in {', '.join(bad)}")
        print(f"{path.name}: the same")

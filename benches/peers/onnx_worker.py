"""ONNX Runtime's side of `engine.py`: one LSTM step at batch 1, as a graph with one LSTM node and T = 1."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from protocol import parameter, serve, values


def graph(spec):
    """The model file: x (1, 1, I), h and c (1, 1, H) to the next h and c."""
    i, h = spec["I"], spec["H"]

    def weight(name, columns):
        # PyTorch's gates are i, f, g, o; ONNX's i, o, f, c.
        w = parameter(spec, f"{name}_l0", (4, h, columns))
        return w[[0, 3, 1, 2]].reshape(1, 4 * h, columns)

    bias = np.concatenate([weight("bias_ih", 1).reshape(1, 4 * h), np.zeros((1, 4 * h), np.float32)], axis=1)
    constants = {"W": weight("weight_ih", i), "R": weight("weight_hh", h), "B": bias}
    node = helper.make_node("LSTM", ["x", "W", "R", "B", "", "h", "c"], ["", "h_next", "c_next"], hidden_size=h)
    tensor = lambda name, width: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, width])
    body = helper.make_graph(
        [node],
        "step",
        [tensor("x", i), tensor("h", h), tensor("c", h)],
        [tensor("h_next", h), tensor("c_next", h)],
        [numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in constants.items()],
    )
    # Versions that both packages of environment.txt know.
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


class Steps:
    """`bound`: inputs and outputs bound once, two sets of states in turn; else arrays given and taken at every step."""

    def __init__(self, spec):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = spec["threads"]
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(graph(spec), options, providers=["CPUExecutionProvider"])
        self.spec, self.x = spec, values("x", (100, 1, 1, spec["I"]))
        self.at = 0
        zeros = lambda: np.zeros((1, 1, spec["H"]), np.float32)
        self.states = [(zeros(), zeros()), (zeros(), zeros())]
        self.buffer = np.zeros((1, 1, spec["I"]), np.float32)
        self.bindings = [self.bind(self.states[k], self.states[1 - k]) for k in (0, 1)]

    def bind(self, before, after):
        binding = self.session.io_binding()
        for name, array in zip(["x", "h", "c"], [self.buffer, *before]):
            binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for name, array in zip(["h_next", "c_next"], after):
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        return binding

    def advance(self, steps):
        if self.spec["bound"]:
            for k in range(steps):
                self.buffer[:] = self.x[k % 100]
                self.session.run_with_iobinding(self.bindings[self.at])
                self.at = 1 - self.at
        else:
            h, c = self.states[0]
            names = ["h_next", "c_next"]
            for k in range(steps):
                h, c = self.session.run(names, {"x": self.x[k % 100], "h": h, "c": c})
            self.states[0] = (h, c)

    def run(self):
        self.advance(self.spec["steps"])

    def check(self):
        self.advance(50)
        return {"h": self.states[self.at][0]}


if __name__ == "__main__":
    serve(Steps)

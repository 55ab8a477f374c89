"""A matrix of a model, and what a LoRA adapter adds to its products: y = xWᵀ + bias + scaling · (xAᵀ)Bᵀ."""

from typing import Any

import numpy as np

from inference_server.cpu.kernels.intrinsics import array_of, floats, invoke, jit
from inference_server.cpu.kernels.product import bounds
from inference_server.cpu.kernels.tables import MATRIX

_matrices = array_of(MATRIX)


@jit
def multiply(matrix: int, x: int, rows: int, y: int) -> Any:
    """y (rows, outputs) from x (rows, inputs), in this thread's range of outputs, which it returns.

    `matrix` is the address of a MATRIX.
    """
    m = _matrices(matrix, 1)[0]
    first, last = bounds(m.outputs)
    invoke(m.product, x, rows, m.weight, m.inputs, first, last, y, m.outputs)
    for row in range(rows):
        source, target = (
            floats(x + row * m.inputs * 4, m.inputs),
            floats(y + (row * m.outputs + first) * 4, last - first),
        )
        if m.bias:
            bias = floats(m.bias + first * 4, last - first)
            for o in range(last - first):
                target[o] += bias[o]
        for r in range(m.rank):
            # Each thread computes all of xAᵀ, which is short: to share it they would have to wait for each other.
            factor = _dot(source, floats(m.a + r * m.inputs * 4, m.inputs)) * np.float32(m.scaling)
            b = floats(m.b + (r * m.outputs + first) * 4, last - first)
            for o in range(last - first):
                target[o] += factor * b[o]
    return first, last


@jit(fastmath={"reassoc", "contract"})
def _dot(x: Any, y: Any) -> Any:
    total = np.float32(0)
    for i in range(len(x)):
        total += x[i] * y[i]
    return total

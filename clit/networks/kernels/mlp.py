"""The layers of an MLP on many rows at once. Weights are packed before; widths are whole vectors."""

from __future__ import annotations

import numpy as np

from clit.networks.kernels.functions import gelu, relu
from clit.networks.kernels.lanes import at, lanewise
from clit.networks.kernels.tile import PANEL, kernel, multiply, pack, pad

add_gelu = lanewise(lambda x, bias: gelu(x + bias), arrays=2)
add_relu = lanewise(lambda x, bias: relu(x + bias), arrays=2)


def pack_layers(layers: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pack layers, each a weight (out, in) and a bias (out,), for the functions below.

    Returns a table (layers, 4) of inputs, outputs, where the weights and where the biases begin; weights; biases.
    """
    weights, biases = [pack(weight.T) for weight, _ in layers], [pad(bias) for _, bias in layers]
    table = [
        (weight.shape[1], len(biases[i]), sum(map(len, weights[:i])), sum(map(len, biases[:i])))
        for i, (weight, _) in enumerate(layers)
    ]
    return np.array(table, np.int64), np.concatenate(weights), np.concatenate(biases)


@kernel
def dense(layer, weights, count, x, x_row, y, starts):
    """y (count, outputs) = x (count, x_row) times the weights of a layer, a row of the table. The bias is not added."""
    depth, width, begin, _ = layer
    for i in range(count):
        starts[i] = i * x_row
    for column in range(0, width, PANEL):
        panel, of_layer = min(PANEL, width - column), at(weights, begin + depth * column)
        multiply(count, panel, at(y, column), width, at(x, 0), 1, at(starts, 0), of_layer, panel, depth)


@kernel
def hidden_layers(packed, table, gelus, count, x, x_row, y, starts):
    """Apply the layers of a table but the last to x (count, x_row), each with bias and activation: GELU or ReLU.

    x and y have room for any layer. Returns the one with the result, the other one, and the length of the rows.
    """
    for layer in table[:-1]:
        width = layer[1]
        dense(layer, packed.weights, count, x, x_row, y, starts)
        for i in range(count):
            row, bias = at(y, i * width), at(packed.biases, layer[3])
            if gelus:
                add_gelu(row, row, bias, width)
            else:
                add_relu(row, row, bias, width)
        x, y, x_row = y, x, width
    return x, y, x_row

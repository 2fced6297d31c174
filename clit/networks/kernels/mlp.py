"""The layers of an MLP on many rows at once."""

from clit.networks.kernels.functions import gelu, relu
from clit.networks.kernels.tile import PANEL, at, fill_starts, kernel, multiply


@kernel
def dense(layers, number, count, x, x_row, y, starts):
    """Write y (count, outputs), a layer of x (count, x_row >= its inputs), without activation. Returns outputs."""
    depth, width, weight, bias = layers.table[number]
    fill_starts(starts, x_row)
    biases = layers.biases[bias : bias + width]
    for i in range(count):
        row = y[i * width : (i + 1) * width]
        for k in range(width):
            row[k] = biases[k]
    for column in range(0, width, PANEL):
        panel, b = min(PANEL, width - column), at(layers.weights, weight + depth * column)
        multiply(count, panel, True, at(y, column), width, at(x, 0), at(starts, 0), b, panel, depth)
    return width


@kernel
def activate(x, count, gelus):
    """Apply GELU or ReLU to the first numbers of x."""
    if gelus:
        for k in range(count):
            x[k] = gelu(x[k])
    else:
        for k in range(count):
            x[k] = relu(x[k])


@kernel
def hidden_layers(layers, start, gelus, count, x, x_row, y, starts):
    """Apply the layers from `start` on, but the last, to x (count, x_row). x and y have room for any layer.

    Returns the one with the result, the other one, and the length of the rows.
    """
    for number in range(start, len(layers.table) - 1):
        width = dense(layers, number, count, x, x_row, y, starts)
        activate(y, count * width, gelus)
        x, y, x_row = y, x, width
    return x, y, x_row

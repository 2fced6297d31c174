"""Weights as the compiled kernels read them."""

from __future__ import annotations

import numpy as np

from clit.networks.arrays import Layers
from clit.networks.kernels.tile import PANEL


def pad_width(width: int) -> int:
    """Return the width of a matrix with zeros after it, so that panels cover it."""
    rest = width % PANEL
    return width - rest + (max(4, 1 << (rest - 1).bit_length()) if rest else 0)


def pad(array: np.ndarray) -> np.ndarray:
    """Return the array with zeros after its last axis, so that panels cover it."""
    width = array.shape[-1]
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, pad_width(width) - width)])


def pack(matrix: np.ndarray) -> np.ndarray:
    """Return a padded matrix (..., depth, width) flat, its panels (..., depth, PANEL) one after another."""
    whole = pad(matrix)
    return np.concatenate([whole[..., x : x + PANEL].ravel() for x in range(0, whole.shape[-1], PANEL)])


def pack_layers(layers: list[tuple[np.ndarray, np.ndarray]]) -> Layers:
    """Pack layers, each a weight (out, in) and a bias (out,)."""
    weights, biases = [pack(weight.T) for weight, _ in layers], [pad(bias) for _, bias in layers]
    table = [
        (weight.shape[1], len(biases[i]), sum(map(len, weights[:i])), sum(map(len, biases[:i])))
        for i, (weight, _) in enumerate(layers)
    ]
    return Layers(np.array(table, np.int64), np.concatenate(weights), np.concatenate(biases))

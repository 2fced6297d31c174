"""Plain interpolation: the baselines that need no weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from clit.geometry import Lattice, linear_taps, pixel_centres, to_pixels
from clit.pictures.resize import axis_taps

Taps = tuple[Tensor, Tensor]
"""Index (n, K) and weight (n, K) of the pixels that make each pixel of an axis."""


def _linear(n_in: int, n_out: int) -> Taps:
    return linear_taps(to_pixels(pixel_centres(n_out), n_in), n_in, "border")


def _cubic(n_in: int, n_out: int) -> Taps:
    index, weight = axis_taps(n_in, n_out)
    return torch.from_numpy(index), torch.from_numpy(weight).float()


INTERPOLATIONS: dict[str, Callable[[int, int], Taps]] = {"bilinear": _linear, "bicubic": _cubic}


class Interpolation:
    """Bilinear, or bicubic with a = -0.5 as PIL has it; half-pixel-centred, nothing to train."""

    def __init__(self, name: str):
        self.name = name
        self._taps = INTERPOLATIONS[name]

    def render(self, image: np.ndarray, size: tuple[int, int], pixels: Lattice) -> np.ndarray:
        """A lattice of pixels of the (h, w, 3) float image enlarged to `size` (H, W): (rows, columns, 3), unclipped."""
        x = torch.from_numpy(np.ascontiguousarray(image))
        x = _along(x, self._taps(image.shape[0], size[0]), pixels.rows)
        x = _along(x.transpose(0, 1), self._taps(image.shape[1], size[1]), pixels.columns)
        return x.transpose(0, 1).contiguous().numpy()


def _along(x: Tensor, taps: Taps, wanted: Tensor) -> Tensor:
    index, weight = (t[wanted] for t in taps)
    return sum(x[index[:, k]] * weight[:, k, None, None] for k in range(index.shape[1]))

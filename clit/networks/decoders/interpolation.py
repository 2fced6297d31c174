"""Plain interpolation: bilinear, or bicubic with a = -0.5 as PIL has it; half-pixel-centred, nothing to train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from clit.config import InterpolationConfig
from clit.geometry import (
    Lattice,
    Region,
    View,
    linear_taps,
    periodic_positions,
    periodic_taps,
    pixel_centres,
    to_pixels,
)
from clit.networks.decoders.base import Decoder, Features
from clit.pictures.resize import axis_taps, cubic

Taps = tuple[Tensor, Tensor]
"""Index (n, K) and weight (n, K) of the pixels that make each pixel of an axis."""


def _linear(n_in: int, n_out: int) -> Taps:
    return linear_taps(to_pixels(pixel_centres(n_out), n_in), n_in, "border")


def _cubic(n_in: int, n_out: int) -> Taps:
    index, weight = axis_taps(n_in, n_out)
    return torch.from_numpy(index), torch.from_numpy(weight).float()


def _periodic_linear(n_in: int, n_out: int) -> Taps:
    index, weight = periodic_taps(n_out, n_in, torch.arange(n_out))
    return index % n_in, weight


def _periodic_cubic(n_in: int, n_out: int) -> Taps:
    whole, rest = periodic_positions(n_out, n_in, torch.arange(n_out))
    offset = torch.arange(-1, 3)
    distance = offset - (rest.double() / (2 * n_out))[:, None]
    return (whole[:, None] + offset) % n_in, torch.from_numpy(cubic(distance.numpy())).float()


_KERNELS: dict[str, tuple[Callable[[int, int], Taps], Callable[[int, int], Taps]]] = {
    "bilinear": (_linear, _periodic_linear),
    "bicubic": (_cubic, _periodic_cubic),
}
"""How each kernel finds the taps of a whole axis, of a plain picture and of a periodic one."""


@dataclass(frozen=True)
class InterpolationField:
    """The image and, for each row and column of the lattice, the pixels it is made of."""

    image: Tensor  # (B, h, w, 3)
    rows: Taps  # (R, K) each
    columns: Taps  # (S, K) each
    pixels: Lattice


class Interpolation(Decoder):
    """Enlarges the image itself, along one axis and then the other; reads no features."""

    kind = "plain"
    efficiency = 0.01  # it passes over memory, and multiplies little

    def __init__(self, config: InterpolationConfig, channels: int):
        super().__init__()
        self.config = config

    def prepare(self, features: Features, view: View) -> InterpolationField:
        image = features.image.permute(0, 2, 3, 1)
        find_taps, taps = _KERNELS[self.config.kernel][view.wrap], []
        for n, n_out, wanted in zip(view.lr, view.size, (view.pixels.rows, view.pixels.columns), strict=True):
            index, weight = (t[wanted.cpu()].to(image.device) for t in find_taps(n, n_out))
            taps.append((index, weight.to(image.dtype)))
        return InterpolationField(image, *taps, view.pixels.to(image.device))

    def query(self, field: InterpolationField, positions: Tensor) -> Tensor:
        row, column = field.pixels.find(positions)
        (y, wy), (x, wx) = (
            (index[at], weight[at])
            for (index, weight), at in zip((field.rows, field.columns), (row, column), strict=True)
        )
        corners = field.image[:, y[:, :, None], x[:, None, :]]  # (B, Q, K, K, 3)
        return torch.einsum("bqijc,qi,qj->bqc", corners, wy, wx)

    def render(self, field: InterpolationField, cancel: Callable[[], bool] | None = None) -> Tensor:
        rows = _combine(field.image.transpose(0, 1), field.rows)  # (R, B, w, 3)
        return _combine(rows.permute(2, 1, 0, 3), field.columns).permute(1, 2, 0, 3)

    def reads(self, view: View) -> Region:
        return Region(0, 0, 0, 0)

    def multiply_adds(self, view: View) -> float:
        return 48.0 * view.count

    def memory(self, view: View) -> int:
        return 24 * len(view.pixels.rows) * view.lr[1] + 24 * view.count


def _combine(x: Tensor, taps: Taps) -> Tensor:
    """(n, ...) -> (Q, ...): each row the weighted sum of its taps."""
    index, weight = taps
    return sum(x[index[:, k]] * weight[:, k, None, None, None] for k in range(index.shape[1]))

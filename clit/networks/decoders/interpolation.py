"""Plain interpolation: bilinear, or bicubic with PIL's a = -0.5. Half-pixel centres, nothing to train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from clit.config import InterpolationConfig
from clit.geometry import (
    Lattice,
    Region,
    Taps,
    View,
    linear_taps,
    periodic_positions,
    periodic_taps,
    pixel_centres,
    to_pixels,
)
from clit.networks.decoders.base import Decoder, Features
from clit.networks.layers import sample_grid, sample_points
from clit.pictures.resize import axis_taps, cubic


def _make_linear_taps(n_in: int, n_out: int) -> Taps:
    return linear_taps(to_pixels(pixel_centres(n_out), n_in), n_in, "border")


def _make_cubic_taps(n_in: int, n_out: int) -> Taps:
    index, weight = axis_taps(n_in, n_out)
    return Taps(torch.from_numpy(index), torch.from_numpy(weight).float())


def _make_periodic_linear_taps(n_in: int, n_out: int) -> Taps:
    return periodic_taps(n_out, n_in, torch.arange(n_out)).wrap(n_in)


def _make_periodic_cubic_taps(n_in: int, n_out: int) -> Taps:
    whole, rest = periodic_positions(n_out, n_in, torch.arange(n_out))
    offset = torch.arange(-1, 3)
    distance = offset - (rest.double() / (2 * n_out))[:, None]
    return Taps(whole[:, None] + offset, torch.from_numpy(cubic(distance.numpy())).float()).wrap(n_in)


_KERNELS: dict[str, tuple[Callable[[int, int], Taps], Callable[[int, int], Taps]]] = {
    "bilinear": (_make_linear_taps, _make_periodic_linear_taps),
    "bicubic": (_make_cubic_taps, _make_periodic_cubic_taps),
}
"""Functions (n_in, n_out) that make the taps of a whole axis, without and with wrapping."""


@dataclass(frozen=True)
class InterpolationField:
    """The part of the image that is read, and the taps of the lattice's rows and columns in it."""

    image: Tensor  # (B, rows, columns, 3)
    rows: Taps  # R of them
    columns: Taps  # S of them
    pixels: Lattice


class Interpolation(Decoder):
    """Enlarges the image itself; reads no features."""

    kind = "plain"
    efficiency = 0.01  # its time goes into reading memory

    def __init__(self, config: InterpolationConfig, channels: int):
        super().__init__()
        self.config = config

    def prepare(self, features: Features, view: View) -> InterpolationField:
        image = features.image.permute(0, 2, 3, 1)
        make_taps, taps = _KERNELS[self.config.kernel][view.wrap], []
        for n, n_out, wanted in zip(view.lr, view.size, (view.pixels.rows, view.pixels.columns), strict=True):
            index, weight = make_taps(n, n_out).select(wanted.cpu())
            taps.append(Taps(index.to(image.device), weight.to(image)))
        region = Region.enclosing(*(index for index, _ in taps))
        rows, columns = taps[0].shift(-region.top), taps[1].shift(-region.left)
        return InterpolationField(image[(slice(None), *region.slices())], rows, columns, view.pixels.to(image.device))

    def query(self, field: InterpolationField, positions: Tensor) -> Tensor:
        row, column = field.pixels.find(positions)
        return sample_points(field.image, field.rows.select(row), field.columns.select(column))

    def render(self, field: InterpolationField, cancel: Callable[[], bool] | None = None) -> Tensor:
        return sample_grid(field.image, field.rows, field.columns)

    def reads(self, view: View) -> Region:
        return Region(0, 0, 0, 0)

    def multiply_adds(self, view: View) -> float:
        return 48.0 * view.count

    def memory(self, view: View) -> int:
        return 24 * len(view.pixels.rows) * view.lr[1] + 24 * view.count

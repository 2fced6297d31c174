"""The small picture enlarged by plain interpolation: what networks add to, and bilinear and bicubic themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from clit.geometry import Region, Taps, View, linear_taps, periodic_positions, periodic_taps, pixel_centres, to_pixels
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
"""Functions (n_in, n_out) that make the taps of a whole axis, without and with wrapping.

Half-pixel centres; beyond the border bilinear repeats the edge, and bicubic (a = -0.5) renormalises, as PIL does.
"""


@dataclass(frozen=True)
class Enlarged:
    """The part of the picture that is read, and the taps of the view's rows and columns in it."""

    image: Tensor  # (B, rows, columns, 3)
    rows: Taps  # R of them
    columns: Taps  # S of them

    @staticmethod
    def prepare(image: Tensor, view: View, kernel: str = "bilinear") -> Enlarged:
        """Prepare pictures (B, 3, h, w) for a view by "bilinear" or "bicubic" interpolation."""
        taps, region = _select_taps(view, kernel)
        rows, columns = (
            Taps(index.to(image.device), weight.to(image))
            for index, weight in (taps[0].shift(-region.top), taps[1].shift(-region.left))
        )
        return Enlarged(image.permute(0, 2, 3, 1)[(slice(None), *region.slices())], rows, columns)

    @staticmethod
    def reads(view: View, kernel: str) -> Region:
        """Return the part of the small picture that a view reads."""
        return _select_taps(view, kernel)[1]

    def query(self, row: Tensor, column: Tensor) -> Tensor:
        """Return colours (B, Q, 3) at `row`, `column` (Q,): indices into the view's rows and columns."""
        return sample_points(self.image, self.rows.select(row), self.columns.select(column))

    def render(self) -> Tensor:
        """Return colours (B, R, S, 3) of the whole view."""
        return sample_grid(self.image, self.rows, self.columns)


def _select_taps(view: View, kernel: str) -> tuple[tuple[Taps, Taps], Region]:
    """Return the taps of the view's rows and of its columns, and the region of all pixels they read."""
    make_taps = _KERNELS[kernel][view.wrap]
    rows, columns = (
        make_taps(n, n_out).select(wanted.cpu())
        for n, n_out, wanted in zip(view.lr, view.size, (view.pixels.rows, view.pixels.columns), strict=True)
    )
    return (rows, columns), Region.enclosing(rows.index, columns.index)

"""Where a view lies on the latent grid of one stage of LIT or CLIT."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from clit.geometry import (
    Region,
    Taps,
    View,
    linear_taps,
    nearest_latent,
    periodic_positions,
    periodic_taps,
    pixel_centres,
    relative_coordinates,
    to_pixels,
)

# Legend for shapes: Q output pixels of an axis, r radius of the attention window.


@dataclass(frozen=True)
class StageAxis:
    """One axis of a lattice: where its output pixels lie on one stage's grid."""

    nearest: Tensor  # (Q,) index of the nearest latent on the grid
    rel: Tensor  # (Q, 2r+1) coordinates relative to the window's latents
    taps: Taps  # (Q, 2) for the bilinear sample of q

    @staticmethod
    def prepare(n_out: int, n: int, pixels: Tensor, radius: int, wrap: bool = False) -> StageAxis:
        """Prepare an axis of n_out output pixels, of which `pixels` (Q,) are wanted, over n latents."""
        if wrap:
            whole, rest = periodic_positions(n_out, n, pixels)
            up = rest >= n_out  # in the middle between two latents, or past it
            offset = torch.arange(-radius, radius + 1, device=pixels.device)
            rel = (rest.double() / n_out)[:, None] - 2 * (offset + up[:, None])
            return StageAxis(whole + up, rel.float(), periodic_taps(n_out, n, pixels))
        centres = pixel_centres(n_out, pixels)
        positions = to_pixels(centres, n)
        nearest = nearest_latent(positions, n)
        rel = relative_coordinates(centres, nearest, n, radius)
        return StageAxis(nearest, rel, linear_taps(positions, n, "zeros"))


@dataclass(frozen=True)
class StagePlace:
    """Where a view lies on one stage's grid (h, w): the lattice's axes, and the region of all latents they touch."""

    grid: tuple[int, int]
    rows: StageAxis
    columns: StageAxis
    region: Region

    @staticmethod
    def prepare(view: View, grid: tuple[int, int], radius: int) -> StagePlace:
        """Place a view on a stage's grid. The region holds all windows, and all taps for the samples of q."""
        rows = StageAxis.prepare(view.size[0], grid[0], view.pixels.rows, radius, view.wrap)
        columns = StageAxis.prepare(view.size[1], grid[1], view.pixels.columns, radius, view.wrap)
        nearest = Region.enclosing(rows.nearest, columns.nearest)
        return StagePlace(grid, rows, columns, nearest.grow(max(radius, 1)))

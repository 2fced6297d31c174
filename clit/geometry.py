"""Where pixels lie: windows, views, sizes, positions.

Everything that relates output pixels, latents and stage grids is here. Order is (y, x) everywhere. Coordinates are
float32, computed by the published formulas: at scales such as 2.5 a third of all queries lies exactly between two
latents, and the rounding of these formulas decides which latent is the nearest.

The published formulas are not periodic, so a periodic picture (`View.wrap`) needs others. Its positions are exact
fractions: pixel i of an axis of N lies at p = ((2i + 1) n - N) / 2N among n latents. A shift of the picture by whole
pixels and whole latents therefore changes p by a whole number and nothing else. Halves round up. Indices continue
beyond the border; latent j is latent j mod n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from clit.errors import UserError
from clit.scale_chain import stage_grids

MAX_SCALE = 64.0
"""Largest scale the renderer accepts; the models are made for up to 30."""


class Taps(NamedTuple):
    """Interpolation of one axis at Q points: each is a weighted sum of K pixels. index, weight: (Q, K)."""

    index: Tensor
    weight: Tensor

    def select(self, points: Tensor) -> Taps:
        """Return the taps of some of the points."""
        return Taps(self.index[points], self.weight[points])

    def shift(self, by: int) -> Taps:
        """Return the taps with `by` added to every index."""
        return Taps(self.index + by, self.weight)

    def wrap(self, n: int) -> Taps:
        """Return the taps with every index taken modulo n."""
        return Taps(self.index % n, self.weight)


@dataclass(frozen=True)
class Window:
    """A rectangle of the output, in whole-output pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        return self.top + self.height

    @property
    def right(self) -> int:
        return self.left + self.width

    def lattice(self, step: int = 1) -> Lattice:
        """Return the window's pixels, or every `step`-th row and column of them, centred in the window."""
        first = [(n - 1) % step // 2 for n in (self.height, self.width)]
        return Lattice(
            torch.arange(self.top + first[0], self.bottom, step),
            torch.arange(self.left + first[1], self.right, step),
        )

    def slices(self) -> tuple[slice, slice]:
        """Return the slices that cut the window out of an array (H, W, ...) of the whole output."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def check(self, size: tuple[int, int]) -> Window:
        """Return the window itself if it lies inside an output of `size` (H, W). UserError otherwise."""
        inside = 0 <= self.top and 0 <= self.left and self.bottom <= size[0] and self.right <= size[1]
        if self.height < 1 or self.width < 1 or not inside:
            raise UserError(
                f"The window (top {self.top}, left {self.left}, height {self.height}, width {self.width}) "
                f"does not lie inside the output of {size[1]} x {size[0]} pixels (width x height): "
                "choose one that does."
            )
        return self


@dataclass(frozen=True)
class Lattice:
    """The output pixels at the crossings of some rows and columns: what a decoder renders at once.

    rows (R,), columns (S,): whole-output pixel indices, ascending. A window takes all its rows and columns, a coarse
    view every few of them, training a random one per latent.
    """

    rows: Tensor
    columns: Tensor

    def select(self, rows: slice, columns: slice) -> Lattice:
        """Return the lattice of some of its rows and columns."""
        return Lattice(self.rows[rows], self.columns[columns])

    def to(self, device: torch.device) -> Lattice:
        """Return the lattice with its indices on a device."""
        return Lattice(self.rows.to(device), self.columns.to(device))

    def find(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the indices into `rows` and into `columns`, (Q,) each, of pixels (Q, 2) of the lattice."""
        row, column = positions.T.contiguous()
        return torch.searchsorted(self.rows, row), torch.searchsorted(self.columns, column)


@dataclass(frozen=True)
class Region:
    """A rectangle of a grid: rows top..bottom, columns left..right, ends excluded. It may reach beyond the grid."""

    top: int
    left: int
    bottom: int
    right: int

    @staticmethod
    def enclosing(rows: Tensor, columns: Tensor) -> Region:
        """Return the smallest region that holds the given rows and columns."""
        return Region(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)

    @property
    def area(self) -> int:
        """Number of latents or pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    def slices(self) -> tuple[slice, slice]:
        """Return the slices that cut the region out of an array (h, w, ...) of the grid; it must lie inside."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def contains(self, other: Region) -> bool:
        """Return whether all of `other` lies inside."""
        return self.intersect(other) == other

    def intersect(self, other: Region) -> Region:
        """Return the part that both regions share, an empty region if there is none."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Region(top, left, max(top, min(self.bottom, other.bottom)), max(left, min(self.right, other.right)))

    def clip(self, size: tuple[int, int]) -> Region:
        """Return the part inside a grid of `size` (h, w)."""
        return self.intersect(Region(0, 0, *size))

    def grow(self, by: int) -> Region:
        """Return the region with a border of `by` on every side."""
        return Region(self.top - by, self.left - by, self.bottom + by, self.right + by)

    def move(self, down: int, right: int) -> Region:
        """Return the region moved down and to the right."""
        return Region(self.top + down, self.left + right, self.bottom + down, self.right + right)


@dataclass(frozen=True)
class View:
    """A request to a decoder: which pixels of which output, and how the scale is split over the stages.

    lr: (h, w) of the small picture. size: (H, W) of the whole output. pixels: the wanted ones, in whole-output
    indices. factors: (y, x) of each stage in use; only a cascade reads them. wrap: the picture is periodic.
    """

    lr: tuple[int, int]
    size: tuple[int, int]
    pixels: Lattice
    factors: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    wrap: bool = False

    @property
    def count(self) -> int:
        """Number of wanted pixels."""
        return len(self.pixels.rows) * len(self.pixels.columns)

    @property
    def density(self) -> float:
        """Output pixels per pixel of the small picture."""
        return self.size[0] / self.lr[0] * self.size[1] / self.lr[1]

    def with_pixels(self, pixels: Lattice) -> View:
        """Return a view of other pixels of the same output."""
        return replace(self, pixels=pixels)

    def to(self, device: torch.device) -> View:
        """Return the view with its pixel indices on a device."""
        return self.with_pixels(self.pixels.to(device))

    def clip(self, region: Region) -> Region:
        """Return the part of a region inside the small picture. A periodic picture has no outside."""
        return region if self.wrap else region.clip(self.lr)

    def grids(self) -> list[tuple[int, int]]:
        """Return the latent grid (h, w) of each stage in use."""
        return stage_grids(self.lr, self.factors)


def check_scale(scale: float) -> float:
    """Return a scale as a float in [1, 64]. UserError for anything else."""
    try:
        value = float(scale)
    except (TypeError, ValueError):
        value = math.nan
    if not 1.0 <= value <= MAX_SCALE:
        raise UserError(f"The scale is {scale}, but must be a number from 1 to {MAX_SCALE:g}.")
    return value


def whole_numbers(values, count: int) -> tuple[int, ...] | None:
    """Return `count` whole numbers of any kind as ints; None if `values` are something else."""
    try:
        found = tuple(int(n) for n in values)
        return found if len(found) == count and all(a == b for a, b in zip(found, values, strict=True)) else None
    except (TypeError, ValueError, OverflowError):
        return None


def output_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Return the output size (H, W) of an h x w image at `scale`: round(h * scale), round(w * scale)."""
    return round(height * scale), round(width * scale)


def check_size(size) -> tuple[int, int]:
    """Return an output size (H, W) as ints. UserError for anything but two whole numbers."""
    found = whole_numbers(size, 2)
    if found is None:
        raise UserError(f"The output size is {size}, but must be two whole numbers: height, width.")
    return found


def check_pixel(pixel, size: tuple[int, int]) -> tuple[int, int]:
    """Return an output pixel (row, column) as ints. UserError for one that is not inside an output of `size` (H, W)."""
    height, width = size
    row, column = whole_numbers(pixel, 2) or (-1, -1)
    if not (0 <= row < height and 0 <= column < width):
        raise UserError(
            f"The pixel is {pixel}, but must be (row, column) inside the output of {width} x {height} pixels "
            "(width x height)."
        )
    return row, column


def resolve_size(
    height: int, width: int, scale: float | None = None, size: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Return the output size (H, W) from either a scale or a size. UserError unless exactly one is given and valid."""
    if scale is None and size is None:
        raise UserError("Give a scale, or an output size.")
    if scale is not None and size is not None:
        raise UserError("Give either a scale or an output size, and not both.")
    if scale is not None:
        return output_size(height, width, check_scale(scale))
    rows, columns = check_size(size)
    for out, low, axis in ((rows, height, "height"), (columns, width, "width")):
        if not low <= out <= MAX_SCALE * low:
            raise UserError(
                f"The output {axis} is {out}, but for this image must be from {low} to {round(MAX_SCALE * low)}."
            )
    return rows, columns


def pixel_centres(n: int, index: Tensor | None = None, device=None) -> Tensor:
    """Return the centres of the pixels of an axis of n, or of those at `index`, in the [-1, 1] frame.

    float32, by the published formula.
    """
    index = torch.arange(n, device=device) if index is None else index
    return (-1 + 1 / n) + (2 / n) * index.float()


def to_pixels(centres: Tensor, n: int) -> Tensor:
    """Convert coordinates in the [-1, 1] frame to pixels of an axis of n: the centre of pixel i is at i."""
    return ((centres + 1) * n - 1) / 2


def nearest_latent(positions: Tensor, n: int) -> Tensor:
    """Return the index of the nearest latent of an axis of n: rounded half to even, clamped to the image."""
    return torch.round(positions).long().clamp_(0, n - 1)


def relative_coordinates(centres: Tensor, nearest: Tensor, n: int, radius: int) -> Tensor:
    """Return the coordinates (Q, 2r+1) of queries relative to the 2r+1 latents of their windows, along one axis.

    They are query minus latent, scaled so that neighbouring latents are 2.0 apart. centres: (Q,) queries in the
    [-1, 1] frame; nearest: (Q,) their nearest latents on an axis of n.
    """
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=centres.device) * (2 / n)
    latent = pixel_centres(n, device=centres.device)[nearest]
    return (centres[:, None] - (latent[:, None] + offsets)) * n


def linear_taps(positions: Tensor, n: int, padding: str) -> Taps:
    """Return the two taps of linear interpolation at positions (Q,) in pixels of an axis of n.

    padding: "zeros" (taps outside the image have weight 0, and their index stays outside) or "border" (positions are
    clamped to the image first). The weights are float32.
    """
    if padding == "border":
        positions = positions.clamp(0, n - 1)
    low = torch.floor(positions)
    fraction = positions - low
    index = torch.stack([low, low + 1], -1).long()
    weight = torch.stack([1 - fraction, fraction], -1)
    if padding == "border":
        index = index.clamp_(0, n - 1)
    else:
        weight = weight * ((index >= 0) & (index < n))
    return Taps(index, weight)


def periodic_positions(n_out: int, n: int, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the exact positions of pixels of a periodic axis of n_out among its n latents.

    pixels: (Q,) indices, any whole numbers. Returns whole (Q,) and rest (Q,), int64: a position is
    whole + rest / (2 n_out), with 0 <= rest < 2 n_out.
    """
    twice = (2 * pixels + 1) * n - n_out
    whole = torch.div(twice, 2 * n_out, rounding_mode="floor")
    return whole, twice - whole * 2 * n_out


def periodic_taps(n_out: int, n: int, pixels: Tensor) -> Taps:
    """Return the two taps of linear interpolation at pixels (Q,) of a periodic axis of n_out, over n latents.

    Indices continue beyond the border. The weights are float32.
    """
    whole, rest = periodic_positions(n_out, n, pixels)
    fraction = (rest.double() / (2 * n_out)).float()
    return Taps(torch.stack([whole, whole + 1], -1), torch.stack([1 - fraction, fraction], -1))

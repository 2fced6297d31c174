"""Where pixels are: windows, sizes, positions, cells, scale chains.

The only place that knows how output pixels, latents and stage grids lie on top of one another. Order is
(y, x) everywhere. All coordinate arithmetic is float32 in the published form: at scales such as 2.5 a third
of all queries lies exactly between two latents, and this arithmetic decides which one is the nearest.

A periodic picture (`View.wrap`) needs another arithmetic, since the published one is not periodic. There positions
are exact fractions: pixel i of an axis of N lies at p = ((2i + 1) n - N) / 2N among n latents, so a shift of the
picture that is whole on both axes changes p by a whole number and nothing else. Halves round up, indices are
counted on beyond the border, and latent j is latent j mod n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from clit.errors import UserError

MAX_SCALE = 64.0
"""Largest scale the renderer accepts; the models are made for up to 30."""

STAGE_FACTOR = 4.0
"""Largest factor of one stage in the published scale chain."""


@dataclass(frozen=True)
class Window:
    """A part of the output: rows top..top+height, columns left..left+width, in whole-output pixels."""

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
        """All pixels of the window, or those of every `step`-th row and column, with as much left out at each end."""
        first = [(n - 1) % step // 2 for n in (self.height, self.width)]
        return Lattice(
            torch.arange(self.top + first[0], self.bottom, step),
            torch.arange(self.left + first[1], self.right, step),
        )

    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the window, to cut it out of an array of the whole output."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def check(self, size: tuple[int, int]) -> Window:
        """Return self if it lies inside an output of `size` (H, W); UserError otherwise."""
        inside = 0 <= self.top and 0 <= self.left and self.bottom <= size[0] and self.right <= size[1]
        if self.height < 1 or self.width < 1 or not inside:
            raise UserError(
                f"The window (top {self.top}, left {self.left}, height {self.height}, width {self.width}) "
                f"does not lie inside the output of {size[0]} x {size[1]} pixels: choose one that does."
            )
        return self


@dataclass(frozen=True)
class Lattice:
    """The output pixels where some rows and some columns cross: what a decoder renders at once.

    rows (R,), columns (S,): whole-output pixel indices, ascending. A window is the lattice of all its rows and
    columns; a coarse pass takes every few of them, training a random one per latent.
    """

    rows: Tensor
    columns: Tensor

    def part(self, rows: slice, columns: slice) -> Lattice:
        """Some of its rows and columns."""
        return Lattice(self.rows[rows], self.columns[columns])

    def to(self, device: torch.device) -> Lattice:
        """The same, on a device."""
        return Lattice(self.rows.to(device), self.columns.to(device))

    def find(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Where pixels (Q, 2) of the lattice stand in it: indices into `rows` and into `columns`, (Q,) each."""
        row, column = positions.T.contiguous()
        return torch.searchsorted(self.rows, row), torch.searchsorted(self.columns, column)


@dataclass(frozen=True)
class Region:
    """A rectangle of a latent grid, rows top..bottom and columns left..right; it may reach over the border."""

    top: int
    left: int
    bottom: int
    right: int

    def ends(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """First and last (exclusive) row, and column."""
        return (self.top, self.bottom), (self.left, self.right)

    @property
    def area(self) -> int:
        """Number of latents or pixels."""
        return (self.bottom - self.top) * (self.right - self.left)

    def inside(self, size: tuple[int, int]) -> Region:
        """The part that lies inside a grid of `size` (h, w)."""
        return Region(max(self.top, 0), max(self.left, 0), min(self.bottom, size[0]), min(self.right, size[1]))

    def contains(self, other: Region) -> bool:
        """Whether all of `other` lies inside."""
        return (
            self.top <= other.top
            and self.left <= other.left
            and self.bottom >= other.bottom
            and self.right >= other.right
        )

    def grown(self, by: int) -> Region:
        """The region with a border of `by` all around."""
        return Region(self.top - by, self.left - by, self.bottom + by, self.right + by)

    def moved(self, by: int) -> Region:
        """The region `by` further down and to the right."""
        return Region(self.top + by, self.left + by, self.bottom + by, self.right + by)


@dataclass(frozen=True)
class View:
    """What is asked of a decoder: some pixels of one output, and how its scale is split over the stages.

    lr: (h, w) of the small picture. size: (H, W) of the whole output. pixels: those wanted, in whole-output indices.
    factors: (y, x) of each stage in use; a decoder without stages reads none of them. wrap: the picture is periodic.
    """

    lr: tuple[int, int]
    size: tuple[int, int]
    pixels: Lattice
    factors: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    wrap: bool = False

    @property
    def count(self) -> int:
        """Number of pixels wanted."""
        return len(self.pixels.rows) * len(self.pixels.columns)

    @property
    def density(self) -> float:
        """Output pixels per pixel of the small picture."""
        return self.size[0] / self.lr[0] * self.size[1] / self.lr[1]

    def of(self, pixels: Lattice) -> View:
        """The same output, of which other pixels are wanted."""
        return replace(self, pixels=pixels)

    def to(self, device: torch.device) -> View:
        """The same with its pixels on a device."""
        return self.of(self.pixels.to(device))

    def grids(self) -> list[tuple[int, int]]:
        """The latent grid (h, w) of each stage in use."""
        return stage_grids(self.lr, self.factors)


def check_scale(scale: float) -> float:
    """A scale as a float in [1, 64]; UserError for anything else."""
    try:
        value = float(scale)
    except (TypeError, ValueError):
        value = math.nan
    if not 1.0 <= value <= MAX_SCALE:
        raise UserError(f"The scale is {scale}, but must be a number from 1 to {MAX_SCALE:g}.")
    return value


def output_size(height: int, width: int, scale: float) -> tuple[int, int]:
    """Output size (H, W) of an h x w image at `scale`: round(h * scale), round(w * scale)."""
    return round(height * scale), round(width * scale)


def resolve_size(
    height: int, width: int, scale: float | None = None, size: tuple[int, int] | None = None
) -> tuple[int, int]:
    """The output size from either a scale or a size (H, W); UserError unless exactly one is given and valid."""
    if scale is None and size is None:
        raise UserError("Give a scale, or an output size.")
    if scale is not None and size is not None:
        raise UserError("Give either a scale or an output size, and not both.")
    if scale is not None:
        return output_size(height, width, check_scale(scale))
    try:
        rows, columns = (int(n) for n in size)
        whole = rows == size[0] and columns == size[1]
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise UserError(f"The output size is {size}, but must be two whole numbers: height, width.")
    for out, low, axis in ((rows, height, "height"), (columns, width, "width")):
        if not low <= out <= MAX_SCALE * low:
            raise UserError(
                f"The output {axis} is {out}, but for this image must be from {low} to {round(MAX_SCALE * low)}."
            )
    return rows, columns


def pixel_centres(n: int, index: Tensor | None = None, device=None) -> Tensor:
    """Centres of pixels of an axis of n, all of them or those of `index`, in the [-1, 1] frame.

    float32, in the published form.
    """
    index = torch.arange(n, device=device) if index is None else index
    return (-1 + 1 / n) + (2 / n) * index.float()


def to_pixels(centres: Tensor, n: int) -> Tensor:
    """Coordinates in the [-1, 1] frame -> positions in pixels of an axis of n (pixel i has position i)."""
    return ((centres + 1) * n - 1) / 2


def nearest_latent(positions: Tensor, n: int) -> Tensor:
    """Index of the nearest latent of an axis of n: rounded half to even, clamped to the image."""
    return torch.round(positions).long().clamp_(0, n - 1)


def relative_coordinates(centres: Tensor, nearest: Tensor, n: int, radius: int) -> Tensor:
    """Relative coordinates of queries to the 2r+1 latents of their window, along one axis.

    centres: (Q,) queries in the [-1, 1] frame; nearest: (Q,) their nearest latents on an axis of n.
    Returns (Q, 2r+1), query minus latent in units in which one latent's step is 2.0.
    """
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=centres.device) * (2 / n)
    latent = pixel_centres(n, device=centres.device)[nearest]
    return (centres[:, None] - (latent[:, None] + offsets)) * n


def linear_taps(positions: Tensor, n: int, padding: str) -> tuple[Tensor, Tensor]:
    """The two taps of linear interpolation on an axis of n.

    padding: "zeros" (taps outside the image count nothing) or "border" (the position is clamped first).
    Returns index (Q, 2), unclamped for "zeros", and weight (Q, 2), float32.
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
    return index, weight


def periodic_positions(n_out: int, n: int, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return where pixels of a periodic axis of n_out lie among its n latents: whole + rest / (2 n_out), exactly.

    pixels: (Q,) indices, any whole numbers. Returns whole (Q,) and rest (Q,), int64, 0 <= rest < 2 n_out.
    """
    twice = (2 * pixels + 1) * n - n_out
    whole = torch.div(twice, 2 * n_out, rounding_mode="floor")
    return whole, twice - whole * 2 * n_out


def periodic_taps(n_out: int, n: int, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two taps of linear interpolation on a periodic axis: index (Q, 2), counted on beyond the border, and
    weight (Q, 2), float32.
    """
    whole, rest = periodic_positions(n_out, n, pixels)
    fraction = (rest.double() / (2 * n_out)).float()
    return torch.stack([whole, whole + 1], -1), torch.stack([1 - fraction, fraction], -1)


def axis_factors(size: tuple[int, int], lr: tuple[int, int]) -> tuple[float, float]:
    """Per-axis scales. Where one scale explains both sizes (they are its rounding), both axes get it."""
    ratios = (size[0] / lr[0], size[1] / lr[1])
    low = max((size[0] - 0.5) / lr[0], (size[1] - 0.5) / lr[1])
    high = min((size[0] + 0.5) / lr[0], (size[1] + 0.5) / lr[1])
    return (max(ratios), max(ratios)) if low <= high else ratios


def scale_chain(
    size: tuple[int, int], lr: tuple[int, int], stages: int, chain: str = "published"
) -> list[tuple[float, float]]:
    """Stage factors (y, x), at most `stages` of them, whose product is the scale.

    "published": factors of 4 until the rest is at most 4 (x3 -> [3], x10 -> [4, 2.5], x30 -> [4, 4, 1.875]).
    "balanced": as many equal factors as that takes. The larger axis scale sets the factors; the other
    axis is split in the same proportion of logarithms. What is left beyond the last stage goes to it.
    UserError for another chain.
    """
    if chain not in ("published", "balanced"):
        raise UserError(f'The chain is "{chain}", but must be "published" or "balanced".')
    scales = axis_factors(size, lr)
    largest = max(scales)
    if largest <= 1:
        return [(1.0, 1.0)]
    if chain == "balanced":
        count = min(stages, max(1, math.ceil(math.log(largest, STAGE_FACTOR) - 1e-9)))
        factors = [largest ** (1 / count)] * count
    else:
        factors, rest = [], largest
        while rest > STAGE_FACTOR and len(factors) < stages - 1:
            factors.append(STAGE_FACTOR)
            rest /= STAGE_FACTOR
        factors.append(rest)
    shares = [math.log(factor) / math.log(largest) for factor in factors]

    def split(scale: float) -> list[float]:
        return factors if scale == largest else [scale**share for share in shares]

    return list(zip(split(scales[0]), split(scales[1]), strict=True))


def stage_grids(lr: tuple[int, int], factors: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
    """The latent grid (h, w) that each stage reads: the LR grid, then round(h * s_1), round(h * s_1 * s_2)..."""
    grids, product = [], (1.0, 1.0)
    for factor in factors:
        grids.append((round(lr[0] * product[0]), round(lr[1] * product[1])))
        product = (product[0] * factor[0], product[1] * factor[1])
    return grids

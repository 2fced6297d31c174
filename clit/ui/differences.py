"""Where two methods differ most: places of the small picture, by the mean difference of brightness over each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from clit.geometry import Lattice, Window

SIDE = 24
"""Side of a place in pixels of the small picture; a shorter picture gives places as long as itself."""

COUNT = 5
"""Places in an answer, at most."""

LARGEST_SCALE = 4.0
"""Methods are compared at the scale shown, but at most at this one: beyond it CLIT's later stages take minutes."""

SAMPLES = 65_536
"""Output pixels compared, about, spread evenly over the whole picture."""

_LEAST = 0.01 / 255  # a smaller mean is what rounding makes of equal pictures


@dataclass(frozen=True)
class Place:
    """A rectangle of the small picture, in its pixels, and the mean difference of luma over it, in 255ths."""

    top: int
    left: int
    height: int
    width: int
    difference: float


def choose_step(size: tuple[int, int]) -> int:
    """Return how many rows and columns of an output of `size` lie between two that are compared."""
    return max(1, math.ceil(math.sqrt(math.prod(size) / SAMPLES)))


def sample(size: tuple[int, int]) -> Lattice:
    """Return the pixels of an output of `size` (H, W) that are compared."""
    return Window(0, 0, *size).lattice(choose_step(size))


def find_places(difference: np.ndarray, lr: tuple[int, int], size: tuple[int, int]) -> list[Place]:
    """Return the places with the largest mean, the largest first; no two overlap.

    difference: (R, S) absolute, in [0, 1], at the pixels of `sample(size)`. lr: (h, w) of the small picture. A place
    counts the samples whose centres lie inside. Empty where the difference is that of rounding.
    """
    lattice = sample(size)
    rows, columns = (
        (2 * at.numpy() + 1) * n // (2 * n_out)
        for at, n, n_out in zip((lattice.rows, lattice.columns), lr, size, strict=True)
    )
    height, width = (min(SIDE, n) for n in lr)
    total, count = np.zeros(lr), np.zeros(lr)
    cells = np.ix_(rows, columns)
    np.add.at(total, cells, difference)
    np.add.at(count, cells, 1)
    mean = _box_sums(total, height, width) / np.maximum(_box_sums(count, height, width), 1)
    places = []
    while len(places) < COUNT:
        top, left = (int(at) for at in np.unravel_index(mean.argmax(), mean.shape))
        if mean[top, left] < _LEAST:
            break
        places.append(Place(top, left, height, width, float(255 * mean[top, left])))
        mean[max(0, top - height + 1) : top + height, max(0, left - width + 1) : left + width] = 0
    return places


def _box_sums(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the sums over all boxes of (height, width) in (h, w): (h - height + 1, w - width + 1)."""
    sums = np.pad(x.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]

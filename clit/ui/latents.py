"""Means over the pixels of each latent: what is left of a map when the grid of pixels in it is taken away."""

from __future__ import annotations

import numpy as np

from clit.geometry import Window, nearest_latent, pixel_centres, to_pixels


def whole_latents(window: Window, size: tuple[int, int], grid: tuple[int, int]) -> Window:
    """Return the window of an output of `size` (H, W) grown until it holds all pixels of each latent that it touches.

    A pixel is that of its nearest latent of the grid (h, w), as decoders take it.
    """
    bounds = []
    for n_out, n, part in zip(size, grid, window.slices(), strict=True):
        nearest = _nearest(n_out, n)
        first, last = nearest[part][[0, -1]]
        bounds.append((int(np.searchsorted(nearest, first)), int(np.searchsorted(nearest, last, side="right"))))
    (top, bottom), (left, right) = bounds
    return Window(top, left, bottom - top, right - left)


def mean_over_latents(values: np.ndarray, window: Window, size: tuple[int, int], grid: tuple[int, int]) -> np.ndarray:
    """Return values (h, w, ...) of a window in which each pixel has the mean over all pixels of its latent.

    window: one that `whole_latents` returns; size, grid: as there.
    """
    for axis, (n_out, n, part) in enumerate(zip(size, grid, window.slices(), strict=True)):
        _, whose, count = np.unique(_nearest(n_out, n)[part], return_inverse=True, return_counts=True)
        starts = np.cumsum(count) - count
        shape = [-1 if each == axis else 1 for each in range(values.ndim)]
        means = np.add.reduceat(values, starts, axis) / count.reshape(shape)
        values = means.take(whose, axis)
    return values


def _nearest(n_out: int, n: int) -> np.ndarray:
    """Return the nearest of n latents for each pixel of an axis of n_out, ascending."""
    return nearest_latent(to_pixels(pixel_centres(n_out), n), n).numpy()

"""How true an output is to the picture it was made from: the output made small again, as ground truth is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from clit.geometry import Window
from clit.pictures.files import to_bytes
from clit.pictures.metrics import decibels, luma
from clit.pictures.resize import pil_source, resize_pil_window


@dataclass(frozen=True)
class Returned:
    """An output made small again: rgb (h, w, 3) uint8 of a window of the small picture.

    psnr: in dB, of luma against the small picture over this window, its border included; inf where they are equal.
    """

    rgb: np.ndarray
    window: Window
    psnr: float


def covered_window(window: Window, size: tuple[int, int], lr: tuple[int, int]) -> Window:
    """Return the pixels of a small picture of `lr` (h, w) that a window of its output of `size` (H, W) touches."""
    (top, bottom), (left, right) = (
        (first * n // n_out, -(-stop * n // n_out))
        for first, stop, n, n_out in (
            (window.top, window.bottom, lr[0], size[0]),
            (window.left, window.right, lr[1], size[1]),
        )
    )
    return Window(top, left, bottom - top, right - left)


def make_small_again(
    render: Callable[[Window], np.ndarray], small: np.ndarray, size: tuple[int, int], window: Window
) -> Returned:
    """Render as much of an output of `size` (H, W) as a window of it needs, and make that small again.

    render: returns a window of the output, (h, w, 3) in [0, 1]. small: the small picture, the same in its own pixels.
    Every pixel is the one that the whole output, rounded to 8 bits and made small by `resize_pil`, has there.
    """
    lr = small.shape[:2]
    covered = covered_window(window, size, lr)
    source = pil_source(size, lr, covered)
    rgb = resize_pil_window(to_bytes(render(source)), size, lr, covered)
    return Returned(rgb, covered, decibels(luma(rgb) - luma(to_bytes(small[covered.slices()]))))

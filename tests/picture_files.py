"""Writes picture files for tests, by what `Renderer.save` writes them with."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from clit.pictures.files import form_of, write_finished
from clit.pictures.metadata import Metadata


def write_image(
    path: str | os.PathLike,
    rgb: np.ndarray,
    alpha: np.ndarray | None = None,
    bits: int = 8,
    *,
    grey: bool = False,
    metadata: Metadata | None = None,
) -> None:
    """Write a picture (h, w, 3) of floats, with its alpha (h, w)."""
    alphas = None if alpha is None else iter([alpha])
    write_image_bands(path, rgb.shape[:2], iter([rgb]), alphas, bits, grey=grey, metadata=metadata)


def write_image_bands(
    path: str | os.PathLike,
    size: tuple[int, int],
    bands: Iterator[np.ndarray],
    alphas: Iterator[np.ndarray] | None = None,
    bits: int = 8,
    *,
    grey: bool = False,
    metadata: Metadata | None = None,
) -> None:
    """Write a picture of `size` (H, W) that comes as bands of rows (n, W, 3), and of alpha (n, W)."""
    form = form_of(path, size, bits, transparent=alphas is not None, grey=grey, metadata=metadata)
    write_finished(path, form, (form.finish(rgb, None if alphas is None else next(alphas)) for rgb in bands))

"""Picture files written in bands of rows, for pictures that memory does not hold."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np

from clit.pictures.metadata import Metadata
from clit.pictures.writers.png import write_png
from clit.pictures.writers.tiff import write_tiff
from clit.system.atomic import open_atomic


def write_bands(
    path: str | os.PathLike,
    shape: tuple[int, int, int],
    bands: Iterable[np.ndarray],
    kind: str,
    bits: int = 8,
    metadata: Metadata | None = None,
) -> None:
    """Write a picture that comes as bands of rows, top to bottom; the file appears complete or not at all.

    shape: (H, W, channels), grey or RGB, each with or without alpha. bands: (rows, W, channels) uint8 or uint16, as
    `bits` says, of any heights that add up to H. kind: "PNG" or "TIFF" (deflated tiles; a BigTIFF over 2 GB).
    UserError if the path cannot be written; whatever the bands raise goes through.
    """
    with open_atomic(path) as file:
        (write_png if kind == "PNG" else write_tiff)(file, shape, bands, bits, metadata or Metadata())

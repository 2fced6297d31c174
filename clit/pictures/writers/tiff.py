"""The TIFF writer: deflated tiles, by tifffile; a BigTIFF over 2 GB."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import tifffile

from clit.pictures.metadata import EXIF_IFD, GPS_IFD, Metadata, directory_bytes, kept_tags
from clit.pictures.profiles import srgb_profile

_TILE = 256  # side of a tile


def write_tiff(
    file: BinaryIO, shape: tuple[int, int, int], bands: Iterable[np.ndarray], bits: int, metadata: Metadata
) -> None:
    big = bool(np.prod(shape) * bits / 8 > 2 << 30)
    alpha = shape[2] in (2, 4)
    try:
        tags, *directories = kept_tags(metadata, shape[:2])
    except Exception:  # Pillow raises all kinds of errors on broken directories
        tags, directories = {}, [{}, {}]
    texts = [(tag, 2, 0, value, True) for tag, value in tags.items() if isinstance(value, str) and value.isascii()]
    pointers = {} if big else {tag: d for tag, d in zip((EXIF_IFD, GPS_IFD), directories, strict=True) if d}
    tifffile.imwrite(
        file, _tiles(_regular(bands)), shape=shape if shape[2] > 1 else shape[:2], dtype=f"uint{bits}",
        tile=(_TILE, _TILE), photometric="rgb" if shape[2] > 2 else "minisblack",
        planarconfig="contig" if shape[2] > 1 else None, extrasamples=["unassalpha"] if alpha else None,
        compression="zlib", predictor=True, bigtiff=big, byteorder="<", metadata=None, software=False,
        resolution=metadata.dpi, resolutionunit="inch" if metadata.dpi else None,
        iccprofile=srgb_profile(grey=shape[2] < 3),
        extratags=[*texts, *((tag - 1, 4, 1, 0, True) for tag in pointers)],
    )  # fmt: skip
    if pointers:
        _append_directories(file, pointers)


def _append_directories(file: BinaryIO, pointers: dict[int, dict]) -> None:
    """Append EXIF directories to a TIFF, and put their places into the tags that wait for them.

    tifffile does not write these tags itself: those before them in number stand in their places.
    """
    file.flush()
    file.seek(0)
    written = tifffile.TiffFile(file)
    places = {tag: written.pages[0].tags[tag - 1].offset for tag in pointers}
    for tag, directory in pointers.items():
        end = file.seek(0, os.SEEK_END)
        end += end % 2
        data = directory_bytes(directory, end)
        if data:
            file.seek(end)
            file.write(data)
            file.seek(places[tag])
            file.write(struct.pack("<HHII", tag, 4, 1, end))


def _regular(bands: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the rows of bands of any heights as bands of a tile's height, the last one as high as what is left."""
    held, rows = [], 0
    for band in bands:
        held.append(band)
        rows += len(band)
        while rows >= _TILE:
            joined = np.concatenate(held)
            yield joined[:_TILE]
            held, rows = [joined[_TILE:]], rows - _TILE
    if rows:
        yield np.concatenate(held)


def _tiles(bands: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for band in bands:
        for left in range(0, band.shape[1], _TILE):
            tile = band[:, left : left + _TILE]
            short = [(0, _TILE - n) for n in tile.shape[:2]]
            tile = np.ascontiguousarray(np.pad(tile, [*short, (0, 0)]))
            yield tile if tile.shape[2] > 1 else tile[..., 0]

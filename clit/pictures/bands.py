"""PNG and TIFF files written band by band, for pictures that memory does not hold."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import tifffile

from clit.system.atomic import open_atomic

_TILE = 256  # side of a TIFF's tiles
_COLOUR = {3: 2, 4: 6}  # channels -> PNG's colour type


def write_bands(
    path: str | os.PathLike, shape: tuple[int, int, int], bands: Iterable[np.ndarray], kind: str, bits: int = 8
) -> None:
    """Write a picture that comes as bands of rows, top to bottom; the file appears complete or not at all.

    shape: (H, W, channels), three or four channels, RGB or with alpha. bands: (rows, W, channels) uint8 or uint16, as
    `bits` says, of any heights that add up to H. kind: "PNG" or "TIFF" (deflated tiles; a BigTIFF over 2 GB).
    UserError if the path cannot be written; whatever the bands raise goes through.
    """
    with open_atomic(path) as file:
        (_png if kind == "PNG" else _tiff)(file, shape, bands, bits)


def _tiff(file: BinaryIO, shape: tuple[int, int, int], bands: Iterable[np.ndarray], bits: int) -> None:
    tifffile.imwrite(
        file, _tiles(_regular(bands, shape)), shape=shape, dtype=f"uint{bits}", tile=(_TILE, _TILE),
        photometric="rgb", extrasamples=["unassalpha"] if shape[2] == 4 else None, compression="zlib",
        predictor=True, bigtiff=np.prod(shape) * bits / 8 > 2 << 30, metadata=None, software=False,
    )  # fmt: skip


def _regular(bands: Iterable[np.ndarray], shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
    """Bands of other heights as bands of a tile's height, the last one as high as what is left."""
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
            yield np.ascontiguousarray(np.pad(tile, [*short, (0, 0)]))


def _png(file: BinaryIO, shape: tuple[int, int, int], bands: Iterable[np.ndarray], bits: int) -> None:
    """PNG (ISO/IEC 15948): of each row the filter with the smallest sum of differences, deflated."""
    height, width, channels = shape
    step = channels * bits // 8  # bytes of a pixel

    def chunk(name: bytes, data: bytes) -> None:
        file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))

    file.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, _COLOUR[channels], 0, 0, 0))
    deflate = zlib.compressobj(3, strategy=zlib.Z_FILTERED)
    above = np.zeros(width * step, np.uint8)
    for band in bands:
        rows = np.ascontiguousarray(band.astype(f">u{bits // 8}")).view(np.uint8).reshape(len(band), -1)
        data = deflate.compress(_filtered(rows, above, step).tobytes())
        if data:
            chunk(b"IDAT", data)
        above = rows[-1]
    chunk(b"IDAT", deflate.flush())
    chunk(b"IEND", b"")


def _filtered(rows: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Rows of bytes (n, k) after the row `above`, each led by its filter's number: (n, k + 1)."""
    up = np.vstack([above, rows[:-1]])
    left = np.zeros_like(rows)
    left[:, step:] = rows[:, :-step]
    tried = {1: rows - left, 2: rows - up, 3: rows - ((left.astype(np.uint16) + up) // 2).astype(np.uint8)}
    sums = np.stack([np.abs(x.view(np.int8).astype(np.int16)).sum(1) for x in tried.values()])
    best = sums.argmin(0)
    chosen = np.choose(best[:, None], list(tried.values()))
    return np.column_stack([(best + 1).astype(np.uint8), chosen])

"""The PNG writer (ISO/IEC 15948): each row by the filter with the smallest sum of differences, deflated."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np

from clit.pictures.metadata import Metadata, exif_bytes
from clit.pictures.readers.png import SIGNATURE, chunk

_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> colour type


def write_png(
    file: BinaryIO, shape: tuple[int, int, int], bands: Iterable[np.ndarray], bits: int, metadata: Metadata
) -> None:
    """Write a PNG (ISO/IEC 15948): of each row the filter with the smallest sum of differences, deflated."""
    height, width, channels = shape
    step = channels * bits // 8  # bytes of a pixel
    file.write(SIGNATURE)
    file.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, _COLOUR[channels], 0, 0, 0)))
    for part in _colour_and_metadata_chunks(metadata, (height, width)):
        file.write(part)
    deflate = zlib.compressobj(3, strategy=zlib.Z_FILTERED)
    above = np.zeros(width * step, np.uint8)
    for band in bands:
        rows = np.ascontiguousarray(band.astype(f">u{bits // 8}")).view(np.uint8).reshape(len(band), -1)
        data = deflate.compress(_filter_rows(rows, above, step).tobytes())
        if data:
            file.write(chunk(b"IDAT", data))
        above = rows[-1]
    file.write(chunk(b"IDAT", deflate.flush()))
    file.write(chunk(b"IEND", b""))


def _filter_rows(rows: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Return rows of bytes (n, k) after the row `above`, filtered, each led by its filter's number: (n, k + 1)."""
    up = np.vstack([above, rows[:-1]])
    left = np.zeros_like(rows)
    left[:, step:] = rows[:, :-step]
    tried = {1: rows - left, 2: rows - up, 3: rows - ((left.astype(np.uint16) + up) // 2).astype(np.uint8)}
    sums = np.stack([np.abs(x.view(np.int8).astype(np.int16)).sum(1) for x in tried.values()])
    best = sums.argmin(0)
    chosen = np.choose(best[:, None], list(tried.values()))
    return np.column_stack([(best + 1).astype(np.uint8), chosen])


def _colour_and_metadata_chunks(kept: Metadata, size: tuple[int, int]) -> Iterator[bytes]:
    """Yield the chunks of a written picture of `size` (H, W) that stand before its pixels."""
    yield chunk(b"sRGB", b"\0")
    if kept.dpi:
        yield chunk(b"pHYs", struct.pack(">IIB", *(round(n / 0.0254) for n in kept.dpi), 1))
    if exif := exif_bytes(kept, size):
        yield chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    for key, text in kept.text:
        name = key.encode("latin-1", "replace")
        try:
            yield chunk(b"tEXt", name + b"\0" + text.encode("latin-1"))
        except UnicodeEncodeError:
            yield chunk(b"iTXt", name + b"\0\0\0\0\0" + text.encode("utf-8"))

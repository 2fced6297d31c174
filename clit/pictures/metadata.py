"""What a picture carries besides its pixels: resolution, EXIF and text; read, kept, and written for the new size."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

ORIENTATION, EXIF_IFD, GPS_IFD = 0x0112, 0x8769, 0x8825
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
_WIDTH, _HEIGHT = 0xA002, 0xA003  # in the EXIF directory

KEPT = (
    0x010E,  # description
    0x010F, 0x0110,  # make, model
    0x0131, 0x0132, 0x013B, 0x013C,  # software, date, artist, computer
    0x4746, 0x4749,  # rating
    0x8298,  # copyright
    0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F,  # title, comment, author, keywords, subject
)  # fmt: skip
"""Tags of the main EXIF directory that are kept. The others describe the old file's pixels."""

MAX_TEXT = 1 << 20
"""Bytes of text that are kept of a picture; longer ones are skipped."""

_GENERATED = ('{"shape"', "ImageJ=", "<?xml")  # descriptions of how the old file is laid out, for software

BROKEN_EXIF = "The EXIF data is damaged and is left out."


@dataclass(frozen=True)
class Metadata:
    """What is kept of a picture, and what is not.

    dpi: pixels per inch (x, y), or None. exif: a TIFF structure as bytes, b"" if none. text: (key, text) pairs. other:
    kinds of metadata that the file holds and no output does, "XMP" or "IPTC".
    """

    dpi: tuple[float, float] | None = None
    exif: bytes = field(default=b"", repr=False)
    text: tuple[tuple[str, str], ...] = ()
    other: tuple[str, ...] = ()


def valid_dpi(dpi: Any) -> tuple[float, float] | None:
    """Return the resolution as (x, y) pixels per inch, or None if it makes no sense."""
    try:
        x, y = (float(n) for n in dpi)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    if not all(math.isfinite(n) and 1 <= n <= 100_000 for n in (x, y)):
        return None
    x, y = (round(n) if abs(n - round(n)) < 0.02 else n for n in (x, y))  # PNG counts whole pixels per metre
    return float(x), float(y)


def read_exif(data: bytes | None) -> tuple[bytes, int, list[str]]:
    """Return EXIF data that can be read, b"" otherwise; the orientation, 1 to 8; and notices."""
    data = (data or b"").removeprefix(b"Exif\0\0")
    if not data:
        return b"", 1, []
    try:
        exif = _load(data)
        orientation = exif.get(ORIENTATION, 1)
        list(exif.items())
    except Exception:  # Pillow raises all kinds of errors on broken directories
        return b"", 1, [BROKEN_EXIF]
    return data, valid_orientation(orientation), []


def exif_dpi(data: bytes) -> tuple[float, float] | None:
    """Return the resolution that EXIF data tells, in pixels per inch, or None."""
    try:
        exif = _load(data)
        inch = 2.54 if exif.get(RESOLUTION_UNIT) == 3 else 1  # 3: per centimetre
        return valid_dpi(exif[tag] * inch for tag in (X_RESOLUTION, Y_RESOLUTION))
    except Exception:  # see read_exif
        return None


def valid_orientation(value: Any) -> int:
    """Return an EXIF orientation; 1, which is upright, for anything that is none."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def xmp_orientation(xmp: bytes | str | None) -> int:
    """Return the orientation that an XMP packet tells, 1 if it tells none."""
    if isinstance(xmp, str):
        xmp = xmp.encode("utf-8", "replace")
    match = re.search(rb"tiff:Orientation(?:=\"|>)([1-8])", xmp or b"")
    return int(match[1]) if match else 1


def list_other(xmp: Any, iptc: Any) -> tuple[str, ...]:
    """Return which of XMP and IPTC data a file holds, for `Metadata.other`. Empty data counts as none."""
    return tuple(name for name, data in (("XMP", xmp), ("IPTC", iptc)) if data)


def exif_bytes(metadata: Metadata, size: tuple[int, int], with_dpi: bool = False, limit: int | None = None) -> bytes:
    """Return EXIF data for a written picture of `size` (H, W), upright, led by "Exif\\0\\0"; b"" if there is nothing.

    with_dpi: put the resolution in, for formats that have no other place for it. limit: the most bytes a format holds;
    what is longer is written without the camera's own notes, or not at all.
    """
    try:
        tags, directory, gps = kept_tags(metadata, size)
    except Exception:  # see read_exif
        tags, directory, gps = {}, {}, {}
    if with_dpi and metadata.dpi:
        tags |= resolution_tags(metadata.dpi)
    if not (tags or directory or gps):
        return b""
    for dropped in ((), (0x927C,), tuple(directory)):  # the maker's notes, then all of the directory
        exif = Image.Exif()
        exif.update({**tags, ORIENTATION: 1})
        if kept := {tag: value for tag, value in directory.items() if tag not in dropped}:
            exif[EXIF_IFD] = kept
        if gps:
            exif[GPS_IFD] = gps
        try:
            data = exif.tobytes()
        except Exception:  # a value of a type that Pillow cannot write
            continue
        if limit is None or len(data) <= limit:
            return data
    return b""


def resolution_tags(dpi: tuple[float, float]) -> dict[int, Any]:
    """Return the tags that tell a resolution in pixels per inch."""
    return {X_RESOLUTION: IFDRational(dpi[0]), Y_RESOLUTION: IFDRational(dpi[1]), RESOLUTION_UNIT: 2}


def kept_tags(metadata: Metadata, size: tuple[int, int]) -> tuple[dict, dict, dict]:
    """Return the tags to write: of the main directory, of the EXIF directory (sizes updated), and of the GPS one."""
    if not metadata.exif:
        return {}, {}, {}
    exif = _load(metadata.exif)
    tags = {tag: exif[tag] for tag in KEPT if tag in exif and not str(exif[tag]).startswith(_GENERATED)}
    directory = {tag: value for tag, value in exif.get_ifd(EXIF_IFD).items() if not isinstance(value, dict)}
    for tag, side in ((_WIDTH, size[1]), (_HEIGHT, size[0])):
        if tag in directory:
            directory[tag] = side
    return tags, directory, dict(exif.get_ifd(GPS_IFD))


def directory_bytes(tags: dict, offset: int) -> bytes:
    """Return a little-endian TIFF directory of tags, to be placed at `offset` in a file; b"" if it cannot be made."""
    directory = ImageFileDirectory_v2(ifh=b"II*\0\0\0\0\0")
    try:
        for tag, value in tags.items():
            directory[tag] = value
        return directory.tobytes(offset)
    except Exception:  # a value of a type that Pillow cannot write
        return b""


def kept_text(pairs: Any) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """Return the (key, text) pairs that are kept, and notices of those that are too long."""
    kept, used, notices = [], 0, []
    for key, text in pairs:
        key, text = str(key)[:79], str(text)
        if not text or not key or key.startswith(("Raw profile type", "XML:")):
            continue
        used += len(text)
        if used <= MAX_TEXT:
            kept.append((key, text))
        elif not notices:
            notices.append("Text of more than 1 MB is left out.")
    return tuple(kept), notices


def _load(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + data)
    return exif

"""Pictures through Pillow: JPEG, WebP, GIF, BMP, TGA, AVIF and JPEG 2000 of 8 bits, and its own image objects."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from clit.errors import UserError
from clit.pictures import metadata
from clit.pictures.metadata import Metadata
from clit.pictures.picture import Decoded
from clit.pictures.profiles import Samples
from clit.pictures.readers.source import MORE_PICTURES, Source

_IPTC = 0x0404  # among Photoshop's parts of a JPEG

_DECODER_BYTES = {"GIF": 13, "WebP": 20, "AVIF": 20, "JPEG 2000": 40}
"""Bytes of memory, and with it time, that decoders take for a pixel of an opaque picture; 11 for the others."""

_REDUCED = "Pillow has read this picture with 8 bits per channel: give its path to keep 16."


def read_jpeg(source: Source) -> Decoded:
    """Read a JPEG; one whose end is missing as far as it goes."""
    try:
        with open_image(source, "JPEG") as image:
            return _decode_jpeg(image, source)
    except OSError:
        whole = source.data + b"\xff\xd9"  # the end marker: the decoder then takes what there is
        try:
            with open_image(source, "JPEG", whole) as image:
                found = _decode_jpeg(image, source)
        except OSError:
            raise source.damaged() from None
    found.notices.append(source.cut_off())
    return found


def _decode_jpeg(image: Image.Image, source: Source) -> Decoded:
    """Decode a JPEG; at a half, a quarter or an eighth where it is made smaller anyway, which takes less memory."""
    whole = image.height, image.width
    if source.room:
        image.draft(None, source.room.shrink(*whole)[::-1])
    found = decode(image, source.name)
    found.whole = whole
    return found


def read_pillow(source: Source, form: str) -> Decoded:
    """Read a file of one format, as Pillow names it."""
    with open_image(source, form) as image:
        return decode(image, source.name)


def open_image(source: Source, form: str, data: bytes | None = None) -> Image.Image:
    """Open, but do not decode, a file as one format; UserError if it has too many pixels."""
    try:
        image = Image.open(io.BytesIO(source.data if data is None else data), formats=[form])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise source.too_large() from None
    source.check_size(image.height, image.width, _count_bytes(image, source))
    return image


def _count_bytes(image: Image.Image, source: Source) -> int:
    """Return the bytes of memory that a pixel takes while an opened file is decoded."""
    if not source.room:
        return 4
    if source.form == "JPEG":
        return 10 if "progressive" in image.info else 1  # all coefficients are held, or a few rows
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa", "I", "F") or "transparency" in image.info
    return _DECODER_BYTES.get(source.form, 11) + 26 * transparent


def decode(image: Image.Image, name: str) -> Decoded:
    """Decode a Pillow image. What the decoder raises on broken data goes through; `name` is for sentences."""
    # A decoder may replace these, so they are looked at first.
    info = dict(image.info)
    notices = [MORE_PICTURES] if getattr(image, "is_animated", False) else []
    layouts = [str(tile[3]) for tile in getattr(image, "tile", [])]
    if image.mode in ("RGB", "RGBA", "LA") and any(";16" in text for text in layouts):
        notices.append(_REDUCED)
    samples, alpha = split(image, name)
    found = Decoded(samples, alpha, 8 if samples.values.dtype == np.uint8 else 16, notices=notices)
    found.profile = _bytes(info.get("icc_profile"))
    exif, _, broken = metadata.read_exif(_bytes(info.get("exif")))
    found.orientation = 1 if broken else _orientation(image)
    text, skipped = metadata.kept_text([("Comment", _comment(info))])
    other = metadata.list_other(info.get("xmp"), _IPTC in (info.get("photoshop") or ()))
    found.metadata = Metadata(metadata.valid_dpi(info.get("dpi")) or metadata.exif_dpi(exif), exif, text, other)
    found.notices += broken + skipped
    return found


def split(image: Image.Image, name: str) -> tuple[Samples, np.ndarray | None]:
    """Return the samples and the alpha (h, w) float32, or None, of a Pillow image of any mode."""
    if image.mode.startswith("I;16"):
        return Samples(np.asarray(image).astype(np.uint16)[..., None], 65535, "grey"), None
    if image.mode == "I":
        return Samples(_whole_numbers(np.asarray(image))[..., None], 65535, "grey"), None
    if image.mode == "F":
        return Samples(_unit_floats(np.asarray(image), name)[..., None], 1, "grey"), None
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    if transparent and image.mode != "LA":
        image = image.convert("LA" if image.mode in ("L", "1", "La") else "RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "LA", "RGB", "CMYK", "LAB"):
        image = image.convert("RGB")
    values = np.asarray(image)
    values = values[..., None] if values.ndim == 2 else values
    if image.mode == "LAB":
        return Samples(values * np.float32([100 / 255, 1, 1]) - np.float32([0, 128, 128]), 1, "lab"), None
    if not transparent:
        return Samples(values, 255, {"L": "grey", "CMYK": "cmyk"}.get(image.mode, "rgb")), None
    alpha = values[..., -1].astype(np.float32) / 255
    return Samples(values[..., :-1], 255, "grey" if image.mode == "LA" else "rgb"), alpha


def _whole_numbers(values: np.ndarray) -> np.ndarray:
    """Return as uint16 what some readers hand out as 32-bit integers."""
    if values.min() < 0 or values.max() > 65535:
        raise UserError("The image has 32-bit values beyond 16 bit: scale them to 16 bit first.")
    return values.astype(np.uint16)


def _unit_floats(values: np.ndarray, name: str) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if not (-1e-4 <= low and high <= 1 + 1e-4):  # so it is for NaN
        raise UserError(f"{name} is a floating-point image and must lie in [0, 1], but spans {low:g} to {high:g}.")
    return np.clip(values, 0, 1)


def _orientation(image: Image.Image) -> int:
    """Return the orientation that EXIF, an XMP packet, or the user of an image object tells."""
    try:
        return metadata.valid_orientation(image.getexif().get(metadata.ORIENTATION))
    except Exception:  # Pillow raises all kinds of errors on broken directories
        return 1


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b""


def _comment(info: dict) -> str:
    comment = info.get("comment", "")
    return comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)

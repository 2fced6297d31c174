"""AVIF, HEIC and JPEG 2000: pictures that may have more than 8 bits per channel, and name their colours by numbers."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import imagecodecs
import numpy as np

from clit.errors import UserError
from clit.pictures import metadata
from clit.pictures.cicp import profile_of_numbers
from clit.pictures.metadata import Metadata
from clit.pictures.picture import Decoded
from clit.pictures.profiles import Samples
from clit.pictures.readers.pillow import decode, open_image, split
from clit.pictures.readers.source import MORE_PICTURES, Source


def read_avif(source: Source) -> Decoded:
    """Read an AVIF, of 8, 10 or 12 bits."""
    boxes = dict(reversed(list(_properties(source.data))))  # the first of each
    flags = boxes.get(b"av1C", b"\0\0\0")[2]
    bits = (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    with open_image(source, "AVIF") as image:
        if bits == 8:
            found = decode(image, source.name)
        else:
            found = _deep(imagecodecs.avif_decode(source.data, 0 if image.is_animated else None), bits)
            described = decode(image, source.name)
            found.profile, found.orientation, found.metadata = (
                described.profile, described.orientation, described.metadata
            )  # fmt: skip
            found.notices += described.notices
    if not found.profile and boxes.get(b"colr", b"")[:4] == b"nclx":
        _name_colours(found, *struct.unpack_from(">HH", boxes[b"colr"], 4))
    return found


def read_jpeg2000(source: Source) -> Decoded:
    """Read a JPEG 2000 of up to 16 bits."""
    at = source.data.find(b"\xff\x4f\xff\x51")  # the codestream begins with its size
    bits = (source.data[at + 42] & 0x7F) + 1 if at >= 0 and len(source.data) > at + 42 else 8
    with open_image(source, "JPEG2000") as image:
        if bits <= 8:
            return decode(image, source.name)
        found = _deep(imagecodecs.jpeg2k_decode(source.data), bits)
        found.profile = image.info.get("icc_profile") or b""
        found.metadata = Metadata(metadata.valid_dpi(image.info.get("dpi")))
    return found


def read_heic(source: Source) -> Decoded:
    """Read a HEIC through pillow-heif, turned as its own transformations say; UserError where that is missing."""
    try:
        import pillow_heif
    except ImportError:
        raise UserError(
            f"{source.name} is a HEIC picture, which needs pillow-heif: pip install pillow-heif, or save it as JPEG."
        ) from None
    file = pillow_heif.open_heif(io.BytesIO(source.data), convert_hdr_to_8bit=False)
    image = file[file.primary_index]
    source.check_size(image.size[1], image.size[0], 20 + 26 * image.has_alpha if source.room else 8)
    if image.mode.endswith(";16"):
        stored = int(image.info.get("bit_depth", 16))
        found = _deep(np.asarray(image), stored, full=(2**stored - 1) << (16 - stored))
    else:
        found = Decoded(*split(image.to_pillow(), source.name))
    exif, _, broken = metadata.read_exif(image.info.get("exif"))
    found.profile = image.info.get("icc_profile") or b""
    found.metadata = Metadata(metadata.exif_dpi(exif), exif, other=metadata.list_other(image.info.get("xmp"), None))
    found.notices += broken + [MORE_PICTURES] * (len(file) > 1)
    if not found.profile and (colour := image.info.get("nclx_profile")):
        _name_colours(found, colour["color_primaries"], colour["transfer_characteristics"])
    return found


def _deep(values: np.ndarray, bits: int, full: int | None = None) -> Decoded:
    """Return samples (h, w[, channels]) of more than 8 bits; an even number of channels ends with alpha."""
    full = full or 2**bits - 1
    values = np.minimum(values if values.ndim == 3 else values[..., None], full).astype(np.uint16)
    channels = values.shape[2]
    alpha = values[..., -1].astype(np.float32) / np.float32(full) if channels in (2, 4) else None
    colours = values if alpha is None else values[..., :-1]
    return Decoded(Samples(colours, full, "rgb" if channels > 2 else "grey"), alpha, bits=16)


def _name_colours(found: Decoded, primaries: int, transfer: int) -> None:
    found.profile, notices = profile_of_numbers(primaries, transfer, found.samples.space == "grey")
    found.notices += notices


def _properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and content of the picture's properties (ISO/IEC 23008-12): the boxes in meta, iprp, ipco."""
    for _, meta in _boxes(data, b"meta"):
        for _, properties in _boxes(meta[4:], b"iprp"):
            for _, container in _boxes(properties, b"ipco"):
                yield from _boxes(container)


def _boxes(data: bytes, wanted: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if length < 8:  # to the end, or of 64 bits: pictures' descriptions are neither
            return
        if wanted in (None, name):
            yield name, data[at + 8 : at + length]
        at += length

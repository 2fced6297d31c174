"""TIFF by its tags: any depth, layout, compression and kind of transparency that tifffile and imagecodecs decode."""

from __future__ import annotations

import io
import logging

import numpy as np
import tifffile

from clit.errors import UserError
from clit.pictures import metadata
from clit.pictures.metadata import Metadata
from clit.pictures.picture import Decoded
from clit.pictures.profiles import Samples
from clit.pictures.readers.pillow import read_pillow
from clit.pictures.readers.source import MORE_PICTURES, Source

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # it tells of every oddity, on standard error

_WHITE_IS_0, _BLACK_IS_0, _RGB, _PALETTE, _CMYK, _YCBCR, _CIELAB, _ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
_RAW = (32803, 34892)  # colour filter array, linear raw
_CHANNELS = {_WHITE_IS_0: 1, _BLACK_IS_0: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3, _CIELAB: 3, _ICCLAB: 3}
_JPEG = (6, 7, 34892, 33007)  # compressions that keep colours as YCbCr and give back RGB
_PREMULTIPLIED, _STRAIGHT = 1, 2  # ExtraSamples

_MAX_VALUE, _INK_SET, _DNG = 281, 332, 50706
_CENTIMETRE = 3
_XMP, _IPTC = 700, 33723  # tags


class _Unsupported(Exception):
    """tifffile cannot decode this kind, but Pillow may."""


def read_tiff(source: Source) -> Decoded:
    """Read the first full picture of a TIFF, BigTIFF included."""
    try:
        with tifffile.TiffFile(io.BytesIO(source.data)) as file:
            return _read(file, source)
    except UserError:
        raise
    except Exception:  # tifffile and its codecs raise all kinds of errors; some kinds only Pillow knows
        return read_pillow(source, "TIFF")


def _read(file: tifffile.TiffFile, source: Source) -> Decoded:
    page = next((p for p in file.pages if not p.is_reduced), file.pages[0])
    _check(page, source)
    values = page.asarray()
    if page.axes == "SYX":
        values = np.moveaxis(values, 0, -1)
    elif page.axes == "YX":
        values = values[..., None]
    elif page.axes != "YXS":
        raise _Unsupported
    bits = page.bitspersample
    found = Decoded(Samples(values, 1, "grey"), bits=8 if bits <= 8 else 16)
    if sum(1 for p in file.pages if not p.is_reduced) > 1:
        found.notices.append(MORE_PICTURES)
    channels = _CHANNELS[page.photometric]
    alpha, premultiplied = _alpha_channel(page, values.shape[2] - channels, found.notices)
    found.samples = _colours(page, values[..., :channels], found)
    if alpha is not None:
        level, full = _scaled(values[..., channels + alpha], page, [])
        found.alpha = np.clip(level.astype(np.float32) / np.float32(full), 0, 1)
        if premultiplied:
            found.samples = _straight(found.samples, found.alpha)
    _read_metadata(page, source, found)
    return found


def _check(page: tifffile.TiffPage, source: Source) -> None:
    """Raise UserError for a page that may not or cannot be decoded, _Unsupported for one that Pillow may know."""
    if page.photometric in _RAW or _DNG in page.tags:
        raise UserError(f"{source.name} is a camera's raw picture: develop it first, and save it as PNG or TIFF.")
    bits = page.bitspersample
    if not isinstance(bits, int) or page.photometric not in _CHANNELS or page.imagedepth != 1:
        raise _Unsupported
    sample_bytes = -(-bits // 8) * page.samplesperpixel
    if source.room:
        sample_bytes = 3 * sample_bytes + 12 * (bits > 16) + 26 * (page.samplesperpixel > _CHANNELS[page.photometric])
        sample_bytes += {_PALETTE: 9, _CIELAB: 24, _ICCLAB: 24}.get(page.photometric, 0)  # colours made of the samples
    source.check_size(page.imagelength, page.imagewidth, sample_bytes)
    if page.is_tiled and page.tilelength * page.tilewidth > 4 * page.imagelength * page.imagewidth + (1 << 24):
        raise source.damaged()
    if page.photometric == _YCBCR and page.compression not in _JPEG:
        raise _Unsupported
    if page.photometric == _CMYK and _INK_SET in page.tags and page.tags[_INK_SET].value != 1:
        raise UserError(f"{source.name} is separated into inks other than CMYK: save it as RGB.")
    if page.dtype is None or page.dtype.kind not in "buif" or page.samplesperpixel < _CHANNELS[page.photometric]:
        raise UserError(f"{source.name} has samples of a kind that no picture has: save it as 16-bit PNG or TIFF.")


def _alpha_channel(page: tifffile.TiffPage, extra: int, notices: list[str]) -> tuple[int | None, bool]:
    """Return which of the `extra` channels is alpha, None if none is, and whether colours are multiplied by it."""
    kinds = [int(n) for n in page.extrasamples]
    if not kinds and extra == 1:
        return 0, False  # the tag is missing: everybody reads it as alpha
    found = next((k for k, kind in enumerate(kinds[:extra]) if kind in (_PREMULTIPLIED, _STRAIGHT)), None)
    if extra > (found is not None):
        notices.append("Channels that are neither colour nor transparency are left out.")
    return found, found is not None and kinds[found] == _PREMULTIPLIED


def _colours(page: tifffile.TiffPage, values: np.ndarray, found: Decoded) -> Samples:
    if page.photometric == _PALETTE:
        table = _palette(np.asarray(page.colormap).T)
        return Samples(table[values[..., 0]], np.iinfo(table.dtype).max, "rgb")
    if page.photometric in (_CIELAB, _ICCLAB):
        return Samples(_lab(values, page.photometric == _ICCLAB), 1, "lab")
    values, full = _scaled(values, page, found.notices)
    if page.photometric == _WHITE_IS_0:
        values = (full - values).astype(values.dtype)
    return Samples(values, full, {1: "grey", 4: "cmyk"}.get(values.shape[2], "rgb"))


def _palette(table: np.ndarray) -> np.ndarray:
    """Return a palette (n, 3) uint16 as uint8 where it is made of 8 bits: times 257, times 256, or as they are."""
    for step in (257, 256):
        if (table % step == 0).all():
            return (table // step).astype(np.uint8)
    return table.astype(np.uint8) if table.max() < 256 else table


def _scaled(values: np.ndarray, page: tifffile.TiffPage, notices: list[str]) -> tuple[np.ndarray, float]:
    """Return samples as uint8, uint16 or float32, and the value that stands for 1."""
    kind, bits = values.dtype.kind, page.bitspersample
    if kind == "b":
        return values.astype(np.uint8), 1
    if kind == "f":
        return _unit_floats(values, notices), 1
    if kind == "u" and bits <= 16:
        full = 2**bits - 1
        most = page.tags[_MAX_VALUE].value if _MAX_VALUE in page.tags else full
        most = most[0] if isinstance(most, tuple) else most
        if 0 < most < full and most & (most + 1) == 0 and values.max() <= most:  # fewer bits in wider samples
            full = most
        return values.astype(np.uint8 if bits <= 8 else np.uint16, copy=False), full
    if values.min() < 0:
        notices.append("Negative values are taken for 0.")
        values = np.maximum(values, 0)
    if bits <= 16:
        return values.astype(np.uint16), 2 ** (bits - 1) - 1
    if values.max() <= 65535:
        notices.append(f"Values of {bits} bits that need no more than 16 are read as 16 bits.")
        return values.astype(np.uint16), 65535
    full = 2.0 ** (bits - (kind == "i")) - 1
    return (values / full).astype(np.float32), 1


def _unit_floats(values: np.ndarray, notices: list[str]) -> np.ndarray:
    """Return floats in [0, 1]; what lies above 1 is scaled by the maximum, what makes no sense is black."""
    finite = np.isfinite(values)
    if not finite.all():
        notices.append("Values that are no numbers are taken for 0.")
        values = np.where(finite, values, 0)
    low, high = float(values.min()), float(values.max())
    if low < -1e-4:
        notices.append("Negative values are taken for 0.")
    if high > 1 + 1e-4:
        notices.append(f"Values go up to {high:g} and are divided by that.")
        values = values / high
    return np.clip(values, 0, 1).astype(np.float32)


def _lab(values: np.ndarray, icc: bool) -> np.ndarray:
    """Return L*a*b* of 8- or 16-bit samples; a and b are two's complement, or in ICC's way have an offset."""
    wide = values.dtype.itemsize == 2
    step = np.float32(1 / 256 if wide else 1)
    lab = np.empty(values.shape, np.float32)
    full = (65280 if icc else 65535) if wide else 255
    np.multiply(values[..., 0], np.float32(100 / full), out=lab[..., 0])
    for k in (1, 2):
        if icc:
            np.multiply(values[..., k], step, out=lab[..., k])
            lab[..., k] -= 128
        else:
            signed = np.ascontiguousarray(values[..., k]).view(np.int16 if wide else np.int8)
            np.multiply(signed, step, out=lab[..., k])
    return lab


def _straight(samples: Samples, alpha: np.ndarray) -> Samples:
    """Divide colours by the alpha they were multiplied with."""
    unit = samples.unit() / np.maximum(alpha, 1e-6)[..., None]
    return Samples(np.minimum(unit, 1), 1, samples.space)


def _read_metadata(page: tifffile.TiffPage, source: Source, found: Decoded) -> None:
    tags = page.tags
    found.orientation = metadata.valid_orientation(int(tags[274].value)) if 274 in tags else 1
    if 34675 in tags and found.samples.space != "lab":
        found.profile = bytes(tags[34675].value)
    dpi = None
    if 282 in tags and 283 in tags and (296 not in tags or tags[296].value in (2, _CENTIMETRE)):
        inch = 2.54 if 296 in tags and tags[296].value == _CENTIMETRE else 1.0
        try:
            dpi = metadata.valid_dpi(tags[t].value[0] / tags[t].value[1] * inch for t in (282, 283))
        except (TypeError, ZeroDivisionError):
            pass
    exif = b""
    if any(tag in tags for tag in (*metadata.KEPT, metadata.EXIF_IFD, metadata.GPS_IFD)):
        whole = Metadata(exif=source.data)  # the file is what EXIF data is: a TIFF
        exif = metadata.exif_bytes(whole, (page.imagelength, page.imagewidth)).removeprefix(b"Exif\0\0")
    found.metadata = Metadata(dpi, exif, other=metadata.list_other(_XMP in tags, _IPTC in tags))

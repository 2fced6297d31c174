"""PNG (third edition): chunks, every depth and kind of transparency, colour chunks, and files whose end is missing."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image

from clit.pictures import metadata
from clit.pictures.cicp import profile_of_numbers
from clit.pictures.metadata import Metadata
from clit.pictures.picture import Decoded
from clit.pictures.profiles import SRGB_PRIMARIES, WHITE, Samples, profile_of_curve
from clit.pictures.readers.source import MORE_PICTURES, Source

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_MAX_PROFILE = 1 << 20
_MAX_TEXTS = 8 << 20  # bytes of all texts that are looked at
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@dataclass
class _Png:
    """The parts of a PNG file. parts: chunks by name, the first of each; data: the compressed pixels."""

    width: int
    height: int
    depth: int
    kind: int
    interlaced: bool
    parts: dict[bytes, bytes] = field(default_factory=dict)
    texts: list[tuple[bytes, bytes]] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    whole: bool = False  # the file goes to its end, and every checksum of its pixels is right


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def read_png(source: Source) -> Decoded:
    """Read a PNG, the first picture of an animated one; one whose end is missing as far as it goes."""
    png = _parse(source)
    source.check_size(png.height, png.width, _count_bytes(png) if source.room else 8)
    notices = [MORE_PICTURES] if b"acTL" in png.parts else []
    values = _decode(png, _plain_file(png)) if png.whole else None
    if values is None:
        plain = _salvage(png)
        values = None if plain is None else _decode(png, plain)
        if values is None:
            raise source.damaged()
        notices.append(source.cut_off())
    samples, alpha = _split(png, values)
    found = Decoded(samples, alpha, 16 if png.depth == 16 else 8, notices=notices)
    _read_colour(png, found)
    _read_metadata(png, found)
    return found


def _count_bytes(png: _Png) -> int:
    """Return the bytes of memory that a pixel takes while the picture is decoded and laid over white."""
    if png.kind & 4 or b"tRNS" in png.parts:
        return 42 if png.depth == 16 else 34
    return 16 if png.depth == 16 else 11


def _parse(source: Source) -> _Png:
    png = None
    for name, data, right in _chunks(source.data):
        if png is None:
            if name != b"IHDR" or len(data) != 13:
                raise source.damaged()
            width, height, depth, kind, *_, interlace = struct.unpack(">IIBBBBB", data)
            if kind not in _CHANNELS or depth not in (1, 2, 4, 8, 16):
                raise source.damaged()
            png = _Png(width, height, depth, kind, interlace == 1, whole=True)
        elif name == b"IDAT":
            png.data.append(data)
            png.whole &= right
        elif name == b"IEND":
            return png
        elif name in (b"tEXt", b"zTXt", b"iTXt"):
            png.texts.append((name, data))
        elif right or name == b"PLTE":
            png.parts.setdefault(name, data)
    if png is None or not png.data:
        raise source.damaged()
    png.whole = False
    return png


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield each chunk's name, its data as far as the file goes, and whether its checksum is right."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        end = at + 8 + length
        right = data[end : end + 4] == struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))
        yield name, body, right
        at = end + 4


def _plain_file(png: _Png, data: list[bytes] | None = None) -> bytes:
    """Return the file without all that is not pixels: a decoder stumbles over the rest, or applies some of it."""
    head = struct.pack(">IIBBBBB", png.width, png.height, png.depth, png.kind, 0, 0, png.interlaced)
    chunks = [chunk(b"IHDR", head)]
    if png.kind == 3:
        chunks.append(chunk(b"PLTE", png.parts.get(b"PLTE", b"\0\0\0")))
    chunks += [chunk(b"IDAT", part) for part in (png.data if data is None else data)]
    return b"".join([SIGNATURE, *chunks, chunk(b"IEND", b"")])


def _decode(png: _Png, plain: bytes) -> np.ndarray | None:
    """Return the samples (h, w, channels), uint16 for 16 bits, else uint8; None if the data is damaged."""
    if png.depth == 16:
        try:
            values = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return None
        if values is None or values.dtype != np.uint16:
            return None
        if png.kind == 0:
            return values.reshape(png.height, png.width, 1)
        values = values[..., [2, 1, 0, 3][: values.shape[2]]]  # OpenCV has blue first
        return values[..., [0, 3]] if png.kind == 4 else values
    try:
        with Image.open(io.BytesIO(plain), formats=["PNG"]) as image:
            values = np.asarray(image.convert("L") if image.mode == "1" else image)
    except Exception:  # Pillow raises all kinds of errors on broken data
        return None
    return values.reshape(png.height, png.width, -1)


def _salvage(png: _Png) -> bytes | None:
    """Return a file of what can be decompressed, the rest of it black or transparent; None if that is nothing."""
    rows = _row_bytes(png)
    size = sum(height * length for height, length in rows)
    inflate, raw = zlib.decompressobj(), bytearray()
    for part in png.data:
        try:
            raw += inflate.decompress(part, size - len(raw) + 1)
        except zlib.error:
            break
        if len(raw) >= size:
            break
    if not raw:
        return None
    return _plain_file(png, [zlib.compress(bytes(raw[:size]).ljust(size, b"\0"), 1)])


def _row_bytes(png: _Png) -> list[tuple[int, int]]:
    """Return for each pass the number of rows and the bytes of one, its filter's number included."""
    bits = png.depth * _CHANNELS[png.kind]
    if not png.interlaced:
        return [(png.height, 1 + (png.width * bits + 7) // 8)]
    sizes = [(-(-(png.height - y) // dy), -(-(png.width - x) // dx)) for y, x, dy, dx in _ADAM7]
    return [(height, 1 + (width * bits + 7) // 8) for height, width in sizes if height > 0 and width > 0]


def _split(png: _Png, values: np.ndarray) -> tuple[Samples, np.ndarray | None]:
    """Return the samples and alpha (h, w) or None: of a channel, of a palette, or of a colour that is transparent."""
    full = 65535 if png.depth == 16 else 255
    clear = png.parts.get(b"tRNS", b"")
    if png.kind == 3:
        palette = np.frombuffer(png.parts.get(b"PLTE", b"\0\0\0").ljust(768, b"\0")[:768], np.uint8).reshape(256, 3)
        alphas = np.frombuffer(clear.ljust(256, b"\xff")[:256], np.uint8).astype(np.float32) / 255
        return Samples(palette[values[..., 0]], full, "rgb"), alphas[values[..., 0]] if clear else None
    space = "rgb" if png.kind & 2 else "grey"
    if png.kind & 4:
        return Samples(values[..., :-1], full, space), values[..., -1].astype(np.float32) / full
    if len(clear) != 2 * values.shape[2]:
        return Samples(values, full, space), None
    key = np.frombuffer(clear, ">u2").astype(np.int64) & (2**png.depth - 1)
    key *= 1 if png.depth == 16 else 255 // (2**png.depth - 1)  # as the decoder has stretched the samples
    return Samples(values, full, space), (values != key).any(-1).astype(np.float32)


def _read_colour(png: _Png, found: Decoded) -> None:
    """Find what the colours are: cICP before iCCP before sRGB before gAMA and cHRM."""
    parts, grey = png.parts, found.samples.space == "grey"
    if len(parts.get(b"cICP", b"")) == 4:
        found.profile, notices = profile_of_numbers(*parts[b"cICP"][:2], grey)
        found.notices += notices
    elif b"iCCP" in parts:
        inflate = zlib.decompressobj()
        try:
            found.profile = inflate.decompress(parts[b"iCCP"].split(b"\0", 1)[1][1:], _MAX_PROFILE)
        except (zlib.error, IndexError):
            found.notices.append("The embedded colour profile is damaged and is ignored.")
        if inflate.unconsumed_tail:
            found.profile = b""
            found.notices.append("The embedded colour profile is larger than 1 MB and is ignored.")
    elif b"sRGB" not in parts and len(parts.get(b"gAMA", b"")) == 4:
        gamma = struct.unpack(">I", parts[b"gAMA"])[0] / 100_000
        white, primaries = WHITE, SRGB_PRIMARIES
        if len(parts.get(b"cHRM", b"")) == 32:
            chroma = tuple(n / 100_000 for n in struct.unpack(">8I", parts[b"cHRM"]))
            white, primaries = chroma[:2], chroma[2:]
        same = np.abs(np.subtract(white + primaries, WHITE + SRGB_PRIMARIES)).max() < 0.002
        if gamma > 0 and not (same and abs(gamma * 2.2 - 1) < 0.02):  # 1 / 2.2 stands for the curve of sRGB
            found.profile = profile_of_curve(primaries, white, 1 / gamma, grey)


def _read_metadata(png: _Png, found: Decoded) -> None:
    texts, long, left = [], False, _MAX_TEXTS
    for name, data in png.texts:
        key, text, cut = _text(name, data)
        left -= len(text)
        if cut or left < 0:  # they may be packed a thousand times smaller
            long = True
            if left < 0:
                break
        texts.append((key, text))
    by_key = dict(texts)
    raw = png.parts.get(b"eXIf") or _exif_of_text(by_key.get("Raw profile type exif", ""))
    exif, orientation, broken = metadata.read_exif(raw)
    found.orientation = orientation if orientation > 1 else metadata.xmp_orientation(by_key.get("XML:com.adobe.xmp"))
    dpi = None
    if len(parts := png.parts.get(b"pHYs", b"")) == 9 and parts[8] == 1:  # pixels per metre
        dpi = metadata.valid_dpi(n * 0.0254 for n in struct.unpack(">II", parts[:8]))
    kept, skipped = metadata.kept_text(texts)
    other = metadata.list_other(by_key.get("XML:com.adobe.xmp"), by_key.get("Raw profile type iptc"))
    found.metadata = Metadata(dpi, exif, kept, other)
    found.notices += broken + (skipped or ["Text of more than 1 MB is left out."] * long)


def _text(name: bytes, data: bytes) -> tuple[str, str, bool]:
    """Return a text chunk's key and text, "" if it is broken or too long, and whether it is too long."""
    key, _, rest = data.partition(b"\0")
    coding, packed = "latin-1", name == b"zTXt"
    if packed:
        rest = rest[1:]
    elif name == b"iTXt":
        packed, coding = rest[:1] == b"\1", "utf-8"
        rest = rest[2:].split(b"\0", 2)[-1]
    try:
        if packed:
            inflate = zlib.decompressobj()
            rest = inflate.decompress(rest, metadata.MAX_TEXT + 1)
    except zlib.error:
        rest = b""
    long = len(rest) > metadata.MAX_TEXT
    return key.decode("latin-1"), "" if long else rest.decode(coding, "replace"), long


def _exif_of_text(text: str) -> bytes:
    """Return EXIF data that is written in a text chunk as a name, a length and hexadecimal digits."""
    match = re.fullmatch(r"\s*exif\s+\d+\s+([0-9a-fA-F\s]*)", text)
    try:
        return bytes.fromhex("".join(match[1].split())) if match else b""
    except ValueError:
        return b""

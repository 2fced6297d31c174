"""Which formats are read. A file is told by its first bytes; whatever is not listed is named and refused.

Nothing else is tried: an EPS, for example, would start Ghostscript.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import PurePath

from clit.errors import UserError
from clit.pictures.picture import Decoded
from clit.pictures.readers.avif_heic_jpeg2000 import read_avif, read_heic, read_jpeg2000
from clit.pictures.readers.netpbm import read_netpbm
from clit.pictures.readers.pillow import read_jpeg, read_pillow
from clit.pictures.readers.png import read_png
from clit.pictures.readers.source import Source
from clit.pictures.readers.tiff import read_tiff

READ: dict[str, Callable[[Source], Decoded]] = {
    "PNG": read_png,
    "JPEG": read_jpeg,
    "WebP": partial(read_pillow, form="WEBP"),
    "TIFF": read_tiff,
    "GIF": partial(read_pillow, form="GIF"),
    "BMP": partial(read_pillow, form="BMP"),
    "PPM": read_netpbm,
    "TGA": partial(read_pillow, form="TGA"),
    "AVIF": read_avif,
    "HEIC": read_heic,
    "JPEG 2000": read_jpeg2000,
}
"""The formats that are read."""

READ_ENDINGS = frozenset(
    ".png .jpg .jpeg .jpe .jfif .mpo .webp .tif .tiff .gif .bmp .dib .ppm .pgm .pbm .pnm .tga .icb .vda .vst .avif "
    ".heic .heif .hif .jp2 .j2k .jpx .jpf .j2c .jpc".split()
)
"""Endings by which pictures are found in a folder. A file that is named itself is taken whatever its name."""

_BEGINNINGS = (  # patterns of a file's first bytes, the first that fits counts
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"II\*\0....CR\x02", "CR2 (camera raw)"),
    (rb"II[\*+]\0|MM\0[\*+]", "TIFF"),
    (rb"GIF8[79]a", "GIF"),
    (rb"BM", "BMP"),
    (rb"P[1-6][\s#]", "PPM"),
    (rb"....ftyp(avif|avis)|....ftypmif1.{4,28}avif", "AVIF"),
    (rb"....ftyp(hei[cmxs]|hev[cmxs]|mif1|msf1)", "HEIC"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "EPS or PostScript"),
    (rb"%PDF", "PDF"),
    (rb"8BPS", "Photoshop (PSD)"),
    (rb"gimp xcf", "GIMP (XCF)"),
    (rb"\x76\x2f\x31\x01", "OpenEXR"),
    (rb"#\?R", "Radiance HDR"),
    (rb"P[Ff]\s", "PFM"),
    (rb"P7\s", "PAM"),
    (rb"DDS ", "DDS"),
    (rb"qoif", "QOI"),
    (rb"\0\0\x01\0", "icon (ICO)"),
    (rb"icns", "icon (ICNS)"),
    (rb"SIMPLE  =", "FITS"),
    (rb"II\xbc", "JPEG XR"),
    (rb"IIRO|IIRS|MMOR", "ORF (camera raw)"),
    (rb"IIU\0", "RW2 (camera raw)"),
    (rb"FUJIFILM", "RAF (camera raw)"),
    (rb"....ftypcrx", "CR3 (camera raw)"),
    (rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", "film"),
    (rb"AT&TFORM", "DjVu"),
    (rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF", "Windows metafile"),
    (rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!", "compressed archive"),
    (rb"(\xef\xbb\xbf)?\s*(<[?!].{0,4000})?<svg[\s>]", "SVG"),
    (rb"(?i:\s*<(!DOCTYPE html|html))", "HTML"),
)
_PATTERNS = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in _BEGINNINGS)

_TGA_SUFFIXES = (".tga", ".icb", ".vda", ".vst")
_USE = "use PNG, JPEG, WebP, TIFF, GIF, BMP, PPM, TGA, AVIF, HEIC or JPEG 2000."


def identify(data: bytes, name: str) -> str:
    """Return which of READ a file is; UserError, which names its kind, if it is none of them.

    A TGA has no beginning of its own: its name or its end tells.
    """
    head = data[:8192]
    found = next((form for pattern, form in _PATTERNS if pattern.match(head)), None)
    if found is None and (PurePath(name).suffix.lower() in _TGA_SUFFIXES or data[-18:-2] == b"TRUEVISION-XFILE"):
        found = "TGA"
    if found is None:
        raise UserError(f"{name} is not an image that can be read: {_USE}")
    if found not in READ:
        raise UserError(f"{name} is of the kind {found}, which is not read: {_USE}")
    return found

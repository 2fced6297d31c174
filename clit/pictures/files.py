"""Picture files <-> arrays: the public functions. Formats and their oddities have modules of their own."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clit.errors import UserError
from clit.pictures.alpha import over_white
from clit.pictures.metadata import Metadata, exif_bytes
from clit.pictures.picture import Decoded, Picture, finish, picture_of_array, split_array, to_grey
from clit.pictures.profiles import srgb_profile
from clit.pictures.readers.formats import READ, identify
from clit.pictures.readers.pillow import decode
from clit.pictures.readers.source import Room, Source
from clit.pictures.shrink import shrink
from clit.pictures.writers.bands import write_bands
from clit.system.atomic import write_bytes

MAX_PIXELS = 64_000_000
"""Largest picture read_image decodes unless told otherwise."""

WRITTEN = {
    ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG", ".avif": "AVIF",
}  # fmt: skip
"""File endings that are written, and their kinds."""

STREAMED = ("PNG", "TIFF")
"""Kinds that are written band by band, and hold 16 bits."""

Reader = Callable[[Source], Decoded]

_LONGEST_SIDE = {"WEBP": 16383, "JPEG": 65535, "AVIF": 16384}
_LONGEST_EXIF = {"JPEG": 65533}
_LONGEST_NAME = 255  # bytes, on the file systems in use


def as_array(image: Any) -> np.ndarray:
    """Return a path, PIL image or array as (h, w, 3) float32 in [0, 1]; transparent pictures are laid over white.

    What read_image takes and refuses. An array that is float32 (h, w, 3) already is returned itself, not a copy.
    """
    if isinstance(image, np.ndarray):
        rgb, alpha = split_array(image)
        return rgb if alpha is None else over_white(rgb, alpha)
    return read_image(image).opaque()


def read_image(source: Any, max_pixels: int = MAX_PIXELS, *, strict: bool = False) -> Picture:
    """Read a picture upright, in sRGB, without losing depth.

    source: a path (docs/formats.md lists the formats; of many pictures in a file, the first), a PIL image, or an array
    (h, w), (h, w, 1), (h, w, 3) or with alpha (h, w, 2), (h, w, 4), of uint8, uint16, bool, or float in [0, 1]; a
    Picture is returned as it is. strict: refuse a JPEG or PNG whose end is missing. What is approximated or lost is
    told in the picture's notices.
    UserError if a file is missing, unreadable, or has more than max_pixels or a million a side (checked before
    decoding), or an array is of the wrong shape, type or range.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, np.ndarray):
        return picture_of_array(source)
    if isinstance(source, Image.Image):
        return _read(lambda opened: _of_pil(source, opened), Source("The image", "Pillow", b"", max_pixels))
    if not isinstance(source, str | os.PathLike):
        raise UserError(f"An image must be a path, a PIL image or a numpy array, not a {type(source).__name__}.")
    return _read(*_find_reader(Path(source), max_pixels, strict))


def read_smaller(path: Path, max_pixels: int, room: Room) -> tuple[Picture, tuple[int, int]]:
    """Read a picture file as `read_image` does, made smaller as `room` says; return the size (h, w) it had as well.

    It takes no more memory than `room` says: UserError, before anything is decoded, where that is too little.
    """
    wholes = []
    reader, source = _find_reader(path, max_pixels, room=room)

    def read(source: Source) -> Decoded:
        found = reader(source)
        wholes.append(shrink(found, room))
        return found

    return _read(read, source), wholes[0]


def _find_reader(path: Path, max_pixels: int, strict: bool = False, room: Room | None = None) -> tuple[Reader, Source]:
    """Return what reads a file, and the file in memory; UserError if it cannot be read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if not data:
        raise UserError(f"{path} is empty: choose an image file.")
    form = identify(data, str(path))
    return READ[form], Source(str(path), form, data, max_pixels, strict, room)


def _read(reader: Reader, source: Source) -> Picture:
    try:
        return finish(reader(source))
    except UserError:
        raise
    except Exception:  # decoders raise all kinds of errors on broken files
        raise source.damaged() from None


def _of_pil(image: Image.Image, source: Source):
    source.check_size(image.height, image.width)
    return decode(image, source.name)


def check_output(path: str | os.PathLike, size: tuple[int, int] | None = None) -> Path:
    """Return the path if a picture of `size` (H, W) can be written there; UserError otherwise."""
    path = check_writable(path, WRITTEN)
    kind = WRITTEN[path.suffix.lower()]
    limit = _LONGEST_SIDE.get(kind)
    if size is not None and limit is not None and max(size) > limit:
        raise UserError(
            f"A {kind} file holds at most {limit} pixels a side, but the output is {size[1]} x {size[0]}: "
            "write a .png or .tiff file."
        )
    return path


def check_writable(path: str | os.PathLike, endings) -> Path:
    """Return the path if a file with one of the `endings` (".png", ...) can be written there; UserError otherwise."""
    if not isinstance(path, str | os.PathLike):
        raise UserError(f"The output must be a path, not a {type(path).__name__}.")
    path = Path(path)
    if path.suffix.lower() not in endings:
        raise UserError(f"The output is {path}, but its name must end in {', '.join(endings)}.")
    if len(os.fsencode(path.name)) > _LONGEST_NAME or "\0" in str(path):
        raise UserError(f"The output's name must have at most {_LONGEST_NAME} bytes, none of them zero.")
    try:
        if path.is_dir():
            raise UserError(f"The output {path} is a folder: give a file name.")
        if not path.parent.is_dir():
            raise UserError(f"There is no folder {path.parent} to write {path.name} into: make it first.")
        if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise UserError(f"{path} cannot be written: permission denied.")
    except OSError as error:  # a name or a path that is too long
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None
    return path


def to_bytes(rgb: np.ndarray) -> np.ndarray:
    """Round floats in [0, 1] to uint8, in an array of any shape; values outside are clipped."""
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def list_losses(path: str | os.PathLike, picture: Picture, strip: bool = False) -> tuple[str, ...]:
    """Return what of a picture is lost in the output, one sentence each. strip: metadata is left out as wished."""
    kind = WRITTEN[Path(path).suffix.lower()]
    losses = []
    if picture.alpha is not None and kind == "JPEG":
        losses.append("A JPEG file holds no transparency: the picture is laid over white.")
    if picture.bits > 8 and kind not in STREAMED:
        losses.append(f"A {kind} file holds 8 bits per channel: the picture's 16 are rounded.")
    if strip:
        return tuple(losses)
    if kind != "PNG" and any(kind != "JPEG" or key != "Comment" for key, _ in picture.metadata.text):
        losses.append(f"A {kind} file does not hold the picture's text: it is left out.")
    if picture.metadata.other:
        losses.append(f"The picture's {' and '.join(picture.metadata.other)} data is left out.")
    return tuple(losses)


@dataclass(frozen=True)
class Form:
    """What a picture file holds: its kind, size (H, W), bits per channel, and whether it is transparent and grey."""

    kind: str
    size: tuple[int, int]
    bits: int
    transparent: bool
    grey: bool
    metadata: Metadata

    def finish(self, rgb: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        """Turn a band (n, W, 3) of floats, with its alpha (n, W), into what the file holds of it.

        Returns (n, W, channels) uint8 or uint16.
        """
        rgb = np.clip(rgb, 0, 1)
        if self.grey:
            rgb = to_grey(rgb)[..., :1]
        if alpha is not None:
            alpha = np.clip(alpha, 0, 1)
            rgb = over_white(rgb, alpha) if self.kind == "JPEG" else np.concatenate([rgb, alpha[..., None]], axis=2)
        return to_bytes(rgb) if self.bits == 8 else np.rint(rgb * 65535).astype(np.uint16)


def form_of(
    path: str | os.PathLike,
    size: tuple[int, int],
    bits: int = 8,
    *,
    transparent: bool = False,
    grey: bool = False,
    metadata: Metadata | None = None,
) -> Form:
    """Return what a file of this name will hold of a picture, tagged as sRGB; UserError if it cannot be written.

    path: .png, .tif, .tiff, .webp (lossless), .jpg (quality 95, full colour resolution) or .avif (the same). bits: 8,
    or 16 for PNG and TIFF (the others hold 8). transparent: there is alpha; a JPEG gets the picture over white. grey:
    a grey file. metadata: of the picture that was read; what the format holds of it is written.
    """
    kind = WRITTEN[check_output(path, size).suffix.lower()]
    return Form(kind, size, bits if kind in STREAMED else 8, transparent, grey, metadata or Metadata())


def write_finished(path: str | os.PathLike, form: Form, bands: Iterable[np.ndarray]) -> None:
    """Write a picture that comes as bands of rows, top to bottom, as `Form.finish` returns them.

    The file appears complete or not at all. PNG and TIFF never hold more than a band; the others need it all.
    """
    if form.kind in STREAMED:
        shape = (*form.size, (1 if form.grey else 3) + form.transparent)
        write_bands(path, shape, bands, form.kind, form.bits, form.metadata)
    else:
        write_bytes(path, _encode(np.concatenate(list(bands)), form.kind, form.grey, form.metadata))


def _encode(pixels: np.ndarray, kind: str, grey: bool, metadata: Metadata) -> bytes:
    """Return a picture (h, w, 1 to 4) uint8 as a WebP, JPEG or AVIF file."""
    options: dict[str, Any] = {
        "WEBP": {"lossless": True, "quality": 0, "exact": True},
        "JPEG": {"quality": 95, "subsampling": 0},
        "AVIF": {"quality": 95, "subsampling": "4:0:0" if grey else "4:4:4"},
    }[kind]
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    grey_file = image.mode == "L" and kind == "JPEG"  # the others keep grey as colour
    options["icc_profile"] = srgb_profile(grey=grey_file)
    exif = exif_bytes(metadata, pixels.shape[:2], with_dpi=kind != "JPEG", limit=_LONGEST_EXIF.get(kind))
    if exif:
        options["exif"] = exif
    if kind == "JPEG":
        options["dpi"] = tuple(round(n) for n in metadata.dpi or (0, 0))
        comment = dict(metadata.text).get("Comment", "").encode("utf-8")
        if 0 < len(comment) < 65533:
            options["comment"] = comment
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()

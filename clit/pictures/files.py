"""Picture files <-> arrays: EXIF rotation, transparency, 16 bit, grey, palettes, CMYK, colour profiles."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms

from clit.errors import UserError
from clit.pictures.bands import write_bands
from clit.system.atomic import write_bytes

MAX_PIXELS = 64_000_000
"""Largest picture read_image decodes unless told otherwise."""

WRITTEN = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""File endings write_image knows."""

STREAMED = ("PNG", "TIFF")
"""Kinds that are written band by band, and hold 16 bits."""

_LONGEST_SIDE = {"WEBP": 16383, "JPEG": 65535}

_TRANSFORMS = {  # EXIF orientation -> what makes the picture upright
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    rgb: (h, w, 3) float32 in [0, 1], sRGB, not multiplied by alpha; where a pixel is fully transparent, the colour of
    the nearest visible one, so that nothing hidden bleeds into what is seen. alpha: (h, w) float32 in [0, 1], or None
    for an opaque picture. bits: 8, or 16 where the source's channels were deeper.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    bits: int = 8

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        return self.rgb.shape[:2]

    def opaque(self) -> np.ndarray:
        """The picture over white, (h, w, 3) float32."""
        return self.rgb if self.alpha is None else over_white(self.rgb, self.alpha)


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """What is seen of a transparent picture on a white page; rgb (h, w, 3), alpha (h, w)."""
    return 1 - (1 - rgb) * alpha[..., None]


def as_array(image: Any) -> np.ndarray:
    """A path, PIL image or array as (h, w, 3) float32 in [0, 1]; transparent pictures are laid over white.

    What read_image takes and refuses. An array that is float32 (h, w, 3) already is returned itself, not a copy.
    """
    return read_image(image).opaque()


def read_image(source: Any, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a picture upright, in sRGB, without losing depth.

    source: a path (any format Pillow reads; the first frame of many), a PIL image, or an array (h, w), (h, w, 1),
    (h, w, 3) or with alpha (h, w, 2), (h, w, 4), of uint8, uint16, bool, or float in [0, 1]; a Picture is returned
    as it is. EXIF rotation is applied.
    Embedded colour profiles other than sRGB are converted, at 8 bit per channel (ImageCms knows no more).
    UserError if a file is missing, unreadable or has more than max_pixels (checked before decoding), or an array is
    of the wrong shape, type or range.
    """
    if isinstance(source, Picture):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_pil(source, "The image", max_pixels, None)
    if not isinstance(source, str | os.PathLike):
        raise UserError(f"An image must be a path, a PIL image or a numpy array, not a {type(source).__name__}.")
    path = Path(source)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if not data:
        raise UserError(f"{path} is empty: choose an image file.")
    try:
        image = Image.open(io.BytesIO(data))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError(_too_large(str(path), max_pixels)) from None
    except Exception:  # Pillow's readers raise all kinds of errors on broken headers
        raise UserError(f"{path} is not an image that can be read: use PNG, JPEG, WebP, TIFF or the like.") from None
    with image:
        return _from_pil(image, str(path), max_pixels, data)


def check_output(path: str | os.PathLike, size: tuple[int, int] | None = None) -> Path:
    """The path if write_image can write a picture of `size` (H, W) there; UserError otherwise. Writes nothing."""
    path = check_writable(path, WRITTEN)
    kind = WRITTEN[path.suffix.lower()]
    limit = _LONGEST_SIDE.get(kind)
    if size is not None and limit is not None and max(size) > limit:
        raise UserError(
            f"A {kind} file holds at most {limit} pixels a side, but the output is {size[0]} x {size[1]}: "
            "write a .png or .tiff file."
        )
    return path


def check_writable(path: str | os.PathLike, endings) -> Path:
    """The path if a file with one of the `endings` (".png", ...) can be written there; UserError otherwise."""
    path = Path(path)
    if path.suffix.lower() not in endings:
        raise UserError(f"The output is {path}, but its name must end in {', '.join(endings)}.")
    if path.is_dir():
        raise UserError(f"The output {path} is a folder: give a file name.")
    if not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent} to write {path.name} into: make it first.")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise UserError(f"{path} cannot be written: permission denied.")
    return path


def to_bytes(rgb: np.ndarray) -> np.ndarray:
    """Round a picture (h, w, 3) of floats in [0, 1] to uint8; values outside are clipped."""
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def write_image(path: str | os.PathLike, rgb: np.ndarray, alpha: np.ndarray | None = None, bits: int = 8) -> None:
    """Write a picture; the file appears complete or not at all.

    path: .png, .tif, .tiff, .webp (lossless) or .jpg (quality 95, full colour resolution). rgb: (h, w, 3) float, is
    clipped to [0, 1]. alpha: (h, w) float; a JPEG gets the picture over white instead. bits: 8, or 16 for PNG and
    TIFF (the others hold 8). UserError if the path cannot be written.
    """
    alphas = None if alpha is None else iter([alpha])
    write_image_bands(path, rgb.shape[:2], iter([rgb]), alphas, bits)


def write_image_bands(
    path: str | os.PathLike,
    size: tuple[int, int],
    bands: Iterator[np.ndarray],
    alphas: Iterator[np.ndarray] | None = None,
    bits: int = 8,
) -> None:
    """As `write_image`, of a picture of `size` (H, W) that comes as bands of rows (n, W, 3), top to bottom.

    alphas: the same bands of alpha (n, W). PNG and TIFF never hold more than a band; the others need it all.
    """
    path = check_output(path, size)
    kind = WRITTEN[path.suffix.lower()]
    bits = bits if kind in STREAMED else 8

    def finished() -> Iterator[np.ndarray]:
        for rgb in bands:
            rgb = np.clip(rgb, 0, 1)
            if alphas is not None:
                alpha = np.clip(next(alphas), 0, 1)
                rgb = over_white(rgb, alpha) if kind == "JPEG" else np.concatenate([rgb, alpha[..., None]], axis=2)
            yield _quantise(rgb, np.uint16 if bits == 16 else np.uint8)

    if kind in STREAMED:
        write_bands(path, (*size, 3 if alphas is None else 4), finished(), kind, bits)
        return
    options = {
        "WEBP": {"lossless": True, "quality": 0, "exact": True},
        "JPEG": {"quality": 95, "subsampling": 0},
    }[kind]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(list(finished()))).save(buffer, kind, **options)
    write_bytes(path, buffer.getvalue())


def _quantise(x: np.ndarray, kind: type) -> np.ndarray:
    return np.rint(x * np.iinfo(kind).max).astype(kind)


def _too_large(name: str, max_pixels: int) -> str:
    return f"{name} has more than {max_pixels / 1e6:g} megapixels: use a smaller one, or a part of it."


def _from_pil(image: Image.Image, name: str, max_pixels: int, data: bytes | None) -> Picture:
    """`data`: the file's bytes, if there is a file: 16-bit colour is decoded from them."""
    if min(image.size) < 1:
        raise UserError(f"{name} has no pixels.")
    if image.width * image.height > max_pixels:
        raise UserError(_too_large(name, max_pixels))
    # Pillow's own name for the layout of the file's pixels tells 16-bit colour, which it reads as 8 bit.
    layouts = [str(tile[3]) for tile in getattr(image, "tile", [])]
    deep = data is not None and image.mode in ("RGB", "RGBA", "LA") and any(";16" in text for text in layouts)
    try:
        # A reader may replace these while it decodes, so they are looked at first.
        profile = _foreign_profile(image)
        pixels = _decode_deep(data) if deep and profile is None else None
        if pixels is None:
            pixels = _pil_pixels(image, profile)
        orientation = image.getexif().get(0x0112)
    except UserError:
        raise
    except Exception:
        raise UserError(f"{name} is damaged or of a kind that cannot be read: save it as PNG or JPEG.") from None
    if orientation in _TRANSFORMS:
        pixels = _TRANSFORMS[orientation](pixels)
    return _from_array(pixels)


def _decode_deep(data: bytes) -> np.ndarray | None:
    """16-bit colour as (h, w, 3) or (h, w, 4) uint16 RGB(A); None if OpenCV sees something else."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        return None
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def _pil_pixels(image: Image.Image, profile: ImageCms.ImageCmsProfile | None) -> np.ndarray:
    """The pixels as an array that _from_array takes."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I":
        return _whole_numbers(np.asarray(image))
    if image.mode == "F":
        return np.asarray(image)
    transparent = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    if image.mode in ("P", "PA", "La", "RGBa") or (transparent and image.mode != "LA"):
        image = image.convert("RGBA" if transparent else "RGB")
    colour = _to_srgb(image, profile)
    if not transparent:
        return np.asarray(colour)
    return np.dstack([np.asarray(colour), np.asarray(image.getchannel("A"))])


def _whole_numbers(values: np.ndarray) -> np.ndarray:
    """32-bit integers that hold 16-bit grey, as some readers hand them out."""
    if values.min() < 0 or values.max() > 65535:
        raise UserError("The image has 32-bit values beyond 16 bit: scale them to 16 bit first.")
    return values.astype(np.uint16)


def _foreign_profile(image: Image.Image) -> ImageCms.ImageCmsProfile | None:
    """The embedded colour profile, unless there is none, it is sRGB, or it cannot be read."""
    data = image.info.get("icc_profile")
    if not data:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        return None if "srgb" in ImageCms.getProfileDescription(profile).lower() else profile
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def _to_srgb(image: Image.Image, profile: ImageCms.ImageCmsProfile | None) -> Image.Image:
    """The colours of an image as RGB: through its profile, or plainly where there is none or it does not fit."""
    if image.mode in ("RGBA", "LA"):
        image = image.convert(image.mode[:-1])
    if profile is not None:
        try:
            return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image.convert("RGB")


def _from_array(array: np.ndarray) -> Picture:
    """(h, w), (h, w, 1..4) of uint8, uint16, bool or float in [0, 1] -> Picture."""
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4) or 0 in array.shape:
        raise UserError(f"An image array must have the shape (h, w, 3), but has {array.shape}.")
    if array.dtype in (np.uint8, np.uint16):
        x = array.astype(np.float32) / np.iinfo(array.dtype).max
    elif array.dtype == bool:
        x = array.astype(np.float32)
    elif np.issubdtype(array.dtype, np.floating):
        x = array.astype(np.float32, copy=False)
        low, high = x.min(), x.max()
        if not np.isfinite(low + high):  # NaN spreads to both
            raise UserError("The image has values that are not numbers (NaN or infinite): replace them first.")
        if low < -1e-4 or high > 1 + 1e-4:  # beyond what rounding can do
            raise UserError(
                f"A floating-point image must lie in [0, 1], but this one spans {low:g} to {high:g}: scale or clip it."
            )
        if low < 0 or high > 1:
            x = np.clip(x, 0, 1)
    else:
        raise UserError(f"An image array must be uint8, uint16 or float in [0, 1], not {array.dtype}.")
    bits = 8 if array.dtype in (np.uint8, bool) else 16
    channels = x.shape[2]
    alpha = np.ascontiguousarray(x[..., -1]) if channels in (2, 4) and x[..., -1].min() < 1 else None
    rgb = np.ascontiguousarray(x[..., :3] if channels > 2 else np.repeat(x[..., :1], 3, axis=2))
    return Picture(rgb if alpha is None else _fill_hidden(rgb, alpha), alpha, bits)


def _fill_hidden(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Give fully transparent pixels the colour of the nearest visible one."""
    hidden = alpha == 0
    if hidden.all() or not hidden.any():
        return rgb
    _, label = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    visible = np.flatnonzero(~hidden)
    source = np.empty(label.max() + 1, np.int64)
    source[label.ravel()[visible]] = visible
    return rgb.reshape(-1, 3)[source[label.ravel()]].reshape(rgb.shape)

"""The decoded picture: colours, transparency, depth, and what it carries besides; and arrays as pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from clit.errors import UserError
from clit.pictures.alpha import fill_hidden, over_white, spread_colours
from clit.pictures.metadata import Metadata
from clit.pictures.profiles import Samples, to_srgb

_WRAP_MARGIN = 32  # pixels of a periodic picture looked at across its borders


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    rgb: (h, w, 3) float32 in [0, 1], sRGB, not multiplied by alpha; where a pixel is fully transparent, the colour of
    the nearest visible one. alpha: (h, w) float32 in [0, 1], or None for an opaque picture. bits: 8, or 16 where the
    source's channels were deeper. grey: red, green and blue are equal everywhere, and should stay so. notices: one
    sentence each on what was approximated or lost on reading. metadata: resolution, EXIF and text.
    """

    rgb: np.ndarray
    alpha: np.ndarray | None = None
    bits: int = 8
    grey: bool = False
    notices: tuple[str, ...] = ()
    metadata: Metadata = Metadata()

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        return self.rgb.shape[:2]

    def opaque(self) -> np.ndarray:
        """Return the picture over white, (h, w, 3) float32."""
        return self.rgb if self.alpha is None else over_white(self.rgb, self.alpha)

    def to_enlarge(self, wrap: bool = False) -> np.ndarray:
        """Return the colours (h, w, 3) to enlarge beside alpha: faint pixels' do not spill into visible ones.

        wrap: the picture is periodic, so a faint pixel's nearest visible one may lie across the border.
        """
        if self.alpha is None:
            return self.rgb
        if not wrap:
            return spread_colours(self.rgb, self.alpha)
        (h, w), margin = self.size, _WRAP_MARGIN
        around = ((margin, margin), (margin, margin))
        rgb = np.pad(self.rgb, (*around, (0, 0)), mode="wrap")
        spread = spread_colours(rgb, np.pad(self.alpha, around, mode="wrap"))
        return spread[margin : margin + h, margin : margin + w]


@dataclass
class Decoded:
    """What a reader found in a file, before colours are converted and the picture is turned upright.

    alpha: (h, w) float32 in [0, 1], not multiplied into the colours, or None. orientation: of EXIF, 1 to 8. profile:
    an ICC profile or b"". whole: (h, w) of the picture where it was decoded smaller than it is.
    """

    samples: Samples
    alpha: np.ndarray | None = None
    bits: int = 8
    profile: bytes = b""
    orientation: int = 1
    metadata: Metadata = Metadata()
    notices: list[str] = field(default_factory=list)
    whole: tuple[int, int] | None = None


_UPRIGHT = {  # EXIF orientation -> what makes the picture upright
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}


def finish(found: Decoded) -> Picture:
    """Turn a decoded picture upright and into sRGB."""
    samples, alpha = found.samples.one_channel(), found.alpha
    rgb, lost = to_srgb(samples, found.profile, deep=found.bits > 8)
    grey = rgb.shape[2] == 1
    if turn := _UPRIGHT.get(found.orientation):
        rgb, alpha = turn(rgb), None if alpha is None else turn(alpha)
    metadata = found.metadata
    if metadata.dpi and found.orientation >= 5:  # rows and columns are exchanged
        metadata = Metadata(metadata.dpi[::-1], metadata.exif, metadata.text)
    rgb, alpha = _contiguous(rgb, alpha)
    notices = tuple(dict.fromkeys([*found.notices, *lost]))  # each once
    return Picture(rgb, alpha, found.bits, grey, notices, metadata)


def is_grey(rgb: np.ndarray) -> bool:
    """Return whether red, green and blue are equal everywhere in a picture (h, w, 3)."""
    first, *rest = np.moveaxis(rgb, -1, 0)
    # Most colour pictures show it in their first row: look there before looking everywhere.
    return all(np.array_equal(first[:1], other[:1]) for other in rest) and all(
        np.array_equal(first, other) for other in rest
    )


def to_grey(rgb: np.ndarray) -> np.ndarray:
    """Return colours (..., 3) with their luma (BT.601) in all channels; where these are equal, it stays as it is.

    A network makes slightly coloured pixels of grey ones: call this on what it made of a grey picture.
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    luma = red + np.float32(0.587) * (green - red) + np.float32(0.114) * (blue - red)
    return np.repeat(luma[..., None], 3, axis=-1)


def picture_of_array(array: np.ndarray) -> Picture:
    """Return an array as a picture; see `split_array`."""
    rgb, alpha = split_array(array)
    bits = 8 if array.dtype in (np.uint8, bool) else 16
    return Picture(rgb if alpha is None else fill_hidden(rgb, alpha), alpha, bits, is_grey(rgb))


def split_array(array: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return an array's colours (h, w, 3) and alpha (h, w), float32 in [0, 1]; alpha None if it is 1 everywhere.

    array: (h, w), (h, w, 1), (h, w, 3), or with alpha (h, w, 2), (h, w, 4); uint8, uint16, bool or float in [0, 1].
    UserError for others. Colours that are float32 (h, w, 3) already are returned themselves, not copied.
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4) or 0 in array.shape:
        raise UserError(f"An image array must have the shape (h, w, 3), but has {array.shape}.")
    if array.dtype in (np.uint8, np.uint16):
        x = array.astype(np.float32) / np.iinfo(array.dtype).max
    elif array.dtype == bool:
        x = array.astype(np.float32)
    elif np.issubdtype(array.dtype, np.floating):
        x = _checked(array.astype(np.float32, copy=False))
    else:
        raise UserError(f"An image array must be uint8, uint16 or float in [0, 1], not {array.dtype}.")
    channels = x.shape[2]
    alpha = x[..., -1] if channels in (2, 4) and x[..., -1].min() < 1 else None
    rgb = x[..., :3] if channels > 2 else x[..., :1]
    rgb = np.ascontiguousarray(rgb if channels > 2 else np.repeat(rgb, 3, axis=2))
    return rgb, None if alpha is None else np.ascontiguousarray(alpha)


def _checked(x: np.ndarray) -> np.ndarray:
    """Return float values in [0, 1]; UserError for values that rounding cannot explain."""
    low, high = x.min(), x.max()
    if not np.isfinite(low + high):  # NaN spreads to both
        raise UserError("The image has values that are not numbers (NaN or infinite): replace them first.")
    if low < -1e-4 or high > 1 + 1e-4:
        raise UserError(
            f"A floating-point image must lie in [0, 1], but this one spans {low:g} to {high:g}: scale or clip it."
        )
    return np.clip(x, 0, 1) if low < 0 or high > 1 else x


def _contiguous(rgb: np.ndarray, alpha: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return colours (h, w, 3) and alpha as arrays of their own, hidden colours filled; alpha None if opaque."""
    rgb = np.ascontiguousarray(rgb if rgb.shape[2] == 3 else np.repeat(rgb, 3, axis=2))
    if alpha is None or alpha.min() == 1:
        return rgb, None
    alpha = np.ascontiguousarray(alpha)
    return fill_hidden(rgb, alpha), alpha

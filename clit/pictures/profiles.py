"""Colours of any kind -> sRGB: embedded profiles, judged by what they do and not by their names.

A profile is any ICC profile. PNG and AVIF can also name primaries and a curve; `profile_of_curve` makes a profile of
these. Profiles of curves and a matrix are applied in float, tables at 16 bit, both by Little CMS's rules.
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass

import imagecodecs
import numpy as np
from PIL import Image

WHITE = (0.3127, 0.3290)
"""Chromaticity of D65, the white of sRGB."""

SRGB_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
"""Chromaticities (x, y) of red, green and blue."""

_COLUMNS = {  # of sRGB, as the profile that nearly all files carry has them: XYZ of each primary, white D50
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.71410),
}
_PERCEPTUAL = 0
_CHUNK = 1 << 20  # pixels converted at once
_CLIPPED = "Colours outside sRGB are cut off at its limits."
_UNFIT = "The embedded colour profile is for another kind of picture and is ignored."
_DAMAGED = "The embedded colour profile is damaged and is ignored."
_SPACES = {b"GRAY": "gray", b"RGB ": "rgb", b"CMYK": "cmyk"}  # as a profile names them -> as Little CMS's binding does
_FITTING = {"grey": ("gray", "rgb"), "rgb": ("rgb",), "cmyk": ("cmyk",), "lab": ()}


@dataclass(frozen=True)
class Samples:
    """Colours as a file stores them.

    values: (h, w, channels) uint8, uint16 or float32. full: the value that stands for 1. space: "grey", "rgb", "cmyk"
    (0 is no ink) or "lab" (float32: L in 0..100, a and b in -128..127).
    """

    values: np.ndarray
    full: float
    space: str

    def unit(self) -> np.ndarray:
        """Return the values as float32, 1 where they are `full`."""
        values = self.values.astype(np.float32, copy=False)
        return values if self.full == 1 else values / np.float32(self.full)

    def one_channel(self) -> Samples:
        """Return grey samples where red, green and blue are equal everywhere, else these samples themselves."""
        v = self.values
        if self.space != "rgb" or not all(np.array_equal(v[..., 0], v[..., k]) for k in (1, 2)):
            return self
        return Samples(np.ascontiguousarray(v[..., :1]), self.full, "grey")


def to_srgb(samples: Samples, profile: bytes, deep: bool) -> tuple[np.ndarray, list[str]]:
    """Convert samples to sRGB: (h, w, 1) float32 for grey, else (h, w, 3), in [0, 1], and notices of what was lost.

    profile: an ICC profile, or b"". deep: the samples have more than 8 bits, so that smaller deviations count.
    """
    notices = []
    if profile:
        space = _SPACES.get(profile[16:20])
        if profile[36:40] != b"acsp" or space is None:
            notices.append(_DAMAGED)
        elif space not in _FITTING[samples.space]:
            notices.append(_UNFIT)
        else:
            try:
                return _through_profile(samples, profile, space, deep)
            except imagecodecs.CmsError:
                notices.append(_DAMAGED)
    rgb, lost = _without_profile(samples)
    return rgb, notices + lost


def _without_profile(samples: Samples) -> tuple[np.ndarray, list[str]]:
    if samples.space == "lab":
        rgb = np.empty(samples.values.shape, np.float32)
        for rows in _row_blocks(rgb.shape):
            rgb[rows] = _lab_to_srgb(samples.values[rows])
        return _clip(rgb)
    if samples.space == "cmyk":
        notice = "The picture is CMYK without a profile: its colours are approximate."
        if samples.values.dtype == np.uint8:
            ink = Image.frombytes("CMYK", samples.values.shape[1::-1], samples.values.tobytes())
            return np.asarray(ink.convert("RGB")).astype(np.float32) / 255, [notice]
        ink = samples.unit()
        return (1 - ink[..., :3]) * (1 - ink[..., 3:]), [notice]
    return samples.unit(), []


def _through_profile(samples: Samples, profile: bytes, space: str, deep: bool) -> tuple[np.ndarray, list[str]]:
    if space == "cmyk":
        return _by_table(samples.unit(), profile, space), []
    tolerance = 1 / 4096 if deep else 0.5 / 255
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    if samples.space == "grey":
        if np.abs(_convert_grey(levels, profile, space) - levels).max() < tolerance:
            return samples.unit(), []  # its curve is that of sRGB
        return _grey_through(samples, profile, space)
    cube = np.stack(np.meshgrid(*[levels[::51]] * 3, indexing="ij"), -1).reshape(1, -1, 3)
    cube = np.concatenate([cube, np.repeat(levels[None, :, None], 3, 2)], 1)
    if np.abs(_transform(cube, profile, srgb_profile(), space) - cube).max() < tolerance:
        return samples.unit(), []  # it is sRGB
    if _is_matrix(profile):
        return _clip(_by_matrix(samples, profile))
    return _by_table(samples.unit(), profile, space), []


def _grey_through(samples: Samples, profile: bytes, space: str) -> tuple[np.ndarray, list[str]]:
    """Convert grey samples by the profile's curve, so that grey stays grey."""
    if samples.values.dtype == np.float32:
        levels, place = np.unique(samples.unit(), return_inverse=True)
        return _clip(_convert_grey(levels, profile, space)[place].reshape(samples.values.shape))
    levels = np.arange(int(samples.values.max()) + 1, dtype=np.float32) / np.float32(samples.full)
    return _clip(_convert_grey(levels, profile, space)[samples.values])


def _convert_grey(levels: np.ndarray, profile: bytes, space: str) -> np.ndarray:
    """Return levels (n,) of a grey profile, or of equal red, green and blue, as levels of sRGB, unclipped."""
    device = levels[None] if space == "gray" else np.repeat(levels[None, :, None], 3, 2)
    return _transform(device, profile, srgb_profile(), space)[0].mean(-1)


def _is_matrix(profile: bytes) -> bool:
    """Return whether the profile is a curve per channel and a matrix: then linear light adds up over channels."""
    probe = np.random.default_rng(0).random((1, 64, 3), np.float32)
    alone = [_transform(probe * np.eye(3, dtype=np.float32)[k], profile, _linear_profile(), "rgb") for k in range(3)]
    black = _transform(np.zeros((1, 1, 3), np.float32), profile, _linear_profile(), "rgb")
    whole = _transform(probe, profile, _linear_profile(), "rgb")
    return bool(np.abs(sum(alone) - 2 * black - whole).max() < 1e-4)


def _by_matrix(samples: Samples, profile: bytes) -> np.ndarray:
    """Convert through a profile of curves and a matrix: three lookups, a sum, and the curve of sRGB; unclipped."""
    values = samples.values
    if values.dtype == np.float32:
        return _transform(samples.unit(), profile, srgb_profile(), "rgb")
    levels = np.arange(int(values.max()) + 1, dtype=np.float32) / np.float32(samples.full)
    tables = []
    for k in range(3):
        device = np.zeros((1, len(levels), 3), np.float32)
        device[0, :, k] = levels
        tables.append(_transform(device, profile, _linear_profile(), "rgb")[0])
    out = np.empty(values.shape, np.float32)
    for rows in _row_blocks(values.shape):
        part = values[rows]
        light = tables[0][part[..., 0]]
        light += tables[1][part[..., 1]]
        light += tables[2][part[..., 2]]
        out[rows] = encode_srgb(light)
    return out


def _by_table(unit: np.ndarray, profile: bytes, space: str) -> np.ndarray:
    out = np.empty((*unit.shape[:2], 3), np.float32)
    for rows in _row_blocks(unit.shape):
        device = np.rint(unit[rows] * 65535).astype(np.uint16)
        out[rows] = _transform(device, profile, srgb_profile(), space).astype(np.float32) / 65535
    return out


def _row_blocks(shape: tuple[int, ...]) -> list[slice]:
    step = max(1, _CHUNK // shape[1])
    return [slice(top, top + step) for top in range(0, shape[0], step)]


def _transform(device: np.ndarray, profile: bytes, target: bytes, space: str) -> np.ndarray:
    """Return device colours (h, w[, channels]) in the colours of the `target` profile, (h, w, 3), of the same type."""
    return imagecodecs.cms_transform(
        np.ascontiguousarray(device), profile, target, colorspace=space, outcolorspace="rgb", intent=_PERCEPTUAL
    )


def _clip(rgb: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Clip to [0, 1], with a notice where that changes more than half a step of 8 bits."""
    lost = rgb.min() < -0.5 / 255 or rgb.max() > 1 + 0.5 / 255
    return np.clip(rgb, 0, 1, out=rgb), [_CLIPPED] if lost else []


def encode_srgb(light: np.ndarray) -> np.ndarray:
    """Apply the curve of sRGB (IEC 61966-2-1) to linear light; straight on below 0, so that nothing is clipped."""
    with np.errstate(invalid="ignore"):
        curved = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    return np.where(light <= 0.0031308, np.float32(12.92) * light, curved)


def _decode_srgb(rgb: np.ndarray) -> np.ndarray:
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def _lab_to_srgb(lab: np.ndarray) -> np.ndarray:
    """Convert CIE L*a*b* with a D50 white to sRGB, unclipped; matrix: Bradford-adapted, as in Lindbloom's tables."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2) * (0.9642, 1.0, 0.8249)
    to_linear = np.array(
        [
            [3.1338561, -1.6168667, -0.4906146],
            [-0.9787684, 1.9161415, 0.0334540],
            [0.0719453, -0.2289914, 1.4052427],
        ]
    )
    return encode_srgb((xyz @ to_linear.T).astype(np.float32))


@functools.cache
def srgb_profile(grey: bool = False) -> bytes:
    """Return an ICC profile of sRGB, for colour or for grey pictures; always the same bytes."""
    colour = _fixed(imagecodecs.cms_profile("srgb"))
    if not grey:
        return colour
    tags = {name: colour[offset : offset + size] for name, offset, size in _entries(colour)}
    kept = {b"desc": tags[b"desc"], b"cprt": tags[b"cprt"], b"wtpt": tags[b"wtpt"], b"kTRC": tags[b"rTRC"]}
    table, body, start = b"", b"", 132 + 12 * len(kept)
    for name, data in kept.items():
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    return (
        struct.pack(">I", start + len(body)) + colour[4:16] + b"GRAY" + colour[20:128]
        + struct.pack(">I", len(kept)) + table + body
    )  # fmt: skip


@functools.cache
def _linear_profile() -> bytes:
    """Return a profile with the primaries of sRGB whose samples are linear light."""
    return _fixed(profile_of_curve(SRGB_PRIMARIES, WHITE, 1.0))


def _fixed(profile: bytes) -> bytes:
    """Put a fixed date and the usual columns of sRGB into a profile."""
    fixed = bytearray(profile)
    fixed[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    for name, offset, _ in _entries(profile):
        if name in _COLUMNS:
            struct.pack_into(">3i", fixed, offset + 8, *(round(n * 65536) for n in _COLUMNS[name]))
    return bytes(fixed)


def _entries(profile: bytes) -> list[tuple[bytes, int, int]]:
    """Return the name, place and size of each tag of a profile."""
    count = struct.unpack_from(">I", profile, 128)[0]
    return [struct.unpack_from(">4sII", profile, 132 + 12 * k) for k in range(count)]


def profile_of_curve(
    primaries: tuple[float, ...], white: tuple[float, float], curve: float | np.ndarray | str, grey: bool = False
) -> bytes:
    """Return an ICC profile made of chromaticities and a curve; b"" if they make no sense.

    primaries: (x, y) of red, green, blue. curve: the exponent from samples to light, a table of light at evenly spaced
    samples in [0, 1], or "srgb".
    """
    if isinstance(curve, str):
        curve = _decode_srgb(np.linspace(0, 1, 4096)).astype(np.float32)
    shape = {"gamma": curve} if isinstance(curve, float) else {"transferfunction": curve}
    try:
        if grey:
            return imagecodecs.cms_profile("gray", whitepoint=white, **shape)
        return imagecodecs.cms_profile("rgb", whitepoint=white, primaries=primaries, **shape)
    except (imagecodecs.CmsError, ValueError):
        return b""

"""The small picture that a visitor has open, its ground truth, and how pixels are sent."""

from __future__ import annotations

import base64
import functools
import io
import math
import secrets
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from clit.errors import UserError
from clit.geometry import output_size
from clit.pictures import files
from clit.pictures.files import to_bytes
from clit.pictures.resize import resize_pil

LEAST_SIDE = 4
"""Shortest side of a picture made smaller for comparison, in pixels."""


@dataclass(frozen=True)
class Picture:
    """A small picture: rgb (h, w, 3) float32 in [0, 1], and how the page names it.

    original: the same picture at full size (H, W, 3), where an example has one: what ground truth is made from.
    truth: its ground truth (H, W, 3), the part of the original that it stands for, if it was made smaller here.
    place: where an example opens: row and column in pixels, scale, methods.
    """

    id: str
    name: str
    rgb: np.ndarray
    credit: dict = field(default_factory=dict)
    notice: str = ""
    place: dict | None = None
    original: np.ndarray | None = None
    truth: np.ndarray | None = None
    scale: float | None = None  # of the truth
    whole: Picture | None = None  # what it was made smaller from

    def __post_init__(self) -> None:
        self.rgb.flags.writeable = False  # else it is hashed again for every question

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) in pixels."""
        return self.rgb.shape[:2]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that its pixels take."""
        return self.rgb.nbytes if self.whole is None else self.rgb.nbytes + self.whole.rgb.nbytes

    @property
    def answer_bytes(self) -> int:
        """Bytes that its answer takes, once it was made."""
        made = self.__dict__.get("answer")
        return len(made["image"]) if made else 0

    @property
    def in_8_bit(self) -> files.Picture:
        """The same for `Renderer.save`, which shall write 8 bit."""
        return files.Picture(self.rgb)

    @functools.cached_property
    def answer(self) -> dict:
        """Return what the viewer hears of the picture; its pixels as lossless WebP."""
        height, width = self.size
        return {
            "id": self.id,
            "whole": (self.whole or self).id,
            "name": self.name,
            "height": height,
            "width": width,
            "credit": self.credit,
            "notice": self.notice,
            "image": encode_lossless(self.rgb),
            "place": self.place,
            "original": list((self.rgb if self.original is None else self.original).shape[:2]),
            "truth": self.scale,
        }


def make_smaller(whole: Picture, scale: float) -> Picture:
    """Make a picture with ground truth as the field does it: floor(side / scale) pixels, PIL's bicubic, 8 bit.

    It is made from the whole picture's original, if it has one. UserError if too few pixels are left to compare.
    """
    original = whole.rgb if whole.original is None else whole.original
    height, width = original.shape[:2]
    sides = [math.floor(n / scale + 1e-9) for n in (height, width)]
    if min(sides) < LEAST_SIDE or min(n * scale for n in sides) < 2 * math.ceil(scale) + 11:
        raise UserError(
            f"Made smaller by ×{scale:g}, this picture of {width} × {height} pixels has too few left to compare: "
            "choose a smaller scale, or a larger picture."
        )
    height, width = output_size(*sides, scale)
    truth = original[:height, :width]
    small = resize_pil(to_bytes(truth), tuple(sides)).astype(np.float32) / 255
    return Picture(secrets.token_urlsafe(9), whole.name, small, whole.credit, truth=truth, scale=scale, whole=whole)


def encode_lossless(rgb: np.ndarray) -> str:
    """Return colours (h, w, 3) in [0, 1] as lossless WebP, by the fastest setting, in base64."""
    return encode_webp(Image.fromarray(to_bytes(rgb)), lossless=True, quality=0, method=0)


def encode_webp(image: Image.Image, **options) -> str:
    """Return an image as WebP in base64; options are Pillow's."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **options)
    return base64.b64encode(buffer.getvalue()).decode("ascii")

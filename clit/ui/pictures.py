"""Pictures of the page: the small one, its ground truth, the examples, and how pixels are sent and coloured."""

from __future__ import annotations

import base64
import functools
import io
import json
import math
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from clit.errors import UserError
from clit.geometry import output_size
from clit.pictures import files as images
from clit.pictures import resize as degrade

ERROR_TOP = 0.2
"""The error, of colours in [0, 1], that is drawn brightest, in all panes alike."""

LEAST_SIDE = 4
"""Least side of a picture that was made smaller for comparison."""

THUMBNAIL = 96
"""Longer side of an example's thumbnail, in pixels."""


@dataclass(frozen=True)
class Picture:
    """A low-resolution picture: rgb (h, w, 3) float32 in [0, 1], and how the page names it.

    One that was made smaller here has its ground truth: the part (H, W, 3) of the whole picture it stands for.
    """

    id: str
    name: str
    rgb: np.ndarray
    credit: dict = field(default_factory=dict)
    notice: str = ""
    truth: np.ndarray | None = None
    scale: float | None = None  # by how much the truth is larger
    whole: Picture | None = None  # what it was made from

    @property
    def nbytes(self) -> int:
        return self.rgb.nbytes if self.whole is None else self.rgb.nbytes + self.whole.rgb.nbytes

    @functools.cached_property
    def answer(self) -> dict:
        """What the viewer is told of it; the pixels as lossless WebP."""
        height, width = self.rgb.shape[:2]
        return {
            "id": self.id,
            "name": self.name,
            "height": height,
            "width": width,
            "credit": self.credit,
            "notice": self.notice,
            "image": encode(self.rgb),
            "truth": self.scale,
        }


def with_truth(whole: Picture, scale: float) -> Picture:
    """The picture made smaller as the field does it: of floor(side / scale) pixels, PIL's bicubic, in 8 bit."""
    sides = [math.floor(n / scale + 1e-9) for n in whole.rgb.shape[:2]]
    if min(sides) < LEAST_SIDE or min(n * scale for n in sides) < 2 * math.ceil(scale) + 11:
        height, width = whole.rgb.shape[:2]
        raise UserError(
            f"Made smaller by ×{scale:g}, this picture of {width} × {height} pixels has too few left to compare: "
            "choose a smaller scale, or a larger picture."
        )
    height, width = output_size(*sides, scale)
    truth = whole.rgb[:height, :width]
    small = degrade.resize_pil(to_bytes(truth), tuple(sides)).astype(np.float32) / 255
    return Picture(secrets.token_urlsafe(9), whole.name, small, whole.credit, truth=truth, scale=scale, whole=whole)


def error_colours(rgb: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How far a picture is from its truth, (h, w, 3): the mean of the channels' distances as viridis, ERROR_TOP the
    brightest.
    """
    distance = np.abs(np.clip(rgb, 0, 1) - truth).mean(-1) / ERROR_TOP
    coloured = cv2.applyColorMap(to_bytes(distance), cv2.COLORMAP_VIRIDIS)
    return coloured[..., ::-1].astype(np.float32) / 255


PAINTS = ("colours", "entropy", "direction")
"""What a pane of LIT or CLIT can be painted by: what it computes, or how wide or whereto a head looks."""


def entropy_span(survey: np.ndarray, head: int) -> tuple[float, float]:
    """The least and the largest entropy of a survey, in bits, but for the outermost hundredths: what colours span.

    A tenth of a bit at least, so that rounding is not made a picture of.
    """
    low, high = np.percentile(_of_head(survey, head)[..., 0], (1, 99))
    more = max(0.0, 0.1 - (high - low)) / 2
    return float(low - more), float(high + more)


def _of_head(survey: np.ndarray, head: int) -> np.ndarray:
    return survey.mean(2) if head == 0 else survey[:, :, head - 1]


def attention_colours(survey: np.ndarray, paint: str, head: int, radius: int) -> np.ndarray:
    """A survey (h, w, M, 3) (see `Renderer.survey`) as colours (h, w, 3); head from 1, 0 the mean of all.

    entropy: viridis over `entropy_span`, as heads differ more than places. direction: of the mean offset the angle as
    hue and the length as lightness and colourfulness, the window's radius the brightest, in Oklab (Ottosson, 2020): as
    far is as bright.
    """
    seen = _of_head(survey, head)
    if paint == "entropy":
        low, high = entropy_span(survey, head)
        coloured = cv2.applyColorMap(to_bytes((seen[..., 0] - low) / (high - low)), cv2.COLORMAP_VIRIDIS)
        return coloured[..., ::-1].astype(np.float32) / 255
    dy, dx = seen[..., 1] / radius, seen[..., 2] / radius
    length = np.clip(np.hypot(dy, dx), 1e-6, None)
    reached = np.sqrt(np.clip(length, 0, 1))  # most offsets are short
    a, b = 0.17 * reached * dx / length, -0.17 * reached * dy / length  # up is yellow, down blue, right red, left green
    return _oklab(0.25 + 0.5 * reached, a, b)


def _oklab(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Oklab -> sRGB (h, w, 3) in [0, 1], clipped."""
    lms = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ],
        -1,
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(lms**3 @ to_linear.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def to_bytes(rgb: np.ndarray) -> np.ndarray:
    """(h, w, 3) in [0, 1] -> uint8, each value rounded to the nearest."""
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def encode(rgb: np.ndarray) -> str:
    """(h, w, 3) in [0, 1] -> lossless WebP, fastest setting, in base64."""
    return _webp(Image.fromarray(to_bytes(rgb)), lossless=True, quality=0, method=0)


def _webp(image: Image.Image, **options) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **options)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


@functools.lru_cache(maxsize=64)
def load_example(folder: Path, name: str) -> tuple[dict, Picture]:
    """An example's menu entry (name, credit, thumbnail) and the picture itself."""
    credit = {key: str(value) for key, value in credits(folder).get(name, {}).items()}
    picture = Picture(f"example-{name}", name, images.as_array(folder / name), credit)
    small = Image.fromarray(to_bytes(picture.rgb))
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    entry = {
        "name": name,
        "title": credit.get("title") or Path(name).stem.replace("-", " ").capitalize(),
        "thumbnail": _webp(small, quality=85),
    }
    return entry, picture


def credits(folder: Path) -> dict[str, dict]:
    """The examples' captions by file name; none where the file is missing or is something else."""
    try:
        found = json.loads((folder / "credits.json").read_text(encoding="utf-8"))
        return {name: dict(credit) for name, credit in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}

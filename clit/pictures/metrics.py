"""PSNR and SSIM by the rules of published evaluations.

A rule says which channels count and how wide a border is left out. Published figures differ by tenths of a dB between
the rules. Pictures are (h, w, 3) RGB: uint8, or floats in [0, 1], which are not rounded to 8 bit, as in the
published evaluations.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from clit.errors import UserError

_LUMA = np.array([65.738, 129.057, 25.064], np.float32) / 256
"""BT.601 luma of RGB in [0, 1], as in the published evaluations; it spans 16/255 .. 235/255 with _LUMA_OFFSET."""

_LUMA_OFFSET = np.float32(16 / 255)


class Rule(NamedTuple):
    """luma: compare BT.601 luma rather than RGB. extra: border pixels left out beyond ceil(scale), `most` in all."""

    luma: bool
    extra: int
    most: int | None = None

    def border(self, scale: float) -> int:
        """Return the width of the border that is left out, in pixels."""
        border = math.ceil(scale) + self.extra
        return border if self.most is None else min(border, self.most)


RULES = {
    "benchmark": Rule(luma=True, extra=0),  # Set5, Set14, BSD100, Urban100
    "capped": Rule(luma=True, extra=0, most=8),  # the same in newer papers, where scales above 8 leave out 8 pixels
    "div2k": Rule(luma=False, extra=6),
    "rgb": Rule(luma=False, extra=0),
}


def luma(rgb: np.ndarray) -> np.ndarray:
    """Return the BT.601 luma (h, w) float32 of a picture, in 16/255 .. 235/255."""
    return _as_float(rgb) @ _LUMA + _LUMA_OFFSET


def psnr(a: np.ndarray, b: np.ndarray, rule: str = "benchmark", *, scale: float) -> float:
    """Return the peak signal-to-noise ratio in dB; inf for equal pictures.

    a, b: pictures of one shape. rule: a key of RULES. scale: the scale that was evaluated, which sets the border
    that is left out. UserError for different shapes, an unknown rule, or pictures that are all border.
    """
    chosen = check_rule(rule)
    a, b = _cropped(a, b, chosen.border(scale), least=1)
    difference = _as_float(a) - _as_float(b)
    if chosen.luma:
        difference = difference @ _LUMA
    return decibels(difference)


def decibels(difference: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in dB of a difference of values in [0, 1]; inf where it is 0 everywhere."""
    error = np.square(difference, dtype=np.float64).mean()
    return math.inf if error == 0 else float(-10 * np.log10(error))


def ssim(a: np.ndarray, b: np.ndarray, rule: str = "benchmark", *, scale: float) -> float:
    """Return the structural similarity of the luma (Wang et al., 2004): full Gaussian windows 11x11, sigma 1.5.

    a, b: pictures of one shape. rule: a key of RULES, which sets the border; 11 pixels a side must remain.
    """
    a, b = _cropped(a, b, check_rule(rule).border(scale), least=11)
    a, b = luma(a).astype(np.float64), luma(b).astype(np.float64)
    mean_a, mean_b = _window_mean(a), _window_mean(b)
    var_a = _window_mean(a * a) - mean_a**2
    var_b = _window_mean(b * b) - mean_b**2
    covariance = _window_mean(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    similarity /= (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return float(similarity.mean())


def check_rule(name: str) -> Rule:
    """Return the rule of that name; UserError if there is none."""
    if name not in RULES:
        raise UserError(f'The metric rule is "{name}", but must be one of {", ".join(RULES)}.')
    return RULES[name]


def _as_float(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float32) / 255 if image.dtype == np.uint8 else image.astype(np.float32, copy=False)


def _cropped(a: np.ndarray, b: np.ndarray, border: int, least: int) -> tuple[np.ndarray, np.ndarray]:
    if a.shape != b.shape or a.ndim != 3 or a.shape[2] != 3:
        raise UserError(f"Pictures to compare must both be (h, w, 3), but are {a.shape} and {b.shape}.")
    h, w = a.shape[0] - 2 * border, a.shape[1] - 2 * border
    if min(h, w) < least:
        raise UserError(
            f"A picture of {a.shape[1]} x {a.shape[0]} pixels is too small to compare: "
            f"a border of {border} pixels is left out, and {least} a side must remain."
        )
    inner = np.s_[border : border + h, border : border + w]
    return a[inner], b[inner]


def _window_mean(x: np.ndarray) -> np.ndarray:
    """Return the Gaussian mean over the full 11x11 windows of (h, w): (h - 10, w - 10)."""
    kernel = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    kernel /= kernel.sum()
    h, w = x.shape[0] - 10, x.shape[1] - 10
    rows = sum(weight * x[k : k + h] for k, weight in enumerate(kernel))
    return sum(weight * rows[:, k : k + w] for k, weight in enumerate(kernel))

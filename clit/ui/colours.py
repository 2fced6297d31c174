"""Numbers per pixel as colours: errors, and how a head attends."""

from __future__ import annotations

import cv2
import numpy as np

from clit.pictures.files import to_bytes

ERROR_TOP = 0.2
"""Error, of colours in [0, 1], that gets the brightest colour, in all panes alike."""

PAINTS = ("colours", "entropy", "direction")
"""What a pane shows: the model's colours, or how wide a head attends, or where to."""

_LEAST_SPAN = 0.1  # bits: rounding alone must not make a picture


def error_colours(rgb: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return how far a picture is from its truth, as viridis (h, w, 3): the mean absolute error of the channels."""
    return _viridis(np.abs(np.clip(rgb, 0, 1) - truth).mean(-1) / ERROR_TOP)


def entropy_span(survey: np.ndarray, head: int) -> tuple[float, float]:
    """Return the entropies in bits that the colours span: the 1st and 99th percentile of a survey.

    At least a tenth of a bit apart. survey, head: as for `attention_colours`.
    """
    low, high = np.percentile(_select_head(survey, head)[..., 0], (1, 99))
    margin = max(0.0, _LEAST_SPAN - (high - low)) / 2
    return float(low - margin), float(high + margin)


def attention_colours(survey: np.ndarray, paint: str, head: int, radius: int) -> np.ndarray:
    """Return a survey (h, w, M, 3) (see `Renderer.survey`) as colours (h, w, 3).

    paint: "entropy" is viridis over `entropy_span`, as heads differ more than places. "direction" shows the mean
    offset in Oklab (Ottosson, 2020), where equal lengths look equally bright: its angle as hue, its length as lightness
    and colourfulness, the window's radius the brightest. head: from 1; 0 is the mean of all.
    """
    values = _select_head(survey, head)
    if paint == "entropy":
        low, high = entropy_span(survey, head)
        return _viridis((values[..., 0] - low) / (high - low))
    dy, dx = values[..., 1] / radius, values[..., 2] / radius
    length = np.clip(np.hypot(dy, dx), 1e-6, None)
    reach = np.sqrt(np.clip(length, 0, 1))  # most offsets are short
    a, b = 0.17 * reach * dx / length, -0.17 * reach * dy / length  # up is yellow, down blue, right red, left green
    return _oklab(0.25 + 0.5 * reach, a, b)


def _select_head(survey: np.ndarray, head: int) -> np.ndarray:
    """Return one head's values (h, w, 3); the mean of all for head 0."""
    return survey.mean(2) if head == 0 else survey[:, :, head - 1]


def _viridis(values: np.ndarray) -> np.ndarray:
    """Return values (h, w), clipped to [0, 1], as colours (h, w, 3) float32."""
    bgr = cv2.applyColorMap(to_bytes(values), cv2.COLORMAP_VIRIDIS)
    return bgr[..., ::-1].astype(np.float32) / 255


def _oklab(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Convert Oklab to sRGB (h, w, 3), clipped to [0, 1]."""
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

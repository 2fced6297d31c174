"""Numbers per pixel as colours: errors, and how a head attends."""

from __future__ import annotations

import numpy as np

from clit.pictures.colour_maps import directions, viridis

ERROR_TOP = 0.2
"""Error, of colours in [0, 1], that gets the brightest colour, in all panes alike."""

HEAD_PAINTS = ("entropy", "entropy-mean", "direction")
"""What a pane shows of a head: how wide it attends, at each pixel or over those of each latent, or where to."""

PAINTS = ("colours", *HEAD_PAINTS, "returned")
"""What a pane shows: a model's colours, those of a head, or its output made small again."""

_LEAST_SPAN = 0.1  # bits: rounding alone must not make a picture


def error_colours(rgb: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return how far a picture is from its truth, as viridis (h, w, 3): the mean absolute error of the channels."""
    return viridis(np.abs(np.clip(rgb, 0, 1) - truth).mean(-1) / ERROR_TOP)


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
    offset: its angle as hue, its length as lightness and colourfulness, the window's radius the brightest. head: from
    1; 0 is the mean of all.
    """
    values = _select_head(survey, head)
    if paint == "entropy":
        low, high = entropy_span(survey, head)
        return viridis((values[..., 0] - low) / (high - low))
    return directions(values[..., 1] / radius, values[..., 2] / radius)


def _select_head(survey: np.ndarray, head: int) -> np.ndarray:
    """Return one head's values (h, w, 3); the mean of all for head 0."""
    return survey.mean(2) if head == 0 else survey[:, :, head - 1]

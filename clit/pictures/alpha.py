"""Transparent pictures: what is seen of them, and colours that do not bleed where they are hidden."""

from __future__ import annotations

import cv2
import numpy as np

_HIDDEN, _SEEN = 2 / 255, 10 / 255
"""Alpha up to which a pixel's own colour does not count, and from which it counts in full."""


def over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Lay a transparent picture over white; rgb (h, w, 3), alpha (h, w)."""
    return 1 - (1 - rgb) * alpha[..., None]


def fill_hidden(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Give fully transparent pixels the colour of the nearest visible one."""
    hidden = alpha == 0
    if hidden.all() or not hidden.any():
        return rgb
    return _nearest(rgb, ~hidden)


def spread_colours(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Give faint pixels the colour of the nearest well visible one, so that theirs does not spill when enlarged.

    rgb: (h, w, 3). alpha: (h, w). The fainter the pixel, the less of its own colour stays; what is seen changes by
    3/255 at most. Where the whole picture is faint, "well visible" is what its strongest pixels are.
    """
    strongest = min(1.0, float(alpha.max()) / _SEEN)
    if strongest == 0:
        return rgb
    own = np.clip((alpha / strongest - _HIDDEN) / (_SEEN - _HIDDEN), 0, 1)
    solid = own >= 1 - 1e-6
    if solid.all():
        return rgb
    near = _nearest(rgb, solid)
    mixed = near + (rgb - near) * own[..., None].astype(np.float32)
    return np.where(solid[..., None], rgb, mixed)


def _nearest(rgb: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Return the colour of the nearest pixel of `source` (h, w) bool, for every pixel."""
    _, label = cv2.distanceTransformWithLabels(
        (~source).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    chosen = np.flatnonzero(source)
    place = np.empty(label.max() + 1, np.int64)
    place[label.ravel()[chosen]] = chosen
    return rgb.reshape(-1, 3)[place[label.ravel()]].reshape(rgb.shape)

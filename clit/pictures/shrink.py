"""Pictures made smaller while they are read: as the file stores them, before colours are converted to floats."""

from __future__ import annotations

import cv2
import numpy as np

from clit.pictures.picture import Decoded
from clit.pictures.profiles import Samples
from clit.pictures.readers.source import Room


def shrink(found: Decoded, room: Room) -> tuple[int, int]:
    """Make a decoded picture as small as it shall be, by the mean over areas; return the size (h, w) it had.

    Transparent pixels count as much as they are seen.
    """
    samples, alpha = found.samples, found.alpha
    whole = found.whole or samples.values.shape[:2]
    size = room.shrink(*samples.values.shape[:2])
    if size != samples.values.shape[:2]:
        if alpha is not None and alpha.min() == 1:
            alpha = None
        if alpha is None:
            found.samples = Samples(_mean(samples.values, size), samples.full, samples.space)
        else:
            seen = samples.unit() * alpha[..., None]
            found.samples = Samples(_mean(seen, size), 1, samples.space)
            alpha = _mean(alpha, size)[..., 0]
            found.samples.values[:] /= np.maximum(alpha, 1e-6)[..., None]
        found.alpha = alpha
    return whole[::-1] if found.orientation >= 5 else whole


def _mean(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return (h, w[, channels]) of `size`, (H, W, channels)."""
    small = cv2.resize(values, size[::-1], interpolation=cv2.INTER_AREA)
    return small.reshape(*size, -1)

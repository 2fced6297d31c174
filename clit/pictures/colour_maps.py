"""Numbers as colours, by the tables that the viewer has too: `colour_tables`."""

from __future__ import annotations

import base64

import numpy as np

from clit.pictures import colour_tables
from clit.pictures.files import to_bytes


def _read_table(text: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(*shape, 3).astype(np.float32) / 255


_VIRIDIS = _read_table(colour_tables.VIRIDIS, 256)
_DIVERGING = _read_table(colour_tables.DIVERGING, 256)
_DIRECTIONS = _read_table(colour_tables.DIRECTIONS, 17, 96)


def viridis(values: np.ndarray) -> np.ndarray:
    """Return values (...), clipped to [0, 1], as colours (..., 3) float32: dark blue over green to yellow."""
    return _VIRIDIS[to_bytes(values)]


def diverging(values: np.ndarray) -> np.ndarray:
    """Return values (...), clipped to [-1, 1], as colours (..., 3) float32: blue, near-black at 0, orange."""
    return _DIVERGING[to_bytes((values + 1) / 2)]


def directions(dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
    """Return offsets (...), down and to the right, as colours (..., 3) float32; a length of 1 or more is brightest.

    Equal lengths look equally bright. Up is yellow, down blue, right red, left green.
    """
    lengths, angles = _DIRECTIONS.shape[:2]
    length = np.sqrt(np.clip(np.hypot(dy, dx), 0, 1)) * (lengths - 1)
    angle = np.arctan2(dy, dx) / (2 * np.pi) % 1 * angles
    ring, ray = np.minimum(length.astype(int), lengths - 2), angle.astype(int) % angles
    along, around = (length - ring)[..., None], (angle - np.floor(angle))[..., None]
    following = (ray + 1) % angles
    inner = _DIRECTIONS[ring, ray] * (1 - around) + _DIRECTIONS[ring, following] * around
    outer = _DIRECTIONS[ring + 1, ray] * (1 - around) + _DIRECTIONS[ring + 1, following] * around
    return (inner * (1 - along) + outer * along).astype(np.float32)

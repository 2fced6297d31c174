"""Pixels by rule: how strong and in which direction a picture changes there, and which kind of place it is.

The rules look at the small picture alone, so they need no truth. Both use the structure tensor: products of the
gradient's two parts, blurred. Its eigenvalues say how strongly the picture changes in the strongest direction and
across it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

CLASSES = ("edge", "corner", "texture", "flat")
NEAR, WIDE = 1.0, 3.0
"""Sigmas of the blurs in pixels: for the pixel itself, and for its surroundings."""


@dataclass(frozen=True)
class Structure:
    """How a picture (h, w) changes at each pixel.

    strength: root mean square of the gradient, per pixel, in the picture's units. least: the same across the strongest
    direction. direction: (h, w, 2), cosine and sine of twice the gradient's angle (x right, y down); coherence: 0 (in
    all directions alike) to 1 (in one).
    """

    strength: np.ndarray
    least: np.ndarray
    direction: np.ndarray
    coherence: np.ndarray


def find_structure(luma: np.ndarray, sigma: float = NEAR) -> Structure:
    """Return the structure of a picture (h, w), its gradients blurred by `sigma` pixels."""
    down, across = np.gradient(luma.astype(np.float64))

    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)

    yy, xx, xy = blur(down * down), blur(across * across), blur(down * across)
    total, apart = yy + xx, np.hypot(xx - yy, 2 * xy)
    direction = np.stack([xx - yy, 2 * xy], -1) / np.maximum(apart, 1e-12)[..., None]
    least = np.sqrt(np.maximum(total - apart, 0) / 2)
    return Structure(np.sqrt(total), least, direction, apart / np.maximum(total, 1e-12))


def classify(luma: np.ndarray) -> np.ndarray:
    """Return each pixel's index into CLASSES, or -1 for the many that are none of them: (h, w) int8.

    Peaks are where the picture changes most across its strongest direction, within two pixels and among the highest
    tenth. corner: a peak with at most one other within seven pixels a side. texture: the most changing quarter of
    surroundings, changing in many directions, with four peaks or more. edge: the most changing quarter, in one
    direction here and around. flat: the least changing quarter of surroundings.
    """
    near, wide = find_structure(luma, NEAR), find_structure(luma, WIDE)
    peak = near.least >= cv2.dilate(near.least, np.ones((5, 5), np.uint8))
    peak &= near.least > np.quantile(near.least, 0.9)
    peaks = cv2.boxFilter(peak.astype(np.float64), -1, (15, 15), normalize=False, borderType=cv2.BORDER_CONSTANT)
    strong = near.strength > np.quantile(near.strength, 0.75)
    busy = wide.strength > np.quantile(wide.strength, 0.75)
    found = np.full(luma.shape, -1, np.int8)
    found[wide.strength <= np.quantile(wide.strength, 0.25)] = CLASSES.index("flat")
    found[strong & (near.coherence > 0.85) & (wide.coherence > 0.6)] = CLASSES.index("edge")
    found[busy & (wide.coherence < 0.5) & (peaks > 3.5)] = CLASSES.index("texture")
    found[peak & (peaks < 2.5)] = CLASSES.index("corner")
    return found


def choose(kinds: np.ndarray, size: tuple[int, int], count: int, margin: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return `count` output pixels (row, column) of each class at most, drawn at random: {class: (n, 2) int64}.

    kinds: (h, w) of the small picture, from `classify`. size: (H, W) of the output. margin: pixels of the small picture
    to keep away from its border. One output pixel is drawn in each small pixel chosen.
    """
    random, (h, w) = np.random.default_rng(seed), kinds.shape
    inside = np.zeros(kinds.shape, bool)
    inside[margin : h - margin, margin : w - margin] = True
    chosen = {}
    for index, name in enumerate(CLASSES):
        places = np.argwhere((kinds == index) & inside)
        places = places[np.sort(random.permutation(len(places))[:count])]
        positions = (places + random.random(places.shape)) * (size[0] / h, size[1] / w)
        chosen[name] = np.minimum(positions.astype(np.int64), np.array(size) - 1)
    return chosen

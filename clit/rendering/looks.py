"""What a pixel looked at, as arrays alone: no network is needed to draw or write it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class StageAttention:
    """What one pixel looked at in one stage. P is 2r+1 for attention and 2 for an ensemble; order is (y, x)."""

    weights: np.ndarray  # (M, P, P), each head sums to 1; ensemble (1, 2, 2)
    content: np.ndarray | None  # (M, P, P): the part of the logits from feature similarity; None for an ensemble
    position: np.ndarray | None  # (M, P, P): the part of the logits from position; None for an ensemble
    latents: np.ndarray  # (P, P, 2): positions of the latents in LR pixels, for later stages too
    inside: np.ndarray  # (P, P) bool: whether the latent lies inside the image
    influence: np.ndarray | None  # (P, P): length of the change of the pixel's RGB if that latent's value is left out
    grid: tuple[int, int]  # (h, w) of this stage's latents


@dataclass(frozen=True)
class Attention:
    """What one output pixel looked at. `stages` has one entry per stage in use, so one for all but CLIT."""

    kind: str  # "attention" or "ensemble"
    stages: list[StageAttention]
    pixel: tuple[int, int]  # (row, column) of the output
    size: tuple[int, int]  # (H, W) of the output
    rgb: np.ndarray  # (3,) the pixel's colour, unclipped

"""The scale chain: how CLIT's stages share a scale, and the grid of latents that each of them reads."""

from __future__ import annotations

import math
from collections.abc import Sequence

from clit.errors import UserError

STAGE_FACTOR = 4.0
"""Largest factor of one stage in the published scale chain."""


def axis_factors(size: tuple[int, int], lr: tuple[int, int]) -> tuple[float, float]:
    """Return the scale of each axis. If rounding one scale gives both sizes, both axes get that scale."""
    ratios = (size[0] / lr[0], size[1] / lr[1])
    low = max((size[0] - 0.5) / lr[0], (size[1] - 0.5) / lr[1])
    high = min((size[0] + 0.5) / lr[0], (size[1] + 0.5) / lr[1])
    return (max(ratios), max(ratios)) if low <= high else ratios


def scale_chain(
    size: tuple[int, int], lr: tuple[int, int], stages: int, chain: str = "published"
) -> list[tuple[float, float]]:
    """Split the scale into at most `stages` stage factors (y, x); their product is the scale.

    "published": factors of 4 until the rest is at most 4 (x3 -> [3], x10 -> [4, 2.5], x30 -> [4, 4, 1.875]).
    "balanced": as many factors as that takes, all equal. The last stage takes whatever remains. The larger axis scale
    sets the factors; the other axis is split in the same proportion of logarithms. UserError for another chain.
    """
    if chain not in ("published", "balanced"):
        raise UserError(f'The chain is "{chain}", but must be "published" or "balanced".')
    scales = axis_factors(size, lr)
    largest = max(scales)
    if largest <= 1:
        return [(1.0, 1.0)]
    if chain == "balanced":
        count = min(stages, max(1, math.ceil(math.log(largest, STAGE_FACTOR) - 1e-9)))
        factors = [largest ** (1 / count)] * count
    else:
        factors, rest = [], largest
        while rest > STAGE_FACTOR and len(factors) < stages - 1:
            factors.append(STAGE_FACTOR)
            rest /= STAGE_FACTOR
        factors.append(rest)
    shares = [math.log(factor) / math.log(largest) for factor in factors]

    def split(scale: float) -> list[float]:
        return factors if scale == largest else [scale**share for share in shares]

    return list(zip(split(scales[0]), split(scales[1]), strict=True))


def stage_grids(lr: tuple[int, int], factors: Sequence[tuple[float, float]]) -> list[tuple[int, int]]:
    """Return the latent grid (h, w) that each stage reads: the LR grid, then round(h * s_1), round(h * s_1 * s_2)..."""
    grids, product = [], (1.0, 1.0)
    for factor in factors:
        grids.append((round(lr[0] * product[0]), round(lr[1] * product[1])))
        product = (product[0] * factor[0], product[1] * factor[1])
    return grids

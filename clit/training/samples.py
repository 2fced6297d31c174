"""What one training step learns from: crops of photographs, stage factors, and some of the output pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clit.geometry import Lattice, nearest_latent, pixel_centres, to_pixels
from clit.scale_chain import stage_grids
from clit.training.curriculum import draw_factors, merge_factors
from clit.training.photographs import Batch, Photographs
from clit.training.settings import Settings


@dataclass(frozen=True)
class Sample:
    """Crops, the factors of the stages in use, and the output pixels that every crop is trained on."""

    batch: Batch
    factors: list[float]
    pixels: Lattice

    def target(self) -> Tensor:
        """The true colours of the pixels, (B, R, S, 3) RGB in [0, 1]."""
        return self.batch.hr[:, :, self.pixels.rows][:, :, :, self.pixels.columns].permute(0, 2, 3, 1)


def draw_sample(
    photographs: Photographs,
    random: np.random.Generator,
    settings: Settings,
    count: int,
    stages: int | None = None,
    device: torch.device | None = None,
) -> Sample:
    """Draw a sample whose scale is a product of `count` stage factors, for a model of `stages` stages or more.

    stages: None for as many as there are factors; where there are fewer, the last one takes the rest of the scale.
    """
    factors = merge_factors(draw_factors(random, count), stages or count)
    batch = photographs.batch(random, settings.batch, settings.patch, math.prod(factors), device)
    return Sample(batch, factors, draw_pixels(random, batch, factors, settings.latents))


def draw_pixels(random: np.random.Generator, batch: Batch, factors: list[float], latents: int) -> Lattice:
    """Draw the output pixels to train on: for every latent of a square part of the last stage's grid one of its own.

    latents: side of that part, which is smaller where the grid is. Pixels of one latent teach much the same. One pixel
    for each of many latents takes more time per pixel, but teaches more.
    """
    lr, side = batch.lr.shape[-1], batch.hr.shape[-1]
    (grid, _) = stage_grids((lr, lr), [(factor, factor) for factor in factors])[-1]
    nearest = nearest_latent(to_pixels(pixel_centres(side), grid), grid)
    extent = min(grid, latents)

    def draw_axis() -> Tensor:
        first = random.integers(grid - extent + 1)
        inside = (nearest >= first) & (nearest < first + extent)
        _, counts = torch.unique_consecutive(nearest[inside], return_counts=True)
        ends = torch.cumsum(counts, 0) + int((nearest < first).sum())
        return ends - 1 - (torch.from_numpy(random.random(len(counts))) * counts).long()

    return Lattice(draw_axis(), draw_axis())

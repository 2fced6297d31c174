"""What a pixel looked at, as arrays: attention of LIT and CLIT, ensemble weights of LIIF and LTE.

Everything comes from the same functions that make the pixel's colour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clit.geometry import Window, pixel_centres, to_pixels
from clit.networks.decoders.clit import CARRY, CLIT
from clit.networks.decoders.ensemble import EnsembleDecoder, Features
from clit.networks.decoders.lit import LocalAttention, StageField
from clit.networks.model import SRModel


@dataclass(frozen=True)
class StageAttention:
    """One stage's view of one pixel. P is 2r+1 a side for attention, 2 for an ensemble; order (y, x)."""

    weights: np.ndarray  # (M, P, P), each head sums to 1; ensemble (1, 2, 2)
    content: np.ndarray | None  # (M, P, P): part of the logits from feature similarity; None for an ensemble
    position: np.ndarray | None  # (M, P, P): part of the logits from position; None for an ensemble
    latents: np.ndarray  # (P, P, 2): positions of the latents in LR pixels, also for later stages
    inside: np.ndarray  # (P, P) bool: whether the latent lies inside the image
    influence: np.ndarray  # (P, P): length of the change of the pixel's RGB without that neighbour's value
    grid: tuple[int, int]  # this stage's latents: (h, w)


@dataclass(frozen=True)
class Attention:
    """What one output pixel looked at; `stages` has one entry, or one per stage in use for CLIT."""

    kind: str  # "attention" or "ensemble"
    stages: list[StageAttention]
    pixel: tuple[int, int]  # (row, column) of the output
    size: tuple[int, int]  # (H, W) of the output
    rgb: np.ndarray  # (3,) the pixel's colour, unclipped


@torch.no_grad()
def attend(model: SRModel, features: Features, pixel: tuple[int, int], size: tuple[int, int], **options) -> Attention:
    """What output pixel (row, column) of an output of `size` looked at; options as for the decoder."""
    window = Window(pixel[0], pixel[1], 1, 1)
    field = model.prepare(features, size, window, **options)
    positions = torch.tensor([pixel], device=features.map.device)
    rgb = model.query(field, positions)[0, 0].float().cpu().numpy()
    lr = features.size
    if isinstance(model.decoder, CLIT):
        attended = model.decoder.attend(field, positions)
        stages = []
        for j, (stage, stage_field, found) in enumerate(
            zip(model.decoder.stages, field.stages, attended, strict=False)
        ):
            carried = CARRY ** (len(field.stages) - 1 - j) / 2  # residual in [-1, 1] -> RGB in [0, 1]
            influence = carried * _left_out(stage, stage_field, found.weights)
            side = 2 * stage.config.radius + 1
            maps = [
                t[0, 0].float().cpu().numpy().reshape(-1, side, side)
                for t in (found.weights, found.content, found.position)
            ]
            stages.append(StageAttention(*maps, *_window_latents(stage_field, side, lr), influence, stage_field.grid))
        return Attention("attention", stages, pixel, size, rgb)
    return Attention("ensemble", [_ensemble(model.decoder, field, positions, lr)], pixel, size, rgb)


def _left_out(stage: LocalAttention, field: StageField, weights: Tensor) -> np.ndarray:
    """How far the residual moves when one neighbour's value is left out: (2r+1, 2r+1), exact."""
    zero = torch.zeros(1, dtype=torch.long, device=weights.device)
    weighted = stage.weighted_values(field, zero, zero, weights)  # (1, 1, P, D)
    count = weighted.shape[2]
    without = weighted.expand(1, count, -1, -1) * (1 - torch.eye(count, device=weighted.device))[None, :, :, None]
    fourier = stage.fourier(field, zero, zero).expand(1, count, -1)
    # As many equal rows, not one: products of another shape round in another way.
    change = stage.decode(field, without, fourier) - stage.decode(field, weighted.expand(1, count, -1, -1), fourier)
    side = 2 * stage.config.radius + 1
    return change[0].float().norm(dim=-1).cpu().numpy().reshape(side, side)


def _window_latents(field: StageField, side: int, lr: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Positions in LR pixels of the window's latents, and whether they lie inside the image."""
    positions, inside = [], []
    for axis, n, n_lr in ((field.rows, field.grid[0], lr[0]), (field.columns, field.grid[1], lr[1])):
        first = int(axis.nearest[0]) - side // 2
        positions.append(to_pixels(pixel_centres(n, torch.arange(first, first + side)), n_lr).numpy())
        index = np.arange(first, first + side)
        inside.append((index >= 0) & (index < n))
    latents = np.stack(np.meshgrid(*positions, indexing="ij"), -1)
    return latents, inside[0][:, None] & inside[1]


def _ensemble(decoder: EnsembleDecoder, field, positions: Tensor, lr: tuple[int, int]) -> StageAttention:
    weights, predictions = decoder.attend(field, positions)
    weights = weights[..., 0].double()  # (2, 2)
    predictions = predictions[:, :, 0, 0].double()  # (2, 2, 3)
    terms = weights[..., None] * predictions
    total = terms.sum((0, 1))
    rest = (total - terms) / (weights.sum() - weights)[..., None]  # the other three, their weights renormalised
    influence = ((rest - total).norm(dim=-1) / 2).float().cpu().numpy()
    rows, columns = (axis.nearest[:, 0].cpu().numpy() for axis in (field.rows, field.columns))
    latents = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).astype(np.float32)
    inside = np.ones((2, 2), dtype=bool)  # at the border two of them coincide instead of lying outside
    return StageAttention(weights.float().cpu().numpy()[None], None, None, latents, inside, influence, lr)

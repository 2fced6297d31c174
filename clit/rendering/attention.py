"""What a pixel looked at, as arrays: attention of LIT and CLIT, ensemble weights of LIIF and LTE.

The numbers come from the functions that compute the pixel's colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from clit.geometry import View
from clit.networks.decoders.base import Attended, Features
from clit.networks.model import SRModel
from clit.system.threads import on_one_core


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


@torch.inference_mode()
def attend(model: SRModel, features: Features, view: View, influence: bool) -> Attention:
    """Return what the pixel of a view of one pixel looked at. influence: whether that is computed too."""
    return on_one_core(partial(_attend, model, features, view, influence))


def _attend(model: SRModel, features: Features, view: View, influence: bool) -> Attention:
    positions = torch.stack([view.pixels.rows, view.pixels.columns], -1).to(features.map.device)
    field = model.prepare(features, view)
    rgb = model.query(field, positions)[0, 0].float().cpu().numpy()
    attended = model.decoder.attend(field, positions)
    changes = model.decoder.influence(field, positions, attended) if influence else [None] * len(attended)
    stages = [_describe_stage(found, change, view.lr) for found, change in zip(attended, changes, strict=True)]
    row, column = positions[0].tolist()
    return Attention(model.kind, stages, (row, column), view.size, rgb)


def _describe_stage(found: Attended, change: Tensor | None, lr: tuple[int, int]) -> StageAttention:
    """Convert one stage's attention of the first query to arrays. change: what `Decoder.influence` returned for it."""
    side = found.rows.shape[1]
    maps = [
        None if part is None else part[0, 0].float().cpu().numpy().reshape(-1, side, side)
        for part in (found.weights, found.content, found.position)
    ]
    influence = None
    if change is not None:
        influence = (change[0, 0].norm(dim=-1) / 2).float().cpu().numpy().reshape(side, side)  # [-1, 1] -> [0, 1]
    positions, inside = [], []
    for index, n, n_lr in zip((found.rows[0], found.columns[0]), found.grid, lr, strict=True):
        index = index.cpu().numpy()
        positions.append(((index + 0.5) * n_lr / n - 0.5).astype(np.float32))
        inside.append((index >= 0) & (index < n))
    latents = np.stack(np.meshgrid(*positions, indexing="ij"), -1)
    return StageAttention(*maps, latents, inside[0][:, None] & inside[1], influence, found.grid)

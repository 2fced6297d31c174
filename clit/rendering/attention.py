"""What a pixel looked at, as arrays: attention of LIT and CLIT, ensemble weights of LIIF and LTE.

The numbers come from the functions that compute the pixel's colour.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from clit.geometry import View
from clit.networks.decoders.base import Attended, Features
from clit.networks.model import SRModel
from clit.rendering.looks import Attention, StageAttention
from clit.system.threads import on_one_core


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

"""What the attention of LIT and CLIT can be computed from without this package, in a few megabytes.

q and k are convolutions of z, the embedded features, so z and the weights of these convolutions hold the q and k of
every stage. They are smaller than tables of q and k (a later stage's grid has 16 times as many latents), and nearer to
the truth in float16: measured on the light models, weights differ from those of `attend` by up to 6e-4, where tables of
q and k in float16 differ by up to 2e-3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from clit.geometry import Region, View
from clit.networks.decoders.base import Features
from clit.networks.model import SRModel

# Legend for shapes: D width, M heads, F frequencies of the positional bias.


@dataclass(frozen=True)
class StageSource:
    """One stage: its grid (h, w) of latents, and the 3x3 convolutions that make its q and k.

    weights: (3, 3, D, D), row, column, from, to, float16. biases: (D,) float32.
    """

    grid: tuple[int, int]
    query: np.ndarray
    query_bias: np.ndarray
    key: np.ndarray
    key_bias: np.ndarray


@dataclass(frozen=True)
class AttentionSource:
    """What the attention of a view's pixels is computed from.

    z: (rows, columns, D) float16, over `region` of the small picture. frequencies: (F,), position: (M, 4F),
    position_bias: (M,), all float32: the positional bias, see `PositionalBias`. stages: those in use.
    """

    heads: int
    radius: int
    region: Region
    z: np.ndarray
    frequencies: np.ndarray
    position: np.ndarray
    position_bias: np.ndarray
    stages: list[StageSource]


def count_bytes(model: SRModel, view: View) -> int:
    """Return the bytes that the arrays of a model's source take for a view."""
    decoder = model.decoder
    width = decoder.config.width
    return 2 * width * (view.clip(decoder.reads_embedded(view)).area + 18 * width * len(view.factors))


@torch.no_grad()
def make_source(model: SRModel, features: Features, view: View) -> AttentionSource:
    """Return the source of a view by LIT or CLIT."""
    decoder = model.decoder
    region = view.clip(decoder.reads_embedded(view))
    z = decoder.embed_part(features, view, region)[0]
    stages = [
        StageSource(grid, *_convert(stage.query_conv), *_convert(stage.key_conv))
        for grid, stage in zip(view.grids(), decoder.stages, strict=False)
    ]
    bias = decoder.bias
    position = (_to_array(each) for each in (bias.frequencies, bias.proj.weight, bias.proj.bias))
    return AttentionSource(decoder.heads, decoder.radius, region, _to_array(z, np.float16), *position, stages)


def _convert(conv: nn.Conv2d) -> tuple[np.ndarray, np.ndarray]:
    return _to_array(conv.weight.permute(2, 3, 1, 0), np.float16), _to_array(conv.bias)


def _to_array(tensor: Tensor, dtype: type = np.float32) -> np.ndarray:
    return np.ascontiguousarray(tensor.float().cpu().numpy().astype(dtype))

"""LIIF (Chen et al., CVPR 2021): an MLP predicts RGB at each of four latents; distance blends the predictions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from clit.config import LIIFConfig
from clit.networks.decoders.base import Maps
from clit.networks.decoders.compiled import EnsembleStart
from clit.networks.decoders.ensemble import EnsembleDecoder, EnsembleField, unfold3
from clit.networks.layers import MLP, relu


class LIIF(EnsembleDecoder):
    """f([3x3-unfolded latent, rel, cell]) at four latents. Predicts RGB itself, without a skip."""

    def __init__(self, config: LIIFConfig, channels: int):
        super().__init__()
        self.config, self.channels = config, channels
        self.mlp = MLP([9 * channels + 4, *config.hidden, 3], relu)

    def work(self, queries_per_latent: float) -> float:
        hidden = self.config.hidden
        inner = 4 * hidden[0] + sum(a * b for a, b in zip(hidden, hidden[1:], strict=False))
        return 9 * self.channels * hidden[0] / queries_per_latent + 4 * inner + 3 * hidden[-1]

    def _make_maps(self, features: Tensor) -> Maps:
        # The part of the first layer that reads the unfolded features is a 3x3 convolution at LR resolution: for the
        # fast order.
        first = self.mlp[0]
        kernel = first.weight[:, : 9 * self.channels].unflatten(1, (self.channels, 3, 3))
        return (F.conv2d(features, kernel, first.bias).permute(0, 2, 3, 1).contiguous(),)

    def _predict(self, field: EnsembleField, y: Tensor, x: Tensor, rel: Tensor) -> Tensor:
        latents = unfold3(field.features)[:, y, x]  # (B, Q, 9 C)
        tail = torch.cat([rel.to(latents.dtype), field.cell.expand(len(rel), 2)], -1)
        return self.mlp(torch.cat([latents, tail.expand(len(latents), -1, -1)], -1))

    def _predict_hidden(self, maps: Maps, x: Tensor, rel_y: Tensor, rel_x: Tensor, cell: Tensor) -> Tensor:
        weight = self.mlp[0].weight[:, 9 * self.channels :]
        place = weight[:, :2]
        along_y = rel_y[:, None].to(place.dtype) * place[:, 0] + weight[:, 2:] @ cell  # (R, width)
        along_x = rel_x[:, None].to(place.dtype) * place[:, 1]  # (S, width)
        rows = maps[0] + along_y[:, None]  # (B, R, latent columns, width)
        return self.mlp.to_last_hidden(rows.index_select(2, x) + along_x)

    def describe_start(self, field: EnsembleField) -> EnsembleStart:
        along, cell = self.mlp[0].weight[:, 9 * self.channels :].split(2, 1)
        none = field.cell.new_empty(len(field.features), 0, 0, 0)
        return EnsembleStart(*field.maps, none, cell @ field.cell, along.T, list(self.mlp)[2::2])

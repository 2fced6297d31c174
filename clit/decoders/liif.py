"""LIIF (Chen et al., CVPR 2021): an MLP answers at each of four latents, distance blends the answers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.config import LIIFConfig
from clit.decoders.ensemble import EnsembleDecoder, EnsembleField, gather_window, unfold3
from clit.layers import MLP, Region, crop


class LIIF(EnsembleDecoder):
    """f([3x3-unfolded latent, rel, cell]) at four latents; predicts RGB itself, without a skip."""

    def __init__(self, config: LIIFConfig, channels: int):
        super().__init__()
        self.config, self.channels = config, channels
        self.mlp = MLP([9 * channels + 4, *config.hidden, 3], nn.ReLU)

    def work(self, queries_per_latent: float) -> float:
        """Multiply-adds per output pixel in the factored order (four evaluations, one blend)."""
        hidden = self.config.hidden
        inner = 4 * hidden[0] + sum(a * b for a, b in zip(hidden, hidden[1:], strict=False))
        return 9 * self.channels * hidden[0] / queries_per_latent + 4 * inner + 3 * hidden[-1]

    def _maps(self, features: Tensor, region: Region) -> tuple[Tensor, ...]:
        cropped = crop(features, region.grown(1))
        # For the fast order: the unfolded-feature part of the first layer is a 3x3 convolution at LR resolution.
        first = self.mlp[0]
        kernel = first.weight[:, : 9 * self.channels].unflatten(1, (self.channels, 3, 3))
        return cropped, F.conv2d(cropped, kernel, first.bias).permute(0, 2, 3, 1)

    def _predict(self, field: EnsembleField, y: Tensor, x: Tensor, rel: Tensor) -> Tensor:
        latents = unfold3(field.maps[0])[:, y, x]  # (B, Q, 9 C)
        tail = torch.cat([rel.to(latents.dtype), field.cell.expand(len(rel), 2)], -1)
        return self.mlp(torch.cat([latents, tail.expand(len(latents), -1, -1)], -1))

    def _hidden(self, field: EnsembleField, i: int, j: int) -> Tensor:
        weight = self.mlp[0].weight[:, 9 * self.channels :]
        place, cell = weight[:, :2], weight[:, 2:]
        y, x = field.rows.nearest[i] - field.region.top, field.columns.nearest[j] - field.region.left
        along_y = field.rows.rel[i][:, None].to(place.dtype) * place[:, 0] + cell @ field.cell  # (R, width)
        along_x = field.columns.rel[j][:, None].to(place.dtype) * place[:, 1]  # (S, width)
        hidden = gather_window(field.maps[1], y, x) + along_y[:, None] + along_x
        return self.mlp.to_last_hidden(hidden)

"""LTE (Lee & Jin, CVPR 2022): local Fourier features, decoded at four latents and blended by distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from clit.config import LTEConfig
from clit.decoders.ensemble import EnsembleDecoder, EnsembleField, gather_window
from clit.layers import MLP, Region, conv_valid, crop


class LTE(EnsembleDecoder):
    """A [cos(pi phi), sin(pi phi)] with phi = F . rel + phase(cell) at four latents, plus the bilinear input."""

    skips = True

    def __init__(self, config: LTEConfig, channels: int):
        super().__init__()
        self.config, self.channels = config, channels
        self.amplitude = nn.Conv2d(channels, config.width, 3, padding=1)
        self.frequency = nn.Conv2d(channels, config.width, 3, padding=1)  # channel 2i is y, 2i + 1 is x
        self.phase = nn.Linear(2, config.width // 2, bias=False)
        self.mlp = MLP([config.width, *config.hidden, 3], nn.ReLU)

    def work(self, queries_per_latent: float) -> float:
        """Multiply-adds per output pixel (four evaluations, one blend)."""
        widths = [self.config.width, *self.config.hidden]
        inner = 2 * widths[0] + sum(a * b for a, b in zip(widths, widths[1:], strict=False))
        return 2 * 9 * self.channels * widths[0] / queries_per_latent + 4 * inner + 3 * widths[-1]

    def _maps(self, features: Tensor, region: Region) -> tuple[Tensor, ...]:
        cropped = crop(features, region.grown(1))
        amplitude, frequency = (conv_valid(c, cropped) for c in (self.amplitude, self.frequency))
        return amplitude.permute(0, 2, 3, 1), frequency.permute(0, 2, 3, 1)

    def _features(self, field: EnsembleField, amplitude: Tensor, frequency: Tensor, rel: Tensor) -> Tensor:
        """amplitude, frequency: (B, ..., width) at the queries; rel: (..., 2). Returns (B, ..., width)."""
        phi = (frequency.unflatten(-1, (-1, 2)) * rel[..., None, :].to(frequency.dtype)).sum(-1)
        phi = math.pi * (phi + self.phase(field.cell))
        return amplitude * torch.cat([torch.cos(phi), torch.sin(phi)], -1)

    def _predict(self, field: EnsembleField, y: Tensor, x: Tensor, rel: Tensor) -> Tensor:
        amplitude, frequency = (m[:, y, x] for m in field.maps)
        return self.mlp(self._features(field, amplitude, frequency, rel))

    def _hidden(self, field: EnsembleField, i: int, j: int) -> Tensor:
        y, x = field.rows.nearest[i] - field.region.top, field.columns.nearest[j] - field.region.left
        amplitude, frequency = (gather_window(m, y, x) for m in field.maps)
        rel_y, rel_x = torch.broadcast_tensors(field.rows.rel[i][:, None], field.columns.rel[j])
        features = self._features(field, amplitude, frequency, torch.stack([rel_y, rel_x], -1))
        return self.mlp.to_last_hidden(self.mlp[0](features))

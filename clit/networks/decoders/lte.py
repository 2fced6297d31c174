"""LTE (Lee & Jin, CVPR 2022): local Fourier features, decoded at four latents and blended by distance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from clit.config import LTEConfig
from clit.networks.decoders.base import Maps
from clit.networks.decoders.compiled import EnsembleStart
from clit.networks.decoders.ensemble import EnsembleDecoder, EnsembleField
from clit.networks.layers import MLP, convolve_valid, relu


class LTE(EnsembleDecoder):
    """f(A [cos(pi phi), sin(pi phi)]) with phi = F . rel + phase(cell) at four latents, plus the bilinear input."""

    adds_skip = True

    def __init__(self, config: LTEConfig, channels: int):
        super().__init__()
        self.config, self.channels = config, channels
        self.amplitude = nn.Conv2d(channels, config.width, 3, padding=1)
        self.frequency = nn.Conv2d(channels, config.width, 3, padding=1)  # channel 2i is y, 2i + 1 is x
        self.phase = nn.Linear(2, config.width // 2, bias=False)
        self.mlp = MLP([config.width, *config.hidden, 3], relu)

    def work(self, queries_per_latent: float) -> float:
        widths = [self.config.width, *self.config.hidden]
        inner = 2 * widths[0] + sum(a * b for a, b in zip(widths, widths[1:], strict=False))
        return 2 * 9 * self.channels * widths[0] / queries_per_latent + 4 * inner + 3 * widths[-1]

    def _make_maps(self, features: Tensor) -> Maps:
        amplitude, frequency = (
            convolve_valid(c, features).permute(0, 2, 3, 1).contiguous() for c in (self.amplitude, self.frequency)
        )
        return amplitude, torch.cat([frequency[..., ::2], frequency[..., 1::2]], -1)  # along y, along x

    def _predict(self, field: EnsembleField, y: Tensor, x: Tensor, rel: Tensor) -> Tensor:
        amplitude, frequency = (m[:, y, x] for m in field.maps)  # (B, Q, width)
        phi = (frequency.unflatten(-1, (2, -1)) * rel[..., None].to(frequency.dtype)).sum(-2)
        phi = math.pi * (phi + self.phase(field.cell))
        return self.mlp(amplitude * torch.cat([torch.cos(phi), torch.sin(phi)], -1))

    def _predict_hidden(self, maps: Maps, x: Tensor, rel_y: Tensor, rel_x: Tensor, cell: Tensor) -> Tensor:
        amplitude, frequency = maps
        along_y, along_x = (math.pi * frequency).chunk(2, -1)  # (B, R, latent columns, width / 2)
        along_y = along_y * rel_y[:, None, None].to(along_y.dtype) + math.pi * self.phase(cell)
        phi = torch.addcmul(along_y.index_select(2, x), along_x.index_select(2, x), rel_x[:, None].to(along_x.dtype))
        features = torch.cat([torch.cos(phi), torch.sin(phi)], -1) * amplitude.index_select(2, x)
        return self.mlp.to_last_hidden(self.mlp[0](features))

    def describe_start(self, field: EnsembleField) -> EnsembleStart:
        none = field.cell.new_empty(2, 0)
        return EnsembleStart(*field.maps, self.phase(field.cell), none, list(self.mlp)[::2])

"""RDN (Zhang et al., CVPR 2018) without its upsampler: image -> features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clit.config import RDNConfig
from clit.system.turns import pause


class DenseBlock(nn.Module):
    """Each layer reads everything before it; a 1x1 convolution fuses all of it, plus the block's input."""

    def __init__(self, width: int, layers: int, growth: int):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(width + i * growth, growth, 3, padding=1) for i in range(layers))
        self.fuse = nn.Conv2d(width + layers * growth, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        dense = x
        for conv in self.convs:
            dense = torch.cat([dense, torch.relu(conv(dense))], 1)
        return x + self.fuse(dense)


class RDN(nn.Module):
    """(B, 3, h, w) in [-1, 1] -> (B, width, h, w)."""

    multiple = 1  # the sides may have any size
    drops_spare = False
    reach: int  # distance, in pixels, up to which a feature depends on the image

    def __init__(self, config: RDNConfig):
        super().__init__()
        width = self.channels = config.width
        self.reach = config.blocks * config.layers + 3
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.blocks = nn.ModuleList(DenseBlock(width, config.layers, config.growth) for _ in range(config.blocks))
        self.fuse = nn.Sequential(nn.Conv2d(config.blocks * width, width, 1), nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.first(x)
        x = self.second(shallow)
        outputs = []
        for block in self.blocks:
            pause()
            x = block(x)
            outputs.append(x)
        return shallow + self.fuse(torch.cat(outputs, 1))

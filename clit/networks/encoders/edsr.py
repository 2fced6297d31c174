"""EDSR-baseline (Lim et al., CVPRW 2017) without its upsampler and mean shift: image -> features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clit.config import EDSRConfig
from clit.networks.encoders import prepacked
from clit.system.turns import pause


class ResidualBlock(nn.Module):
    """x + conv3(ReLU(conv3(x)))."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        pause()
        return x + self.body(x)

    def apply_in_place(self, x: Tensor) -> None:
        """Do the same to x itself, by oneDNN's operations. x: channels-last."""
        pause()
        prepacked.add_convolution(x, self.body[2], prepacked.convolve(self.body[0], x, "relu"))


class EDSR(nn.Module):
    """(B, 3, h, w) in [-1, 1] -> (B, width, h, w)."""

    multiple = 1  # the sides may have any size
    reach: int  # distance, in pixels, up to which a feature depends on the image

    def __init__(self, config: EDSRConfig):
        super().__init__()
        self.channels = config.width
        self.reach = 2 * config.blocks + 2
        self.head = nn.Sequential(nn.Conv2d(3, config.width, 3, padding=1))
        self.body = nn.Sequential(
            *(ResidualBlock(config.width) for _ in range(config.blocks)),
            nn.Conv2d(config.width, config.width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        if prepacked.applies(x):
            return self._forward_prepacked(x)
        return self.forward_plain(x)

    def forward_plain(self, x: Tensor) -> Tensor:
        """Do the same by torch's convolutions, anywhere and with gradients."""
        x = self.head(x)
        return x + self.body(x)

    def _forward_prepacked(self, x: Tensor) -> Tensor:
        start = prepacked.convolve(self.head[0], x.contiguous(memory_format=torch.channels_last))
        body = start.clone()
        *blocks, last = self.body
        for block in blocks:
            block.apply_in_place(body)
        return prepacked.add_convolution(start, last, body).contiguous()

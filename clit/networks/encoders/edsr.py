"""EDSR-baseline (Lim et al., CVPRW 2017) without its upsampler and mean shift: image -> features."""

from __future__ import annotations

from torch import Tensor, nn

from clit.config import EDSRConfig


class ResidualBlock(nn.Module):
    """x + conv3(ReLU(conv3(x)))."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


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
        x = self.head(x)
        return x + self.body(x)

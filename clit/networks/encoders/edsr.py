"""EDSR-baseline (Lim et al., CVPRW 2017) without its upsampler and mean shift: image -> features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from clit.config import EDSRConfig
from clit.networks.encoders import prepacked
from clit.system.turns import pause

Spare = tuple[int, int, int, int]
"""Pixels at the top, left, bottom and right that are only there to be seen: no features of them are wanted."""


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
    drops_spare = True  # it takes `spare`
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

    def forward(self, x: Tensor, spare: Spare = (0, 0, 0, 0)) -> Tensor:
        if prepacked.applies(x):
            return _trim(self._forward_prepacked(x), spare, 0)[0]
        return self.forward_plain(x, spare)

    def forward_plain(self, x: Tensor, spare: Spare = (0, 0, 0, 0)) -> Tensor:
        """Do the same by torch's convolutions, anywhere and with gradients.

        What nothing that follows sees of the spare pixels is dropped after each block, which saves more than half of
        the work where little else is wanted.
        """
        start = self.head(x)
        left = self.reach - 1  # how far the convolutions that follow see
        body, at_hand = _trim(start, spare, left)
        *blocks, last = self.body
        for block in blocks:
            left -= 2
            body, at_hand = _trim(block(body), at_hand, left)
        return _trim(start, spare, 0)[0] + _trim(last(body), at_hand, 0)[0]

    def _forward_prepacked(self, x: Tensor) -> Tensor:
        start = prepacked.convolve(self.head[0], x.contiguous(memory_format=torch.channels_last))
        body = start.clone()
        *blocks, last = self.body
        for block in blocks:
            block.apply_in_place(body)
        return prepacked.add_convolution(start, last, body).contiguous()


def _trim(map: Tensor, spare: Spare, most: int) -> tuple[Tensor, Spare]:
    """Drop spare pixels of a map, but for `most` at each side; return it and those that are still there."""
    kept = tuple(min(n, most) for n in spare)
    top, left, bottom, right = (n - n_kept for n, n_kept in zip(spare, kept, strict=True))
    return map[..., top : map.shape[-2] - bottom, left : map.shape[-1] - right], kept

"""No encoder, for plain interpolation, which reads the image itself."""

from __future__ import annotations

from torch import Tensor, nn

from clit.config import NoEncoderConfig


class NoEncoder(nn.Module):
    """(B, 3, h, w) -> (B, 0, h, w): no channels."""

    multiple = 1
    drops_spare = False
    reach = 0
    channels = 0

    def __init__(self, config: NoEncoderConfig):
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :0]

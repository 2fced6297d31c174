"""EDSR near one picture: the way back from gradients of its features to those of the picture, as often as is wanted.

Only its ReLUs bend. Which of them are open is all that the way back depends on, so one bit each is kept, and whoever
asks about the same picture again needs no way forth. Both ways are made of oneDNN's operations, see `prepacked`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.networks.encoders import prepacked
from clit.networks.encoders.edsr import EDSR, Spare
from clit.system.turns import pause


def applies(encoder: nn.Module, x: Tensor) -> bool:
    """Tell whether slopes can be found: of EDSR, in float32 on the CPU."""
    with torch.no_grad():
        return isinstance(encoder, EDSR) and prepacked.applies(x)


def estimate_memory(encoder: EDSR, pixels: int) -> int:
    """Return the bytes that finding slopes of so many pixels takes at most: five maps at once, and the bits."""
    return encoder.channels * pixels * (5 * 4 + len(encoder.body) // 8)


class Transposed:
    """An EDSR's convolutions the other way round."""

    def __init__(self, encoder: EDSR):
        *blocks, last = encoder.body
        self.reach = encoder.reach
        self.head, self.last = _transpose(encoder.head[0]), _transpose(last)
        self.blocks = [(_transpose(block.body[0]), _transpose(block.body[2])) for block in blocks]


@dataclass(frozen=True)
class Slopes:
    """An EDSR near one picture x (1, 3, Y, X).

    features: (1, C, rows, columns), of all pixels but the spare ones. open: a bit for each ReLU, block by block.
    """

    transposed: Transposed
    spare: Spare
    features: Tensor
    open: list[np.ndarray]

    @property
    def nbytes(self) -> int:
        return self.features.nbytes + sum(bits.nbytes for bits in self.open)

    @torch.no_grad()
    def pull_back(self, gradient: Tensor) -> Tensor:
        """Return the gradient (1, 3, Y, X) of what has such a gradient (1, C, rows, columns) of the features."""
        transposed, spare, left = self.transposed, self.spare, 1
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        body = _crop_inside(prepacked.convolve(transposed.last, gradient, padding=2), spare, left)
        for (first, second), bits in zip(reversed(transposed.blocks), reversed(self.open), strict=True):
            pause()
            hidden = _crop_inside(prepacked.convolve(second, body, padding=2), spare, left + 1)
            hidden.permute(0, 2, 3, 1).mul_(_unpack(bits, hidden))
            body = _pad_ends(_pad(body, spare, left, left + 2), spare, left + 2)
            body = _crop_inside(prepacked.add_convolution(body, first, hidden, padding=2), spare, left + 2)
            left += 2
        start = body + _pad(gradient, spare, 0, left)
        return _crop_inside(prepacked.convolve(transposed.head, start, padding=2), spare, left + 1).contiguous()


@torch.no_grad()
def find_slopes(encoder: EDSR, transposed: Transposed, x: Tensor, spare: Spare) -> Slopes:
    """Return the slopes at x (1, 3, Y, X) in [-1, 1]; `spare` as for EDSR.

    Each convolution loses a spare pixel at every side that still has one, and is padded where the picture ends.
    """
    x = x.contiguous(memory_format=torch.channels_last)
    *blocks, last = encoder.body
    left, bits = encoder.reach - 1, []
    body = start = prepacked.convolve(encoder.head[0], _pad_ends(x, spare, left + 1), padding=0)
    for block in blocks:
        pause()
        hidden = prepacked.convolve(block.body[0], _pad_ends(body, spare, left), "relu", padding=0)
        bits.append(np.packbits((hidden > 0).permute(0, 2, 3, 1).numpy()))
        body = _trim(body, spare, left, left - 2)
        body = prepacked.add_convolution(body, block.body[2], _pad_ends(hidden, spare, left - 1), padding=0)
        left -= 2
    total = _trim(start, spare, encoder.reach - 1, 0)
    return Slopes(transposed, spare, prepacked.add_convolution(total, last, _pad_ends(body, spare, 1), padding=0), bits)


def _transpose(conv: nn.Conv2d) -> nn.Conv2d:
    """Return the convolution that takes gradients of a 3x3 one's output to those of its input."""
    back = nn.utils.skip_init(nn.Conv2d, conv.out_channels, conv.in_channels, 3, padding=1, bias=False)
    back.weight = nn.Parameter(conv.weight.detach().transpose(0, 1).flip(2, 3).contiguous(), requires_grad=False)
    return back


def _trim(map: Tensor, spare: Spare, before: int, after: int) -> Tensor:
    """Return a copy of a map that has at most `before` spare pixels at each side, with at most `after` of them."""
    top, left, bottom, right = (min(n, before) - min(n, after) for n in spare)
    kept = map[..., top : map.shape[-2] - bottom, left : map.shape[-1] - right]
    return kept.clone(memory_format=torch.channels_last)


def _pad(map: Tensor, spare: Spare, before: int, after: int) -> Tensor:
    """Do the opposite, with zeros."""
    top, left, bottom, right = (min(n, after) - min(n, before) for n in spare)
    return F.pad(map, (left, right, top, bottom)).contiguous(memory_format=torch.channels_last)


def _pad_ends(map: Tensor, spare: Spare, left: int) -> Tensor:
    """Pad a map by a pixel where the picture ends: at sides with less than `left` spare pixels."""
    top, start, bottom, end = (int(n < left) for n in spare)
    padded = F.pad(map, (start, end, top, bottom)) if top or start or bottom or end else map
    return padded.contiguous(memory_format=torch.channels_last)


def _crop_inside(map: Tensor, spare: Spare, left: int) -> Tensor:
    """Undo what `_pad_ends` did."""
    top, start, bottom, end = (int(n < left) for n in spare)
    inside = map[..., top : map.shape[-2] - bottom, start : map.shape[-1] - end]
    return inside.contiguous(memory_format=torch.channels_last)


def _unpack(bits: np.ndarray, hidden: Tensor) -> Tensor:
    """Return bits as zeros and ones (1, h, w, C)."""
    height, width = hidden.shape[-2:]
    return torch.from_numpy(np.unpackbits(bits, count=hidden.numel())).view(1, height, width, -1)

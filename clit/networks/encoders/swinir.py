"""SwinIR (Liang et al., ICCVW 2021) without its upsampler and mean shift: image -> features.

Tokens are channels-last maps (B, h, w, C). The tokens of a `window` x `window` window attend to one another. In every
second block the windows are moved by half a window.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.config import SwinIRConfig
from clit.system.turns import pause

# Legend for shapes: B batch, I x J windows of T = window^2 tokens, C channels, M heads, d = C / M.

_MASKED = -100.0  # instead of minus infinity: published weights were trained with it


def split_windows(x: Tensor, window: int) -> Tensor:
    """Split a map (B, h, w, C) into windows (B, I, J, T, C)."""
    x = x.unflatten(2, (-1, window)).unflatten(1, (-1, window))  # (B, I, window, J, window, C)
    return x.transpose(2, 3).flatten(3, 4)


def join_windows(x: Tensor, window: int) -> Tensor:
    """Join windows (B, I, J, T, C) to a map (B, h, w, C): the inverse of `split_windows`."""
    return x.unflatten(3, (window, window)).transpose(2, 3).flatten(3, 4).flatten(1, 2)


def label_regions(height: int, width: int, window: int, device: torch.device) -> Tensor:
    """Return a label (I, J, T) of the part of the image that each token of the moved windows comes from.

    Rolling the image brings the opposite border into the last row and column of windows. Tokens attend to one another
    only if their labels agree.
    """

    def label_bands(n: int) -> Tensor:
        i = torch.arange(n, device=device)
        return (i >= n - window).int() + (i >= n - window // 2).int()

    labels = 3 * label_bands(height)[:, None] + label_bands(width)
    return split_windows(labels[None, :, :, None], window)[0, ..., 0]


class WindowAttention(nn.Module):
    """Multi-head attention of each window's tokens to one another, with a learned bias per offset."""

    offset_index: Tensor

    def __init__(self, width: int, heads: int, window: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)  # rows ordered (3, M, d)
        self.proj = nn.Linear(width, width)
        self.bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        place = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"), -1)
        offset = place.flatten(0, 1)[:, None] - place.flatten(0, 1) + window - 1  # (T, T, 2): query minus key
        index = offset[..., 0] * (2 * window - 1) + offset[..., 1]
        self.register_buffer("offset_index", index, persistent=False)

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """x: (B, I, J, T, C). labels: (I, J, T) from `label_regions`, or None to mask nothing."""
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(4, 0, 1, 2, 5, 3, 6)  # (B, I, J, M, T, d) each
        bias = self.bias_table[self.offset_index].permute(2, 0, 1)  # (M, T, T)
        rows = []
        for i in range(x.shape[1]):  # one row of windows at a time, to bound the memory
            mask = bias
            if labels is not None:
                apart = labels[i, :, :, None] != labels[i, :, None, :]
                mask = bias + _MASKED * apart[:, None].to(bias)
            rows.append(F.scaled_dot_product_attention(q[:, i], k[:, i], v[:, i], attn_mask=mask))
        return self.proj(torch.stack(rows, 1).transpose(3, 4).flatten(-2))


class SwinBlock(nn.Module):
    """x += attention(norm1 x), then x += mlp(norm2 x). The windows are moved by `shift` tokens."""

    def __init__(self, config: SwinIRConfig, shift: int):
        super().__init__()
        width = config.width
        self.window, self.shift = config.window, shift
        self.norm1 = nn.LayerNorm(width)
        self.attention = WindowAttention(width, config.heads, config.window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, config.mlp_ratio * width), nn.GELU(), nn.Linear(config.mlp_ratio * width, width)
        )

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        moved = torch.roll(self.norm1(x), (-self.shift, -self.shift), (1, 2))
        mixed = self.attention(split_windows(moved, self.window), labels if self.shift else None)
        x = x + torch.roll(join_windows(mixed, self.window), (self.shift, self.shift), (1, 2))
        return x + self.mlp(self.norm2(x))


class SwinGroup(nn.Module):
    """Swin blocks and a convolution, plus the input."""

    def __init__(self, config: SwinIRConfig, depth: int):
        super().__init__()
        self.blocks = nn.ModuleList(SwinBlock(config, i % 2 * (config.window // 2)) for i in range(depth))
        self.conv = nn.Conv2d(config.width, config.width, 3, padding=1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        y = x
        for block in self.blocks:
            pause()
            y = block(y, labels)
        return x + _apply_channels_last(self.conv, y)


class SwinIR(nn.Module):
    """(B, 3, h, w) in [-1, 1], sides multiples of `multiple` -> (B, features, h, w)."""

    drops_spare = False
    reach = None  # nearly the whole image, so it is encoded at once

    def __init__(self, config: SwinIRConfig):
        super().__init__()
        width = config.width
        self.channels, self.multiple = config.features, config.window
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.norm_in = nn.LayerNorm(width)
        self.groups = nn.ModuleList(SwinGroup(config, depth) for depth in config.depths)
        self.norm_out = nn.LayerNorm(width)
        self.after = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, config.features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        shallow = self.first(x)
        labels = label_regions(*x.shape[-2:], self.multiple, x.device)
        tokens = self.norm_in(shallow.permute(0, 2, 3, 1))
        for group in self.groups:
            tokens = group(tokens, labels)
        deep = self.after(self.norm_out(tokens).permute(0, 3, 1, 2))
        return F.leaky_relu(self.last(shallow + deep), 0.01)


def _apply_channels_last(conv: nn.Conv2d, tokens: Tensor) -> Tensor:
    """Apply a convolution to a channels-last map (B, h, w, C)."""
    return conv(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

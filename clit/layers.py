"""Building blocks of the decoders: MLP, regional convolution, separable sampling, positional bias."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.geometry import linear_taps


class MLP(nn.Sequential):
    """Linear layers with an activation between them."""

    def __init__(self, widths: list[int], activation: type[nn.Module]):
        layers: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
            layers += [activation()] if i else []
            layers.append(nn.Linear(n_in, n_out))
        super().__init__(*layers)

    def after_first(self, x: Tensor) -> Tensor:
        """The rest of the network for a first layer's output made some other way."""
        for layer in list(self)[1:]:
            x = layer(x)
        return x

    def to_last_hidden(self, x: Tensor) -> Tensor:
        """As `after_first`, but stops before the last linear layer."""
        for layer in list(self)[1:-1]:
            x = layer(x)
        return x


@dataclass(frozen=True)
class Region:
    """A rectangle of a latent grid, rows top..bottom and columns left..right; it may reach over the border."""

    top: int
    left: int
    bottom: int
    right: int

    def ends(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """First and last (exclusive) row, and column."""
        return (self.top, self.bottom), (self.left, self.right)

    def grown(self, by: int) -> Region:
        return Region(self.top - by, self.left - by, self.bottom + by, self.right + by)


def crop(map: Tensor, region: Region) -> Tensor:
    """(B, C, h, w) -> the region of it, zero outside the image."""
    h, w = map.shape[-2:]
    inside = map[..., max(region.top, 0) : max(region.bottom, 0), max(region.left, 0) : max(region.right, 0)]
    pad = (
        min(max(-region.left, 0), region.right - region.left),
        max(region.right - max(w, region.left), 0),
        min(max(-region.top, 0), region.bottom - region.top),
        max(region.bottom - max(h, region.top), 0),
    )
    return F.pad(inside, pad) if any(pad) else inside


def outside_zero(map: Tensor, region: Region, grid: tuple[int, int]) -> Tensor:
    """Set what lies outside the grid (h, w) to zero in a map that covers `region`."""
    rows = torch.arange(region.top, region.bottom, device=map.device)
    columns = torch.arange(region.left, region.right, device=map.device)
    inside_y, inside_x = (rows >= 0) & (rows < grid[0]), (columns >= 0) & (columns < grid[1])
    if inside_y.all() and inside_x.all():
        return map
    return map * (inside_y[:, None] & inside_x)


def conv_valid(conv: nn.Conv2d, map: Tensor) -> Tensor:
    """A 3x3 convolution without padding: the map already has the border it needs."""
    return F.conv2d(map, conv.weight, conv.bias)


def sample_rows(map: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Linear interpolation down the rows of a channels-last map.

    map: (B, h, w, C); index, weight: (Q, 2) taps. Returns (B, Q, w, C).
    """
    return map[:, index[:, 0]] * weight[:, 0, None, None] + map[:, index[:, 1]] * weight[:, 1, None, None]


def sample_columns(map: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """As `sample_rows`, along the columns: (B, h, w, C) -> (B, h, Q, C)."""
    return map[:, :, index[:, 0]] * weight[:, 0, None] + map[:, :, index[:, 1]] * weight[:, 1, None]


def bilinear_grid(map: Tensor, rows: Tensor, columns: Tensor, padding: str) -> Tensor:
    """Bilinear interpolation of a map (B, C, h, w) at a grid of positions in its pixels: (B, R, S, C)."""
    h, w = map.shape[-2:]
    y, wy = linear_taps(rows, h, padding)
    x, wx = linear_taps(columns, w, padding)
    last = map.permute(0, 2, 3, 1)
    return sample_columns(sample_rows(last, y.clamp(0, h - 1), wy), x.clamp(0, w - 1), wx)


class PositionalBias(nn.Module):
    """b = FC(gamma(rel)): one bias per head from the position relative to a latent (CLIT, section 3.3).

    gamma = [sin(f rel_y), sin(f rel_x), cos(f rel_y), cos(f rel_x)] with 16 frequencies, f_j =
    2**(j * octaves / 15) - 1. It treats y and x apart and FC is linear, so the bias is a sum of a function of
    rel_y and one of rel_x; `along_y` and `along_x` are those, FC's own bias being part of the first.
    """

    def __init__(self, heads: int, octaves: float, count: int = 16):
        super().__init__()
        self.count = count
        # No buffer: a model in half precision needs them, and the angles, in float32 all the same.
        self.frequencies = 2 ** torch.linspace(0, octaves, count) - 1
        self.proj = nn.Linear(4 * count, heads)

    def _part(self, rel: Tensor, axis: int) -> Tensor:
        n = self.count
        weight = self.proj.weight.to(torch.promote_types(self.proj.weight.dtype, torch.float32))
        angle = (rel[..., None] * self.frequencies.to(rel.device)).to(weight)
        sines, cosines = weight[:, axis * n : (axis + 1) * n], weight[:, (axis + 2) * n : (axis + 3) * n]
        return (torch.sin(angle) @ sines.T + torch.cos(angle) @ cosines.T).to(self.proj.weight.dtype)

    def along_y(self, rel: Tensor) -> Tensor:
        """(...) relative coordinates -> (..., M)."""
        return self._part(rel, 0) + self.proj.bias

    def along_x(self, rel: Tensor) -> Tensor:
        """(...) relative coordinates -> (..., M)."""
        return self._part(rel, 1)

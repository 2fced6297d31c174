"""Building blocks of the decoders: MLP, cropping, sampling, convolution of a region, positional bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.geometry import Region, Taps, linear_taps, periodic_taps, pixel_centres, to_pixels


def relu() -> nn.Module:
    """Return a ReLU that overwrites its input; in an MLP nothing else needs that input."""
    return nn.ReLU(inplace=True)


class MLP(nn.Sequential):
    """Linear layers with an activation between each two."""

    def __init__(self, widths: list[int], activation: Callable[[], nn.Module]):
        layers: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
            layers += [activation()] if i else []
            layers.append(nn.Linear(n_in, n_out))
        super().__init__(*layers)

    def after_first(self, x: Tensor) -> Tensor:
        """Return the output for a given output of the first layer."""
        return self[-1](self.to_last_hidden(x))

    def to_last_hidden(self, x: Tensor) -> Tensor:
        """Return the last hidden layer's activations for a given output of the first layer."""
        for layer in list(self)[1:-1]:
            x = layer(x)
        return x


def crop(map: Tensor, region: Region) -> Tensor:
    """Cut a region out of a map (B, C, h, w); the result is zero outside the map."""
    h, w = map.shape[-2:]
    inside = map[..., max(region.top, 0) : max(region.bottom, 0), max(region.left, 0) : max(region.right, 0)]
    pad = (
        min(max(-region.left, 0), region.right - region.left),
        max(region.right - max(w, region.left), 0),
        min(max(-region.top, 0), region.bottom - region.top),
        max(region.bottom - max(h, region.top), 0),
    )
    return F.pad(inside, pad) if any(pad) else inside


def pad_to(region: Region, map: Tensor, inside: Region) -> Tensor:
    """Return a map (B, rows, columns, C) over `region`, zero but where the given map over `inside` lies in it."""
    left, right = inside.left - region.left, region.right - inside.right
    top, bottom = inside.top - region.top, region.bottom - inside.bottom
    return F.pad(map, (0, 0, left, right, top, bottom)) if inside != region else map


def convolve_valid(conv: nn.Conv2d, map: Tensor) -> Tensor:
    """Apply a 3x3 convolution without padding: (B, C, h + 2, w + 2) -> (B, C', h, w)."""
    return F.conv2d(map, conv.weight, conv.bias)


def sample_points(map: Tensor, rows: Taps, columns: Taps) -> Tensor:
    """Interpolate a channels-last map (B, h, w, C) at Q points, given by taps per axis. Returns (B, Q, C)."""
    (y, weight_y), (x, weight_x) = rows, columns
    corners = map[:, y[:, :, None], x[:, None, :]]  # (B, Q, K, K, C)
    return torch.einsum("bqijc,qi,qj->bqc", corners, weight_y.to(corners), weight_x.to(corners))


def sample_grid(map: Tensor, rows: Taps, columns: Taps) -> Tensor:
    """Interpolate a channels-last map (B, h, w, C) at the crossings of R rows and S columns. Returns (B, R, S, C)."""
    (y, weight_y), (x, weight_x) = rows, columns
    lines = (map.index_select(1, y[:, k]) * weight_y[:, k, None, None] for k in range(y.shape[1]))
    sampled = reduce(torch.add, lines)  # (B, R, w, C)
    lines = (sampled.index_select(2, x[:, k]) * weight_x[:, k, None] for k in range(x.shape[1]))
    return reduce(torch.add, lines)


@dataclass(frozen=True)
class Resampling:
    """Bilinear resampling of one axis (zero outside the image) to some points of a grid, as a matrix."""

    first: int  # the first pixel that is read
    matrix: Tensor  # (points, pixels read); the rows of points outside the grid are zero

    @staticmethod
    def prepare(n: int, n_grid: int, start: int, stop: int, device, wrap: bool = False) -> Resampling:
        """Prepare resampling from an axis of n pixels to the points start..stop of a grid of n_grid points."""
        points = torch.arange(start, stop, device=device)
        if wrap:
            index, weight = periodic_taps(n_grid, n, points)
        else:
            index, weight = linear_taps(to_pixels(pixel_centres(n_grid, points), n), n, "zeros")
            weight = weight * ((points >= 0) & (points < n_grid))[:, None]
            index = index.clamp(0, n - 1)
        first = int(index.min())
        matrix = weight.new_zeros(stop - start, int(index.max()) + 1 - first)
        return Resampling(first, matrix.scatter_add_(1, index - first, weight))


def convolve_resampled(conv: nn.Conv2d, map: Tensor, rows: Resampling, columns: Resampling) -> Tensor:
    """Apply a 3x3 convolution to a resampled map without making the resampled map (CLIT's later stages).

    Resampling and convolution are both linear. So each of the nine taps is applied at low resolution, as a 1x1
    convolution, and its result is resampled and shifted. map: (B, h, w, C), channels-last: the pixels that `rows` and
    `columns` read. rows, columns: resampling to the wanted grid points and one more at each end.
    Returns (B, Y, X, C') for Y x X wanted points, those outside the grid too.
    """
    batch, h, w, _ = map.shape
    across = columns.matrix.to(map).unfold(0, 3, 1).flatten(1)  # (X, w 3): pixel, then tap
    result = conv.bias.repeat(len(across)).expand(batch, len(rows.matrix) - 2, -1)
    for tap in range(3):
        kernel = conv.weight[:, :, tap].permute(1, 2, 0).flatten(1)  # (C, 3 C')
        wide = across @ (map @ kernel).view(batch, h, w * 3, -1)  # (B, h, X, C')
        down = rows.matrix[tap : len(rows.matrix) - 2 + tap].to(map)  # (Y, h)
        result = torch.baddbmm(result, down.expand(batch, -1, -1), wide.flatten(2))
    return result.view(batch, -1, len(across), len(conv.bias))

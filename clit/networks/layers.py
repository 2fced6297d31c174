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


def zero_outside(map: Tensor, region: Region, grid: tuple[int, int]) -> Tensor:
    """Set to zero whatever lies outside the grid (h, w), in a map (B, rows, columns, C) over `region`."""
    rows = torch.arange(region.top, region.bottom, device=map.device)
    columns = torch.arange(region.left, region.right, device=map.device)
    inside_y, inside_x = (rows >= 0) & (rows < grid[0]), (columns >= 0) & (columns < grid[1])
    if inside_y.all() and inside_x.all():
        return map
    return map * (inside_y[:, None] & inside_x)[..., None]


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


class PositionalBias(nn.Module):
    """b = FC(gamma(rel)): a bias per head from the position relative to a latent (CLIT, section 3.3).

    gamma = [sin(f rel_y), sin(f rel_x), cos(f rel_y), cos(f rel_x)] with 16 frequencies, f_j =
    2**(j * octaves / 15) - 1. gamma treats y and x apart and FC is linear, so the bias is a function of rel_y plus one
    of rel_x: `along_y`, which includes the bias of FC, and `along_x`.
    """

    def __init__(self, heads: int, octaves: float, count: int = 16):
        super().__init__()
        self.count = count
        # Not a buffer: a model in half precision still needs the frequencies in float32.
        self.frequencies = 2 ** torch.linspace(0, octaves, count) - 1
        self.proj = nn.Linear(4 * count, heads)
        # Start from what attention replaces, an ensemble by distance. The lowest frequency above 0 makes the first head
        # about as narrow as bilinear interpolation and each next one wider; the last starts without it. From even
        # weights, which say nothing of where the query is, training takes thousands of steps to get here.
        with torch.no_grad():
            narrow = 8 * torch.linspace(1, 0, heads) ** 1.5
            for cosine in (2 * count + 1, 3 * count + 1):
                self.proj.weight[:, cosine : cosine + 1] += narrow[:, None]

    def _along(self, rel: Tensor, axis: int) -> Tensor:
        n = self.count
        weight = self.proj.weight.to(torch.promote_types(self.proj.weight.dtype, torch.float32))
        angle = (rel[..., None] * self.frequencies.to(rel.device)).to(weight)
        sines, cosines = weight[:, axis * n : (axis + 1) * n], weight[:, (axis + 2) * n : (axis + 3) * n]
        return (torch.sin(angle) @ sines.T + torch.cos(angle) @ cosines.T).to(self.proj.weight.dtype)

    def along_y(self, rel: Tensor) -> Tensor:
        """Return the part (..., M) of the bias that depends on rel_y (...)."""
        return self._along(rel, 0) + self.proj.bias

    def along_x(self, rel: Tensor) -> Tensor:
        """Return the part (..., M) of the bias that depends on rel_x (...)."""
        return self._along(rel, 1)

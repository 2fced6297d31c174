"""Building blocks of the decoders: MLP, regional convolution, separable sampling, positional bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.geometry import Region, linear_taps, periodic_taps, pixel_centres, to_pixels


def relu() -> nn.Module:
    """ReLU that writes over what it reads: always the output of a sum that nobody else needs."""
    return nn.ReLU(inplace=True)


class MLP(nn.Sequential):
    """Linear layers with an activation between them."""

    def __init__(self, widths: list[int], activation: Callable[[], nn.Module]):
        layers: list[nn.Module] = []
        for i, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
            layers += [activation()] if i else []
            layers.append(nn.Linear(n_in, n_out))
        super().__init__(*layers)

    def after_first(self, x: Tensor) -> Tensor:
        """The rest of the network for a first layer's output made some other way."""
        return self[-1](self.to_last_hidden(x))

    def to_last_hidden(self, x: Tensor) -> Tensor:
        """As `after_first`, but stops before the last linear layer."""
        for layer in list(self)[1:-1]:
            x = layer(x)
        return x


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
    """Set what lies outside the grid (h, w) to zero in a map (B, ..., C) that covers `region`."""
    rows = torch.arange(region.top, region.bottom, device=map.device)
    columns = torch.arange(region.left, region.right, device=map.device)
    inside_y, inside_x = (rows >= 0) & (rows < grid[0]), (columns >= 0) & (columns < grid[1])
    if inside_y.all() and inside_x.all():
        return map
    return map * (inside_y[:, None] & inside_x)[..., None]


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


@dataclass(frozen=True)
class Resampling:
    """One axis of bilinear resampling (zero outside the image) to the points start..stop of a grid, as a matrix."""

    first: int  # the first pixel that counts
    matrix: Tensor  # (stop - start, pixels that count); rows of points outside the grid are zero

    @staticmethod
    def prepare(n: int, n_grid: int, start: int, stop: int, device, wrap: bool = False) -> Resampling:
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


def conv_resampled(conv: nn.Conv2d, map: Tensor, rows: Resampling, columns: Resampling) -> Tensor:
    """A 3x3 convolution of a resampled map, without making the resampled map (CLIT's later stages).

    Both are linear: each of the nine taps is a 1x1 map at low resolution, resampled and shifted. map: (B, h, w, C),
    channels-last, the part that counts; rows and columns: resampling to the wanted grid points and one more at each
    end. Returns (B, points down, points across, C'), without regard to where the grid ends.
    """
    batch, h, w, _ = map.shape
    across = columns.matrix.to(map).unfold(0, 3, 1).flatten(1)  # (X, w 3): by pixel and tap
    result = conv.bias.repeat(len(across)).expand(batch, len(rows.matrix) - 2, -1)
    for tap in range(3):
        kernel = conv.weight[:, :, tap].permute(1, 2, 0).flatten(1)  # (C, 3 C')
        wide = across @ (map @ kernel).view(batch, h, w * 3, -1)  # (B, h, X, C')
        down = rows.matrix[tap : len(rows.matrix) - 2 + tap].to(map)
        result = torch.baddbmm(result, down.expand(batch, -1, -1), wide.flatten(2))
    return result.view(batch, -1, len(across), len(conv.bias))


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
        # Training starts from what the attention replaces, an ensemble by distance: each head looks at its surroundings
        # through the lowest frequency, the first head about as narrowly as bilinear interpolation, the last at all.
        # From even weights, which tell nothing of where the query is, it takes thousands of steps to get there.
        with torch.no_grad():
            narrow = 8 * torch.linspace(1, 0, heads) ** 1.5
            for cosine in (2 * count + 1, 3 * count + 1):
                self.proj.weight[:, cosine : cosine + 1] += narrow[:, None]

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

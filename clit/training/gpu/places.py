"""Where the output pixels of many crops lie, each crop with a scale of its own: `clit.geometry`, a crop at a time.

The formulas are those of `clit.networks.decoders.stage_axes` and `.ensemble`. Both axes are treated alike, together.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Legend for shapes: 2 axes (y, x), B crops, L output pixels along an axis, p latents along an axis of the LR grid, r
# radius of the attention window, R = L + 2 r latents along an axis of a region.


@dataclass(frozen=True)
class StagePlaces:
    """Where output pixels lie on one stage's grid, and how the region of it that they read is made."""

    first: Tensor  # (2, B, L) int32: first latent of each window, counted from the region's first
    rel: Tensor  # (2, B, L, 2r+1)
    sample: Tensor  # (2, B, L, R): interpolates the region's q at the pixels
    resample: Tensor  # (2, B, R + 2, p): interpolates z at the region's latents and one more at each end
    inside: Tensor  # (2, B, R): 1 for latents of the grid, 0 beyond it


def place_stage(pixels: Tensor, size: Tensor, grid: Tensor, lr: int, radius: int, is_first: bool) -> StagePlaces:
    """Place output pixels (2, B, L) of crops of `size` (B,) on a stage's grids (B,); lr: p."""
    n = grid[:, None].double()
    centres = _find_centres(pixels, size[:, None].double())
    positions = _to_pixels(centres, n)
    nearest = torch.minimum(torch.round(positions).clamp(min=0), n.float() - 1)
    offset = torch.arange(-radius, radius + 1, device=pixels.device)
    latents = _find_centres(nearest, n)[..., None] + offset.float() * (2 / n).float()[..., None]
    rel = (centres[..., None] - latents) * n.float()[..., None]
    start = nearest.amin(-1, keepdim=True) - radius  # (2, B, 1)
    region = start + torch.arange(pixels.shape[-1] + 2 * radius, device=pixels.device)
    inside = ((region >= 0) & (region < n)).float()
    sample = _interpolate(positions, region) * inside[:, :, None]
    wider = torch.cat([start - 1, region, region[..., -1:] + 1], -1)
    at = wider if is_first else _to_pixels(_find_centres(wider, n), lr)
    resample = _interpolate(at, torch.arange(lr, device=pixels.device).float())
    resample = resample * ((wider >= 0) & (wider < n))[..., None]
    return StagePlaces((nearest - radius - start).int(), rel, sample, resample, inside)


@dataclass(frozen=True)
class EnsemblePlaces:
    """The two latents next to each output pixel along each axis: (2 axes, 2 sides, B, L)."""

    nearest: Tensor  # int64
    rel: Tensor


def place_ensemble(pixels: Tensor, size: Tensor, lr: int) -> EnsemblePlaces:
    """Place output pixels (2, B, L) of crops of `size` (B,) among lr latents along each axis."""
    centres = _find_centres(pixels, size[:, None].double())
    nearest = []
    for side in (-1, 1):
        shifted = (centres + (side * (1 / lr) + 1e-6)).clamp(-1 + 1e-6, 1 - 1e-6)
        nearest.append(torch.round(_to_pixels(shifted, lr)).clamp(0, lr - 1))
    found = torch.stack(nearest, 1)
    return EnsemblePlaces(found.long(), (centres[:, None] - _find_centres(found, lr)) * lr)


def interpolate_image(pixels: Tensor, size: Tensor, lr: int) -> Tensor:
    """Return the matrices (2, B, L, p) that enlarge small crops by bilinear interpolation, the edge repeated."""
    positions = _to_pixels(_find_centres(pixels, size[:, None].double()), lr)
    return _interpolate(positions.clamp(0, lr - 1), torch.arange(lr, device=pixels.device).float())


def _find_centres(index: Tensor, n: Tensor | int) -> Tensor:
    """Return the centres of pixels of axes of n in the [-1, 1] frame, as `pixel_centres`. n: float64, or a number."""
    first, step = -1 + 1 / n, 2 / n
    if isinstance(n, Tensor):
        first, step = first.float(), step.float()
    return first + step * index.float()


def _to_pixels(centres: Tensor, n: Tensor | int) -> Tensor:
    return ((centres + 1) * (n.float() if isinstance(n, Tensor) else n) - 1) / 2


def _interpolate(positions: Tensor, points: Tensor) -> Tensor:
    """Return the weights (..., L, K) of linear interpolation at positions (..., L) between points (..., K) 1 apart."""
    return (1 - (positions[..., None] - points[..., None, :]).abs()).clamp(min=0)

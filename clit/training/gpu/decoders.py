"""The decoders' colours for the output pixels of a sample, each crop with a scale of its own.

They are what `Decoder.query` gives for one crop at a time, computed from the same modules by operations of fixed
shapes, so that a GPU can replay them. Of LIT and CLIT the values are weighed by `weigh`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from clit.networks.decoders.base import Decoder
from clit.networks.decoders.clit import CARRY, CLIT
from clit.networks.decoders.ensemble import EnsembleDecoder, compute_weights
from clit.networks.decoders.liif import LIIF
from clit.networks.decoders.lit import LocalAttention
from clit.networks.decoders.positional_bias import PositionalBias
from clit.training.gpu.places import StagePlaces, interpolate_image, place_ensemble, place_stage
from clit.training.gpu.weighing import weigh

# Legend for shapes: B crops, p pixels along an axis of a small crop, L output pixels, R latents of a stage's region, C
# channels, D width, M heads, S = 2r+1 and P = S^2 latents of a window, F frequencies, H1 first hidden width.


def predict(decoder: Decoder, map: Tensor, sample: dict[str, Tensor]) -> list[Tensor]:
    """Return the colours (B, L, L, 3), in [-1, 1], that a decoder gives for a sample's output pixels.

    A cascade gives them after every stage; the last ones count. map: (B, C, p, p) features. sample: `lr`, `pixels` and
    `sizes` of `Samples.draw`, on the map's device.
    """
    if isinstance(decoder, CLIT):
        enlarged = _enlarge(sample)
        return [residual + enlarged for residual in _predict_attention(decoder, map, sample)]
    colours = _predict_ensemble(decoder, map, sample)
    return [colours + _enlarge(sample) if decoder.adds_skip else colours]


def _enlarge(sample: dict[str, Tensor]) -> Tensor:
    """Return the small crops at the output pixels by bilinear interpolation: (B, L, L, 3)."""
    image = sample["lr"].float() / 255 * 2 - 1
    with _full_precision():
        down, across = interpolate_image(sample["pixels"], sample["sizes"][0], image.shape[1])
        return across[:, None] @ (down @ image.flatten(2)).unflatten(-1, (-1, 3))


@contextmanager
def _full_precision() -> Iterator[None]:
    """Make products of matrices in float32 even where others are made in TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def _predict_attention(decoder: CLIT, map: Tensor, sample: dict[str, Tensor]) -> list[Tensor]:
    z = decoder.embed(map).permute(0, 2, 3, 1)  # (B, p, p, D)
    size, *grids = sample["sizes"]
    residuals = []
    for stage, grid in zip(decoder.stages, grids, strict=False):
        places = place_stage(sample["pixels"], size, grid, map.shape[-1], decoder.radius, grid is grids[0])
        cell = 2 * grid.double() / size.double()  # (B,), the same along both axes
        colours = _predict_stage(stage, decoder.bias, z, places, cell.float())
        residuals.append(colours + CARRY * residuals[-1] if residuals else colours)
    return residuals


def _predict_stage(stage: LocalAttention, bias: PositionalBias, z: Tensor, places: StagePlaces, cell: Tensor) -> Tensor:
    """Return one stage's residual (B, L, L, 3). z: (B, p, p, D); cell: (B,)."""
    config, heads = stage.config, stage.config.heads
    q, k, v, *fourier = _make_maps(stage, z, places)
    queries = _interpolate(q, places.sample)  # (B, L, L, D)
    along_y, along_x = bias.along_y(places.rel[0]), bias.along_x(places.rel[1])  # (B, L, S, M)
    split = (t.unflatten(-1, (heads, -1)) for t in (queries, k, v))
    weighted = weigh(*split, places.first, along_y, along_x)  # (B L L, P D)
    first, n = stage.mlp[0], stage.value_inputs
    hidden = (weighted @ first.weight[:, :n].to(weighted.dtype).T).float()
    around = first.weight[:, n : n + 2].sum(1) * cell[:, None] + first.bias  # (B, H1)
    hidden = hidden.view(*queries.shape[:3], -1) + around[:, None, None]
    if fourier:
        features = _compute_fourier(fourier[0], places, config.radius)
        hidden = hidden + features @ first.weight[:, n + 2 :].T
    return stage.mlp.after_first(hidden)


def _make_maps(stage: LocalAttention, z: Tensor, places: StagePlaces) -> list[Tensor]:
    """Return the maps (B, R, R, channels) of a stage over its region, zero beyond its grid."""
    convs = stage.convs()
    wide = _interpolate(z, places.resample).permute(0, 3, 1, 2)
    maps = F.conv2d(wide, torch.cat([c.weight for c in convs]), torch.cat([c.bias for c in convs]))
    inside = places.inside[0][:, :, None] * places.inside[1][:, None]  # (B, R, R)
    maps = (maps.permute(0, 2, 3, 1) * inside[..., None]).contiguous()
    return list(maps.split([c.out_channels for c in convs], -1))


def _interpolate(map: Tensor, matrices: Tensor) -> Tensor:
    """Apply matrices (2, B, n, m) along both axes of maps (B, m, m, channels): (B, n, n, channels)."""
    down, across = matrices
    return across[:, None] @ (down @ map.flatten(2)).unflatten(-1, (map.shape[2], -1))


def _compute_fourier(map: Tensor, places: StagePlaces, radius: int) -> Tensor:
    """Return the local Fourier features (B, L, L, 2F) of the nearest latents. map: (B, R, R, 4F)."""
    y, x = places.first.long() + radius
    amplitude, frequency = _gather(map, y[:, :, None], x[:, None]).chunk(2, -1)
    along_y, along_x = frequency.chunk(2, -1)
    rel_y, rel_x = places.rel[0, :, :, None, radius, None], places.rel[1, :, None, :, radius, None]
    phase = math.pi * (along_y * rel_y + along_x * rel_x)
    return amplitude * torch.cat([phase.cos(), phase.sin()], -1)


def _gather(map: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return a map (B, R, R, channels) at latents y, x, both (B, ...): (B, ..., channels)."""
    shape = torch.broadcast_shapes(y.shape, x.shape)
    crop = torch.arange(len(map), device=map.device).view(-1, *[1] * (len(shape) - 1))
    index = ((crop * map.shape[1] + y) * map.shape[2] + x).expand(shape)
    return map.flatten(0, 2).index_select(0, index.flatten()).view(*shape, -1)


def _predict_ensemble(decoder: EnsembleDecoder, map: Tensor, sample: dict[str, Tensor]) -> Tensor:
    lr, size = map.shape[-1], sample["sizes"][0]
    places = place_ensemble(sample["pixels"], size, lr)
    (near_y, near_x), (rel_y, rel_x) = places.nearest, places.rel  # (2, B, L) each
    weights = compute_weights(rel_y[..., None], rel_x[:, :, None])  # (2, 2, B, L, L)
    cell = (2 * lr / size.double()).float()  # (B,)
    make_first = _start_liif if isinstance(decoder, LIIF) else _start_lte
    maps = _make_ensemble_maps(decoder, map)
    hidden = make_first(
        decoder,
        _gather_four(maps, near_y, near_x),
        rel_y[:, None, :, :, None, None],
        rel_x[None, :, :, None, :, None],
        cell[:, None, None, None],
    )  # (2, 2, B, L, L, width)
    blended = (decoder.mlp.to_last_hidden(hidden) * weights[..., None]).sum((0, 1))
    return decoder.mlp[-1](blended)


def _make_ensemble_maps(decoder: EnsembleDecoder, map: Tensor) -> Tensor:
    """Return the maps (B, p, p, channels) that LIIF or LTE reads: LTE's amplitudes, then frequencies along y and x."""
    if isinstance(decoder, LIIF):
        first = decoder.mlp[0]
        kernel = first.weight[:, : 9 * decoder.channels].unflatten(1, (decoder.channels, 3, 3))
        return F.conv2d(map, kernel, first.bias, padding=1).permute(0, 2, 3, 1).contiguous()
    amplitude, frequency = (c(map).permute(0, 2, 3, 1) for c in (decoder.amplitude, decoder.frequency))
    return torch.cat([amplitude, frequency[..., ::2], frequency[..., 1::2]], -1)


def _gather_four(maps: Tensor, near_y: Tensor, near_x: Tensor) -> Tensor:
    """Return a map at the four latents around each output pixel: (2, 2, B, L, L, channels). near_*: (2, B, L)."""
    four = [_gather(maps, y[:, :, None], x[:, None]) for y in near_y for x in near_x]
    return torch.stack(four).unflatten(0, (2, 2))


def _start_liif(decoder: LIIF, found: Tensor, rel_y: Tensor, rel_x: Tensor, cell: Tensor) -> Tensor:
    """Return what LIIF's first layer gives."""
    place = decoder.mlp[0].weight[:, 9 * decoder.channels :]
    return found + rel_y * place[:, 0] + rel_x * place[:, 1] + cell * place[:, 2:].sum(1)


def _start_lte(decoder: EnsembleDecoder, found: Tensor, rel_y: Tensor, rel_x: Tensor, cell: Tensor) -> Tensor:
    """Return what the first layer of LTE's MLP gives."""
    width = decoder.config.width
    amplitude, along_y, along_x = found.split([width, width // 2, width // 2], -1)
    phase = math.pi * (along_y * rel_y + along_x * rel_x + cell * decoder.phase.weight.sum(1))
    return decoder.mlp[0](amplitude * torch.cat([phase.cos(), phase.sin()], -1))

"""The public functions: upscale, save, estimate, attend, attribute, survey. They share a renderer and its features."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from clit.errors import UserError
from clit.networks.model import SRModel
from clit.pictures.files import as_array
from clit.rendering.attribution import Attribution, ModuleSource
from clit.rendering.attribution import attribute as find_attribution
from clit.rendering.looks import Attention
from clit.rendering.renderer import Estimate, Renderer


@cache
def _shared_renderer() -> Renderer:
    return Renderer()


def upscale(model: SRModel, image, scale: float | None = None, **options) -> np.ndarray:
    """Return the image at `scale` or `size`, or a window of it: (height, width, 3) float32. See `Renderer.render`."""
    return _shared_renderer().render(model, image, scale=scale, **options)


def save(model: SRModel, image, path: str | Path, scale: float | None = None, **options) -> tuple[int, int]:
    """Write the image at `scale` or `size` as a picture file of any size; return (H, W). See `Renderer.save`."""
    return _shared_renderer().save(model, image, path, scale=scale, **options)


def estimate(model: SRModel, image, scale: float | None = None, **options) -> Estimate:
    """Return the work, seconds and memory `upscale` needs for the same arguments. See `Renderer.estimate`."""
    return _shared_renderer().estimate(model, image, scale=scale, **options)


def attend(model: SRModel, image, pixel: tuple[int, int], scale: float | None = None, **options) -> Attention:
    """Return what output pixel (row, column) looked at. See `Renderer.attend` and `Attention`."""
    return _shared_renderer().attend(model, image, pixel=pixel, scale=scale, **options)


def attribute(
    model: SRModel | nn.Module,
    image,
    pixel: tuple[int, int],
    scale: float | None = None,
    *,
    reach: int | None = None,
    **options,
) -> Attribution:
    """Return which input pixels output pixel (row, column) comes from. See `attribution.attribute` and `Attribution`.

    model: of this package, asked at `scale` or at the option `size`; or any network that enlarges (1, 3, h, w) to
    (1, 3, s h, s w), RGB in [0, 1], asked as it is. reach: of such a network, the distance in input pixels up to which
    an output pixel depends on the input; None: all of the picture counts. UserError for wrong input.
    """
    if isinstance(model, SRModel) or not isinstance(model, nn.Module):
        if reach is not None:
            raise UserError("The reach of a model of this package is known: leave it out.")
        return _shared_renderer().attribute(model, image, pixel=pixel, scale=scale, **options)
    if scale is not None or not {"size", "chain"}.isdisjoint(options):
        raise UserError("A network from elsewhere has a scale of its own: leave out scale, size and chain.")
    pixels = as_array(image)
    source = ModuleSource(model, torch.tensor(pixels).permute(2, 0, 1)[None], reach)
    return find_attribution(source, pixels, pixel, **options)


def survey(model: SRModel, image, scale: float | None = None, **options) -> np.ndarray:
    """Return how widely and where each head looks, at every pixel: (height, width, M, 3). See `Renderer.survey`."""
    return _shared_renderer().survey(model, image, scale=scale, **options)

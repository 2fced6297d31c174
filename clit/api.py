"""The public functions: upscale, save, estimate, attend, survey. They share one renderer, and so its features."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from clit.networks.model import SRModel
from clit.rendering.attention import Attention
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


def survey(model: SRModel, image, scale: float | None = None, **options) -> np.ndarray:
    """Return how widely and where each head looks, at every pixel: (height, width, M, 3). See `Renderer.survey`."""
    return _shared_renderer().survey(model, image, scale=scale, **options)

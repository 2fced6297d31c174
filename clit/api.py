"""The public functions: upscale, save, estimate, attend, survey. Behind them one renderer: features once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from clit.networks.model import SRModel
from clit.rendering.attention import Attention
from clit.rendering.renderer import Estimate, Renderer


@cache
def _renderer() -> Renderer:
    return Renderer()


def upscale(model: SRModel, image, scale: float | None = None, **options) -> np.ndarray:
    """The image at `scale` or `size`, or a window of that: (height, width, 3) float32; see `Renderer.render`."""
    return _renderer().render(model, image, scale=scale, **options)


def save(model: SRModel, image, path: str | Path, scale: float | None = None, **options) -> tuple[int, int]:
    """Write the image at `scale` or `size` as a picture file, however large; returns (H, W); see `Renderer.save`."""
    return _renderer().save(model, image, path, scale=scale, **options)


def estimate(model: SRModel, image, scale: float | None = None, **options) -> Estimate:
    """What `upscale` with the same arguments will take: work, seconds, memory; see `Renderer.estimate`."""
    return _renderer().estimate(model, image, scale=scale, **options)


def attend(model: SRModel, image, pixel: tuple[int, int], scale: float | None = None, **options) -> Attention:
    """What output pixel (row, column) looked at; see `Renderer.attend` and `Attention`."""
    return _renderer().attend(model, image, pixel=pixel, scale=scale, **options)


def survey(model: SRModel, image, scale: float | None = None, **options) -> np.ndarray:
    """How wide and whereto each head looks, at every pixel: (height, width, M, 3); see `Renderer.survey`."""
    return _renderer().survey(model, image, scale=scale, **options)

"""Comparisons: the same crops by several methods, with scores if the ground truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from clit.errors import UserError
from clit.exports.figures import Comparison, Panel
from clit.geometry import Window, check_scale, output_size
from clit.pictures.files import as_array, to_bytes
from clit.pictures.metrics import psnr, ssim
from clit.pictures.resize import published_pair
from clit.rendering.renderer import Renderer

CROP = 128
"""Side of the default crop, in output pixels."""


def compare(
    models: Mapping[str, Any],
    image,
    scale: float,
    *,
    crops: Sequence[tuple[int, int, int, int]] = (),
    truth: bool = False,
    chain: str = "published",
    progress: Callable[[float], None] | None = None,
) -> Comparison:
    """Return crops of the enlarged image by every model.

    models: name -> what `clit.load` returned. image: as for `Renderer.render`. truth: the image is the full-resolution
    picture; the small one is made from it as in published evaluations (`resize.published_pair`), and luma PSNR and SSIM
    are computed. crops: (top, left, height, width) in output pixels; by default one in the middle. progress(done) is
    called with a share 0..1 after each model. UserError for wrong scales and crops.
    """
    scale, hr = check_scale(scale), None
    if truth:
        small, hr = published_pair(to_bytes(as_array(image)), scale)
        size = hr.shape[:2]
    else:
        small = as_array(image)
        size = output_size(*small.shape[:2], scale)
    return compare_pair(models, small, hr, scale, size, crops=crops, chain=chain, progress=progress)


def compare_pair(
    models: Mapping[str, Any],
    small,
    hr: np.ndarray | None,
    scale: float,
    size: tuple[int, int],
    *,
    crops: Sequence[tuple[int, int, int, int]] = (),
    chain: str = "published",
    renderer: Renderer | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Comparison:
    """Return the comparison for a small picture and its truth (H, W, 3) uint8, or None. See `compare`."""
    windows = _choose_windows(crops, size)
    renderer, panels = renderer or Renderer(), []
    if hr is not None:
        whole = hr.astype(np.float32) / 255
        panels.append(Panel("ground truth", [whole[window.slices()] for window in windows]))
    for done, (name, model) in enumerate(models.items()):
        options = {"size": size, "chain": chain, "cancel": cancel}
        if hr is None:
            panels.append(Panel(name, [renderer.render(model, small, window=w, **options) for w in windows]))
        else:
            rgb = renderer.render(model, small, **options)
            scores = psnr(rgb, hr, scale=scale), ssim(rgb, hr, scale=scale)
            panels.append(Panel(name, [rgb[window.slices()] for window in windows], *scores))
        if progress:
            progress((done + 1) / len(models))
    boxes = [(each.top, each.left, each.height, each.width) for each in windows]
    return Comparison(scale, size, boxes, panels, as_array(small) if hr is None else whole)


def predict_pair_seconds(
    models: Mapping[str, Any],
    small,
    scored: bool,
    size: tuple[int, int],
    *,
    crops: Sequence[tuple[int, int, int, int]] = (),
    chain: str = "published",
    renderer: Renderer | None = None,
) -> float:
    """Return the seconds that `compare_pair` will take on this machine as it is now. scored: there is a truth."""
    image, renderer = as_array(small), renderer or Renderer()
    windows = [None] if scored else _choose_windows(crops, size)
    views = [(model, [model.view(image.shape[:2], size, w, chain) for w in windows]) for model in models.values()]
    return renderer.predict_seconds(image, views)


def _choose_windows(crops: Sequence[tuple[int, int, int, int]], size: tuple[int, int]) -> list[Window]:
    """Return the windows of crops, or without any one in the middle."""
    if crops:
        return [Window(*crop).check(size) for crop in crops]
    height, width = (min(CROP, n) for n in size)
    return [Window((size[0] - height) // 2, (size[1] - width) // 2, height, width)]


def parse_crop(text: str) -> tuple[int, int, int, int]:
    """Parse "TOP,LEFT,HEIGHT,WIDTH" into four whole numbers. UserError for anything else."""
    try:
        top, left, height, width = (int(part) for part in text.split(","))
    except ValueError:
        raise UserError(f'The crop is "{text}", but must be four whole numbers, TOP,LEFT,HEIGHT,WIDTH.') from None
    return top, left, height, width

"""What the page must show: that which `clit.upscale` computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from viewer import Rendering, Viewer

import clit

MODELS = ("liif-light", "lit-light", "clit-light")  # of the panes beside the input
LEVEL = 1 / 255


def assert_equal_upscale(rendering: Rendering, model, photograph: Path, **options) -> None:
    """Compare a pane's pixels with `clit.upscale` of the same window, at its scale unless `options` say otherwise."""
    if "size" not in options:
        options = {"scale": rendering.scale, **options}
    expected = clit.upscale(model, photograph, window=rendering.window, **options)
    assert np.abs(rendering.pixels / 255 - expected).max() <= LEVEL, options


def assert_panes_equal_upscale(viewer: Viewer, photograph: Path, models: dict, scale: float) -> None:
    """Compare every pane's decoded pixels, and those on its canvas, with `clit.upscale` of the same window."""
    size = round(72 * scale), round(96 * scale)
    for name, model in models.items():
        rendering, canvas = viewer.rendering(name), viewer.canvas(name)
        assert rendering.scale == scale
        assert rendering.size == size
        assert_equal_upscale(rendering, model, photograph)
        (height, width), centre = canvas.rgba.shape[:2], viewer.centre()
        assert abs(canvas.corner[0] - (height / 2 - centre[0] * size[0] / 72)) <= 0.502
        assert abs(canvas.corner[1] - (width / 2 - centre[1] * size[1] / 96)) <= 0.502
        top, left, rows, columns = rendering.window
        top, left = top + canvas.corner[0], left + canvas.corner[1]
        visible = canvas.rgba[max(top, 0) : top + rows, max(left, 0) : left + columns, :3]
        part = rendering.pixels[max(-top, 0) :, max(-left, 0) :][: visible.shape[0], : visible.shape[1]]
        assert np.array_equal(visible, part), "at magnification 1 one output pixel is one CSS pixel"

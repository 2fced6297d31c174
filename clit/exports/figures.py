"""Files that show what a pixel looked at, as a figure or as numbers, and figures that compare methods."""

from __future__ import annotations

import io
import json

import numpy as np

from clit.errors import UserError
from clit.exports.compare import Comparison
from clit.rendering.attention import Attention, StageAttention

SHEETS = (".png", ".svg", ".pdf")
"""Endings of comparison sheets."""

FORMS = (*SHEETS, ".npz", ".json")
"""File endings that `encode_attention` supports."""

_CROP_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7")  # of Okabe and Ito: distinct for colour-blind readers too

_FIELDS = ("weights", "content", "position", "latents", "inside", "influence", "grid")


def encode_attention(found: Attention, image: np.ndarray, suffix: str, method: str = "") -> bytes:
    """Return a file of one of FORMS: a figure (see `draw_attention`), or the numbers."""
    if suffix == ".npz":
        return encode_npz(found)
    if suffix == ".json":
        return encode_json(found)
    return draw_attention(found, image, suffix.removeprefix("."), method)


def encode_npz(found: Attention) -> bytes:
    """Return an .npz: kind, pixel, size, rgb, and stage{j}_weights, ... (the fields of StageAttention) for j from 0."""
    arrays = {name: np.asarray(value) for name, value in _select_pixel_fields(found).items()}
    for j, stage in enumerate(found.stages):
        arrays |= {f"stage{j}_{name}": np.asarray(value) for name, value in _select_stage_fields(stage).items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def encode_json(found: Attention) -> bytes:
    """Return the same as JSON, with a list `stages`."""
    stages = [
        {name: np.asarray(value).tolist() for name, value in _select_stage_fields(s).items()} for s in found.stages
    ]
    summary = {name: np.asarray(value).tolist() for name, value in _select_pixel_fields(found).items()}
    return json.dumps(summary | {"stages": stages}).encode()


def draw_attention(found: Attention, image: np.ndarray, form: str = "png", method: str = "") -> bytes:
    """Draw, per stage, the window on the LR picture, each head's weights, their mean and the influence.

    image: the LR picture (h, w, 3); latents outside it are hatched. form: png, svg or pdf. method: its name, for the
    title. Returns the file's content. UserError if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # without pyplot: no window system, no global state
    except ImportError:
        raise UserError("Figures need matplotlib: install it, or write a .npz or .json file.") from None

    heads = len(found.stages[0].weights)
    names = [f"head {m + 1}" for m in range(heads)] if found.kind == "attention" else ["ensemble"]
    columns = 1 + heads + (2 if heads > 1 else 1)
    figure = Figure(figsize=(1.7 * columns, 2.1 * len(found.stages) + 0.5), layout="constrained")
    axes = figure.subplots(len(found.stages), columns, squeeze=False)
    for j, (row, stage) in enumerate(zip(axes, found.stages, strict=True)):
        _draw_window(row[0], stage, found, image)
        row[0].set_ylabel(f"stage {j + 1}\n{stage.grid[0]} x {stage.grid[1]} latents", fontsize=7)
        maps = list(zip(names, stage.weights, strict=True))
        if heads > 1:
            maps.append(("mean", stage.weights.mean(0)))
        maps.append(("influence", stage.influence))
        for axis, (name, values) in zip(row[1:], maps, strict=True):
            _draw_map(axis, values, stage.inside)
            axis.set_title(f"{name}\nup to {values.max():.3g}", fontsize=7)
    pixel, size = found.pixel, found.size
    of = f"{method}: " if method else ""
    figure.suptitle(f"{of}output pixel (row {pixel[0]}, column {pixel[1]}) of {size[0]} x {size[1]}", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=150)
    return buffer.getvalue()


def draw_comparison(found: Comparison, form: str = "png") -> bytes:
    """Draw the whole picture with the crops outlined, then each crop by every method, without smoothing.

    form: png, svg or pdf. Returns the file's content. UserError if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle
    except ImportError:
        raise UserError("Figures need matplotlib: install it.") from None

    columns = len(found.panels)
    height, width = found.whole.shape[:2]
    heights = [2.1 * window.height / window.width for window in found.crops]  # inches of crops 2.1 wide
    overview_width = min(sum(heights) * width / height, 6.3)
    figure = Figure(figsize=(overview_width + 2.2 * columns, sum(heights) + 0.6), layout="constrained")
    grid = figure.add_gridspec(
        len(heights), 1 + columns, width_ratios=[overview_width, *[2.1] * columns], height_ratios=heights
    )
    overview = figure.add_subplot(grid[:, 0])
    overview.imshow(found.whole, interpolation="nearest", extent=(0, found.size[1], found.size[0], 0))
    overview.set_title(f"x{found.scale:g}: {found.size[0]} x {found.size[1]} pixels (height x width)", fontsize=8)
    overview.axis("off")
    for row, window in enumerate(found.crops):
        colour = _CROP_COLOURS[row % len(_CROP_COLOURS)]
        corner = (window.left, window.top)
        overview.add_patch(Rectangle(corner, window.width, window.height, fill=False, edgecolor=colour, linewidth=1.5))
        for column, panel in enumerate(found.panels):
            axes = figure.add_subplot(grid[row, column + 1])
            axes.imshow(panel.crops[row], interpolation="nearest", vmin=0, vmax=1)
            axes.set_xticks([])
            axes.set_yticks([])
            for side in axes.spines.values():
                side.set(edgecolor=colour, linewidth=1.5)
            if row == 0:
                scores = "" if panel.psnr is None else f"\n{panel.psnr:.2f} dB / {panel.ssim:.4f}"
                axes.set_title(panel.name + scores, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=200, bbox_inches="tight", pad_inches=0.05)
    return buffer.getvalue()


def _select_pixel_fields(found: Attention) -> dict:
    """Return the fields that describe the pixel."""
    return {name: getattr(found, name) for name in ("kind", "pixel", "size", "rgb")}


def _select_stage_fields(stage: StageAttention) -> dict:
    """Return the fields of a stage that are not None."""
    return {name: value for name in _FIELDS if (value := getattr(stage, name)) is not None}


def _draw_window(axis, stage: StageAttention, found: Attention, image: np.ndarray) -> None:
    """Draw the LR picture around the window: an outline of the latents' footprints, and a cross at the query."""
    from matplotlib.patches import Rectangle

    h, w = image.shape[:2]
    step = np.array([h, w]) / stage.grid  # LR pixels from latent to latent
    low = stage.latents.reshape(-1, 2).min(0) - step / 2
    high = stage.latents.reshape(-1, 2).max(0) + step / 2
    query = (np.array(found.pixel) + 0.5) * (h, w) / found.size - 0.5
    reach = max((high - low).max(), 8.0)
    axis.imshow(image, interpolation="nearest")
    axis.add_patch(Rectangle(low[::-1], *(high - low)[::-1], fill=False, edgecolor="white", linewidth=2.5))
    axis.add_patch(Rectangle(low[::-1], *(high - low)[::-1], fill=False, edgecolor="black", linewidth=1))
    axis.plot(query[1], query[0], "+", color="red", markersize=6)
    axis.set_xlim(query[1] - reach, query[1] + reach)
    axis.set_ylim(query[0] + reach, query[0] - reach)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title("window on the input", fontsize=7)


def _draw_map(axis, values: np.ndarray, inside: np.ndarray) -> None:
    """Draw a map (P, P) of one stage. inside: (P, P) bool; the latents outside the image are hatched."""
    from matplotlib.patches import Rectangle

    axis.imshow(values, cmap="viridis", vmin=0, interpolation="nearest")
    for row, column in np.argwhere(~inside):
        corner = (column - 0.5, row - 0.5)
        axis.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="////", edgecolor="white", linewidth=0))
    axis.set_xticks([])
    axis.set_yticks([])

"""Files that show what a pixel looked at, as a figure or as numbers, and figures that compare methods.

Torch is not imported here, nor by what is: the server draws in a process of its own, which has no use for it.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clit.errors import UserError
from clit.rendering.looks import Attention, StageAttention

SHEETS = (".png", ".svg", ".pdf")
"""Endings of comparison sheets."""

FORMS = (*SHEETS, ".npz", ".json")
"""File endings that `encode_attention` supports."""

_CROP_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7")  # of Okabe and Ito: distinct for colour-blind readers too

_MAP, _STEP, _TITLE = 1.2, (1.35, 1.5), 0.3
"""Of figures of attention, in inches: side of a map, from map to map (across, down), height of a pixel's title."""

_FIELDS = ("weights", "content", "position", "latents", "inside", "influence", "grid")


@dataclass(frozen=True)
class Look:
    """What one output pixel looked at by a method of that name."""

    method: str
    found: Attention


@dataclass(frozen=True)
class Panel:
    """One method: its crops, each (h, w, 3) in [0, 1], and its scores on the whole picture if there is a truth."""

    name: str
    crops: list[np.ndarray]
    psnr: float | None = None
    ssim: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Crops by several methods.

    crops: (top, left, height, width) in output pixels. panels: one per method. whole: the ground truth if there is one,
    else the input.
    """

    scale: float
    size: tuple[int, int]
    crops: list[tuple[int, int, int, int]]
    panels: list[Panel]
    whole: np.ndarray


def encode_attention(looks: Sequence[Look], image: np.ndarray, suffix: str) -> bytes:
    """Return a file of one of FORMS: a figure of all looks (see `draw_attention`), or the numbers of a single one."""
    if suffix in SHEETS:
        return draw_attention(looks, image, suffix.removeprefix("."))
    if len(looks) != 1:
        raise UserError("A file of numbers holds what one pixel looked at by one method: choose one of each.")
    return {".npz": encode_npz, ".json": encode_json}[suffix](looks[0].found)


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


def draw_attention(looks: Sequence[Look], image: np.ndarray, form: str = "png") -> bytes:
    """Draw what pixels looked at: a block for each pixel, in it a row for each method and stage.

    A row shows the window on the small picture, the mean of the heads, each head, and the influence; the pixel is
    marked everywhere. One colour bar serves all maps. image: the small picture (h, w, 3); latents outside it are
    hatched. form: png, svg or pdf. Returns the file's content. UserError if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # without pyplot: no window system, no global state
    except ImportError:
        raise UserError("Figures need matplotlib: install it, or write a .npz or .json file.") from None

    blocks: dict[tuple[int, int], list[Look]] = {}
    for look in looks:
        blocks.setdefault(look.found.pixel, []).append(look)
    columns = 3 + max(_count_heads(look) for look in looks)
    rows = sum(len(look.found.stages) for look in looks)
    width, height = columns * _STEP[0] + 1.4, rows * _STEP[1] + len(blocks) * _TITLE + 0.1  # inches
    figure = Figure(figsize=(width, height))
    top = height
    for (row, column), block in blocks.items():
        size = block[0].found.size
        title = f"Output pixel: row {row} of {size[0]}, column {column} of {size[1]}"
        figure.text(0.5 / width, 1 - (height - top + 0.1) / height, title, fontsize=9, verticalalignment="top")
        top -= _TITLE
        for look in block:
            for j in range(len(look.found.stages)):
                top -= _STEP[1]
                places = ((0.5 + i * _STEP[0], top + 0.1, _MAP, _MAP) for i in range(columns))
                _draw_row([figure.add_axes(_in_shares(each, width, height)) for each in places], look, j, image)
    tall = min(2.0, height - _TITLE - 0.5)
    _draw_bar(figure.add_axes(_in_shares((width - 0.8, height - _TITLE - 0.3 - tall, 0.12, tall), width, height)))
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=200)
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
    heights = [2.1 * tall / wide for _, _, tall, wide in found.crops]  # inches of crops 2.1 wide
    overview_width = min(sum(heights) * width / height, 6.3)
    figure = Figure(figsize=(overview_width + 2.2 * columns, sum(heights) + 0.6), layout="constrained")
    grid = figure.add_gridspec(
        len(heights), 1 + columns, width_ratios=[overview_width, *[2.1] * columns], height_ratios=heights
    )
    overview = figure.add_subplot(grid[:, 0])
    overview.imshow(found.whole, interpolation="nearest", extent=(0, found.size[1], found.size[0], 0))
    overview.set_title(f"x{found.scale:g}: {found.size[1]} × {found.size[0]} pixels", fontsize=8)
    overview.axis("off")
    for row, (top, left, tall, wide) in enumerate(found.crops):
        colour = _CROP_COLOURS[row % len(_CROP_COLOURS)]
        overview.add_patch(Rectangle((left, top), wide, tall, fill=False, edgecolor=colour, linewidth=1.5))
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


def predict_comparison_seconds(crops: int, form: str = "png") -> float:
    """Return the seconds that `draw_comparison` will take for so many crops of all methods together.

    A sheet of one crop is drawn, which takes about as long as seven crops more on a larger one.
    """
    grey = np.full((16, 16, 3), 0.5, np.float32)
    sheet = Comparison(1, (16, 16), [(0, 0, 16, 16)], [Panel("", [grey])], grey)
    draw_comparison(sheet, form)  # libraries and fonts are loaded
    began = time.perf_counter()
    draw_comparison(sheet, form)
    return (time.perf_counter() - began) * (1 + (crops - 1) / 7)


def _select_pixel_fields(found: Attention) -> dict:
    """Return the fields that describe the pixel."""
    return {name: getattr(found, name) for name in ("kind", "pixel", "size", "rgb")}


def _select_stage_fields(stage: StageAttention) -> dict:
    """Return the fields of a stage that are not None."""
    return {name: value for name in _FIELDS if (value := getattr(stage, name)) is not None}


def _in_shares(box: tuple[float, float, float, float], width: float, height: float) -> tuple[float, ...]:
    """Convert a box (left, bottom, width, height) from inches to shares of a figure."""
    return box[0] / width, box[1] / height, box[2] / width, box[3] / height


def _count_heads(look: Look) -> int:
    """Return the number of heads; 0 where the weights come from distance alone."""
    return len(look.found.stages[0].weights) if look.found.kind == "attention" else 0


def _draw_row(axes: list, look: Look, j: int, image: np.ndarray) -> None:
    """Draw one stage of a look: window, mean, heads, influence."""
    found, stage = look.found, look.found.stages[j]
    heads = stage.weights if _count_heads(look) else []
    lr = np.array(image.shape[:2])
    query = (np.array(found.pixel) + 0.5) * lr / found.size - 0.5
    place = (query - stage.latents[0, 0]) / (lr / stage.grid)
    _draw_window(axes[0], stage, query, image)
    name = look.method if len(found.stages) == 1 else f"{look.method}, stage {j + 1}"
    axes[0].set_ylabel(f"{name}\n{stage.grid[1]} × {stage.grid[0]} latents", fontsize=7)
    maps = {"mean" if len(heads) else "by distance": stage.weights.mean(0)}
    maps |= {f"head {m + 1}": weights for m, weights in enumerate(heads)}
    for axis in axes[1 + len(maps) : -1]:  # of methods with fewer heads
        axis.axis("off")
    for axis, (name, values) in zip(axes[1:], maps.items(), strict=False):
        _draw_map(axis, values, stage.inside, place)
        axis.set_title(f"{name}, up to {values.max():.2f}", fontsize=6.5)
    _draw_map(axes[-1], stage.influence, stage.inside, place)
    axes[-1].set_title(f"influence, up to {255 * stage.influence.max():.1f}/255", fontsize=6.5)


def _draw_bar(axis) -> None:
    """Draw the colours of all maps."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm

    bar = axis.figure.colorbar(ScalarMappable(PowerNorm(0.5, 0, 1), "viridis"), cax=axis)
    bar.set_ticks([0, 1 / 49, 1 / 4, 1], labels=["0", "1/49", "1/4", "1"], fontsize=7)
    bar.set_label("weight, or influence\nas a share of full range", fontsize=6.5)


def _draw_window(axis, stage: StageAttention, query: np.ndarray, image: np.ndarray) -> None:
    """Draw the LR picture around the window: an outline of the latents' footprints, and a cross at `query`."""
    from matplotlib.patches import Rectangle

    h, w = image.shape[:2]
    step = np.array([h, w]) / stage.grid  # LR pixels from latent to latent
    low = stage.latents.reshape(-1, 2).min(0) - step / 2
    high = stage.latents.reshape(-1, 2).max(0) + step / 2
    reach = max((high - low).max(), 8.0)
    axis.imshow(image, interpolation="nearest")
    axis.add_patch(Rectangle(low[::-1], *(high - low)[::-1], fill=False, edgecolor="white", linewidth=2.5))
    axis.add_patch(Rectangle(low[::-1], *(high - low)[::-1], fill=False, edgecolor="black", linewidth=1))
    for colour, width in (("black", 2.2), ("white", 0.9)):
        axis.plot(query[1], query[0], "+", color=colour, markersize=6, markeredgewidth=width)
    axis.set_xlim(query[1] - reach, query[1] + reach)
    axis.set_ylim(query[0] + reach, query[0] - reach)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_title("input", fontsize=6.5)


def _draw_map(axis, values: np.ndarray, inside: np.ndarray, place: np.ndarray) -> None:
    """Draw a map (P, P) of one stage, from 0 to 1, with a ring at `place` (y, x) in latents.

    inside: (P, P) bool; latents outside the image are hatched.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    axis.imshow(values, cmap="viridis", norm=PowerNorm(0.5, 0, 1, clip=True), interpolation="nearest")
    if not inside.all():  # one outline of all their squares: a patch for each takes most of a figure's time
        corners = np.argwhere(~inside)[:, None, ::-1] + np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) - 0.5
        codes = [Outline.MOVETO, *3 * [Outline.LINETO], Outline.CLOSEPOLY] * len(corners)
        outline = Outline(corners.reshape(-1, 2), codes)
        axis.add_patch(PathPatch(outline, fill=False, hatch="////", edgecolor="white", linewidth=0))
    y, x = place
    axis.plot(x, y, "o", markersize=3.2, markerfacecolor="none", markeredgecolor="black", markeredgewidth=1.8)
    axis.plot(x, y, "o", markersize=3.2, markerfacecolor="none", markeredgecolor="white", markeredgewidth=0.8)
    axis.set_xticks([])
    axis.set_yticks([])

"""Files that show which input pixels an output pixel comes from, as a figure or as numbers."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import numpy as np

from clit.errors import UserError
from clit.exports.figures import SHEETS
from clit.rendering.attribution import SQUARE, Attribution

_SIDE, _TITLE = 1.9, 0.45  # inches: of a map, and of the line above it


def encode_attribution(found: Mapping[str, Attribution], image: np.ndarray, suffix: str) -> bytes:
    """Return a file of one of `figures.FORMS`: a figure of all methods, by name, or the numbers of a single one."""
    if suffix in SHEETS:
        return draw_attribution(found, image, suffix.removeprefix("."))
    if len(found) != 1:
        raise UserError("Numbers hold what one method was asked: choose one.")
    (only,) = found.values()
    return {".npz": encode_npz, ".json": encode_json}[suffix](only)


def encode_npz(found: Attribution) -> bytes:
    """Return an .npz with the fields of an Attribution; `region` is top, left, bottom, right."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: np.asarray(value) for name, value in _select_fields(found).items()})
    return buffer.getvalue()


def encode_json(found: Attribution) -> bytes:
    """Return the same as JSON; of the map the part over the region alone."""
    fields = _select_fields(found) | {"map": found.map[found.region.slices()]}
    return json.dumps({name: np.asarray(value).tolist() for name, value in fields.items()}).encode()


def draw_attribution(found: Mapping[str, Attribution], image: np.ndarray, form: str = "png") -> bytes:
    """Draw the square of the input that the diffusion index looks at, and over it every method's map beside it.

    image: the small picture (h, w, 3). form: png, svg or pdf. Returns the file's content. UserError if matplotlib is
    not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("Figures need matplotlib: install it, or write a .npz or .json file.") from None

    columns = 1 + len(found)
    figure = Figure(figsize=(columns * (_SIDE + 0.1) + 0.1, _SIDE + _TITLE + 0.1))
    width, height = figure.get_size_inches()
    axes = [
        figure.add_axes(((0.1 + i * (_SIDE + 0.1)) / width, 0.1 / height, _SIDE / width, _SIDE / height))
        for i in range(columns)
    ]
    first = next(iter(found.values()))
    axes[0].imshow(image, interpolation="nearest")
    axes[0].set_title(f"input\n{first.objective}, {first.size[1]} × {first.size[0]} output", fontsize=7)
    grey = np.repeat(image.mean(-1, keepdims=True) * 0.35, 3, -1)
    for axis, (name, each) in zip(axes[1:], found.items(), strict=True):
        axis.imshow(grey, interpolation="nearest", vmin=0, vmax=1)
        shown = dict(cmap="inferno", vmin=0, vmax=1, interpolation="nearest")
        axis.imshow(each.shown, alpha=np.minimum(1, 3 * each.shown), **shown)
        axis.set_title(f"{name}\ndiffusion {each.diffusion:.1f}, gap {each.gap:.1%}", fontsize=7)
    query = (np.array(first.pixel) + 0.5) * image.shape[:2] / first.size - 0.5
    for axis in axes:
        axis.plot(query[1], query[0], "+", color="black", markersize=7, markeredgewidth=2.2)
        axis.plot(query[1], query[0], "+", color="white", markersize=7, markeredgewidth=0.9)
        axis.set_xlim(query[1] - SQUARE / 2, query[1] + SQUARE / 2)
        axis.set_ylim(query[0] + SQUARE / 2, query[0] - SQUARE / 2)
        axis.set_xticks([])
        axis.set_yticks([])
    buffer = io.BytesIO()
    figure.savefig(buffer, format=form, dpi=200)
    return buffer.getvalue()


def _select_fields(found: Attribution) -> dict:
    region = found.region
    names = ("map", "diffusion", "gap", "change", "steps", "objective", "pixel", "size")
    corners = [region.top, region.left, region.bottom, region.right]
    return {name: getattr(found, name) for name in names} | {"region": corners}

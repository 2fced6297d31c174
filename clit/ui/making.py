"""What the page makes on request, as files: the whole picture, a zoom film, a comparison sheet.

Each function writes `path`, hears `cancel` between two renderings, and tells `progress` a share 0..1. They render
through what they are given as `renderer`, which may let other visitors in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clit.errors import Cancelled
from clit.exports.compare import compare_pair
from clit.exports.figures import comparison_figure
from clit.exports.film import Film, save_film
from clit.geometry import Window

TILE = 512
"""Side of the tiles a whole picture is made of, in output pixels; a stop is noticed between two of them."""

KINDS = {
    "picture": (".png",),
    "film": (".mp4", ".webp", ".gif"),
    "sheet": (".png", ".pdf", ".svg"),
}
"""What can be made, and as which files."""

FILM_SECONDS, FILM_FPS = 6.0, 16
"""Length of the page's films, and frames a second."""

Progress, Cancel = Callable[[float], None], Callable[[], bool]


def make_picture(
    path: Path, renderer, model, rgb: np.ndarray, size: tuple[int, int], chain: str, progress: Progress, cancel: Cancel
) -> tuple[int, int]:
    """The whole output as a PNG; returns its size."""
    canvas = Image.new("RGB", size[::-1])
    for done, tile in tiles(size):
        if cancel():
            raise Cancelled
        rgb_tile = renderer.render(model, rgb, size=size, window=tile, chain=chain, cancel=cancel)
        canvas.paste(Image.fromarray(np.rint(rgb_tile * 255).astype(np.uint8)), (tile.left, tile.top))
        progress(done)
    canvas.save(path, compress_level=1)
    return size


def make_film(
    path: Path, renderer, models: Mapping[str, Any], rgb: np.ndarray, about: tuple[float, float], end: float,
    side: tuple[int, int], chain: str, progress: Progress, cancel: Cancel,
) -> tuple[int, int]:  # fmt: skip
    """A film from x1 to `end` about a point in LR pixels, all methods side by side; returns its frames' size."""
    film = Film(1.0, end, about, side, FILM_SECONDS, FILM_FPS)
    return save_film(models, rgb, path, film, chain=chain, renderer=renderer, progress=progress, cancel=cancel)


def make_sheet(
    path: Path, renderer, models: Mapping[str, Any], rgb: np.ndarray, truth: np.ndarray | None, scale: float,
    size: tuple[int, int], crops: Sequence[tuple[int, int, int, int]], chain: str, progress: Progress, cancel: Cancel,
) -> tuple[int, int]:  # fmt: skip
    """Crops by every method as a figure, with scores where there is a truth (uint8); returns the output's size."""
    found = compare_pair(
        models, rgb, truth, scale, size, crops=crops, chain=chain, renderer=renderer, progress=progress, cancel=cancel
    )
    path.write_bytes(comparison_figure(found, path.suffix.removeprefix(".")))
    return size


def tiles(size: tuple[int, int]) -> Iterator[tuple[float, Window]]:
    """The tiles of an output of `size`, each with the part of the output done after it."""
    height, width = size
    done = 0
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            tile = Window(top, left, min(TILE, height - top), min(TILE, width - left))
            done += tile.height * tile.width
            yield done / (height * width), tile

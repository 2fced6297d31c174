"""Zoom films: a picture enlarged more and more about a point.

`Renderer.render` draws every frame at its own scale; frames are never blended. Where the enlarged picture is smaller
than the frame, the ground shows.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from clit.errors import UserError
from clit.geometry import Window, check_scale, output_size
from clit.pictures.files import as_array, check_writable, to_bytes
from clit.rendering.renderer import Renderer
from clit.system.atomic import write_bytes

SUFFIXES = (".mp4", ".webp", ".gif")
"""File endings of films. MP4 holds VP9, which browsers and most players know; WebP and GIF work in any page."""

LARGEST = 4096
"""Longest side of a frame, in pixels."""

MOST_FRAMES = 3000
"""Largest number of frames."""

GROUND = 17
"""Grey level around a picture smaller than its frame."""

_LABEL = 22  # pixels: height of the strip above a panel that names method and scale
_WEBP_QUALITY = 90


@dataclass(frozen=True)
class Film:
    """The settings of a film.

    start, end: scales. about: the point (y, x) in LR pixels to enlarge about; None is the middle. side: (height, width)
    of each method's panel in pixels, without the strip that names it.
    """

    start: float = 1.0
    end: float = 30.0
    about: tuple[float, float] | None = None
    side: tuple[int, int] = (400, 400)
    seconds: float = 6.0
    fps: int = 20

    def check(self, lr: tuple[int, int], methods: int) -> Film:
        """Return the film itself if it can be made for a picture of `lr` (h, w). UserError otherwise."""
        check_scale(self.start)
        check_scale(self.end)
        if not (isinstance(self.fps, int) and 1 <= self.fps <= 60):
            raise UserError(f"There are {self.fps} frames a second, but it must be a whole number from 1 to 60.")
        if not self.seconds > 0:
            raise UserError(f"The film lasts {self.seconds:g} seconds, but must last more than 0.")
        if self.seconds * self.fps > MOST_FRAMES:
            raise UserError(f"A film may have up to {MOST_FRAMES} frames: choose fewer seconds or frames a second.")
        height, width = self.side
        if min(height, width) < 32 or max(height + _LABEL, methods * width) > LARGEST:
            raise UserError(
                f"Frames of {width} x {height} pixels for each method are not possible: "
                f"32 a side are the least, {LARGEST} the most for all methods side by side, under their names."
            )
        if self.about is not None and not all(0 <= at <= n for at, n in zip(self.about, lr, strict=True)):
            raise UserError(
                f"The point is {self.about}, but must be (y, x) inside the picture of {lr[1]} x {lr[0]} pixels "
                "(width x height)."
            )
        return self

    @property
    def scales(self) -> list[float]:
        """The scale of each frame. It grows by a constant factor, and rests a moment at both ends."""
        count = max(2, round(self.seconds * self.fps))
        rest = min(self.fps // 2, count // 4)
        steps = [min(max(i - rest, 0) / max(1, count - 1 - 2 * rest), 1.0) for i in range(count)]
        return [self.start * (self.end / self.start) ** step for step in steps]


def draw_frames(
    models: Mapping[str, Any],
    image,
    film: Film,
    *,
    chain: str = "published",
    renderer: Renderer | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Iterator[np.ndarray]:
    """Yield each frame (height, width, 3) uint8: the methods side by side, each under its name and the scale.

    models: name -> what `clit.load` returned. image: as for `Renderer.render`. UserError if the film cannot be made.
    """
    rgb, renderer = as_array(image), renderer or Renderer()
    lr = rgb.shape[:2]
    film.check(lr, len(models))
    about = film.about or (lr[0] / 2, lr[1] / 2)
    drawn: tuple[float, np.ndarray] | None = None
    for scale in film.scales:
        if drawn is None or drawn[0] != scale:
            panels = []
            for name, model in models.items():
                panel = _render_panel(renderer, model, rgb, scale, about, film.side, chain, cancel)
                panels.append(np.concatenate([_draw_label(f"{name}  x{scale:.1f}", film.side[1]), panel]))
            drawn = scale, np.concatenate(panels, 1)
        yield drawn[1]


def save_film(
    models: Mapping[str, Any],
    image,
    path: str | Path,
    film: Film,
    *,
    chain: str = "published",
    renderer: Renderer | None = None,
    progress: Callable[[float], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> tuple[int, int]:
    """Write a film and return its size (height, width). The file appears complete or not at all.

    models, image: as for `draw_frames`. progress(done) is called with a share 0..1 after each frame. UserError if the
    film cannot be made or written.
    """
    suffix = check_writable(path, SUFFIXES).suffix.lower()
    count = len(film.check(as_array(image).shape[:2], len(models)).scales)

    def report_frames() -> Iterator[np.ndarray]:
        shown = draw_frames(models, image, film, chain=chain, renderer=renderer, cancel=cancel)
        for done, frame in enumerate(shown):
            yield frame
            if progress:
                progress((done + 1) / count)

    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / f"film{suffix}"
        size = (_write_mp4 if suffix == ".mp4" else _write_pillow)(part, report_frames(), film.fps)
        write_bytes(path, part.read_bytes())
    return size


def _render_panel(
    renderer: Renderer, model: Any, rgb: np.ndarray, scale: float, about: Sequence[float], side: tuple[int, int],
    chain: str, cancel: Callable[[], bool] | None,
) -> np.ndarray:  # fmt: skip
    """Render one method at one scale: (height, width, 3) uint8, with `about` as central as the picture allows."""
    lr = rgb.shape[:2]
    size = output_size(*lr, scale)
    cuts, places = [], []
    for at, n, n_out, length in zip(about, lr, size, side, strict=True):
        middle = at / n * n_out
        first = min(max(math.floor(middle - length / 2), 0), n_out - length) if n_out > length else 0
        cuts.append((first, min(length, n_out)))
        places.append(max(0, (length - n_out) // 2))
    (top, height), (left, width) = cuts
    window = Window(top, left, height, width)
    drawn = renderer.render(model, rgb, size=size, window=window, chain=chain, cancel=cancel)
    panel = np.full((*side, 3), GROUND, np.uint8)
    panel[places[0] : places[0] + height, places[1] : places[1] + width] = to_bytes(drawn)
    return panel


def _draw_label(text: str, width: int) -> np.ndarray:
    strip = np.full((_LABEL, width, 3), GROUND, np.uint8)
    return cv2.putText(strip, text, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (225, 225, 225), 1, cv2.LINE_AA)


def _write_mp4(path: Path, shown: Iterator[np.ndarray], fps: int) -> tuple[int, int]:
    first = _pad_to_even(next(shown))
    size = first.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"vp09"), fps, size[::-1])
    if not writer.isOpened():
        raise UserError("This build of OpenCV cannot write MP4: choose .webp or .gif.")
    try:
        writer.write(first[..., ::-1])
        for frame in shown:
            writer.write(_pad_to_even(frame)[..., ::-1])
    finally:
        writer.release()
    return size


def _pad_to_even(frame: np.ndarray) -> np.ndarray:
    """Repeat the last row and column of a frame with odd sides: video needs even ones."""
    return np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def _write_pillow(path: Path, shown: Iterator[np.ndarray], fps: int) -> tuple[int, int]:
    first = next(shown)
    form = {".webp": "WEBP", ".gif": "GIF"}[path.suffix]
    options = {"quality": _WEBP_QUALITY, "method": 2} if form == "WEBP" else {}
    rest = (Image.fromarray(frame) for frame in shown)
    Image.fromarray(first).save(
        path, form, save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, **options
    )
    return first.shape[:2]

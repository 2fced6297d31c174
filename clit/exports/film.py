"""Zoom films: a picture enlarged more and more about a point.

`Renderer.render` draws every frame at its own scale; frames are never blended. Where the enlarged picture is smaller
than the frame, its pixels are drawn larger, so that it fills the frame from the first one on: the picture first gets
sharper, then nearer. A file is written while the next frames are drawn.
"""

from __future__ import annotations

import math
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from clit.errors import UserError
from clit.exports.animated_webp import write_webp
from clit.geometry import View, Window, check_scale, output_size
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
"""Grey level of the strips that name methods and scale."""

_LABEL = 22  # pixels: height of the strip above a panel that names method and scale
_AHEAD = 4  # frames drawn before they are written
# Multiply-adds that drawing could do while a pixel of each frame is written, and of the end: VP9 keeps 25 frames back.
_WRITING = {".mp4": (8e3, 4e5), ".webp": (1e3, 0.0), ".gif": (1e4, 1e5)}
_TRIAL_FRAMES, _TRIAL_SIDE = 4, 240  # of what is written to see how long that takes


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
        """The scale of each frame. It grows by a constant factor, and rests at both ends, a second at most."""
        count = max(2, round(self.seconds * self.fps))
        rest = min(self.fps, count // 4)
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
    drawn: tuple[float, np.ndarray] | None = None
    for scale in film.scales:
        if drawn is None or drawn[0] != scale:
            panels = []
            for name, model in models.items():
                framing = _frame_output(lr, scale, film)
                options = {"size": framing.size, "window": framing.window, "chain": chain, "cancel": cancel}
                panel = _fill_side(to_bytes(renderer.render(model, rgb, **options)), film.side)
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

    models, image: as for `draw_frames`. progress(done) is called with the share 0..1 of the work that is done, after
    each frame and at the end. UserError if the film cannot be made or written.
    """
    suffix = check_writable(path, SUFFIXES).suffix.lower()
    lr = as_array(image).shape[:2]
    film.check(lr, len(models))

    def report_frames() -> Iterator[np.ndarray]:
        each, end = (part * math.prod(film.side) * len(models) for part in _WRITING[suffix])
        work = [drawing + each for drawing in _drawing_work(models, lr, film, chain)]
        done, whole = 0.0, sum(work) + end
        shown = draw_frames(models, image, film, chain=chain, renderer=renderer, cancel=cancel)
        for frame, share in zip(_draw_ahead(shown), work, strict=True):
            yield frame
            done += share
            if progress:
                progress(done / whole)

    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / f"film{suffix}"
        size = _WRITERS[suffix](part, report_frames(), film.fps)
        write_bytes(path, part.read_bytes())
    if progress:
        progress(1.0)
    return size


def predict_film_seconds(
    models: Mapping[str, Any],
    image,
    suffix: str,
    film: Film,
    *,
    chain: str = "published",
    renderer: Renderer | None = None,
) -> float:
    """Return the seconds that `save_film` will take on this machine as it is now: a small part is drawn and written."""
    rgb, renderer = as_array(image), renderer or Renderer()
    lr = rgb.shape[:2]
    film.check(lr, len(models))
    scales = dict.fromkeys(film.scales)  # each once
    views = [(model, [_view_frame(model, lr, scale, film, chain) for scale in scales]) for model in models.values()]
    drawing = renderer.predict_seconds(rgb, views)
    writing = len(film.scales) * math.prod(film.side) * len(models) * _writing_pace(rgb, suffix)
    return max(writing, drawing + writing / torch.get_num_threads())  # frames are drawn on all cores


def _writing_pace(rgb: np.ndarray, suffix: str) -> float:
    """Return the seconds that a pixel of a frame takes to be written."""
    frame = cv2.resize(to_bytes(rgb), (_TRIAL_SIDE, _TRIAL_SIDE))
    frames = [np.roll(frame, i, 1) for i in range(_TRIAL_FRAMES)]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        _WRITERS[suffix](Path(folder) / f"trial{suffix}", iter(frames), _TRIAL_FRAMES)
        return (time.perf_counter() - began) / (_TRIAL_FRAMES * _TRIAL_SIDE**2)


def _drawing_work(models: Mapping[str, Any], lr: tuple[int, int], film: Film, chain: str) -> list[float]:
    """Return the multiply-adds of each frame. A frame like the one before is not drawn again."""
    work, before = [], None
    for scale in film.scales:
        views = [] if scale == before else [(m, _view_frame(m, lr, scale, film, chain)) for m in models.values()]
        work.append(sum(model.decoder.multiply_adds(view) for model, view in views))
        before = scale
    return work


def _draw_ahead(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield frames while the next ones are drawn on another thread."""
    ready: queue.Queue = queue.Queue(_AHEAD)
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def draw() -> None:
        try:
            for frame in frames:
                put(frame)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=draw, name="clit-film", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


@dataclass(frozen=True)
class _Framing:
    """What a frame shows of an output: its window, and the size (height, width) that this is drawn at."""

    size: tuple[int, int]
    window: Window


def _frame_output(lr: tuple[int, int], scale: float, film: Film) -> _Framing:
    """Place a frame: `about` as central as the picture allows, and never more than the picture."""
    size = output_size(*lr, scale)
    about = film.about or (lr[0] / 2, lr[1] / 2)
    filling = max(scale, *(length / n for length, n in zip(film.side, lr, strict=True)))
    cuts = []
    for at, n, n_out, length in zip(about, lr, size, film.side, strict=True):
        seen = min(n_out, max(1, round(length * scale / filling)))
        cuts.append((min(max(math.floor(at / n * n_out - seen / 2), 0), n_out - seen), seen))
    (top, height), (left, width) = cuts
    return _Framing(size, Window(top, left, height, width))


def _view_frame(model: Any, lr: tuple[int, int], scale: float, film: Film, chain: str) -> View:
    framing = _frame_output(lr, scale, film)
    return model.view(lr, framing.size, framing.window, chain)


def _fill_side(drawn: np.ndarray, side: tuple[int, int]) -> np.ndarray:
    """Draw the pixels of (h, w, 3) uint8 larger, as squares, so that they fill `side`."""
    h, w = drawn.shape[:2]
    if (h, w) == side:
        return drawn
    times = max(math.ceil(length / n) for length, n in zip(side, (h, w), strict=True))
    squares = drawn.repeat(times, 0).repeat(times, 1)
    return cv2.resize(squares, side[::-1], interpolation=cv2.INTER_AREA)


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


def _write_gif(path: Path, shown: Iterator[np.ndarray], fps: int) -> tuple[int, int]:
    first = next(shown)
    rest = (Image.fromarray(frame) for frame in shown)
    Image.fromarray(first).save(path, "GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)
    return first.shape[:2]


_WRITERS: dict[str, Callable[[Path, Iterator[np.ndarray], int], tuple[int, int]]] = {
    ".mp4": _write_mp4,
    ".webp": write_webp,
    ".gif": _write_gif,
}

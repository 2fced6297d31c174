"""What the page's server remembers of its visitors, and every question the viewer may ask it.

No gradio here. A question is a dict that came from a browser and is not trusted: every entry has a hard bound.
An answer is a dict fit for JSON. What goes wrong is an answer too: {"error": one sentence for a person}, with
"expired": True where the visit is over; {"stale": True} where the visitor has moved on and nobody waits any more.
"""

from __future__ import annotations

import base64
import functools
import json
import logging
import math
import os
import re
import secrets
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as await_future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

import clit
from clit.errors import Cancelled, UserError
from clit.exports.figures import FORMS, attention_file, attention_json
from clit.geometry import Window, output_size, scale_chain
from clit.pictures import files as images
from clit.pictures import metrics
from clit.pictures import resize as degrade
from clit.rendering.attention import Attention
from clit.ui import making
from clit.ui.models import Models
from clit.ui.pictures import (
    PAINTS,
    Picture,
    attention_colours,
    credits,
    encode,
    entropy_span,
    error_colours,
    load_example,
    to_bytes,
    with_truth,
)
from clit.ui.slots import PATIENCE, Slots, Stale

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """Bounds of one server. Sides and areas in pixels, times in seconds."""

    scale: float = 30.0
    upload_bytes: int = 40_000_000
    upload_pixels: int = 50_000_000
    input_pixels: int = 2_000_000  # larger uploads are reduced: the whole picture must be seen at x1, and sent, in time
    view_pixels: int = 2_000_000
    full_pixels: int = 64_000_000
    made_files: int = 8  # finished files kept on disk, of all visitors together
    visits: int = 200
    visit_seconds: float = 1800.0
    picture_bytes: int = 256_000_000  # all visitors' uploads together
    slots: int = 1  # renderings at a time: torch already uses every core for one
    waiting: int = 24  # renderings in line


class Expired(Exception):
    """The visit is over, or never was."""


@dataclass(eq=False)
class Visit:
    """One opened page. seen: when it last asked anything; wanted: the number of the newest view, per method."""

    token: str
    seen: float
    picture: Picture | None = None
    uploaded: bool = False
    wanted: dict[str, int] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    file: Path | None = None
    file_name: str = ""


@dataclass(frozen=True)
class _Shared:
    """The renderer, a slot held for each rendering only: between two of them others have their turn."""

    renderer: clit.Renderer
    slots: Slots
    stale: Callable[[], bool]

    def render(self, *args, **options) -> np.ndarray:
        with self.slots.take(self.stale):
            return self.renderer.render(*args, **options)


def _started(job: Callable[[], object]) -> Future:
    """The job on a thread of its own, which does not keep the server from ending."""
    future: Future = Future()

    def work() -> None:
        try:
            future.set_result(job())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="clit-make", daemon=True).start()
    return future


def answers(method):
    """Turn what a method raises into an answer; nothing a browser sends may end in a traceback for it to see."""

    @functools.wraps(method)
    def wrapped(self: Session, request: dict) -> dict:
        try:
            return method(self, request)
        except Exception as error:
            return failure(error)

    return wrapped


def failure(error: Exception) -> dict:
    """The answer that stands for `error`."""
    match error:
        case Expired():
            return {
                "error": "This visit has ended and its picture is forgotten: open a picture again.",
                "expired": True,
            }
        case Stale() | Cancelled():
            return {"stale": True}
        case UserError():
            return {"error": str(error)}
    log.error("the page could not answer", exc_info=error)
    return {"error": "Something went wrong on the server: try again, and report it if it stays."}


class Session:
    """All visitors of one server: their tokens, pictures, and the questions they may ask."""

    def __init__(self, examples: Path, limits: Limits | None = None):
        """examples: a folder of PNGs with `credits.json`, {file: {title, author, licence, source}}, for captions."""
        self.limits = limits or Limits()
        self.models = Models()
        self._examples = examples
        self._renderer = clit.Renderer()
        self._slots = Slots(self.limits.slots, self.limits.waiting)
        self._decoding = threading.Lock()  # one upload in full size in memory at a time
        self._visits: dict[str, Visit] = {}  # in order of `seen`, oldest first
        self._lock = threading.Lock()
        self._sent: deque[Path] = deque()  # files that programs asked for, oldest first
        self._files = tempfile.TemporaryDirectory(prefix="clit-page-")

    # Visits

    @answers
    def begin(self, request: dict) -> dict:
        """A new visit: its secret token, and what the page offers."""
        self.sweep()
        visit = Visit(secrets.token_urlsafe(24), time.monotonic())
        with self._lock:
            while len(self._visits) >= self.limits.visits:
                self._drop(next(iter(self._visits)))
            self._visits[visit.token] = visit
        return {
            "token": visit.token,
            "models": self.models.describe(),
            "duplicate": _duplicate(),
            "examples": [self._example(name)[0] for name in self._example_names()],
            "kinds": {kind: list(suffixes) for kind, suffixes in making.KINDS.items()},
            "film_frames": round(making.FILM_SECONDS * making.FILM_FPS),
            "limits": {
                "scale": self.limits.scale,
                "view_pixels": self.limits.view_pixels,
                "full_pixels": self.limits.full_pixels,
                "upload_bytes": self.limits.upload_bytes,
            },
        }

    def end(self, token: str) -> None:
        """The page was left: forget the visit with this token, if there is one, and everything it brought."""
        with self._lock:
            self._drop(token)

    def sweep(self) -> None:
        """Forget visits that have been idle for too long."""
        now = time.monotonic()
        with self._lock:
            idle = [t for t, visit in self._visits.items() if now - visit.seen > self.limits.visit_seconds]
            for token in idle:
                self._drop(token)

    def _drop(self, token: str) -> None:
        visit = self._visits.pop(token, None)
        if visit is not None:
            visit.stop.set()
            visit.picture = None
            if visit.file is not None:
                visit.file.unlink(missing_ok=True)

    def _visit(self, request: dict) -> Visit:
        token = request.get("token") if isinstance(request, dict) else None
        with self._lock:
            visit = self._visits.pop(token, None) if isinstance(token, str) else None
            if visit is None:
                raise Expired
            visit.seen = time.monotonic()
            self._visits[token] = visit
            return visit

    def _show(self, visit: Visit, picture: Picture, uploaded: bool) -> dict:
        """Make `picture` the visit's own; the longest idle visits lose theirs if uploads grow too many."""
        with self._lock:
            visit.picture, visit.uploaded = picture, uploaded
            kept = sum(v.picture.nbytes for v in self._visits.values() if v.uploaded and v.picture)
            for token, other in list(self._visits.items()):
                if kept <= self.limits.picture_bytes:
                    break
                if other is not visit and other.uploaded and other.picture:
                    kept -= other.picture.nbytes
                    self._drop(token)
        return picture.answer

    # Pictures

    @answers
    def open_example(self, request: dict) -> dict:
        """{token, name} -> the picture: id, name, height, width, credit, notice, image (lossless WebP in base64)."""
        visit = self._visit(request)
        name = request.get("name")
        if name not in self._example_names():
            raise UserError("There is no such example: choose one of those shown.")
        return self._show(visit, self._example(name)[1], uploaded=False)

    @answers
    def open_truth(self, request: dict) -> dict:
        """{token, picture, scale} -> the open picture made smaller by `scale`, with itself as ground truth.

        scale None: back to the whole picture. Answers as `open_example`.
        """
        visit = self._visit(request)
        picture = self._picture(visit, request)
        whole = picture.whole or picture
        if request.get("scale") is None:
            return self._show(visit, whole, visit.uploaded)
        scale = self._scale(request)
        return self._show(visit, with_truth(whole, scale), visit.uploaded)

    def open_upload(self, request: dict, path: Path) -> dict:
        """{token, name} and the uploaded file -> the picture, as `open_example`. The file is read once, not kept."""
        try:
            visit = self._visit(request)
            name = request.get("name")
            name = name[-80:] if isinstance(name, str) and name else "upload"
            with self._decoding:
                rgb, notice = self._read(path, name)
            return self._show(visit, Picture(secrets.token_urlsafe(9), name, rgb, notice=notice), uploaded=True)
        except Exception as error:
            return failure(error)

    def _read(self, path: Path, name: str) -> tuple[np.ndarray, str]:
        if path.stat().st_size > self.limits.upload_bytes:
            raise UserError(
                f"This file has {path.stat().st_size / 1e6:.0f} MB: choose one of at most "
                f"{self.limits.upload_bytes / 1e6:.0f} MB."
            )
        try:
            rgb = images.read_image(path, self.limits.upload_pixels).opaque()
        except UserError as error:  # it names the file by where it lies here, which is nobody's business
            raise UserError(str(error).replace(str(path), name)) from None
        height, width = rgb.shape[:2]
        if height * width <= self.limits.input_pixels:
            return rgb, ""
        shrink = math.sqrt(self.limits.input_pixels / (height * width))
        small = max(1, math.floor(height * shrink)), max(1, math.floor(width * shrink))
        rgb = np.clip(degrade.resize_pil(rgb, small), 0, 1).astype(np.float32)
        notice = (
            f"Your picture of {width} × {height} pixels was reduced to {small[1]} × {small[0]}: here it is the small "
            "picture that the methods enlarge. The command line takes any size."
        )
        return rgb, notice

    def _example_names(self) -> list[str]:
        """The order of the credits, then of the alphabet."""
        order = list(credits(self._examples))
        names = sorted(path.name for path in self._examples.glob("*.png"))
        return sorted(names, key=lambda name: order.index(name) if name in order else len(order))

    def _example(self, name: str) -> tuple[dict, Picture]:
        return load_example(self._examples, name)

    # Questions about the picture

    @answers
    def render_view(self, request: dict) -> dict:
        """A part of the enlarged picture.

        {token, picture, model, scale, size, window [top, left, height, width], wanted, chain, stages} -> {image
        (lossless WebP in base64), size [H, W], window, scale, milliseconds, wanted, factors of the cascade's stages in
        use, span of the entropies painted in bits}. size: of the whole output [H, W] where the two axes differ, else
        that of `scale`. The window is clipped to it. `wanted` numbers the visitor's views: an older one than the newest
        asked of the same model is stale, and not computed. kind: "preview", "exact", which comes after previews, or
        "ahead" for views to come, which makes way for all others (it is stale then) but not for newer views. chain: how
        CLIT splits the scale, "published" if it is not said; stages: stop CLIT after so many. paint, one of PAINTS, and
        head: what the picture shows. Where there is a ground truth: model "truth" is that, and with error true the
        picture is how far the model is from it (see `error_colours`).
        """
        visit = self._visit(request)
        picture = self._picture(visit, request)
        scale, size = self._scale(request), self._size(request, picture)
        window = self._window(request, size)
        name, error = self._text(request, "model"), request.get("error") is True
        truth = self._truth(picture, size, window) if error or name == "truth" else None
        model = None if name == "truth" else self.models.get(name)
        chain = self._chain(request)
        stages = None if request.get("stages") is None else self._whole(request, "stages", 1, 100)
        wanted = self._whole(request, "wanted", 0, 2**53)
        paint, head = self._paint(request, model)
        kind = request.get("kind", "exact")
        if kind not in PATIENCE:
            raise UserError(f"The kind of view must be one of {', '.join(PATIENCE)}.")
        asked = f"{name} {stages} {error} {paint}"
        if kind != "ahead":
            with self._lock:
                visit.wanted[asked] = max(visit.wanted.get(asked, 0), wanted)

        def stale() -> bool:
            return visit.picture is not picture or (kind != "ahead" and visit.wanted[asked] > wanted)

        def cancel() -> bool:
            return stale() or (kind == "ahead" and self._slots.waited_for)

        with self._slots.take(stale, kind):
            start = time.perf_counter()
            options = {"size": size, "window": window, "chain": chain, "stages": stages, "cancel": cancel}
            span = None
            if model is None:
                rgb = truth
            elif paint == "colours":
                rgb = self._renderer.render(model, picture.rgb, **options)
            else:
                survey = self._renderer.survey(model, picture.rgb, **options)
                rgb = attention_colours(survey, paint, head, model.radius)
                span = entropy_span(survey, head) if paint == "entropy" else None
            rgb = error_colours(rgb, truth) if error else rgb
            milliseconds = (time.perf_counter() - start) * 1000
        return {
            "image": encode(rgb),
            "size": list(size),
            "window": [window.top, window.left, window.height, window.width],
            "scale": scale,
            "milliseconds": round(milliseconds, 1),
            "wanted": wanted,
            "factors": _factors(model, size, picture, chain),
            "span": span,
        }

    @answers
    def score(self, request: dict) -> dict:
        """How near a method comes to the ground truth, over the whole picture.

        {token, picture, model, chain, scale} -> {scale, psnr and ssim of luma with a border of ceil(scale) left out,
        psnr_rgb}. scale: another one than the open picture's makes the small picture anew for that.
        """
        visit = self._visit(request)
        picture = self._picture(visit, request)
        if picture.whole is None:
            raise UserError("There is no ground truth: switch it on first.")
        scale = self._scale(request)
        pair = picture if scale == picture.scale else with_truth(picture.whole, scale)
        model, chain = self.models.get(self._text(request, "model")), self._chain(request)

        def stale() -> bool:
            return visit.picture is not picture

        with self._slots.take(stale):
            size = pair.truth.shape[:2]
            rgb = self._renderer.render(model, pair.rgb, size=size, chain=chain, cancel=stale)
        return {
            "scale": scale,
            "psnr": _finite(metrics.psnr(rgb, pair.truth, scale=scale)),
            "ssim": metrics.ssim(rgb, pair.truth, scale=scale),
            "psnr_rgb": _finite(metrics.psnr(rgb, pair.truth, "rgb", scale=scale)),
        }

    @answers
    def inspect(self, request: dict) -> dict:
        """What one output pixel looked at.

        {token, picture, model, scale, size, pixel [row, column], chain} -> {kind, size [H, W], pixel, rgb in 0..255,
        stages: [{weights (M, n, n), content and position (the same, or None), influence (n, n), latents (n, n, 2) as
        (y, x) in LR pixels, inside (n, n), grid [h, w]}]}, as `clit.attend`.
        """
        _, looked = self._look(request)
        return {
            "kind": looked.kind,
            "size": list(looked.size),
            "pixel": list(looked.pixel),
            "rgb": to_bytes(looked.rgb).tolist(),
            "stages": [
                {
                    "weights": stage.weights.tolist(),
                    "content": None if stage.content is None else stage.content.tolist(),
                    "position": None if stage.position is None else stage.position.tolist(),
                    "influence": stage.influence.tolist(),
                    "latents": stage.latents.tolist(),
                    "inside": stage.inside.tolist(),
                    "grid": list(stage.grid),
                }
                for stage in looked.stages
            ],
        }

    @answers
    def look_file(self, request: dict) -> dict:
        """What `inspect` tells, as a file: {the same, suffix (one of figures.FORMS)} -> {file (base64), name}."""
        picture, looked = self._look(request)
        suffix = request.get("suffix")
        if suffix not in FORMS:
            raise UserError(f"The kind of file must be one of {', '.join(FORMS)}.")
        data = attention_file(looked, picture.rgb, suffix, request["model"])
        row, column = looked.pixel
        name = f"{Path(picture.name).stem}-{self._enlarged(request)}-{request['model']}-{row}-{column}{suffix}"
        return {"file": base64.b64encode(data).decode("ascii"), "name": name}

    def _look(self, request: dict) -> tuple[Picture, Attention]:
        visit = self._visit(request)
        picture = self._picture(visit, request)
        size = self._size(request, picture)
        pixel = request.get("pixel")
        if not (isinstance(pixel, list) and len(pixel) == 2 and all(_is_whole(n) for n in pixel)):
            raise UserError("The pixel must be two whole numbers: row, column.")
        if not (0 <= pixel[0] < size[0] and 0 <= pixel[1] < size[1]):
            raise UserError(
                f"The pixel lies outside the enlarged picture of {size[1]} × {size[0]} pixels: pick one inside."
            )
        model, chain = self.models.get(self._text(request, "model")), self._chain(request)
        with self._slots.take(lambda: visit.picture is not picture):
            looked = self._renderer.attend(model, picture.rgb, pixel=tuple(pixel), size=size, chain=chain)
        return picture, looked

    # What is made on request, as files

    def make(self, request: dict) -> Iterator[dict]:
        """Make a file: {token, picture, kind and suffix (making.KINDS), models, scale, size, chain, run} -> states.

        Each has the same `run`. First {"state": "running", "done" in 0..1, "seconds_left" or None} now and then; at
        last {"state": "done", "file" (the path it can be fetched under), "name", "bytes", "size"}, {"state":
        "stopped"} or {"state": "error", "error"}. A visit has one such file: a new one stops and replaces it.
        A film wants about [y, x] in LR pixels and side [height, width] too; a sheet may have crops, up to four
        [top, left, height, width] in output pixels.
        """
        run = request.get("run") if isinstance(request, dict) else None
        run = run if _is_whole(run) else 0
        try:
            for state in self._make(request):
                yield {"run": run, **state}
        except (Stale, Cancelled):
            yield {"run": run, "state": "stopped"}
        except Exception as error:
            yield {"run": run, "state": "error", **failure(error)}

    def _make(self, request: dict) -> Iterator[dict]:
        visit = self._visit(request)
        picture = self._picture(visit, request)
        kind, suffix = self._text(request, "kind"), self._text(request, "suffix")
        if suffix not in making.KINDS.get(kind, ()):
            raise UserError("There is no such file to make: choose one of those offered.")
        path = Path(self._files.name) / f"{secrets.token_urlsafe(18)}{suffix}"
        job, name = getattr(self, f"_job_{kind}")(request, picture, path)
        visit.stop.set()
        visit.stop = stop = threading.Event()
        yield {"state": "running", "done": 0.0, "seconds_left": None}
        start, done = time.monotonic(), [0.0]
        shared = _Shared(self._renderer, self._slots, stop.is_set)
        working = _started(lambda: job(shared, lambda share: done.__setitem__(0, share), stop.is_set))
        try:
            while not await_future([working], timeout=0.25).done:
                visit.seen = now = time.monotonic()
                left = (now - start) / done[0] * (1 - done[0]) if done[0] else None
                yield {"state": "running", "done": done[0], "seconds_left": left}
        except GeneratorExit:
            stop.set()  # nobody listens any more
            raise
        size = working.result()
        with self._lock:
            if stop.is_set() or visit.token not in self._visits:
                path.unlink(missing_ok=True)
                raise Stale
            others = [other for other in self._visits.values() if other.file is not None and other is not visit]
            for old in [visit, *others[: max(0, len(others) - self.limits.made_files + 1)]]:
                if old.file is not None:
                    old.file.unlink(missing_ok=True)
                    old.file = None
            visit.file, visit.file_name = path, f"{Path(picture.name).stem}-{name}{suffix}"
        yield {
            "state": "done",
            "file": f"made/{path.name}",
            "name": visit.file_name,
            "bytes": path.stat().st_size,
            "size": list(size),
        }

    def _job_picture(self, request: dict, picture: Picture, path: Path):
        size, chain = self._size(request, picture), self._chain(request)
        self._check_full(picture.rgb, size)
        [(name, model)] = self._models(request, 1).items()

        def job(renderer, progress, cancel):
            return making.make_picture(path, renderer, model, picture.rgb, size, chain, progress, cancel)

        return job, f"{self._enlarged(request)}-{name}"

    def _job_film(self, request: dict, picture: Picture, path: Path):
        models, chain, end = self._models(request, 4), self._chain(request), self._scale(request)
        about, side = request.get("about"), request.get("side")
        if not (isinstance(about, list) and len(about) == 2 and all(_is_number(n) for n in about)):
            raise UserError("The point to zoom in on must be two numbers: y, x.")
        if not (isinstance(side, list) and len(side) == 2 and all(_is_whole(n) and 32 <= n <= 640 for n in side)):
            raise UserError("The frame must be two whole numbers from 32 to 640: height, width.")
        at = [min(max(float(n), 0.0), float(most)) for n, most in zip(about, picture.rgb.shape[:2], strict=True)]

        def job(renderer, progress, cancel):
            return making.make_film(
                path, renderer, models, picture.rgb, tuple(at), end, tuple(side), chain, progress, cancel
            )

        return job, f"to-x{end:g}-{'-'.join(models)}"

    def _job_sheet(self, request: dict, picture: Picture, path: Path):
        size, scale, chain = self._size(request, picture), self._scale(request), self._chain(request)
        models, crops = self._models(request, 6), request.get("crops", [])
        if not (isinstance(crops, list) and len(crops) <= 4 and all(isinstance(crop, list) for crop in crops)):
            raise UserError("A sheet shows up to four crops.")
        windows = [self._window({"window": crop}, size) for crop in crops]
        crops = [(w.top, w.left, w.height, w.width) for w in windows]
        truth = None if picture.truth is None else to_bytes(picture.truth)
        if truth is not None:
            self._check_full(picture.rgb, size)

        def job(renderer, progress, cancel):
            return making.make_sheet(
                path, renderer, models, picture.rgb, truth, scale, size, crops, chain, progress, cancel
            )

        return job, f"{self._enlarged(request)}-compared"

    def _check_full(self, rgb: np.ndarray, size: tuple[int, int]) -> None:
        """UserError if a whole output is more than this server gives."""
        height, width = size
        if height * width > self.limits.full_pixels:
            largest = math.floor(10 * math.sqrt(self.limits.full_pixels / (rgb.shape[0] * rgb.shape[1]))) / 10
            raise UserError(
                f"The full picture would have {height * width / 1e6:.0f} megapixels, more than the "
                f"{self.limits.full_pixels / 1e6:.0f} allowed here: choose a scale of at most {largest:g}."
            )

    @answers
    def stop_making(self, request: dict) -> dict:
        """Stop the file being made, if there is one."""
        self._visit(request).stop.set()
        return {}

    def made_file(self, name: str) -> tuple[Path, str] | None:
        """The finished file with this secret name and the name to save it under; None if there is none."""
        with self._lock:
            for visit in self._visits.values():
                if visit.file is not None and secrets.compare_digest(visit.file.name.encode(), name.encode()):
                    return visit.file, visit.file_name
        return None

    # For programs: one question, without a visit

    def upscale_file(self, path: Path, model: str, scale: float, chain: str) -> Path:
        """A picture file enlarged, as the path of a PNG that is kept until some more were asked for. UserError."""
        rgb = self._read_whole(path)
        scale, network = self._scale({"scale": scale}), self.models.get(self._text({"model": model}, "model"))
        self._check_full(rgb, output_size(*rgb.shape[:2], scale))
        with self._slots.take(lambda: False):
            enlarged = self._renderer.render(network, rgb, scale=scale, chain=self._chain({"chain": chain}))
        out = Path(self._files.name) / f"{secrets.token_urlsafe(18)}.png"
        Image.fromarray(to_bytes(enlarged)).save(out, compress_level=1)
        with self._lock:
            self._sent.append(out)
            while len(self._sent) > self.limits.made_files:
                self._sent.popleft().unlink(missing_ok=True)
        return out

    def attention(self, path: Path, model: str, scale: float, row: int, column: int, chain: str) -> dict:
        """What an output pixel of a picture file looked at: `figures.attention_json`, read back."""
        rgb = self._read_whole(path)
        scale, network = self._scale({"scale": scale}), self.models.get(self._text({"model": model}, "model"))
        with self._slots.take(lambda: False):
            found = self._renderer.attend(
                network, rgb, pixel=(row, column), scale=scale, chain=self._chain({"chain": chain})
            )
        return json.loads(attention_json(found))

    def _read_whole(self, path: Path) -> np.ndarray:
        rgb, notice = self._read(path, "the picture")
        if notice:
            raise UserError(
                f"The picture has more than {self.limits.input_pixels / 1e6:g} megapixels: reduce it first."
            )
        return rgb

    # Arguments

    @staticmethod
    def _picture(visit: Visit, request: dict) -> Picture:
        if visit.picture is None:
            raise UserError("No picture is open: choose an example or upload one.")
        if request.get("picture") != visit.picture.id:
            raise Stale
        return visit.picture

    @staticmethod
    def _truth(picture: Picture, size: tuple[int, int], window: Window) -> np.ndarray:
        if picture.truth is None or size != picture.truth.shape[:2]:
            raise UserError("There is no ground truth at this scale: switch it on first.")
        rows = slice(window.top, window.top + window.height)
        return picture.truth[rows, window.left : window.left + window.width]

    def _scale(self, request: dict) -> float:
        scale = request.get("scale")
        if not isinstance(scale, int | float) or isinstance(scale, bool) or not 1 <= scale <= self.limits.scale:
            raise UserError(f"The scale is {str(scale)[:20]}, but must be a number from 1 to {self.limits.scale:g}.")
        return float(scale)

    def _size(self, request: dict, picture: Picture) -> tuple[int, int]:
        """The whole output's [H, W]: as asked, else that of the scale."""
        scale, asked = self._scale(request), request.get("size")
        if asked is None:
            return output_size(*picture.rgb.shape[:2], scale)
        if not (isinstance(asked, list) and len(asked) == 2 and all(_is_whole(n) for n in asked)):
            raise UserError("The size must be two whole numbers: height, width.")
        for n, n_lr, name in zip(asked, picture.rgb.shape[:2], ("height", "width"), strict=True):
            most = math.floor(n_lr * self.limits.scale)
            if not n_lr <= n <= most:
                raise UserError(f"The {name} is {str(n)[:20]} pixels, but for this picture must be {n_lr} to {most}.")
        return asked[0], asked[1]

    def _paint(self, request: dict, model) -> tuple[str, int]:
        paint = request.get("paint", "colours")
        if paint not in PAINTS:
            raise UserError(f"What a pane shows must be one of {', '.join(PAINTS)}.")
        if paint == "colours":
            return paint, 0
        if model is None or not model.heads:
            raise UserError("Only LIT and CLIT have heads to look at: choose one of them.")
        return paint, self._whole(request, "head", 0, model.heads)

    def _window(self, request: dict, size: tuple[int, int]) -> Window:
        window = request.get("window")
        if not (isinstance(window, list) and len(window) == 4 and all(_is_whole(n) for n in window)):
            raise UserError("The window must be four whole numbers: top, left, height, width.")
        top, left = max(0, window[0]), max(0, window[1])
        bottom, right = min(size[0], window[0] + window[2]), min(size[1], window[1] + window[3])
        if bottom <= top or right <= left:
            raise UserError("The window lies outside the enlarged picture: move the view back to it.")
        if (bottom - top) * (right - left) > self.limits.view_pixels:
            raise UserError(
                f"The window has more than {self.limits.view_pixels / 1e6:g} megapixels: choose a smaller one."
            )
        return Window(top, left, bottom - top, right - left)

    def _models(self, request: dict, most: int) -> dict[str, object]:
        """The methods asked for by name, loaded."""
        names = request.get("models")
        if not (isinstance(names, list) and 1 <= len(names) <= most and all(isinstance(n, str) for n in names)):
            raise UserError(f"There must be from 1 to {most} methods.")
        return {name: self.models.get(name[:100]) for name in names}

    def _enlarged(self, request: dict) -> str:
        """By how much, for the names of files."""
        if request.get("size") is None:
            return f"x{self._scale(request):g}"
        return "{1}x{0}".format(*request["size"])

    @staticmethod
    def _whole(request: dict, key: str, low: int, high: int) -> int:
        value = request.get(key)
        if not _is_whole(value) or not low <= value <= high:
            raise UserError(f'"{key}" must be a whole number from {low} to {high}.')
        return value

    @staticmethod
    def _chain(request: dict) -> str:
        chain = request.get("chain", "published")
        if chain not in ("published", "balanced"):
            raise UserError('The chain must be "published" or "balanced".')
        return chain

    @staticmethod
    def _text(request: dict, key: str) -> str:
        value = request.get(key)
        if not isinstance(value, str) or not 0 < len(value) <= 100:
            raise UserError(f'"{key}" must be a name.')
        return value


def _factors(model, size: tuple[int, int], picture: Picture, chain: str) -> list[float]:
    """By how much each stage that a CLIT has in use enlarges (of two axes, the larger); nothing for others."""
    if model is None or model.stage_count == 1:
        return []
    return [max(pair) for pair in scale_chain(size, picture.rgb.shape[:2], model.stage_count, chain)]


def _duplicate() -> str | None:
    """Where the hosted page can be copied to an account of one's own; None where it is not hosted there."""
    space = os.environ.get("SPACE_ID", "")
    return f"https://huggingface.co/spaces/{space}?duplicate=true" if re.fullmatch(r"[\w.-]+/[\w.-]+", space) else None


def _finite(psnr: float) -> float | None:
    """JSON knows no infinity, which is what equal pictures have."""
    return psnr if math.isfinite(psnr) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53

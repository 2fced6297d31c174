"""What the page's server remembers of its visitors, and every question the viewer may ask it.

No gradio here. A question is a dict that came from a browser and is not trusted: every entry has a hard bound.
An answer is a dict fit for JSON. What goes wrong is an answer too: {"error": one sentence for a person}, with
"expired": True where the visit is over; {"stale": True} where the visitor has moved on and nobody waits any more.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import logging
import math
import secrets
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

import clit
from clit import checkpoints, degrade, images, metrics
from clit.attention import Attention
from clit.config import PRESETS, CLITConfig, LIIFConfig, LTEConfig, ModelConfig
from clit.decoders.clit import CLIT
from clit.errors import Cancelled, UserError
from clit.figures import FORMS, attention_file, attention_json
from clit.geometry import Window, output_size, scale_chain

log = logging.getLogger(__name__)

OFFERED = ("liif-light", "lte-light", "lit-light", "clit-light")
"""Presets that the panes always list, trained or not."""

PLAIN = {"bilinear": "Bilinear", "bicubic": "Bicubic"}
"""Baselines without weights."""

FULL_TILE = 512
"""Side of the tiles a full picture is made of, in output pixels; a stop is noticed between two of them."""

ERROR_TOP = 0.2
"""The error, of colours in [0, 1], that is drawn brightest, in all panes alike."""

LEAST_SIDE = 4
"""Least side of a picture that was made smaller for comparison."""

THUMBNAIL = 96
"""Longer side of an example's thumbnail, in pixels."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one server. Sides and areas in pixels, times in seconds."""

    scale: float = 30.0
    upload_bytes: int = 40_000_000
    upload_pixels: int = 50_000_000
    input_pixels: int = 2_000_000  # larger uploads are reduced: the whole picture must be seen at x1, and sent, in time
    view_pixels: int = 2_000_000
    full_pixels: int = 64_000_000
    full_files: int = 8  # finished full pictures kept on disk, of all visitors together
    visits: int = 200
    visit_seconds: float = 1800.0
    picture_bytes: int = 256_000_000  # all visitors' uploads together
    slots: int = 1  # renderings at a time: torch already uses every core for one
    waiting: int = 24  # renderings in line


class Expired(Exception):
    """The visit is over, or never was."""


class Stale(Exception):
    """Nobody waits for this answer any more."""


@dataclass(frozen=True)
class Picture:
    """A low-resolution picture: rgb (h, w, 3) float32 in [0, 1], and how the page names it.

    One that was made smaller here has its ground truth: the part (H, W, 3) of the whole picture it stands for.
    """

    id: str
    name: str
    rgb: np.ndarray
    credit: dict = field(default_factory=dict)
    notice: str = ""
    truth: np.ndarray | None = None
    scale: float | None = None  # by how much the truth is larger
    whole: Picture | None = None  # what it was made from

    @property
    def nbytes(self) -> int:
        return self.rgb.nbytes if self.whole is None else self.rgb.nbytes + self.whole.rgb.nbytes

    @functools.cached_property
    def answer(self) -> dict:
        """What the viewer is told of it; the pixels as lossless WebP."""
        height, width = self.rgb.shape[:2]
        return {
            "id": self.id,
            "name": self.name,
            "height": height,
            "width": width,
            "credit": self.credit,
            "notice": self.notice,
            "image": encode(self.rgb),
            "truth": self.scale,
        }


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


class Slots:
    """At most `slots` renderings at a time, and at most `waiting` more in line."""

    def __init__(self, slots: int, waiting: int):
        self._free = threading.Semaphore(slots)
        self._line = threading.Semaphore(slots + waiting)

    @contextlib.contextmanager
    def take(self, stale: Callable[[], bool]) -> Iterator[None]:
        """Hold one slot; Stale if `stale()` comes true while in line, UserError if the line is full."""
        if not self._line.acquire(blocking=False):
            raise UserError("The server is busy with other visitors: wait a moment, then move the view again.")
        try:
            while not self._free.acquire(timeout=0.05):
                if stale():
                    raise Stale
            try:
                if stale():
                    raise Stale
                yield
            finally:
                self._free.release()
        finally:
            self._line.release()


class Models:
    """The methods a pane can show; each is loaded on first use and then kept."""

    def __init__(self) -> None:
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._loaded: dict[str, object] = {}
        self._lock = threading.Lock()

    def describe(self) -> list[dict]:
        """Entries of the pane menus: name, label, family, kind (plain, ensemble, attention), stages, available.

        Where it is not available, `reason` says why.
        """
        plain = [
            {
                "name": name,
                "label": label,
                "family": label,
                "kind": "plain",
                "stages": 1,
                "available": True,
                "reason": "",
            }
            for name, label in PLAIN.items()
        ]
        here = checkpoints.available()
        presets = [name for name in PRESETS if name in here or name in OFFERED]
        return plain + [self._describe(name, name in here) for name in presets + [n for n in here if n not in PRESETS]]

    def get(self, name: str):
        """The model called `name`; UserError if it is unknown or has no weights."""
        with self._lock:
            if name not in self._loaded:
                if name not in PLAIN and name not in checkpoints.available():
                    raise UserError(f'The method "{name}" has no trained weights here: choose another one.')
                model = clit.load(name)
                self._loaded[name] = model if name in PLAIN else model.to(self._device)
            return self._loaded[name]

    @staticmethod
    def _describe(name: str, available: bool) -> dict:
        reason = (
            "" if available else f"No trained weights here yet: make them with python -m clit train {name} --data DIR"
        )
        try:
            config = PRESETS.get(name) or ModelConfig.from_dict(
                json.loads((checkpoints.folder() / name / checkpoints.CONFIG).read_text())
            )
            family, kind = _family(config)
            stages = getattr(config.decoder, "stages", 1)
        except (OSError, ValueError) as error:
            reason = f"This checkpoint cannot be read: {error}"
            family, kind, stages, available = name, "plain", 1, False
        label = f"{family} {name.partition('-')[2]}" if name in PRESETS else name
        return {
            "name": name, "label": label, "family": family, "kind": kind, "stages": stages, "available": available,
            "reason": reason,
        }  # fmt: skip


def _family(config: ModelConfig) -> tuple[str, str]:
    """The method's name as the literature has it, and what its pixels look at."""
    match config.decoder:
        case LIIFConfig():
            return "LIIF", "ensemble"
        case LTEConfig():
            return "LTE", "ensemble"
        case CLITConfig(stages=1):
            return "LIT", "attention"
        case _:
            return "CLIT", "attention"


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
            "examples": [self._example(name)[0] for name in self._example_names()],
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
        return self._show(visit, _with_truth(whole, scale), visit.uploaded)

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
        order = list(_credits(self._examples))
        names = sorted(path.name for path in self._examples.glob("*.png"))
        return sorted(names, key=lambda name: order.index(name) if name in order else len(order))

    def _example(self, name: str) -> tuple[dict, Picture]:
        return _load_example(self._examples, name)

    # Questions about the picture

    @answers
    def render_view(self, request: dict) -> dict:
        """A part of the enlarged picture.

        {token, picture, model, scale, window [top, left, height, width], wanted, chain, stages} -> {image (lossless
        WebP in base64), size [H, W], window, scale, milliseconds, wanted, factors of the cascade's stages in use}. The
        window is clipped to the output. `wanted` numbers the visitor's views: an older one than the newest asked of
        the same model is stale, and not computed. chain: how CLIT splits the scale, "published" if it is not said;
        stages: stop CLIT after so many. Where there is a ground truth: model "truth" is that, and with error true the
        picture is how far the model is from it (see `error_colours`).
        """
        visit = self._visit(request)
        picture = self._picture(visit, request)
        scale = self._scale(request)
        size = output_size(*picture.rgb.shape[:2], scale)
        window = self._window(request, size)
        name, error = self._text(request, "model"), request.get("error") is True
        truth = self._truth(picture, scale, window) if error or name == "truth" else None
        model = None if name == "truth" else self.models.get(name)
        chain = self._chain(request)
        stages = None if request.get("stages") is None else self._whole(request, "stages", 1, 100)
        wanted = self._whole(request, "wanted", 0, 2**53)
        asked = f"{name} {stages} {error}"
        with self._lock:
            visit.wanted[asked] = max(visit.wanted.get(asked, 0), wanted)

        def stale() -> bool:
            return visit.wanted[asked] > wanted or visit.picture is not picture

        with self._slots.take(stale):
            start = time.perf_counter()
            if model is None:
                rgb = truth
            else:
                rgb = self._renderer.render(
                    model, picture.rgb, scale=scale, window=window, chain=chain, stages=stages, cancel=stale
                )
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
        pair = picture if scale == picture.scale else _with_truth(picture.whole, scale)
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

        {token, picture, model, scale, pixel [row, column], chain} -> {kind, size [H, W], pixel, rgb in 0..255, stages:
        [{weights (M, n, n), content and position (the same, or None), influence (n, n), latents (n, n, 2) as (y, x)
        in LR pixels, inside (n, n), grid [h, w]}]}, as `clit.attend`.
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
        data = attention_file(looked, picture.rgb, suffix)
        row, column = looked.pixel
        name = f"{Path(picture.name).stem}-x{self._scale(request):g}-{request['model']}-{row}-{column}{suffix}"
        return {"file": base64.b64encode(data).decode("ascii"), "name": name}

    def _look(self, request: dict) -> tuple[Picture, Attention]:
        visit = self._visit(request)
        picture = self._picture(visit, request)
        scale = self._scale(request)
        size = output_size(*picture.rgb.shape[:2], scale)
        pixel = request.get("pixel")
        if not (isinstance(pixel, list) and len(pixel) == 2 and all(_is_whole(n) for n in pixel)):
            raise UserError("The pixel must be two whole numbers: row, column.")
        if not (0 <= pixel[0] < size[0] and 0 <= pixel[1] < size[1]):
            raise UserError(
                f"The pixel lies outside the enlarged picture of {size[1]} × {size[0]} pixels: pick one inside."
            )
        model, chain = self.models.get(self._text(request, "model")), self._chain(request)
        with self._slots.take(lambda: visit.picture is not picture):
            looked = self._renderer.attend(model, picture.rgb, pixel=tuple(pixel), scale=scale, chain=chain)
        return picture, looked

    # The full picture

    def full_picture(self, request: dict) -> Iterator[dict]:
        """Render the whole output in tiles: {token, picture, model, scale, chain, run} -> states, with the same `run`.

        First {"state": "running", "done" in 0..1, "seconds_left" or None} now and then; at last {"state": "done",
        "file" (the path it can be fetched under), "name", "bytes", "size"}, {"state": "stopped"} or {"state":
        "error", "error"}. A visit has one full picture: a new one stops and replaces it.
        """
        run = request.get("run") if isinstance(request, dict) else None
        run = run if _is_whole(run) else 0
        try:
            for state in self._full_picture(request):
                yield {"run": run, **state}
        except (Stale, Cancelled):
            yield {"run": run, "state": "stopped"}
        except Exception as error:
            yield {"run": run, "state": "error", **failure(error)}

    def _full_picture(self, request: dict) -> Iterator[dict]:
        visit = self._visit(request)
        picture = self._picture(visit, request)
        scale = self._scale(request)
        height, width = size = self._check_full(picture.rgb, scale)
        name, chain = self._text(request, "model"), self._chain(request)
        model = self.models.get(name)
        visit.stop.set()
        visit.stop = stop = threading.Event()
        yield {"state": "running", "done": 0.0, "seconds_left": None}
        canvas = Image.new("RGB", (width, height))
        start = told = time.monotonic()
        for done, window in _tiles(size):
            with self._slots.take(stop.is_set):
                rgb = self._renderer.render(
                    model, picture.rgb, scale=scale, window=window, chain=chain, cancel=stop.is_set
                )
            canvas.paste(Image.fromarray(to_bytes(rgb)), (window.left, window.top))
            visit.seen = now = time.monotonic()
            if now - told > 0.2:
                told = now
                yield {"state": "running", "done": done, "seconds_left": (now - start) / done * (1 - done)}
        path = Path(self._files.name) / f"{secrets.token_urlsafe(18)}.png"
        canvas.save(path, compress_level=1)
        with self._lock:
            if stop.is_set() or visit.token not in self._visits:
                path.unlink()
                raise Stale
            others = [other for other in self._visits.values() if other.file is not None and other is not visit]
            for old in [visit, *others[: max(0, len(others) - self.limits.full_files + 1)]]:
                if old.file is not None:
                    old.file.unlink(missing_ok=True)
                    old.file = None
            visit.file, visit.file_name = path, f"{Path(picture.name).stem}-x{scale:g}-{name}.png"
        yield {
            "state": "done",
            "file": f"full/{path.name}",
            "name": visit.file_name,
            "bytes": path.stat().st_size,
            "size": list(size),
        }

    def _check_full(self, rgb: np.ndarray, scale: float) -> tuple[int, int]:
        """The size of a whole output; UserError if that is more than this server gives."""
        height, width = output_size(*rgb.shape[:2], scale)
        if height * width > self.limits.full_pixels:
            largest = math.floor(10 * math.sqrt(self.limits.full_pixels / (rgb.shape[0] * rgb.shape[1]))) / 10
            raise UserError(
                f"The full picture would have {height * width / 1e6:.0f} megapixels, more than the "
                f"{self.limits.full_pixels / 1e6:.0f} allowed here: choose a scale of at most {largest:g}."
            )
        return height, width

    @answers
    def stop_full(self, request: dict) -> dict:
        """Stop the full picture being rendered, if there is one."""
        self._visit(request).stop.set()
        return {}

    def full_file(self, name: str) -> tuple[Path, str] | None:
        """The finished full picture with this secret name and the name to save it under; None if there is none."""
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
        self._check_full(rgb, scale)
        with self._slots.take(lambda: False):
            enlarged = self._renderer.render(network, rgb, scale=scale, chain=self._chain({"chain": chain}))
        out = Path(self._files.name) / f"{secrets.token_urlsafe(18)}.png"
        Image.fromarray(to_bytes(enlarged)).save(out, compress_level=1)
        with self._lock:
            self._sent.append(out)
            while len(self._sent) > self.limits.full_files:
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
    def _truth(picture: Picture, scale: float, window: Window) -> np.ndarray:
        if picture.truth is None or scale != picture.scale:
            raise UserError("There is no ground truth at this scale: switch it on first.")
        rows = slice(window.top, window.top + window.height)
        return picture.truth[rows, window.left : window.left + window.width]

    def _scale(self, request: dict) -> float:
        scale = request.get("scale")
        if not isinstance(scale, int | float) or isinstance(scale, bool) or not 1 <= scale <= self.limits.scale:
            raise UserError(f"The scale is {str(scale)[:20]}, but must be a number from 1 to {self.limits.scale:g}.")
        return float(scale)

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
    if not isinstance(getattr(model, "decoder", None), CLIT) or len(model.decoder.stages) == 1:
        return []
    return [max(pair) for pair in scale_chain(size, picture.rgb.shape[:2], len(model.decoder.stages), chain)]


def _with_truth(whole: Picture, scale: float) -> Picture:
    """The picture made smaller as the field does it: of floor(side / scale) pixels, PIL's bicubic, in 8 bit."""
    sides = [math.floor(n / scale + 1e-9) for n in whole.rgb.shape[:2]]
    if min(sides) < LEAST_SIDE or min(n * scale for n in sides) < 2 * math.ceil(scale) + 11:
        height, width = whole.rgb.shape[:2]
        raise UserError(
            f"Made smaller by ×{scale:g}, this picture of {width} × {height} pixels has too few left to compare: "
            "choose a smaller scale, or a larger picture."
        )
    height, width = output_size(*sides, scale)
    truth = whole.rgb[:height, :width]
    small = degrade.resize_pil(to_bytes(truth), tuple(sides)).astype(np.float32) / 255
    return Picture(secrets.token_urlsafe(9), whole.name, small, whole.credit, truth=truth, scale=scale, whole=whole)


def _finite(psnr: float) -> float | None:
    """JSON knows no infinity, which is what equal pictures have."""
    return psnr if math.isfinite(psnr) else None


def error_colours(rgb: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How far a picture is from its truth, (h, w, 3): the mean of the channels' distances as viridis, ERROR_TOP the
    brightest.
    """
    distance = np.abs(np.clip(rgb, 0, 1) - truth).mean(-1) / ERROR_TOP
    coloured = cv2.applyColorMap(to_bytes(distance), cv2.COLORMAP_VIRIDIS)
    return coloured[..., ::-1].astype(np.float32) / 255


def to_bytes(rgb: np.ndarray) -> np.ndarray:
    """(h, w, 3) in [0, 1] -> uint8, each value rounded to the nearest."""
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


def encode(rgb: np.ndarray) -> str:
    """(h, w, 3) in [0, 1] -> lossless WebP, fastest setting, in base64."""
    return _webp(Image.fromarray(to_bytes(rgb)), lossless=True, quality=0, method=0)


def _webp(image: Image.Image, **options) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **options)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


def _tiles(size: tuple[int, int]) -> Iterator[tuple[float, Window]]:
    """The tiles of an output of `size`, each with the part of the output done after it."""
    height, width = size
    done = 0
    for top in range(0, height, FULL_TILE):
        for left in range(0, width, FULL_TILE):
            tile = Window(top, left, min(FULL_TILE, height - top), min(FULL_TILE, width - left))
            done += tile.height * tile.width
            yield done / (height * width), tile


@functools.lru_cache(maxsize=64)
def _load_example(folder: Path, name: str) -> tuple[dict, Picture]:
    """An example's menu entry (name, credit, thumbnail) and the picture itself."""
    credit = {key: str(value) for key, value in _credits(folder).get(name, {}).items()}
    picture = Picture(f"example-{name}", name, images.as_array(folder / name), credit)
    small = Image.fromarray(to_bytes(picture.rgb))
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    entry = {
        "name": name,
        "title": credit.get("title") or Path(name).stem.replace("-", " ").capitalize(),
        "thumbnail": _webp(small, quality=85),
    }
    return entry, picture


def _credits(folder: Path) -> dict[str, dict]:
    """The examples' captions by file name; none where the file is missing or is something else."""
    try:
        found = json.loads((folder / "credits.json").read_text(encoding="utf-8"))
        return {name: dict(credit) for name, credit in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}

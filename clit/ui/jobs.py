"""Files made on request: the whole picture, a zoom film, a comparison sheet. They take seconds to minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clit
from clit.errors import Cancelled
from clit.exports.compare import compare_pair
from clit.exports.figures import draw_comparison
from clit.exports.film import Film, predict_film_seconds, save_film
from clit.networks.model import SRModel
from clit.pictures.files import to_bytes
from clit.rendering.trial import predict_seconds
from clit.ui.entries import read_picture, read_run, read_token
from clit.ui.failures import Stale, describe_failure
from clit.ui.pictures import Picture
from clit.ui.requests import FileRequest, FilmRequest, PictureRequest, SheetRequest
from clit.ui.sessions import MadeFile
from clit.ui.site import Site

FILM_SECONDS, FILM_FPS = 6.0, 20
"""Length of the page's films, and frames a second."""

_STATE_SECONDS = 0.25  # how often the viewer hears how far a job is


class Progress:
    """How far a job is, and the event that stops it."""

    def __init__(self, stop: threading.Event):
        self.stop = stop
        self._done = 0.0
        self._first: tuple[float, float] | None = None  # what was done, and when, at the first report
        self._last = 0.0

    def report(self, done: float) -> None:
        """Note the share 0..1 that is done."""
        self._done, self._last = done, time.monotonic()
        self._first = self._first or (done, self._last)

    def is_stopped(self) -> bool:
        """Tell whether nobody waits for the file any more."""
        return self.stop.is_set()

    def describe(self) -> dict:
        """Return the state that the viewer hears; seconds_left is None until two reports tell the pace.

        What came before the first one, such as encoding the picture, comes once and tells nothing of it.
        """
        left = None
        if self._first and self._done > self._first[0]:
            pace = (self._last - self._first[1]) / (self._done - self._first[0])
            left = max(0.0, pace * (1 - self._done) - (time.monotonic() - self._last))
        return {"state": "running", "done": self._done, "seconds_left": left}


@dataclass(frozen=True)
class Job:
    """A file to be made at `path`. The renderer lets other visitors in between two tiles."""

    request: Any  # of the class that its kind reads
    picture: Picture
    models: dict[str, SRModel]
    path: Path
    renderer: clit.Renderer
    progress: Progress


def make_picture(job: Job) -> tuple[int, int]:
    """Write the whole output; return its size."""
    [model] = job.models.values()
    enlargement, progress = job.request.enlargement, job.progress
    return job.renderer.save(
        model, job.picture.in_8_bit, job.path, size=enlargement.size, chain=enlargement.chain,
        progress=progress.report, cancel=progress.is_stopped,
    )  # fmt: skip


def make_film(job: Job) -> tuple[int, int]:
    """Write a film, all methods side by side; return its frames' size."""
    request, progress = job.request, job.progress
    return save_film(
        job.models, job.picture.rgb, job.path, _film_of(request), chain=request.chain, renderer=job.renderer,
        progress=progress.report, cancel=progress.is_stopped,
    )  # fmt: skip


def predict_picture(request: PictureRequest, picture: Picture, models: dict[str, SRModel], suffix: str) -> float:
    """Return the seconds that `make_picture` takes, about."""
    [model] = models.values()
    return predict_seconds(model, model.view(picture.size, request.enlargement.size, chain=request.enlargement.chain))


def predict_film(request: FilmRequest, picture: Picture, models: dict[str, SRModel], suffix: str) -> float:
    """Return the seconds that `make_film` takes, about."""
    return predict_film_seconds(models, picture.rgb, suffix, _film_of(request), chain=request.chain)


def _film_of(request: FilmRequest) -> Film:
    return Film(1.0, request.end, request.about, request.side, FILM_SECONDS, FILM_FPS)


def make_sheet(job: Job) -> tuple[int, int]:
    """Write crops by every method as a figure, with scores where there is a truth; return the output's size."""
    enlargement, progress, truth = job.request.enlargement, job.progress, job.picture.truth
    crops = [(crop.top, crop.left, crop.height, crop.width) for crop in job.request.crops]
    found = compare_pair(
        job.models, job.picture.rgb, None if truth is None else to_bytes(truth), enlargement.scale, enlargement.size,
        crops=crops, chain=enlargement.chain, renderer=job.renderer,
        progress=progress.report, cancel=progress.is_stopped,
    )  # fmt: skip
    job.path.write_bytes(draw_comparison(found, job.path.suffix.removeprefix(".")))
    return enlargement.size


@dataclass(frozen=True)
class Kind:
    """A kind of file: its suffixes, what may be asked of it, what makes it, and what tells how long that takes."""

    suffixes: tuple[str, ...]
    request: type[PictureRequest] | type[FilmRequest] | type[SheetRequest]
    make: Callable[[Job], tuple[int, int]]
    predict: Callable[[Any, Picture, dict[str, SRModel], str], float] | None = None


KINDS = {
    "picture": Kind((".png",), PictureRequest, make_picture, predict_picture),
    "film": Kind((".webp", ".mp4", ".gif"), FilmRequest, make_film, predict_film),
    "sheet": Kind((".png", ".pdf", ".svg"), SheetRequest, make_sheet),
}


def predict_file(site: Site, sent: Any) -> dict:
    """Say how long a file will take: {as `make_file`} -> {seconds, or None where that is not known}."""
    session = site.session(read_token(sent))
    picture = session.open_picture(read_picture(sent))
    kind, suffix, request, models = _read_wish(site, sent, picture)
    if kind.predict is None:
        return {"seconds": None}
    with site.slots.take(lambda: session.is_stale(picture), "ahead"):
        return {"seconds": kind.predict(request, picture, models, suffix)}


def _read_wish(site: Site, sent: Any, picture: Picture) -> tuple[Kind, str, Any, dict[str, SRModel]]:
    """Read what file is asked for: its kind, suffix, request and methods."""
    wanted = FileRequest.read(sent, {name: kind.suffixes for name, kind in KINDS.items()})
    kind = KINDS[wanted.kind]
    request = kind.request.read(sent, picture, site.limits)
    return kind, wanted.suffix, request, {name: site.models.get(name) for name in request.models}


def make_file(site: Site, sent: Any) -> Iterator[dict]:
    """Make a file: {token, picture, run, kind, suffix, as the kind's request} -> states, each with the same `run`.

    First {"state": "running", "done" in 0..1, "seconds_left" or None} now and then; at last {"state": "done", "file"
    (the path it can be fetched under), "name", "bytes", "size"}, {"state": "stopped"} or {"state": "error", "error"}.
    A session has one such file: a new one stops and replaces it.
    """
    run = read_run(sent)
    try:
        for state in _make_file(site, sent):
            yield {"run": run, **state}
    except (Stale, Cancelled):
        yield {"run": run, "state": "stopped"}
    except Exception as error:
        yield {"run": run, "state": "error", **describe_failure(error)}


def _make_file(site: Site, sent: Any) -> Iterator[dict]:
    session = site.session(read_token(sent))
    picture = session.open_picture(read_picture(sent))
    kind, suffix, request, models = _read_wish(site, sent, picture)
    progress = Progress(session.start_making())
    renderer = site.renderer.in_turn(lambda: site.slots.take(progress.is_stopped))
    job = Job(request, picture, models, site.new_path(suffix), renderer, progress)
    yield progress.describe()
    making = run_in_thread(lambda: kind.make(job))
    try:
        while not wait([making], timeout=_STATE_SECONDS).done:
            session.last_asked = time.monotonic()
            yield progress.describe()
    except GeneratorExit:
        progress.stop.set()  # nobody listens any more
        raise
    size = making.result()
    file = MadeFile(job.path, f"{Path(picture.name).stem}-{request.label}{suffix}")
    site.keep_file(session, file, progress.stop)
    length = file.path.stat().st_size
    yield {"state": "done", "file": f"made/{file.path.name}", "name": file.name, "bytes": length, "size": list(size)}


def run_in_thread(function: Callable[[], Any]) -> Future:
    """Call a function on a thread of its own, which does not keep the server from ending."""
    future: Future = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="clit-make", daemon=True).start()
    return future

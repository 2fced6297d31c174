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
from clit.exports.compare import compare_pair, predict_pair_seconds
from clit.exports.figures import draw_comparison, predict_comparison_seconds
from clit.exports.film import Film, predict_film_seconds, save_film
from clit.networks.model import SRModel
from clit.pictures.files import to_bytes
from clit.system.apart import run_apart
from clit.system.turns import Turn
from clit.ui.entries import read_picture, read_run, read_token
from clit.ui.failures import Stale, describe_failure
from clit.ui.pictures import Picture
from clit.ui.requests import FileRequest, FilmRequest, PictureRequest, SheetRequest
from clit.ui.sessions import MadeFile, Session
from clit.ui.site import Site

FILM_SECONDS, FILM_FPS = 6.0, 20
"""Length of the page's films, and frames a second."""

_STATE_SECONDS = 0.25  # how often the viewer hears how far a job is
_TRUST = 0.1  # what is expected of a job counts as if it had been seen of this share of it


class Progress:
    """How far a job is, and the event that stops it."""

    def __init__(self, stop: threading.Event):
        self.stop = stop
        self._expected: float | None = None  # seconds of all of it
        self._start = self._last = 0.0  # when it began, and when it last reported
        self._done = 0.0

    def begin(self, expected: float) -> None:
        """Note that the job begins, and the seconds that it is expected to take."""
        self._start = self._last = time.monotonic()
        self._expected = expected

    def report(self, done: float) -> None:
        """Note the share 0..1 that is done."""
        self._done, self._last = done, time.monotonic()

    def is_stopped(self) -> bool:
        """Tell whether nobody waits for the file any more."""
        return self.stop.is_set()

    def describe(self) -> dict:
        """Return the state that the viewer hears; seconds_left is None before the job begins.

        At first the whole takes what is expected; what is done then tells more and more of it.
        """
        left = None
        if self._expected is not None:
            whole = (self._last - self._start + _TRUST * self._expected) / (self._done + _TRUST)
            left = max(0.0, whole * (1 - self._done) - (time.monotonic() - self._last))
        return {"state": "running", "done": self._done, "seconds_left": left}


@dataclass(frozen=True)
class Job:
    """A file that is asked for."""

    suffix: str
    request: Any  # of the class that its kind reads
    picture: Picture
    models: dict[str, SRModel]

    @property
    def key(self) -> tuple:
        """What tells it from other files of the same visitor."""
        return self.suffix, self.request, self.picture.id


Make = Callable[[Job, clit.Renderer, Path, Progress], tuple[int, int]]
Predict = Callable[[Job, clit.Renderer, Turn], float]
"""Renders a little within a turn, to see how long that takes."""


def make_picture(job: Job, renderer: clit.Renderer, path: Path, progress: Progress) -> tuple[int, int]:
    """Write the whole output; return its size."""
    [model] = job.models.values()
    enlargement = job.request.enlargement
    return renderer.save(
        model, job.picture.in_8_bit, path, size=enlargement.size, chain=enlargement.chain,
        progress=progress.report, cancel=progress.is_stopped,
    )  # fmt: skip


def predict_picture(job: Job, renderer: clit.Renderer, turn: Turn) -> float:
    """Return the seconds that `make_picture` will take."""
    [model] = job.models.values()
    enlargement = job.request.enlargement
    view = model.view(job.picture.size, enlargement.size, chain=enlargement.chain)
    with turn():
        return renderer.predict_seconds(job.picture.rgb, [(model, [view])])


def make_film(job: Job, renderer: clit.Renderer, path: Path, progress: Progress) -> tuple[int, int]:
    """Write a film, all methods side by side; return its frames' size."""
    return save_film(
        job.models, job.picture.rgb, path, _film_of(job.request), chain=job.request.chain, renderer=renderer,
        progress=progress.report, cancel=progress.is_stopped,
    )  # fmt: skip


def predict_film(job: Job, renderer: clit.Renderer, turn: Turn) -> float:
    """Return the seconds that `make_film` will take."""
    film, chain = _film_of(job.request), job.request.chain
    with turn():
        return predict_film_seconds(job.models, job.picture.rgb, job.suffix, film, chain=chain, renderer=renderer)


def _film_of(request: FilmRequest) -> Film:
    return Film(1.0, request.end, request.about, request.side, FILM_SECONDS, FILM_FPS)


def make_sheet(job: Job, renderer: clit.Renderer, path: Path, progress: Progress) -> tuple[int, int]:
    """Write crops by every method as a figure, with scores where there is a truth; return the output's size."""
    enlargement, truth = job.request.enlargement, job.picture.truth
    found = compare_pair(
        job.models, job.picture.rgb, None if truth is None else to_bytes(truth), enlargement.scale, enlargement.size,
        crops=_crops_of(job.request), chain=enlargement.chain, renderer=renderer,
        progress=progress.report, cancel=progress.is_stopped,
    )  # fmt: skip
    path.write_bytes(run_apart(draw_comparison, found, path.suffix.removeprefix("."), cancel=progress.is_stopped))
    return enlargement.size


def predict_sheet(job: Job, renderer: clit.Renderer, turn: Turn) -> float:
    """Return the seconds that `make_sheet` will take."""
    enlargement, scored, crops = job.request.enlargement, job.picture.truth is not None, _crops_of(job.request)
    options = {"crops": crops, "chain": enlargement.chain, "renderer": renderer}
    with turn():
        rendering = predict_pair_seconds(job.models, job.picture.rgb, scored, enlargement.size, **options)
    panels = (len(job.models) + scored) * max(1, len(crops))
    return rendering + run_apart(predict_comparison_seconds, panels, job.suffix.removeprefix("."))


def _crops_of(request: SheetRequest) -> list[tuple[int, int, int, int]]:
    return [(crop.top, crop.left, crop.height, crop.width) for crop in request.crops]


@dataclass(frozen=True)
class Kind:
    """A kind of file: its suffixes, what may be asked of it, what makes it, and what tells how long that takes."""

    suffixes: tuple[str, ...]
    request: type[PictureRequest] | type[FilmRequest] | type[SheetRequest]
    make: Make
    predict: Predict


KINDS = {
    "picture": Kind((".png",), PictureRequest, make_picture, predict_picture),
    "film": Kind((".webp", ".mp4", ".gif"), FilmRequest, make_film, predict_film),
    "sheet": Kind((".png", ".pdf", ".svg"), SheetRequest, make_sheet, predict_sheet),
}


def predict_file(site: Site, sent: Any) -> dict:
    """Say how long a file will take: {as `make_file`} -> {seconds}."""
    session = site.session(read_token(sent))
    kind, job = _read_job(site, session, sent)
    with site.line.join(session.token, "ahead", lambda: session.is_stale(job.picture)) as place:
        seconds = kind.predict(job, site.renderer, place.turn)
    session.expected = job.key, seconds
    return {"seconds": seconds}


def _read_job(site: Site, session: Session, sent: Any) -> tuple[Kind, Job]:
    """Read what file is asked for, and its kind."""
    picture = session.open_picture(read_picture(sent))
    wanted = FileRequest.read(sent, {name: kind.suffixes for name, kind in KINDS.items()})
    kind = KINDS[wanted.kind]
    request = kind.request.read(sent, picture, site.limits)
    return kind, Job(wanted.suffix, request, picture, {name: site.models.get(name) for name in request.models})


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
    kind, job = _read_job(site, session, sent)
    progress, path = Progress(session.start_making()), site.new_path(job.suffix)

    def make() -> tuple[int, int]:
        with site.line.join(session.token, "file", progress.is_stopped) as place:
            expected = session.expected
            if expected is None or expected[0] != job.key:  # it was not asked how long it will take
                expected = job.key, kind.predict(job, site.renderer, place.turn)
            progress.begin(expected[1])
            return kind.make(job, site.render_at(place), path, progress)

    yield progress.describe()
    making = run_in_thread(make)
    try:
        while not wait([making], timeout=_STATE_SECONDS).done:
            session.last_asked = time.monotonic()
            yield progress.describe()
    except GeneratorExit:
        progress.stop.set()  # nobody listens any more
        site.line.drop_stale()
        raise
    size = making.result()
    file = MadeFile(path, f"{Path(job.picture.name).stem}-{job.request.label}{job.suffix}")
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

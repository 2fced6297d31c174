"""Whole folders: one picture after another, past bad files, and on from where a stopped run ended."""

from __future__ import annotations

import csv
import io
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from clit.errors import UserError
from clit.exports.jobs import Failure, Found, Job, find_jobs
from clit.exports.manifest import Fingerprint, Manifest, digest_model, lock
from clit.geometry import check_scale, check_size, resolve_size, whole_numbers
from clit.networks import compiling
from clit.networks.model import SRModel, check_model
from clit.pictures.files import WRITTEN, list_losses, read_image
from clit.rendering.renderer import Renderer
from clit.system.atomic import write_bytes

FAILURES = "failures.csv"
"""File in the output folder that lists what a run could not do."""


class Made(NamedTuple):
    """A file that is made, but has not got its name yet.

    part: where it is. source, result: what its input was, and what it is. notices: see `Work`.
    """

    job: Job
    part: str
    source: Fingerprint
    result: Fingerprint
    notices: tuple[str, ...]


@dataclass
class Summary:
    """What a run did.

    written: files made. kept: files that an earlier run had made. failures: what could not be done. notices: number
    of pictures by what was approximated or lost in them. left_out: number of files of no known ending, by ending.
    """

    written: int = 0
    kept: int = 0
    failures: list[Failure] = field(default_factory=list)
    notices: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


Share = Callable[[float], None]

Work = Callable[[str, str, Share], Iterable[str]]
"""Makes one file: work(source, path to write, progress). Returns notices: sentences on what was lost."""

Outcomes = Generator[Made | Failure, None, None]

Engine = Callable[[list[Job], str, Callable[[str, float], None]], Outcomes]
"""Does jobs in any order: engine(jobs, folder for unfinished files, report of a source's share done)."""


def upscale_folder(
    model: SRModel,
    inputs: str | os.PathLike | Sequence[str | os.PathLike],
    out: str | os.PathLike,
    scale: float | None = None,
    *,
    size: tuple[int, int] | None = None,
    format: str | None = None,
    chain: str = "published",
    stages: int | None = None,
    wrap: bool = False,
    strip: bool = False,
    strict: bool = False,
    ray: str | None = None,
    actors: int | None = None,
    progress: Callable[[float], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> Summary:
    """Enlarge whole folders of pictures. Other arguments as for `Renderer.save`.

    inputs: one or several folders (with all below them), files, and patterns such as "scans/**/*.tif". out: a folder;
    it keeps the tree of each input folder. format: ending of the files to write ("png", "tiff", ...); by default that
    of the input, and PNG where that cannot be written. strict: refuse a JPEG or PNG whose end is missing. ray: "local"
    for a Ray on this machine, or the address of a Ray cluster, whose machines must all see `inputs` and `out`. actors:
    number of CPUs that Ray uses; all by default. progress(done) is called with the share done, 0..1, report(line) with
    each failure.

    Files that an earlier run made with the same input, weights and settings are kept. A picture that fails is listed
    in `failures.csv` in `out`, and the others go on. UserError, before any work, for wrong arguments, for two inputs
    that would become one output, and while another run writes into `out`.
    """
    check_model(model)
    if size is None or scale is not None:
        resolve_size(1, 1, scale, size)  # its sentences for both, and for neither
    model.view((1, 1), (1, 1), None, chain, stages, wrap)
    options = {
        "scale": None if scale is None else check_scale(scale),
        "size": None if size is None else check_size(size),
        "chain": chain,
        "stages": None if stages is None else int(stages),
        "wrap": bool(wrap),
        "strip": bool(strip),
    }  # plain numbers: the manifest holds them
    if format is not None:
        check_format(format, WRITTEN)
    if actors is not None and (ray is None or whole_numbers([actors], 1) is None or actors < 1):
        raise UserError(f"The number of actors is {actors}: give a whole number from 1, and only together with Ray.")
    found = find_jobs(inputs, out, lambda ending: _written_ending(ending, format))
    if ray is None:
        engine = one_by_one(upscale_work(model, options, strict))
    else:
        from clit.exports.cluster import over_cluster

        engine = over_cluster(model, options, ray, actors, strict=strict)
    settings = {"command": "upscale", "weights": digest_model(model), "strict": strict, **options}
    return process(found, out, settings, engine, progress=progress, report=report)


def check_format(format: str, endings: Iterable[str]) -> str:
    """Return the ending of a format ("png"); UserError if it is none of `endings` (".png", ...)."""
    if f".{format}" not in endings:
        known = ", ".join(ending[1:] for ending in endings)
        raise UserError(f'The format is "{format}", but must be one of {known}.')
    return f".{format}"


def _written_ending(ending: str, format: str | None) -> str:
    if format is not None:
        return f".{format}"
    return ending if ending.lower() in WRITTEN else ".png"


def upscale_work(model: SRModel, options: Mapping[str, Any], strict: bool = False) -> Work:
    """Return what enlarges one picture. options: of `Renderer.save`. strict: refuse one whose end is missing."""
    compiling.wait()  # with them colours differ by 1e-7: one run should not be made half of each

    def work(source: str, path: str, progress: Share) -> Iterable[str]:
        picture = read_image(source, strict=strict)
        Renderer().save(model, picture, path, progress=progress, **options)  # a new one: keeps no features
        return (*picture.notices, *list_losses(path, picture, options.get("strip", False)))

    return work


def make_folder(
    inputs: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    ending: str,
    settings: Mapping[str, Any],
    work: Work,
    *,
    progress: Callable[[float], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> Summary:
    """Make one file with an ending (".png") of every picture; `upscale_folder` says the rest.

    settings: what decides the files besides the inputs.
    """
    found = find_jobs(inputs, out, lambda _: ending)
    return process(found, out, settings, one_by_one(work), progress=progress, report=report)


def one_by_one(work: Work) -> Engine:
    """Return an engine that does one job after another here."""

    def run(jobs: list[Job], parts: str, share: Callable[[str, float], None]) -> Outcomes:
        for job in jobs:
            yield make(job, parts, work, lambda done, source=job.source: share(source, done))

    return run


def make(job: Job, parts: str, work: Work, progress: Share) -> Made | Failure:
    """Do a job, into a new file in the folder `parts`."""
    part = new_part(job, parts)
    try:
        before = Fingerprint.of(job.source)  # first: a change while the file is read is seen by the next run
        notices = work(job.source, part, progress)
        return Made(job, part, before, Fingerprint.of(part), tuple(notices))
    except Exception as error:  # whatever is wrong with one file, the others are not held up
        return Failure(job.source, explain(error))


def new_part(job: Job, parts: str) -> str:
    """Return a new path in the folder `parts`, with the output's ending."""
    return os.path.join(parts, uuid.uuid4().hex + os.path.splitext(job.output)[1])


def explain(error: Exception) -> str:
    """Return in one sentence why a file could not be done."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'A file'} cannot be used: {error.strerror or error}."
    if isinstance(error, MemoryError):
        return "There is not enough memory for this picture: choose a smaller scale."
    return f"This failed: {type(error).__name__}: {error}"


def process(
    found: Found,
    out: str | os.PathLike,
    settings: Mapping[str, Any],
    engine: Engine,
    *,
    progress: Callable[[float], None] | None = None,
    report: Callable[[str], None] | None = None,
) -> Summary:
    """Do jobs that are not done yet, and write `failures.csv` into the folder `out`, or remove an old one.

    settings: what decides the outputs besides the inputs. UserError while another run writes into `out`.
    """
    out, tell = Path(os.path.abspath(out)), report or (lambda line: None)
    summary = Summary(failures=list(found.failures), left_out=found.left_out)
    with lock(out) as own, _empty_folder(own / "parts") as parts, closing(Manifest(out, settings)) as manifest:
        jobs = [job for job in found.jobs if not manifest.has_done(*job)]
        summary.kept = len(found.jobs) - len(jobs)
        meter = _Meter(jobs, progress)
        with closing(engine(jobs, str(parts), meter.share)) as outcomes:
            for outcome in outcomes:
                if isinstance(outcome, Made):
                    outcome = _keep(outcome, out, manifest)
                if isinstance(outcome, Made):
                    summary.written += 1
                    summary.notices.update(outcome.notices)
                    meter.share(outcome.job.source, 1)
                else:
                    summary.failures.append(outcome)
                    tell(outcome.reason if outcome.source in outcome.reason else f"{outcome.source}: {outcome.reason}")
                    meter.share(outcome.source, 1)
        _write_failures(out / FAILURES, summary.failures)
    return summary


def _keep(made: Made, out: Path, manifest: Manifest) -> Made | Failure:
    """Record a made file, then give it its name. OSError, which ends the run, if the folder takes no more."""
    target = out / made.job.output
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise UserError(f"{target} is a folder: the picture cannot be written there.")
    except (OSError, UserError) as error:
        return Failure(made.job.source, explain(error))
    manifest.add(made.job.output, made.source, made.result)
    os.replace(made.part, target)
    return made


class _Meter:
    """The share done of jobs, by their inputs' bytes: a large picture takes longer than a small one."""

    def __init__(self, jobs: list[Job], progress: Callable[[float], None] | None):
        self._bytes = {job.source: _file_size(job.source) for job in jobs} if progress else {}
        self._total = sum(self._bytes.values())
        self._shares: dict[str, float] = {}
        self._done = 0
        self._progress = progress

    def share(self, source: str, share: float) -> None:
        """Say that a source is done to a share 0..1; 1 is final."""
        if self._progress is None:
            return
        if share < 1:
            self._shares[source] = share
        else:
            self._shares.pop(source, None)
            self._done += self._bytes.pop(source, 0)
        begun = sum(self._bytes.get(at, 0) * part for at, part in self._shares.items())
        self._progress(min(1, (self._done + begun) / self._total))


def _file_size(path: str) -> int:
    try:
        return os.path.getsize(path) + 1000  # something for an empty one
    except OSError:
        return 1000


@contextmanager
def _empty_folder(path: Path) -> Iterator[Path]:
    """Yield a folder for unfinished files, emptied of what a dead run has left; remove it at the end."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _write_failures(path: Path, failures: Sequence[Failure]) -> None:
    if not failures:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("input", "reason"))
    writer.writerows(failures)
    write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"))

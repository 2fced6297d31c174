"""What becomes what: the files that folders, files and patterns stand for, and where their outputs go."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from clit.errors import UserError
from clit.pictures.readers.formats import READ_ENDINGS

_PATTERN = frozenset("*?[")


class Job(NamedTuple):
    """A file to make: of an absolute path, a path relative to the output folder."""

    source: str
    output: str


class Failure(NamedTuple):
    """What could not be done, and why, in one sentence."""

    source: str
    reason: str


class Found(NamedTuple):
    """jobs: in the order of their names. left_out: number of files of no known ending, by ending. failures: folders
    that could not be listed."""

    jobs: list[Job]
    left_out: Counter[str]
    failures: list[Failure]


def find_jobs(
    inputs: str | os.PathLike | Sequence[str | os.PathLike], out: str | os.PathLike, ending: Callable[[str], str]
) -> Found:
    """Return what is to be made of one or several files, folders and patterns in the folder `out`.

    ending: the output's ending by the input's. A folder's tree is kept below `out`; so is that of a pattern, from its
    first part with a wildcard on; a file comes to lie in `out` itself. Hidden files, `out` itself, and links to folders
    are passed over. UserError for inputs that are not there, for two that would become one output, and for an output
    that is an input.
    """
    found = Found([], Counter(), [])
    inputs = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    if not isinstance(inputs, Sequence) or not all(isinstance(path, str | os.PathLike) for path in (*inputs, out)):
        raise UserError("The inputs and the output folder must be paths.")
    if os.path.exists(out) and not os.path.isdir(out):
        raise UserError(f"{out} is a file: give a folder to write into.")
    sources: dict[str, str] = {}  # output -> source
    real: set[str] = set()  # inputs without links on the way
    for given in inputs:
        given = os.fspath(given)
        root, names = _list(given, out, found)
        at = os.path.realpath(root)
        for name in names:
            if os.path.join(at, name) in real:  # named twice
                continue
            real.add(os.path.join(at, name))
            stem, suffix = os.path.splitext(name)
            job = Job(os.path.join(os.path.abspath(root), name), Path(stem + ending(suffix)).as_posix())
            other = sources.setdefault(job.output, job.source)
            if other != job.source:
                raise UserError(
                    f"{other} and {job.source} would both become {job.output}: rename one, choose another format, or "
                    "give each its own output folder."
                )
            found.jobs.append(job)
    target = os.path.realpath(out)
    for job in found.jobs:
        if os.path.join(target, *job.output.split("/")) in real:
            raise UserError(f"The output {job.output} in {out} is an input itself: choose another output folder.")
    if not found.jobs and not found.failures:
        raise UserError(f"There are no pictures in {', '.join(map(str, inputs))}.")
    return found


def is_pattern(given: str) -> bool:
    """Tell whether an input is a pattern: there is no such file, and it has a wildcard."""
    return not os.path.exists(given) and bool(_PATTERN & set(given))


def _list(given: str, out: str | os.PathLike, found: Found) -> tuple[str, Iterable[str]]:
    """Return a root and the paths of files below it, sorted, that an input stands for."""
    if os.path.isdir(given):
        if os.path.realpath(given) == os.path.realpath(out):
            raise UserError(f"The folder {given} is input and output: choose another output folder.")
        return given, _walk(given, out, found)
    if os.path.exists(given):
        return os.path.split(given)[0], [os.path.basename(given)]
    if not is_pattern(given):
        raise UserError(f"There is no file or folder {given}.")
    parts = Path(given).parts
    first = next(i for i, part in enumerate(parts) if _PATTERN & set(part))
    root = os.path.join(*parts[:first]) if first else ""
    below = os.path.join(*parts[first:])
    names = sorted(glob.glob(below, root_dir=root or None, recursive=True))
    written = os.path.join(os.path.realpath(out), "")
    paths = (os.path.join(root, name) for name in names)
    names = [
        name
        for name, path in zip(names, paths, strict=True)
        if os.path.isfile(path) and not os.path.realpath(path).startswith(written)
    ]
    if not names:
        raise UserError(f'No file is of the pattern "{given}".')
    return root, names


def _walk(folder: str, out: str | os.PathLike, found: Found) -> Iterator[str]:
    def note(error: OSError) -> None:
        found.failures.append(Failure(str(error.filename), f"The folder cannot be listed: {error.strerror}."))

    target = os.path.realpath(out)
    for here, folders, files in os.walk(folder, onerror=note):
        kept = (name for name in sorted(folders) if not name.startswith("."))
        folders[:] = [name for name in kept if os.path.realpath(os.path.join(here, name)) != target]
        for name in sorted(files):
            ending = os.path.splitext(name)[1].lower()
            if name.startswith("."):
                continue
            if ending in READ_ENDINGS:
                yield os.path.relpath(os.path.join(here, name), folder)
            else:
                found.left_out[ending or name] += 1

"""Write a folder anew: what an earlier call wrote there goes, and all else stays."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from clit.system.atomic import exit_on_sigterm, write_bytes

LIST = "files.txt"


@contextmanager
def rewrite_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write into. At the end its files replace all that an earlier call wrote in `folder`.

    LIST in `folder` says what a call wrote, a path a line. Files that it does not name stay, unless one of the same
    name is written. Where the caller fails, or SIGTERM ends it, all is as it was. OSError or UserError if a file cannot
    be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exit_on_sigterm(), tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as made:
        yield Path(made)
        new = {path.relative_to(made).as_posix() for path in Path(made).rglob("*") if path.is_file()}
        old = _read_list(folder)
        _write_list(folder, old | new)  # first: if this is cut short, the next call knows what may be there
        for name in new:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(Path(made) / name, folder / name)
        for name in old - new:
            _remove(folder, name)
        _write_list(folder, new)


def _read_list(folder: Path) -> set[str]:
    """Return the paths that an earlier call wrote; those that would lead out of the folder are none of them."""
    if not (folder / LIST).is_file():
        return set()
    paths = map(PurePosixPath, (folder / LIST).read_text(encoding="utf-8", errors="replace").splitlines())
    return {str(path) for path in paths if path.parts and not path.is_absolute() and ".." not in path.parts}


def _write_list(folder: Path, names: set[str]) -> None:
    write_bytes(folder / LIST, "".join(f"{name}\n" for name in sorted(names)).encode())


def _remove(folder: Path, name: str) -> None:
    """Remove a file, and the folders that become empty by that."""
    (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # one is not empty
        for parent in PurePosixPath(name).parents:
            if parent.parts:
                (folder / parent).rmdir()

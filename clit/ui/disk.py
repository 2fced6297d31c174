"""The server's folder on disk: all that it writes lies there, within a quota, and is swept."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from clit.errors import UserError
from clit.ui.limits import Limits

BASE = Path(os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir())
"""Where servers make their folders."""

_PREFIX = "clit-page-"
_NO_ROOM = "The server has no room for this file now: try again in some minutes."


def make_folder(base: Path = BASE) -> Path:
    """Make a folder of this server's own, which goes when the program ends; delete those of servers that were killed.

    A server holds a lock beside its folder, which the system frees however it ends. UserError where none can be made.
    """
    try:
        base.mkdir(parents=True, exist_ok=True)
        for lock in base.glob(f"{_PREFIX}*.lock"):
            with contextlib.suppress(Timeout, OSError), FileLock(lock, timeout=0):
                _delete(lock)
        folder = base / f"{_PREFIX}{secrets.token_hex(8)}"
        lock = folder.with_suffix(".lock")
        held = FileLock(lock, timeout=0)
        held.acquire()
        folder.mkdir(mode=0o700)
    except (OSError, Timeout) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{base} cannot be written ({reason}): set GRADIO_TEMP_DIR to a folder that can.") from None

    def end() -> None:
        _delete(lock)
        held.release()

    atexit.register(end)
    return folder


def _delete(lock: Path) -> None:
    shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    lock.unlink(missing_ok=True)


class Disk:
    """A folder with a quota. What fails there is a UserError of one sentence, and may succeed the next time."""

    def __init__(self, folder: Path, limits: Limits):
        self.folder = folder
        self._limits = limits

    def new_path(self, suffix: str) -> Path:
        """Return where to write a file; nobody can guess its name. UserError if there is no room."""
        self._make_room(self._limits.file_room)
        return self.folder / f"{secrets.token_urlsafe(18)}{suffix}"

    def keep(self, file: BinaryIO, length: int) -> Path:
        """Write what a visitor sent, of so many bytes, to a path of its own; two that send the same do not share it."""
        self._make_room(length)
        path = self.folder / secrets.token_urlsafe(18)
        try:
            with path.open("wb") as out:
                shutil.copyfileobj(file, out)
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            raise UserError(_NO_ROOM) from None
        return path

    def sweep(self, kept: Collection[Path] = (), seconds: float | None = None) -> None:
        """Delete files that are older than `seconds`, and empty folders, but nothing that is kept."""
        before = time.time() - (self._limits.file_seconds if seconds is None else seconds)
        for path, stat in list(self._files()):
            if stat.st_mtime < before and stat.st_ctime < before and path not in kept:
                with contextlib.suppress(OSError):
                    path.unlink()
        for folder, _, _ in os.walk(self.folder, topdown=False):
            with contextlib.suppress(OSError):  # it is not empty
                if folder != str(self.folder) and os.stat(folder).st_mtime < before:
                    os.rmdir(folder)

    def count_bytes(self) -> int:
        """Return the bytes of all files."""
        return sum(stat.st_size for _, stat in self._files())

    def _make_room(self, length: int) -> None:
        """Raise a UserError if the folder may not or cannot hold so many bytes more."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = min(shutil.disk_usage(self.folder).free, self._limits.disk_bytes - self.count_bytes())
        except OSError:
            raise UserError(_NO_ROOM) from None
        if length > free or not os.access(self.folder, os.W_OK):
            raise UserError(_NO_ROOM)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with contextlib.suppress(OSError):  # it has gone meanwhile
                    path = Path(folder, name)
                    yield path, path.lstat()

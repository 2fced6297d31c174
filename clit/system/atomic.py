"""Write files atomically: a file appears complete or not at all."""

from __future__ import annotations

import os
import signal
import stat
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from clit.errors import UserError


@contextmanager
def open_atomic(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` for writing, and move it to `path` at the end.

    The file at `path` is either the old one or the complete new one, at every moment. A replaced file's mode is kept,
    and a link stays a link. After an error, or when SIGTERM arrives, the temporary file is removed.
    UserError if the file cannot be written.
    """
    try:
        target = Path(os.path.realpath(path))
        part = target.with_name(f".{uuid.uuid4().hex[:12]}.part")  # short: the target's name may be as long as allowed
        with exit_on_sigterm():
            try:
                with part.open("w+b") as file:
                    yield file
                    file.flush()
                    with suppress(OSError):
                        os.chmod(part, stat.S_IMODE(os.stat(target).st_mode))
                    os.fsync(file.fileno())
                os.replace(part, target)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None


@contextmanager
def exit_on_sigterm() -> Iterator[None]:
    """Let SIGTERM raise SystemExit, so that clean-up runs. Only the main thread can ask for it.

    A handler that the program has set itself stays.
    """
    on_main = threading.current_thread() is threading.main_thread()
    if not on_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def leave(*_) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a file atomically; UserError if that fails."""
    with open_atomic(path) as file:
        file.write(data)

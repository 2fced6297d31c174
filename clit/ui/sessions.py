"""One visitor: the picture that is open, the newest view of each pane, and the file being made."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clit.errors import UserError
from clit.ui.failures import Stale
from clit.ui.pictures import Picture
from clit.ui.requests import Series, ViewRequest


@dataclass(frozen=True)
class MadeFile:
    """A finished file on disk, and the name to save it under. The path's own name is secret."""

    path: Path
    name: str


@dataclass(eq=False)
class Session:
    """One opened page, from `begin` until it is left or idle for too long."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    last_asked: float = field(default_factory=time.monotonic)
    address: str | None = None  # from which it was begun
    questions: int = 0  # being answered
    picture: Picture | None = None
    uploaded: bool = False  # whether the visitor brought the picture
    file: MadeFile | None = None
    stop: threading.Event = field(default_factory=threading.Event)  # of the file being made
    traces: Any = None  # attributions of the pixel last asked about, see `tracing`
    expected: tuple[Any, float] | None = None  # the file last asked about, and the seconds that it will take
    shares: dict[Series, float] = field(default_factory=dict)  # series of views -> how much of one being drawn is done
    _newest: dict[Series, int] = field(default_factory=dict)  # series of views -> number of the newest
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open_picture(self, picture_id: str | None) -> Picture:
        """Return the picture that is open; Stale if it is not the one asked about, UserError if there is none."""
        picture = self.picture
        if picture is None:
            raise UserError("No picture is open: choose an example or upload one.")
        if picture_id != picture.id:
            raise Stale
        return picture

    def note_view(self, view: ViewRequest) -> None:
        """Remember a view that was asked for: older ones of its series become stale. Views drawn ahead do not count."""
        if view.kind != "ahead":
            with self._lock:
                self._newest[view.series] = max(self._newest.get(view.series, 0), view.wanted)

    def is_stale(self, picture: Picture, view: ViewRequest | None = None) -> bool:
        """Tell whether the visitor has moved on to another picture, or to a newer view than this one."""
        if self.picture is not picture:
            return True
        return view is not None and view.kind != "ahead" and self._newest.get(view.series, 0) > view.wanted

    def start_making(self) -> threading.Event:
        """Stop the file being made, if there is one; return the event that will stop the next one."""
        self.stop.set()
        self.stop = threading.Event()
        return self.stop

    def forget_file(self) -> None:
        """Delete the finished file, if there is one."""
        if self.file is not None:
            with contextlib.suppress(OSError):  # the folder's sweep deletes it later
                self.file.path.unlink(missing_ok=True)
            self.file = None

    def end(self) -> None:
        """Stop and forget everything."""
        self.stop.set()
        self.picture = self.traces = None
        self.forget_file()

"""All visitors of one server, and what they share: models, examples, the renderer, the line, the disk."""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

import clit
from clit.rendering.renderer import Renderer
from clit.rendering.tiles import Pace
from clit.ui.examples import Examples
from clit.ui.failures import Expired, Stale
from clit.ui.limits import Limits
from clit.ui.line import Line, Place
from clit.ui.models import Models
from clit.ui.pictures import Picture
from clit.ui.sessions import MadeFile, Session


class Site:
    """Who is here, and what they share. Safe to share between threads.

    examples: see `Examples`. uploads: the folder that receives what visitors bring.
    """

    def __init__(self, examples: Path, uploads: Path, limits: Limits | None = None):
        self.limits = limits or Limits()
        self.examples = Examples(examples)
        self.uploads = uploads
        self.models = Models()
        self.renderer = clit.Renderer(self.limits.memory_bytes)
        room = {"preview": self.limits.previews, "exact": self.limits.views}
        self.line = Line(room)
        self.desk = Line(room)  # for what is no rendering and cannot be cut: reading a file, drawing a figure
        self._pace = Pace()
        self.began = time.monotonic()
        self._sessions: dict[str, Session] = {}  # by token; who asked last comes last
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="clit-page-")
        self._program_files: deque[Path] = deque()  # oldest first

    def begin(self) -> Session:
        """Return a new session; the longest idle one ends if there are too many."""
        self.sweep()
        session = Session()
        with self._lock:
            while len(self._sessions) >= self.limits.visits:
                self._end(next(iter(self._sessions)))
            self._sessions[session.token] = session
        return session

    def session(self, token: str) -> Session:
        """Return the session with this token, whose visitor now asks something; Expired if there is none."""
        with self._lock:
            session = self._sessions.pop(token, None)
            if session is None:
                raise Expired
            session.last_asked = time.monotonic()
            self._sessions[token] = session
            return session

    def end(self, token: str) -> None:
        """Forget the session with this token, if there is one, and everything it brought."""
        with self._lock:
            self._end(token)

    def sweep(self) -> None:
        """Forget sessions that have been idle for too long."""
        now = time.monotonic()
        with self._lock:
            idle = [t for t, each in self._sessions.items() if now - each.last_asked > self.limits.visit_seconds]
            for token in idle:
                self._end(token)

    def _end(self, token: str) -> None:
        session = self._sessions.pop(token, None)
        if session is not None:
            session.end()
            self.line.drop_stale()

    def render_at(self, place: Place) -> Renderer:
        """Return the renderer for what is drawn at a place in line: turn by turn, in small tiles."""
        return self.renderer.in_turn(place.turn, self._pace, place.is_shared)

    def show(self, session: Session, picture: Picture, uploaded: bool) -> dict:
        """Open a picture in a session; return what the viewer hears of it.

        The longest idle sessions end if uploads take too much memory.
        """
        with self._lock:
            session.picture, session.uploaded = picture, uploaded
            self.line.drop_stale()
            total = sum(each.picture.nbytes for each in self._sessions.values() if each.uploaded and each.picture)
            for token, other in list(self._sessions.items()):
                if total <= self.limits.picture_bytes:
                    break
                if other is not session and other.uploaded and other.picture:
                    total -= other.picture.nbytes
                    self._end(token)
        answer = picture.answer
        self._fit_memory()
        return answer

    # Memory

    def count_bytes(self) -> dict[str, int]:
        """Return the bytes that are held, by kind: features, maps, images, pictures, examples, answers."""
        with self._lock:
            sessions = list(self._sessions.values())
        open_now = {id(each): each for session in sessions if (each := session.picture)}.values()
        brought = {id(each): each for session in sessions if session.uploaded and (each := session.picture)}.values()
        return {
            **self.renderer.count_bytes(),
            "pictures": sum(each.nbytes for each in brought),
            "examples": self.examples.count_bytes(),
            "answers": sum(each.answer_bytes for each in open_now),
        }

    def count_visits(self) -> int:
        """Return the number of sessions."""
        return len(self._sessions)

    def count_files(self) -> int:
        """Return the number of finished files that are kept, of visitors and of programs."""
        with self._lock:
            return sum(each.file is not None for each in self._sessions.values()) + len(self._program_files)

    def _fit_memory(self) -> None:
        """Leave to the renderer what pictures and answers leave of the budget, and at least a quarter."""
        held = self.count_bytes()
        others = held["pictures"] + held["examples"] + held["answers"]
        self.renderer.set_cache_bytes(max(self.limits.memory_bytes // 4, self.limits.memory_bytes - others))

    # Files

    def new_path(self, suffix: str) -> Path:
        """Return where to write a file; nobody can guess its name."""
        return Path(self._folder.name) / f"{secrets.token_urlsafe(18)}{suffix}"

    def keep_file(self, session: Session, file: MadeFile, stop: threading.Event) -> None:
        """Keep a finished file until its session makes another, or until there are too many.

        Stale, and the file is deleted, if it was stopped or the session is over.
        """
        with self._lock:
            if stop.is_set() or session.token not in self._sessions:
                file.path.unlink(missing_ok=True)
                raise Stale
            others = [each for each in self._sessions.values() if each.file is not None and each is not session]
            for old in [session, *others[: max(0, len(others) - self.limits.made_files + 1)]]:
                old.forget_file()
            session.file = file

    def made_file(self, name: str) -> MadeFile | None:
        """Return the finished file whose path has this secret name; None if there is none."""
        with self._lock:
            for session in self._sessions.values():
                file = session.file
                if file is not None and secrets.compare_digest(file.path.name.encode(), name.encode()):
                    return file
        return None

    def keep_for_program(self, path: Path) -> None:
        """Keep a file that a program asked for until some more were asked for."""
        with self._lock:
            self._program_files.append(path)
            while len(self._program_files) > self.limits.made_files:
                self._program_files.popleft().unlink(missing_ok=True)

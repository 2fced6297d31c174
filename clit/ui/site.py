"""All visitors of one server, and what they share: models, examples, the renderer, the line, the disk."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import clit
from clit.errors import UserError
from clit.rendering.elsewhere import Painters
from clit.rendering.renderer import Renderer
from clit.rendering.tiles import Pace
from clit.ui.addresses import asking
from clit.ui.disk import Disk
from clit.ui.examples import Examples
from clit.ui.failures import Expired, Stale
from clit.ui.limits import Limits
from clit.ui.line import Line, Place
from clit.ui.lines import Lines
from clit.ui.models import Models
from clit.ui.pictures import Picture
from clit.ui.sessions import MadeFile, Session


class Site:
    """Who is here, and what they share. Safe to share between threads.

    examples: see `Examples`. uploads: the folder of all that is written. painters: what draws views in place of this
    process.
    """

    def __init__(self, examples: Path, uploads: Path, limits: Limits | None = None, painters: Painters | None = None):
        self.limits = limits or Limits()
        self.examples = Examples(examples)
        self.uploads = uploads
        self.models = Models()
        self.renderer = clit.Renderer(self.limits.memory_bytes)
        room = {"preview": self.limits.previews, "exact": self.limits.views}
        self.painters = painters
        self.line = Lines(room, painters.count if painters else 1)
        self.desk = Line(room)  # for what is no rendering and cannot be cut: reading a file, counting a score
        self.easel = Line(room)  # for the figures that another process draws, see `run_apart`
        self.to_encode = deque((n, name) for name in self.examples.names() for n in range(self.line.count))
        """What is encoded while nobody asks: by which machine, which example."""
        self._paces = [Pace() for _ in range(self.line.count)]
        self.began = time.monotonic()
        self._sessions: dict[str, Session] = {}  # by token; who asked last comes last
        self._lock = threading.Lock()
        self.disk = Disk(uploads, self.limits)
        self._arrivals: dict[str, tuple[float, float]] = {}  # by address: visits it may begin, and when that was so
        self._ended: OrderedDict[str, str] = OrderedDict()  # why visits were ended for others, by token
        self._program_files: deque[Path] = deque()  # oldest first

    def begin(self) -> Session:
        """Return a new session; the longest idle one ends if there are too many.

        UserError where all are in use, and where an address has too many or begins too many.
        """
        self._forget_idle()
        session = Session(address=asking.get())
        with self._lock:
            self._check_address(session.address)
            if len(self._sessions) >= self.limits.visits and not self._end_idle(lambda each: True):
                raise UserError(f"{len(self._sessions)} visitors are here already: try again in some minutes.")
            self._sessions[session.token] = session
        return session

    def _check_address(self, address: str | None) -> None:
        """Count a visit that an address begins; UserError if it has or begins too many."""
        if address is None:
            return
        now, (most, rate) = time.monotonic(), self.limits.arrivals
        if sum(each.address == address for each in self._sessions.values()) >= self.limits.address_visits:
            raise UserError("Too many visits come from your network: close some of their pages.")
        left, then = self._arrivals.get(address, (most, now))
        left = min(most, left + rate * (now - then))
        if left < 1:
            raise UserError("Too many visits begin from your network: try again in a minute.")
        self._arrivals[address] = left - 1, now

    def _end_idle(self, is_meant: Callable[[Session], bool]) -> bool:
        """End the longest idle session of those meant, if it is idle for long enough; tell whether there was one."""
        before = time.monotonic() - self.limits.idle_seconds
        for token, each in self._sessions.items():
            if each.last_asked < before and not each.questions and is_meant(each):
                self._end(token)
                self._ended[token] = "This visit was idle, and its place was needed for others: open a picture again."
                while len(self._ended) > 10 * self.limits.visits:
                    self._ended.popitem(last=False)
                return True
        return False

    def session(self, token: str) -> Session:
        """Return the session with this token, whose visitor now asks something; Expired if there is none."""
        with self._lock:
            session = self._sessions.pop(token, None)
            if session is None:
                raise Expired(self._ended.get(token, ""))
            session.last_asked = time.monotonic()
            self._sessions[token] = session
            return session

    @contextlib.contextmanager
    def answering(self, sent: Any) -> Iterator[None]:
        """Note that a question of a session, if it names one, is answered until the block ends: it is in use."""
        token = sent.get("token") if isinstance(sent, dict) else None
        with self._lock:
            session = self._sessions.get(token) if isinstance(token, str) else None
            if session is not None:
                session.questions += 1
        try:
            yield
        finally:
            if session is not None:
                with self._lock:
                    session.questions -= 1

    def end(self, token: str) -> None:
        """Forget the session with this token, if there is one, and everything it brought."""
        with self._lock:
            self._end(token)

    def sweep(self) -> None:
        """Forget sessions that have been idle for too long, and files that nobody keeps."""
        self._forget_idle()
        with self._lock:
            made = {each.file.path for each in self._sessions.values() if each.file is not None}
            most, rate = self.limits.arrivals
            over = time.monotonic() - most / rate
            self._arrivals = {each: (left, then) for each, (left, then) in self._arrivals.items() if then > over}
        self.disk.sweep(made.union(self._program_files))

    def _forget_idle(self) -> None:
        now = time.monotonic()
        with self._lock:
            idle = [t for t, each in self._sessions.items() if now - each.last_asked > self.limits.visit_seconds]
            for token in idle:
                self._end(token)

    def _end(self, token: str) -> None:
        session = self._sessions.pop(token, None)
        if session is not None:
            self._forget_picture(session)
            session.end()
            self.line.drop_stale()

    def _forget_picture(self, session: Session, kept: Collection[Picture | None] = ()) -> None:
        """Forget what is known of a visitor's own picture, and of what it was made smaller from, unless kept."""
        picture = session.picture
        if picture is not None and session.uploaded:
            known = {each.id for each in kept if each is not None}
            left = [each.rgb for each in (picture, picture.whole) if each is not None and each.id not in known]
            keys = self.renderer.forget(left)
            if self.painters:
                self.painters.forget(keys)

    def render_at(self, place: Place) -> Renderer:
        """Return the renderer for what is drawn at a place in line: turn by turn, in small tiles."""
        elsewhere = partial(self.painters.compute, place.machine) if self.painters else None
        return self.renderer.in_turn(place.turn, self._paces[place.machine], place.is_shared, elsewhere)

    def show(self, session: Session, picture: Picture, uploaded: bool) -> dict:
        """Open a picture in a session; return what the viewer hears of it.

        The longest idle sessions end if uploads take too much memory; UserError where all of them are in use.
        """
        with self._lock:
            if uploaded:
                self._fit_uploads(session, picture)
            self._forget_picture(session, kept=(picture, picture.whole))
            session.picture, session.uploaded = picture, uploaded
            self.line.drop_stale()
        answer = picture.answer
        self._fit_memory()
        return answer

    def _fit_uploads(self, session: Session, picture: Picture) -> None:
        """Make room for a picture that a session brings, as `show` says."""

        def count(address: str | None = None) -> int:
            others = [each for each in self._sessions.values() if address is None or each.address == address]
            brought = [each.picture for each in others if each is not session and each.uploaded and each.picture]
            return picture.nbytes + sum(each.nbytes for each in brought)

        if session.address is not None and count(session.address) > self.limits.address_bytes:
            raise UserError("The pictures from your network fill their share of memory: close some of their pages.")
        while count() > self.limits.picture_bytes:
            if not self._end_idle(lambda each: each is not session and each.uploaded and each.picture is not None):
                raise UserError("Other visitors' pictures fill the memory now: try again in some minutes.")

    # Memory

    def count_bytes(self) -> dict[str, int]:
        """Return the bytes that are held, by kind.

        Features, maps, images, encodings, pictures, examples, answers.
        """
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
        others = sum(held[kind] for kind in ("encodings", "pictures", "examples", "answers"))
        self.renderer.set_cache_bytes(max(self.limits.memory_bytes // 4, self.limits.memory_bytes - others))

    # Files

    def new_path(self, suffix: str) -> Path:
        """Return where to write a file; nobody can guess its name. UserError if there is no room."""
        return self.disk.new_path(suffix)

    def keep_file(self, session: Session, file: MadeFile, stop: threading.Event) -> None:
        """Keep a finished file until its session makes another, or until there are too many.

        Stale, and the file is deleted, if it was stopped or the session is over.
        """
        with self._lock:
            if stop.is_set() or session.token not in self._sessions:
                with contextlib.suppress(OSError):
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
                with contextlib.suppress(OSError):
                    self._program_files.popleft().unlink(missing_ok=True)

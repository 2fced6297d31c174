"""Whose rendering comes next: a few slots, and a line in which quick answers need not wait for slow ones."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator

from clit.errors import UserError

PATIENCE = {"preview": 0.0, "exact": 1.0, "ahead": None}
"""Seconds by which others that come later may go before: what a hand waits for, what an eye does. What is drawn ahead
nobody waits for: it does not stand in line."""

_LOOK_SECONDS = 0.05  # how often those in line see whether anybody still waits for them


class Stale(Exception):
    """Nobody waits for this answer any more."""


class Slots:
    """At most `slots` renderings at a time, and at most `waiting` more in line."""

    def __init__(self, slots: int, waiting: int):
        self._free, self._waiting = slots, waiting
        self._line: list[tuple[float, int]] = []  # when each is due, and its number
        self._numbers = itertools.count()
        self._turn = threading.Condition()

    @property
    def waited_for(self) -> bool:
        """Whether anybody is in line."""
        return bool(self._line)

    @contextlib.contextmanager
    def take(self, stale: Callable[[], bool], kind: str = "exact") -> Iterator[None]:
        """Hold one slot; Stale if `stale()` comes true while in line, UserError if the line is full.

        kind: one of PATIENCE. Among those in line the one that is due first comes next, so that nobody waits forever;
        Stale at once for what does not stand in line and finds no slot.
        """
        patience = PATIENCE[kind]
        with self._turn:
            if patience is None and (self._line or not self._free):
                raise Stale
            if len(self._line) >= self._waiting + self._free:
                raise UserError("The server is busy with other visitors: wait a moment, then move the view again.")
            place = (time.monotonic() + (patience or 0.0), next(self._numbers))
            self._line.append(place)
            try:
                while not stale() and (not self._free or place != min(self._line)):
                    self._turn.wait(_LOOK_SECONDS)
                if stale():
                    raise Stale
                self._free -= 1
            finally:
                self._line.remove(place)
                self._turn.notify_all()
        try:
            yield
        finally:
            with self._turn:
                self._free += 1
                self._turn.notify_all()

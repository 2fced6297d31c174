"""A priority queue for rendering: a few slots at a time, and quick requests overtake slow ones."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator

from clit.errors import UserError
from clit.ui.failures import Stale

PATIENCE = {"preview": 0.0, "exact": 1.0, "ahead": None}
"""Kinds of view -> seconds by which later requests may overtake it. A preview follows the hand, as what a pixel
looked at does, and an exact view the eye; nobody waits for a view drawn ahead, so it never stands in line.
"""

_CHECK_SECONDS = 0.05  # how often requests in line check whether anybody still waits for them


class Slots:
    """At most `slots` renderings at a time, and at most `waiting` more in line."""

    def __init__(self, slots: int, waiting: int):
        self._free, self._waiting = slots, waiting
        self._line: list[tuple[float, int]] = []  # (when it is due, its number)
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    @property
    def line_length(self) -> int:
        """Number of requests in line."""
        return len(self._line)

    @contextlib.contextmanager
    def take(self, is_stale: Callable[[], bool], kind: str = "exact") -> Iterator[None]:
        """Wait for a slot and hold it.

        kind: one of PATIENCE. The request that is due first comes next, so that nobody waits forever. Stale once
        `is_stale()` is true while in line, and at once for "ahead" if no slot is free. UserError if the line is full.
        """
        patience = PATIENCE[kind]
        with self._changed:
            if patience is None and (self._line or not self._free):
                raise Stale
            if len(self._line) >= self._waiting + self._free:
                raise UserError("The server is busy with other visitors: wait a moment, then move the view again.")
            place = (time.monotonic() + (patience or 0.0), next(self._numbers))
            self._line.append(place)
            try:
                while not is_stale() and (not self._free or place != min(self._line)):
                    self._changed.wait(_CHECK_SECONDS)
                if is_stale():
                    raise Stale
                self._free -= 1
            finally:
                self._line.remove(place)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

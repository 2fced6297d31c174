"""The line for rendering: one is drawn at a time, and others have their turn every fraction of a second.

A visitor has one place in line, however many panes wait. Whoever has been served least comes next; of those who have
been served alike, who came first. Whoever comes back begins with as much as those have who are served now, less what
was owed then if that was a moment ago: so nobody saves up turns, a newcomer stands no worse than the rest, and nobody
waits forever. What follows the hand comes a little sooner than that and a file a little later; what is drawn ahead
waits for nobody.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field

from clit.system.turns import in_turn
from clit.ui.failures import Busy, Stale

HANDICAPS = {"preview": 0.0, "exact": 5.0, "file": 8.0, "ahead": None}
"""Kinds of work -> seconds of being served that count as if its visitor had had them already.

A preview follows the hand, as what a pixel looked at does, and an exact view the eye. None: it never stands in line.
"""

QUICK = 0.5
"""Seconds after which a preview goes on as an exact view, as where a picture must be encoded first."""

DEBT = 3.0
"""Seconds by which being served more than others counts, at most. Less than an exact view's handicap: a preview comes
before it, whatever its visitor has had, until that view has been passed over for too long.
"""

RUN = 1.0
"""Seconds by which who is served may get ahead of those who wait for the same kind of work: one view that is finished
and one that waits are better than two halves.
"""

ALIKE = 0.5
"""Of those who wait for the same kind of work, and have been served alike but for so many seconds, who came first is
next: all panes of one before any of another. Not more than RUN: else who makes way would be next again.
"""

QUANTUM = 0.1
"""Nobody is interrupted before so many seconds."""

AWAY = 5.0
"""Who has been away for so many seconds has come back, and begins anew: nothing is owed any more."""

PATIENCE = 4.0
"""An exact view whose turn has not come after so many seconds is refused: its visitor asks again."""

_LOOK_SECONDS = 0.5  # how often who waits is asked whether anybody still does: nobody tells of a closed connection


@dataclass(eq=False)
class _Visitor:
    """Whoever asks: seconds of being served, places in line by kind, when the last of them was left, and by how much
    less than others it had been served then.
    """

    served: float
    places: dict[str, int] = field(default_factory=dict)
    left: float = 0.0
    owed: float = 0.0

    @property
    def is_here(self) -> bool:
        return any(self.places.values())


class Line:
    """Whose turn it is. Safe to share between threads.

    room: kind -> (places in all, places of one visitor); without bounds for other kinds. machine: number of the one
    that works where this is a line of several.
    """

    def __init__(
        self, room: Mapping[str, tuple[int, int]], clock: Callable[[], float] = time.monotonic, machine: int = 0
    ):
        self.clock = clock
        self.machine = machine
        self._room = dict(room)
        self._visitors: dict[Hashable, _Visitor] = {}
        self._waiting: list[Place] = []
        self._served: Place | None = None
        self._floor = 0.0  # what a visitor in line has been served on average
        self._numbers = itertools.count()
        self.lock = threading.RLock()

    @property
    def length(self) -> int:
        """Number of those that wait for a turn."""
        return len(self._waiting)

    def count_visitors(self) -> int:
        """Return the number of visitors in line, or being served."""
        with self.lock:
            return sum(each.is_here for each in self._visitors.values())

    @contextlib.contextmanager
    def join(self, visitor: Hashable, kind: str, is_stale: Callable[[], bool] = lambda: False) -> Iterator[Place]:
        """Stand in line until the block ends, for as many turns as it takes.

        kind: one of HANDICAPS. Its turns are Stale once is_stale() is true. Busy if there is no room.
        """
        with self.lock:
            found = self._find(visitor)
            everybody = sum(each.places.get(kind, 0) for each in self._visitors.values())
            most, most_each = self._room.get(kind, (everybody + 1, everybody + 1))
            if everybody >= most or found.places.get(kind, 0) >= most_each:
                raise Busy(self._count_others(found))
            if not found.is_here:
                found.served = max(found.served, self._floor - found.owed)
            found.places[kind] = found.places.get(kind, 0) + 1
            place = Place(self, found, kind, is_stale, next(self._numbers))
        try:
            yield place
        finally:
            with self.lock:
                found.places[kind] -= 1
                found.owed = max(0.0, self._floor - found.served)
                if HANDICAPS[kind] is not None:  # what makes way for all is no reason for small tiles
                    found.left = self.clock()

    def drop_stale(self) -> None:
        """Send away those in line for whom nobody waits any more: call it when somebody may have gone."""
        with self.lock:
            for place in list(self._waiting):
                if place.is_stale():
                    self._send_away(place)

    def _find(self, visitor: Hashable) -> _Visitor:
        """Return what is known of a visitor; forget those who have been away, but who was served more than others."""
        now = self.clock()
        for name, each in list(self._visitors.items()):
            if not each.is_here and now - each.left >= AWAY and each.served <= self._floor:
                del self._visitors[name]
        return self._visitors.setdefault(visitor, _Visitor(self._floor))

    def _count_others(self, visitor: _Visitor) -> int:
        return sum(each.is_here for each in self._visitors.values() if each is not visitor)

    def _is_shared(self, visitor: _Visitor) -> bool:
        """Tell whether others are in line, or were lately."""
        now = self.clock()
        with self.lock:
            return any(
                each is not visitor and (each.is_here or now - each.left < AWAY) for each in self._visitors.values()
            )

    # Places

    def _enter(self, place: Place) -> None:
        """Wait for a turn, and have it."""
        with self.lock:
            if place.handicap is None and (self._waiting or self._served):
                raise Stale
            place.is_due.clear()
            self._waiting.append(place)
            self._go_on()
        began = self.clock()
        while not place.is_due.wait(_LOOK_SECONDS):
            if place.is_stale():
                with self.lock:
                    self._send_away(place)
            elif place.kind == "exact" and not place.turns and self.clock() - began > PATIENCE:
                with self.lock:
                    if place in self._waiting:
                        self._waiting.remove(place)
                        raise Busy(self._count_others(place.visitor))
        with self.lock:
            place.waited += self.clock() - began
            if self._served is not place:
                raise Stale

    def _leave(self, place: Place) -> None:
        """End a turn, if it is not over yet."""
        with self.lock:
            if self._served is place:
                self._charge(place)
                self._served = None
                self._go_on()

    def _pause(self, place: Place) -> None:
        """Let who is due have a turn first."""
        with self.lock:
            if place.is_stale() or (place.handicap is None and self._waiting):
                raise Stale
            if self.clock() - place.since < QUANTUM:
                return
            self._charge(place)
            best = min(self._waiting, key=Place.rank, default=None)
            if best is None or not self._is_due(best, place):
                return
            self._served = None
        self._enter(place)

    @staticmethod
    def _is_due(other: Place, served: Place) -> bool:
        """Whether who waits comes before who is served."""
        ahead = RUN if other.handicap >= served.handicap else 0.0
        (key, number), (own, own_number) = other.rank(), served.rank()
        same = other.visitor is served.visitor
        return (key, number) < (own, own_number) if same else key + ahead < own

    def _go_on(self) -> None:
        """If nobody is served, let the next one be."""
        while self._served is None and self._waiting:
            best = self._choose()
            if best.is_stale():
                self._send_away(best)
                continue
            self._waiting.remove(best)
            best.since = self.clock()
            best.turns += 1
            self._served = best
            best.is_due.set()

    def _choose(self) -> Place:
        """Return the next one of those who wait."""
        (least, _), handicap = min((each.rank(), each.handicap) for each in self._waiting)
        alike = [each for each in self._waiting if each.handicap == handicap and each.rank()[0] <= least + ALIKE]
        return min(alike, key=lambda each: each.number)

    def _send_away(self, place: Place) -> None:
        if place in self._waiting:
            self._waiting.remove(place)
            place.is_due.set()

    def _charge(self, place: Place) -> None:
        """Note for how long a place has been served by now."""
        now = self.clock()
        seconds, place.since = now - place.since, now
        self._floor += seconds / max(1, sum(each.is_here for each in self._visitors.values()))
        place.served += seconds
        place.visitor.served = min(place.visitor.served + seconds, self._floor + DEBT)


class Place:
    """A place in line, for one piece of work. served, waited: seconds that it was, and has stood in line."""

    def __init__(self, line: Line, visitor: _Visitor, kind: str, is_stale: Callable[[], bool], number: int):
        self.visitor, self.kind, self.is_stale = visitor, kind, is_stale
        self.is_due = threading.Event()
        self.since = 0.0  # when its visitor was last charged for
        self.turns = 0
        self.served = self.waited = 0.0
        self._line, self.number = line, number

    def is_shared(self) -> bool:
        """Tell whether there are other visitors, who want small tiles."""
        return self._line._is_shared(self.visitor)

    def is_awaited(self) -> bool:
        """Tell whether others wait for their turn."""
        return self._line.length > 0

    @property
    def machine(self) -> int:
        """Return the number of the machine that works for this line."""
        return self._line.machine

    @property
    def handicap(self) -> float | None:
        """Return that of its kind."""
        is_slow = self.kind == "preview" and self.served > QUICK
        return HANDICAPS["exact" if is_slow else self.kind]

    def rank(self) -> tuple[float, int]:
        """Return what those next in line have least of, and which of them came first."""
        return self.visitor.served + (self.handicap or 0.0), self.number

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn and hold it; `turns.pause` lets others in between. Stale as `Line.join` says, and at once for
        what is drawn ahead if anybody else wants a turn. Busy for an exact view that would wait for too long.
        """
        self._line._enter(self)
        try:
            with in_turn(lambda: self._line._pause(self), self._step_aside):
                yield
        finally:
            self._line._leave(self)

    @contextlib.contextmanager
    def _step_aside(self) -> Iterator[None]:
        """Give up the turn until the block ends."""
        self._line._leave(self)
        yield
        self._line._enter(self)

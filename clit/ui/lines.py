"""A line for each machine that renders: a visitor stays in one, where the features of its picture are."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager

from clit.ui.line import Line, Place

KNOWN = 1000
"""Visitors whose machine is remembered."""


class Lines:
    """Lines of several machines, with what one has. Safe to share between threads. room: of each, as `Line` has it."""

    def __init__(self, room: Mapping[str, tuple[int, int]], count: int = 1):
        self._lines = [Line(room, machine=number) for number in range(count)]
        self._line_of: OrderedDict[Hashable, Line] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """Number of lines."""
        return len(self._lines)

    @property
    def length(self) -> int:
        """Number of those that wait for a turn."""
        return sum(line.length for line in self._lines)

    def count_visitors(self) -> int:
        """Return the number of visitors in line, or being served."""
        return sum(line.count_visitors() for line in self._lines)

    def join(
        self, visitor: Hashable, kind: str, is_stale: Callable[[], bool] = lambda: False
    ) -> AbstractContextManager[Place]:
        """Stand in the visitor's line; a new one's has the fewest visitors. See `Line.join`."""
        return self._find(visitor).join(visitor, kind, is_stale)

    def at(self, machine: int) -> Line:
        """Return the line of a machine."""
        return self._lines[machine]

    def drop_stale(self) -> None:
        """Send away those in line for whom nobody waits any more."""
        for line in self._lines:
            line.drop_stale()

    def _find(self, visitor: Hashable) -> Line:
        with self._lock:
            line = self._line_of.pop(visitor, None)
            if line is None:
                known = Counter(self._line_of.values())
                line = min(self._lines, key=lambda each: (known[each], each.length))
            self._line_of[visitor] = line
            if len(self._line_of) > KNOWN:
                self._line_of.popitem(last=False)
            return line

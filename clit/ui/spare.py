"""When freed memory goes back to the system: once nobody draws, and as soon as it has become much while others do.

The C library keeps what is freed, as most of it is wanted again at once. But what caches keep comes to lie between it
and cuts it into ever smaller pieces, and more and more of them fit nothing that is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from clit.system.memory import resident
from clit.system.process import return_memory
from clit.ui.site import Site

LOOK_SECONDS = 2.0
"""How often to call `SpareMemory.look`."""

IDLE_SECONDS = 30.0
"""After so long without anybody who draws, all goes back."""

MOST_SPARE = 64_000_000
"""Bytes by which what the process holds may grow, what the site keeps left out, until freed memory goes back."""


class SpareMemory:
    """Watches what the process holds beyond what a site keeps: code, networks, the work at hand, and freed memory."""

    def __init__(self, site: Site, clock: Callable[[], float] = time.monotonic):
        self._site, self._clock = site, clock
        self._least = self._count_others()  # since memory last went back
        self._since = clock()  # somebody drew, or memory went back

    def look(self) -> None:
        """Give freed memory back to the system if it is time to."""
        now, others = self._clock(), self._count_others()
        self._least = min(self._least, others)
        if self._site.line.count_visitors():
            self._since = now
        if others - self._least > MOST_SPARE or now - self._since >= IDLE_SECONDS:
            return_memory()
            self._least, self._since = self._count_others(), now

    def _count_others(self) -> int:
        return (resident() or 0) - sum(self._site.count_bytes().values())

"""Examples are encoded while nobody asks for anything, so that whoever opens one first need not wait for that."""

from __future__ import annotations

import contextlib
from collections import deque

from clit.errors import Cancelled, UserError
from clit.ui.failures import Stale
from clit.ui.models import OFFERED
from clit.ui.site import Site

AHEAD_SECONDS = 0.1
"""How long to rest between two calls of `ExamplesAhead.encode_next`."""


class ExamplesAhead:
    """What is left to encode: each example, by each machine that draws."""

    def __init__(self, site: Site):
        self._site = site
        self.left = deque((machine, name) for name in site.examples.names() for machine in range(site.line.count))

    def encode_next(self) -> None:
        """Encode the next example for the methods that the page always offers; if anybody else draws, make way."""
        machine, name = self.left[0]
        picture, visitor = self._site.examples.open(name), ("ahead", machine)
        with contextlib.suppress(Stale, Cancelled):
            for model in OFFERED:
                with contextlib.suppress(UserError):  # it has no weights here, or cannot be read: the page says so
                    with self._site.line.join(visitor, "ahead") as place:
                        self._site.render_at(place).encode(self._site.models.get(model), picture.rgb)
            self.left.popleft()

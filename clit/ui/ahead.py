"""Examples are encoded while nobody asks for anything, so that whoever opens one first need not wait for that."""

from __future__ import annotations

import contextlib
import logging

from clit.errors import Cancelled, UserError
from clit.ui.failures import Stale
from clit.ui.models import OFFERED
from clit.ui.site import Site

log = logging.getLogger(__name__)

AHEAD_SECONDS = 0.1
"""How long to rest between two calls of `encode_next`."""


def encode_next(site: Site) -> None:
    """Encode the next of `site.to_encode` for the methods that the page always offers; if anybody draws, make way."""
    machine, name = site.to_encode[0]
    with contextlib.suppress(Stale, Cancelled):
        try:
            picture = site.examples.open(name)
            for model in OFFERED:
                with contextlib.suppress(UserError):  # it has no weights here, or cannot be read: the page says so
                    with site.line.at(machine).join("ahead", "ahead") as place:
                        site.render_at(place).encode(site.models.get(model), picture.rgb)
        except (Stale, Cancelled):
            raise
        except Exception as error:  # whoever opens it hears of it; the others are encoded
            log.error("the example %s could not be encoded ahead", name, exc_info=error)
        site.to_encode.popleft()

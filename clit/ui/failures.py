"""What goes wrong on the page, and what a browser hears of it."""

from __future__ import annotations

import logging

from clit.errors import Cancelled, UserError

log = logging.getLogger(__name__)


class Expired(Exception):
    """The visit is over, or never was."""


class Stale(Exception):
    """Nobody waits for this answer any more."""


class Busy(Exception):
    """The server has too much to do now: ask again a little later."""

    def __init__(self, waiting: int):
        """waiting: how many other visitors wait or are being served."""
        super().__init__(waiting)
        self.waiting = waiting


def describe_failure(error: Exception) -> dict:
    """Return the answer that stands for an error.

    {"error": one sentence for a person}, with "expired": True where the visit is over; {"stale": True} where the
    visitor has moved on; {"busy": True, "waiting": number of other visitors in line} where to ask again. An error of
    ours is logged, and the visitor hears no details of it.
    """
    match error:
        case Expired():
            sentence = "This visit has ended and its picture is forgotten: open a picture again."
            return {"error": sentence, "expired": True}
        case Stale() | Cancelled():
            return {"stale": True}
        case Busy():
            return {"busy": True, "waiting": error.waiting}
        case UserError():
            return {"error": str(error)}
    log.error("the page could not answer", exc_info=error)
    return {"error": "Something went wrong on the server: try again, and report it if it stays."}

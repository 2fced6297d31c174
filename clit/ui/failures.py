"""What goes wrong on the page, and what a browser hears of it."""

from __future__ import annotations

import errno
import logging
import os
import re
import tempfile

from clit.errors import Cancelled, UserError
from clit.networks import checkpoints

log = logging.getLogger(__name__)


class Expired(Exception):
    """The visit is over, or never was; the message says why where that is known."""


class Stale(Exception):
    """Nobody waits for this answer any more."""


class Busy(Exception):
    """The server has too much to do now: ask again a little later."""

    def __init__(self, waiting: int):
        """waiting: how many other visitors wait or are being served."""
        super().__init__(waiting)
        self.waiting = waiting


_FULL = "The server has no room on its disk now: try again in some minutes."
_REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
_FOLDERS = re.compile(r"(?<![\w.~:/])(?:/[^/\s\"'():;,]+)+/")  # of a path from the root, without the name at its end


def describe_wrong_input(error: UserError) -> str:
    """Return the sentence of an error as others may hear it: without the server's folders."""
    before: BaseException | None = error
    while before is not None:
        if isinstance(before, OSError) and _is_full(before):
            return _FULL
        before = before.__cause__ or before.__context__
    sentence = str(error)
    for folder in {str(checkpoints.folder()), str(checkpoints.folder().resolve()), tempfile.gettempdir()}:
        sentence = sentence.replace(f"{folder}{os.sep}", "")
    return _FOLDERS.sub("", sentence)


def _is_full(error: OSError) -> bool:
    """Tell whether the disk is full, or refuses to be written."""
    return error.errno in _REFUSED


def describe_failure(error: Exception) -> dict:
    """Return the answer that stands for an error.

    {"error": one sentence for a person}, with "expired": True where the visit is over; {"stale": True} where the
    visitor has moved on; {"busy": True, "waiting": number of other visitors in line} where to ask again. An error of
    ours is logged, and the visitor hears no details of it.
    """
    match error:
        case Expired():
            sentence = str(error) or "This visit has ended and its picture is forgotten: open a picture again."
            return {"error": sentence, "expired": True}
        case Stale() | Cancelled():
            return {"stale": True}
        case Busy():
            return {"busy": True, "waiting": error.waiting}
        case UserError():
            return {"error": describe_wrong_input(error)}
        case OSError() if _is_full(error):
            return {"error": _FULL}
    log.error("the page could not answer", exc_info=error)
    return {"error": "Something went wrong on the server: try again, and report it if it stays."}

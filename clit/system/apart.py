"""Work in a process of its own: what would keep Python's lock, and so make everybody else here wait.

The process begins with the first work, stays for the next, and ends with this one, however that ends. It gives way to
this one where there are too few cores for both.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

from clit.errors import Cancelled, UserError

Result = TypeVar("Result")
log = logging.getLogger(__name__)

NICENESS = 5
"""By how much the process gives way."""

LONGEST = 120.0
"""Seconds after which a piece of work is given up."""

_LOOK_SECONDS = 0.1  # how often who waits is asked whether the result is still wanted

_lock = threading.Lock()
_process: tuple[multiprocessing.Process, Connection] | None = None


class _There(Exception):
    """Where an error came from in the other process: the text of its traceback."""


def run_apart(function: Callable[..., Result], *arguments, cancel: Callable[[], bool] | None = None) -> Result:
    """Return function(*arguments), worked out by the other process, one piece of work after another.

    function: of a module, by whose name it is found there. The program's main module is imported there too, under
    another name, as `multiprocessing` does: what it runs must stand below `if __name__ == "__main__"`. Function,
    arguments and result are pickled. What is raised there is raised here. Cancelled soon after cancel() is true.
    UserError where the process was ended twice, as by a system that is short of memory, and after LONGEST.
    """
    asked = pickle.dumps((function, arguments))
    while not _lock.acquire(timeout=_LOOK_SECONDS):
        if cancel and cancel():
            raise Cancelled
    try:
        for _ in range(2):
            try:
                answer = _ask(asked, cancel)
            except (EOFError, OSError) as error:
                log.warning("the process that draws was ended, or could not be started", exc_info=error)
                _end()
                continue
            except BaseException:  # nobody takes the answer: the next work would get it
                _end()
                raise
            worked, result, text = pickle.loads(answer)
            if worked:
                return result
            raise result from _There(text)
    finally:
        _lock.release()
    raise UserError("This could not be drawn: the process that draws was ended. Try again later.")


def _ask(asked: bytes, cancel: Callable[[], bool] | None) -> bytes:
    """Send work to the process, and return its answer."""
    connection, began = _find(), time.monotonic()
    connection.send_bytes(asked)
    while not connection.poll(_LOOK_SECONDS):
        if cancel and cancel():
            raise Cancelled
        if time.monotonic() - began > LONGEST:
            raise UserError(f"This took more than {LONGEST:g} seconds to draw, and was given up: ask for less of it.")
    return connection.recv_bytes()


def _find() -> Connection:
    """Return the connection to the process; start it if there is none."""
    global _process
    if _process is None:
        context = multiprocessing.get_context("spawn")  # a fork would take this one's locks along
        here, there = context.Pipe()
        process = context.Process(target=_work, args=[there], name="apart", daemon=True)
        process.start()
        there.close()  # so that this end hears of the other's end
        _process = process, here
    return _process[1]


def _end() -> None:
    """End the process, if there is one."""
    global _process
    if _process is not None:
        process, connection = _process
        connection.close()
        process.kill()
        process.join()
        _process = None


def _work(connection: Connection) -> None:
    """Do what is asked, until whoever asks has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that is for the process that asks
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send_bytes(_answer(connection.recv_bytes()))


def _answer(asked: bytes) -> bytes:
    """Do a piece of work; return whether it worked, its result or error, and where that came from, pickled."""
    try:
        function, arguments = pickle.loads(asked)
        return pickle.dumps((True, function(*arguments), ""))
    except Exception as error:
        answer = pickle.dumps((False, RuntimeError(repr(error)), traceback.format_exc()))
        with contextlib.suppress(Exception):  # it cannot be pickled, or cannot be made again from its arguments
            as_it_is = pickle.dumps((False, error, traceback.format_exc()))
            pickle.loads(as_it_is)
            answer = as_it_is
        return answer

"""Work in a process of its own: what would keep Python's lock, and so make everybody else here wait.

The process begins with the first work, stays for the next, and ends with this one, however that ends. It gives way to
this one where there are too few cores for both.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

from clit.errors import UserError

Result = TypeVar("Result")

NICENESS = 5
"""By how much the process gives way."""

_lock = threading.Lock()
_process: tuple[multiprocessing.Process, Connection] | None = None


def run_apart(function: Callable[..., Result], *arguments) -> Result:
    """Return function(*arguments), worked out by the other process, one after another.

    function: of a module, by whose name it is found there. It, the arguments and the result are pickled. What it raises
    is raised here. UserError where the process was ended twice, as by a system that is short of memory.
    """
    with _lock:
        for _ in range(2):
            try:
                connection = _find()
                connection.send((function, arguments))
                worked, result = connection.recv()
            except (EOFError, OSError):
                _end()
                continue
            except BaseException:  # nobody would take the answer, and the next work would get it
                _end()
                raise
            if worked:
                return result
            raise result
    raise UserError("This could not be drawn: the process that draws was ended. Try again later.")


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
            function, arguments = connection.recv()
            try:
                answer = True, function(*arguments)
            except Exception as error:
                answer = False, error
            connection.send(answer)

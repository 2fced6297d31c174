"""Work in turn: long work calls `pause` where it can wait, and others may have their turn there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

Turn = Callable[[], AbstractContextManager]
"""Opens a turn, which lasts until the block ends."""

_WAIT_SECONDS = 0.1  # how often who waits for another's work asks whether anybody still wants it

_thread = threading.local()


@contextlib.contextmanager
def in_turn(pause: Callable[[], None], step_aside: Turn) -> Iterator[None]:
    """Until the block ends, this thread's `pause` calls the given one, and it steps aside as the other says."""
    before = getattr(_thread, "turn", None)
    _thread.turn = pause, step_aside
    try:
        yield
    finally:
        _thread.turn = before


def pause() -> None:
    """Let others have their turn if theirs is due; do nothing without turns. May raise what ends the work."""
    turn = getattr(_thread, "turn", None)
    if turn:
        turn[0]()


def step_aside() -> AbstractContextManager:
    """Give up this thread's turn until the block ends; do nothing without turns."""
    turn = getattr(_thread, "turn", None)
    return turn[1]() if turn else contextlib.nullcontext()


@contextlib.contextmanager
def hold(lock: threading.Lock, is_over: Callable[[], bool] | None = None) -> Iterator[bool]:
    """Hold a lock that others may hold while they wait for a turn; this thread gives up its own meanwhile.

    Gives whether the lock is held: False once is_over() is true.
    """
    held = lock.acquire(blocking=False)
    try:
        if not held:
            with step_aside():
                while not held and not (is_over and is_over()):
                    held = lock.acquire(timeout=_WAIT_SECONDS)
        yield held
    finally:
        if held:
            lock.release()

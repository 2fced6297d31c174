"""Run independent pieces of work on all cores, one piece per core.

A decoder's matrix products are too small to be shared between threads: two threads that wait for each other after
every product are hardly faster than one. Threads that take whole blocks, tiles or pictures never wait.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from clit.errors import Cancelled

Item, Result = TypeVar("Item"), TypeVar("Result")

_lock = threading.Lock()
_users = 0
_threads = 1  # what torch had before the first user
_pool: ThreadPoolExecutor | None = None
_thread = threading.local()


def parallel_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    cancel: Callable[[], bool] | None = None,
    device: torch.device | None = None,
) -> Iterator[Result]:
    """Yield function(item) for each item, in order, computed on as many threads as torch has.

    Each thread runs torch on one core and inherits the caller's inference mode. When cancel() is true, Cancelled is
    raised before the next result, and unfinished work is dropped.

    The items are taken one after another, without threads, where gradients are recorded, where torch has one thread,
    on a `device` other than the CPU, and inside another `parallel_map`.
    """
    items = list(items)
    alone = len(items) < 2 or (_threads if _users else torch.get_num_threads()) < 2
    alone = alone or (device is not None and device.type != "cpu")
    if alone or torch.is_grad_enabled() or getattr(_thread, "inside", False):
        for item in items:
            _raise_if_cancelled(cancel)
            yield function(item)
        return
    inference = torch.is_inference_mode_enabled()

    def work(item: Item) -> Result:
        _thread.inside = True
        with torch.inference_mode(inference), torch.no_grad():
            return function(item)

    with _shared_pool() as pool:
        waiting = [pool.submit(work, item) for item in items]
        try:
            for future in waiting:
                _raise_if_cancelled(cancel)
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on the caller's thread alone: with small tensors, waking others takes longer than the work."""
    with _shared_pool():
        yield


def _raise_if_cancelled(cancel: Callable[[], bool] | None) -> None:
    if cancel and cancel():
        raise Cancelled


@contextmanager
def _shared_pool() -> Iterator[ThreadPoolExecutor]:
    """Yield the pool; while anybody uses it, torch itself runs on one thread."""
    global _users, _threads, _pool
    with _lock:
        if not _users:
            _threads = torch.get_num_threads()
            if _pool is None or _pool._max_workers != _threads:
                _pool = ThreadPoolExecutor(_threads, "clit")
            torch.set_num_threads(1)
        _users += 1
    try:
        yield _pool
    finally:
        with _lock:
            _users -= 1
            if not _users:
                torch.set_num_threads(_threads)


def blocks(height: int, width: int, most: int) -> list[tuple[slice, slice]]:
    """Cut (height, width) pixels into nearly square blocks of about `most` pixels: (rows, columns) of each."""
    down = even_size(height, math.ceil(math.sqrt(most)))
    across = even_size(width, max(1, most // down))
    return [
        (slice(top, top + down), slice(left, left + across))
        for top in range(0, height, down)
        for left in range(0, width, across)
    ]


def even_size(count: int, most: int) -> int:
    """Return the size of the pieces when `count` is cut into the fewest equal ones of at most `most`."""
    return math.ceil(count / math.ceil(count / most))

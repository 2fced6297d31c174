"""Run independent pieces of work on all cores, one piece per core.

A decoder's matrix products are too small to be shared between threads: two threads that wait for each other after
every product are hardly faster than one. Threads that take whole blocks, tiles or pictures never wait.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from clit.errors import Cancelled

Item, Result = TypeVar("Item"), TypeVar("Result")

_lock = threading.Lock()
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
    alone = len(items) < 2 or (device is not None and device.type != "cpu")
    pool = None if alone else _find_pool()
    if pool is None:
        for item in items:
            _raise_if_cancelled(cancel)
            yield function(item)
        return
    waiting = [pool.submit(_keep_modes(function), item) for item in items]
    try:
        for future in waiting:
            _raise_if_cancelled(cancel)
            yield future.result()
    finally:
        for future in waiting:
            future.cancel()


def on_one_core(function: Callable[[], Result]) -> Result:
    """Return function(), worked out on one core: with small tensors, waking others takes longer than the work."""
    pool = _find_pool()
    return function() if pool is None else pool.submit(_keep_modes(function)).result()


def start_threads() -> None:
    """Start the threads before others do: torch gives a new thread the number that was set last, wherever that was."""
    with torch.no_grad():
        _find_pool()


def _raise_if_cancelled(cancel: Callable[[], bool] | None) -> None:
    if cancel and cancel():
        raise Cancelled


def _keep_modes(function: Callable[..., Result]) -> Callable[..., Result]:
    """Return a function that inherits this thread's inference mode wherever it is called."""
    inference = torch.is_inference_mode_enabled()

    def work(*arguments) -> Result:
        with torch.inference_mode(inference), torch.no_grad():
            return function(*arguments)

    return work


def _find_pool() -> ThreadPoolExecutor | None:
    """Return the threads, as many as torch has here; None where all is done without them.

    The number of a thread of the pool is set once. Nothing else is: that of any other thread would hold for all threads
    that begin meanwhile, for good.
    """
    global _pool
    count = torch.get_num_threads()
    if count < 2 or torch.is_grad_enabled() or getattr(_thread, "inside", False):
        return None
    with _lock:
        if _pool is None or _pool._max_workers != count:
            _pool, all_here = ThreadPoolExecutor(count, "clit"), threading.Barrier(count)

            def begin() -> None:
                _thread.inside = True
                torch.get_num_threads()  # what is set before a thread first asks is overwritten then
                torch.set_num_threads(1)
                all_here.wait()

            for started in [_pool.submit(begin) for _ in range(count)]:
                started.result()
            torch.set_num_threads(count)
        return _pool


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

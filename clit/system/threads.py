"""Independent pieces of work on all cores, each piece on one.

Products as small as a decoder's share out badly within one: two threads that meet after each of them are hardly
faster than one. Threads that take whole blocks of pixels, whole tiles or whole pictures do not meet.
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


def spread(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    cancel: Callable[[], bool] | None = None,
    device: torch.device | None = None,
) -> Iterator[Result]:
    """function(item) for each item, in order, on as many threads as torch has, each with one torch thread.

    When cancel() is true, Cancelled is raised before the next result; what is under way ends unseen.

    The caller's inference mode holds in all of them. Where gradients are recorded, on a single thread, on a `device`
    that is no CPU, or inside another `spread`, the items are simply taken one after another.
    """
    items = list(items)
    alone = len(items) < 2 or (_threads if _users else torch.get_num_threads()) < 2
    alone = alone or (device is not None and device.type != "cpu")
    if alone or torch.is_grad_enabled() or getattr(_thread, "spread", False):
        for item in items:
            _check(cancel)
            yield function(item)
        return
    inference = torch.is_inference_mode_enabled()

    def work(item: Item) -> Result:
        _thread.spread = True
        with torch.inference_mode(inference), torch.no_grad():
            return function(item)

    with _one_torch_thread() as pool:
        waiting = [pool.submit(work, item) for item in items]
        try:
            for future in waiting:
                _check(cancel)
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()


def _check(cancel: Callable[[], bool] | None) -> None:
    if cancel and cancel():
        raise Cancelled


@contextmanager
def _one_torch_thread() -> Iterator[ThreadPoolExecutor]:
    """The pool; torch's own threads are put away while anybody uses it."""
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
    """Rows and columns of blocks of about `most` pixels, as square as can be, that together are height x width."""
    down = even(height, math.ceil(math.sqrt(most)))
    across = even(width, max(1, most // down))
    return [
        (slice(top, top + down), slice(left, left + across))
        for top in range(0, height, down)
        for left in range(0, width, across)
    ]


def even(count: int, most: int) -> int:
    """The size of equal pieces, of `most` at most, that `count` is cut into."""
    return math.ceil(count / math.ceil(count / most))

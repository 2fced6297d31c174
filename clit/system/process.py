"""Set up the process. Imports little: call `prepare_process` before torch is imported."""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # as <malloc.h> numbers them


def prepare_process() -> None:
    """Let idle OpenMP threads sleep instead of spin, and let the C library keep freed memory.

    Threads that spin while they wait take time from other processes: with two busy processes on two cores, a
    rendering took five times as long. And by default the C library returns every large block to the system when it is
    freed, so the kernel zeroes each tile's arrays again: a sixth of an evaluation's time. One of its arenas is enough,
    as few threads work at a time; with several, each keeps memory that the others lack, and all but the first are
    pieces of 64 MB in which large arrays fit badly. Nor does MKL keep buffers for each thread that ever multiplied:
    with a server's many threads these grow to half a gigabyte, and save no time. Settings the user has made stay. A C
    library without `mallopt` is left alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("MKL_DISABLE_FAST_MM", "1")
    if not any(name.startswith("MALLOC_") for name in os.environ):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the largest it takes
            mallopt(_M_TRIM_THRESHOLD, 1 << 30)
            mallopt(_M_ARENA_MAX, 1)


def return_memory() -> None:
    """Give freed memory back to the system, after a burst of work. What is needed again must be zeroed again."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)

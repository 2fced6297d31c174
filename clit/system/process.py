"""Set up the process. Imports little: call `prepare_process` before torch is imported."""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # as <malloc.h> numbers them


def prepare_process() -> None:
    """Let idle OpenMP threads sleep instead of spin, and let the C library keep freed memory.

    Threads that spin while they wait take time from other processes: with two busy processes on two cores, a
    rendering took five times as long. And by default the C library returns every large block to the system when it is
    freed, so the kernel zeroes each tile's arrays again: a sixth of an evaluation's time. Settings the user has made
    stay. A C library without `mallopt` is left alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not any(name.startswith("MALLOC_") for name in os.environ):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the largest it takes
            mallopt(_M_TRIM_THRESHOLD, 1 << 30)

"""How the process uses the machine. Import-light: call `prepare_process` before torch is imported."""

from __future__ import annotations

import ctypes
import os

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt's names for them, <malloc.h>


def prepare_process() -> None:
    """Let idle OpenMP threads sleep instead of spin, and let freed memory be used again.

    A host's few cores are shared by visitors, by other programs, by a training run; there, threads that spin while
    they wait for one another steal the time that the work needs: with two busy processes on two cores, a rendering
    took five times as long. And by default the C library returns every freed block of some size to the system, so
    that each tile's arrays are zeroed anew by the kernel, a page at a time: a sixth of an evaluation's time. Settings
    of the user's own stay; a C library without such a setting is left alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not any(name.startswith("MALLOC_") for name in os.environ):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the largest it takes
            mallopt(_M_TRIM_THRESHOLD, 1 << 30)

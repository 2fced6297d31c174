"""Measure free memory, so that a request that cannot fit is refused before anything is allocated."""

from __future__ import annotations

import os
from pathlib import Path

FALLBACK = 4 << 30
"""Bytes assumed where the system does not say."""


def available() -> int:
    """Return the bytes this process may still allocate: free memory, within the limit of its control group."""
    found = [n for n in (_system_free(), _control_group_free()) if n is not None]
    return max(0, min(found, default=FALLBACK))


def resident() -> int | None:
    """Return the bytes of memory that this process holds; None where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _system_free() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _control_group_free(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return int((root / limit).read_text()) - int((root / used).read_text())
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return None


def format_bytes(count: float) -> str:
    """Return a number of bytes as text: "1.5 GB" or "120 MB"."""
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"

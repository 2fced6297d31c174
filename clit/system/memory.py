"""How much memory there is, so that a request that cannot fit is refused before anything is allocated."""

from __future__ import annotations

from pathlib import Path

FALLBACK = 4 << 30  # where the system does not say


def available() -> int:
    """Bytes that this process may still take: what the system has free, within its control group's limit."""
    found = [n for n in (_system(), _control_group()) if n is not None]
    return max(0, min(found, default=FALLBACK))


def _system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


def _control_group(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return int((root / limit).read_text()) - int((root / used).read_text())
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return None


def told(count: float) -> str:
    """A number of bytes for people."""
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"

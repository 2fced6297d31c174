"""Connect to a Ray cluster, or begin one on this machine. The package ray is imported only here, and by its actors."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clit.errors import UserError

LOCAL = "local"
"""Address of a Ray of one's own, on this machine, that ends with the run."""

_CONNECT_SECONDS = 10
_DEATH_NOTICES = "timeout_ms_task_wait_for_death_info", "core_worker_internal_heartbeat_ms"
_NOTICE_MS = 100
"""How often Ray looks, and how long it waits, for why an actor does not answer: by itself a second each, and whoever
waits for a view waits for that too, before another actor is asked.
"""
_STORE = 512 << 20  # bytes of a local Ray's object store; Ray puts on the disk what it does not hold


@contextmanager
def connected(address: str, actors: int | None) -> Iterator[Any]:
    """Yield the module ray, connected; a cluster that the program is connected to already is used, and kept."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for name in _DEATH_NOTICES:
        os.environ.setdefault(f"RAY_{name}", str(_NOTICE_MS))
    try:
        import ray
    except ImportError:
        raise UserError("This needs the package ray: pip install 'clit[cluster]'.") from None
    if ray.is_initialized():
        yield ray
        return
    _check_reachable(address)
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == LOCAL:
        os.environ.setdefault("RAY_worker_niceness", "0")  # by default they give way to whatever else runs
        options |= {"include_dashboard": False, "num_cpus": actors, "object_store_memory": _STORE}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error below says the same
            ray.init(address, **options)
    except (ConnectionError, TimeoutError, ValueError, RuntimeError) as error:
        raise UserError(f"No Ray cluster can be reached at {address}: {last_line(error)}") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """UserError if nothing answers at an address with a port; Ray itself would go on trying for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # "local" or "auto"
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"No Ray cluster can be reached at {address}: {error}.") from None


def last_line(error: Exception) -> str:
    """Return the last line of what an error of Ray says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()

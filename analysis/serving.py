"""The page's server as a process of its own: for the browser tests, for pictures of the page, for its latency."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlparse

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 300  # seconds until the page must answer: the first import of torch on a busy machine takes long


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def serve_page(
    checkpoints: str | Path | None = None,
    root: Path = ROOT,
    flags: Sequence[str] = (),
    folder: Path | None = None,
    port: int | None = None,
) -> Iterator[str]:
    """Run `python app.py` of a checkout until the block ends, and give its address once it answers.

    flags: others of its own. folder: where it makes the folder that it writes into. port: a free one if None. Raises
    SystemExit with all that the server printed if it stops at its start or does not answer in time.
    """
    port = port or free_port()
    command = [sys.executable, "app.py", "--port", str(port)]
    if checkpoints:
        command += ["--checkpoints", str(Path(checkpoints).resolve())]
    command += flags
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        # An editable install may point at another checkout, and would come first.
        own = {"GRADIO_TEMP_DIR": str(folder)} if folder else {}
        path = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")])),
            **own,
        }
        server = subprocess.Popen(command, cwd=root, env=path, stdout=log, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            if not _wait_for_health(url, server):
                log.seek(0)
                raise SystemExit(f"The page did not start. `python app.py` printed:\n{log.read()}")
            yield url
        finally:
            _stop(server)


def find_server(url: str) -> int:
    """Return the process that serves an address."""
    port = str(urlparse(url).port).encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if b"\0".join([b"app.py", b"--port", port, b""]) in path.read_bytes():
                return int(path.parent.name)
    raise SystemExit(f"No process serves {url}.")


def resident(process: int) -> float:
    """Return how much memory a process holds, in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def _wait_for_health(url: str, server: subprocess.Popen) -> bool:
    """Wait until the server answers; return False if it has stopped or is not there in time."""
    until = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
        time.sleep(0.1)
    return False


def _stop(server: subprocess.Popen) -> None:
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()

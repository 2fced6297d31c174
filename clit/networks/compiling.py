"""Compile the kernels in the background, once, and load them.

Compiling takes some ten seconds: another process does it and leaves the result in the user's cache folder, from which a
thread loads it. Until then, and wherever that fails or Numba is missing, decoders work through torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_CODE = [_HERE / "arrays.py", _HERE / "compiling.py", _HERE / "weighing_loops.py", *sorted(_HERE.glob("kernels/*.py"))]
_COMPILE = "import os, sys; getattr(os, 'nice', int)(10); import clit.networks.compiling as c; c._load(sys.argv[1])"
_ready = threading.Event()
_lock = threading.Lock()
_loader: threading.Thread | None = None
_temporary: tempfile.TemporaryDirectory | None = None


def are_ready() -> bool:
    """Whether the kernels are loaded. The first call starts that."""
    start()
    return _ready.is_set()


def start() -> None:
    """Begin to load the kernels, compiled before if need be, in the background."""
    global _loader
    with _lock:
        if _loader is None:
            _loader = threading.Thread(target=_prepare, name="clit-kernels", daemon=True)
            _loader.start()


def wait(seconds: float | None = None) -> bool:
    """Wait until they are loaded, or cannot be. Returns whether they are."""
    start()
    _loader.join(seconds)
    return _ready.is_set()


@contextmanager
def switched_off() -> Iterator[None]:
    """Let all decoders work through torch for a while, to compare."""
    before = wait()
    _ready.clear()
    try:
        yield
    finally:
        if before:
            _ready.set()


def _prepare() -> None:
    try:
        if importlib.util.find_spec("numba") is None:
            return
        folder = _make_folder()
        done = folder / "compiled"
        if not done.exists():
            _compile(folder)
            done.touch()
        try:
            _load(folder)
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)  # the next start compiles anew
            raise
        _ready.set()
    except Exception:  # whatever it is, torch does the work
        logging.getLogger(__name__).info("no compiled kernels", exc_info=True)


def _make_folder() -> Path:
    """Make the folder of this code for this processor, in the user's cache folder if that can be written to."""
    global _temporary
    import llvmlite.binding as llvm
    import numba

    target = numba.config.CPU_NAME or llvm.get_host_cpu_name(), numba.config.CPU_FEATURES
    parts = [numba.__version__, sys.version, llvm.get_host_cpu_features().flatten(), *map(str, target)]
    # Numba compiles anew what lies elsewhere, or was written later: two checkouts would spoil each other's folder.
    code = [f"{path} {path.stat().st_mtime_ns}\0{path.read_text('utf-8')}" for path in _CODE]
    name = hashlib.sha256("\0".join(parts + code).encode()).hexdigest()[:16]
    home = {"win32": os.environ.get("LOCALAPPDATA"), "darwin": Path.home() / "Library" / "Caches"}.get(sys.platform)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or home or Path.home() / ".cache") / "clit" / "kernels" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        _temporary = tempfile.TemporaryDirectory(prefix="clit-")  # as long as the process lives
        return Path(_temporary.name)
    return folder


def _compile(folder: Path) -> None:
    """Compile into a folder, in another process: here it would hold Python's lock."""
    path = os.pathsep.join([str(_HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    subprocess.run(
        [sys.executable, "-c", _COMPILE, str(folder)], env={**os.environ, "PYTHONPATH": path}, check=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _load(folder: str | Path) -> None:
    """Load the kernels from a folder; what it does not have is compiled into it."""
    import numba
    import numpy as np

    from clit.networks.arrays import (
        AttentionScratch,
        AttentionView,
        AttentionWeights,
        EnsembleScratch,
        EnsembleView,
        Layers,
        make_example,
    )  # fmt: skip

    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
    try:
        from clit.networks import weighing_loops
        from clit.networks.kernels import attention, ensemble
    finally:
        numba.config.CACHE_DIR = before
    parts, colours, heads = np.zeros((0, 4), np.int64), *(np.zeros((0,) * axes, np.float32) for axes in (3, 4))
    view, scratch = make_example(AttentionView), make_example(AttentionScratch)
    attention.render(view, make_example(AttentionWeights), parts, scratch, colours)
    attention.survey(view, parts, scratch, heads)
    view, scratch = make_example(EnsembleView), make_example(EnsembleScratch)
    ensemble.render(view, make_example(Layers), parts, scratch, colours)
    rows, places = np.zeros((0, 0), np.float32), np.zeros((0, 0), np.int64)
    weighing_loops.forward(rows, rows, rows, places, colours, colours, colours)
    weighing_loops.backward(rows, rows, rows, places, colours, colours, rows, rows, rows, colours)

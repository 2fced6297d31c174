"""What a folder's run has done: a file of JSON lines that survives `kill -9`, and a lock that a dead run does not keep.

A record is on the disk before its output gets its name. So an output without a record is not of this run, and one
with a record is whole: no picture is made twice, and none is missed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout

from clit.errors import UserError
from clit.networks.model import SRModel

FOLDER = ".clit"
"""Folder inside OUT for the manifest, the lock and files that are not done yet."""


class Fingerprint(NamedTuple):
    """What a file was: size in bytes, time of the last change in ns, and SHA-256 of its content."""

    size: int
    changed: int
    sha256: str

    @classmethod
    def of(cls, path: str | os.PathLike) -> Fingerprint:
        """Return the fingerprint of a file; OSError if it cannot be read."""
        stat = os.stat(path)
        with open(path, "rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
        return cls(stat.st_size, stat.st_mtime_ns, digest.hexdigest())

    def fits(self, path: str | os.PathLike) -> bool:
        """Tell whether a file is still what it was.

        Size and time decide where they are equal, as in rsync: to read a million files would take hours. Where only
        the time differs, as after a copy, the content decides.
        """
        try:
            stat = os.stat(path)
            if stat.st_size != self.size:
                return False
            return stat.st_mtime_ns == self.changed or Fingerprint.of(path).sha256 == self.sha256
        except OSError:
            return False


class Manifest:
    """The records of an output folder. Only the run that holds the folder's lock may use it.

    settings: what decides the pixels besides the input; records of other settings do not count.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]):
        self._out = out
        self._path = out / FOLDER / "manifest.jsonl"
        self._settings = dict(settings)
        text = json.dumps(self._settings, sort_keys=True)
        self._run = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._done: dict[str, tuple[Fingerprint, Fingerprint]] = {}
        self._known = False  # whether the file says what the settings are
        torn = self._read()
        self._file = self._path.open("ab")
        if torn:  # the last line of a run that was stopped while it wrote
            self._file.write(b"\n")
        if not self._known:
            self._append({"run": self._run, "settings": self._settings})

    def _read(self) -> bool:
        """Read the records; return whether the last line is cut off."""
        line = b"\n"
        try:
            with self._path.open("rb") as file:
                for line in file:
                    self._read_line(line)
        except FileNotFoundError:
            pass
        return not line.endswith(b"\n")

    def _read_line(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            if record["run"] != self._run:
                self._done.pop(record.get("output"), None)  # written over since
            elif "settings" in record:
                self._known = True
            else:
                self._done[record["output"]] = Fingerprint(*record["input"]), Fingerprint(*record["result"])
        except (ValueError, KeyError, TypeError):
            return  # cut off

    def has_done(self, source: str, output: str) -> bool:
        """Tell whether an output (a path relative to the folder) is there, and was made of this input as it is."""
        record = self._done.get(output)
        return record is not None and record[0].fits(source) and record[1].fits(self._out / output)

    def add(self, output: str, source: Fingerprint, result: Fingerprint) -> None:
        """Record an output on the disk; give it its name afterwards."""
        self._append({"run": self._run, "output": output, "input": source, "result": result})

    def _append(self, record: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(record).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def digest_model(model: SRModel) -> str:
    """Return the SHA-256 of a model's configuration and weights."""
    digest = hashlib.sha256(json.dumps(model.config.to_dict(), sort_keys=True).encode())
    for name, tensor in model.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def lock(out: Path) -> Iterator[Path]:
    """Hold an output folder alone; yields the folder inside it for the run's own files. Both are made if missing.

    The system drops the lock when the process ends, in whatever way. UserError if another run holds it.
    """
    own = out / FOLDER
    try:
        own.mkdir(parents=True, exist_ok=True)
        held = FileLock(own / "lock", timeout=0)
        held.acquire()
    except Timeout:
        raise UserError(f"Another run is writing into {out}: wait until it ends, or choose another folder.") from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{out} cannot be used as the output folder: {reason}.") from None
    try:
        yield own
    finally:
        held.release()

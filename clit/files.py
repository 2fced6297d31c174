"""Files that appear complete or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from clit.errors import UserError


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a file so that it appears complete or not at all, whenever the process dies; UserError if that fails."""
    target = Path(os.path.realpath(path))  # a link stays a link
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        part.unlink(missing_ok=True)

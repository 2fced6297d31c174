"""Pictures that visitors and programs bring: which files are theirs, and what is read of them."""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from clit.errors import UserError
from clit.pictures.files import read_smaller
from clit.pictures.readers.source import Room
from clit.ui.entries import is_text
from clit.ui.limits import Limits
from clit.ui.pictures import Picture

_reading = threading.Lock()  # one upload in full size in memory at a time


@dataclass(frozen=True)
class Upload:
    """A file that a visitor brought; `name` is what the visitor calls it."""

    path: Path
    name: str

    @classmethod
    def read(cls, sent: Any, folder: Path) -> Upload:
        """Read {name, path}; the path as for `uploaded_file`."""
        path = uploaded_file(sent, folder)
        if path is None:
            raise UserError("The file did not arrive: choose it again.")
        name = sent.get("name")
        return cls(path, PurePath(name).name[-80:] if is_text(name) and PurePath(name).name else "upload")


def uploaded_file(sent: Any, folder: Path) -> Path | None:
    """Return the file at {path} if it really lies in `folder`, which receives uploads; None otherwise."""
    path = sent.get("path") if isinstance(sent, dict) else None
    if not is_text(path) or len(path) > 4096 or "\0" in path:
        return None
    try:
        resolved = Path(path).resolve()
        return resolved if resolved.is_relative_to(folder.resolve()) and resolved.is_file() else None
    except (OSError, RuntimeError):  # a name that is too long, links in a circle
        return None


def read_upload(path: Path, name: str, limits: Limits) -> Picture:
    """Read an uploaded file; a picture that is too large is reduced, and its notice says so.

    UserError, which calls the file `name`, for one that is too large to be read at all or is no picture.
    """
    length = path.stat().st_size
    if length > limits.upload_bytes:
        raise UserError(
            f"This file has {length / 1e6:.0f} MB: choose one of at most {limits.upload_bytes / 1e6:.0f} MB."
        )
    with _reading:
        try:
            room = Room(limits.upload_memory, limits.upload_side, limits.input_pixels, limits.input_side)
            picture, (height, width) = read_smaller(path, limits.upload_pixels, room)
        except UserError as error:  # it tells where the file lies on the server, which is nobody's business
            raise UserError(str(error).replace(str(path), name)) from None
        rgb, notices = picture.opaque(), list(picture.notices)
        small = rgb.shape[:2]
        if small != (height, width):
            notices.append(
                f"Your picture of {width} × {height} pixels was reduced to {small[1]} × {small[0]}: here it is the "
                "small picture that the methods enlarge. The command line takes any size."
            )
    return Picture(secrets.token_urlsafe(9), name, rgb, notice=" ".join(notices))

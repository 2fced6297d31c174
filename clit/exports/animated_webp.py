"""Animated WebP, written frame by frame: Pillow would first collect all frames.

Each frame is a picture of its own in lossy WebP, inside the chunks of the container (RFC 9649, section 2.7).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

_QUALITY, _METHOD = 90, 2
_ANIMATION = 0x02  # flag of the VP8X chunk
_OPAQUE = 0x02  # flag of a frame: it replaces what it covers


def write_webp(path: Path, frames: Iterator[np.ndarray], fps: int) -> tuple[int, int]:
    """Write frames (height, width, 3) uint8 of one size, played again and again; return that size.

    The same array twice in turn is one frame that stays twice as long.
    """
    duration = round(1000 / fps)
    shown = next(frames)
    height, width = shown.shape[:2]
    corner = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    with path.open("wb") as file:
        file.write(b"RIFF\0\0\0\0WEBP")
        file.write(_chunk(b"VP8X", bytes([_ANIMATION, 0, 0, 0]) + corner))
        file.write(_chunk(b"ANIM", bytes(6)))  # black ground, no end

        def write(frame: np.ndarray, times: int) -> None:
            head = bytes(6) + corner + (times * duration).to_bytes(3, "little") + bytes([_OPAQUE])
            file.write(_chunk(b"ANMF", head + _encode(frame)))

        times = 1
        for frame in frames:
            if frame is not shown:
                write(shown, times)
                shown, times = frame, 0
            times += 1
        write(shown, times)
        length = file.tell()
        file.seek(4)
        file.write(struct.pack("<I", length - 8))
    return height, width


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _encode(frame: np.ndarray) -> bytes:
    """Return the chunk of a frame's pixels."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "WEBP", quality=_QUALITY, method=_METHOD)
    return buffer.getvalue()[12:]  # after "RIFF", length, "WEBP"

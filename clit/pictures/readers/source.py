"""A picture file in memory, and the bounds within which it may be decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from clit.errors import UserError
from clit.system import memory

CUT_OFF = "The end of the file is missing: what is there is shown."
MORE_PICTURES = "The file holds more than one picture: the first is read."

MAX_SIDE = 1_000_000
"""Longest side that is decoded unless told otherwise, in pixels."""

_PIXEL_BYTES = 28  # colours and alpha as float32, once more while they are converted


@dataclass(frozen=True)
class Room:
    """What a picture may take while it is read, and the size it is made smaller to: area and longer side in pixels.

    bytes: of memory, besides the file itself.
    """

    bytes: int
    side: int
    shrunk_area: int
    shrunk_side: int

    def shrink(self, height: int, width: int) -> tuple[int, int]:
        """Return the size to which a picture is made smaller; its own where it is small enough."""
        ratio = max(1.0, math.sqrt(height * width / self.shrunk_area), max(height, width) / self.shrunk_side)
        return (height, width) if ratio == 1 else (max(1, int(height / ratio)), max(1, int(width / ratio)))


@dataclass(frozen=True)
class Source:
    """The bytes of a file.

    name, form: as people are told. strict: refuse a file whose end is missing. room: of a picture that is made smaller.
    """

    name: str
    form: str
    data: bytes = field(repr=False)
    max_pixels: int
    strict: bool = False
    room: Room | None = None

    def check_size(self, height: int, width: int, sample_bytes: int = 4) -> None:
        """Raise UserError if a picture of this size may not be decoded.

        sample_bytes: of a pixel, while it is decoded. Where the picture is made smaller, that is all it takes.
        """
        if min(height, width) < 1:
            raise UserError(f"{self.name} has no pixels.")
        if height * width > self.max_pixels:
            raise self.too_large()
        longest = self.room.side if self.room else MAX_SIDE
        if max(height, width) > longest:
            raise UserError(
                f"{self.name} has {width} × {height} pixels, but at most {longest} a side are read: cut it into parts."
            )
        if self.room:
            most = (self.room.bytes - 2 * len(self.data)) // sample_bytes
            if height * width > most:
                advice = "make it smaller" + ("" if self.form == "JPEG" else ", or save it as JPEG")
                raise UserError(
                    f"{self.name} has {height * width / 1e6:.1f} megapixels, more than the {max(0, most) / 1e6:.1f} "
                    f"that are read here of such a {self.form} file: {advice}."
                )
            return
        needed, free = height * width * (_PIXEL_BYTES + sample_bytes), memory.available()
        if needed > free:
            raise UserError(
                f"{self.name} takes about {memory.format_bytes(needed)} of memory to read, more than the "
                f"{memory.format_bytes(free)} there are: use a smaller one, or a part of it."
            )

    def too_large(self) -> UserError:
        return UserError(
            f"{self.name} has more than {self.max_pixels / 1e6:g} megapixels: use a smaller one, or a part of it."
        )

    def damaged(self) -> UserError:
        return UserError(
            f"{self.name} is a damaged {self.form} file, or of a variant that cannot be read: save it as PNG or JPEG."
        )

    def cut_off(self) -> str:
        """Return the notice that the end is missing; UserError where that is not accepted."""
        if self.strict:
            raise UserError(f"The end of {self.name} is missing: get the whole file.")
        return CUT_OFF

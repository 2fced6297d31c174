"""A picture file in memory, and the bounds within which it may be decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

from clit.errors import UserError
from clit.system import memory

CUT_OFF = "The end of the file is missing: what is there is shown."
MORE_PICTURES = "The file holds more than one picture: the first is read."

_PIXEL_BYTES = 28  # colours and alpha as float32, once more while they are converted


@dataclass(frozen=True)
class Source:
    """The bytes of a file. name, form: as people are told. strict: refuse a file whose end is missing."""

    name: str
    form: str
    data: bytes = field(repr=False)
    max_pixels: int
    strict: bool = False

    def check_size(self, height: int, width: int, sample_bytes: int = 4) -> None:
        """Raise UserError if a picture of this size may not be decoded. sample_bytes: of a pixel as the file has it."""
        if min(height, width) < 1:
            raise UserError(f"{self.name} has no pixels.")
        if height * width > self.max_pixels:
            raise self.too_large()
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

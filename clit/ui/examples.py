"""The bundled pictures: a folder of PNGs, their captions in `credits.json`, some at full size in `originals/`."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from clit.pictures.files import as_array, to_bytes
from clit.ui.pictures import Picture, encode_webp

BUNDLED = Path(__file__).parents[2] / "assets" / "examples"
"""The project's own examples."""

THUMBNAIL = 96
"""Longer side of an example's thumbnail, in pixels."""


class Examples:
    """Pictures that visitors may open without bringing one.

    folder: PNGs with `credits.json`, {file: {title, author, licence, source, place: {row, column, scale, methods}}}.
    The same name in `originals/` is the picture at full size, from which ground truth is made.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._loaded: dict[str, tuple[dict, Picture]] = {}

    def describe(self) -> list[dict]:
        """Return the entries of the menu: name, title, thumbnail (WebP in base64)."""
        return [self._load(name)[0] for name in self.names()]

    def open(self, name: str) -> Picture:
        """Return the example of a file name that is one of `names`."""
        return self._load(name)[1]

    def count_bytes(self) -> int:
        """Return the bytes that the examples read so far take."""
        pictures = [picture for _, picture in list(self._loaded.values())]
        return sum(each.nbytes + (0 if each.original is None else each.original.nbytes) for each in pictures)

    def _load(self, name: str) -> tuple[dict, Picture]:
        """Return an example's menu entry, and the picture itself; it is read once."""
        if name not in self._loaded:
            self._loaded[name] = _read(self._folder, name)
        return self._loaded[name]

    def names(self) -> list[str]:
        """Return the file names in the order of the credits, then of the alphabet."""
        order = list(read_credits(self._folder))
        names = sorted(path.name for path in self._folder.glob("*.png"))
        return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def _read(folder: Path, name: str) -> tuple[dict, Picture]:
    entry = read_credits(folder).get(name, {})
    credit = {key: str(value) for key, value in entry.items() if key != "place"}
    original = folder / "originals" / name
    picture = Picture(
        f"example-{name}", name, as_array(folder / name), credit,
        place=entry.get("place"), original=as_array(original) if original.is_file() else None,
    )  # fmt: skip
    small = Image.fromarray(to_bytes(picture.rgb))
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    title = credit.get("title") or Path(name).stem.replace("-", " ").capitalize()
    return {"name": name, "title": title, "thumbnail": encode_webp(small, quality=85)}, picture


def read_credits(folder: Path) -> dict[str, dict]:
    """Return the captions by file name; none where the file is missing or is something else."""
    try:
        found = json.loads((folder / "credits.json").read_text(encoding="utf-8"))
        return {name: dict(credit) for name, credit in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}

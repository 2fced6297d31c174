"""Tiles of a rendering, small enough where others wait: what a tile takes is known from those drawn before."""

from __future__ import annotations

import math
from collections.abc import Hashable

from clit.geometry import View
from clit.networks.model import SRModel
from clit.system.threads import even_size

TILE_SECONDS = 0.25
"""Seconds that a tile shall take at most where others wait for their turn."""

LEAST = 128
"""Smallest side that tiles are cut to, in output pixels: smaller ones cost more than a third more."""

_FIRST = 1e-10  # seconds of a multiply-add before anything is known: ten thousand million a second
_SLOWER = 1.1  # a tile makes what is known at most so many times longer: now and then one is kept waiting


class Pace:
    """Learns what a multiply-add takes, by decoder and by scale, about. Safe to share between threads."""

    def __init__(self) -> None:
        self._seconds: dict[Hashable, float] = {}

    def note(self, model: SRModel, view: View, what: str, seconds: float) -> None:
        """Note how long a tile took. what: what was drawn of it."""
        key, found = _class_of(model, view, what), seconds / model.decoder.multiply_adds(view)
        self._seconds[key] = min(found, _SLOWER * self._seconds.get(key, found))

    def choose_side(self, model: SRModel, view: View, what: str, largest: int) -> int:
        """Return the largest side, up to one that memory allows, of tiles that take at most TILE_SECONDS."""
        each = self._seconds.get(_class_of(model, view, what), _FIRST)
        pixel = each * model.decoder.multiply_adds(view) / view.count
        return max(min(LEAST, largest), min(largest, math.isqrt(int(TILE_SECONDS / pixel))))


def _class_of(model: SRModel, view: View, what: str) -> Hashable:
    return model.config.decoder, what, len(view.factors), round(math.log2(view.density))


def cut_tiles(height: int, width: int, side: int) -> list[tuple[slice, slice]]:
    """Cut (height, width) pixels into tiles: (rows, columns) of each, those nearest to the centre first."""
    tiles = [
        (slice(top, min(top + side, height)), slice(left, min(left + side, width)))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
    return sorted(tiles, key=lambda t: (t[0].start + t[0].stop - height) ** 2 + (t[1].start + t[1].stop - width) ** 2)


def cut_smaller(rows: slice, columns: slice, side: int) -> list[tuple[slice, slice]]:
    """Cut a tile into equal ones with sides of at most `side`: (rows, columns) of each."""
    height, width = rows.stop - rows.start, columns.stop - columns.start
    down, across = even_size(height, side), even_size(width, side)
    return [
        (slice(top, min(top + down, rows.stop)), slice(left, min(left + across, columns.stop)))
        for top in range(rows.start, rows.stop, down)
        for left in range(columns.start, columns.stop, across)
    ]

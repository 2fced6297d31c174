"""Features of images, in cells: computed where a view needs them, kept while there is room, shared between models.

An encoder of convolutions sees no further than its reach: a part of the image with that much around it gives the
same features as the whole, to float rounding. So a first view of a large photograph waits for what it shows alone.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from clit.errors import Cancelled
from clit.geometry import Region
from clit.networks.decoders.base import Features, Maps
from clit.networks.model import SRModel
from clit.system.threads import blocks

CELL = 16
"""Side of a cell in LR pixels: what is kept or encoded anew."""

PIECE = 256
"""Largest side, in LR pixels, of what is encoded at once."""

_IMAGES = 8  # images kept as tensors, and digests of read-only arrays

MAPS = 256 << 20
"""Bytes of what decoders made of features that are kept beside them, for the next view of the same part."""

Cell = tuple[str, str, int, int]  # encoder, image, row, column


class FeatureCache:
    """Parts of feature maps of many images, for many encoders, within `limit` bytes. Safe to share between threads."""

    def __init__(self, limit: int):
        self.limit = limit
        self._cells: OrderedDict[Cell, Tensor] = OrderedDict()
        self._held = 0
        self._maps: OrderedDict[tuple, tuple[weakref.ref, Maps]] = OrderedDict()
        self._images: OrderedDict[tuple, Tensor] = OrderedDict()
        self._digests: dict[int, tuple[weakref.ref, str]] = {}
        self._keys: weakref.WeakKeyDictionary[SRModel, tuple[tuple, str]] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def part(
        self,
        model: SRModel,
        image: np.ndarray,
        wanted: Region,
        around: Region | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Features:
        """Features of the (h, w, 3) float32 image over a region inside it, or a little more.

        around: the region that will be wanted soon, of which a larger piece is then encoded at once. When cancel()
        is true, Cancelled is raised before the next piece.
        """
        encoder, digest = self._encoder_key(model), self._digest(image)
        tensor = self._tensor(model, image, digest, *model.place)
        if not wanted.area:
            return Features(tensor[:, :0, :0, :0], tensor)
        size = image.shape[:2]
        want = _cells(wanted, size)
        found = self._find(encoder, digest, want)
        for piece in _pieces(_cells(around or wanted, size), want):
            if all(at in found for at in _each(_overlap(piece, want))):
                continue
            known = self._find(encoder, digest, piece)
            missing = np.array([[(y, x) not in known for x in _columns(piece)] for y in _rows(piece)])
            for part in _rectangles(missing, piece):
                if cancel and cancel():
                    raise Cancelled
                fresh = self._encode(model, tensor, part)
                self._keep(encoder, digest, fresh)
                found.update(fresh)
        return _assemble(found, want, tensor, functools.partial(self._remember, (encoder, digest)))

    def _remember(self, features: tuple[str, str], module: nn.Module, region: Region, make: Callable[[], Maps]) -> Maps:
        """What a module's `make` makes over a region, or the part of what it made before over a larger one."""
        stamp = tuple((p.data_ptr(), p._version) for p in module.parameters())
        with self._lock:
            for key, (made_by, maps) in reversed(self._maps.items()):
                *same, known = key
                if same == [*features, stamp] and made_by() is module and known.contains(region):
                    self._maps.move_to_end(key)
                    rows = slice(region.top - known.top, region.bottom - known.top)
                    columns = slice(region.left - known.left, region.right - known.left)
                    return tuple(map[:, rows, columns] for map in maps)
        maps = make()
        with self._lock:
            self._maps[(*features, stamp, region)] = (weakref.ref(module), maps)
            while sum(map.nbytes for _, kept in self._maps.values() for map in kept) > MAPS:
                self._maps.popitem(last=False)
        return maps

    def _find(self, encoder: str, digest: str, cells: Region) -> dict[tuple[int, int], Tensor]:
        found = {}
        with self._lock:
            for at in _each(cells):
                key = (encoder, digest, *at)
                if key in self._cells:
                    self._cells.move_to_end(key)
                    found[at] = self._cells[key]
        return found

    def _keep(self, encoder: str, digest: str, fresh: dict[tuple[int, int], Tensor]) -> None:
        with self._lock:
            for at, cell in fresh.items():
                old = self._cells.pop((encoder, digest, *at), None)
                self._held -= 0 if old is None else old.nbytes
                self._cells[(encoder, digest, *at)] = cell
                self._held += cell.nbytes
            while self._held > self.limit and self._cells:
                self._held -= self._cells.popitem(last=False)[1].nbytes

    @staticmethod
    @torch.inference_mode()
    def _encode(model: SRModel, x: Tensor, cells: Region) -> dict[tuple[int, int], Tensor]:
        h, w = x.shape[-2:]
        if model.encoder.reach is None:
            cells = _cells(Region(0, 0, h, w), (h, w))
        top, left = cells.top * CELL, cells.left * CELL
        map = model.encode_part(x, Region(top, left, min(cells.bottom * CELL, h), min(cells.right * CELL, w)))
        cut = {}  # of copies, so that a cell alone can be given up
        for row, column in _each(cells):
            down, across = row * CELL - top, column * CELL - left
            cut[row, column] = map[:, :, down : down + CELL, across : across + CELL].clone()
        return cut

    def _tensor(self, model: SRModel, image: np.ndarray, digest: str, device, dtype) -> Tensor:
        """The image as the networks see it: (1, 3, h, w) in [-1, 1]."""
        key = (digest, device, dtype)
        with self._lock:
            if key in self._images:
                self._images.move_to_end(key)
                return self._images[key]
        x = model.normalise(torch.tensor(image).permute(2, 0, 1)[None].to(device, dtype))
        with self._lock:
            self._images[key] = x
            while len(self._images) > 1 and (
                len(self._images) > _IMAGES or sum(t.nbytes for t in self._images.values()) > self.limit
            ):
                self._images.popitem(last=False)
        return x

    def _digest(self, image: np.ndarray) -> str:
        """A fingerprint of an image; that of an array that nobody can write to is remembered."""
        known = self._digests.get(id(image))
        if known and known[0]() is image:
            return known[1]
        digest = f"{hashlib.sha256(np.ascontiguousarray(image)).hexdigest()}{image.shape}"
        if not image.flags.writeable and image.base is None:
            with self._lock:
                if len(self._digests) >= _IMAGES:
                    self._digests = {key: kept for key, kept in self._digests.items() if kept[0]() is not None}
                self._digests[id(image)] = (weakref.ref(image), digest)
        return digest

    def _encoder_key(self, model: SRModel) -> str:
        """`model.encoder_key()`, computed anew only when the weights were written to or moved."""
        stamp = tuple((p.data_ptr(), p._version, p.dtype) for p in model.encoder.parameters())
        with self._lock:
            known = self._keys.get(model)
        if known is None or known[0] != stamp:
            known = (stamp, model.encoder_key())
            with self._lock:
                self._keys[model] = known
        return known[1]


def _cells(region: Region, size: tuple[int, int]) -> Region:
    """The cells that cover what of a region of pixels lies inside an image of `size`."""
    r = region.inside(size)
    return Region(r.top // CELL, r.left // CELL, -(-r.bottom // CELL), -(-r.right // CELL))


def _overlap(a: Region, b: Region) -> Region:
    return Region(max(a.top, b.top), max(a.left, b.left), min(a.bottom, b.bottom), min(a.right, b.right))


def _each(cells: Region) -> Iterator[tuple[int, int]]:
    return itertools.product(_rows(cells), _columns(cells))


def _rows(cells: Region) -> range:
    return range(cells.top, cells.bottom)


def _columns(cells: Region) -> range:
    return range(cells.left, cells.right)


def _pieces(around: Region, wanted: Region) -> Iterator[Region]:
    """Those equal pieces of `around`, none larger than PIECE, that touch `wanted` (all are cells)."""
    most = (PIECE // CELL) ** 2
    for rows, columns in blocks(around.bottom - around.top, around.right - around.left, most):
        piece = Region(
            around.top + rows.start, around.left + columns.start,
            min(around.top + rows.stop, around.bottom), min(around.left + columns.stop, around.right),
        )  # fmt: skip
        if any(_each(_overlap(piece, wanted))):
            yield piece


def _rectangles(missing: np.ndarray, piece: Region) -> Iterator[Region]:
    """Rectangles of cells that together cover what is missing of a piece, each as wide and then as high as can be."""
    missing = missing.copy()
    while missing.any():
        top, left = np.argwhere(missing)[0]
        right = left + int(np.argmin(np.append(missing[top, left:], False)))
        bottom = top + int(np.argmin(np.append(missing[top:, left:right].all(1), False)))
        missing[top:bottom, left:right] = False
        yield Region(piece.top + int(top), piece.left + int(left), piece.top + int(bottom), piece.left + int(right))


def _assemble(found: dict[tuple[int, int], Tensor], cells: Region, image: Tensor, remember: Callable) -> Features:
    rows = [torch.cat([found[y, x] for x in _columns(cells)], -1) for y in _rows(cells)]
    return Features(torch.cat(rows, -2), image, cells.top * CELL, cells.left * CELL, remember)

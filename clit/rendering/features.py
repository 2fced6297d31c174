"""A cache of image features, cut into cells: computed where a view needs them, shared between models.

A convolutional encoder sees no further than its reach. So a part of the image with that border around it gives the same
features as the whole, to float rounding, and the first view of a large photograph encodes only what it shows.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from clit.errors import Cancelled
from clit.geometry import Region
from clit.networks.decoders.base import Features, Maps
from clit.networks.model import SRModel
from clit.system import turns
from clit.system.threads import blocks

CELL = 16
"""Side of a cell in LR pixels. Cells are cached and evicted one by one."""

PIECE = 256
"""Largest side, in LR pixels, of a piece that is encoded at once."""

_IMAGES = 8  # number of images kept as tensors, and of hashes of read-only arrays

MAPS_LIMIT = 256 << 20
"""Bytes of decoders' maps that are cached for the next view of the same part, and at most a third of all."""

Cell = tuple[str, str, int, int]
"""Hash of the encoder, hash of the image, row, column."""


class _Encoding:
    """What stands for an image being encoded. Others wait until it is, rather than encode it as well."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class FeatureCache:
    """Caches cells of feature maps of many images and encoders, decoders' maps, and the images as tensors.

    limit: bytes of all of these together, which may be changed. Safe to share between threads.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._cells: OrderedDict[Cell, Tensor] = OrderedDict()
        self._held = 0
        self._maps: OrderedDict[tuple, tuple[weakref.ref, Maps]] = OrderedDict()
        self._images: OrderedDict[tuple, Tensor] = OrderedDict()
        self._digests: dict[int, tuple[weakref.ref, str]] = {}
        self._keys: weakref.WeakKeyDictionary[SRModel, tuple[tuple, str]] = weakref.WeakKeyDictionary()
        self._encoding: weakref.WeakValueDictionary[tuple[str, str], _Encoding] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """Bytes of all that is cached."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        with self._lock:
            self._evict()

    def count_bytes(self) -> dict[str, int]:
        """Return the bytes that are held: features, maps, images."""
        with self._lock:
            return {"features": self._held, "maps": self._count_maps(), "images": self._count_images()}

    @property
    def _most_of_maps(self) -> int:
        return min(MAPS_LIMIT, self._limit // 3)

    def _count_maps(self) -> int:
        return sum(map.nbytes for _, kept in self._maps.values() for map in kept)

    def _count_images(self) -> int:
        return sum(tensor.nbytes for tensor in self._images.values())

    def forget(self, keys: Collection[str]) -> None:
        """Forget all that is cached of some images; keys: from `image_key`."""
        with self._lock:
            for cell in [each for each in self._cells if each[1] in keys]:
                self._held -= self._cells.pop(cell).nbytes
            self._maps = OrderedDict((what, kept) for what, kept in self._maps.items() if what[1] not in keys)
            self._images = OrderedDict((what, kept) for what, kept in self._images.items() if what[0] not in keys)

    def _evict(self) -> None:
        """Forget what was used longest ago until the rest lies within the limit; the newest image stays."""
        while len(self._images) > 1 and (len(self._images) > _IMAGES or self._count_images() > self._limit // 3):
            self._images.popitem(last=False)
        while self._maps and self._count_maps() > self._most_of_maps:
            self._maps.popitem(last=False)
        room = self._limit - self._count_maps() - self._count_images()
        while self._held > room and self._cells:
            self._held -= self._cells.popitem(last=False)[1].nbytes

    def get(
        self,
        model: SRModel,
        image: np.ndarray,
        key: str,
        wanted: Region,
        around: Region | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Features:
        """Return features of the image (h, w, 3) float32 that cover at least a region inside it.

        key: the image's, from `image_key`. around: the region that will be wanted soon; pieces of it are encoded at
        once. When cancel() is true, Cancelled is raised before the next piece.
        """
        encoder = self.get_encoder_key(model)
        tensor = self._get_tensor(model, image, key, *model.place)
        if not wanted.area:
            return Features(tensor[:, :0, :0, :0], tensor)
        size = image.shape[:2]
        want = _cover(wanted, size)
        found = self._get_cells(encoder, key, want)
        for piece in _cut_pieces(_cover(around or wanted, size), want):
            if all(at in found for at in _cells_in(piece.intersect(want))):
                continue
            found.update(self._encode_piece(model, tensor, encoder, key, piece, cancel))
        times = max(1.0, around.area / wanted.area) if around else 1.0
        return _assemble(found, want, tensor, functools.partial(self._remember, (encoder, key), times))

    def _encode_piece(
        self, model: SRModel, tensor: Tensor, encoder: str, key: str, piece: Region, cancel: Callable[[], bool] | None
    ) -> dict[tuple[int, int], Tensor]:
        """Return the cells of a piece; those that are not cached are encoded, by one thread."""
        with self._lock:
            encoding = self._encoding.setdefault((encoder, key), _Encoding())
        with turns.hold(encoding.lock, cancel) as held:
            if not held:
                raise Cancelled
            found = self._get_cells(encoder, key, piece)
            missing = np.array([[(y, x) not in found for x in _columns(piece)] for y in _rows(piece)])
            for part in _cut_rectangles(missing, piece):
                if cancel and cancel():
                    raise Cancelled
                fresh = self._encode_cells(model, tensor, part)
                self._store_cells(encoder, key, fresh)
                found.update(fresh)
        return found

    def missing_shares(
        self, model: SRModel, key: str, regions: Sequence[Region], size: tuple[int, int], seen: set[Cell]
    ) -> list[float]:
        """Return the share 0..1 of each region's cells that is neither cached nor `seen`; they are seen from then on.

        key: the image's, from `image_key`. size: the image's (h, w).
        """
        encoder, shares = self.get_encoder_key(model), []
        for region in regions:
            cells = _cover(region, size)
            missing = set(_cells_in(cells)) - self._get_cells(encoder, key, cells).keys()
            missing = {(encoder, key, *at) for at in missing} - seen
            shares.append(len(missing) / max(1, cells.area))
            seen |= missing
        return shares

    def _remember(
        self,
        features: tuple[str, str],
        times: float,
        module: nn.Module,
        of: Hashable,
        region: Region,
        make: Callable[[Region], Maps],
    ) -> Maps:
        """Return a module's maps over a region. What cached ones lack of it is made, and the whole is cached.

        times: how many such regions the view at hand has. Where their maps do not fit in together none is cached: each
        would be gone before it is wanted again.
        """
        stamp = tuple((p.data_ptr(), p._version) for p in module.parameters())
        what = (*features, stamp, of)
        with self._lock:
            known = {
                key[-1]: maps for key, (made_by, maps) in self._maps.items() if key[:-1] == what and made_by() is module
            }
            best = max(known, key=lambda other: other.intersect(region).area, default=region.clip((0, 0)))
            if best.contains(region):
                self._maps.move_to_end((*what, best))
        if best.contains(region):
            return _cut_maps(known[best], best, region)
        maps = _extend_maps(known[best], best, region, make) if best.intersect(region).area else make(region)
        if times * sum(map.nbytes for map in maps) <= self._most_of_maps:
            with self._lock:
                self._maps[(*what, region)] = (weakref.ref(module), maps)
                self._evict()
        return maps

    def _get_cells(self, encoder: str, digest: str, cells: Region) -> dict[tuple[int, int], Tensor]:
        found = {}
        with self._lock:
            for at in _cells_in(cells):
                key = (encoder, digest, *at)
                if key in self._cells:
                    self._cells.move_to_end(key)
                    found[at] = self._cells[key]
        return found

    def _store_cells(self, encoder: str, digest: str, fresh: dict[tuple[int, int], Tensor]) -> None:
        with self._lock:
            for at, cell in fresh.items():
                old = self._cells.pop((encoder, digest, *at), None)
                self._held -= 0 if old is None else old.nbytes
                self._cells[(encoder, digest, *at)] = cell
                self._held += cell.nbytes
            self._evict()

    @staticmethod
    @torch.inference_mode()
    def _encode_cells(model: SRModel, x: Tensor, cells: Region) -> dict[tuple[int, int], Tensor]:
        h, w = x.shape[-2:]
        if model.encoder.reach is None:
            cells = _cover(Region(0, 0, h, w), (h, w))
        top, left = cells.top * CELL, cells.left * CELL
        map = model.encode_part(x, Region(top, left, min(cells.bottom * CELL, h), min(cells.right * CELL, w)))
        cut = {}  # copies, so that evicting a cell frees its memory
        for row, column in _cells_in(cells):
            down, across = row * CELL - top, column * CELL - left
            cut[row, column] = map[:, :, down : down + CELL, across : across + CELL].clone()
        return cut

    def _get_tensor(self, model: SRModel, image: np.ndarray, digest: str, device, dtype) -> Tensor:
        """Return the image as the networks see it: (1, 3, h, w) in [-1, 1]."""
        key = (digest, device, dtype)
        with self._lock:
            if key in self._images:
                self._images.move_to_end(key)
                return self._images[key]
        x = model.normalise(torch.tensor(image).permute(2, 0, 1)[None].to(device, dtype))
        with self._lock:
            self._images[key] = x
            self._evict()
        return x

    def image_key(self, image: np.ndarray) -> str:
        """Return a hash of an image; that of a read-only array is cached. A large image takes a while: ask once."""
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

    def get_encoder_key(self, model: SRModel) -> str:
        """Return `model.encoder_key()`, which is computed again only after the weights were written to or moved."""
        stamp = tuple((p.data_ptr(), p._version, p.dtype) for p in model.encoder.parameters())
        with self._lock:
            known = self._keys.get(model)
        if known is None or known[0] != stamp:
            known = (stamp, model.encoder_key())
            with self._lock:
                self._keys[model] = known
        return known[1]


def _cover(region: Region, size: tuple[int, int]) -> Region:
    """Return the region of cells that covers the part of a region of pixels inside an image of `size`."""
    r = region.clip(size)
    return Region(r.top // CELL, r.left // CELL, -(-r.bottom // CELL), -(-r.right // CELL))


def _cells_in(cells: Region) -> Iterator[tuple[int, int]]:
    return itertools.product(_rows(cells), _columns(cells))


def _rows(cells: Region) -> range:
    return range(cells.top, cells.bottom)


def _columns(cells: Region) -> range:
    return range(cells.left, cells.right)


def _cut_pieces(around: Region, wanted: Region) -> Iterator[Region]:
    """Cut `around` into equal pieces of at most PIECE and yield those that touch `wanted`. All are regions of cells."""
    most = (PIECE // CELL) ** 2
    for rows, columns in blocks(around.bottom - around.top, around.right - around.left, most):
        piece = Region(
            around.top + rows.start, around.left + columns.start,
            min(around.top + rows.stop, around.bottom), min(around.left + columns.stop, around.right),
        )  # fmt: skip
        if any(_cells_in(piece.intersect(wanted))):
            yield piece


def _cut_rectangles(missing: np.ndarray, piece: Region) -> Iterator[Region]:
    """Cut the missing cells (bool) of a piece into rectangles, each first as wide and then as high as possible."""
    missing = missing.copy()
    while missing.any():
        top, left = np.argwhere(missing)[0]
        right = left + int(np.argmin(np.append(missing[top, left:], False)))
        bottom = top + int(np.argmin(np.append(missing[top:, left:right].all(1), False)))
        missing[top:bottom, left:right] = False
        yield Region(piece.top + int(top), piece.left + int(left), piece.top + int(bottom), piece.left + int(right))


def _cut_maps(maps: Maps, known: Region, region: Region) -> Maps:
    """Return the part over a region of maps over a larger one."""
    rows, columns = region.move(-known.top, -known.left).slices()
    return tuple(map[:, rows, columns] for map in maps)


def _extend_maps(maps: Maps, known: Region, region: Region, make: Callable[[Region], Maps]) -> Maps:
    """Return maps over a region, of which those over a known one are at hand."""
    shared = known.intersect(region)
    beside = (
        Region(region.top, region.left, shared.top, region.right),
        Region(shared.bottom, region.left, region.bottom, region.right),
        Region(shared.top, region.left, shared.bottom, shared.left),
        Region(shared.top, shared.right, shared.bottom, region.right),
    )
    found = [(shared, _cut_maps(maps, known, shared)), *((part, make(part)) for part in beside if part.area)]
    height, width = region.bottom - region.top, region.right - region.left
    whole = tuple(map.new_empty(len(map), height, width, map.shape[-1]) for map in maps)
    for part, made in found:
        for target, source in zip(_cut_maps(whole, region, part), made, strict=True):
            target.copy_(source)
    return whole


def _assemble(found: dict[tuple[int, int], Tensor], cells: Region, image: Tensor, remember: Callable) -> Features:
    """Join cells to the features of one region."""
    rows = [torch.cat([found[y, x] for x in _columns(cells)], -1) for y in _rows(cells)]
    return Features(torch.cat(rows, -2), image, cells.top * CELL, cells.left * CELL, remember)

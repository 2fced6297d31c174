"""What an encoder makes of the pictures on the way of an attribution, kept for other models that have the same encoder.

Most models here differ in their decoders alone, so whoever compares them about one pixel needs the encoder's way forth
once: each model needs a way back of its own, as its decoder gives other gradients.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.geometry import Region
from clit.networks.encoders import slopes
from clit.networks.encoders.slopes import Slopes, Transposed
from clit.networks.model import SRModel

LIMIT = 48 << 20
"""Bytes kept: of two pixels, with 50 steps each."""

Picture = tuple[str, str, float]
"""Hash of the encoder, hash of the image, share of the way from blurred to sharp."""


class Encodings:
    """Keeps the encodings of parts of pictures. limit: in bytes. Safe to share between threads."""

    def __init__(self, limit: int = LIMIT):
        self._limit = limit
        self._kept: OrderedDict[tuple[Picture, Region], Slopes] = OrderedDict()
        self._transposed: weakref.WeakKeyDictionary[nn.Module, tuple[str, Transposed]] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def set_limit(self, limit: int) -> None:
        """Change the bytes kept; what is beyond is forgotten."""
        with self._lock:
            self._limit = limit
            self._evict()

    def forget(self, image_keys: Collection[str]) -> None:
        """Forget the encodings of some pictures."""
        with self._lock:
            self._kept = OrderedDict((at, each) for at, each in self._kept.items() if at[0][1] not in image_keys)

    def count_bytes(self) -> int:
        """Return the bytes that are held."""
        with self._lock:
            return sum(each.nbytes for each in self._kept.values())

    def encode(self, model: SRModel, key: str, image_key: str, x: Tensor, read: Region, share: float) -> Tensor:
        """Return `model.encode_part(x, read)` of a normalised picture x (1, 3, h, w) at a share of the way.

        key: the encoder's. image_key: the sharp picture's. Gradients reach x, but not the encoder's weights.
        """
        picture = key, image_key, share
        if not slopes.applies(model.encoder, x):
            return model.encode_part(x, read)
        with self._lock:
            same = (region for other, region in self._kept if other == picture and region.contains(read))
            region = next(same, read)
            found = self._kept.get((picture, region))
        if found is None:
            found = self._find(model, picture[0], x, read)
            self._keep((picture, region), found)
        return _Encode.apply(x, found, region, read)

    def _find(self, model: SRModel, key: str, x: Tensor, read: Region) -> Slopes:
        encoder = model.encoder
        known = self._transposed.get(encoder)
        if known is None or known[0] != key:
            known = self._transposed[encoder] = key, Transposed(encoder)
        seen = read.grow(encoder.reach).clip(tuple(x.shape[-2:]))
        spare = (read.top - seen.top, read.left - seen.left, seen.bottom - read.bottom, seen.right - read.right)
        return slopes.find_slopes(encoder, known[1], x[(..., *seen.slices())], spare)

    def _keep(self, at: tuple[Picture, Region], found: Slopes) -> None:
        with self._lock:
            self._kept[at] = found
            self._evict()

    def _evict(self) -> None:
        held = sum(each.nbytes for each in self._kept.values())
        while held > self._limit:
            held -= self._kept.popitem(last=False)[1].nbytes


class _Encode(torch.autograd.Function):
    """Features over `read` from slopes over `region`, and the way back to the whole picture."""

    @staticmethod
    def forward(ctx, x: Tensor, found: Slopes, region: Region, read: Region) -> Tensor:
        ctx.found, ctx.region, ctx.read, ctx.whole = found, region, read, Region(0, 0, *x.shape[-2:])
        inside = read.move(-region.top, -region.left)
        return found.features[(..., *inside.slices())].clone(memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        back = ctx.found.pull_back(_lay_into(gradient, ctx.read, ctx.region))
        seen = ctx.region.grow(ctx.found.transposed.reach).intersect(ctx.whole)
        return _lay_into(back, seen, ctx.whole), None, None, None


def _lay_into(map: Tensor, inside: Region, region: Region) -> Tensor:
    """Return a map (..., rows, columns) over `inside` as one over `region`, zero elsewhere."""
    across = inside.left - region.left, region.right - inside.right
    return F.pad(map, (*across, inside.top - region.top, region.bottom - inside.bottom))

"""What is to be rendered, once checked, and the memory that it takes: known from shapes, before anything is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np

from clit.errors import UserError
from clit.geometry import View, Window, resolve_size, whole_numbers
from clit.networks.model import SRModel, check_model
from clit.pictures.files import as_array
from clit.pictures.picture import is_grey
from clit.rendering.features import MAPS_LIMIT
from clit.system import memory

TILE_MEMORY = 160 << 20
"""Bytes that a decoder may need for one tile."""

_ENCODING_MEMORY = 32 * 400 * 400  # bytes per channel while a piece of the image is encoded
_MARGIN = 0.8  # share of the free memory that a request may take


@dataclass(frozen=True)
class Request:
    """A checked request.

    A periodic picture is encoded with a margin of its own pixels on every side, so that the encoder sees across its
    borders. `image` includes this margin.
    """

    model: SRModel
    image: np.ndarray
    view: View
    window: Window
    grey: bool  # the image is grey, so the output is too
    key: str  # the image's in the feature cache
    margin: int = 0

    @classmethod
    def check(
        cls, model, image, scale, size, window, chain: str, stages: int | None, wrap: bool,
        image_key: Callable[[np.ndarray], str],
    ) -> Request:  # fmt: skip
        """Read the arguments of `Renderer.render`; UserError for what cannot be rendered. image_key: of the cache."""
        check_model(model)
        image = as_array(image)
        lr = image.shape[:2]
        size = resolve_size(*lr, scale, size)
        window = Window(0, 0, *size) if window is None else _to_window(window)
        view = model.view(lr, size, window, chain, stages, wrap)
        grey, key = is_grey(image), image_key(image)
        if not wrap:
            return cls(model, image, view, window, grey, key)
        margin = model.encoder.reach + model.radius + 4  # at most four convolutions follow the encoder
        image = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="wrap")
        return cls(model, image, view, window, grey, f"{key} in a margin of {margin}", margin)

    def estimate_memory(self, pixels: int, cached: int) -> int:
        """Return the bytes at the peak of rendering so many pixels: output, a tile's arrays, image, cached features.

        cached: bytes that the cache of features holds at most.
        """
        (h, w), channels = self.image.shape[:2], self.model.encoder.channels
        kept = min(min(4 * channels * h * w, cached) + min(64 * channels * h * w, MAPS_LIMIT), cached)
        encoding = channels * min(_ENCODING_MEMORY, 32 * h * w)
        return 12 * pixels + TILE_MEMORY + 24 * h * w + kept + encoding

    def check_memory(self, pixels: int, cached: int) -> None:
        """Raise a UserError if there is not as much memory as `estimate_memory` says."""
        needed, free = self.estimate_memory(pixels, cached), memory.available() * _MARGIN
        if needed <= free:
            return
        (h, w), (height, width) = self.view.lr, self.view.size
        rest = (free - (needed - 12 * pixels)) / 12  # pixels that would fit
        fits = math.sqrt(rest / (pixels / (height * width)) / (h * w)) if rest > 0 else 0
        raise UserError(
            f"This needs about {memory.format_bytes(needed)} of memory, more than the {memory.format_bytes(free)} "
            "there are: choose "
            + (f"a scale up to {math.floor(fits * 10) / 10:g}, " if fits >= 1 else "a smaller image, ")
            + "a smaller window, or write a PNG or TIFF file, which is done row block by row block."
        )


def _to_window(window: Window | tuple[int, int, int, int]) -> Window:
    found = whole_numbers(astuple(window) if isinstance(window, Window) else window, 4)
    if found is None:
        raise UserError(f"The window is {window}, but must be four whole numbers: top, left, height, width.")
    return Window(*found)

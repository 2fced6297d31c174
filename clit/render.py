"""Renderer: any window of any image at any scale, tile by tile, with features computed once per image.

Features are kept in a bounded cache and shared between models whose encoders are equal. Tiles are rendered from
the centre outwards; `progress` hears of each and `cancel` is asked before each.
"""

from __future__ import annotations

import hashlib
import math
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator

import numpy as np
import torch

from clit.attention import Attention
from clit.attention import attend as attend_pixel
from clit.baselines import Interpolation
from clit.decoders.clit import CLIT
from clit.decoders.ensemble import Features
from clit.errors import Cancelled, UserError
from clit.geometry import Window, resolve_size, scale_chain
from clit.images import as_array
from clit.model import SRModel

TILE = 256
"""Side of a tile in output pixels."""

REFERENCE_QUERIES = 2048
"""Queries at once by the plain definition: at base width each gathers 100 kB."""

MAX_WINDOW = 200_000_000
"""Largest window in output pixels (2.4 GB of float32 RGB)."""


class Renderer:
    """Renders windows and answers what a pixel looked at. Safe to share between threads."""

    def __init__(self, cache_bytes: int = 512 << 20):
        self._cache_bytes = cache_bytes
        self._features: OrderedDict[tuple[str, str], Features] = OrderedDict()
        self._keys: weakref.WeakKeyDictionary[SRModel, tuple[tuple, str]] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def render(
        self,
        model: SRModel | Interpolation,
        image,
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        window: Window | tuple[int, int, int, int] | None = None,
        clip: bool = True,
        method: str = "fast",
        chain: str = "published",
        stages: int | None = None,
        progress: Callable[[float], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> np.ndarray:
        """RGB (height, width, 3) float32 of `window` (top, left, height, width), or of the whole output.

        image: path, PIL image, or array (h, w, 3), uint8 or float in [0, 1]. Give `scale` (from 1) or `size`
        (H, W). clip: to [0, 1]. method: "fast", or "reference" for the plain definition. chain, stages: how CLIT
        splits the scale, and after how many stages to stop; other models have no use for them.
        progress(done) hears a share 0..1 after each tile; when cancel() is true, Cancelled is raised.
        UserError for wrong input.
        """
        image = as_array(image)
        size = resolve_size(*image.shape[:2], scale, size)
        window = _window(window, size)
        if method not in ("fast", "reference"):
            raise UserError(f'The method is "{method}", but must be "fast" or "reference".')
        if window.height * window.width > MAX_WINDOW:
            largest = math.sqrt(MAX_WINDOW / (image.shape[0] * image.shape[1]))
            raise UserError(
                f"The output has {window.height * window.width / 1e6:.0f} megapixels, more than the "
                f"{MAX_WINDOW / 1e6:.0f} that fit: choose a smaller window, or a scale up to {largest:.1f}."
            )
        if isinstance(model, Interpolation):
            rgb = model.render(image, size, window)
        else:
            options = _options(model, image.shape[:2], size, chain, stages)
            features = self.features(model, image)
            rgb = np.empty((window.height, window.width, 3), np.float32)
            tiles = list(_tiles(window))
            for done, tile in enumerate(tiles):
                if cancel and cancel():
                    raise Cancelled
                part = rgb[tile.top - window.top :, tile.left - window.left :][: tile.height, : tile.width]
                part[:] = _render_tile(model, features, size, tile, method, options)
                if progress:
                    progress((done + 1) / len(tiles))
        return np.clip(rgb, 0, 1, out=rgb) if clip else rgb

    def attend(
        self,
        model: SRModel,
        image,
        *,
        pixel: tuple[int, int],
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        chain: str = "published",
    ) -> Attention:
        """What output pixel (row, column) looked at; arguments as for `render`."""
        if isinstance(model, Interpolation):
            raise UserError(f"{model.name.capitalize()} interpolation does not attend: choose LIT, CLIT, LIIF or LTE.")
        image = as_array(image)
        size = resolve_size(*image.shape[:2], scale, size)
        try:
            row, column = (int(n) for n in pixel)
            whole = row == pixel[0] and column == pixel[1]
        except (TypeError, ValueError, OverflowError):
            whole = False
        if not whole or not (0 <= row < size[0] and 0 <= column < size[1]):
            raise UserError(
                f"The pixel is {pixel}, but must be (row, column) inside the output of {size[0]} x {size[1]} pixels."
            )
        options = _options(model, image.shape[:2], size, chain, None)
        return attend_pixel(model, self.features(model, image), (row, column), size, **options)

    def features(self, model: SRModel, image: np.ndarray) -> Features:
        """The image's features (batch of one) on the model's device, from the cache if they are there."""
        digest = hashlib.sha256(np.ascontiguousarray(image)).hexdigest()
        key = (self._encoder_key(model), f"{digest}{image.shape}")
        with self._lock:
            if key in self._features:
                self._features.move_to_end(key)
                return self._features[key]
        parameter = next(model.parameters())
        x = torch.from_numpy(image).permute(2, 0, 1)[None].to(parameter.device, parameter.dtype)
        with torch.inference_mode():
            features = model.encode(x)
        with self._lock:
            self._features[key] = features
            while len(self._features) > 1 and sum(map(_bytes, self._features.values())) > self._cache_bytes:
                self._features.popitem(last=False)
        return features

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


def _window(window, size: tuple[int, int]) -> Window:
    if window is None:
        return Window(0, 0, *size)
    if not isinstance(window, Window):
        try:
            window = Window(*(int(n) for n in window))
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"The window is {window}, but must be four whole numbers: top, left, height, width."
            ) from error
    return window.check(size)


def _options(model: SRModel, lr: tuple[int, int], size: tuple[int, int], chain: str, stages: int | None) -> dict:
    """The decoder's own options, checked."""
    total = len(model.decoder.stages) if isinstance(model.decoder, CLIT) else 1
    scale_chain(size, lr, total, chain)  # raises for an unknown chain
    if stages is not None and (not isinstance(stages, int) or not 1 <= stages <= total):
        raise UserError(f"The number of stages is {stages}, but for this model must be from 1 to {total}.")
    return {"chain": chain, "stages": stages} if isinstance(model.decoder, CLIT) else {}


def _bytes(features: Features) -> int:
    return sum(t.numel() * t.element_size() for t in (features.map, features.image))


def _tiles(window: Window) -> Iterator[Window]:
    """Tiles of a window, those nearest to its centre first."""
    tiles = [
        Window(top, left, min(TILE, window.bottom - top), min(TILE, window.right - left))
        for top in range(window.top, window.bottom, TILE)
        for left in range(window.left, window.right, TILE)
    ]

    def distance(tile: Window) -> float:
        dy = tile.top + tile.bottom - window.top - window.bottom
        dx = tile.left + tile.right - window.left - window.right
        return dy * dy + dx * dx

    return iter(sorted(tiles, key=distance))


@torch.inference_mode()
def _render_tile(
    model: SRModel, features: Features, size: tuple[int, int], tile: Window, method: str, options: dict
) -> np.ndarray:
    field = model.prepare(features, size, tile, **options)
    if method == "fast":
        return model.render(field)[0].float().cpu().numpy()
    device = features.map.device
    rows = torch.arange(tile.top, tile.bottom, device=device)
    columns = torch.arange(tile.left, tile.right, device=device)
    positions = torch.cartesian_prod(rows, columns)
    parts = [model.query(field, part)[0] for part in positions.split(REFERENCE_QUERIES)]
    return torch.cat(parts).view(tile.height, tile.width, 3).float().cpu().numpy()

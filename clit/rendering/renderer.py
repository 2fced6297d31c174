"""Renderer: any window of any image at any scale, tile by tile, with features computed where they are needed, once.

Tiles are rendered from the centre outwards; `progress` hears of each and `cancel` is asked again and again. What a
request needs is known from shapes before anything is allocated: one that cannot fit is refused.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from clit.errors import Cancelled, UserError
from clit.geometry import Lattice, Window, resolve_size, scale_chain
from clit.networks.decoders.clit import CLIT
from clit.networks.decoders.ensemble import Features
from clit.networks.layers import Region
from clit.networks.model import SRModel
from clit.pictures.files import STREAMED, WRITTEN, as_array, check_output, read_image, write_image, write_image_bands
from clit.pictures.resize import resize_pil
from clit.rendering.attention import Attention
from clit.rendering.attention import attend as attend_pixel
from clit.rendering.features import MAPS, FeatureCache
from clit.rendering.interpolation import Interpolation
from clit.system import memory

TILE = 512
"""Largest side of a tile in output pixels; a decoder that would need more than WORKING for one gets smaller ones."""

WORKING = 160 << 20
"""Bytes of a decoder's own arrays for one tile."""

REFERENCE_QUERIES = 2048
"""Queries at once by the plain definition: at base width each gathers 100 kB."""

_ENCODING = 32 * 400 * 400  # bytes per channel while a piece of the image is encoded
_MARGIN = 0.8  # share of the free memory that a request may take


@dataclass(frozen=True)
class Estimate:
    """What a request will take: multiply-adds, seconds on this machine, and bytes of memory at its peak."""

    multiply_adds: float
    seconds: float
    memory: int


@dataclass(frozen=True)
class _Request:
    """A checked request: what is asked of which model."""

    model: SRModel | Interpolation
    image: np.ndarray
    size: tuple[int, int]
    window: Window
    options: dict  # of the decoder


class Renderer:
    """Renders windows and answers what a pixel looked at. Safe to share between threads.

    cache_bytes: how much of the features of recent images is kept.
    """

    def __init__(self, cache_bytes: int = 512 << 20):
        self._cache = FeatureCache(cache_bytes)
        self._rate: float | None = None  # multiply-adds per second, of recent tiles

    def render(
        self,
        model: SRModel | Interpolation,
        image,
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        window: Window | tuple[int, int, int, int] | None = None,
        step: int = 1,
        clip: bool = True,
        method: str = "fast",
        chain: str = "published",
        stages: int | None = None,
        progress: Callable[[float], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> np.ndarray:
        """RGB (height, width, 3) float32 of `window` (top, left, height, width), or of the whole output.

        image: path, PIL image, or array (h, w, 3), uint8 or float in [0, 1]. Give `scale` (from 1) or `size`
        (H, W). step: only every so many rows and columns (`Window.lattice`), exact ones: a coarse view in a fraction
        of the time. clip: to [0, 1]. method: "fast", or "reference" for the plain definition. chain, stages: how CLIT
        splits the scale, and after how many stages to stop; other models have no use for them.
        progress(done) hears a share 0..1 after each tile; when cancel() is true, Cancelled is raised soon.
        UserError for wrong input, and for what does not fit into memory.
        """
        request = self._request(model, image, scale, size, window, chain, stages)
        if method not in ("fast", "reference"):
            raise UserError(f'The method is "{method}", but must be "fast" or "reference".')
        if not isinstance(step, int) or step < 1:
            raise UserError(f"The step is {step}, but must be a whole number from 1.")
        pixels = request.window.lattice(step=step)
        self._check_memory(request, len(pixels.rows) * len(pixels.columns))
        rgb = self._pixels(request, pixels, method, progress, cancel)
        return np.clip(rgb, 0, 1, out=rgb) if clip else rgb

    def save(
        self,
        model: SRModel | Interpolation,
        image,
        path: str | Path,
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        chain: str = "published",
        stages: int | None = None,
        progress: Callable[[float], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> tuple[int, int]:
        """Write the whole output as a picture file; returns its size (H, W). Arguments as for `render`.

        A PNG or TIFF is written row block by row block, however large; WebP and JPEG need the picture in memory.
        Transparency (enlarged bicubically) and 16 bit are kept where the format holds them.
        """
        picture = read_image(image)
        check_output(path)
        request = self._request(model, picture.rgb, scale, size, None, chain, stages)
        height, width = request.size
        check_output(path, request.size)
        alpha = None if picture.alpha is None else resize_pil(picture.alpha, request.size)
        if WRITTEN[Path(path).suffix.lower()] not in STREAMED:
            self._check_memory(request, height * width)
            rgb = self._pixels(request, request.window.lattice(), "fast", progress, cancel)
            write_image(path, rgb, alpha, picture.bits)
            return request.size
        self._check_memory(request, TILE * width)
        starts = range(0, height, TILE)

        def bands() -> Iterator[np.ndarray]:
            whole = request.window.lattice()
            for done, top in enumerate(starts):

                def told(share: float, done: int = done) -> None:
                    if progress:
                        progress((done + share) / len(starts))

                rows = slice(top, min(top + TILE, height))
                yield self._pixels(request, whole.part(rows, slice(0, width)), "fast", told, cancel)

        alphas = None if alpha is None else (alpha[top : top + TILE] for top in starts)
        write_image_bands(path, request.size, bands(), alphas, picture.bits)
        return request.size

    def survey(
        self,
        model: SRModel,
        image,
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        window: Window | tuple[int, int, int, int] | None = None,
        chain: str = "published",
        stages: int | None = None,
        progress: Callable[[float], None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> np.ndarray:
        """How wide and whereto each head looks, at every pixel of a window: (height, width, M, 3) float32.

        Per head the entropy of its weights in bits (0: one neighbour; log2 of the window's size: all alike) and the
        mean offset (dy, dx) from the pixel to what it looks at, in latents of the last stage in use.
        Arguments as for `render`. UserError for methods that do not attend.
        """
        if isinstance(model, Interpolation) or not isinstance(model.decoder, CLIT):
            raise UserError("Only LIT and CLIT have heads to survey: choose one of them.")
        request = self._request(model, image, scale, size, window, chain, stages)
        pixels, heads = request.window.lattice(), model.decoder.config.heads
        self._check_memory(request, heads * len(pixels.rows) * len(pixels.columns))
        out = np.empty((len(pixels.rows), len(pixels.columns), heads, 3), np.float32)

        @torch.inference_mode()
        def draw(features: Features, part: Lattice) -> np.ndarray:
            field = model.prepare(features, request.size, part, **request.options)
            return model.decoder.survey(field, cancel)[0].float().cpu().numpy()

        self._fill(out, request, pixels, draw, progress, cancel)
        return out

    def estimate(
        self,
        model: SRModel | Interpolation,
        image,
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        window: Window | tuple[int, int, int, int] | None = None,
        chain: str = "published",
        stages: int | None = None,
    ) -> Estimate:
        """What `render` with the same arguments will take, if the image's features are not there yet."""
        request = self._request(model, image, scale, size, window, chain, stages)
        pixels = request.window.height * request.window.width
        needed = self._memory(request, pixels)
        if isinstance(model, Interpolation):
            return Estimate(48 * pixels, 48 * pixels / 1e9, needed)
        lr = request.image.shape[:2]
        encoded = model.decoder.reads(lr, request.size, request.window, **request.options).area
        work = encoded * sum(p.numel() for p in model.encoder.parameters())
        work += model.decoder.multiply_adds(lr, request.size, pixels, **request.options)
        return Estimate(work, work / (self._rate or _guessed_rate()), needed)

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
        request = self._request(model, image, scale, size, None, chain, None)
        size = request.size
        try:
            row, column = (int(n) for n in pixel)
            whole = row == pixel[0] and column == pixel[1]
        except (TypeError, ValueError, OverflowError):
            whole = False
        if not whole or not (0 <= row < size[0] and 0 <= column < size[1]):
            raise UserError(
                f"The pixel is {pixel}, but must be (row, column) inside the output of {size[0]} x {size[1]} pixels."
            )
        features = self._features(request, Window(row, column, 1, 1).lattice())
        return attend_pixel(model, features, (row, column), size, **request.options)

    def _request(self, model, image, scale, size, window, chain: str, stages: int | None) -> _Request:
        if not isinstance(model, SRModel | Interpolation):
            raise UserError(f"The model is {model!r}, but must be what clit.load or clit.import_official returns.")
        image = as_array(image)
        size = resolve_size(*image.shape[:2], scale, size)
        options = {} if isinstance(model, Interpolation) else _options(model, image.shape[:2], size, chain, stages)
        return _Request(model, image, size, _window(window, size), options)

    def _memory(self, request: _Request, pixels: int) -> int:
        """Bytes at the peak of rendering so many pixels: them, a tile's work, the image, and the features kept."""
        lr = request.image.shape[0] * request.image.shape[1]
        needed = 12 * pixels + 12 * lr
        if isinstance(request.model, Interpolation):
            return needed + 24 * request.size[0] * request.image.shape[1]
        channels = request.model.encoder.channels
        features = min(4 * channels * lr, self._cache.limit) + channels * min(_ENCODING, 32 * lr)
        return needed + WORKING + 12 * lr + features + MAPS

    def _check_memory(self, request: _Request, pixels: int) -> None:
        needed, free = self._memory(request, pixels), memory.available() * _MARGIN
        if needed <= free:
            return
        h, w = request.image.shape[:2]
        rest = (free - (needed - 12 * pixels)) / 12  # pixels that would fit
        fits = math.sqrt(rest / (pixels / (request.size[0] * request.size[1])) / (h * w)) if rest > 0 else 0
        raise UserError(
            f"This needs about {memory.format_bytes(needed)} of memory, more than the {memory.format_bytes(free)} "
            "there are: choose "
            + (f"a scale up to {math.floor(fits * 10) / 10:g}, " if fits >= 1 else "a smaller image, ")
            + "a smaller window, or write a PNG or TIFF file, which is done row block by row block."
        )

    def _features(self, request: _Request, pixels: Lattice, around: Region | None = None, cancel=None) -> Features:
        wanted = request.model.decoder.reads(request.image.shape[:2], request.size, pixels, **request.options)
        return self._cache.part(request.model, request.image, wanted, around, cancel)

    def _pixels(
        self,
        request: _Request,
        pixels: Lattice,
        method: str,
        progress: Callable[[float], None] | None,
        cancel: Callable[[], bool] | None,
    ) -> np.ndarray:
        """RGB (rows, columns, 3), unclipped, of a lattice inside the request's window."""
        model, size, lr = request.model, request.size, request.image.shape[:2]
        if isinstance(model, Interpolation):
            return model.render(request.image, size, pixels)
        rgb = np.empty((len(pixels.rows), len(pixels.columns), 3), np.float32)

        def draw(features: Features, part: Lattice) -> np.ndarray:
            began = time.perf_counter()
            drawn = _render_tile(request, features, part, method, cancel)
            if method == "fast":
                count = len(part.rows) * len(part.columns)
                work = model.decoder.multiply_adds(lr, size, count, **request.options)
                rate = work / (time.perf_counter() - began)
                self._rate = rate if self._rate is None else 0.8 * self._rate + 0.2 * rate
            return drawn

        self._fill(rgb, request, pixels, draw, progress, cancel)
        return rgb

    def _fill(
        self,
        out: np.ndarray,
        request: _Request,
        pixels: Lattice,
        draw: Callable[[Features, Lattice], np.ndarray],
        progress: Callable[[float], None] | None,
        cancel: Callable[[], bool] | None,
    ) -> None:
        """Fill `out` (rows, columns, ...), of a lattice inside the window, tile by tile with what `draw` says."""
        lr, size = request.image.shape[:2], request.size
        around = request.model.decoder.reads(lr, size, request.window, **request.options)
        tiles = _tiles(len(pixels.rows), len(pixels.columns), _tile_side(request, pixels))
        for done, (rows, columns) in enumerate(tiles):
            if cancel and cancel():
                raise Cancelled
            part = pixels.part(rows, columns)
            out[rows, columns] = draw(self._features(request, part, around, cancel), part)
            if progress:
                progress((done + 1) / len(tiles))


def _guessed_rate() -> float:
    """Multiply-adds per second to expect before anything was rendered: some of what a large product reaches."""
    a, b = torch.rand(1024, 256), torch.rand(256, 256)
    best = math.inf
    for _ in range(8):  # the quickest: others may be using the machine, and threads have to wake
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 0.3 * 1024 * 256 * 256 / best


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


def _tile_side(request: _Request, pixels: Lattice) -> int:
    """The largest of some sides whose tile, at the lattice's corner, the decoder does within WORKING."""
    lr, side = request.image.shape[:2], TILE
    while side > 32:
        tile = pixels.part(slice(0, side), slice(0, side))
        if request.model.decoder.memory(lr, request.size, tile, **request.options) <= WORKING:
            break
        side //= 2
    return side


def _tiles(height: int, width: int, side: int) -> list[tuple[slice, slice]]:
    """Rows and columns of tiles of height x width pixels, those nearest to the centre first."""
    tiles = [
        (slice(top, min(top + side, height)), slice(left, min(left + side, width)))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
    return sorted(tiles, key=lambda t: (t[0].start + t[0].stop - height) ** 2 + (t[1].start + t[1].stop - width) ** 2)


@torch.inference_mode()
def _render_tile(
    request: _Request, features: Features, pixels: Lattice, method: str, cancel: Callable[[], bool] | None
) -> np.ndarray:
    model = request.model
    field = model.prepare(features, request.size, pixels, **request.options)
    if method == "fast":
        return model.render(field, cancel)[0].float().cpu().numpy()
    positions = torch.cartesian_prod(pixels.rows, pixels.columns).to(features.map.device)
    parts = [model.query(field, part)[0] for part in positions.split(REFERENCE_QUERIES)]
    return torch.cat(parts).view(len(pixels.rows), len(pixels.columns), 3).float().cpu().numpy()

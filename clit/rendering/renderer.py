"""Renderer: any window of any image at any scale, tile by tile, with features computed where they are needed, once.

Tiles are rendered from the centre outwards; `progress` hears of each and `cancel` is asked again and again. What a
request needs is known from shapes before anything is allocated: one that cannot fit is refused.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from clit.config import PLAIN
from clit.errors import Cancelled, UserError
from clit.geometry import Region, View, Window, resolve_size
from clit.networks.decoders.base import Features
from clit.networks.model import SRModel
from clit.pictures.files import STREAMED, WRITTEN, as_array, check_output, form_of, read_image, write_finished
from clit.pictures.picture import is_grey, to_grey
from clit.rendering.attention import Attention
from clit.rendering.attention import attend as attend_pixel
from clit.rendering.features import MAPS, FeatureCache
from clit.rendering.output import Cancel, Output, Progress
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
    """A checked request: what is asked of which model.

    A periodic picture is encoded with `margin` pixels of itself all around, so that the encoder sees across its
    borders: `image` has that margin.
    """

    model: SRModel
    image: np.ndarray
    view: View
    window: Window
    grey: bool  # so is what is made of it
    margin: int = 0


class Renderer:
    """Renders windows and answers what a pixel looked at. Safe to share between threads.

    cache_bytes: how much of the features of recent images is kept.
    """

    def __init__(self, cache_bytes: int = 512 << 20):
        self._cache = FeatureCache(cache_bytes)
        self._rates: dict[str, float] = {}  # multiply-adds per second of recent tiles, by decoder
        self._turn: Callable[[], AbstractContextManager] = nullcontext

    def in_turn(self, turn: Callable[[], AbstractContextManager]) -> Renderer:
        """Return a renderer with this one's features that draws every tile inside `turn()`, a context manager.

        So a long rendering lets others have their turn between two tiles.
        """
        other = copy.copy(self)
        other._turn = turn
        return other

    def render(
        self,
        model: SRModel,
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
        wrap: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> np.ndarray:
        """RGB (height, width, 3) float32 of `window` (top, left, height, width), or of the whole output.

        image: path, PIL image, or array (h, w, 3), uint8 or float in [0, 1]. Give `scale` (from 1) or `size`
        (H, W). step: only every so many rows and columns (`Window.lattice`), exact ones: a coarse view in a fraction
        of the time. clip: to [0, 1]. method: "fast", or "reference" for the plain definition. chain, stages: how CLIT
        splits the scale, and after how many stages to stop; other models have no use for them. wrap: treat the picture
        as periodic, as a texture is, so that the output tiles without a seam. A grey picture stays grey.
        progress(done) hears a share 0..1 after each tile; when cancel() is true, Cancelled is raised soon.
        UserError for wrong input, and for what does not fit into memory.
        """
        request = self._request(model, image, scale, size, window, chain, stages, wrap)
        if method not in ("fast", "reference"):
            raise UserError(f'The method is "{method}", but must be "fast" or "reference".')
        if not isinstance(step, int) or step < 1:
            raise UserError(f"The step is {step}, but must be a whole number from 1.")
        view = request.view.of(request.window.lattice(step))
        self._check_memory(request, view.count)
        rgb = self._pixels(request, view, method, progress, cancel)
        return np.clip(rgb, 0, 1, out=rgb) if clip else rgb

    def save(
        self,
        model: SRModel,
        image,
        path: str | Path,
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        chain: str = "published",
        stages: int | None = None,
        wrap: bool = False,
        strip: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> tuple[int, int]:
        """Write the whole output as a picture file; returns its size (H, W). Arguments as for `render`.

        PNG and TIFF are written band by band, however large; the other formats need the picture in memory.
        Transparency (enlarged bicubically), 16 bit, greyness, resolution, EXIF and text are kept where the format holds
        them. strip: leave out resolution, EXIF and text.
        """
        output = self.output(
            model, image, path, scale=scale, size=size, chain=chain, stages=stages, wrap=wrap, strip=strip
        )
        write_finished(path, output.form, output.bands(range(output.count), progress, cancel))
        return output.form.size

    def output(
        self,
        model: SRModel,
        image,
        path: str | Path,
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        chain: str = "published",
        stages: int | None = None,
        wrap: bool = False,
        strip: bool = False,
    ) -> Output:
        """What `save` with the same arguments writes, band by band; nothing is drawn yet."""
        picture = read_image(image)
        check_output(path)
        request = self._request(model, picture.to_enlarge(), scale, size, None, chain, stages, wrap)
        size = height, width = request.view.size
        check_output(path, size)
        self._check_memory(request, width * (TILE if WRITTEN[Path(path).suffix.lower()] in STREAMED else height))
        alphas = None
        if picture.alpha is not None:
            alpha = np.broadcast_to(picture.alpha[..., None], (*picture.size, 3))
            alphas = self._request(SRModel(PLAIN["bicubic"]), alpha, None, size, None, "published", None, wrap)
        metadata = None if strip else picture.metadata
        form = form_of(path, size, picture.bits, transparent=alphas is not None, grey=picture.grey, metadata=metadata)

        def draw(index: int, progress: Progress | None, cancel: Cancel | None) -> np.ndarray:
            rgb = self._band(request, index, progress, cancel)
            return form.finish(rgb, None if alphas is None else self._band(alphas, index, None, cancel)[..., 0])

        return Output(form, math.ceil(height / TILE), draw)

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
        wrap: bool = False,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> np.ndarray:
        """How wide and whereto each head looks, at every pixel of a window: (height, width, M, 3) float32.

        Per head the entropy of its weights in bits (0: one neighbour; log2 of the window's size: all alike) and the
        mean offset (dy, dx) from the pixel to what it looks at, in latents of the last stage in use.
        Arguments as for `render`. UserError for methods that do not attend.
        """
        request = self._request(model, image, scale, size, window, chain, stages, wrap)
        if not model.heads:
            raise UserError("Only LIT and CLIT have heads to survey: choose one of them.")
        view = request.view
        self._check_memory(request, model.heads * view.count)
        out = np.empty((request.window.height, request.window.width, model.heads, 3), np.float32)

        @torch.inference_mode()
        def draw(features: Features, part: View) -> np.ndarray:
            field = model.prepare(features, part)
            return model.decoder.survey(field, cancel)[0].float().cpu().numpy()

        self._fill(out, request, view, draw, progress, cancel)
        return out

    def estimate(
        self,
        model: SRModel,
        image,
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        window: Window | tuple[int, int, int, int] | None = None,
        chain: str = "published",
        stages: int | None = None,
        wrap: bool = False,
    ) -> Estimate:
        """What `render` with the same arguments will take, if the image's features are not there yet."""
        request = self._request(model, image, scale, size, window, chain, stages, wrap)
        work = model.multiply_adds(request.view)
        rate = self._rates.get(model.config.decoder.name) or model.decoder.efficiency * _product_rate()
        return Estimate(work, work / rate, self._memory(request, request.view.count))

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
        request = self._request(model, image, scale, size, None, chain, None)
        height, width = request.view.size
        try:
            row, column = (int(n) for n in pixel)
            whole = row == pixel[0] and column == pixel[1]
        except (TypeError, ValueError, OverflowError):
            whole = False
        if not whole or not (0 <= row < height and 0 <= column < width):
            raise UserError(
                f"The pixel is {pixel}, but must be (row, column) inside the output of {height} x {width} pixels."
            )
        view = request.view.of(Window(row, column, 1, 1).lattice())
        found = attend_pixel(model, self._features(request, view), view)
        return replace(found, rgb=to_grey(found.rgb)) if request.grey else found

    def _request(
        self, model, image, scale, size, window, chain: str, stages: int | None, wrap: bool = False
    ) -> _Request:
        if not isinstance(model, SRModel):
            raise UserError(f"The model is {model!r}, but must be what clit.load or clit.import_official returns.")
        image = as_array(image)
        grey = is_grey(image)
        lr = image.shape[:2]
        size = resolve_size(*lr, scale, size)
        window = Window(0, 0, *size) if window is None else _window(window)
        view = model.view(lr, size, window, chain, stages, wrap)
        if not wrap:
            return _Request(model, image, view, window, grey)
        margin = model.encoder.reach + model.radius + 4  # four convolutions at most, between features and windows
        image = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="wrap")
        image.flags.writeable = False  # so that the cache need not compute its digest for every tile
        return _Request(model, image, view, window, grey, margin)

    def _memory(self, request: _Request, pixels: int) -> int:
        """Bytes at the peak of rendering so many pixels: them, a tile's work, the image, and the features kept."""
        (h, w), channels = request.image.shape[:2], request.model.encoder.channels
        kept = min(4 * channels * h * w, self._cache.limit) + min(64 * channels * h * w, MAPS)
        encoding = channels * min(_ENCODING, 32 * h * w)
        return 12 * pixels + WORKING + 24 * h * w + kept + encoding

    def _check_memory(self, request: _Request, pixels: int) -> None:
        needed, free = self._memory(request, pixels), memory.available() * _MARGIN
        if needed <= free:
            return
        (h, w), (height, width) = request.view.lr, request.view.size
        rest = (free - (needed - 12 * pixels)) / 12  # pixels that would fit
        fits = math.sqrt(rest / (pixels / (height * width)) / (h * w)) if rest > 0 else 0
        raise UserError(
            f"This needs about {memory.format_bytes(needed)} of memory, more than the {memory.format_bytes(free)} "
            "there are: choose "
            + (f"a scale up to {math.floor(fits * 10) / 10:g}, " if fits >= 1 else "a smaller image, ")
            + "a smaller window, or write a PNG or TIFF file, which is done row block by row block."
        )

    def _features(
        self, request: _Request, view: View, around: Region | None = None, cancel: Cancel | None = None
    ) -> Features:
        (h, w), margin = view.lr, request.margin
        wanted = request.model.decoder.reads(view).moved(margin)
        around = around and around.moved(margin)
        found = self._cache.part(request.model, request.image, wanted, around, cancel)
        image = found.image[..., margin : margin + h, margin : margin + w]
        return replace(found, image=image, top=found.top - margin, left=found.left - margin)

    def _pixels(
        self, request: _Request, view: View, method: str, progress: Progress | None, cancel: Cancel | None
    ) -> np.ndarray:
        """RGB (rows, columns, 3), unclipped, of a view inside the request's window."""
        model = request.model
        rgb = np.empty((len(view.pixels.rows), len(view.pixels.columns), 3), np.float32)

        def draw(features: Features, part: View) -> np.ndarray:
            if method == "reference":
                drawn = _render_plain(model, features, part)
            else:
                began = time.perf_counter()
                drawn = _render_fast(model, features, part, cancel)
                rate = model.decoder.multiply_adds(part) / (time.perf_counter() - began)
                name = model.config.decoder.name
                self._rates[name] = 0.8 * self._rates.get(name, rate) + 0.2 * rate
            return to_grey(drawn) if request.grey else drawn

        self._fill(rgb, request, view, draw, progress, cancel)
        return rgb

    def _band(self, request: _Request, index: int, progress: Progress | None, cancel: Cancel | None) -> np.ndarray:
        """RGB (rows, W, 3), unclipped, of TILE rows of the whole output; of what is left, for the last band."""
        height, width = request.view.size
        band = Window(index * TILE, 0, min(TILE, height - index * TILE), width)
        return self._pixels(request, request.view.of(band.lattice()), "fast", progress, cancel)

    def _fill(
        self,
        out: np.ndarray,
        request: _Request,
        view: View,
        draw: Callable[[Features, View], np.ndarray],
        progress: Progress | None,
        cancel: Cancel | None,
    ) -> None:
        """Fill `out` (rows, columns, ...) of a view inside the window, tile by tile, with what `draw` returns."""
        around = request.model.decoder.reads(request.view)
        tiles = _tiles(*out.shape[:2], _tile_side(request.model, view))
        for done, (rows, columns) in enumerate(tiles):
            if cancel and cancel():
                raise Cancelled
            part = view.of(view.pixels.part(rows, columns))
            with self._turn():
                out[rows, columns] = draw(self._features(request, part, around, cancel), part)
            if progress:
                progress((done + 1) / len(tiles))


def _product_rate() -> float:
    """Multiply-adds per second of a large product, here and now."""
    a, b = torch.rand(1024, 256), torch.rand(256, 256)
    best = math.inf
    for _ in range(8):  # the quickest: others may be using the machine, and threads have to wake
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 1024 * 256 * 256 / best


def _window(window: Window | tuple[int, int, int, int]) -> Window:
    if isinstance(window, Window):
        return window
    try:
        return Window(*(int(n) for n in window))
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"The window is {window}, but must be four whole numbers: top, left, height, width.") from error


def _tile_side(model: SRModel, view: View) -> int:
    """The largest of some sides whose tile, at the lattice's corner, the decoder does within WORKING."""
    side = TILE
    while side > 32:
        tile = view.of(view.pixels.part(slice(0, side), slice(0, side)))
        if model.decoder.memory(tile) <= WORKING:
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
def _render_fast(model: SRModel, features: Features, view: View, cancel: Cancel | None) -> np.ndarray:
    return model.render(model.prepare(features, view), cancel)[0].float().cpu().numpy()


@torch.inference_mode()
def _render_plain(model: SRModel, features: Features, view: View) -> np.ndarray:
    field = model.prepare(features, view)
    positions = torch.cartesian_prod(view.pixels.rows, view.pixels.columns).to(features.map.device)
    parts = [model.query(field, part)[0] for part in positions.split(REFERENCE_QUERIES)]
    return torch.cat(parts).view(len(view.pixels.rows), len(view.pixels.columns), 3).float().cpu().numpy()

"""Renderer: renders any window of any image at any scale, tile by tile, and caches features between calls.

Tiles are rendered from the centre outwards. `progress` is called after each, and `cancel` again and again. The memory a
request needs is known from shapes: a request that cannot fit is refused before anything is allocated.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from clit.config import PLAIN
from clit.errors import Cancelled, UserError
from clit.geometry import View, Window, check_pixel, whole_numbers
from clit.networks.model import SRModel
from clit.pictures.files import STREAMED, WRITTEN, as_array, check_output, form_of, read_image, write_finished
from clit.pictures.picture import to_grey
from clit.rendering.attention_source import AttentionSource
from clit.rendering.attribution import Attribution, ModelSource, Reached, finish, take_in_turn, trace
from clit.rendering.encodings import LIMIT, Encodings
from clit.rendering.features import FeatureCache
from clit.rendering.looks import Attention
from clit.rendering.output import Cancel, Output, Progress
from clit.rendering.parts import Compute, Part, compute
from clit.rendering.request import TILE_MEMORY, Request
from clit.rendering.tiles import Pace, cut_smaller, cut_tiles
from clit.rendering.trial import predict_seconds
from clit.system import turns

TILE = 512
"""Largest side of a tile in output pixels. Tiles are smaller where the decoder would need more than TILE_MEMORY."""


@dataclass(frozen=True)
class Estimate:
    """What a request needs: multiply-adds, seconds on this machine, and bytes of memory at its peak."""

    multiply_adds: float
    seconds: float
    memory: int


class Renderer:
    """Renders windows, and tells what a pixel looked at. Safe to share between threads.

    cache_bytes: memory for the features of recent images, and for what decoders make of them.
    """

    def __init__(self, cache_bytes: int = 768 << 20):
        self._cache, self._encodings = FeatureCache(cache_bytes), Encodings(min(LIMIT, cache_bytes // 8))
        self._compute: Compute = partial(compute, self._cache)
        self._turn: turns.Turn = nullcontext
        self._pace: Pace | None = None
        self._is_shared = lambda: False

    def set_cache_bytes(self, count: int) -> None:
        """Change the memory for features; what is cached beyond it is forgotten."""
        self._cache.limit = count
        self._encodings.set_limit(min(LIMIT, count // 8))

    def count_bytes(self) -> dict[str, int]:
        """Return the bytes that are cached: features, maps, images, encodings."""
        return self._cache.count_bytes() | {"encodings": self._encodings.count_bytes()}

    def forget(self, images: Iterable[np.ndarray]) -> set[str]:
        """Forget all that is cached of some images; return the keys by which it was."""
        keys = {self._cache.image_key(image) for image in images}
        self._cache.forget(keys)
        self._encodings.forget(keys)
        return keys

    def in_turn(
        self, turn: turns.Turn, pace: Pace, is_shared: Callable[[], bool], elsewhere: Compute | None = None
    ) -> Renderer:
        """Return a renderer that shares this one's features and does all its work inside `turn()`, a context manager.

        It calls `turns.pause` between layers of an encoder and between tiles. Where is_shared() these are as small as
        `pace` says, though small ones cost more. Every step of an attribution has a turn of its own. elsewhere: what
        computes parts of views in place of this process, with features of its own; attributions stay here.
        """
        other = copy.copy(self)
        other._turn, other._pace, other._is_shared = turn, pace, is_shared
        other._compute = elsewhere or self._compute
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
        """Return RGB (height, width, 3) float32 of `window` (top, left, height, width), or of the whole output.

        image: path, PIL image, or array (h, w, 3), uint8 or float in [0, 1]; the output of a grey picture is grey. Give
        either `scale` (1 to 64) or `size` (H, W). step: render only every `step`-th row and column (see
        `Window.lattice`), for a quick coarse view of exact pixels. clip: to [0, 1]. method: "fast", or "reference" for
        the plain definition. chain: how CLIT splits the scale, "published" or "balanced". stages: how many of its
        stages to run at most. wrap: treat the picture as periodic, such as a texture: the output then tiles without a
        seam. progress(done) is called with a share 0..1 after each tile. When cancel() is true, Cancelled is raised
        soon. UserError for wrong input, and for requests that do not fit into memory.
        """
        request = self._check_request(model, image, scale, size, window, chain, stages, wrap)
        if method not in ("fast", "reference"):
            raise UserError(f'The method is "{method}", but must be "fast" or "reference".')
        if whole_numbers([step], 1) is None or step < 1:
            raise UserError(f"The step is {step}, but must be a whole number from 1.")
        view = request.view.with_pixels(request.window.lattice(step))
        request.check_memory(view.count, self._cache.limit)
        rgb = self._render_view(request, view, method, progress, cancel)
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
        """Write the whole output as a picture file and return its size (H, W). Arguments as for `render`.

        PNG and TIFF are written in bands, so they may be of any size; the other formats need the picture in memory.
        Transparency (enlarged bicubically), 16 bits, greyness, resolution, EXIF and text are kept if the format has
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
        """Return what `save` with the same arguments writes, in bands that are not drawn yet."""
        picture = read_image(image)
        check_output(path)
        request = self._check_request(model, picture.to_enlarge(wrap), scale, size, None, chain, stages, wrap)
        size = height, width = request.view.size
        check_output(path, size)
        held = width * (TILE if WRITTEN[Path(path).suffix.lower()] in STREAMED else height)
        held *= 1 if picture.alpha is None else 2  # alpha is drawn as a picture too
        request.check_memory(held, self._cache.limit)
        alphas = None
        if picture.alpha is not None:
            alpha = np.broadcast_to(picture.alpha[..., None], (*picture.size, 3))
            alphas = self._check_request(SRModel(PLAIN["bicubic"]), alpha, None, size, None, "published", None, wrap)
        metadata = None if strip else picture.metadata
        form = form_of(path, size, picture.bits, transparent=alphas is not None, grey=picture.grey, metadata=metadata)

        def draw(index: int, progress: Progress | None, cancel: Cancel | None) -> np.ndarray:
            rgb = self._render_band(request, index, progress, cancel)
            alpha = None if alphas is None else self._render_band(alphas, index, None, cancel)[..., 0]
            return form.finish(rgb, alpha)

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
        """Return how widely and where each head looks, at every pixel of a window: (height, width, M, 3) float32.

        The three numbers are the entropy of the head's weights in bits (0: one latent; log2 P: all P latents of the
        window alike) and the weighted mean offset (dy, dx) from the pixel to the latents, in latents of the last stage.
        Arguments as for `render`. UserError for models without heads.
        """
        request = self._check_request(model, image, scale, size, window, chain, stages, wrap)
        if not model.heads:
            raise UserError("Only LIT and CLIT have heads to survey: choose one of them.")
        view = request.view
        request.check_memory(model.heads * view.count, self._cache.limit)
        return self._draw_tiles((model.heads, 3), request, view, "survey", progress, cancel)

    def encode(self, model: SRModel, image, *, cancel: Cancel | None = None) -> None:
        """Encode a picture, which costs nothing if its features are cached: views of it need not wait for that.

        Else as `render`.
        """
        request = self._check_request(model, image, 1, None, None, "published", None)
        with self._turn():
            self._compute(Part("features", request, request.view), cancel)

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
        """Return what `render` needs for the same arguments if the image's features are not cached.

        Takes about half a second: `trial` says why.
        """
        request = self._check_request(model, image, scale, size, window, chain, stages, wrap)
        seconds = predict_seconds(model, [request.view], [1.0])
        needed = request.estimate_memory(request.view.count, self._cache.limit)
        return Estimate(model.multiply_adds(request.view), seconds, needed)

    def predict_seconds(self, image, views: Iterable[tuple[SRModel, Sequence[View]]]) -> float:
        """Return the seconds that rendering views of an image will take, each model's after those of the one before it.

        Features that are cached are left out; those that several models share count once. views: from `model.view`, in
        the order of rendering. Takes about half a second a model: `trial` says why.
        """
        image, seconds, seen = as_array(image), 0.0, set()
        key = self._cache.image_key(image)
        for model, each in views:
            turns.pause()
            read = [model.decoder.reads(view) for view in each]
            shares = self._cache.missing_shares(model, key, read, image.shape[:2], seen)
            seconds += predict_seconds(model, each, shares)
        return seconds

    def attend(
        self,
        model: SRModel,
        image,
        *,
        pixel: tuple[int, int],
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        chain: str = "published",
        influence: bool = True,
    ) -> Attention:
        """Return what output pixel (row, column) looked at; `influence`, too, unless False. Else as for `render`."""
        request = self._check_request(model, image, scale, size, None, chain, None)
        row, column = check_pixel(pixel, request.view.size)
        view = request.view.with_pixels(Window(row, column, 1, 1).lattice())
        with self._turn():
            found = self._compute(Part("influence" if influence else "attention", request, view), None).found
        return replace(found, rgb=to_grey(found.rgb)) if request.grey else found

    def attribute(
        self,
        model: SRModel,
        image,
        *,
        pixel: tuple[int, int],
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        chain: str = "published",
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        **options,
    ) -> Attribution:
        """Return which input pixels output pixel (row, column) comes from. Options: of `trace`; else as `render`."""
        tracing = self.trace(model, image, pixel=pixel, scale=scale, size=size, chain=chain, **options)
        return finish(tracing, progress, cancel)

    def trace(
        self,
        model: SRModel,
        image,
        *,
        pixel: tuple[int, int],
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        chain: str = "published",
        **options,
    ) -> Iterator[Reached]:
        """Work the same out one step at a time, each in turn; options: of `attribution.trace`."""
        request = self._check_request(model, image, scale, size, None, chain, None)
        encode = partial(self._encodings.encode, model, self._cache.get_encoder_key(model), request.key)
        tracing = trace(ModelSource(model, request.view, encode), request.image, pixel, **options)
        return take_in_turn(tracing, self._turn)

    def attention_source(
        self,
        model: SRModel,
        image,
        *,
        scale: float | None = None,
        size: tuple[int, int] | None = None,
        window: Window | tuple[int, int, int, int] | None = None,
        chain: str = "published",
    ) -> AttentionSource:
        """Return what the attention of a window's pixels is computed from, by LIT or CLIT; else as `render`."""
        request = self._check_request(model, image, scale, size, window, chain, None)
        with self._turn():
            return self._compute(Part("source", request, request.view), None).found

    def _check_request(
        self, model, image, scale, size, window, chain: str, stages: int | None, wrap: bool = False
    ) -> Request:
        return Request.check(model, image, scale, size, window, chain, stages, wrap, self._cache.image_key)

    def _render_view(
        self, request: Request, view: View, method: str, progress: Progress | None, cancel: Cancel | None
    ) -> np.ndarray:
        """Return RGB (rows, columns, 3), unclipped, of a view inside the request's window."""
        return self._draw_tiles((3,), request, view, method, progress, cancel)

    def _render_band(
        self, request: Request, index: int, progress: Progress | None, cancel: Cancel | None
    ) -> np.ndarray:
        """Return RGB (rows, W, 3), unclipped, of a band of the whole output: TILE rows, or those left at its end."""
        height, width = request.view.size
        band = Window(index * TILE, 0, min(TILE, height - index * TILE), width)
        return self._render_view(request, request.view.with_pixels(band.lattice()), "fast", progress, cancel)

    def _draw_tiles(
        self,
        each: tuple[int, ...],
        request: Request,
        view: View,
        what: str,
        progress: Progress | None,
        cancel: Cancel | None,
    ) -> np.ndarray:
        """Return (rows, columns, *each) float32 of a view inside the window, tile by tile. what: one of `parts.KINDS`.

        Its memory is taken in turn: many may wait for their first one.
        """
        model, around = request.model, request.model.decoder.reads(request.view)
        largest, pace, done = _choose_tile_side(model, view), self._pace, 0
        size = len(view.pixels.rows), len(view.pixels.columns)
        with self._turn():
            out = np.empty((*size, *each), np.float32)
            for tile in cut_tiles(*size, largest):
                is_small = pace and self._is_shared()
                side = pace.choose_side(model, view, what, largest) if is_small else largest
                for rows, columns in cut_smaller(*tile, side):
                    if cancel and cancel():
                        raise Cancelled
                    turns.pause()
                    part = view.with_pixels(view.pixels.select(rows, columns))
                    out[rows, columns], seconds = self._compute(Part(what, request, part, around), cancel)
                    if pace:
                        pace.note(model, part, what, seconds)
                    done += part.count
                    if progress:
                        progress(done / view.count)
        return out


def _choose_tile_side(model: SRModel, view: View) -> int:
    """Return the largest side of TILE, TILE / 2, ... for which the decoder needs at most TILE_MEMORY."""
    side = TILE
    while side > 32:
        tile = view.with_pixels(view.pixels.select(slice(0, side), slice(0, side)))
        if model.decoder.memory(tile) <= TILE_MEMORY:
            break
        side //= 2
    return side

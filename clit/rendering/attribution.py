"""Which input pixels an output pixel comes from: integrated gradients through encoder and decoder.

Gu and Dong, Interpreting Super-Resolution Networks with Local Attribution Maps (CVPR 2021): the picture is made sharp
step by step, from a blurred one to itself, and the gradients of an objective on the way add up. What each pixel is
given sums to the change of the objective, up to the gap that is told. Any network can be asked; those of this package
are asked at any scale, on the part of the picture that counts alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.errors import Cancelled, UserError
from clit.geometry import Region, View, Window, check_pixel, whole_numbers
from clit.networks.decoders.base import Features
from clit.networks.decoders.enlarged import Enlarged
from clit.networks.decoders.interpolation import Interpolation
from clit.networks.encoders import slopes
from clit.networks.model import SRModel
from clit.rendering.output import Cancel, Progress
from clit.system import memory

OBJECTIVES = ("texture", "colour")
MOST_STEPS, GAP = 400, 0.02
"""Steps are doubled, to at most so many, until the gap is below that."""
SQUARE = 64
"""Side in input pixels of the square about the pixel that the diffusion index looks at."""

_SIGMA, _TAPS = 1.2, 9  # of the first blur
_LUMA = (0.299, 0.587, 0.114)
_FLOORS = {"texture": 256 / 255, "colour": 1 / 255}  # least change of the objective that gaps are measured against
_EPSILON = 1e-12  # keeps the gradient of a flat patch finite
_TRIAL = 24  # side in pixels of what an encoder is tried on, to see what it keeps
_MARGIN = 0.7  # share of the free memory that this may take: there is more than what the encoder keeps

# Legend for shapes: h, w of the small picture; H, W of the output; Y, X of the part of the small picture that counts.


@dataclass(frozen=True)
class Attribution:
    """Which input pixels an output pixel comes from.

    map: (h, w, 3) float32, zero where nothing reaches. diffusion: the diffusion index, 0 (one pixel decides) to 100
    (all alike). gap: |sum of the map - change of the objective| over the change, the error of the map. change: of the
    objective, from the blurred picture to the picture itself. region: the input pixels that can count. steps: in the
    end.
    """

    map: np.ndarray
    diffusion: float
    gap: float
    change: float
    region: Region
    steps: int
    objective: str
    pixel: tuple[int, int]
    size: tuple[int, int]

    @property
    def shown(self) -> np.ndarray:
        """The map as the method's authors show it, (h, w) in 0..1: the square root of its share of the largest."""
        magnitude = np.abs(self.map.sum(-1))
        return np.sqrt(magnitude / max(magnitude.max(), np.finfo(np.float32).tiny))


class Source(ABC):
    """A network and what is asked of it: the output's size, the input that counts for a window, its colours."""

    lr: tuple[int, int]
    size: tuple[int, int]

    @abstractmethod
    def find_region(self, window: Window) -> Region:
        """Return the input pixels that a window of the output can depend on."""

    @abstractmethod
    def render(self, part: Tensor, region: Region, window: Window, share: float) -> Tensor:
        """Return a window's unclipped RGB (rows, columns, 3), in [0, 1].

        part: (1, 3, Y, X), the region's pixels at a share 0 (blurred) to 1 (sharp) of the way.
        """

    def estimate_memory(self, region: Region) -> int:
        """Return about how many bytes the way to the features keeps for the way back; 0 if that is not known."""
        return 0


class ModelSource(Source):
    """A model of this package, at the scale of a view.

    encode(x, read, share): as `model.encode_part`, of the picture at a share of the way; by default just that.
    """

    def __init__(self, model: SRModel, view: View, encode: Callable[[Tensor, Region, float], Tensor] | None = None):
        self.model, self.view = model, view
        self.lr, self.size = view.lr, view.size
        self._encode = encode or (lambda x, read, share: model.encode_part(x, read))

    def find_region(self, window: Window) -> Region:
        decoder, reach = self.model.decoder, self.model.encoder.reach
        if isinstance(decoder, Interpolation):
            return Enlarged.reads(self.view.with_pixels(window.lattice()), decoder.config.kernel)
        read = self._read(window)
        return read.grow(max(self.lr) if reach is None else reach).clip(self.lr)

    def _read(self, window: Window) -> Region:
        """Return the part of the small picture whose features the decoder reads."""
        return self.model.decoder.reads(self.view.with_pixels(window.lattice()))

    def render(self, part: Tensor, region: Region, window: Window, share: float) -> Tensor:
        (h, w), model = self.lr, self.model
        around = (region.left, w - region.right, region.top, h - region.bottom)
        x = F.pad(model.normalise(part.to(*model.place)), around)  # nothing reads the pixels around
        read = self._read(window)
        features = Features(self._encode(x, read, share), x, read.top, read.left)
        view = self.view.with_pixels(window.lattice())
        return model.render(model.prepare(features, view))[0]

    def estimate_memory(self, region: Region) -> int:
        encoder, kept, (device, dtype) = self.model.encoder, {}, self.model.place
        side = _TRIAL + -_TRIAL % encoder.multiple
        x = torch.zeros(1, 3, side, side, device=device, dtype=dtype, requires_grad=True)
        if slopes.applies(encoder, x):
            return slopes.estimate_memory(encoder, region.area)

        def note(tensor: Tensor) -> Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address comes twice
            return tensor

        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            encoder(x)
        weights = {each.untyped_storage().data_ptr() for each in encoder.parameters()}
        total = sum(tensor.untyped_storage().nbytes() for at, tensor in kept.items() if at not in weights)
        return total * region.area // side**2


class ModuleSource(Source):
    """Any network that enlarges (1, 3, h, w) to (1, 3, s h, s w), RGB in [0, 1]."""

    def __init__(self, module: nn.Module, image: Tensor, reach: int | None):
        """reach: distance in input pixels up to which an output pixel depends on the input; None: all of it counts.

        UserError for a module that gives something else.
        """
        self.module, self.lr, self._reach = module, tuple(image.shape[-2:]), reach
        with torch.no_grad():
            out = module(image)
        shape = tuple(out.shape) if isinstance(out, Tensor) else None
        if shape is None or len(shape) != 4 or shape[:2] != (1, 3) or min(shape[2:]) < 1:
            got = shape or type(out).__name__
            raise UserError(f"The network gives {got}, but must give (1, 3, H, W) for (1, 3, h, w).")
        self.size = shape[2:]
        if reach is not None and any(n_out % n for n_out, n in zip(self.size, self.lr, strict=True)):
            raise UserError("A reach can be given only for a network that enlarges by a whole number: leave it out.")

    def find_region(self, window: Window) -> Region:
        if self._reach is None:
            return Region(0, 0, *self.lr)
        down, across = (n_out // n for n_out, n in zip(self.size, self.lr, strict=True))
        inner = Region(window.top // down, window.left // across, -(-window.bottom // down), -(-window.right // across))
        return inner.grow(self._reach).clip(self.lr)

    def render(self, part: Tensor, region: Region, window: Window, share: float) -> Tensor:
        down, across = (n_out // n for n_out, n in zip(self.size, self.lr, strict=True))
        moved = Window(window.top - region.top * down, window.left - region.left * across, window.height, window.width)
        return self.module(part)[(0, slice(None), *moved.slices())].permute(1, 2, 0)


@dataclass(frozen=True)
class Reached:
    """How far an attribution is: `done` of `steps`, and the map if there is one now. is_last: nothing follows."""

    done: int
    steps: int
    found: Attribution | None = None
    is_last: bool = False


def attribute(
    source: Source,
    image: np.ndarray,
    pixel: tuple[int, int],
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    **options,
) -> Attribution:
    """Return which pixels of an image (h, w, 3), in [0, 1], output pixel (row, column) comes from.

    options: of `trace`. progress(done): called with the share of the steps at hand. When cancel() is true, Cancelled
    is raised soon. UserError as from `trace`.
    """
    return finish(trace(source, image, pixel, **options), progress, cancel)


def finish(tracing: Iterator[Reached], progress: Progress | None = None, cancel: Cancel | None = None) -> Attribution:
    """Take all steps that `trace` gives, and return what the last one found; else as `attribute`."""
    while True:
        if cancel is not None and cancel():
            raise Cancelled()
        reached = next(tracing)
        if progress is not None:
            progress(reached.done / reached.steps)
        if reached.is_last:
            return reached.found


def trace(
    source: Source,
    image: np.ndarray,
    pixel: tuple[int, int],
    *,
    patch: int = 16,
    steps: int = 50,
    first: int | None = None,
    objective: str = "texture",
) -> Iterator[Reached]:
    """Work an attribution out, one step at a time.

    objective: "texture", the strength of the gradients in the `patch` x `patch` output pixels around the pixel, or
    "colour", the pixel's luma. steps: on the way from blurred to sharp; doubled up to 400 until the gap is below 2 %.
    first: so many steps are taken first, and give a first map; they count among the others. `steps` must be an odd
    number of times as many. UserError, at once, for a pixel outside, an unknown objective, numbers out of range, and
    where the memory is too small.
    """
    pixel = check_pixel(pixel, source.size)
    _check(patch, steps, objective)
    if first is not None and (steps % first or steps // first % 2 == 0):
        raise ValueError("the steps must be an odd number of times the first ones")
    window = _place_window(source.size, pixel, patch) if objective == "texture" else Window(*pixel, 1, 1)
    _check_memory(source.estimate_memory(source.find_region(window)))
    return _trace(source, image, pixel, window, steps, first or steps, objective)


def take_in_turn(tracing: Iterator[Reached], turn: Callable[[], AbstractContextManager]) -> Iterator[Reached]:
    """Take every step inside `turn()`, a context manager."""
    while True:
        with turn():
            reached = next(tracing)
        yield reached
        if reached.is_last:
            return


def _trace(
    source: Source, image: np.ndarray, pixel: tuple[int, int], window: Window, steps: int, first: int, objective: str
) -> Iterator[Reached]:
    region = source.find_region(window)
    blurs = _Blurs(image, region)

    def score(part: Tensor, share: float) -> Tensor:
        return _measure(source.render(part, region, window, share), objective)

    with torch.no_grad():
        change = (score(blurs.at(1.0), 1.0) - score(blurs.at(0.0), 0.0)).double().item()

    def describe(total: Tensor, taken: int) -> Attribution:
        gap = abs(total.sum().item() - change) / max(abs(change), _FLOORS[objective])
        map = np.zeros((*source.lr, 3), np.float32)
        map[region.slices()] = total[0].permute(1, 2, 0).float().numpy()
        diffusion = find_diffusion(map, _find_input_pixel(source, pixel))
        return Attribution(map, diffusion, gap, change, region, taken, objective, pixel, source.size)

    while True:
        for done, total in enumerate(_integrate(score, blurs, steps, first), 1):
            found = None if total is None else describe(total, steps if done == steps else first)
            is_last = done == steps and (found.gap < GAP or 2 * steps > MOST_STEPS)
            yield Reached(done, steps, found, is_last)
            if is_last:
                return
        steps *= 2
        first = steps


def find_diffusion(map: np.ndarray, centre: tuple[int, int]) -> float:
    """Return the diffusion index of a map (h, w, 3): 100 less its Gini coefficient in per cent, about an input pixel.

    The square it looks at is always of one size, but ends where the picture does.
    """
    (row, column), half = centre, SQUARE // 2
    square = map[max(0, row - half) : row + half, max(0, column - half) : column + half]
    x = np.sort(np.abs(square.sum(-1, dtype=np.float64)).ravel())
    if not x.sum():
        return 0.0
    i = np.arange(1, len(x) + 1)
    return float(100 * (1 - ((2 * i - len(x) - 1) * x).sum() / (len(x) * x.sum())))


class _Blurs:
    """The part of a picture that counts, more or less blurred: the whole picture is blurred first, then cut."""

    def __init__(self, image: np.ndarray, region: Region):
        border = _TAPS // 2
        rows, columns = (slice(s.start, s.stop + 2 * border) for s in region.slices())
        padded = np.pad(image, ((border, border), (border, border), (0, 0)), mode="reflect")[rows, columns]
        self._seen = torch.from_numpy(np.ascontiguousarray(padded, np.float32)).permute(2, 0, 1)[:, None]

    def at(self, share: float) -> Tensor:
        """Return the part (1, 3, Y, X) at a share 0 (blurred) to 1 (sharp) of the way."""
        sigma = _SIGMA * (1 - share)
        offset = torch.arange(_TAPS) - _TAPS // 2
        kernel = torch.exp(-0.5 * (offset / sigma) ** 2) if sigma > 0 else (offset == 0).float()
        kernel = kernel / kernel.sum()
        down = F.conv2d(self._seen, kernel.view(1, 1, -1, 1))
        return F.conv2d(down, kernel.view(1, 1, 1, -1)).permute(1, 0, 2, 3).contiguous()

    def between(self, start: float, end: float) -> Tensor:
        """Return how far each value moves from one share of the way to another, in float64."""
        return (self.at(end) - self.at(start)).double()


def _integrate(score, blurs: _Blurs, steps: int, first: int) -> Iterator[Tensor | None]:
    """Add the gradients up, taken in the middle of each step, times the steps.

    After each gradient yields the sum (1, 3, Y, X) float64 if it is complete: after `first` gradients that of so many
    longer steps, whose middles are those of every few short ones; in the end that of all.
    """
    ratio = steps // first
    middles = [ratio * k + ratio // 2 for k in range(first)]
    rough = fine = 0.0
    for done, k in enumerate([*middles, *sorted({*range(steps)} - {*middles})], 1):
        share = (k + 0.5) / steps
        middle = blurs.at(share).requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(score(middle, share), middle)
        fine = fine + gradient.double() * blurs.between(k / steps, (k + 1) / steps)
        if done <= first < steps:
            j = k // ratio
            rough = rough + gradient.double() * blurs.between(j / first, (j + 1) / first)
        yield fine if done == steps else rough if done == first else None


def _measure(rgb: Tensor, objective: str) -> Tensor:
    """Return the objective of the colours (rows, columns, 3) of a window."""
    if objective == "colour":
        return rgb[0, 0] @ rgb.new_tensor(_LUMA)
    rows, columns = (max(1, n - 1) for n in rgb.shape[:2])
    down = rgb[1:, :columns] - rgb[:-1, :columns] if len(rgb) > 1 else torch.zeros_like(rgb[:, :columns])
    across = rgb[:rows, 1:] - rgb[:rows, :-1] if rgb.shape[1] > 1 else torch.zeros_like(rgb[:rows])
    return (down.square() + across.square() + _EPSILON).sqrt().sum()


def _place_window(size: tuple[int, int], pixel: tuple[int, int], patch: int) -> Window:
    """Place the patch and one more row and column about the pixel, shifted inside the output."""
    sides = [min(patch + 1, n) for n in size]
    first = [min(max(0, p - patch // 2), n - side) for p, n, side in zip(pixel, size, sides, strict=True)]
    return Window(*first, *sides)


def _find_input_pixel(source: Source, pixel: tuple[int, int]) -> tuple[int, int]:
    row, column = (int((p + 0.5) * n / n_out) for p, n, n_out in zip(pixel, source.lr, source.size, strict=True))
    return row, column


def _check_memory(needed: int) -> None:
    free = memory.available() * _MARGIN
    if needed > free:
        raise UserError(
            f"This needs about {memory.format_bytes(needed)} of memory, more than the {memory.format_bytes(free)} "
            "there are: choose a model with a smaller encoder, or a smaller picture."
        )


def _check(patch, steps, objective) -> None:
    if objective not in OBJECTIVES:
        raise UserError(f'The objective is "{objective}", but must be one of {", ".join(OBJECTIVES)}.')
    if whole_numbers([patch], 1) is None or not 1 <= patch <= 512:
        raise UserError(f"The patch is {patch}, but must be a whole number of output pixels from 1 to 512.")
    if whole_numbers([steps], 1) is None or not 1 <= steps <= MOST_STEPS:
        raise UserError(f"The number of steps is {steps}, but must be a whole number from 1 to {MOST_STEPS}.")

"""Antialiased bicubic resizing, PIL-style and MATLAB-style, on numpy arrays and torch tensors.

Both are separable: `axis_taps` says which pixels of an axis make each pixel of the result.

Both rules use half-pixel centres and the same kernel: a = -0.5, stretched by the ratio when shrinking. They differ at
the border: PIL cuts the kernel off there and renormalises, MATLAB mirrors the image. Both round 8-bit images after each
pass. PIL resizes along the width first, MATLAB along the axis that shrinks most, and along the height if both do alike.
Sources: Pillow's Resample.c; MATLAB's documentation of imresize and its `contributions` function.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from clit.errors import UserError
from clit.geometry import Window

_PIL_PRECISION = 2.0**22
"""PIL rounds the weights of 8-bit images to this many parts."""


def axis_taps(n_in: int, n_out: int, rule: str = "pil", scale: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels of an axis of n_in make each pixel of an axis of n_out, and their weights.

    rule: "pil" or "matlab". scale: output pixels per input pixel, if it is not n_out / n_in: MATLAB's rule when a
    scale was asked for and not a size.
    Returns index (n_out, K) int64, all inside the axis, and weight (n_out, K) float64, each row summing to 1.
    K is about 4 when enlarging and 4 * n_in / n_out when shrinking.
    """
    if min(n_in, n_out) < 1:
        raise UserError(f"An axis of {n_in} pixels cannot be resized to {n_out}: both must be at least 1.")
    ratio = n_in / n_out if scale is None else 1 / scale
    stretch = max(ratio, 1.0)
    support = 2 * stretch
    centre = (np.arange(n_out)[:, None] + 0.5) * ratio  # in input pixels; pixel i covers i .. i+1
    if rule == "pil":
        first = np.maximum(np.trunc(centre - support + 0.5), 0).astype(np.int64)
        stop = np.minimum(np.trunc(centre + support + 0.5), n_in).astype(np.int64)
        index = first + np.arange(math.ceil(support) * 2 + 1)
        inside = index < stop
    elif rule == "matlab":
        first = np.floor(centre - 0.5 - support).astype(np.int64)
        index = first + np.arange(math.ceil(2 * support) + 2)
        inside = True
    else:
        raise UserError(f'The resizing rule is "{rule}", but must be "pil" or "matlab".')
    weight = cubic((index - centre + 0.5) / stretch) * inside
    weight /= weight.sum(1, keepdims=True)
    if rule == "matlab":
        index %= 2 * n_in
        index = np.minimum(index, 2 * n_in - 1 - index)
    else:
        index = np.minimum(index, n_in - 1)
    used = (weight != 0).any(0)
    return index[:, used], weight[:, used]


def resize_pil(image: np.ndarray | Tensor, size: tuple[int, int]) -> np.ndarray | Tensor:
    """Resize as PIL's BICUBIC does, to `size` (H, W).

    image: numpy (h, w) or (h, w, C), or torch (..., h, w) on any device. uint8 gives uint8, rounded after each pass
    as in PIL; floating point gives the same type, neither rounded nor clipped (PIL's mode F).
    """
    x, back = _channels_first(image)
    return back(_resize_pil(x, [axis_taps(n_in, n_out) for n_in, n_out in zip(x.shape[-2:], size, strict=True)]))


def pil_source(whole: tuple[int, int], size: tuple[int, int], window: Window) -> Window:
    """Return the part of an image of `whole` (H, W) from which a window of its resized version, of `size`, is made."""
    bounds = []
    for n_in, n_out, part in zip(whole, size, window.slices(), strict=True):
        index, weight = (each[part] for each in axis_taps(n_in, n_out))
        used = index[weight != 0]
        bounds.append((int(used.min()), int(used.max()) + 1))
    (top, bottom), (left, right) = bounds
    return Window(top, left, bottom - top, right - left)


def resize_pil_window(image: np.ndarray, whole: tuple[int, int], size: tuple[int, int], window: Window) -> np.ndarray:
    """Return a window of what `resize_pil` makes of an image of `whole` (H, W), pixel for pixel the same.

    image: (h, w, C), its `pil_source` alone.
    """
    source, taps = pil_source(whole, size, window), []
    for n_in, n_out, first, n, part in zip(
        whole, size, (source.top, source.left), image.shape[:2], window.slices(), strict=True
    ):
        index, weight = (each[part] for each in axis_taps(n_in, n_out))
        taps.append((np.clip(index - first, 0, n - 1), weight))  # those outside have no weight
    x, back = _channels_first(image)
    return back(_resize_pil(x, taps))


def resize_matlab(
    image: np.ndarray | Tensor, size: tuple[int, int] | None = None, scale: float | None = None
) -> np.ndarray | Tensor:
    """Resize as MATLAB's imresize(..., "bicubic") does, to `size` (H, W) or to ceil(h * scale), ceil(w * scale).

    image: as for `resize_pil`, with the same rounding of uint8 images.
    """
    if (size is None) == (scale is None):
        raise UserError("Give either a size or a scale to resize to, and not both.")
    x, back = _channels_first(image)
    h, w = x.shape[-2:]
    if size is None:
        if not 0 < scale < math.inf:
            raise UserError(f"The scale is {scale}, but must be a positive number.")
        size = (math.ceil(h * scale), math.ceil(w * scale))
    passes = [(scale or size[0] / h, -2, size[0]), (scale or size[1] / w, -1, size[1])]
    for _, axis, n_out in sorted(passes):
        x = _resize_axis(x, *axis_taps(x.shape[axis], n_out, "matlab", scale), axis)
    return back(x)


def published_pair(hr: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the low-resolution image that published evaluations give to a model, and the part of `hr` it shows.

    hr: (h, w, C) uint8. It is cropped at the bottom and right to round(floor(h / scale) * scale). Scales 2, 3 and 4
    are made MATLAB-style and rounded to 8 bit once, other scales PIL-style (Chen et al., LIIF).
    Returns lr (h', w', C) uint8 and the cropped hr.
    """
    size = tuple(math.floor(n / scale + 1e-9) for n in hr.shape[:2])
    if min(size) < 1:
        raise UserError(f"An image of {hr.shape[1]} x {hr.shape[0]} pixels is too small for scale {scale:g}.")
    hr = hr[: round(size[0] * scale), : round(size[1] * scale)]
    if scale not in (2, 3, 4):
        return resize_pil(hr, size), hr
    lr = resize_matlab(hr.astype(np.float64), size)
    return np.floor(lr + 0.5).clip(0, 255).astype(np.uint8), hr


def cubic(x: np.ndarray) -> np.ndarray:
    """Return Keys' cubic convolution kernel with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((x - 5) * x + 8) * x * -0.5 + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _resize_pil(x: Tensor, taps: list[tuple[np.ndarray, np.ndarray]]) -> Tensor:
    """Resize (..., h, w) by the taps of its rows and of its columns: along the width first, as PIL does."""
    for axis, (index, weight) in ((-1, taps[1]), (-2, taps[0])):
        if not x.is_floating_point():
            weight = np.trunc(weight * _PIL_PRECISION + np.copysign(0.5, weight)) / _PIL_PRECISION
        x = _resize_axis(x, index, weight, axis)
    return x


def _channels_first(image):
    """Return the image as a tensor (..., h, w), and a function that turns such a tensor back."""
    if isinstance(image, Tensor):
        return image, lambda x: x
    x = torch.from_numpy(np.array(image))
    if x.ndim == 2:
        return x, lambda x: x.numpy()
    return x.movedim(-1, 0).contiguous(), lambda x: x.movedim(0, -1).contiguous().numpy()


def _resize_axis(x: Tensor, index: np.ndarray, weight: np.ndarray, axis: int) -> Tensor:
    """Sum the weighted taps along one axis. Integers are computed in float64, rounded half up and clipped."""
    work = x.dtype if x.is_floating_point() else torch.float64
    taps = torch.from_numpy(index).to(x.device)
    factors = torch.from_numpy(weight).to(x.device, work)
    shape = [1] * x.ndim
    shape[axis] = -1
    total = x.index_select(axis, taps[:, 0]).to(work) * factors[:, 0].view(shape)
    for k in range(1, taps.shape[1]):  # a tap at a time: no (n_out, K) copy of the picture
        total.addcmul_(x.index_select(axis, taps[:, k]).to(work), factors[:, k].view(shape))
    if x.is_floating_point():
        return total
    return total.add_(0.5).floor_().clamp_(0, torch.iinfo(x.dtype).max).to(x.dtype)

"""The arrays that compiled kernels read and write (clit.networks.arrays), made of fields and modules."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.networks import compiling
from clit.networks.arrays import (
    AttentionAxis,
    AttentionScratch,
    AttentionView,
    AttentionWeights,
    EnsembleAxis,
    EnsembleScratch,
    EnsembleView,
    Layers,
)  # fmt: skip
from clit.system.threads import blocks, parallel_map

_QUERIES = 1024  # of a part of a view, about: its hidden layers stay in the processor's cache
_U_FLOATS = 160_000  # numbers of U of a part
_AXIS = 24  # queries of a footprint along an axis, at most
_ROW = 64  # numbers that loops over a row of weights take at once, at most
_LOW = -1e9  # what a softmax leaves out: twice this is a logit there, and logits fit into int32
_CALLS = 48  # that a view is cut into, about: between two of them it can be cancelled


def applies(tensor: Tensor) -> bool:
    """Whether the kernels are there, and do what depends on this tensor: float32 on the CPU, without gradients."""
    return not torch.is_grad_enabled() and fits(tensor)


def fits(tensor: Tensor) -> bool:
    """Whether the kernels are there, and the tensor is float32 on the CPU."""
    return tensor.device.type == "cpu" and tensor.dtype == torch.float32 and compiling.are_ready()


def render_attention(stage, field, cancel: Callable[[], bool] | None = None) -> Tensor:
    """Do as `LocalAttention.render`."""
    from clit.networks.kernels import attention

    weights = _pack_attention(stage, field.cell)

    def render(view: AttentionView, parts: np.ndarray, scratch: AttentionScratch, out: np.ndarray) -> None:
        attention.render(view, weights, parts, scratch, out)

    return _run_attention(stage, field, (3,), render, cancel)


def survey_attention(stage, field, cancel: Callable[[], bool] | None = None) -> Tensor:
    """Do as `LocalAttention.survey`."""
    from clit.networks.kernels import attention

    return _run_attention(stage, field, (stage.config.heads, 3), attention.survey, cancel)


def _run_attention(stage, field, shape: tuple[int, ...], kernel: Callable, cancel: Callable[[], bool] | None) -> Tensor:
    """Call kernel(view, parts, scratch, out) for all parts of all pictures. Returns out, (B, R, C, *shape)."""
    from clit.networks.packing import pad_width

    out = field.q.new_empty(len(field.q), len(field.rows.nearest), len(field.columns.nearest), *shape)
    side, width = 2 * stage.config.radius + 1, stage.config.width
    root = math.sqrt(width // stage.config.heads)
    rows = _describe_axis(stage, field.rows, field.region.top, field.bias_y.repeat_interleave(side, 1), root)
    columns = _describe_axis(stage, field.columns, field.region.left, field.bias_x.repeat(1, side, 1))
    places = np.arange(side)
    shared = rows, columns, (places[:, None] * field.q.shape[2] + places) * width
    fourier = field.q.new_empty(*field.q.shape[:3], 0) if field.fourier is None else field.fourier
    keys = F.pad(field.k.transpose(2, 3), (0, pad_width(side) - side))
    parts, make_scratch = _cut_parts(stage, rows, columns)
    scratch_of = _by_thread(make_scratch)
    for picture, result in enumerate(_numpy(out)):
        view = AttentionView(*(_numpy(m[picture]) for m in (field.q, keys, field.v, fourier)), *shared)

        def run(some: np.ndarray, view=view, result=result) -> None:
            kernel(view, some, scratch_of(), result)

        _call(run, parts, cancel)
    return out


def _describe_axis(stage, axis, start: int, bias: Tensor, divisor: float = 1) -> AttentionAxis:
    """Describe an axis of a stage's view, whose maps begin at latent `start`.

    bias: (R, P, M). divisor: of its shares in samples.
    """
    from clit.networks.packing import pad_width

    taps, side = axis.taps.shift(-start), 2 * stage.config.radius + 1
    used = stage.window - side + pad_width(side)  # numbers of a row of weights that products write
    empty = used + -used % _ROW - stage.window
    bias = F.pad(bias.permute(2, 0, 1), (0, empty), value=_LOW)
    nearest, rel = axis.nearest - start, axis.rel[:, stage.config.radius]
    return AttentionAxis(
        _find_footprints(nearest), *map(_numpy, (nearest, taps.index, taps.weight / divisor, bias, rel))
    )


def _find_footprints(nearest: Tensor) -> np.ndarray:
    """Group the queries (Q,) of an axis by their nearest latent: (., 3) of latents, first queries and ends.

    Groups larger than _AXIS are cut: they would need much room, and are many queries for few U as they are.
    """
    latents, counts = (found.numpy() for found in torch.unique_consecutive(nearest, return_counts=True))
    pieces = -(-counts // _AXIS)  # of each group
    part = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)  # 0, 1... within its group
    first, count, of = (np.repeat(each, pieces) for each in (np.cumsum(counts) - counts, counts, pieces))
    ends = [first + count * at // of for at in (part, part + 1)]
    return np.stack([np.repeat(latents, pieces), *ends], 1)


def _cut_parts(stage, rows: AttentionAxis, columns: AttentionAxis) -> tuple[np.ndarray, Callable[[], AttentionScratch]]:
    """Return the parts (., 4) of a view, and what makes scratch for any of them."""
    from clit.networks.kernels.tile import PANEL
    from clit.networks.packing import pad_width

    c, (down, across) = stage.config, (np.diff(axis.footprints[:, 1:]) for axis in (rows, columns))
    each = float(down.mean() * across.mean())
    most = max(1, min(_U_FLOATS // (stage.window * PANEL), int(_QUERIES / each)))
    parts = _cut(len(down), len(across), most)
    n = int(down.max() * across.max())
    latents = int(((parts[:, 1] - parts[:, 0]) * (parts[:, 3] - parts[:, 2])).max())
    widest = pad_width(max(*c.hidden, 2 * c.fourier, 3))

    def make_scratch() -> AttentionScratch:
        def floats(*shape: int) -> np.ndarray:
            return np.zeros(shape, np.float32)

        def ints(*shape: int) -> np.ndarray:
            return np.empty(shape, np.int64)

        queries = latents * n
        return AttentionScratch(
            floats(queries, c.width), floats(c.heads, queries, rows.bias.shape[2]), floats(c.heads, queries, 2),
            floats(latents * stage.window * PANEL), floats(queries * widest), floats(queries * widest),
            ints(queries, 2), ints(queries), ints(latents), ints(latents + 1),
        )  # fmt: skip

    return parts, make_scratch


def _pack_attention(stage, cell: Tensor) -> AttentionWeights:
    from clit.networks.packing import pack, pack_layers, pad

    c, (first, *rest) = stage.config, list(stage.mlp)[::2]
    values, cells, fourier = first.weight.split((stage.value_inputs, 2, 2 * c.fourier), 1)

    def make() -> tuple[np.ndarray, Layers]:
        w1 = values.unflatten(1, (stage.window, c.heads, -1)).permute(2, 1, 3, 0)  # (M, P, d, H)
        layers = [(fourier, first.bias), *((layer.weight, layer.bias) for layer in rest)]
        return pack(_numpy(w1)), pack_layers([(_numpy(weight), _numpy(bias)) for weight, bias in layers])

    w1, layers = _keep(stage, make)
    constant = pad(_numpy(first.bias + cells @ cell))
    return AttentionWeights(w1, layers._replace(biases=np.concatenate([constant, layers.biases[len(constant) :]])))


class EnsembleStart(NamedTuple):
    """How LIIF or LTE computes the first numbers of a prediction: the first fields of an EnsembleView, as tensors."""

    map: Tensor  # (B, h, w, width)
    frequency: Tensor
    cell: Tensor
    along: Tensor
    layers: list[nn.Linear]
    """The layers that come after it."""


def render_ensemble(decoder, field, weights: Tensor, cancel: Callable[[], bool] | None = None) -> Tensor:
    """Do as `EnsembleDecoder.render`, without the skip. weights: (2, 2, R, C) of the four latents."""
    from clit.networks.kernels import ensemble
    from clit.networks.packing import pack_layers, pad_width

    start = decoder.describe_start(field)
    layers = [(_numpy(layer.weight), _numpy(layer.bias)) for layer in start.layers]
    packed = _keep(decoder, lambda: pack_layers(layers))
    places = (field.rows, field.region.top), (field.columns, field.region.left)
    axes = [EnsembleAxis(_numpy(axis.nearest - begin), _numpy(axis.rel)) for axis, begin in places]
    shared = _numpy(start.cell), _numpy(start.along), *axes, _numpy(weights)
    out = start.map.new_empty(len(start.map), *weights.shape[2:], 3)
    widest = pad_width(max(start.map.shape[-1], *(len(bias) for _, bias in layers)))
    parts = _cut(*weights.shape[2:], _QUERIES // 2)
    most = int(((parts[:, 1] - parts[:, 0]) * (parts[:, 3] - parts[:, 2])).max())

    def make_scratch() -> EnsembleScratch:
        x, y, blended = (np.empty(most * widest, np.float32) for _ in range(3))
        return EnsembleScratch(x, y, blended, np.empty(most, np.int64))

    scratch_of = _by_thread(make_scratch)
    for picture, result in enumerate(_numpy(out)):
        view = EnsembleView(_numpy(start.map[picture]), _numpy(start.frequency[picture]), *shared)

        def run(some: np.ndarray, view=view, result=result) -> None:
            ensemble.render(view, packed, some, scratch_of(), result)

        _call(run, parts, cancel)
    return out


def _cut(height: int, width: int, most: int) -> np.ndarray:
    """Return rectangles (., 4) of about `most` cells: top, bottom, left, right."""
    cut = [(y.start, min(y.stop, height), x.start, min(x.stop, width)) for y, x in blocks(height, width, most)]
    return np.array(cut, np.int64)


def _call(run: Callable[[np.ndarray], None], parts: np.ndarray, cancel: Callable[[], bool] | None) -> None:
    """Call run(some of the parts) for all of them, on all cores."""
    size = math.ceil(len(parts) / _CALLS)
    for _ in parallel_map(run, [parts[i : i + size] for i in range(0, len(parts), size)], cancel):
        pass


def _by_thread(make_scratch: Callable[[], tuple]) -> Callable[[], tuple]:
    """Return what gives each thread scratch of its own, made once."""
    own = threading.local()

    def get() -> tuple:
        if not hasattr(own, "scratch"):
            own.scratch = make_scratch()
        return own.scratch

    return get


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy()


_kept: weakref.WeakKeyDictionary[nn.Module, tuple] = weakref.WeakKeyDictionary()


def _keep(module: nn.Module, make: Callable[[], tuple]) -> tuple:
    """Return what `make` makes of a module's weights, kept until they are written to or moved."""
    parameters = list(module.mlp.parameters())
    if any(parameter.is_inference() for parameter in parameters):  # nobody counts how often these are written to
        return make()
    stamp = [(parameter.data_ptr(), parameter._version) for parameter in parameters]
    kept = _kept.get(module)
    if kept is None or kept[0] != stamp:
        kept = _kept[module] = (stamp, make())
    return kept[1]

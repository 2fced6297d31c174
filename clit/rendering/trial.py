"""How long a rendering will take: a small part of such work is done and timed.

No product of matrices tells that. A rendering's rate also depends on its passes over memory, on whether the compiled
kernels are there, and on what else the machine does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from clit.geometry import View, Window
from clit.networks import compiling
from clit.networks.decoders.base import Features
from clit.networks.model import SRModel
from clit.system import turns

_WORK = 3e9  # multiply-adds of a trial, about
_LEAST, _MOST = 16, 512  # sides of what it encodes or renders
_SECONDS = 0.1  # a trial is repeated for so long
_PATIENCE = 3.0  # seconds: kernels compiled before are loaded by then


@torch.inference_mode()
def predict_seconds(model: SRModel, views: Sequence[View], shares: Sequence[float]) -> float:
    """Return the seconds that views of a picture will take on this machine as it is now.

    shares: 0..1 for each view, how much of the features that it reads must be computed. The middle view stands for all.
    """
    if model.kind != "plain":
        compiling.wait(_PATIENCE)
    encoding = sum(model.encoder_work(view) * share for view, share in zip(views, shares, strict=True))
    decoding = sum(model.decoder.multiply_adds(view) for view in views)
    seconds, middle = 0.0, views[len(views) // 2]
    for work, make_trial in ((encoding, _try_encoder), (decoding, _try_decoder)):
        if work:
            turns.pause()
            run, done = make_trial(model, middle)
            seconds += work / done * _time(run)
    return seconds


def _try_encoder(model: SRModel, view: View) -> tuple[Callable[[], object], float]:
    """Return what encodes a small picture, and its multiply-adds."""
    each = model.encoder_work(view) / model.sees(view).area
    side = _choose_side(each)
    h, w = (min(side, length) for length in view.lr)
    device, dtype = model.place
    image = torch.rand(1, 3, h, w).to(device, dtype)
    return lambda: model.encode(image).map.cpu(), each * h * w


def _try_decoder(model: SRModel, view: View) -> tuple[Callable[[], object], float]:
    """Return what renders a small part of a view from features of noise, and its multiply-adds."""
    side = _choose_side(model.decoder.multiply_adds(view) / view.count)
    scales = [n_out / n for n_out, n in zip(view.size, view.lr, strict=True)]
    lr = tuple(min(n, max(_LEAST, math.ceil(side / scale))) for n, scale in zip(view.lr, scales, strict=True))
    size = tuple(round(n * scale) for n, scale in zip(lr, scales, strict=True))
    height, width = min(side, len(view.pixels.rows), size[0]), min(side, len(view.pixels.columns), size[1])
    middle = Window((size[0] - height) // 2, (size[1] - width) // 2, height, width)
    part = replace(view, lr=lr, size=size, pixels=middle.lattice(), wrap=False)
    device, dtype = model.place
    map, image = (torch.rand(1, n, *lr).to(device, dtype) for n in (model.encoder.channels, 3))
    features = Features(map, image)
    return lambda: model.render(model.prepare(features, part)).cpu(), model.decoder.multiply_adds(part)


def _choose_side(each: float) -> int:
    """Return the side of a square of about _WORK multiply-adds, `each` for a pixel."""
    return min(_MOST, max(_LEAST, math.isqrt(int(_WORK / each))))


def _time(run: Callable[[], object]) -> float:
    """Return the mean seconds of a call, not counting the first."""
    run()
    began, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - began < _SECONDS:
        run()
        count += 1
    return (time.perf_counter() - began) / count

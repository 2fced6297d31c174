"""What is computed of a part of a view, from features of a cache: in this process, or by another that has a cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from clit.geometry import Region, View
from clit.networks.decoders.base import Features
from clit.pictures.picture import to_grey
from clit.rendering.attention import attend
from clit.rendering.attention_source import AttentionSource, make_source
from clit.rendering.features import FeatureCache
from clit.rendering.looks import Attention
from clit.rendering.output import Cancel
from clit.rendering.request import Request

REFERENCE_QUERIES = 2048  # at once by the plain definition: at base width each gathers 100 kB


@dataclass(frozen=True)
class Part:
    """What is wanted of a checked request.

    what: one of KINDS. view: its pixels are the part's. around: the LR region of which features will be wanted soon,
    see `FeatureCache.get`.
    """

    what: str
    request: Request
    view: View
    around: Region | None = None


class Computed(NamedTuple):
    """What was found, and the seconds that it took once the features were there."""

    found: Any
    seconds: float


Compute = Callable[[Part, Cancel | None], Computed]


def compute(cache: FeatureCache, part: Part, cancel: Cancel | None = None) -> Computed:
    """Compute a part. When cancel() is true, Cancelled is raised soon."""
    features = _get_features(cache, part, cancel)
    began = time.perf_counter()
    found = KINDS[part.what](features, part, cancel)
    return Computed(found, time.perf_counter() - began)


def _get_features(cache: FeatureCache, part: Part, cancel: Cancel | None) -> Features:
    request, around = part.request, part.around
    (h, w), margin = part.view.lr, request.margin
    wanted = request.model.decoder.reads(part.view).move(margin, margin)
    around = around and around.move(margin, margin)
    found = cache.get(request.model, request.image, request.key, wanted, around, cancel)
    image = found.image[..., margin : margin + h, margin : margin + w]
    return replace(found, image=image, top=found.top - margin, left=found.left - margin)


@torch.inference_mode()
def _draw(features: Features, part: Part, cancel: Cancel | None) -> np.ndarray:
    model = part.request.model
    rgb = model.render(model.prepare(features, part.view), cancel)[0].float().cpu().numpy()
    return to_grey(rgb) if part.request.grey else rgb


@torch.inference_mode()
def _draw_by_definition(features: Features, part: Part, cancel: Cancel | None) -> np.ndarray:
    model, pixels = part.request.model, part.view.pixels
    field = model.prepare(features, part.view)
    positions = torch.cartesian_prod(pixels.rows, pixels.columns).to(features.map.device)
    found = torch.cat([model.query(field, some)[0] for some in positions.split(REFERENCE_QUERIES)])
    rgb = found.view(len(pixels.rows), len(pixels.columns), 3).float().cpu().numpy()
    return to_grey(rgb) if part.request.grey else rgb


@torch.inference_mode()
def _survey(features: Features, part: Part, cancel: Cancel | None) -> np.ndarray:
    model = part.request.model
    return model.decoder.survey(model.prepare(features, part.view), cancel)[0].float().cpu().numpy()


def _attend(features: Features, part: Part, cancel: Cancel | None) -> Attention:
    return attend(part.request.model, features, part.view, influence=False)


def _attend_and_influence(features: Features, part: Part, cancel: Cancel | None) -> Attention:
    return attend(part.request.model, features, part.view, influence=True)


def _make_source(features: Features, part: Part, cancel: Cancel | None) -> AttentionSource:
    return make_source(part.request.model, features, part.view)


def _leave(features: Features, part: Part, cancel: Cancel | None) -> None:
    """Do nothing with the features, which are cached from now on."""


KINDS: dict[str, Callable[[Features, Part, Cancel | None], Any]] = {
    "fast": _draw,
    "reference": _draw_by_definition,
    "survey": _survey,
    "attention": _attend,
    "influence": _attend_and_influence,
    "source": _make_source,
    "features": _leave,
}
"""What a part can be: RGB (rows, columns, 3) unclipped, the same by the plain definition, what `Renderer.survey`
returns, what one pixel looked at without and with influence, what attention is computed from, and nothing: its features
are encoded.
"""

"""What a page of a view computes attention from, as an answer: see `AttentionSource`."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np

from clit.errors import UserError
from clit.networks.model import SRModel
from clit.rendering.attention_source import AttentionSource, count_bytes
from clit.ui.limits import Limits
from clit.ui.pictures import Picture
from clit.ui.requests import SourceRequest


def check_sources(models: dict[str, SRModel], picture: Picture, request: SourceRequest, limits: Limits) -> None:
    """Raise a UserError for a model without heads, and where the answer would be more than a page may hold."""
    asked = request.enlargement
    for name, model in models.items():
        if not model.heads:
            raise UserError(f"{name} has no attention to take away: choose LIT or CLIT.")
    views = {name: model.view(picture.size, asked.size, request.window, asked.chain) for name, model in models.items()}
    needed = sum(_in_base64(count_bytes(model, views[name])) for name, model in models.items())
    if needed > limits.page_bytes:
        raise UserError(
            f"A page of this view would have more than {math.floor(needed / 1e5) / 10:g} MB, and "
            f"{limits.page_bytes / 1e6:g} are allowed: choose a larger scale, or fewer panes."
        )


def describe_source(source: AttentionSource) -> dict:
    """Return a source as JSON can hold it: arrays in base64, little-endian, float16 or float32 as they are."""
    region = source.region
    return {
        "heads": source.heads,
        "radius": source.radius,
        "region": [region.top, region.left, region.bottom - region.top, region.right - region.left],
        "z": _pack(source.z),
        "frequencies": _pack(source.frequencies),
        "position": _pack(source.position),
        "position_bias": _pack(source.position_bias),
        "stages": [
            {"grid": list(stage.grid)}
            | {name: _pack(getattr(stage, name)) for name in ("query", "query_bias", "key", "key_bias")}
            for stage in source.stages
        ],
    }


def _pack(array: np.ndarray) -> str:
    little: Any = array.astype(array.dtype.newbyteorder("<"))
    return base64.b64encode(little.tobytes()).decode("ascii")


def _in_base64(count: int) -> int:
    return math.ceil(count / 3) * 4

"""What a visitor asks, and how an answer is looked at."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from clit.ui.questions import ask, begin, open_example
from clit.ui.site import Site


def arrive(site: Site, example: str = "one.png") -> dict:
    """A visit with an example open: the entries every question needs."""
    token = ask(begin, site, {})["token"]
    picture = ask(open_example, site, {"token": token, "name": example})
    return {"token": token, "picture": picture["id"]}


def view(visit: dict, **changes) -> dict:
    """A question for a view."""
    return {**visit, "model": "lit-light", "scale": 2.7, "window": [3, 5, 20, 30], "wanted": 1, **changes}


def decoded(answered: dict) -> np.ndarray:
    """The picture in an answer, (h, w, 3) uint8."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(answered["image"]))).convert("RGB"))

"""Arbitrary-scale super-resolution by local attention: LIT, CLIT, and the methods they replace.

    model = clit.load("clit-light")
    rgb = clit.upscale(model, "photo.png", scale=7.3)                   # (H, W, 3) float32 in [0, 1]
    clit.save(model, "photo.png", "poster.png", scale=30)               # in row blocks: of any size
    seen = clit.attend(model, "photo.png", pixel=(40, 60), scale=7.3)   # what that output pixel looked at

Each name is imported when it is first used, so `import clit` is quick. The imports below are for type checkers.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clit.api import attend as attend
    from clit.api import attribute as attribute
    from clit.api import estimate as estimate
    from clit.api import save as save
    from clit.api import survey as survey
    from clit.api import upscale as upscale
    from clit.config import PRESETS as PRESETS
    from clit.errors import Cancelled as Cancelled
    from clit.errors import UserError as UserError
    from clit.exports.folders import upscale_folder as upscale_folder
    from clit.geometry import Window as Window
    from clit.networks.checkpoints import load as load
    from clit.networks.official import import_official as import_official
    from clit.rendering.renderer import Renderer as Renderer

__version__ = "0.1.0"

_HOMES = {
    "attend": "clit.api",
    "attribute": "clit.api",
    "estimate": "clit.api",
    "load": "clit.networks.checkpoints",
    "save": "clit.api",
    "survey": "clit.api",
    "upscale": "clit.api",
    "upscale_folder": "clit.exports.folders",
    "PRESETS": "clit.config",
    "Cancelled": "clit.errors",
    "UserError": "clit.errors",
    "Window": "clit.geometry",
    "import_official": "clit.networks.official",
    "Renderer": "clit.rendering.renderer",
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'clit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__

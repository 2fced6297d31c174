"""The methods a pane can show: which there are, and each loaded when it is first asked for."""

from __future__ import annotations

import json
import os
import threading

import torch
from torch import nn

import clit
from clit.config import ABLATIONS, PLAIN, PRESETS, ModelConfig
from clit.errors import UserError
from clit.networks import checkpoints
from clit.networks.model import SRModel

OFFERED = ("liif-light", "lte-light", "lit-light", "clit-light")
"""Presets that the panes always list, trained or not."""

ABOUT = {
    "bilinear": "no network: a straight line between the 4 nearest pixels",
    "bicubic": "no network: a smooth curve through the 16 nearest pixels",
    "liif-base": "LIIF at its paper's width, with the weights that its authors released",
    "lit-base": "LIT at the paper's width: attention over 49 neighbours (latents)",
    "clit-base": "CLIT at the paper's width: attention over 49 neighbours (latents), in up to 3 stages",
    "lit-light-x32": "LIT trained on scales up to ×32 in place of ×4",
    "lit-light-r1": "LIT without Fourier features that looks at 3 × 3 neighbours in place of 7 × 7",
    "lit-light-r2": "LIT without Fourier features that looks at 5 × 5 neighbours in place of 7 × 7",
    "lit-light-r3": "LIT without Fourier features, 7 × 7 neighbours, trained beside r1 and r2",
    "lit-light-fourier": "LIT with half as many Fourier features",
    "lit-light-no-bias": "LIT without Fourier features that is not told how far its neighbours are",
    "clit-light-cumulative": "CLIT without Fourier features, trained stage by stage, beside at once",
    "clit-light-at-once": "CLIT with all stages trained at once",
}
"""One line for a layman on methods without a network, on base models and ablations; `_about` describes the others."""


class Models:
    """Loads methods by name, each once, and keeps them. Those with equal encoders share one, and what is made of it."""

    def __init__(self) -> None:
        # On Spaces with ZeroGPU a GPU exists only inside decorated, queued calls; the viewer's questions are neither.
        has_gpu = torch.cuda.is_available() and not os.environ.get("SPACES_ZERO_GPU")
        self._device = "cuda" if has_gpu else "cpu"
        self._loaded: dict[str, SRModel] = {}
        self._encoders: dict[str, nn.Module] = {}
        self._lock = threading.Lock()

    def describe(self) -> list[dict]:
        """Return the entries of the pane menus: name, label, about, family, kind, stages, heads, available.

        about: one line that says what it is. family, kind: as in the decoder's configuration. Where it is not
        available, `reason` says why. ablation: whether it is there to be compared with a preset.
        """
        trained = checkpoints.available()
        presets = [name for name in PRESETS if name in trained or name in OFFERED]
        others = [name for name in trained if name not in PRESETS]
        return [_describe(name, name in PLAIN or name in trained) for name in [*PLAIN, *presets, *others]]

    def get(self, name: str) -> SRModel:
        """Return the model called `name`; UserError if it is unknown or has no weights."""
        with self._lock:
            if name not in self._loaded:
                if name not in PLAIN and name not in checkpoints.available():
                    raise UserError(f'The method "{name}" has no trained weights here: choose another one.')
                model = clit.load(name).to(self._device)
                model.encoder = self._encoders.setdefault(model.encoder_key(), model.encoder)
                self._loaded[name] = model
            return self._loaded[name]


def _describe(name: str, available: bool) -> dict:
    reason = "" if available else f"No trained weights here yet: make them with python -m clit train {name} --data DIR"
    entry = {"name": name, "label": name, "about": "", "available": available, "reason": reason}
    entry["ablation"] = name in ABLATIONS
    try:
        decoder = _read_config(name).decoder
    except (OSError, ValueError) as error:
        unknown = {"family": name, "kind": "plain", "stages": 1, "heads": 0}
        return entry | unknown | {"available": False, "reason": f"This checkpoint cannot be read: {error}"}
    if name in PLAIN or name in PRESETS or name in ABLATIONS:
        variant = name.partition("-")[2].replace("-", " ")
        entry["label"] = f"{decoder.family} {variant}".strip()
    entry["about"] = ABOUT.get(name) or _about(decoder)
    return entry | {key: getattr(decoder, key) for key in ("family", "kind", "stages", "heads")}


def _about(decoder) -> str:
    """What a network does, by its decoder's configuration."""
    if decoder.kind == "ensemble":
        network = "a network of sines and cosines" if decoder.family == "LTE" else "a network"
        return f"{network} asked for 4 neighbours, whose answers are weighed by distance alone"
    count = (2 * decoder.radius + 1) ** 2
    neighbours = f"attention over {count} neighbours (latents), by what they hold and where they lie"
    return neighbours if decoder.stages == 1 else f"{neighbours}, in up to {decoder.stages} stages"


def _read_config(name: str) -> ModelConfig:
    known = PLAIN.get(name) or PRESETS.get(name)
    if known:
        return known
    return ModelConfig.from_dict(json.loads((checkpoints.folder() / name / checkpoints.CONFIG).read_text()))

"""The methods a pane can show: what is there, and each loaded when it is first asked for."""

from __future__ import annotations

import json
import os
import threading

import torch

import clit
from clit.config import ABLATIONS, PRESETS, CLITConfig, LIIFConfig, LTEConfig, ModelConfig
from clit.errors import UserError
from clit.networks import checkpoints

OFFERED = ("liif-light", "lte-light", "lit-light", "clit-light")
"""Presets that the panes always list, trained or not."""

PLAIN = {"bilinear": "Bilinear", "bicubic": "Bicubic"}
"""Baselines without weights."""


class Models:
    """The methods a pane can show; each is loaded on first use and then kept."""

    def __init__(self) -> None:
        # On Spaces with ZeroGPU a GPU exists only inside decorated, queued calls; the viewer's questions are neither.
        lent = torch.cuda.is_available() and not os.environ.get("SPACES_ZERO_GPU")
        self._device = "cuda" if lent else "cpu"
        self._loaded: dict[str, object] = {}
        self._lock = threading.Lock()

    def describe(self) -> list[dict]:
        """Entries of the pane menus: name, label, family, kind (plain, ensemble, attention), stages, available.

        Where it is not available, `reason` says why; `ablation` is whether it is there to be held against a preset.
        """
        plain = [
            {
                "name": name,
                "label": label,
                "family": label,
                "kind": "plain",
                "stages": 1,
                "heads": 0,
                "available": True,
                "reason": "",
                "ablation": False,
            }
            for name, label in PLAIN.items()
        ]
        here = checkpoints.available()
        presets = [name for name in PRESETS if name in here or name in OFFERED]
        return plain + [self._describe(name, name in here) for name in presets + [n for n in here if n not in PRESETS]]

    def get(self, name: str):
        """The model called `name`; UserError if it is unknown or has no weights."""
        with self._lock:
            if name not in self._loaded:
                if name not in PLAIN and name not in checkpoints.available():
                    raise UserError(f'The method "{name}" has no trained weights here: choose another one.')
                model = clit.load(name)
                self._loaded[name] = model if name in PLAIN else model.to(self._device)
            return self._loaded[name]

    @staticmethod
    def _describe(name: str, available: bool) -> dict:
        reason = (
            "" if available else f"No trained weights here yet: make them with python -m clit train {name} --data DIR"
        )
        try:
            config = PRESETS.get(name) or ModelConfig.from_dict(
                json.loads((checkpoints.folder() / name / checkpoints.CONFIG).read_text())
            )
            family, kind = _family(config)
            stages, heads = getattr(config.decoder, "stages", 1), getattr(config.decoder, "heads", 0)
        except (OSError, ValueError) as error:
            reason = f"This checkpoint cannot be read: {error}"
            family, kind, stages, heads, available = name, "plain", 1, 0, False
        label = f"{family} {name.partition('-')[2].replace('-', ' ')}" if name in {**PRESETS, **ABLATIONS} else name
        return {
            "name": name, "label": label, "family": family, "kind": kind, "stages": stages, "heads": heads,
            "available": available, "reason": reason, "ablation": name in ABLATIONS,
        }  # fmt: skip


def _family(config: ModelConfig) -> tuple[str, str]:
    """The method's name as the literature has it, and what its pixels look at."""
    match config.decoder:
        case LIIFConfig():
            return "LIIF", "ensemble"
        case LTEConfig():
            return "LTE", "ensemble"
        case CLITConfig(stages=1):
            return "LIT", "attention"
        case _:
            return "CLIT", "attention"

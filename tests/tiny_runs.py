"""Small presets, settings and photographs: enough to train for some steps in a test. All on the CPU, to be exact."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from clit.config import PRESETS, CLITConfig, EDSRConfig, LIIFConfig, ModelConfig
from clit.training.processes import start_accelerator
from clit.training.run import Run
from clit.training.settings import Settings

os.environ["ACCELERATE_USE_CPU"] = "true"

ENCODER = EDSRConfig(width=8, blocks=1)
TINY = {
    "tiny-liif": ModelConfig(ENCODER, LIIFConfig(hidden=(8,))),
    "tiny-clit": ModelConfig(ENCODER, CLITConfig(width=8, heads=2, radius=1, hidden=(8,), stages=3)),
}
SETTINGS = Settings(steps=6, batch=2, patch=6, latents=5, test_every=3, save_every=0.0)


def add_presets(monkeypatch, presets: dict[str, ModelConfig] = TINY) -> None:
    """Let presets be trained by their names while a test runs."""
    for name, config in presets.items():
        monkeypatch.setitem(PRESETS, name, config)


def make_run(presets: list[str], settings: Settings = SETTINGS, **options) -> Run:
    """A new run in this process."""
    return Run(presets, settings, start_accelerator(), **options)


def save_photographs(folder: Path) -> Path:
    """Write four soft pictures of 250 x 300 pixels, 0.png to 3.png; return the folder."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for i in range(4):
        soft = random.integers(0, 255, (25, 30, 3), dtype=np.uint8)
        Image.fromarray(soft).resize((300, 250), Image.BICUBIC).save(folder / f"{i}.png")
    return folder

"""Tiny checkpoints of LIIF, LIT and CLIT with random weights, and a picture: enough to test what surrounds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from clit.config import CLITConfig, EDSRConfig, LIIFConfig, ModelConfig
from clit.networks import checkpoints
from clit.networks.model import SRModel

_ENCODER = EDSRConfig(width=12, blocks=1)
_NARROW = {"width": 16, "heads": 2, "hidden": (16,)}
CONFIGS = {
    "liif-light": ModelConfig(_ENCODER, LIIFConfig(hidden=(16, 16))),
    "lit-light": ModelConfig(_ENCODER, CLITConfig(stages=1, **_NARROW)),
    "clit-light": ModelConfig(_ENCODER, CLITConfig(stages=3, **_NARROW)),
}


def save_checkpoints(folder: Path) -> None:
    """Write one checkpoint for each of `CONFIGS`; they share one encoder, as the light presets do."""
    torch.manual_seed(7)
    encoder = None
    for name, config in CONFIGS.items():
        model = SRModel(config)
        encoder = encoder or model.encoder.state_dict()
        model.encoder.load_state_dict(encoder)
        with torch.no_grad():
            for parameter in model.decoder.parameters():
                parameter.mul_(1.7)  # random weights give nearly flat pictures otherwise
        checkpoints.save(model, folder / name)


def save_photograph(path: Path, height: int = 72, width: int = 96) -> None:
    """Write a picture with edges, a gradient and texture, as JPEG or whatever the name ends in."""
    y, x = np.mgrid[0:height, 0:width]
    disc = (np.hypot(y - height / 2, x - width / 3) < height / 4).astype(float)
    stripes = 0.5 + 0.5 * np.sin(0.03 * x * x / 10 + 0.2 * y)
    noise = np.random.default_rng(3).uniform(-0.06, 0.06, (height, width))
    rgb = np.stack([0.2 + 0.6 * disc, 0.15 + 0.6 * stripes, 0.8 * y / height], -1) + noise[..., None]
    Image.fromarray(np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)).save(path, quality=92)

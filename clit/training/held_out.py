"""Held-out photographs: never trained on. Half of them choose checkpoints, the others are for reporting."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import torch

from clit.networks.model import SRModel
from clit.pictures.metrics import psnr
from clit.pictures.resize import resize_pil
from clit.training.photographs import read_photograph


def split_held_out(paths: Iterable[Path], names: Collection[str]) -> tuple[list[Path], list[Path]]:
    """Split the files with held-out names: those to score during training, and those to report at the end.

    Every second one, in sorted order. What chose a checkpoint during training must not report how good it is.
    """
    found = sorted(path for path in paths if path.name in names)
    return found[::2], found[1::2]


class HeldOut:
    """The middles of some held-out photographs, as LR and HR: a quick score while training goes on."""

    scales = (2, 4)

    def __init__(self, paths: list[Path], count: int = 8, side: int = 192):
        """Read `count` photographs at most, spread evenly; those smaller than `side` pixels are left out."""
        every = max(1, len(paths) // count)
        self.pairs = []
        for path in paths[::every][:count]:
            pixels = read_photograph(path)
            top, left = ((n - side) // 2 for n in pixels.shape[:2])
            if min(top, left) < 0:
                continue
            hr = pixels[top : top + side, left : left + side]
            for scale in self.scales:
                self.pairs.append((scale, resize_pil(hr, (side // scale, side // scale)), hr))

    @torch.no_grad()
    def score(self, model: SRModel) -> dict[int, float]:
        """Return the mean luma PSNR in dB by scale; empty where there are no photographs."""
        found: dict[int, list[float]] = {scale: [] for scale in self.scales}
        for scale, lr, hr in self.pairs:
            features = model.encode(torch.from_numpy(lr).permute(2, 0, 1)[None].float() / 255)
            view = model.view(lr.shape[:2], hr.shape[:2])
            rgb = model.render(model.prepare(features, view))[0].clamp(0, 1).numpy()
            found[scale].append(psnr(rgb, hr.astype(np.float32) / 255, rule="benchmark", scale=scale))
        return {scale: float(np.mean(values)) for scale, values in found.items() if values}

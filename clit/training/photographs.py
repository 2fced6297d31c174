"""Photographs for training: decoded once into memory, then cut into random crops and reduced by antialiased bicubic."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clit.errors import UserError
from clit.pictures.files import as_array, to_bytes
from clit.pictures.readers.formats import READ_ENDINGS
from clit.pictures.resize import resize_pil

JPEG_LIMIT = 4_000_000
"""JPEG photographs of more pixels than this are halved, which removes their compression marks."""
COARSE = 10.0
"""JPEG photographs whose mean luma quantisation step is at least this (about quality 90) are halved too."""
SHORT_SIDE = 480
"""But a coarsely compressed one is halved only if its short side keeps this many pixels."""


def choose_photographs(folders: list[Path], held_out: Collection[str]) -> list[Path]:
    """Return the photographs to train on: all but those of held-out names. UserError if none is left."""
    found = [path for path in find_photographs(folders) if path.name not in held_out]
    if not found:
        raise UserError("All photographs are held out: give folders with others.")
    return found


def find_photographs(folders: list[Path]) -> list[Path]:
    """Return all picture files in and below the folders, sorted; UserError for a folder that is missing or has none."""
    found: list[Path] = []
    for folder in folders:
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder: give the folder that holds the photographs.")
        here = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READ_ENDINGS)
        if not here:
            raise UserError(f"{folder} holds no pictures that can be read: give the folder that holds the photographs.")
        found += here
    return found


def read_pixels(path: Path) -> np.ndarray:
    """Read a picture file as (h, w, 3) uint8 RGB."""
    return to_bytes(as_array(path))


def read_photograph(path: Path) -> np.ndarray:
    """Read a photograph as (h, w, 3) uint8 RGB; halve a JPEG that is large, or coarsely compressed and not small."""
    pixels = read_pixels(path)
    height, width = pixels.shape[:2]
    with Image.open(path) as file:
        tables = getattr(file, "quantization", None)  # JPEG alone has them
    coarse = tables and np.mean(tables[0]) >= COARSE and min(height, width) >= 2 * SHORT_SIDE
    if tables and (coarse or height * width > JPEG_LIMIT):
        pixels = resize_pil(pixels, (height // 2, width // 2))
    return pixels


@dataclass(frozen=True)
class Batch:
    """Crops: LR (B, 3, p, p) and HR (B, 3, s, s), float32 RGB in [0, 1]."""

    lr: Tensor
    hr: Tensor


class Photographs:
    """Photographs in memory, as uint8, to cut batches from."""

    def __init__(self, paths: list[Path]):
        self.pixels: list[Tensor] = []
        for path in paths:
            self.pixels.append(torch.from_numpy(np.ascontiguousarray(read_photograph(path))))
        self.sides = np.array([min(p.shape[:2]) for p in self.pixels])
        self.areas = np.array([p.shape[0] * p.shape[1] for p in self.pixels], dtype=np.float64)

    def batch(self, random: np.random.Generator, count: int, patch: int, scale: float, device=None) -> Batch:
        """Cut `count` random crops, flipped and transposed at random, and reduce them on `device`.

        A crop has round(patch * scale) pixels a side, its LR patch x patch. Photographs are drawn among those large
        enough, with their areas as probabilities. Where none is large enough, the patch becomes smaller.
        """
        patch = min(patch, int(self.sides.max() / scale))
        side = round(patch * scale)
        enough = self.sides >= side
        chosen = random.choice(len(self.pixels), count, p=enough * self.areas / (enough * self.areas).sum())
        crops = []
        for pixels in (self.pixels[i] for i in chosen):
            top = random.integers(pixels.shape[0] - side + 1)
            left = random.integers(pixels.shape[1] - side + 1)
            crop = pixels[top : top + side, left : left + side]
            crop = crop.flip(0) if random.random() < 0.5 else crop
            crop = crop.flip(1) if random.random() < 0.5 else crop
            crops.append(crop.transpose(0, 1) if random.random() < 0.5 else crop)
        hr = torch.stack(crops).to(device).permute(0, 3, 1, 2).float() / 255
        lr = resize_pil(hr, (patch, patch)).clamp(0, 1)
        return Batch((lr * 255).round() / 255, hr)  # LR pictures are 8-bit files

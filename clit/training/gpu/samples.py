"""What a step on a GPU learns from: crops, each with a scale of its own, in arrays of fixed shapes.

Processes beside the GPU cut them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from clit.errors import UserError
from clit.geometry import nearest_latent, pixel_centres, to_pixels
from clit.scale_chain import stage_grids
from clit.training.curriculum import draw_factors, merge_factors

# Legend for shapes: B crops, p pixels a side of a small crop, L output pixels along each axis of a crop.


@dataclass(frozen=True)
class Kind:
    """A kind of sample: how its scales are drawn, and its shapes."""

    factors: int
    """Number of stage factors whose product is a crop's scale."""
    stages: int
    """Number of stages that share the scale."""
    crops: int
    patch: int
    """Side of a small crop in pixels."""
    pixels: int
    """Output pixels along each axis of a crop: one for each latent of a part of the last stage's grid."""
    equal: bool = False
    """Whether a crop's factors are made equal."""


# About 33 thousand output pixels each. Large scales need smaller crops, so that photographs are large enough.
_SHAPES = {1: (16, 48, 48), 2: (32, 32, 32), 3: (32, 20, 32)}


def make_kind(factors: int, stages: int, equal: bool = False) -> Kind:
    """Return the kind of sample whose scale is a product of `factors` stage factors, shared by at most `stages`."""
    return Kind(factors, min(factors, stages), *_SHAPES[factors], equal and factors > 1)


class Samples(Dataset):
    """The samples of every step of a run, by the step's number: the same whichever process draws them."""

    def __init__(self, photographs: list[np.ndarray], kinds: list[list[Kind]], seed: int):
        """photographs: (h, w, 3) uint8. kinds: those of a step; step t takes kinds[t % len(kinds)]."""
        self.photographs, self.kinds, self.seed = photographs, kinds, seed
        self.sides = np.array([min(p.shape[:2]) for p in photographs])
        smallest = 2 * max(kind.patch for step in kinds for kind in step)
        if self.sides.max() < smallest:
            raise UserError(f"No photograph has {smallest} pixels a side: give folders with larger ones.")
        self.areas = np.array([p.shape[0] * p.shape[1] for p in photographs], dtype=np.float64)

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, step: int) -> dict[Kind, dict[str, Tensor]]:
        random = np.random.default_rng([self.seed, step])
        return {kind: self.draw(random, kind) for kind in self.kinds[step % len(self.kinds)]}

    def draw(self, random: np.random.Generator, kind: Kind) -> dict[str, Tensor]:
        """Draw a sample. Returns its arrays by name.

        lr: (B, p, p, 3) uint8. target: (B, L, L, 3) uint8. pixels: (2, B, L) int32, the output rows and columns of
        each crop. sizes: (1 + stages, B) int32, the side of each crop's output and of its stages' grids.
        """
        found: dict[str, list] = {"lr": [], "target": [], "pixels": [], "sizes": []}
        for _ in range(kind.crops):
            factors = self._draw_factors(random, kind)
            hr = self._cut(random, round(kind.patch * math.prod(factors)))
            grids = [rows for rows, _ in stage_grids((kind.patch, kind.patch), [(f, f) for f in factors])]
            rows, columns = (draw_pixels(random, len(hr), grids[-1], kind.pixels) for _ in range(2))
            found["lr"].append(np.asarray(Image.fromarray(hr).resize((kind.patch,) * 2, Image.BICUBIC)))
            found["target"].append(hr[rows[:, None], columns])
            found["pixels"].append(np.stack([rows, columns]))
            found["sizes"].append([len(hr), *grids])
        arrays = {"lr": np.stack(found["lr"]), "target": np.stack(found["target"])}
        arrays["pixels"] = np.stack(found["pixels"], 1).astype(np.int32)
        arrays["sizes"] = np.array(found["sizes"], dtype=np.int32).T.copy()
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _draw_factors(self, random: np.random.Generator, kind: Kind) -> list[float]:
        """Draw stage factors until a photograph is large enough for a crop."""
        while True:
            factors = draw_factors(random, kind.factors)
            if kind.equal:
                factors = [math.prod(factors) ** (1 / kind.factors)] * kind.factors
            if round(kind.patch * math.prod(factors)) <= self.sides.max():
                return merge_factors(factors, kind.stages)

    def _cut(self, random: np.random.Generator, side: int) -> np.ndarray:
        """Cut a random crop of side x side pixels, flipped and transposed at random."""
        enough = self.areas * (self.sides >= side)
        photograph = self.photographs[random.choice(len(enough), p=enough / enough.sum())]
        top, left = (random.integers(n - side + 1) for n in photograph.shape[:2])
        crop = photograph[top : top + side, left : left + side]
        crop = crop[::-1] if random.random() < 0.5 else crop
        crop = crop[:, ::-1] if random.random() < 0.5 else crop
        return np.ascontiguousarray(crop.transpose(1, 0, 2) if random.random() < 0.5 else crop)


def draw_pixels(random: np.random.Generator, size: int, grid: int, count: int) -> np.ndarray:
    """Draw `count` pixels of an axis of `size`, ascending: one of each latent of a part of a grid.

    Where the grid has fewer latents than that, some give several.
    """
    nearest = nearest_latent(to_pixels(pixel_centres(size), grid), grid).numpy()
    extent = min(grid, count)
    latents = random.integers(grid - extent + 1) + np.arange(count) * extent // count
    first, stop = (np.searchsorted(nearest, latents, side) for side in ("left", "right"))
    pixels = first + (random.random(count) * np.maximum(stop - first, 1)).astype(np.int64)
    return np.sort(np.minimum(pixels, size - 1))

"""The golden files: reading them, and making the published weights they were computed with."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

FOLDER = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))


@dataclass(frozen=True)
class Golden:
    """One golden file (tests/golden/README.md)."""

    name: str
    model: dict
    keys: dict[str, tuple[list[int], str]]
    arrays: dict[str, np.ndarray]

    @property
    def image(self) -> torch.Tensor:
        """(1, 3, h, w) in [0, 1]."""
        return torch.from_numpy(self.arrays["image"])[None]

    @property
    def size(self) -> tuple[int, int]:
        return tuple(self.arrays["size"].tolist())

    def positions(self, entry: str) -> torch.Tensor:
        """Flat output indices -> (Q, 2) rows and columns."""
        flat = torch.from_numpy(self.arrays[entry])
        return torch.stack([flat // self.size[1], flat % self.size[1]], -1)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The synthetic weights under their published names."""
        salt = str(self.arrays["salt"])
        return {
            key: torch.from_numpy(
                self.arrays[f"buffer/{key}"] if f"buffer/{key}" in self.arrays else _weight(salt + key, shape)
            )
            for key, (shape, _) in self.keys.items()
        }

    def content(self) -> dict:
        """What a published file holds."""
        return {"model": {**self.model, "sd": self.state_dict()}, "epoch": 1}


def read(name: str) -> Golden:
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as data:
        arrays = {key: data[key] for key in data.files}
    return Golden(name, json.loads(str(arrays.pop("model"))), json.loads(str(arrays.pop("keys"))), arrays)


def _weight(seed: str, shape: list[int]) -> np.ndarray:
    a = np.random.RandomState(zlib.crc32(seed.encode())).standard_normal(shape)
    if len(shape) >= 2:
        a = a / np.sqrt(np.prod(shape[1:]))
    elif seed.endswith("weight"):
        a = 1 + 0.1 * a
    else:
        a = 0.1 * a
    return a.astype(np.float32)

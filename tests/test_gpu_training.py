"""Training on a GPU: its colours are those of the plain definition, its samples those of the curriculum."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clit.config import recipe
from clit.geometry import Lattice, View
from clit.networks.model import SRModel
from clit.training.gpu.decoders import predict
from clit.training.gpu.samples import Kind, Samples


def _photographs(count: int = 3, side: int = 260) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (side, side + 9 * n, 3), dtype=np.uint8) for n in range(count)]


def _factors(size: int, grids: list[int]) -> tuple[tuple[float, float], ...]:
    """Return stage factors that make these grids, and an output of this size."""
    sides = [*grids, size]
    return tuple((b / a, b / a) for a, b in zip(sides, sides[1:], strict=False))


@pytest.mark.parametrize("kind", [Kind(1, 1, 3, 12, 12), Kind(2, 2, 3, 9, 14), Kind(3, 3, 2, 6, 16), Kind(2, 1, 2, 9, 16)])
@pytest.mark.parametrize("name", ["lit-light", "clit-light", "lit-light-plain", "liif-light", "lte-light"])
def test_colours_are_those_of_the_plain_definition(name: str, kind: Kind) -> None:
    torch.manual_seed(3)
    model = SRModel(recipe(name).config).eval()
    if model.stage_count < kind.stages:
        pytest.skip("a model of one stage never meets a sample of several")
    sample = Samples(_photographs(), [[kind]], seed=5)[0][kind]
    lr = sample["lr"].permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        features = model.encode(lr)
        found = predict(model.decoder, features.map, sample)
        for b in range(kind.crops):
            size, *grids = sample["sizes"][:, b].tolist()
            rows, columns = sample["pixels"][:, b].long()
            view = View((kind.patch,) * 2, (size,) * 2, Lattice(rows.unique(), columns.unique()), _factors(size, grids))
            assert [g for g, _ in view.grids()] == grids
            one = model.encode(lr[b : b + 1])
            field = model.decoder.prepare(one, view)
            plain = model.decoder.query(field, torch.cartesian_prod(rows, columns))
            assert (found[b].flatten(0, 1) - plain[0]).abs().max() < 2e-5

"""CLIT (Chen et al., CVPR 2023, section 3.4): local attention in a cascade. LIT is CLIT with one stage.

Stage 1 reads the features, every later stage the same features resampled to its grid; all answer the same
output coordinates: R_j = residual_j + 0.75 R_(j-1), output = R_n + the bilinear upsampled input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clit.config import CLITConfig
from clit.geometry import Lattice, Region, View
from clit.networks.decoders.base import Attended, Decoder, Features, Maps, Skip
from clit.networks.decoders.lit import LocalAttention, StageField, StagePlace
from clit.networks.layers import PositionalBias, Resampling, conv_valid, outside_zero

CARRY = 0.75
"""How much of the previous stage's prediction a stage keeps."""


@dataclass(frozen=True)
class CascadeField:
    """What depends on the view: one field per stage in use, and the skip."""

    stages: tuple[StageField, ...]
    skip: Skip
    pixels: Lattice


class CLIT(Decoder):
    """The cascade, with `config.stages` stages; fewer run where the scale needs fewer."""

    kind = "attention"

    def __init__(self, config: CLITConfig, channels: int):
        super().__init__()
        self.config = config
        self.stage_count, self.heads, self.radius = config.stages, config.heads, config.radius
        self.embed = nn.Conv2d(channels, config.width, 3, padding=1)
        self.bias = PositionalBias(config.heads, config.octaves)
        self.stages = nn.ModuleList(LocalAttention(config) for _ in range(config.stages))

    def work(self, queries_per_latent: float) -> float:
        """Multiply-adds per output pixel of one stage (they all cost the same at equal density)."""
        return self.stages[0].work(queries_per_latent)

    def prepare(self, features: Features, view: View) -> CascadeField:
        view = view.to(features.map.device)
        fields = []
        for j, (stage, place) in enumerate(zip(self.stages, self._places(view), strict=False)):
            project = self._projected_resampled if j else self._projected
            fields.append(stage.prepare(project(features, view, stage, place), place, view, self.bias))
        return CascadeField(tuple(fields), Skip.prepare(features.image, view), view.pixels)

    def reads(self, view: View) -> Region:
        first, *later = self._places(view)
        parts = [first.region.grown(1), *(_counted(*_resamplings(view, place)) for place in later)]
        region = Region(
            min(p.top for p in parts), min(p.left for p in parts),
            max(p.bottom for p in parts), max(p.right for p in parts),
        ).grown(1)  # fmt: skip
        return region if view.wrap else region.inside(view.lr)

    def multiply_adds(self, view: View) -> float:
        return view.count * sum(self.work(density) for density in _densities(view))

    def memory(self, view: View) -> int:
        # The maps of every stage, and those of one again while they are made.
        areas = [place.region.grown(1).area for place in self._places(view)]
        channels = sum(conv.out_channels for conv in self.stages[0].convs())
        maps = channels * (sum(areas) + max(areas))
        return 4 * (maps + torch.get_num_threads() * self.stages[0].block_floats())

    def _places(self, view: View) -> list[StagePlace]:
        return [StagePlace.prepare(view, grid, self.radius) for grid in view.grids()]

    def query(self, field: CascadeField, positions: Tensor) -> Tensor:
        row, column = field.pixels.find(positions)
        residual = 0
        for stage, stage_field in self._in_use(field):
            residual = stage.query(stage_field, row, column) + CARRY * residual
        return residual + field.skip.query(row, column)

    def attend(self, field: CascadeField, positions: Tensor) -> list[Attended]:
        row, column = field.pixels.find(positions)
        return [stage.attend(stage_field, row, column) for stage, stage_field in self._in_use(field)]

    def influence(self, field: CascadeField, positions: Tensor, attended: list[Attended]) -> list[Tensor]:
        row, column = field.pixels.find(positions)
        changes = []
        for j, ((stage, stage_field), found) in enumerate(zip(self._in_use(field), attended, strict=True)):
            carried = CARRY ** (len(field.stages) - 1 - j)
            changes.append(carried * stage.influence(stage_field, row, column, found.weights))
        return changes

    def render(self, field: CascadeField, cancel: Callable[[], bool] | None = None) -> Tensor:
        residual = 0
        for stage, stage_field in self._in_use(field):
            residual = stage.render(stage_field, cancel) + CARRY * residual
        return residual + field.skip.render()

    def survey(self, field: CascadeField, cancel: Callable[[], bool] | None = None) -> Tensor:
        stage, stage_field = self._in_use(field)[-1]
        return stage.survey(stage_field, cancel)

    def _in_use(self, field: CascadeField) -> list[tuple[LocalAttention, StageField]]:
        return list(zip(self.stages, field.stages, strict=False))

    def _embedded(self, features: Features, view: View, region: Region) -> Tensor:
        """z (B, h, w, D) over a region of the LR grid, zero outside the image."""
        z = conv_valid(self.embed, features.crop(region.grown(1))).permute(0, 2, 3, 1)
        return z if view.wrap else outside_zero(z, region, features.size)

    def _projected(self, features: Features, view: View, stage: LocalAttention, place: StagePlace) -> Maps:
        """The maps of the first stage over its region of the LR grid. They do not depend on the scale."""

        def make() -> Maps:
            return stage.project(self._embedded(features, view, place.region.grown(1)))

        return make() if features.remember is None else features.remember(self, place.region, make)

    def _projected_resampled(self, features: Features, view: View, stage: LocalAttention, place: StagePlace) -> Maps:
        """The maps of a later stage over its region of its own grid, from z resampled to that."""
        rows, columns = _resamplings(view, place)
        return stage.project_resampled(self._embedded(features, view, _counted(rows, columns)), rows, columns)


def _densities(view: View) -> list[float]:
    """Return the output pixels per latent of each stage in use."""
    return [view.size[0] / h * view.size[1] / w for h, w in view.grids()]


def _resamplings(view: View, place: StagePlace) -> tuple[Resampling, Resampling]:
    """How z is resampled to a stage's region, and one more all around for the convolutions."""
    rows, columns = (
        Resampling.prepare(n, points, *ends, view.pixels.rows.device, view.wrap)
        for n, points, ends in zip(view.lr, place.grid, place.region.grown(1).ends(), strict=True)
    )
    return rows, columns


def _counted(rows: Resampling, columns: Resampling) -> Region:
    """The pixels that a resampling reads."""
    (down, across) = (r.matrix.shape[1] for r in (rows, columns))
    return Region(rows.first, columns.first, rows.first + down, columns.first + across)

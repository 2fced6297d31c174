"""CLIT (Chen et al., CVPR 2023, section 3.4): local attention in a cascade. LIT is CLIT with one stage.

Stage 1 reads the features, every later stage the same features resampled to its grid; all answer the same
output coordinates: R_j = residual_j + 0.75 R_(j-1), output = R_n + the bilinear upsampled input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from clit.config import CLITConfig
from clit.geometry import Lattice, Window, scale_chain, stage_grids
from clit.networks.decoders.ensemble import Features, Skip
from clit.networks.decoders.lit import Attended, LocalAttention, StageAxis, StageField, stage_region
from clit.networks.layers import PositionalBias, Region, Resampling, conv_valid, outside_zero

CARRY = 0.75
"""How much of the previous stage's prediction a stage keeps."""


@dataclass(frozen=True)
class CascadeField:
    """What depends on the view: one field per stage in use, and the skip."""

    stages: tuple[StageField, ...]
    skip: Skip
    pixels: Lattice


class StageView(NamedTuple):
    """Where one stage is asked: its grid (h, w), the axes of the lattice on it, the latents they touch."""

    grid: tuple[int, int]
    rows: StageAxis
    columns: StageAxis
    region: Region


class CLIT(nn.Module):
    """The cascade, with `config.stages` stages; fewer run where the scale needs fewer."""

    def __init__(self, config: CLITConfig, channels: int):
        super().__init__()
        self.config = config
        self.embed = nn.Conv2d(channels, config.width, 3, padding=1)
        self.bias = PositionalBias(config.heads, config.octaves)
        self.stages = nn.ModuleList(LocalAttention(config) for _ in range(config.stages))

    def work(self, queries_per_latent: float) -> float:
        """Multiply-adds per output pixel of one stage (they all cost the same at equal density)."""
        return self.stages[0].work(queries_per_latent)

    def prepare(
        self,
        features: Features,
        size: tuple[int, int],
        window: Window | Lattice,
        chain: str | Sequence[float] = "published",
        stages: int | None = None,
    ) -> CascadeField:
        """Everything that depends on the output size (H, W) and the window.

        chain: how the scale is split (see `geometry.scale_chain`); stages: stop after this many.
        """
        pixels = window.lattice(features.map.device)
        fields = []
        for j, view in enumerate(self._views(features.size, size, pixels, chain, stages)):
            stage, (grid, rows, columns, region) = self.stages[j], view
            maps = (
                self._projected_resampled(features, stage, region, grid)
                if j
                else (self._projected(features, stage, region))
            )
            fields.append(stage.prepare(maps, region, grid, rows, columns, size, self.bias))
        return CascadeField(tuple(fields), Skip.prepare(features.image, size, pixels), pixels)

    def reads(
        self,
        lr: tuple[int, int],
        size: tuple[int, int],
        window: Window | Lattice,
        chain: str | Sequence[float] = "published",
        stages: int | None = None,
    ) -> Region:
        """The part of an image of `lr` (h, w) whose features `prepare` reads."""
        views = self._views(lr, size, window.lattice(), chain, stages)
        parts = [views[0].region.grown(1)]
        for view in views[1:]:
            rows, columns = _resamplings(lr, view.grid, view.region, None)
            parts.append(_counted(rows, columns))
        return Region(
            min(p.top for p in parts), min(p.left for p in parts),
            max(p.bottom for p in parts), max(p.right for p in parts),
        ).grown(1).inside(lr)  # fmt: skip

    def multiply_adds(
        self,
        lr: tuple[int, int],
        size: tuple[int, int],
        pixels: int,
        chain: str | Sequence[float] = "published",
        stages: int | None = None,
    ) -> float:
        """Multiply-adds of so many output pixels in the cell-grouped order, all stages in use."""
        return pixels * sum(map(self.work, self.stage_densities(lr, size, chain, stages)))

    def stage_densities(
        self,
        lr: tuple[int, int],
        size: tuple[int, int],
        chain: str | Sequence[float] = "published",
        stages: int | None = None,
    ) -> list[float]:
        """Output pixels per latent of each stage in use."""
        grids = stage_grids(lr, scale_chain(size, lr, len(self.stages), chain))[:stages]
        return [size[0] / h * size[1] / w for h, w in grids]

    def memory(
        self,
        lr: tuple[int, int],
        size: tuple[int, int],
        window: Window | Lattice,
        chain: str | Sequence[float] = "published",
        stages: int | None = None,
    ) -> int:
        """Bytes that `prepare` and `render` take for a window, about: every stage's maps, and those of one again."""
        areas = [view.region.grown(1).area for view in self._views(lr, size, window.lattice(), chain, stages)]
        channels = sum(conv.out_channels for conv in self.stages[0].convs())
        maps = channels * (sum(areas) + max(areas))
        return 4 * (maps + torch.get_num_threads() * self.stages[0].block_floats())

    def _views(
        self,
        lr: tuple[int, int],
        size: tuple[int, int],
        pixels: Lattice,
        chain: str | Sequence[float],
        stages: int | None,
    ) -> list[StageView]:
        grids = stage_grids(lr, scale_chain(size, lr, len(self.stages), chain))[:stages]
        r, views = self.config.radius, []
        for grid in grids:
            rows = StageAxis.prepare(size[0], grid[0], pixels.rows, r)
            columns = StageAxis.prepare(size[1], grid[1], pixels.columns, r)
            views.append(StageView(grid, rows, columns, stage_region(rows, columns, r)))
        return views

    def query(self, field: CascadeField, positions: Tensor) -> Tensor:
        """Colours (B, Q, 3) at whole-output pixels `positions` (Q, 2) inside the window: the plain definition."""
        row, column = field.pixels.find(positions)
        residual = 0
        for stage, stage_field in zip(self.stages, field.stages, strict=False):
            residual = stage.query(stage_field, row, column) + CARRY * residual
        return residual + field.skip.query(row, column)

    def attend(self, field: CascadeField, positions: Tensor) -> list[Attended]:
        """Per stage in use, the attention that `query` decodes."""
        row, column = field.pixels.find(positions)
        return [s.attend(f, row, column) for s, f in zip(self.stages, field.stages, strict=False)]

    def render(self, field: CascadeField, cancel: Callable[[], bool] | None = None) -> Tensor:
        """Colours (B, R, S, 3) of the whole window, in the cell-grouped order; Cancelled once cancel() is true."""
        residual = 0
        for stage, stage_field in zip(self.stages, field.stages, strict=False):
            residual = stage.render(stage_field, cancel) + CARRY * residual
        return residual + field.skip.render()

    def survey(self, field: CascadeField, cancel: Callable[[], bool] | None = None) -> Tensor:
        """Of the last stage in use, each head's entropy and mean offset, (B, R, S, M, 3): see LocalAttention.survey."""
        stage, stage_field = list(zip(self.stages, field.stages, strict=False))[-1]
        return stage.survey(stage_field, cancel)

    def _embedded(self, features: Features, region: Region) -> Tensor:
        """z (B, h, w, D) over a region of the LR grid, zero outside the image."""
        z = conv_valid(self.embed, features.crop(region.grown(1))).permute(0, 2, 3, 1)
        return outside_zero(z, region, features.size)

    def _projected(self, features: Features, stage: LocalAttention, region: Region) -> tuple[Tensor, ...]:
        """The maps of the first stage over a region of the LR grid. They do not depend on the scale."""

        def make() -> tuple[Tensor, ...]:
            return stage.project(self._embedded(features, region.grown(1)))

        return make() if features.remember is None else features.remember(self, region, make)

    def _projected_resampled(
        self, features: Features, stage: LocalAttention, region: Region, grid: tuple[int, int]
    ) -> tuple[Tensor, ...]:
        """The maps of a later stage over a region of its grid, from z resampled to that."""
        rows, columns = _resamplings(features.size, grid, region, features.map.device)
        return stage.project_resampled(self._embedded(features, _counted(rows, columns)), rows, columns)


def _resamplings(
    lr: tuple[int, int], grid: tuple[int, int], region: Region, device: torch.device | None
) -> tuple[Resampling, Resampling]:
    """How z is resampled to a region of a stage's grid, and one more all around for the convolutions."""
    rows, columns = (
        Resampling.prepare(n, points, *ends, device)
        for n, points, ends in zip(lr, grid, region.grown(1).ends(), strict=True)
    )
    return rows, columns


def _counted(rows: Resampling, columns: Resampling) -> Region:
    """The pixels that a resampling reads."""
    (down, across) = (r.matrix.shape[1] for r in (rows, columns))
    return Region(rows.first, columns.first, rows.first + down, columns.first + across)

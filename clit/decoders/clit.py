"""CLIT (Chen et al., CVPR 2023, section 3.4): local attention in a cascade. LIT is CLIT with one stage.

Stage 1 reads the features, every later stage the same features resampled to its grid; all answer the same
output coordinates: R_j = residual_j + 0.75 R_(j-1), output = R_n + the bilinear upsampled input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from clit.config import CLITConfig
from clit.decoders.ensemble import Features, Skip
from clit.decoders.lit import Attended, LocalAttention, StageAxis, StageField, stage_region
from clit.geometry import Lattice, Window, scale_chain, stage_grids
from clit.layers import PositionalBias, Region, Resampling, conv_valid, crop, outside_zero

CARRY = 0.75
"""How much of the previous stage's prediction a stage keeps."""


@dataclass(frozen=True)
class CascadeField:
    """What depends on the view: one field per stage in use, and the skip."""

    stages: tuple[StageField, ...]
    skip: Skip
    pixels: Lattice


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
        lr = tuple(features.map.shape[-2:])
        grids = stage_grids(lr, scale_chain(size, lr, len(self.stages), chain))[:stages]
        r = self.config.radius
        pixels = window.lattice(features.map.device) if isinstance(window, Window) else window
        fields = []
        for j, (stage, grid) in enumerate(zip(self.stages, grids, strict=False)):
            rows = StageAxis.prepare(size[0], grid[0], pixels.rows, r)
            columns = StageAxis.prepare(size[1], grid[1], pixels.columns, r)
            region = stage_region(rows, columns, r)
            maps = (
                self._projected(features.map, stage, region)
                if not j
                else (self._projected_resampled(features.map, stage, region, grid))
            )
            fields.append(stage.prepare(maps, region, grid, rows, columns, size, self.bias))
        return CascadeField(tuple(fields), Skip.prepare(features.image, size, pixels), pixels)

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

    def render(self, field: CascadeField) -> Tensor:
        """Colours (B, R, S, 3) of the whole window, in the cell-grouped order."""
        residual = 0
        for stage, stage_field in zip(self.stages, field.stages, strict=False):
            residual = stage.render(stage_field) + CARRY * residual
        return residual + field.skip.render()

    def _embedded(self, features: Tensor, region: Region) -> Tensor:
        """z (B, D, ...) over a region of the LR grid, zero outside the image."""
        z = conv_valid(self.embed, crop(features, region.grown(1))).permute(0, 2, 3, 1)
        return outside_zero(z, region, features.shape[-2:]).permute(0, 3, 1, 2)

    def _projected(self, features: Tensor, stage: LocalAttention, region: Region) -> tuple[Tensor, ...]:
        """q, k, v of the first stage over a region of the LR grid."""
        return stage.project(self._embedded(features, region.grown(1)))

    def _projected_resampled(
        self, features: Tensor, stage: LocalAttention, region: Region, grid: tuple[int, int]
    ) -> tuple[Tensor, ...]:
        """q, k, v of a later stage over a region of its grid, from z resampled to that."""
        lr = features.shape[-2:]
        rows, columns = (
            Resampling.prepare(n, points, *ends, features.device)
            for n, points, ends in zip(lr, grid, region.grown(1).ends(), strict=True)
        )
        near = Region(
            rows.first, columns.first, rows.first + rows.matrix.shape[1], columns.first + columns.matrix.shape[1]
        )
        return stage.project_resampled(self._embedded(features, near).permute(0, 2, 3, 1), rows, columns)

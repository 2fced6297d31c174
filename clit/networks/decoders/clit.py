"""CLIT (Chen et al., CVPR 2023, section 3.4): local attention in a cascade. LIT is CLIT with one stage.

Stage 1 reads the features on the LR grid, every later stage the same features resampled to its grid. All predict the
same output pixels: R_j = residual_j + 0.75 R_(j-1), output = R_n + the bilinearly upsampled input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from clit.config import CLITConfig
from clit.geometry import Lattice, Region, View
from clit.networks.decoders.base import Attended, Decoder, Features, Maps
from clit.networks.decoders.enlarged import Enlarged
from clit.networks.decoders.lit import LocalAttention, StageField
from clit.networks.decoders.positional_bias import PositionalBias
from clit.networks.decoders.stage_axes import StagePlace
from clit.networks.layers import Resampling, convolve_valid, pad_to

CARRY = 0.75
"""Factor of the previous stage's prediction."""


@dataclass(frozen=True)
class CascadeField:
    """What is computed once per view: one field per stage in use, and the skip."""

    stages: tuple[StageField, ...]
    skip: Enlarged
    pixels: Lattice


class CLIT(Decoder):
    """The cascade of up to `config.stages` stages; smaller scales use fewer."""

    kind = "attention"

    def __init__(self, config: CLITConfig, channels: int):
        super().__init__()
        self.config = config
        self.stage_count, self.heads, self.radius = config.stages, config.heads, config.radius
        self.embed = nn.Conv2d(channels, config.width, 3, padding=1)
        self.bias = PositionalBias(config.heads, config.octaves)
        self.stages = nn.ModuleList(LocalAttention(config) for _ in range(config.stages))

    def work(self, queries_per_latent: float) -> float:
        """Return the multiply-adds per output pixel of one stage: equal for all stages at equal density."""
        return self.stages[0].work(queries_per_latent)

    def prepare(self, features: Features, view: View) -> CascadeField:
        view = view.to(features.map.device)
        fields = []
        for j, (stage, place) in enumerate(zip(self.stages, self._place_stages(view), strict=False)):
            fields.append(stage.prepare(self._make_maps(features, view, j, place), place, view, self.bias))
        return CascadeField(tuple(fields), Enlarged.prepare(features.image, view), view.pixels)

    def reads(self, view: View) -> Region:
        return view.clip(self.reads_embedded(view).grow(1))

    def reads_embedded(self, view: View) -> Region:
        """Return the part of z that `prepare` reads; it may reach beyond the small picture."""
        first, *later = self._place_stages(view)
        parts = [first.region.grow(1), *(_get_region_read(*_prepare_resampling(view, p.grid, p.region)) for p in later)]
        return Region(
            min(p.top for p in parts), min(p.left for p in parts),
            max(p.bottom for p in parts), max(p.right for p in parts),
        )  # fmt: skip

    def embed_part(self, features: Features, view: View, region: Region) -> Tensor:
        """Return z (B, h, w, D) over a region of the LR grid, zero outside the image unless it is periodic."""
        inside = view.clip(region)
        z = convolve_valid(self.embed, features.crop(inside.grow(1))).permute(0, 2, 3, 1)
        return pad_to(region, z, inside)

    def multiply_adds(self, view: View) -> float:
        return view.count * sum(self.work(density) for density in _compute_densities(view))

    def memory(self, view: View) -> int:
        # The maps of all stages, and one stage's a second time while they are made.
        areas = [place.region.grow(1).area for place in self._place_stages(view)]
        channels = sum(conv.out_channels for conv in self.stages[0].convs())
        maps = channels * (sum(areas) + max(areas))
        return 4 * (maps + torch.get_num_threads() * self.stages[0].block_floats())

    def _place_stages(self, view: View) -> list[StagePlace]:
        return [StagePlace.prepare(view, grid, self.radius) for grid in view.grids()]

    def query(self, field: CascadeField, positions: Tensor) -> Tensor:
        row, column = field.pixels.find(positions)
        residual = 0
        for stage, stage_field in self._stages_in_use(field):
            residual = stage.query(stage_field, row, column) + CARRY * residual
        return residual + field.skip.query(row, column)

    def attend(self, field: CascadeField, positions: Tensor) -> list[Attended]:
        row, column = field.pixels.find(positions)
        return [stage.attend(stage_field, row, column) for stage, stage_field in self._stages_in_use(field)]

    def leave_out(
        self, field: CascadeField, positions: Tensor, attended: list[Attended], without: list[Tensor]
    ) -> list[Tensor]:
        row, column = field.pixels.find(positions)
        changes = []
        cases = zip(self._stages_in_use(field), attended, without, strict=True)
        for j, ((stage, stage_field), found, sets) in enumerate(cases):
            carried = CARRY ** (len(field.stages) - 1 - j)
            changes.append(carried * stage.leave_out(stage_field, row, column, found.weights, sets))
        return changes

    def render(self, field: CascadeField, cancel: Callable[[], bool] | None = None) -> Tensor:
        *_, colours = self.render_stages(field, cancel)
        return colours

    def render_stages(self, field: CascadeField, cancel: Callable[[], bool] | None = None) -> Iterator[Tensor]:
        residual, skip = 0, field.skip.render()
        for stage, stage_field in self._stages_in_use(field):
            residual = stage.render(stage_field, cancel) + CARRY * residual
            yield residual + skip

    def survey(self, field: CascadeField, cancel: Callable[[], bool] | None = None) -> Tensor:
        stage, stage_field = self._stages_in_use(field)[-1]
        return stage.survey(stage_field, cancel)

    def _stages_in_use(self, field: CascadeField) -> list[tuple[LocalAttention, StageField]]:
        return list(zip(self.stages, field.stages, strict=False))

    def _make_maps(self, features: Features, view: View, j: int, place: StagePlace) -> Maps:
        """Return the maps of stage j over its region of its own grid, zero outside it unless it is periodic.

        Those of the first stage do not depend on the scale, those of later ones on their grid.
        """

        def make(region: Region) -> Maps:
            inside = region if view.wrap else region.clip(place.grid)
            if not inside.area:
                shape = len(features.map), region.bottom - region.top, region.right - region.left
                return tuple(features.map.new_zeros(*shape, conv.out_channels) for conv in self.stages[j].convs())
            if j:  # from z resampled to the stage's grid
                rows, columns = _prepare_resampling(view, place.grid, inside)
                z = self.embed_part(features, view, _get_region_read(rows, columns))
                maps = self.stages[j].project_resampled(z, rows, columns)
            else:
                maps = self.stages[0].project(self.embed_part(features, view, inside.grow(1)))
            return tuple(pad_to(region, map, inside) for map in maps)

        if features.remember is None:
            return make(place.region)
        return features.remember(self, (j, place.grid, view.wrap), place.region, make)


def _compute_densities(view: View) -> list[float]:
    """Return the output pixels per latent of each stage in use."""
    return [view.size[0] / h * view.size[1] / w for h, w in view.grids()]


def _prepare_resampling(view: View, grid: tuple[int, int], region: Region) -> tuple[Resampling, Resampling]:
    """Prepare the resampling of z to a region of a grid, and one more point on every side for the convolutions."""
    region, (h, w), device = region.grow(1), grid, view.pixels.rows.device
    return (
        Resampling.prepare(view.lr[0], h, region.top, region.bottom, device, view.wrap),
        Resampling.prepare(view.lr[1], w, region.left, region.right, device, view.wrap),
    )


def _get_region_read(rows: Resampling, columns: Resampling) -> Region:
    """Return the region of pixels that a resampling reads."""
    (down, across) = (r.matrix.shape[1] for r in (rows, columns))
    return Region(rows.first, columns.first, rows.first + down, columns.first + across)

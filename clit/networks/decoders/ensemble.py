"""The local ensemble (LIIF, section 3.2): four latents around a query, blended by distance alone.

What LIIF and LTE share. A subclass says what is computed once per view (`_maps`) and what one latent
predicts: at scattered queries (`_predict`, the plain definition) and over a whole window (`_hidden`, the
fast order, whose last linear layer is applied after the blend because both are linear).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.geometry import Lattice, Region, View, nearest_latent, periodic_positions, pixel_centres, to_pixels
from clit.networks.decoders.base import Attended, Decoder, Features, Skip
from clit.networks.layers import MLP
from clit.system.threads import blocks, parallel_map

# Legend for shapes: B batch, Q queries, R rows and S columns of a window, C channels.


_FLOATS = 600_000  # of one hidden layer of a block on a CPU: what one latent predicts stays in the cache
_PIXELS_ELSEWHERE = 65536  # of a block


@dataclass(frozen=True)
class EnsembleAxis:
    """One axis of a lattice: the two latents next to each query and the relative coordinates to them."""

    nearest: Tensor  # (2, Q) absolute latent index
    rel: Tensor  # (2, Q) float32, one latent's step is 2.0

    @staticmethod
    def prepare(n_out: int, n: int, pixels: Tensor, wrap: bool = False) -> EnsembleAxis:
        if wrap:
            whole, rest = periodic_positions(n_out, n, pixels)
            rel = rest.double() / n_out
            return EnsembleAxis(torch.stack([whole, whole + 1]), torch.stack([rel, rel - 2]).float())
        centres = pixel_centres(n_out, pixels)
        latents = pixel_centres(n, device=pixels.device)
        nearest = []
        for side in (-1, 1):  # half a latent each way, plus 1e-6 that settles ties as published
            shifted = (centres + (side * (1 / n) + 1e-6)).clamp(-1 + 1e-6, 1 - 1e-6)
            nearest.append(nearest_latent(to_pixels(shifted, n), n))
        return EnsembleAxis(torch.stack(nearest), torch.stack([(centres - latents[i]) * n for i in nearest]))


def ensemble_weights(rel_y: Tensor, rel_x: Tensor) -> Tensor:
    """Weights of the four latents: rel_y (2, ...) and rel_x (2, ...) -> (2, 2, ...), summing to 1.

    Each is the area of the rectangle between the query and the diagonally opposite latent.
    """
    area = (rel_y[:, None] * rel_x[None]).abs() + 1e-9
    return area.flip(0, 1) / (area[0, 0] + area[0, 1] + area[1, 0] + area[1, 1])


@dataclass(frozen=True)
class EnsembleField:
    """What depends on the view: maps at LR resolution over `region`, and where the queries lie."""

    maps: tuple[Tensor, ...]  # the decoder's own, from `_maps`
    region: Region
    rows: EnsembleAxis
    columns: EnsembleAxis
    cell: Tensor  # (2,) in LR pixels: 2 / scale
    skip: Skip
    pixels: Lattice
    grid: tuple[int, int]


class EnsembleDecoder(Decoder):
    """Base of LIIF and LTE."""

    kind = "ensemble"
    mlp: MLP
    skips = False  # whether the bilinear upsampled input is added

    def prepare(self, features: Features, view: View) -> EnsembleField:
        device, lr, size = features.map.device, view.lr, view.size
        view = view.to(device)
        rows, columns, region = _axes(view)
        cell = torch.tensor([2 / size[0], 2 / size[1]], device=device) * torch.tensor(lr, device=device)
        skip = Skip.prepare(features.image, view)
        maps = self._maps(features.crop(region.grown(1)))
        return EnsembleField(maps, region, rows, columns, cell.to(features.map.dtype), skip, view.pixels, lr)

    def reads(self, view: View) -> Region:
        region = _axes(view)[2].grown(1)
        return region if view.wrap else region.inside(view.lr)

    @abstractmethod
    def work(self, queries_per_latent: float) -> float:
        """Return the multiply-adds per output pixel in the fast order (four evaluations, one blend)."""

    def multiply_adds(self, view: View) -> float:
        return view.count * self.work(view.density)

    def memory(self, view: View) -> int:
        maps = 3 * self.mlp[0].out_features + 3 * self.mlp[0].in_features // 4
        return 4 * (self.reads(view).area * maps + torch.get_num_threads() * 8 * _FLOATS)

    def query(self, field: EnsembleField, positions: Tensor) -> Tensor:
        weights, predictions = self._four(field, positions)
        rgb = (weights[:, :, None, :, None] * predictions).sum((0, 1))
        row, column = field.pixels.find(positions)
        return rgb + field.skip.query(row, column) if self.skips else rgb

    def attend(self, field: EnsembleField, positions: Tensor) -> list[Attended]:
        weights, predictions = self._four(field, positions)  # (2, 2, Q), (2, 2, B, Q, 3)
        row, column = field.pixels.find(positions)
        rows, columns = field.rows.nearest[:, row].T, field.columns.nearest[:, column].T  # (Q, 2)
        weights = weights.flatten(0, 1).T[:, None].expand(predictions.shape[2], -1, -1, -1)  # (B, Q, 1, 4)
        return [Attended(weights, None, None, rows, columns, field.grid)]

    def influence(self, field: EnsembleField, positions: Tensor, attended: list[Attended]) -> list[Tensor]:
        predictions = self._four(field, positions)[1].double().flatten(0, 1).permute(1, 2, 0, 3)  # (B, Q, 4, 3)
        weights = attended[0].weights.double().transpose(2, 3)  # (B, Q, 4, 1)
        terms = weights * predictions
        total = terms.sum(2, keepdim=True)
        rest = (total - terms) / (weights.sum(2, keepdim=True) - weights)  # the other three, their weights renormalised
        return [rest - total]

    def render(self, field: EnsembleField, cancel: Callable[[], bool] | None = None) -> Tensor:
        height, width = len(field.pixels.rows), len(field.pixels.columns)
        out = field.cell.new_empty(len(field.maps[0]), height, width, 3)

        def place(part: tuple[slice, slice]) -> None:
            out[:, part[0], part[1]] = self._render_part(field, *part)

        widest = max(layer.out_features for layer in self.mlp if isinstance(layer, nn.Linear))
        most = _FLOATS // widest if out.device.type == "cpu" else _PIXELS_ELSEWHERE
        for _ in parallel_map(place, blocks(height, width, max(1, most // len(out))), cancel, out.device):
            pass
        return out + field.skip.render() if self.skips else out

    def _render_part(self, field: EnsembleField, rows: slice, columns: slice) -> Tensor:
        rel_y, rel_x = field.rows.rel[:, rows], field.columns.rel[:, columns]
        weights = ensemble_weights(rel_y[:, :, None], rel_x[:, None, :])  # (2, 2, R, S)
        blended = field.cell.new_zeros(())
        for i in (0, 1):
            y = field.rows.nearest[i, rows] - field.region.top
            for j in (0, 1):
                x = field.columns.nearest[j, columns] - field.region.left
                left = int(x[0])
                maps = tuple(m[:, :, left : int(x[-1]) + 1][:, y] for m in self._factored(field.maps))
                hidden = self._hidden(maps, x - left, rel_y[i], rel_x[j], field.cell)
                blended = torch.addcmul(blended, hidden, weights[i, j, :, :, None].to(hidden.dtype))
        return self.mlp[-1](blended)  # the weights sum to 1, so the bias passes through the blend

    def _four(self, field: EnsembleField, positions: Tensor) -> tuple[Tensor, Tensor]:
        row, column = field.pixels.find(positions)
        rel_y, rel_x = field.rows.rel[:, row], field.columns.rel[:, column]  # (2, Q) each
        weights = ensemble_weights(rel_y, rel_x)
        predictions = []
        for i in (0, 1):
            for j in (0, 1):
                y = field.rows.nearest[i, row] - field.region.top
                x = field.columns.nearest[j, column] - field.region.left
                rel = torch.stack([rel_y[i], rel_x[j]], -1)  # (Q, 2)
                predictions.append(self._predict(field, y, x, rel))
        return weights, torch.stack(predictions).unflatten(0, (2, 2))

    def _maps(self, features: Tensor) -> tuple[Tensor, ...]:
        """Maps over a region, channels-last but for such as only `_predict` reads, of features one wider all around."""
        raise NotImplementedError

    def _predict(self, field: EnsembleField, y: Tensor, x: Tensor, rel: Tensor) -> Tensor:
        raise NotImplementedError

    def _factored(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Those of the field's maps (B, h', w', C) that `_hidden` reads."""
        return maps

    def _hidden(self, maps: tuple[Tensor, ...], x: Tensor, rel_y: Tensor, rel_x: Tensor, cell: Tensor) -> Tensor:
        """The last hidden layer (B, R, S, width) of one latent's prediction.

        maps: (B, R, latent columns, C), already at the queries' rows; x (S,): each query's latent column.
        """
        raise NotImplementedError


def _axes(view: View) -> tuple[EnsembleAxis, EnsembleAxis, Region]:
    """Return both axes of the view's lattice, and the region of their latents."""
    rows, columns = (
        EnsembleAxis.prepare(view.size[0], view.lr[0], view.pixels.rows, view.wrap),
        EnsembleAxis.prepare(view.size[1], view.lr[1], view.pixels.columns, view.wrap),
    )
    return rows, columns, Region(
        int(rows.nearest.min()), int(columns.nearest.min()),
        int(rows.nearest.max()) + 1, int(columns.nearest.max()) + 1,
    )  # fmt: skip


def unfold3(features: Tensor) -> Tensor:
    """3x3 neighbourhoods side by side: (B, C, h+2, w+2) -> (B, h, w, 9 C), channel c * 9 + ky * 3 + kx."""
    h, w = features.shape[-2] - 2, features.shape[-1] - 2
    return F.unfold(features, 3).unflatten(-1, (h, w)).permute(0, 2, 3, 1)

"""The local ensemble (LIIF, section 3.2): the four latents around a query, blended by distance alone.

LIIF and LTE share it. A subclass says which maps are computed once per view (`_make_maps`) and what one latent
predicts: at scattered queries (`_predict`, the plain definition), and over a block of pixels (`_predict_hidden`, the
fast order). The fast order blends the last hidden layer and then applies the last linear layer once: both are linear.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.geometry import Lattice, Region, View, nearest_latent, periodic_positions, pixel_centres, to_pixels
from clit.networks.decoders import compiled
from clit.networks.decoders.base import Attended, Decoder, Features, Maps
from clit.networks.decoders.enlarged import Enlarged
from clit.networks.layers import MLP
from clit.system.threads import blocks, parallel_map

# Legend for shapes: B batch, Q queries, R rows and S columns of a lattice, C channels.

_CPU_BLOCK_FLOATS = 600_000  # of one hidden layer of a block on a CPU, so that it stays in the processor's cache
_GPU_BLOCK_PIXELS = 65536  # of one block on a GPU


@dataclass(frozen=True)
class EnsembleAxis:
    """One axis of a lattice: the two latents next to each query, and the query's coordinates relative to them."""

    nearest: Tensor  # (2, Q) index of the latent in the image
    rel: Tensor  # (2, Q) float32; neighbouring latents are 2.0 apart

    @staticmethod
    def prepare(n_out: int, n: int, pixels: Tensor, wrap: bool = False) -> EnsembleAxis:
        """Prepare an axis of n_out output pixels, of which `pixels` (Q,) are wanted, over n latents."""
        if wrap:
            whole, rest = periodic_positions(n_out, n, pixels)
            rel = rest.double() / n_out
            return EnsembleAxis(torch.stack([whole, whole + 1]), torch.stack([rel, rel - 2]).float())
        centres = pixel_centres(n_out, pixels)
        latents = pixel_centres(n, device=pixels.device)
        nearest = []
        for side in (-1, 1):  # half a latent each way; the 1e-6 decides ties as published
            shifted = (centres + (side * (1 / n) + 1e-6)).clamp(-1 + 1e-6, 1 - 1e-6)
            nearest.append(nearest_latent(to_pixels(shifted, n), n))
        return EnsembleAxis(torch.stack(nearest), torch.stack([(centres - latents[i]) * n for i in nearest]))


def compute_weights(rel_y: Tensor, rel_x: Tensor) -> Tensor:
    """Return the weights (2, 2, ...) of the four latents from rel_y (2, ...) and rel_x (2, ...). They sum to 1.

    Each is the area of the rectangle between the query and the diagonally opposite latent.
    """
    area = (rel_y[:, None] * rel_x[None]).abs() + 1e-9
    return area.flip(0, 1) / (area[0, 0] + area[0, 1] + area[1, 0] + area[1, 1])


@dataclass(frozen=True)
class EnsembleField:
    """What is computed once per view: maps at LR resolution over `region`, and where the queries lie."""

    features: Tensor  # (B, C, h + 2, w + 2), over the region and a border of 1
    maps: Maps  # from `_make_maps`
    region: Region
    rows: EnsembleAxis
    columns: EnsembleAxis
    cell: Tensor  # (2,): 2 / scale per axis
    skip: Enlarged
    pixels: Lattice
    grid: tuple[int, int]  # (h, w) of the latents


class EnsembleDecoder(Decoder):
    """Base class of LIIF and LTE."""

    kind = "ensemble"
    mlp: MLP
    adds_skip = False  # whether the bilinearly upsampled input is added

    def prepare(self, features: Features, view: View) -> EnsembleField:
        device, lr, size = features.map.device, view.lr, view.size
        view = view.to(device)
        rows, columns, region = _prepare_axes(view)
        cell = torch.tensor([2 / size[0], 2 / size[1]], device=device) * torch.tensor(lr, device=device)
        skip = Enlarged.prepare(features.image, view)

        def make(part: Region) -> Maps:
            return self._make_maps(features.crop(part.grow(1)))

        maps = make(region) if features.remember is None else features.remember(self, None, region, make)
        seen = features.crop(region.grow(1))
        return EnsembleField(seen, maps, region, rows, columns, cell.to(features.map.dtype), skip, view.pixels, lr)

    def reads(self, view: View) -> Region:
        return view.clip(_prepare_axes(view)[2].grow(1))

    @abstractmethod
    def work(self, queries_per_latent: float) -> float:
        """Return the multiply-adds per output pixel in the fast order: four evaluations, one blend."""

    def multiply_adds(self, view: View) -> float:
        return view.count * self.work(view.density)

    def memory(self, view: View) -> int:
        maps = 3 * self.mlp[0].out_features + 3 * self.mlp[0].in_features // 4
        return 4 * (self.reads(view).area * maps + torch.get_num_threads() * 8 * _CPU_BLOCK_FLOATS)

    def query(self, field: EnsembleField, positions: Tensor) -> Tensor:
        weights, predictions = self._predict_four(field, positions)
        rgb = (weights[:, :, None, :, None] * predictions).sum((0, 1))
        row, column = field.pixels.find(positions)
        return rgb + field.skip.query(row, column) if self.adds_skip else rgb

    def attend(self, field: EnsembleField, positions: Tensor) -> list[Attended]:
        weights, predictions = self._predict_four(field, positions)  # (2, 2, Q), (2, 2, B, Q, 3)
        row, column = field.pixels.find(positions)
        rows, columns = field.rows.nearest[:, row].T, field.columns.nearest[:, column].T  # (Q, 2)
        weights = weights.flatten(0, 1).T[:, None].expand(predictions.shape[2], -1, -1, -1)  # (B, Q, 1, 4)
        return [Attended(weights, None, None, rows, columns, field.grid)]

    def leave_out(
        self, field: EnsembleField, positions: Tensor, attended: list[Attended], without: list[Tensor]
    ) -> list[Tensor]:
        predictions = self._predict_four(field, positions)[1].double().flatten(0, 1).permute(1, 2, 0, 3)  # (B, Q, 4, 3)
        weights = attended[0].weights[:, :, 0].double()  # (B, Q, 4)
        kept = torch.cat([weights[:, :, None], weights[:, :, None] * ~without[0]], 2)  # (B, Q, 1 + N, 4)
        colours = kept @ predictions / kept.sum(-1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)
        return [colours[:, :, 1:] - colours[:, :, :1]]

    def render(self, field: EnsembleField, cancel: Callable[[], bool] | None = None) -> Tensor:
        height, width = len(field.pixels.rows), len(field.pixels.columns)
        if compiled.applies(field.cell):
            weights = compute_weights(field.rows.rel[:, :, None], field.columns.rel[:, None, :])
            out = compiled.render_ensemble(self, field, weights, cancel)
            return out + field.skip.render() if self.adds_skip else out
        out = field.cell.new_empty(len(field.maps[0]), height, width, 3)

        def render_block(block: tuple[slice, slice]) -> None:
            rows, columns = block
            out[:, rows, columns] = self._render_block(field, rows, columns)

        widest = max(layer.out_features for layer in self.mlp if isinstance(layer, nn.Linear))
        most = _CPU_BLOCK_FLOATS // widest if out.device.type == "cpu" else _GPU_BLOCK_PIXELS
        for _ in parallel_map(render_block, blocks(height, width, max(1, most // len(out))), cancel, out.device):
            pass
        return out + field.skip.render() if self.adds_skip else out

    def _render_block(self, field: EnsembleField, rows: slice, columns: slice) -> Tensor:
        rel_y, rel_x = field.rows.rel[:, rows], field.columns.rel[:, columns]
        weights = compute_weights(rel_y[:, :, None], rel_x[:, None, :])  # (2, 2, R, S)
        blended = field.cell.new_zeros(())
        for i in (0, 1):
            y = field.rows.nearest[i, rows] - field.region.top
            for j in (0, 1):
                x = field.columns.nearest[j, columns] - field.region.left
                left = int(x[0])
                maps = tuple(m[:, :, left : int(x[-1]) + 1][:, y] for m in field.maps)
                hidden = self._predict_hidden(maps, x - left, rel_y[i], rel_x[j], field.cell)
                blended = torch.addcmul(blended, hidden, weights[i, j, :, :, None].to(hidden.dtype))
        return self.mlp[-1](blended)  # the weights sum to 1, so the blend leaves the bias as it is

    def _predict_four(self, field: EnsembleField, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights (2, 2, Q) and the predictions (2, 2, B, Q, 3) of the four latents around each query."""
        row, column = field.pixels.find(positions)
        rel_y, rel_x = field.rows.rel[:, row], field.columns.rel[:, column]  # (2, Q) each
        weights = compute_weights(rel_y, rel_x)
        predictions = []
        for i in (0, 1):
            for j in (0, 1):
                y = field.rows.nearest[i, row] - field.region.top
                x = field.columns.nearest[j, column] - field.region.left
                rel = torch.stack([rel_y[i], rel_x[j]], -1)  # (Q, 2)
                predictions.append(self._predict(field, y, x, rel))
        return weights, torch.stack(predictions).unflatten(0, (2, 2))

    @abstractmethod
    def _make_maps(self, features: Tensor) -> Maps:
        """Return the maps over a region, from the features (B, C, h + 2, w + 2) of the region and a border of 1.

        Maps are (B, h, w, .).
        """

    @abstractmethod
    def _predict(self, field: EnsembleField, y: Tensor, x: Tensor, rel: Tensor) -> Tensor:
        """Return what latents y, x (Q,), indices into the field's maps, predict at rel (Q, 2): colours (B, Q, 3)."""

    @abstractmethod
    def describe_start(self, field: EnsembleField) -> compiled.EnsembleStart:
        """Return what compiled kernels compute the first numbers of predictions from."""

    @abstractmethod
    def _predict_hidden(self, maps: Maps, x: Tensor, rel_y: Tensor, rel_x: Tensor, cell: Tensor) -> Tensor:
        """Return the last hidden layer (B, R, S, width) of one latent's prediction for each pixel of a block.

        maps: (B, R, latent columns, .), the row of each pixel row's latent. x: (S,) each pixel column's latent column.
        """


def _prepare_axes(view: View) -> tuple[EnsembleAxis, EnsembleAxis, Region]:
    """Return both axes of the view's lattice, and the region of their latents."""
    rows = EnsembleAxis.prepare(view.size[0], view.lr[0], view.pixels.rows, view.wrap)
    columns = EnsembleAxis.prepare(view.size[1], view.lr[1], view.pixels.columns, view.wrap)
    return rows, columns, Region.enclosing(rows.nearest, columns.nearest)


def unfold3(features: Tensor) -> Tensor:
    """Put 3x3 neighbourhoods side by side: (B, C, h + 2, w + 2) -> (B, h, w, 9 C), channel c * 9 + ky * 3 + kx."""
    h, w = features.shape[-2] - 2, features.shape[-1] - 2
    return F.unfold(features, 3).unflatten(-1, (h, w)).permute(0, 2, 3, 1)

"""The local ensemble (LIIF, section 3.2): four latents around a query, blended by distance alone.

What LIIF and LTE share. A subclass says what is computed once per view (`_maps`) and what one latent
predicts: at scattered queries (`_predict`, the plain definition) and over a whole window (`_hidden`, the
fast order, whose last linear layer is applied after the blend because both are linear).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.geometry import Lattice, Window, linear_taps, nearest_latent, pixel_centres, to_pixels
from clit.networks.layers import MLP, Region, crop, sample_columns, sample_rows
from clit.system.threads import blocks, parallel_map

# Legend for shapes: B batch, Q queries, R rows and S columns of a window, C channels.


_FLOATS = 600_000  # of one hidden layer of a block on a CPU: what one latent predicts stays in the cache
_PIXELS_ELSEWHERE = 65536  # of a block


Maps = tuple[Tensor, ...]


@dataclass(frozen=True)
class Features:
    """What an encoder made of one image: `map` (B, C, ., .), and the `image` (B, 3, h, w) in [-1, 1].

    The map may be a part: its first row and column are `top` and `left` of the image.
    """

    map: Tensor
    image: Tensor
    top: int = 0
    left: int = 0
    remember: Callable[[nn.Module, Region, Callable[[], Maps]], Maps] | None = None
    """Called with a module, a region and what makes the module's maps (1, h, w, D) of these features over the region:
    those maps, perhaps made before."""

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the image."""
        return tuple(self.image.shape[-2:])

    def crop(self, region: Region) -> Tensor:
        """The map over a region of the image, zero outside the image; the part must have what lies inside."""
        at = Region(region.top - self.top, region.left - self.left, region.bottom - self.top, region.right - self.left)
        return crop(self.map, at)


@dataclass(frozen=True)
class Skip:
    """The bilinear upsampled input (border padding) over one window."""

    image: Tensor  # (B, h, w, 3)
    rows: tuple[Tensor, Tensor]  # taps: index (R, 2), weight (R, 2)
    columns: tuple[Tensor, Tensor]

    @staticmethod
    def prepare(image: Tensor, size: tuple[int, int], pixels: Lattice) -> Skip:
        h, w = image.shape[-2:]
        rows = to_pixels(pixel_centres(size[0], pixels.rows), h)
        columns = to_pixels(pixel_centres(size[1], pixels.columns), w)
        return Skip(image.permute(0, 2, 3, 1), linear_taps(rows, h, "border"), linear_taps(columns, w, "border"))

    def query(self, row: Tensor, column: Tensor) -> Tensor:
        """(B, Q, 3) at `row`, `column` (Q,): indices into the lattice."""
        y, wy = self.rows[0][row], self.rows[1][row]
        x, wx = self.columns[0][column], self.columns[1][column]
        corners = self.image[:, y[:, :, None], x[:, None, :]]  # (B, Q, 2, 2, 3)
        return torch.einsum("bqijc,qi,qj->bqc", corners, wy.to(corners), wx.to(corners))

    def render(self) -> Tensor:
        """(B, R, S, 3) over the whole window."""
        return sample_columns(sample_rows(self.image, *self.rows), *self.columns)


@dataclass(frozen=True)
class EnsembleAxis:
    """One axis of a lattice: the two latents next to each query and the relative coordinates to them."""

    nearest: Tensor  # (2, Q) absolute latent index
    rel: Tensor  # (2, Q) float32, one latent's step is 2.0

    @staticmethod
    def prepare(n_out: int, n: int, pixels: Tensor) -> EnsembleAxis:
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


class EnsembleDecoder(nn.Module):
    """Base of LIIF and LTE."""

    mlp: MLP
    skips = False  # whether the bilinear upsampled input is added

    def prepare(self, features: Features, size: tuple[int, int], window: Window | Lattice) -> EnsembleField:
        """Everything that depends on the output size (H, W) and the window, for `query`, `attend`, `render`."""
        h, w = features.size
        device = features.map.device
        pixels = window.lattice(device)
        rows, columns, region = _axes(features.size, size, pixels)
        cell = torch.tensor([2 / size[0], 2 / size[1]], device=device) * torch.tensor([h, w], device=device)
        skip = Skip.prepare(features.image, size, pixels)
        cell = cell.to(features.map.dtype)
        maps = self._maps(features.crop(region.grown(1)))
        return EnsembleField(maps, region, rows, columns, cell, skip, pixels, (h, w))

    def reads(self, lr: tuple[int, int], size: tuple[int, int], window: Window | Lattice) -> Region:
        """The part of an image of `lr` (h, w) whose features `prepare` reads."""
        return _axes(lr, size, window.lattice())[2].grown(1).inside(lr)

    def multiply_adds(self, lr: tuple[int, int], size: tuple[int, int], pixels: int) -> float:
        """Multiply-adds of so many output pixels by `render`'s order."""
        return pixels * self.work(size[0] / lr[0] * size[1] / lr[1])

    def memory(self, lr: tuple[int, int], size: tuple[int, int], window: Window | Lattice) -> int:
        """Bytes that `prepare` and `render` take for a window, about."""
        region = self.reads(lr, size, window)
        maps = 3 * self.mlp[0].out_features + 3 * self.mlp[0].in_features // 4
        return 4 * (region.area * maps + torch.get_num_threads() * 8 * _FLOATS)

    def query(self, field: EnsembleField, positions: Tensor) -> Tensor:
        """Colours (B, Q, 3) at whole-output pixels `positions` (Q, 2) inside the window: the plain definition."""
        weights, predictions = self._four(field, positions)
        rgb = (weights[:, :, None, :, None] * predictions).sum((0, 1))
        row, column = field.pixels.find(positions)
        return rgb + field.skip.query(row, column) if self.skips else rgb

    def attend(self, field: EnsembleField, positions: Tensor) -> tuple[Tensor, Tensor]:
        """The four weights (2, 2, Q) and predictions (2, 2, B, Q, 3) that `query` blends."""
        return self._four(field, positions)

    def render(self, field: EnsembleField, cancel: Callable[[], bool] | None = None) -> Tensor:
        """Colours (B, R, S, 3) of the whole window, by the factored order; Cancelled once cancel() is true."""
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


def _axes(lr: tuple[int, int], size: tuple[int, int], pixels: Lattice) -> tuple[EnsembleAxis, EnsembleAxis, Region]:
    """Both axes of a lattice, and the region of their latents."""
    rows, columns = (
        EnsembleAxis.prepare(size[0], lr[0], pixels.rows),
        EnsembleAxis.prepare(size[1], lr[1], pixels.columns),
    )
    return rows, columns, Region(
        int(rows.nearest.min()), int(columns.nearest.min()),
        int(rows.nearest.max()) + 1, int(columns.nearest.max()) + 1,
    )  # fmt: skip


def unfold3(features: Tensor) -> Tensor:
    """3x3 neighbourhoods side by side: (B, C, h+2, w+2) -> (B, h, w, 9 C), channel c * 9 + ky * 3 + kx."""
    h, w = features.shape[-2] - 2, features.shape[-1] - 2
    return F.unfold(features, 3).unflatten(-1, (h, w)).permute(0, 2, 3, 1)

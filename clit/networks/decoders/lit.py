"""Local attention (LIT: Chen et al., CVPR 2023, section 3.2): one stage of LIT and CLIT.

Each query attends over the (2r+1)^2 latents around its nearest one, by feature similarity and position, and an
MLP reads all weighted values side by side. `query` and `attend` are the plain definition; `render` evaluates
whole windows in the cell-grouped order: all queries in one latent's footprint share its window, so the MLP's
first layer, being linear, is done once per latent (U = V W1) and mixed by the attention weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.config import CLITConfig
from clit.geometry import (
    Region,
    View,
    linear_taps,
    nearest_latent,
    periodic_positions,
    periodic_taps,
    pixel_centres,
    relative_coordinates,
    to_pixels,
)
from clit.networks.decoders.base import Attended, Maps
from clit.networks.layers import MLP, PositionalBias, Resampling, conv_resampled, outside_zero
from clit.system.threads import blocks, parallel_map

# Legend for shapes: B batch, Q queries, R rows and S columns of latents, N latents, n queries per latent,
# P = (2r+1)^2 window, M heads, D width, d = D / M, H1 first hidden width.

_LATENTS = 144  # of one block at most
_U_FLOATS = 800_000  # U of one head (3 MB): it then stays near the processor
_FLOATS = 1_600_000  # logits of one head and hidden numbers of one block
# With gradients, since each block adds to those of whole maps, and on a GPU, which wants much to do at once.
_LARGE_LATENTS, _LARGE_FLOATS = 4096, 4_000_000
_GROUPED_FROM = 2  # queries per latent from which U costs less than the weighted values themselves


@dataclass(frozen=True)
class StageAxis:
    """One axis of a lattice of output pixels on one stage's grid."""

    nearest: Tensor  # (Q,) absolute latent index
    rel: Tensor  # (Q, 2r+1) relative coordinates to the window's latents
    taps: tuple[Tensor, Tensor]  # index and weight (Q, 2) for the bilinear query sample

    @staticmethod
    def prepare(n_out: int, n: int, pixels: Tensor, radius: int, wrap: bool = False) -> StageAxis:
        if wrap:
            whole, rest = periodic_positions(n_out, n, pixels)
            up = rest >= n_out  # past the middle between two latents, or on it
            offset = torch.arange(-radius, radius + 1, device=pixels.device)
            rel = (rest.double() / n_out)[:, None] - 2 * (offset + up[:, None])
            return StageAxis(whole + up, rel.float(), periodic_taps(n_out, n, pixels))
        centres = pixel_centres(n_out, pixels)
        positions = to_pixels(centres, n)
        nearest = nearest_latent(positions, n)
        rel = relative_coordinates(centres, nearest, n, radius)
        return StageAxis(nearest, rel, linear_taps(positions, n, "zeros"))


@dataclass(frozen=True)
class StagePlace:
    """Where one stage is asked: its grid (h, w), the lattice's axes on it, and the region of latents they touch."""

    grid: tuple[int, int]
    rows: StageAxis
    columns: StageAxis
    region: Region

    @staticmethod
    def prepare(view: View, grid: tuple[int, int], radius: int) -> StagePlace:
        """Place a view on a stage's grid. The region holds all windows, and the taps of the query sample."""
        rows = StageAxis.prepare(view.size[0], grid[0], view.pixels.rows, radius, view.wrap)
        columns = StageAxis.prepare(view.size[1], grid[1], view.pixels.columns, radius, view.wrap)
        touched = Region(
            int(rows.nearest.min()), int(columns.nearest.min()),
            int(rows.nearest.max()) + 1, int(columns.nearest.max()) + 1,
        )  # fmt: skip
        return StagePlace(grid, rows, columns, touched.grown(max(radius, 1)))


@dataclass(frozen=True)
class StageField:
    """What one stage needs for one window. Maps are channels-last over `region`, zero outside the image."""

    q: Tensor  # (B, h', w', D)
    k: Tensor
    v: Tensor
    region: Region
    grid: tuple[int, int]
    rows: StageAxis
    columns: StageAxis
    bias_y: Tensor  # (rows, 2r+1, M); the positional bias is bias_y + bias_x
    bias_x: Tensor  # (columns, 2r+1, M)
    cell: Tensor  # (2,)
    fourier: Tensor | None = None  # (B, h', w', 4F): amplitudes of cosines and of sines, frequencies along y and x


@dataclass(frozen=True)
class Strip:
    """Latents of one axis with as many queries each, R with a of them, as blocks of `render` have them."""

    count: int  # R
    each: int  # a
    queries: Tensor  # (R a,) indices into the lattice
    window: Tensor  # (R, 2r+1) rows or columns of the field's maps
    first: int  # row or column of the maps with which the samples begin
    sample: Tensor  # (R a, those that count): bilinear interpolation of the maps at the queries
    bias: Tensor  # (M, R, a, P)

    @staticmethod
    def prepare(axis: StageAxis, latents: Tensor, queries: Tensor, start: int, side: int, bias: Tensor) -> Strip:
        """latents: (R,); queries: (R, a); start: where the maps begin; side: 2r+1; bias: (M, queries, P)."""
        flat = queries.flatten()
        window = latents[:, None] + torch.arange(-(side // 2) - start, side - side // 2 - start, device=latents.device)
        index, weight = (taps[flat] for taps in axis.taps)
        first, last = int(index.min()), int(index.max())
        sample = weight.new_zeros(len(flat), last + 1 - first).scatter_add_(1, index - first, weight)
        return Strip(*queries.shape, flat, window, first - start, sample.to(bias), bias[:, queries])


class LocalAttention(nn.Module):
    """q, k, v convolutions and the MLP of one stage. The positional bias is given: stages share it."""

    def __init__(self, config: CLITConfig):
        super().__init__()
        self.config = config
        self.window = (2 * config.radius + 1) ** 2
        self.query_conv, self.key_conv, self.value_conv = (
            nn.Conv2d(config.width, config.width, 3, padding=1) for _ in range(3)
        )
        self.fourier_conv = nn.Conv2d(config.width, 4 * config.fourier, 3, padding=1) if config.fourier else None
        # The MLP reads values times weights that sum to 1: as many times smaller than what its initial weights expect.
        with torch.no_grad():
            self.value_conv.weight *= 2 * config.radius + 1
            self.value_conv.bias *= 2 * config.radius + 1
            if self.fourier_conv is not None:  # half a wave within a latent's cell at most, to begin with
                nn.init.uniform_(self.fourier_conv.bias[2 * config.fourier :], -0.5, 0.5)
        self.values = self.window * config.width  # of the MLP's inputs; then two of the cell, then Fourier features
        self.mlp = MLP([self.values + 2 + 2 * config.fourier, *config.hidden, 3], nn.GELU)

    def work(self, queries_per_latent: float) -> float:
        """Multiply-adds per output pixel in the cell-grouped order (METHOD: P D h1 / n + M P h1 + P D + MLP)."""
        c, p, hidden = self.config, self.window, self.config.hidden
        rest = sum(a * b for a, b in zip(hidden, hidden[1:], strict=False)) + 3 * hidden[-1]
        rest += 2 * c.fourier * hidden[0]
        return p * c.width * hidden[0] / queries_per_latent + c.heads * p * hidden[0] + p * c.width + rest

    def block_floats(self) -> int:
        """Numbers that one block of `render` holds at once, about."""
        c = self.config
        return _LATENTS * self.window * (2 * c.width + c.hidden[0]) + 3 * _FLOATS

    def convs(self) -> list[nn.Conv2d]:
        """What makes this stage's maps: q, k, v, and the Fourier branch's where there is one."""
        convs = [self.query_conv, self.key_conv, self.value_conv, self.fourier_conv]
        return [conv for conv in convs if conv is not None]

    def project(self, z: Tensor) -> Maps:
        """The maps (B, h, w, channels) that `convs` make of a map (B, h + 2, w + 2, D)."""
        convs = self.convs()
        maps = F.conv2d(z.permute(0, 3, 1, 2), torch.cat([c.weight for c in convs]), torch.cat([c.bias for c in convs]))
        channels = [c.out_channels for c in convs]
        return tuple(m.contiguous() for m in maps.permute(0, 2, 3, 1).split(channels, -1))

    def project_resampled(self, z: Tensor, rows: Resampling, columns: Resampling) -> Maps:
        """As `project`, of z (B, h, w, D) resampled to this stage's grid."""
        return tuple(conv_resampled(conv, z, rows, columns) for conv in self.convs())

    def prepare(
        self,
        maps: Maps,
        place: StagePlace,
        view: View,
        bias: PositionalBias,
    ) -> StageField:
        """Make the field of `project`'s maps over the place's region: zero outside the grid, the bias as tables.

        The maps of a periodic picture have values there too.
        """
        grid, rows, columns, region = place.grid, place.rows, place.columns, place.region
        # Blocks read the maps as tables of rows: a part of a larger map would be copied for each of them.
        q, k, v, *fourier = ((m if view.wrap else outside_zero(m, region, grid)).contiguous() for m in maps)
        cell = torch.tensor([2 / view.size[0], 2 / view.size[1]]) * torch.tensor(grid)
        return StageField(
            q, k, v, region, grid, rows, columns, bias.along_y(rows.rel), bias.along_x(columns.rel),
            cell.to(q.device, q.dtype), *fourier,
        )  # fmt: skip

    # The plain definition

    def attend(self, field: StageField, row: Tensor, column: Tensor) -> Attended:
        """Attention at queries `row`, `column` (Q,): indices into the lattice."""
        keys = self._windows(field.k, field, row, column)  # (B, Q, P, M, d)
        query = self._sample(field, row, column)  # (B, Q, M, d)
        content = torch.einsum("bqmd,bqpmd->bqmp", query, keys) / math.sqrt(query.shape[-1])
        position = field.bias_y[row][:, :, None] + field.bias_x[column][:, None]  # (Q, 2r+1, 2r+1, M)
        position = position.flatten(1, 2).transpose(1, 2).expand_as(content)
        offset = self._offsets(row.device)
        rows, columns = field.rows.nearest[row][:, None] + offset, field.columns.nearest[column][:, None] + offset
        return Attended(torch.softmax(content + position, -1), content, position, rows, columns, field.grid)

    def weighted_values(self, field: StageField, row: Tensor, column: Tensor, weights: Tensor) -> Tensor:
        """(B, Q, P, D): each value of the window times its weight (weights: (B, Q, M, P))."""
        values = self._windows(field.v, field, row, column)
        return (weights.transpose(2, 3)[..., None] * values).flatten(-2)

    def fourier(self, field: StageField, row: Tensor, column: Tensor) -> Tensor:
        """Local Fourier features (B, Q, 2F) as in LTE, of the nearest latent alone; F is 0 where there is no branch.

        The paper describes such a branch inside LIT (section 3.2), the released code has none; here the MLP reads it,
        beside the weighted values.
        """
        if field.fourier is None:
            return field.q.new_zeros(len(field.q), len(row), 0)
        y, x = field.rows.nearest[row] - field.region.top, field.columns.nearest[column] - field.region.left
        amplitude, frequency = field.fourier[:, y, x].split(2 * self.config.fourier, -1)
        centre = self.config.radius
        rel = torch.stack([field.rows.rel[row, centre], field.columns.rel[column, centre]], -1).to(frequency)
        phase = math.pi * (frequency.unflatten(-1, (2, -1)) * rel[..., None]).sum(-2)
        return amplitude * torch.cat([phase.cos(), phase.sin()], -1)

    def decode(self, field: StageField, weighted: Tensor, fourier: Tensor) -> Tensor:
        """The MLP on [a_1 V_1, ..., a_P V_P, cell, fourier]: (B, Q, P, D), (B, Q, 2F) -> residual (B, Q, 3)."""
        flat = weighted.flatten(2)
        return self.mlp(torch.cat([flat, field.cell.expand(*flat.shape[:2], 2), fourier], -1))

    def query(self, field: StageField, row: Tensor, column: Tensor) -> Tensor:
        """Residual colours (B, Q, 3)."""
        weights = self.attend(field, row, column).weights
        return self.decode(field, self.weighted_values(field, row, column, weights), self.fourier(field, row, column))

    def influence(self, field: StageField, row: Tensor, column: Tensor, weights: Tensor) -> Tensor:
        """Change of the residual when one neighbour's value is left out: (B, Q, P, 3), exact. weights: (B, Q, M, P)."""
        weighted = self.weighted_values(field, row, column, weights)  # (B, Q, P, D)
        batch, queries, count, _ = weighted.shape
        kept = 1 - torch.eye(count, device=weighted.device, dtype=weighted.dtype)
        without = (weighted[:, :, None] * kept[..., None]).flatten(1, 2)  # (B, Q P, P, D)
        # As many equal rows, not one: products of another shape round in another way.
        whole = weighted[:, :, None].expand(-1, -1, count, -1, -1).flatten(1, 2)
        fourier = self.fourier(field, row, column).repeat_interleave(count, 1)
        change = self.decode(field, without, fourier) - self.decode(field, whole, fourier)
        return change.view(batch, queries, count, 3)

    def _windows(self, map: Tensor, field: StageField, row: Tensor, column: Tensor) -> Tensor:
        y, x = self._window_index(field, field.rows.nearest[row], field.columns.nearest[column])
        windows = map[:, y[:, :, None], x[:, None, :]]  # (B, Q, 2r+1, 2r+1, D)
        return windows.flatten(2, 3).unflatten(-1, (self.config.heads, -1))

    def _window_index(self, field: StageField, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns, within the field's maps, of the windows of latents y and x: (..., 2r+1) each."""
        offset = self._offsets(y.device)
        return y[:, None] - field.region.top + offset, x[:, None] - field.region.left + offset

    def _offsets(self, device: torch.device) -> Tensor:
        """(2r+1,) latents from a window's centre, along one axis."""
        return torch.arange(-self.config.radius, self.config.radius + 1, device=device)

    def _sample(self, field: StageField, row: Tensor, column: Tensor) -> Tensor:
        (y, wy), (x, wx) = field.rows.taps, field.columns.taps
        corners = field.q[:, (y[row] - field.region.top)[:, :, None], (x[column] - field.region.left)[:, None]]
        sampled = torch.einsum("bqijd,qi,qj->bqd", corners, wy[row].to(corners), wx[column].to(corners))
        return sampled.unflatten(-1, (self.config.heads, -1))

    # The cell-grouped order

    def render(self, field: StageField, cancel: Callable[[], bool] | None = None) -> Tensor:
        """Residual colours (B, R', S', 3) of the whole window, equal to `query` to float rounding.

        Cancelled once cancel() is true.
        """
        batch, rows, columns = len(field.q), len(field.rows.nearest), len(field.columns.nearest)
        first, c = self.mlp[0], self.config
        values = first.weight[:, : self.values].reshape(-1, self.window, c.heads, c.width // c.heads)
        w1 = values.permute(2, 1, 3, 0).contiguous()  # (M, P, d, H1)
        constant = first.bias + first.weight[:, self.values : self.values + 2] @ field.cell
        out = field.q.new_zeros(batch, rows, columns, 3)

        def place(part: tuple[Strip, Strip]) -> None:
            down, across = part
            out[:, down.queries[:, None], across.queries] = self._render_latents(field, *part, w1, constant)

        for _ in parallel_map(place, self._parts(field), cancel, out.device):
            pass
        return out

    def survey(self, field: StageField, cancel: Callable[[], bool] | None = None) -> Tensor:
        """How wide and whereto each head looks, of the whole window: (B, R', S', M, 3), from the weights of `render`.

        Per head the entropy of its weights in bits, and the mean offset (dy, dx) from the query to where
        they fall, in latents of this stage. Cancelled once cancel() is true.
        """
        shape = len(field.q), len(field.rows.nearest), len(field.columns.nearest), self.config.heads, 3
        out = field.q.new_zeros(shape)
        radius = self.config.radius
        offset = torch.arange(-radius, radius + 1, device=out.device, dtype=out.dtype)
        offsets = torch.cartesian_prod(offset, offset)  # (P, 2)

        def place(part: tuple[Strip, Strip]) -> None:
            (down, across), found = part, []
            for weights in self._block_attention(field, *part, self._block_index(field, *part)):  # (N, n, P)
                bits = torch.special.entr(weights).sum(-1, keepdim=True) / math.log(2)
                found.append(torch.cat([bits, weights @ offsets], -1))
            out[:, down.queries[:, None], across.queries] = _unblocked(torch.stack(found, -2), *part)

        for _ in parallel_map(place, self._parts(field), cancel, out.device):
            pass
        # From the nearest latent, so far: the query lies beside it, by half its relative coordinate.
        out[..., 1] -= field.rows.rel[:, radius].to(out)[:, None, None] / 2
        out[..., 2] -= field.columns.rel[:, radius].to(out)[None, :, None] / 2
        return out

    def _parts(self, field: StageField) -> Iterator[tuple[Strip, Strip]]:
        """Blocks of latents alike, down and across. Every strip is in many blocks, and prepared once."""
        near = min(_LATENTS, _U_FLOATS // (self.window * self.config.hidden[0]))
        cached = field.q.device.type == "cpu" and not torch.is_grad_enabled()
        floats, most = (_FLOATS, max(1, near)) if cached else (_LARGE_FLOATS, _LARGE_LATENTS)
        side, region = 2 * self.config.radius + 1, field.region
        # The bias is spread over the window first: sums over its 49 numbers are quicker than over rows of seven.
        bias_y = field.bias_y.repeat_interleave(side, 1).permute(2, 0, 1).contiguous()  # (M, rows, P)
        bias_x = field.bias_x.repeat(1, side, 1).permute(2, 0, 1).contiguous()
        for y, i in _groups(field.rows.nearest):
            for x, j in _groups(field.columns.nearest):
                each = i.shape[1] * j.shape[1] * (self.window + self.config.hidden[0] + 4 * self.config.fourier)
                limit = max(1, min(floats // each, most) // len(field.q))
                strips: dict[tuple[int, int], Strip] = {}
                for rows, columns in blocks(len(y), len(x), limit):
                    down, across = (0, rows.start), (1, columns.start)
                    if down not in strips:
                        strips[down] = Strip.prepare(field.rows, y[rows], i[rows], region.top, side, bias_y)
                    if across not in strips:
                        strips[across] = Strip.prepare(field.columns, x[columns], j[columns], region.left, side, bias_x)
                    yield strips[down], strips[across]

    def _render_latents(self, field: StageField, down: Strip, across: Strip, w1: Tensor, constant: Tensor) -> Tensor:
        """R x S latents with a x b queries each: residuals (B, R a, S b, 3)."""
        m, n = self.config.heads, down.each * across.each
        first, index = self.mlp[0], self._block_index(field, down, across)
        values = F.embedding(index.T, field.v.flatten(0, 2)).unflatten(-1, (m, -1))  # (P, N, M, d)
        attention = self._block_attention(field, down, across, index)
        if n < _GROUPED_FROM:
            hidden = self._first_layer(torch.stack(list(attention), -1), values.transpose(0, 1)) + constant
        else:
            hidden = constant.repeat(len(index), n, 1)
            for weights, v, w in zip(attention, values.unbind(2), w1.unbind(), strict=True):
                u = torch.bmm(v, w).transpose(0, 1)  # (N, P, H1), once per latent
                # In mixed precision products are of a narrower type than softmax and parameters.
                hidden = hidden.to(u.dtype).baddbmm_(weights.to(u.dtype), u)
        if field.fourier is not None:
            fourier = self._block_fourier(field, down, across, index)
            hidden = hidden + fourier @ first.weight[:, self.values + 2 :].T
        return _unblocked(self.mlp.after_first(hidden.flatten(0, 1)).view(len(index), n, -1), down, across)

    def _block_index(self, field: StageField, down: Strip, across: Strip) -> Tensor:
        """(N, P): where the windows of a block's latents lie in the field's maps, as rows of one table."""
        batch, height, width = field.k.shape[:3]
        index = down.window[:, None, :, None] * width + across.window[:, None]  # (R, S, 2r+1, 2r+1)
        index = index.view(-1, self.window)
        return index if batch == 1 else torch.cat([index + b * height * width for b in range(batch)])

    def _block_attention(self, field: StageField, down: Strip, across: Strip, index: Tensor) -> Iterator[Tensor]:
        """The weights (N, n, P) of a block's queries, head by head. index: `_block_index`."""
        m, batch = self.config.heads, len(field.q)
        latents, n, d = len(index), down.each * across.each, self.config.width // m

        # Bilinear samples as products along each axis, the logits' scale in one of them. Only what the block touches.
        (r, h), w = down.sample.shape, across.sample.shape[1]
        q = field.q[:, down.first : down.first + h, across.first : across.first + w]
        q = (across.sample / math.sqrt(d)) @ (down.sample @ q.flatten(2)).view(batch, r, w, -1)
        q = (
            q.view(batch, down.count, down.each, across.count, across.each, m, d)
            .permute(5, 0, 1, 3, 2, 4, 6)
            .reshape(m, latents, n, d)
        )

        # Rows of one table, as an embedding: the gradient of that is the quick one.
        keys = F.embedding(index, field.k.flatten(0, 2)).unflatten(-1, (m, d)).transpose(1, 3)  # (N, d, M, P)
        bias_y, bias_x = down.bias[:, None, :, None, :, None], across.bias[:, None, None, :, None]
        for queries, near, along_y, along_x in zip(q, keys.unbind(2), bias_y, bias_x, strict=True):
            logits = torch.bmm(queries, near).view(batch, down.count, across.count, down.each, across.each, self.window)
            yield torch.softmax(logits.add_(along_y).add_(along_x), -1).view(latents, n, self.window)

    def _first_layer(self, weights: Tensor, values: Tensor) -> Tensor:
        """The first layer in the published order, the cheaper one for few queries per latent.

        weights: (N, n, P, M); values: (N, P, M, d). Returns (N, n, H1), without what the cell and the bias add.
        """
        weighted = weights[..., None] * values[:, None]  # (N, n, P, M, d)
        return weighted.flatten(2) @ self.mlp[0].weight[:, : self.values].T

    def _block_fourier(self, field: StageField, down: Strip, across: Strip, index: Tensor) -> Tensor:
        """`fourier` of a block's queries, (N, n, 2F). index: (N, P), see `_block_index`."""
        centre, shape = self.config.radius, (len(field.q), down.count, across.count, 1, 1, -1)
        maps = F.embedding(index[:, self.window // 2], field.fourier.flatten(0, 2)).view(shape)
        amplitude, frequency = maps.split(2 * self.config.fourier, -1)
        along_y, along_x = frequency.chunk(2, -1)
        rel_y = field.rows.rel[down.queries, centre].to(maps).view(down.count, 1, down.each, 1, 1)
        rel_x = field.columns.rel[across.queries, centre].to(maps).view(across.count, 1, across.each, 1)
        phase = math.pi * (along_y * rel_y + along_x * rel_x)
        return (amplitude * torch.cat([phase.cos(), phase.sin()], -1)).view(len(index), down.each * across.each, -1)


def _unblocked(answers: Tensor, down: Strip, across: Strip) -> Tensor:
    """A block's answers (N, n, ...) as rows and columns of its queries (B, R a, S b, ...)."""
    rest = answers.shape[2:]
    answers = answers.view(-1, down.count, across.count, down.each, across.each, *rest).transpose(2, 3)
    return answers.reshape(-1, len(down.queries), len(across.queries), *rest)


def _groups(nearest: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Group the latents of one axis by how many queries fall into their footprint.

    nearest: (Q,) ascending latent indices. Returns (latents (R,), queries (R, count)) per count.
    """
    latents, counts = torch.unique_consecutive(nearest, return_counts=True)
    starts = torch.cumsum(counts, 0) - counts
    groups = []
    for count in counts.unique().tolist():
        chosen = counts == count
        groups.append((latents[chosen], starts[chosen][:, None] + torch.arange(count, device=nearest.device)))
    return groups

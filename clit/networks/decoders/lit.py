"""Local attention (LIT: Chen et al., CVPR 2023, section 3.2): one stage of LIT and CLIT.

Each query attends to the (2r+1)^2 latents around its nearest one, by feature similarity and position. An MLP reads all
weighted values side by side. `query` and `attend` are the plain definition. `render` takes the fast order, grouped by
latent: all queries in one latent's footprint share its window. The MLP's first layer is linear, so its products with
the values (U = V W1) are computed once per latent and blended by the attention weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.config import CLITConfig
from clit.geometry import Region, View
from clit.networks.decoders import compiled
from clit.networks.decoders.base import Attended, Maps
from clit.networks.decoders.positional_bias import PositionalBias
from clit.networks.decoders.stage_axes import StageAxis, StagePlace
from clit.networks.decoders.weighing import WeighAndApply
from clit.networks.layers import MLP, Resampling, convolve_resampled, sample_points
from clit.system.threads import blocks, parallel_map

# Legend for shapes: B batch, Q queries, P = (2r+1)^2 latents of a window, M heads, D width, d = D / M, H1 first hidden
# width, F frequencies. Of a block of `render`: R x S latents with a x b queries each; N = B R S, n = a b.

# Largest block on a CPU: its latents, the numbers of U of one head (3 MB, so that U stays in the processor's cache),
# and the logits of one head together with the hidden layer.
_BLOCK_LATENTS, _BLOCK_U_FLOATS, _BLOCK_FLOATS = 144, 800_000, 1_600_000
# Blocks are larger with gradients, where every block adds to the gradients of whole maps, and on a GPU.
_LARGE_BLOCK_LATENTS, _LARGE_BLOCK_FLOATS = 4096, 4_000_000
_GROUPED_FROM = 2  # queries per latent from which computing U is cheaper than weighing the values of every query


@dataclass(frozen=True)
class StageField:
    """What one stage computes once per view. Maps are channels-last over `region`, zero outside the grid."""

    q: Tensor  # (B, h', w', D)
    k: Tensor
    v: Tensor
    region: Region
    grid: tuple[int, int]
    rows: StageAxis
    columns: StageAxis
    bias_y: Tensor  # (lattice rows, 2r+1, M); the positional bias is bias_y + bias_x
    bias_x: Tensor  # (lattice columns, 2r+1, M)
    cell: Tensor  # (2,)
    fourier: Tensor | None = None  # (B, h', w', 4F): amplitudes of cosines and sines, frequencies along y and x


@dataclass(frozen=True)
class Strip:
    """One axis of a block of `render`: R latents, each the nearest of exactly a queries."""

    count: int  # R
    each: int  # a
    queries: Tensor  # (R a,) indices into the lattice's axis
    window: Tensor  # (R, 2r+1) rows or columns of the field's maps
    first: int  # first row or column of the maps that `sample` reads
    sample: Tensor  # (R a, rows or columns read): matrix that interpolates the maps at the queries
    bias: Tensor  # (M, R, a, P)

    @staticmethod
    def prepare(axis: StageAxis, latents: Tensor, queries: Tensor, start: int, side: int, bias: Tensor) -> Strip:
        """Prepare the strip of latents (R,) and their queries (R, a), indices into the lattice's axis.

        start: the field's first row or column on the grid. side: 2r+1. bias: (M, all queries of the axis, P).
        """
        flat = queries.flatten()
        window = latents[:, None] + torch.arange(-(side // 2) - start, side - side // 2 - start, device=latents.device)
        index, weight = axis.taps.select(flat)
        first, last = int(index.min()), int(index.max())
        sample = weight.new_zeros(len(flat), last + 1 - first).scatter_add_(1, index - first, weight)
        return Strip(*queries.shape, flat, window, first - start, sample.to(bias), bias[:, queries])


class LocalAttention(nn.Module):
    """The q, k, v convolutions and the MLP of one stage. Stages share the positional bias, so it is passed in."""

    def __init__(self, config: CLITConfig):
        super().__init__()
        self.config = config
        self.window = (2 * config.radius + 1) ** 2  # P
        self.query_conv, self.key_conv, self.value_conv = (
            nn.Conv2d(config.width, config.width, 3, padding=1) for _ in range(3)
        )
        self.fourier_conv = nn.Conv2d(config.width, 4 * config.fourier, 3, padding=1) if config.fourier else None
        # The softmax makes the MLP's inputs about P times smaller than its initialisation assumes, so start with
        # larger values.
        with torch.no_grad():
            self.value_conv.weight *= 2 * config.radius + 1
            self.value_conv.bias *= 2 * config.radius + 1
            if self.fourier_conv is not None:  # at first at most half a wave within a latent's footprint
                nn.init.uniform_(self.fourier_conv.bias[2 * config.fourier :], -0.5, 0.5)
        self.value_inputs = self.window * config.width  # the MLP's first inputs; the cell and Fourier features follow
        self.mlp = MLP([self.value_inputs + 2 + 2 * config.fourier, *config.hidden, 3], nn.GELU)

    def work(self, queries_per_latent: float) -> float:
        """Return the multiply-adds per output pixel in the fast order: P D H1 / n + M P H1 + P D + rest of the MLP."""
        c, p, hidden = self.config, self.window, self.config.hidden
        rest = sum(a * b for a, b in zip(hidden, hidden[1:], strict=False)) + 3 * hidden[-1]
        rest += 2 * c.fourier * hidden[0]
        return p * c.width * hidden[0] / queries_per_latent + c.heads * p * hidden[0] + p * c.width + rest

    def block_floats(self) -> int:
        """Return about how many numbers one block of `render` holds at once."""
        c = self.config
        return _BLOCK_LATENTS * self.window * (2 * c.width + c.hidden[0]) + 3 * _BLOCK_FLOATS

    def convs(self) -> list[nn.Conv2d]:
        """Return the convolutions that make this stage's maps: q, k, v, and the Fourier branch if there is one."""
        convs = [self.query_conv, self.key_conv, self.value_conv, self.fourier_conv]
        return [conv for conv in convs if conv is not None]

    def project(self, z: Tensor) -> Maps:
        """Return the maps (B, h, w, channels) that `convs` make of z (B, h + 2, w + 2, D)."""
        convs = self.convs()
        maps = F.conv2d(z.permute(0, 3, 1, 2), torch.cat([c.weight for c in convs]), torch.cat([c.bias for c in convs]))
        channels = [c.out_channels for c in convs]
        return tuple(m.contiguous() for m in maps.permute(0, 2, 3, 1).split(channels, -1))

    def project_resampled(self, z: Tensor, rows: Resampling, columns: Resampling) -> Maps:
        """Return the maps that `convs` make of z (B, h, w, D) resampled to this stage's grid."""
        return tuple(convolve_resampled(conv, z, rows, columns) for conv in self.convs())

    def prepare(self, maps: Maps, place: StagePlace, view: View, bias: PositionalBias) -> StageField:
        """Return the field of maps over the place's region, zero outside its grid."""
        grid, rows, columns, region = place.grid, place.rows, place.columns, place.region
        # Contiguous, because every block would copy a part of a larger map before it could index it.
        q, k, v, *fourier = (m.contiguous() for m in maps)
        cell = torch.tensor([2 / view.size[0], 2 / view.size[1]]) * torch.tensor(grid)
        return StageField(
            q, k, v, region, grid, rows, columns, bias.along_y(rows.rel), bias.along_x(columns.rel),
            cell.to(q.device, q.dtype), *fourier,
        )  # fmt: skip

    # The plain definition

    def attend(self, field: StageField, row: Tensor, column: Tensor) -> Attended:
        """Return the attention of queries `row`, `column` (Q,): indices into the lattice."""
        keys = self._gather_windows(field.k, field, row, column)  # (B, Q, P, M, d)
        query = self._sample_q(field, row, column)  # (B, Q, M, d)
        content = torch.einsum("bqmd,bqpmd->bqmp", query, keys) / math.sqrt(query.shape[-1])
        position = field.bias_y[row][:, :, None] + field.bias_x[column][:, None]  # (Q, 2r+1, 2r+1, M)
        position = position.flatten(1, 2).transpose(1, 2).expand_as(content)
        offset = self._make_offsets(row.device)
        rows, columns = field.rows.nearest[row][:, None] + offset, field.columns.nearest[column][:, None] + offset
        return Attended(torch.softmax(content + position, -1), content, position, rows, columns, field.grid)

    def weigh_values(self, field: StageField, row: Tensor, column: Tensor, weights: Tensor) -> Tensor:
        """Return each value of the windows times its weight: (B, Q, P, D). weights: (B, Q, M, P)."""
        values = self._gather_windows(field.v, field, row, column)
        return (weights.transpose(2, 3)[..., None] * values).flatten(-2)

    def compute_fourier(self, field: StageField, row: Tensor, column: Tensor) -> Tensor:
        """Return the local Fourier features (B, Q, 2F) of the nearest latent, as in LTE. F is 0 without the branch.

        The paper describes such a branch inside LIT (section 3.2); the released code has none. Here the MLP reads the
        features after the weighted values and the cell.
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
        """Apply the MLP to [a_1 V_1, ..., a_P V_P, cell, fourier]: (B, Q, P, D), (B, Q, 2F) -> residual (B, Q, 3)."""
        flat = weighted.flatten(2)
        return self.mlp(torch.cat([flat, field.cell.expand(*flat.shape[:2], 2), fourier], -1))

    def query(self, field: StageField, row: Tensor, column: Tensor) -> Tensor:
        """Return residual colours (B, Q, 3) at `row`, `column` (Q,): indices into the lattice."""
        weights = self.attend(field, row, column).weights
        weighted = self.weigh_values(field, row, column, weights)
        return self.decode(field, weighted, self.compute_fourier(field, row, column))

    def leave_out(self, field: StageField, row: Tensor, column: Tensor, weights: Tensor, without: Tensor) -> Tensor:
        """Return the exact change of the residual when the values of sets of latents are left out: (B, Q, N, 3).

        weights: (B, Q, M, P), what `attend` found. without: (Q, N, P) bool, True where a latent is left out.
        """
        weighted = self.weigh_values(field, row, column, weights)  # (B, Q, P, D)
        (batch, queries, _, _), count = weighted.shape, without.shape[1]
        kept = (~without).to(weighted.dtype)
        rest = (weighted[:, :, None] * kept[..., None]).flatten(1, 2)  # (B, Q N, P, D)
        # Decode a copy of the unchanged values for each case: a product of another shape would round differently.
        whole = weighted[:, :, None].expand(-1, -1, count, -1, -1).flatten(1, 2)
        fourier = self.compute_fourier(field, row, column).repeat_interleave(count, 1)
        change = self.decode(field, rest, fourier) - self.decode(field, whole, fourier)
        return change.view(batch, queries, count, 3)

    def _gather_windows(self, map: Tensor, field: StageField, row: Tensor, column: Tensor) -> Tensor:
        """Return the windows of queries in one of the field's maps: (B, Q, P, M, d)."""
        offset = self._make_offsets(row.device)
        y = field.rows.nearest[row][:, None] - field.region.top + offset
        x = field.columns.nearest[column][:, None] - field.region.left + offset
        windows = map[:, y[:, :, None], x[:, None, :]]  # (B, Q, 2r+1, 2r+1, D)
        return windows.flatten(2, 3).unflatten(-1, (self.config.heads, -1))

    def _make_offsets(self, device: torch.device) -> Tensor:
        """Return the offsets (2r+1,) of a window's latents from its centre, along one axis."""
        return torch.arange(-self.config.radius, self.config.radius + 1, device=device)

    def _sample_q(self, field: StageField, row: Tensor, column: Tensor) -> Tensor:
        """Return bilinear samples of q at queries: (B, Q, M, d)."""
        rows = field.rows.taps.select(row).shift(-field.region.top)
        columns = field.columns.taps.select(column).shift(-field.region.left)
        return sample_points(field.q, rows, columns).unflatten(-1, (self.config.heads, -1))

    # The fast order, grouped by latent

    def render(self, field: StageField, cancel: Callable[[], bool] | None = None) -> Tensor:
        """Return residual colours (B, lattice rows, lattice columns, 3), equal to `query` to float rounding.

        Raises Cancelled soon after cancel() has become true.
        """
        if compiled.applies(field.q):
            return compiled.render_attention(self, field, cancel)
        batch, rows, columns = len(field.q), len(field.rows.nearest), len(field.columns.nearest)
        first, c = self.mlp[0], self.config
        values = first.weight[:, : self.value_inputs].reshape(-1, self.window, c.heads, c.width // c.heads)
        w1 = values.permute(2, 1, 3, 0).contiguous()  # (M, P, d, H1)
        constant = first.bias + first.weight[:, self.value_inputs : self.value_inputs + 2] @ field.cell
        out = field.q.new_zeros(batch, rows, columns, 3)

        def render_block(block: tuple[Strip, Strip]) -> None:
            down, across = block
            out[:, down.queries[:, None], across.queries] = self._render_block(field, down, across, w1, constant)

        for _ in parallel_map(render_block, self._cut_blocks(field), cancel, out.device):
            pass
        return out

    def survey(self, field: StageField, cancel: Callable[[], bool] | None = None) -> Tensor:
        """Return, per head, how widely and where it looks: (B, lattice rows, lattice columns, M, 3).

        The three numbers are the entropy of the head's weights in bits, and the weighted mean offset (dy, dx) from the
        query to the latents, in latents of this stage. The weights are those of `render`. Raises Cancelled soon after
        cancel() has become true.
        """
        if compiled.applies(field.q):
            return compiled.survey_attention(self, field, cancel)
        shape = len(field.q), len(field.rows.nearest), len(field.columns.nearest), self.config.heads, 3
        out = field.q.new_zeros(shape)
        radius, offset = self.config.radius, self._make_offsets(out.device).to(out.dtype)
        offsets = torch.cartesian_prod(offset, offset)  # (P, 2)

        def survey_block(block: tuple[Strip, Strip]) -> None:
            (down, across), found = block, []
            for weights in self._attend_block(field, down, across, self._index_block(field, down, across)):  # (N, n, P)
                bits = torch.special.entr(weights).sum(-1, keepdim=True) / math.log(2)
                found.append(torch.cat([bits, weights @ offsets], -1))
            out[:, down.queries[:, None], across.queries] = _arrange_block(torch.stack(found, -2), down, across)

        for _ in parallel_map(survey_block, self._cut_blocks(field), cancel, out.device):
            pass
        # These offsets start at the nearest latent. The query lies beside it, by half its relative coordinate.
        out[..., 1] -= field.rows.rel[:, radius].to(out)[:, None, None] / 2
        out[..., 2] -= field.columns.rel[:, radius].to(out)[None, :, None] / 2
        return out

    def _cut_blocks(self, field: StageField) -> Iterator[tuple[Strip, Strip]]:
        """Yield the strips down and across of blocks that cover the lattice.

        In one block all latents have equally many queries. Many blocks share a strip, so each is prepared once.
        """
        small = field.q.device.type == "cpu" and not torch.is_grad_enabled()
        most = min(_BLOCK_LATENTS, max(1, _BLOCK_U_FLOATS // (self.window * self.config.hidden[0])))
        floats, most = (_BLOCK_FLOATS, most) if small else (_LARGE_BLOCK_FLOATS, _LARGE_BLOCK_LATENTS)
        side, region = 2 * self.config.radius + 1, field.region
        # Expand both biases to the whole window first: adding runs of 49 numbers is quicker than adding runs of 7.
        bias_y = field.bias_y.repeat_interleave(side, 1).permute(2, 0, 1).contiguous()  # (M, lattice rows, P)
        bias_x = field.bias_x.repeat(1, side, 1).permute(2, 0, 1).contiguous()
        for y, i in _group_latents(field.rows.nearest):
            for x, j in _group_latents(field.columns.nearest):
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

    def _render_block(self, field: StageField, down: Strip, across: Strip, w1: Tensor, constant: Tensor) -> Tensor:
        """Return the residuals (B, R a, S b, 3) of a block.

        w1: (M, P, d, H1), the first layer's weights for the values. constant: (H1,), its bias and what the cell adds.
        """
        m, n = self.config.heads, down.each * across.each
        first, index = self.mlp[0], self._index_block(field, down, across)
        if n < _GROUPED_FROM and compiled.fits(field.q):
            hidden = self._apply_compiled(field, down, across, index) + constant
        elif n < _GROUPED_FROM:
            values = F.embedding(index, field.v.flatten(0, 2)).unflatten(-1, (m, -1))  # (N, P, M, d)
            attention = self._attend_block(field, down, across, index)
            hidden = self._apply_first_layer(torch.stack(list(attention), -1), values) + constant
        else:
            values = F.embedding(index.T, field.v.flatten(0, 2)).unflatten(-1, (m, -1))  # (P, N, M, d)
            attention = self._attend_block(field, down, across, index)
            hidden = constant.repeat(len(index), n, 1)
            for weights, v, w in zip(attention, values.unbind(2), w1.unbind(), strict=True):
                u = torch.bmm(v, w).transpose(0, 1)  # (N, P, H1), once per latent
                # In mixed precision, products have a narrower type than the softmax and the parameters.
                hidden = hidden.to(u.dtype).baddbmm_(weights.to(u.dtype), u)
        if field.fourier is not None:
            fourier = self._compute_block_fourier(field, down, across, index)
            hidden = hidden + fourier @ first.weight[:, self.value_inputs + 2 :].T
        return _arrange_block(self.mlp.after_first(hidden.flatten(0, 1)).view(len(index), n, -1), down, across)

    def _index_block(self, field: StageField, down: Strip, across: Strip) -> Tensor:
        """Return the indices (N, P) of the windows' latents in the field's maps flattened to (B h' w', .)."""
        batch, height, width = field.k.shape[:3]
        index = down.window[:, None, :, None] * width + across.window[:, None]  # (R, S, 2r+1, 2r+1)
        index = index.view(-1, self.window)
        return index if batch == 1 else torch.cat([index + b * height * width for b in range(batch)])

    def _attend_block(self, field: StageField, down: Strip, across: Strip, index: Tensor) -> Iterator[Tensor]:
        """Yield each head's weights (N, n, P) of a block's queries. index: (N, P) from `_index_block`."""
        m, n, d = self.config.heads, down.each * across.each, self.config.width // self.config.heads
        q = self._sample_block_q(field, down, across)
        q = q.unflatten(-1, (m, d)).permute(5, 0, 1, 3, 2, 4, 6).reshape(m, len(index), n, d)

        # Gather by F.embedding, because its gradient is quicker than that of indexing.
        keys = F.embedding(index, field.k.flatten(0, 2)).unflatten(-1, (m, d)).transpose(1, 3)  # (N, d, M, P)
        bias_y, bias_x = down.bias[:, None, :, None, :, None], across.bias[:, None, None, :, None]
        for queries, near, along_y, along_x in zip(q, keys.unbind(2), bias_y, bias_x, strict=True):
            logits = torch.bmm(queries, near).view(-1, down.count, across.count, down.each, across.each, self.window)
            yield torch.softmax(logits.add_(along_y).add_(along_x), -1).view(len(index), n, self.window)

    def _sample_block_q(self, field: StageField, down: Strip, across: Strip) -> Tensor:
        """Return samples of q, divided by sqrt(d), at a block's queries: (B, R, a, S, b, D)."""
        # One product along each axis, over the rows and columns the block reads. The second also applies the scale.
        batch, (r, h), w = len(field.q), down.sample.shape, across.sample.shape[1]
        q = field.q[:, down.first : down.first + h, across.first : across.first + w]
        scaled = across.sample / math.sqrt(self.config.width // self.config.heads)
        q = scaled @ (down.sample @ q.flatten(2)).view(batch, r, w, -1)
        return q.view(batch, down.count, down.each, across.count, across.each, -1)

    def _apply_compiled(self, field: StageField, down: Strip, across: Strip, index: Tensor) -> Tensor:
        """Do as `_apply_first_layer`, and the attention before it, for blocks of one query per latent: (N, 1, H1)."""
        batch, count = len(field.q), down.count * across.count
        q = self._sample_block_q(field, down, across).reshape(batch, count, -1)
        bias = (down.bias + across.bias.transpose(1, 2)).permute(1, 2, 0, 3).flatten(0, 1)  # (R S, M, P)
        weight = self.mlp[0].weight[:, : self.value_inputs]
        hidden = WeighAndApply.apply(q, field.k.flatten(1, 2), field.v.flatten(1, 2), index[:count], bias, weight)
        return hidden.view(batch * count, 1, -1)

    def _apply_first_layer(self, weights: Tensor, values: Tensor) -> Tensor:
        """Apply the first layer in the published order, which is cheaper for few queries per latent.

        weights: (N, n, P, M); values: (N, P, M, d). Returns (N, n, H1), without the bias and what the cell adds.
        """
        weighted = weights[..., None] * values[:, None]  # (N, n, P, M, d)
        return weighted.flatten(2) @ self.mlp[0].weight[:, : self.value_inputs].T

    def _compute_block_fourier(self, field: StageField, down: Strip, across: Strip, index: Tensor) -> Tensor:
        """Return the Fourier features (N, n, 2F) of a block's queries. index: (N, P) from `_index_block`."""
        centre, shape = self.config.radius, (len(field.q), down.count, across.count, 1, 1, -1)
        maps = F.embedding(index[:, self.window // 2], field.fourier.flatten(0, 2)).view(shape)
        amplitude, frequency = maps.split(2 * self.config.fourier, -1)
        along_y, along_x = frequency.chunk(2, -1)
        rel_y = field.rows.rel[down.queries, centre].to(maps).view(down.count, 1, down.each, 1, 1)
        rel_x = field.columns.rel[across.queries, centre].to(maps).view(across.count, 1, across.each, 1)
        phase = math.pi * (along_y * rel_y + along_x * rel_x)
        return (amplitude * torch.cat([phase.cos(), phase.sin()], -1)).view(len(index), down.each * across.each, -1)


def _arrange_block(answers: Tensor, down: Strip, across: Strip) -> Tensor:
    """Arrange a block's answers (N, n, ...) by rows and columns of its queries: (B, R a, S b, ...)."""
    rest = answers.shape[2:]
    answers = answers.view(-1, down.count, across.count, down.each, across.each, *rest).transpose(2, 3)
    return answers.reshape(-1, len(down.queries), len(across.queries), *rest)


def _group_latents(nearest: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Group the latents of one axis by the number of queries in their footprint.

    nearest: (Q,) ascending latent indices. Returns the latents (R,) and their queries (R, count), for each count.
    """
    latents, counts = torch.unique_consecutive(nearest, return_counts=True)
    starts = torch.cumsum(counts, 0) - counts
    groups = []
    for count in counts.unique().tolist():
        chosen = counts == count
        groups.append((latents[chosen], starts[chosen][:, None] + torch.arange(count, device=nearest.device)))
    return groups

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
    linear_taps,
    nearest_latent,
    pixel_centres,
    relative_coordinates,
    to_pixels,
)
from clit.layers import (
    MLP,
    PositionalBias,
    Region,
    Resampling,
    conv_resampled,
    outside_zero,
    sample_rows,
)
from clit.parallel import blocks, spread

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
    def prepare(n_out: int, n: int, pixels: Tensor, radius: int) -> StageAxis:
        centres = pixel_centres(n_out, pixels)
        positions = to_pixels(centres, n)
        nearest = nearest_latent(positions, n)
        rel = relative_coordinates(centres, nearest, n, radius)
        return StageAxis(nearest, rel, linear_taps(positions, n, "zeros"))


def stage_region(rows: StageAxis, columns: StageAxis, radius: int) -> Region:
    """The latents that queries on these axes touch: their windows, and the taps of the query sample."""
    reach = max(radius, 1)
    return Region(
        int(rows.nearest.min()), int(columns.nearest.min()),
        int(rows.nearest.max()) + 1, int(columns.nearest.max()) + 1,
    ).grown(reach)  # fmt: skip


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
class Attended:
    """Attention of some queries: softmax(content + position) = weights, each (B, Q, M, P)."""

    weights: Tensor
    content: Tensor
    position: Tensor


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

    def project(self, z: Tensor) -> tuple[Tensor, ...]:
        """The maps (B, h, w, channels) that `convs` make of a map (B, h + 2, w + 2, D)."""
        convs = self.convs()
        maps = F.conv2d(z.permute(0, 3, 1, 2), torch.cat([c.weight for c in convs]), torch.cat([c.bias for c in convs]))
        channels = [c.out_channels for c in convs]
        return tuple(m.contiguous() for m in maps.permute(0, 2, 3, 1).split(channels, -1))

    def project_resampled(self, z: Tensor, rows: Resampling, columns: Resampling) -> tuple[Tensor, ...]:
        """As `project`, of z (B, h, w, D) resampled to this stage's grid."""
        return tuple(conv_resampled(conv, z, rows, columns) for conv in self.convs())

    def prepare(
        self,
        maps: tuple[Tensor, ...],
        region: Region,
        grid: tuple[int, int],
        rows: StageAxis,
        columns: StageAxis,
        size: tuple[int, int],
        bias: PositionalBias,
    ) -> StageField:
        """The field of `project`'s maps over `region`: what lies outside the grid becomes zero, the bias a table."""
        q, k, v, *fourier = (outside_zero(m, region, grid) for m in maps)
        cell = torch.tensor([2 / size[0], 2 / size[1]]) * torch.tensor(grid)
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
        return Attended(torch.softmax(content + position, -1), content, position)

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

    def _windows(self, map: Tensor, field: StageField, row: Tensor, column: Tensor) -> Tensor:
        y, x = self._window_index(field, field.rows.nearest[row], field.columns.nearest[column])
        windows = map[:, y[:, :, None], x[:, None, :]]  # (B, Q, 2r+1, 2r+1, D)
        return windows.flatten(2, 3).unflatten(-1, (self.config.heads, -1))

    def _window_index(self, field: StageField, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Rows and columns, within the field's maps, of the windows of latents y and x: (..., 2r+1) each."""
        r = self.config.radius
        offset = torch.arange(-r, r + 1, device=y.device)
        return y[:, None] - field.region.top + offset, x[:, None] - field.region.left + offset

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

        def place(part: tuple[Tensor, ...]) -> None:
            y, x, i, j = part
            out[:, i.flatten()[:, None], j.flatten()] = self._render_latents(field, y, x, i, j, w1, constant)

        for _ in spread(place, self._parts(field), cancel, out.device):
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

        def place(part: tuple[Tensor, ...]) -> None:
            y, x, i, j = part
            attend, found = self._block_attention(field, y, x, i, j), []
            for head in range(self.config.heads):
                weights = attend(head)  # (N, n, P)
                bits = torch.special.entr(weights).sum(-1, keepdim=True) / math.log(2)
                found.append(torch.cat([bits, weights @ offsets], -1))
            out[:, i.flatten()[:, None], j.flatten()] = _unblocked(torch.stack(found, -2), i, j)

        for _ in spread(place, self._parts(field), cancel, out.device):
            pass
        # From the nearest latent, so far: the query lies beside it, by half its relative coordinate.
        out[..., 1] -= field.rows.rel[:, radius].to(out)[:, None, None] / 2
        out[..., 2] -= field.columns.rel[:, radius].to(out)[None, :, None] / 2
        return out

    def _parts(self, field: StageField) -> Iterator[tuple[Tensor, ...]]:
        """Blocks of latents alike: rows y (R,), columns x (S,), their queries' rows i (R, a) and columns j (S, b)."""
        near = min(_LATENTS, _U_FLOATS // (self.window * self.config.hidden[0]))
        cached = field.q.device.type == "cpu" and not torch.is_grad_enabled()
        floats, most = (_FLOATS, max(1, near)) if cached else (_LARGE_FLOATS, _LARGE_LATENTS)
        for y, i in _groups(field.rows.nearest):
            for x, j in _groups(field.columns.nearest):
                each = i.shape[1] * j.shape[1] * (self.window + self.config.hidden[0] + 4 * self.config.fourier)
                limit = max(1, min(floats // each, most) // len(field.q))
                for rows, columns in blocks(len(y), len(x), limit):
                    yield y[rows], x[columns], i[rows], j[columns]

    def _render_latents(
        self, field: StageField, y: Tensor, x: Tensor, i: Tensor, j: Tensor, w1: Tensor, constant: Tensor
    ) -> Tensor:
        """R x S latents with a x b queries each: residuals (B, R a, S b, 3)."""
        m, batch = self.config.heads, len(field.q)
        latents, n, d = batch * len(y) * len(x), i.shape[1] * j.shape[1], self.config.width // m
        first, index = self.mlp[0], self._block_index(field, y, x)
        values = F.embedding(index.T, field.v.flatten(0, 2)).unflatten(-1, (m, d))  # (P, N, M, d)
        attend = self._block_attention(field, y, x, i, j)
        if n < _GROUPED_FROM:
            weights = torch.stack([attend(head) for head in range(m)], -1)  # (N, n, P, M)
            hidden = self._first_layer(weights, values.transpose(0, 1)) + constant
        else:
            hidden = constant.repeat(latents, n, 1)
            for head in range(m):
                u = torch.bmm(values[:, :, head], w1[head])  # (P, N, H1), once per latent
                # In mixed precision products are of a narrower type than softmax and parameters.
                hidden = hidden.to(u).baddbmm_(attend(head).to(u), u.transpose(0, 1))
        if field.fourier is not None:
            hidden = hidden + self._block_fourier(field, index, i, j) @ first.weight[:, self.values + 2 :].T
        return _unblocked(self.mlp.after_first(hidden.flatten(0, 1)).unflatten(0, (latents, n)), i, j)

    def _block_index(self, field: StageField, y: Tensor, x: Tensor) -> Tensor:
        """(N, P): where the windows of a block's latents lie in the field's maps, as rows of one table."""
        rows, columns = self._window_index(field, y, x)  # (R, 2r+1), (S, 2r+1)
        height, width = field.k.shape[1:3]
        index = (rows[:, None, :, None] * width + columns[None, :, None, :]).view(1, -1, self.window)
        batches = torch.arange(len(field.q), device=index.device).view(-1, 1, 1)
        return (index + batches * height * width).flatten(0, 1)

    def _block_attention(
        self, field: StageField, y: Tensor, x: Tensor, i: Tensor, j: Tensor
    ) -> Callable[[int], Tensor]:
        """Of a block's queries, the function from a head to its weights (N, n, P)."""
        (r, a), (s, b), m, batch = i.shape, j.shape, self.config.heads, len(field.q)
        latents, n, d = batch * r * s, a * b, self.config.width // m
        # Rows of one table, as an embedding: the gradient of that is the quick one.
        index = self._block_index(field, y, x)
        keys = F.embedding(index, field.k.flatten(0, 2)).unflatten(-1, (m, d))  # (N, P, M, d)

        (ty, wy), (tx, wx) = field.rows.taps, field.columns.taps
        i_flat, j_flat = i.flatten(), j.flatten()
        # Only the columns this block touches are interpolated.
        first, last = int(tx[j_flat].min()), int(tx[j_flat].max())
        near = field.q[:, :, first - field.region.left : last + 1 - field.region.left]
        q = sample_rows(near, ty[i_flat] - field.region.top, wy[i_flat].to(near))
        # Along the columns as a product, with the logits' scale in it: one pass over all queries instead of six.
        across = wx.new_zeros(len(j_flat), last + 1 - first).scatter_add_(1, tx[j_flat] - first, wx[j_flat])
        q = torch.matmul(across.to(near) / math.sqrt(d), q)
        q = q.view(batch, r, a, s, b, m, d).permute(5, 0, 1, 3, 2, 4, 6).reshape(m, latents, n, d)

        # The bias is spread over the window first: sums over its 49 numbers are quicker than over rows of seven.
        side = 2 * self.config.radius + 1
        bias_y = (
            field.bias_y[i].repeat_interleave(side, 2).permute(3, 0, 1, 2)[:, :, None, :, None]
        )  # (M, R, 1, a, 1, P)
        bias_x = field.bias_x[j].repeat(1, 1, side, 1).permute(3, 0, 1, 2)[:, :, None]  # (M, S, 1, b, P)
        bias_y, bias_x = bias_y.contiguous(), bias_x.contiguous()

        def attend(head: int) -> Tensor:
            logits = torch.bmm(q[head], keys[:, :, head].transpose(1, 2)).view(batch, r, s, a, b, -1)
            return torch.softmax(logits.add_(bias_y[head]).add_(bias_x[head]), -1).view(latents, n, -1)

        return attend

    def _first_layer(self, weights: Tensor, values: Tensor) -> Tensor:
        """The first layer in the published order, the cheaper one for few queries per latent.

        weights: (N, n, P, M); values: (N, P, M, d). Returns (N, n, H1), without what the cell and the bias add.
        """
        weighted = weights[..., None] * values[:, None]  # (N, n, P, M, d)
        return weighted.flatten(2) @ self.mlp[0].weight[:, : self.values].T

    def _block_fourier(self, field: StageField, index: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """`fourier` of a block's queries, (N, n, 2F). index: (N, P), see `_block_index`."""
        (r, a), (s, b), centre = i.shape, j.shape, self.config.radius
        maps = F.embedding(index[:, self.window // 2], field.fourier.flatten(0, 2)).view(len(field.q), r, s, 1, 1, -1)
        amplitude, frequency = maps.split(2 * self.config.fourier, -1)
        along_y, along_x = frequency.chunk(2, -1)
        rel_y = field.rows.rel[i, centre].to(maps).view(r, 1, a, 1, 1)
        rel_x = field.columns.rel[j, centre].to(maps).view(s, 1, b, 1)
        phase = math.pi * (along_y * rel_y + along_x * rel_x)
        return (amplitude * torch.cat([phase.cos(), phase.sin()], -1)).view(len(index), a * b, -1)


def _unblocked(answers: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """A block's answers (N, n, ...) as rows and columns of its queries (B, R a, S b, ...)."""
    (r, a), (s, b) = i.shape, j.shape
    rest = answers.shape[2:]
    return answers.view(-1, r, s, a, b, *rest).transpose(2, 3).reshape(-1, r * a, s * b, *rest)


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

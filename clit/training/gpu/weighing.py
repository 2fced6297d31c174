"""Local attention of many queries, forwards and backwards, by Triton; and its plain twin.

Each program of a kernel treats one query and one head: it reads the window's keys, makes the softmax, and writes every
value of the window times its weight. The gradients of keys and values add up by atomic additions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # then the plain twin does
    triton = None

# Legend for shapes: B crops, L queries along each axis, R latents along each axis of a map, S = 2r+1 and P = S^2
# latents of a window, M heads of width d, D = M d.


def weigh(q: Tensor, k: Tensor, v: Tensor, first: Tensor, bias_y: Tensor, bias_x: Tensor) -> Tensor:
    """Return the values of each query's window times their weights: (B L L, P D), bfloat16 on a GPU.

    q: (B, L, L, M, d). k, v: maps (B, R, R, M, d). first: (2, B, L) int32, the first row and column of each query's
    window. bias_y, bias_x: (B, L, S, M), what the place adds to the logits.
    """
    width = q.shape[-1]
    if q.is_cuda and triton is not None and width & (width - 1) == 0:  # Triton's blocks are powers of two
        return _Weigh.apply(q, k, v, first, bias_y, bias_x)
    return weigh_plain(q, k, v, first, bias_y, bias_x)


def weigh_plain(q: Tensor, k: Tensor, v: Tensor, first: Tensor, bias_y: Tensor, bias_x: Tensor) -> Tensor:
    """Do as `weigh`, by the plain definition."""
    (batch, rows, _, _, width), side = q.shape, bias_y.shape[2]
    window = torch.arange(side, device=q.device)
    y, x = first[0].long()[..., None] + window, first[1].long()[..., None] + window  # (B, L, S)
    crop = torch.arange(batch, device=q.device)[:, None, None, None, None]
    index = crop, y[:, :, None, :, None], x[:, None, :, None]
    keys, values = (m[index].flatten(3, 4) for m in (k, v))  # (B, L, L, P, M, d)
    logits = torch.einsum("bijmd,bijpmd->bijpm", q, keys) / math.sqrt(width)
    bias = bias_y[:, :, None, :, None] + bias_x[:, None, :, None]  # (B, L, L, S, S, M)
    weights = torch.softmax(logits + bias.flatten(3, 4), 3)
    return (weights[..., None] * values).view(batch * rows * rows, -1)


if triton is not None:

    @triton.jit
    def _find_window(n, first, B, L, R, S: tl.constexpr, P: tl.constexpr, BLOCK: tl.constexpr):
        """Return a query's crop, row and column, and for its window: which places are used, their y, x, latents."""
        b, i, j = n // (L * L), (n // L) % L, n % L
        place = tl.arange(0, BLOCK)
        used = place < P
        dy, dx = place // S, place % S
        y, x = tl.load(first + b * L + i), tl.load(first + (B + b) * L + j)
        return b, i, j, place, used, dy, dx, (b * R + y + dy) * R + x + dx

    @triton.jit
    def _forward(
        q, k, v, first, bias_y, bias_x, weighted, weights, k_step, v_step, B, L, R, scale,
        M: tl.constexpr, WIDTH: tl.constexpr, S: tl.constexpr, P: tl.constexpr, BLOCK: tl.constexpr,
    ):  # fmt: skip
        n, m = tl.program_id(0).to(tl.int64), tl.program_id(1)
        b, i, j, place, used, dy, dx, latent = _find_window(n, first, B, L, R, S, P, BLOCK)
        part = m * WIDTH + tl.arange(0, WIDTH)
        query = tl.load(q + n * M * WIDTH + part)
        keys = tl.load(k + latent[:, None] * k_step + part[None, :], mask=used[:, None], other=0.0)
        logits = tl.sum(keys * query[None, :], 1) * scale
        logits += tl.load(bias_y + ((b * L + i) * S + dy) * M + m, mask=used, other=0.0)
        logits += tl.load(bias_x + ((b * L + j) * S + dx) * M + m, mask=used, other=0.0)
        logits = tl.where(used, logits, float("-inf"))
        power = tl.exp(logits - tl.max(logits, 0))
        a = power / tl.sum(power, 0)
        tl.store(weights + (n * M + m) * P + place, a, mask=used)
        values = tl.load(v + latent[:, None] * v_step + part[None, :], mask=used[:, None], other=0.0)
        out = weighted + (n * P + place[:, None]) * (M * WIDTH) + part[None, :]
        tl.store(out, (a[:, None] * values).to(weighted.dtype.element_ty), mask=used[:, None])

    @triton.jit
    def _backward(
        q, k, v, first, weights, grad, grad_q, grad_k, grad_v, grad_logits, k_step, v_step, B, L, R, scale,
        M: tl.constexpr, WIDTH: tl.constexpr, S: tl.constexpr, P: tl.constexpr, BLOCK: tl.constexpr,
    ):  # fmt: skip
        n, m = tl.program_id(0).to(tl.int64), tl.program_id(1)
        b, i, j, place, used, dy, dx, latent = _find_window(n, first, B, L, R, S, P, BLOCK)
        part = m * WIDTH + tl.arange(0, WIDTH)
        rows = used[:, None]
        a = tl.load(weights + (n * M + m) * P + place, mask=used, other=0.0)
        got = tl.load(grad + (n * P + place[:, None]) * (M * WIDTH) + part[None, :], mask=rows, other=0.0)
        got = got.to(tl.float32)
        to = latent[:, None] * (M * WIDTH) + part[None, :]
        tl.atomic_add(grad_v + to, a[:, None] * got, mask=rows, sem="relaxed")
        values = tl.load(v + latent[:, None] * v_step + part[None, :], mask=rows, other=0.0)
        along = tl.sum(got * values, 1)
        change = a * (along - tl.sum(a * along, 0))
        tl.store(grad_logits + (n * M + m) * P + place, change, mask=used)
        keys = tl.load(k + latent[:, None] * k_step + part[None, :], mask=rows, other=0.0)
        query = tl.load(q + n * M * WIDTH + part)
        tl.store(grad_q + n * M * WIDTH + part, tl.sum(change[:, None] * keys, 0) * scale)
        tl.atomic_add(grad_k + to, change[:, None] * query[None, :] * scale, mask=rows, sem="relaxed")


class _Weigh(torch.autograd.Function):
    """`weigh` by the kernels."""

    @staticmethod
    def forward(ctx, q, k, v, first, bias_y, bias_x):
        batch, rows, _, heads, width = q.shape
        side, count, device = bias_y.shape[2], batch * rows * rows, q.device
        weighted = torch.empty(count, side**2 * heads * width, device=device, dtype=torch.bfloat16)
        weights = torch.empty(count, heads, side**2, device=device)
        q, bias_y, bias_x = q.contiguous(), bias_y.contiguous(), bias_x.contiguous()
        sizes = k.stride(2), v.stride(2), batch, rows, k.shape[1], 1 / math.sqrt(width)
        shape = dict(M=heads, WIDTH=width, S=side, P=side**2, BLOCK=triton.next_power_of_2(side**2))
        _forward[count, heads](q, k, v, first, bias_y, bias_x, weighted, weights, *sizes, **shape, num_warps=1)
        ctx.save_for_backward(q, k, v, first, weights)
        ctx.sizes, ctx.shape = sizes, shape
        return weighted

    @staticmethod
    def backward(ctx, grad):
        q, k, v, first, weights = ctx.saved_tensors
        batch, rows, _, heads, width = q.shape
        side, count = ctx.shape["S"], batch * rows * rows
        grad_q, grad_logits = torch.empty_like(q), torch.empty_like(weights)
        grad_k, grad_v = (torch.zeros(m.shape, device=q.device) for m in (k, v))
        arrays = q, k, v, first, weights, grad.contiguous(), grad_q, grad_k, grad_v, grad_logits
        _backward[count, heads](*arrays, *ctx.sizes, **ctx.shape, num_warps=1)
        change = grad_logits.view(batch, rows, rows, heads, side, side)
        bias_y, bias_x = change.sum((2, 5)).transpose(2, 3), change.sum((1, 4)).transpose(2, 3)  # (B, L, S, M)
        return grad_q, grad_k, grad_v, None, bias_y, bias_x

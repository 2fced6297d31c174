"""Local attention over windows, a stage of LIT and CLIT: residual colours and the survey of whole views.

A *footprint* is a latent with the n queries, i0..i1 down and j0..j1 across, whose nearest latent it is. They share its
window of P = S S latents. A *part* is a rectangle of N footprints with Q queries in all. For each part:

1. `_attend`, footprint by footprint: the queries' bilinear samples as columns (d, n); per head logits (P, n) = keys
   (P, d) times those columns, the keys read where they lie in the map; the softmax down the columns.
2. `_mix_values`, panel by panel of the H outputs of the first layer, and head by head: U (N, P, panel) = values (N, d)
   times W1 (d, panel) of each place in the window is computed once per footprint. It is still in the processor's cache
   when hidden (n, panel) += weights (n, P) times U (P, panel).
3. The Fourier features (Q, 2F) go through their part of the first layer; then all Q go through the other layers.

The arrays: `View`, `Weights` and `Scratch` in `arrays`. M heads of d = D / M channels.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from clit.networks.kernels.functions import softmax, wave
from clit.networks.kernels.lanes import WIDE, at, lanewise, shift
from clit.networks.kernels.mlp import add_gelu, dense, hidden_layers
from clit.networks.kernels.tile import OPTIONS, PANEL, kernel, multiply, multiply_add

_sample = lanewise(lambda a, b, c, d, wa, wb, wc, wd: a * wa + b * wb + c * wc + d * wd, arrays=4, scalars=4)
_fourier = lanewise(lambda a, b, fy, fx, y, x: wave(a, b, fy * y + fx * x), arrays=4, scalars=2, outputs=2)
_add_scaled = lanewise(lambda sum, x, s: sum + x * s, arrays=2, scalars=1)


@kernel
def _lay_out(n):
    """Return how n queries lie in columns: each head's columns, the heads side by side, the columns of those.

    Few queries fill a vector together with those of other heads.
    """
    row = 4 if n <= 4 else 8 if n <= 8 else (n + WIDE - 1) // WIDE * WIDE
    together = max(1, WIDE // row)
    return row, together, row * together


@kernel
def _spread_bias(bias, axis, places, out):
    """Write the bias of a footprint's queries, of a table (M, S, .) along an axis, laid out as logits are."""
    heads, side = bias.shape[:2]
    row, together, columns = _lay_out(len(places))
    for m in range(heads):
        for s in range(side):
            first = (m // together * side + s) * columns + m % together * row
            for n in range(len(places)):
                out[first + n] = bias[m, s, places[n, axis]]


@kernel
def _sample_queries(view, places, line, queries, row):
    """Write the samples of the map at a footprint's queries, as columns of queries (D, row)."""
    across, width = view.q.shape[1:]
    for n in range(len(places)):
        i, j = places[n]
        above, below = view.tap_y[i] * across
        left, right = view.tap_x[j]
        up, down, near, far = view.share_y[i, 0], view.share_y[i, 1], view.share_x[j, 0], view.share_x[j, 1]
        _sample(
            at(line, 0), at(view.q, (above + left) * width), at(view.q, (above + right) * width),
            at(view.q, (below + left) * width), at(view.q, (below + right) * width),
            up * near, up * far, down * near, down * far, width,
        )  # fmt: skip
        for k in range(width):
            queries[k * row + n] = line[k]


@kernel
def _attend(view, part, scratch):
    """Compute the weights of all footprints of a part: (M / together, P + 2, columns) each. Returns N and Q.

    `_lay_out` and `softmax` say where the weights of a head and a query are.
    """
    heads, side = view.bias_y.shape[:2]
    across, width = view.q.shape[1:]
    window, d = side * side, width // heads
    for p in range(window):
        scratch.window[p] = (p // side * across + p % side) * width
    starts, queries = at(scratch.window, 0), scratch.queries
    y0, y1, x0, x1 = part
    f, first, begin = 0, 0, 0
    for y in range(y0, y1):
        latent_y, i0, i1 = view.rows[y]
        known = 0  # queries across for which the bias along y is spread
        for x in range(x0, x1):
            latent_x, j0, j1 = view.columns[x]
            n = (i1 - i0) * (j1 - j0)
            places, along_x = scratch.places[first : first + n], scratch.along_x[x - x0]
            for k in range(n):
                places[k, 0], places[k, 1] = i0 + k // (j1 - j0), j0 + k % (j1 - j0)
            corner = ((latent_y - side // 2) * across + latent_x - side // 2) * width
            scratch.corner[f], scratch.first[f], scratch.begin[f] = corner, first, begin
            if known != j1 - j0:
                known = j1 - j0
                _spread_bias(view.bias_y, 0, places, scratch.along_y)
            if y == y0 or i1 - i0 != view.rows[y - 1, 2] - view.rows[y - 1, 1]:
                _spread_bias(view.bias_x, 1, places, along_x)
            row, together, columns = _lay_out(n)
            _sample_queries(view, places, scratch.line, queries, row)
            for m in range(heads):
                logits = begin + m // together * (window + 2) * columns + m % together * row
                keys, c = at(view.k, corner + m * d), at(scratch.weights, logits)
                for k in range(0, row, PANEL):
                    b = at(queries, m * d * row + k)
                    multiply(window, min(PANEL, row - k), shift(c, k), columns, keys, 1, starts, b, row, d)
            for m in range(0, heads, together):
                bias = m // together * side * columns
                softmax(at(scratch.weights, begin), at(scratch.along_y, bias), at(along_x, bias), side, columns)
                begin += (window + 2) * columns
            f, first = f + 1, first + n
    scratch.first[f] = first
    return f, first


@kernel
def _mix_values(view, packed, scratch, footprints):
    """Add all windows' weighted values times W1 to hidden (Q, H)."""
    heads, side = view.bias_y.shape[:2]
    width, outputs = view.q.shape[2], len(packed.constant)
    d, window = width // heads, side * side
    for i in range(len(scratch.starts)):
        scratch.starts[i] = i
    for column in range(0, outputs, PANEL):
        panel = min(PANEL, outputs - column)
        for m in range(heads):
            for p in range(window):
                values, u = at(view.v, scratch.window[p] + m * d), at(scratch.u, p * panel)
                w1 = at(packed.first, (width * column + m * d * panel) * window + p * d * panel)
                multiply(footprints, panel, u, window * panel, values, 1, at(scratch.corner, 0), w1, panel, d)
            for f in range(footprints):
                first, n = scratch.first[f], scratch.first[f + 1] - scratch.first[f]
                row, together, columns = _lay_out(n)
                begin = scratch.begin[f] + m // together * (window + 2) * columns + m % together * row
                weights, u = at(scratch.weights, begin), at(scratch.u, f * window * panel)
                hidden = at(scratch.hidden, first * outputs + column)
                multiply_add(n, panel, hidden, outputs, weights, columns, at(scratch.starts, 0), u, panel, window)


@kernel
def _apply_fourier(view, packed, scratch, footprints):
    """hidden (Q, H) = the Fourier features times their part of the first layer: 0 where there are none."""
    (across, width), side, maps = view.q.shape[1:], view.bias_y.shape[1], view.fourier.shape[2]
    half = maps // 4
    for f in range(footprints):
        latent = (scratch.corner[f] // width + side // 2 * (across + 1)) * maps
        a, b = at(view.fourier, latent), at(view.fourier, latent + half)
        fy, fx = shift(a, 2 * half), shift(b, 2 * half)
        for n in range(scratch.first[f], scratch.first[f + 1]):
            i, j = scratch.places[n]
            out = at(scratch.other, n * 2 * half)
            _fourier(out, shift(out, half), a, b, fy, fx, view.rel_y[i], view.rel_x[j], half)
    count = scratch.first[footprints]
    dense(packed.table[0], packed.weights, count, scratch.other, 2 * half, scratch.hidden, scratch.starts)


@njit(cache=True, **OPTIONS)
def render(view, packed, parts, scratch, out):
    """Write the residual colours (R, C, 3) of some parts (., 4): footprints y0..y1 down and x0..x1 across."""
    width, last = len(packed.constant), packed.table[-1]
    for part in parts:
        footprints, count = _attend(view, part, scratch)
        _apply_fourier(view, packed, scratch, footprints)
        _mix_values(view, packed, scratch, footprints)
        for n in range(count):
            row = at(scratch.hidden, n * width)
            add_gelu(row, row, at(packed.constant, 0), width)
        room = scratch.hidden, width, scratch.other, scratch.starts
        x, y, row = hidden_layers(packed, packed.table[1:], True, count, *room)
        dense(last, packed.weights, count, x, row, y, scratch.starts)
        for n in range(count):
            i, j = scratch.places[n]
            for c in range(3):
                out[i, j, c] = y[n * last[1] + c] + packed.biases[last[3] + c]


@njit(cache=True, **OPTIONS)
def survey(view, parts, scratch, out):
    """Write each head's entropy in bits and mean offset (dy, dx) from the query, (R, C, M, 3), of some parts."""
    heads, side = view.bias_y.shape[:2]
    window = side * side
    for part in parts:
        footprints, count = _attend(view, part, scratch)
        for f in range(footprints):
            first, n = scratch.first[f], scratch.first[f + 1] - scratch.first[f]
            row, together, columns = _lay_out(n)
            dy, dx = scratch.along_y[:columns], scratch.along_x[0, :columns]
            for m in range(heads):
                begin = scratch.begin[f] + m // together * (window + 2) * columns
                if m % together == 0:
                    dy[:], dx[:] = 0, 0
                    for p in range(window):
                        weights = at(scratch.weights, begin + p * columns)
                        y, x = p // side - side // 2, p % side - side // 2
                        _add_scaled(at(dy, 0), at(dy, 0), weights, np.float32(y), columns)
                        _add_scaled(at(dx, 0), at(dx, 0), weights, np.float32(x), columns)
                for k in range(n):
                    i, j = scratch.places[first + k]
                    column = m % together * row + k
                    total = scratch.weights[begin + window * columns + column]
                    moment = scratch.weights[begin + (window + 1) * columns + column]
                    out[i, j, m, 0] = (math.log(total) - moment / total) / np.float32(math.log(2))
                    out[i, j, m, 1] = dy[column] - view.rel_y[i] / 2
                    out[i, j, m, 2] = dx[column] - view.rel_x[j] / 2

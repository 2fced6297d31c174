"""Local attention over windows, a stage of LIT and CLIT: residual colours and the survey of whole views.

A *footprint* is a latent with the n queries whose nearest latent it is. They share its window of P = S S latents. A
*part* is a rectangle of N footprints with Q queries in all. For each part:

1. The queries' bilinear samples (Q, D). Footprint by footprint, head by head: logits (n, S) = samples (n, d) times keys
   (d, S) of each row of the window, read where they lie in the map. Then the softmax of each query.
2. The Fourier features (Q, 2F) go through their part of the first layer: hidden (Q, H).
3. Panel by panel of H, head by head: U (N, P, panel) = values (N, d) times W1 (d, panel) of each place in the window,
   once per footprint. While it is in the processor's cache, hidden (n, panel) += weights (n, P) times U (P, panel).
4. All Q go through the other layers.

M heads of d = D / M channels. clit.networks.arrays describes the arrays.
"""

import math

import numpy as np
from numba import njit

from clit.networks.kernels.functions import exp, wave
from clit.networks.kernels.mlp import activate, dense, hidden_layers
from clit.networks.kernels.tile import OPTIONS, PANEL, SUMS, at, fill_starts, kernel, multiply


@kernel
def _list_queries(view, part, scratch):
    """List a part's queries, footprint by footprint. Returns N and Q."""
    (_, across, width), reach = view.q.shape, len(view.window) // 2
    f, n = 0, 0
    for y, i0, i1 in view.rows.footprints[part[0] : part[1]]:
        for x, j0, j1 in view.columns.footprints[part[2] : part[3]]:
            scratch.corner[f], scratch.first[f] = ((y - reach) * across + x - reach) * width, n
            f += 1
            for i in range(i0, i1):
                for j in range(j0, j1):
                    scratch.places[n, 0], scratch.places[n, 1] = i, j
                    n += 1
    scratch.first[f] = n
    return f, n


@kernel
def _sample_queries(view, scratch, count):
    """Write the bilinear samples of the map q at the queries."""
    (ty, sy), (tx, sx) = (view.rows.taps, view.rows.shares), (view.columns.taps, view.columns.shares)
    for n in range(count):
        i, j = scratch.places[n, 0], scratch.places[n, 1]
        above, below, left, right = ty[i, 0], ty[i, 1], tx[j, 0], tx[j, 1]
        a, b, c, d = sy[i, 0] * sx[j, 0], sy[i, 0] * sx[j, 1], sy[i, 1] * sx[j, 0], sy[i, 1] * sx[j, 1]
        for k in range(view.q.shape[2]):
            sample = view.q[above, left, k] * a + view.q[above, right, k] * b
            scratch.queries[n, k] = sample + view.q[below, left, k] * c + view.q[below, right, k] * d


@kernel
def _compare(view, scratch, footprints):
    """Write the logits without the bias: samples times keys."""
    (heads, room, row), (_, across, width), stride = scratch.weights.shape, view.q.shape, view.k.shape[2]
    side, d = len(view.window), width // heads
    written = side + stride - across  # numbers that a product writes: the next one writes over those after S
    fill_starts(scratch.starts, width)
    for f in range(footprints):
        first, n, latent = scratch.first[f], scratch.first[f + 1] - scratch.first[f], scratch.corner[f] // width
        for m in range(heads):
            for p in range(side):
                for x in range(0, written, PANEL):
                    logits = at(scratch.weights, (m * room + first) * row + p * side + x)
                    samples, starts = at(scratch.queries, first * width + m * d), at(scratch.starts, 0)
                    keys = at(view.k, ((latent // across + p) * width + m * d) * stride + latent % across + x)
                    multiply(n, min(PANEL, written - x), False, logits, row, samples, starts, keys, stride, d)


@njit(**SUMS)
def _softmax(view, scratch, count):
    """Add the bias to the logits and replace them by their softmax. Write the sums of e and of e log(e) besides.

    e = exp(logit - most), most the whole part of the largest logit: vectors find that of integers alone, here of int32.
    """
    weights, sums, by, bx = scratch.weights, scratch.sums, view.rows.bias, view.columns.bias
    (heads, _, row), zero = weights.shape, np.float32(0)
    for m in range(heads):
        for n in range(count):
            i, j, most = scratch.places[n, 0], scratch.places[n, 1], np.int32(-(2**31))
            for p in range(row):
                weights[m, n, p] += by[m, i, p] + bx[m, j, p]
                most = max(most, np.int32(weights[m, n, p]))
            sums[m, n, 0] = most
        for n in range(count):
            most, total, moment = sums[m, n, 0], zero, zero
            for p in range(row):
                lower = weights[m, n, p] - most
                weights[m, n, p] = exp(lower)
                total += weights[m, n, p]
                moment += weights[m, n, p] * lower
            sums[m, n, 0], sums[m, n, 1] = total, moment
        for n in range(count):
            scale = np.float32(1) / sums[m, n, 0]
            for p in range(row):
                weights[m, n, p] *= scale


@kernel
def _attend(view, part, scratch):
    """Compute the weights of a part's queries. Returns N and Q."""
    footprints, count = _list_queries(view, part, scratch)
    _sample_queries(view, scratch, count)
    _compare(view, scratch, footprints)
    _softmax(view, scratch, count)
    return footprints, count


@kernel
def _apply_fourier(view, packed, scratch, count):
    """Write hidden (Q, H): the Fourier features through their part of the first layer. Returns H."""
    half = view.fourier.shape[2] // 4
    for n in range(count):
        i, j = scratch.places[n, 0], scratch.places[n, 1]
        y, x, out = view.rows.rel[i], view.columns.rel[j], scratch.other[2 * half * n : 2 * half * (n + 1)]
        latent = view.fourier[view.rows.nearest[i], view.columns.nearest[j]]
        for k in range(half):
            cosine, sine = wave(latent[2 * half + k] * y + latent[3 * half + k] * x)
            out[k], out[half + k] = latent[k] * cosine, latent[half + k] * sine
    return dense(packed.layers, 0, count, scratch.other, 2 * half, scratch.hidden, scratch.starts)


@kernel
def _mix_values(view, packed, scratch, footprints):
    """Add all windows' weighted values times W1 to hidden (Q, H)."""
    (heads, room, row), (side, _), width = scratch.weights.shape, view.window.shape, view.q.shape[2]
    window, d, outputs = side * side, width // heads, packed.layers.table[0, 1]
    fill_starts(scratch.starts, row)
    for column in range(0, outputs, PANEL):
        panel = min(PANEL, outputs - column)
        for m in range(heads):
            for p in range(window):
                values, u = at(view.v, view.window[p // side, p % side] + m * d), at(scratch.u, p * panel)
                w1 = at(packed.first, (width * column + m * d * panel) * window + p * d * panel)
                multiply(footprints, panel, False, u, window * panel, values, at(scratch.corner, 0), w1, panel, d)
            for f in range(footprints):
                first, n = scratch.first[f], scratch.first[f + 1] - scratch.first[f]
                weights, u = at(scratch.weights, (m * room + first) * row), at(scratch.u, f * window * panel)
                hidden = at(scratch.hidden, first * outputs + column)
                multiply(n, panel, True, hidden, outputs, weights, at(scratch.starts, 0), u, panel, window)


@njit(cache=True, **OPTIONS)
def render(view, packed, parts, scratch, out):
    """Write the residual colours (R, C, 3) of some parts (., 4): footprints from y0 to y1 and from x0 to x1."""
    layers = packed.layers
    for part in parts:
        footprints, count = _attend(view, part, scratch)
        width = _apply_fourier(view, packed, scratch, count)
        _mix_values(view, packed, scratch, footprints)
        activate(scratch.hidden, count * width, True)
        room = scratch.hidden, width, scratch.other, scratch.starts
        x, y, row = hidden_layers(layers, 1, True, count, *room)
        row_y = dense(layers, len(layers.table) - 1, count, x, row, y, scratch.starts)
        for n in range(count):
            for c in range(3):
                out[scratch.places[n, 0], scratch.places[n, 1], c] = y[n * row_y + c]


@njit(cache=True, **OPTIONS)
def survey(view, parts, scratch, out):
    """Write each head's entropy in bits and mean offset (dy, dx) from the query, (R, C, M, 3), of some parts."""
    side = len(view.window)
    for part in parts:
        _, count = _attend(view, part, scratch)
        for m in range(len(scratch.weights)):
            for n in range(count):
                (i, j), (total, moment) = scratch.places[n], scratch.sums[m, n]
                dy, dx = -view.rows.rel[i] / 2, -view.columns.rel[j] / 2
                for p in range(side * side):
                    dy += scratch.weights[m, n, p] * (p // side - side // 2)
                    dx += scratch.weights[m, n, p] * (p % side - side // 2)
                bits = (math.log(total) - moment / total) / math.log(2)
                out[i, j, m, 0], out[i, j, m, 1], out[i, j, m, 2] = bits, dy, dx

"""The local ensemble, LIIF and LTE: whole views. For each block of Q pixels, and each of the four latents around them:

1. The first numbers of every pixel: LTE's Fourier features, or LIIF's first hidden layer, whose part that reads the
   unfolded features is a map already.
2. The other layers but the last, for all Q.
3. The blend, by the weights of `compute_weights`, of the last hidden layers. The last layer comes after it: both are
   linear, and the weights sum to 1.

The arrays: `EnsembleView`, `EnsembleWeights` and `EnsembleScratch` in `arrays`.
"""

from __future__ import annotations

from numba import njit

from clit.networks.kernels.functions import relu, wave
from clit.networks.kernels.lanes import at, lanewise, shift
from clit.networks.kernels.mlp import dense, hidden_layers
from clit.networks.kernels.tile import OPTIONS, kernel

_waves = lanewise(lambda a, b, fy, fx, p, y, x: wave(a, b, fy * y + fx * x + p), arrays=5, scalars=2, outputs=2)
_place = lanewise(lambda map, wy, wx, cell, y, x: relu(map + wy * y + wx * x + cell), arrays=4, scalars=2)
_add_scaled = lanewise(lambda sum, x, s: sum + x * s, arrays=2, scalars=1)


@kernel
def _begin(view, i, j, block, out):
    """Compute the first numbers of a block's pixels from latent (i, j) of the four. Returns the length of rows."""
    across, width = view.map.shape[1:]
    half, n = width // 2, 0
    for r in range(block[0], block[1]):
        for c in range(block[2], block[3]):
            latent = (view.nearest_y[i, r] * across + view.nearest_x[j, c]) * width
            y, x, cell = view.rel_y[i, r], view.rel_x[j, c], at(view.cell, 0)
            to, map, fy = at(out, n * width), at(view.map, latent), at(view.frequency, latent)
            if view.frequency.size:
                _waves(to, shift(to, half), map, shift(map, half), fy, shift(fy, half), cell, y, x, half)
            else:
                _place(to, map, at(view.along_y, 0), at(view.along_x, 0), cell, y, x, width)
            n += 1
    return width


@njit(cache=True, **OPTIONS)
def render(view, packed, blocks, scratch, out):
    """Write the colours (R, C, 3) of some blocks (., 4): rows r0..r1 and columns c0..c1."""
    last = packed.table[-1]
    for block in blocks:
        r0, r1, c0, c1 = block
        columns = c1 - c0
        count = (r1 - r0) * columns
        scratch.blended[:] = 0
        for i in range(2):
            for j in range(2):
                first = _begin(view, i, j, block, scratch.x)
                room = scratch.x, first, scratch.y, scratch.starts
                x, y, width = hidden_layers(packed, packed.table, False, count, *room)
                for n in range(count):
                    weight = view.weights[i, j, r0 + n // columns, c0 + n % columns]
                    sum = at(scratch.blended, n * width)
                    _add_scaled(sum, sum, at(x, n * width), weight, width)
        dense(last, packed.weights, count, scratch.blended, width, y, scratch.starts)
        for n in range(count):
            for c in range(3):
                out[r0 + n // columns, c0 + n % columns, c] = y[n * last[1] + c] + packed.biases[last[3] + c]

"""The local ensemble, LIIF and LTE: whole views. For each block of Q pixels, and each of the four latents around them:

1. The first numbers of every pixel: LTE's Fourier features, or LIIF's first hidden layer, whose part that reads the
   unfolded features is a map already.
2. The other layers but the last, for all Q.
3. The blend, by the weights of `compute_weights`, of the last hidden layers. The last layer comes after it: both are
   linear, and the weights sum to 1.

clit.networks.arrays describes the arrays.
"""

from numba import njit

from clit.networks.kernels.functions import relu, wave
from clit.networks.kernels.mlp import dense, hidden_layers
from clit.networks.kernels.tile import OPTIONS, kernel


@kernel
def _begin(view, i, j, block, out):
    """Compute the first numbers of a block's pixels from latent (i, j) of the four. Returns the length of rows."""
    (rows, columns), width, n = (view.rows, view.columns), view.map.shape[2], 0
    half = width // 2
    for r in range(block[0], block[1]):
        for c in range(block[2], block[3]):
            latent_y, latent_x, y, x = rows.nearest[i, r], columns.nearest[j, c], rows.rel[i, r], columns.rel[j, c]
            row, known = out[n * width : (n + 1) * width], view.map[latent_y, latent_x]
            if view.frequency.size:
                f = view.frequency[latent_y, latent_x]
                for k in range(half):
                    cosine, sine = wave(f[k] * y + f[half + k] * x + view.cell[k])
                    row[k], row[half + k] = known[k] * cosine, known[half + k] * sine
            else:
                for k in range(width):
                    moved = view.along[0, k] * y + view.along[1, k] * x + view.cell[k]
                    row[k] = relu(known[k] + moved)
            n += 1
    return width


@njit(cache=True, **OPTIONS)
def render(view, layers, blocks, scratch, out):
    """Write the colours (R, C, 3) of some blocks (., 4): rows r0..r1 and columns c0..c1."""
    for block in blocks:
        r0, r1, c0, c1 = block
        count = (r1 - r0) * (c1 - c0)
        scratch.blended[:] = 0
        for i in range(2):
            for j in range(2):
                first = _begin(view, i, j, block, scratch.x)
                x, y, width = hidden_layers(layers, 0, False, count, scratch.x, first, scratch.y, scratch.starts)
                for n in range(count):
                    weight = view.weights[i, j, r0 + n // (c1 - c0), c0 + n % (c1 - c0)]
                    blend, row = scratch.blended[n * width : (n + 1) * width], x[n * width : (n + 1) * width]
                    for k in range(width):
                        blend[k] += weight * row[k]
        row_y = dense(layers, len(layers.table) - 1, count, scratch.blended, width, y, scratch.starts)
        for n in range(count):
            for c in range(3):
                out[r0 + n // (c1 - c0), c0 + n % (c1 - c0), c] = y[n * row_y + c]

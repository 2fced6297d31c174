"""One query per latent, as in training, compiled: its attention weights, what they weigh, and the gradients of both.

`WeighAndApply` in decoders calls it. Of one picture: q (N, D), divided by sqrt(d); maps k, v (K, D); index (N, P) of
each window's latents in them; bias and weights (N, M, P); weighted (N, P, D), the weighted values. M heads of
d = D / M channels.
"""

import numpy as np
from numba import njit

from clit.networks.kernels.functions import exp
from clit.networks.kernels.tile import SUMS

_ZERO = np.float32(0)


@njit(**SUMS)
def _weigh(v, index, weights, weighted):
    """Write the weighted values of one query: (P, D)."""
    (heads, window), d = weights.shape, v.shape[1] // len(weights)
    for p in range(window):
        for m in range(heads):
            for c in range(m * d, m * d + d):
                weighted[p, c] = weights[m, p] * v[index[p], c]


@njit(cache=True, **SUMS)
def forward(q, k, v, index, bias, weights, weighted):
    """Write the weights and the weighted values."""
    (count, heads, window), d = weights.shape, q.shape[1] // weights.shape[1]
    for n in range(count):
        for m in range(heads):
            most, total = np.float32(-3e38), _ZERO
            for p in range(window):
                logit = bias[n, m, p]
                for c in range(m * d, m * d + d):
                    logit += q[n, c] * k[index[n, p], c]
                weights[n, m, p], most = logit, max(most, logit)
            for p in range(window):
                weights[n, m, p] = exp(weights[n, m, p] - most)
                total += weights[n, m, p]
            for p in range(window):
                weights[n, m, p] /= total
        _weigh(v, index[n], weights[n], weighted[n])


@njit(cache=True, **SUMS)
def backward(q, k, v, index, weights, grad, grad_q, grad_k, grad_v, slopes):
    """Add to the gradients of q, k and v, and write those of the logits: slopes (N, M, P).

    grad is the gradient of the weighted values. They replace it, so that they need not be kept from `forward` on.
    """
    (count, heads, window), d = weights.shape, q.shape[1] // weights.shape[1]
    for n in range(count):
        for p in range(window):
            latent = index[n, p]
            for m in range(heads):
                total = _ZERO
                for c in range(m * d, m * d + d):
                    total += grad[n, p, c] * v[latent, c]
                    grad_v[latent, c] += grad[n, p, c] * weights[n, m, p]
                slopes[n, m, p] = total
        for m in range(heads):  # through the softmax
            mean = _ZERO
            for p in range(window):
                mean += slopes[n, m, p] * weights[n, m, p]
            for p in range(window):
                slopes[n, m, p] = weights[n, m, p] * (slopes[n, m, p] - mean)
        for p in range(window):
            latent = index[n, p]
            for m in range(heads):
                slope = slopes[n, m, p]
                for c in range(m * d, m * d + d):
                    grad_q[n, c] += slope * k[latent, c]
                    grad_k[latent, c] += slope * q[n, c]
        _weigh(v, index[n], weights[n], grad[n])

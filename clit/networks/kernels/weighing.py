"""One query per latent, as in training: its attention weights, the values they weigh, and the gradients of both.

Of one picture: q (N, D), divided by sqrt(d); maps k, v (K, D); index (N, P) of each window's latents in them; bias and
weights (N, M, P); weighted (N, P D), the weighted values side by side. M heads of d = D / M channels.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from clit.networks.kernels.tile import OPTIONS

# Sums in any order: the compiler may add up several parts of a row at once.
_OPTIONS = {**OPTIONS, "fastmath": {"contract", "nsz", "reassoc"}}
_kernel = njit(**_OPTIONS)


@_kernel
def _attend(q, k, index, bias, weights):
    """Write one query's weights (M, P)."""
    (heads, window), d = weights.shape, len(q) // len(weights)
    for m in range(heads):
        most, total = np.float32(-3e38), np.float32(0)
        for p in range(window):
            key, logit = k[index[p]], bias[m, p]
            for c in range(m * d, m * d + d):
                logit += q[c] * key[c]
            weights[m, p], most = logit, max(most, logit)
        for p in range(window):
            weights[m, p] = np.exp(weights[m, p] - most)
            total += weights[m, p]
        for p in range(window):
            weights[m, p] /= total


@_kernel
def _weigh(v, index, weights, weighted):
    """Write one query's weighted values (P D,)."""
    (heads, window), width = weights.shape, v.shape[1]
    d = width // heads
    for p in range(window):
        value, out = v[index[p]], weighted[p * width : (p + 1) * width]
        for m in range(heads):
            for c in range(m * d, m * d + d):
                out[c] = weights[m, p] * value[c]


@_kernel
def _go_back_to_values(v, index, weights, grad, grad_v, grad_weights):
    """Add to the gradient of v, and write that of one query's weights. grad: of its weighted values (P D,)."""
    (heads, window), width = weights.shape, v.shape[1]
    d = width // heads
    for p in range(window):
        value, out, along = v[index[p]], grad_v[index[p]], grad[p * width : (p + 1) * width]
        for m in range(heads):
            weight, total = weights[m, p], np.float32(0)
            for c in range(m * d, m * d + d):
                total += along[c] * value[c]
                out[c] += along[c] * weight
            grad_weights[m, p] = total


@_kernel
def _go_back_to_keys(q, k, index, grad_logits, grad_q, grad_k):
    """Add to the gradients of k and of one query's q."""
    (heads, window), d = grad_logits.shape, len(q) // len(grad_logits)
    for p in range(window):
        key, out = k[index[p]], grad_k[index[p]]
        for m in range(heads):
            slope = grad_logits[m, p]
            for c in range(m * d, m * d + d):
                grad_q[c] += slope * key[c]
                out[c] += slope * q[c]


@njit(cache=True, **_OPTIONS)
def forward(q, k, v, index, bias, weights, weighted):
    """Write the weights and the weighted values."""
    for n in range(len(index)):
        _attend(q[n], k, index[n], bias[n], weights[n])
        _weigh(v, index[n], weights[n], weighted[n])


@njit(cache=True, **_OPTIONS)
def backward(q, k, v, index, weights, grad, grad_q, grad_k, grad_v, grad_bias):
    """Add to the gradients of q, k, v and the bias. grad: (N, P D), that of the weighted values; overwritten by them.

    So the weighted values need not be kept from `forward` on.
    """
    for n in range(len(index)):
        slopes = grad_bias[n]
        _go_back_to_values(v, index[n], weights[n], grad[n], grad_v, slopes)
        for m in range(len(slopes)):  # through the softmax
            mean = np.float32(0)
            for p in range(index.shape[1]):
                mean += slopes[m, p] * weights[n, m, p]
            for p in range(index.shape[1]):
                slopes[m, p] = weights[n, m, p] * (slopes[m, p] - mean)
        _go_back_to_keys(q[n], k, index[n], slopes, grad_q[n], grad_k)
        _weigh(v, index[n], weights[n], grad[n])

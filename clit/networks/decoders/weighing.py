"""The first layer of LIT's MLP on the weighted values of single queries, with gradients, through compiled kernels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from clit.system.threads import parallel_map


class WeighAndApply(torch.autograd.Function):
    """Attention, weighing and the product with the first layer's weights, picture by picture.

    A picture's weighted values fit the processor's cache; those of a batch, and autograd's copies of them, do not.
    """

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, index: Tensor, bias: Tensor, weight: Tensor) -> Tensor:
        """Return (B, N, H): the weighted values times `weight` (H, P D).

        q: (B, N, D), divided by sqrt(d); k, v: (B, K, D); index: (N, P) into the K latents; bias: (N, M, P).
        """
        from clit.networks import weighing_loops

        tensors = [tensor.detach().contiguous() for tensor in (q, k, v, index, bias, weight)]
        q, k, v, index, bias, weight = tensors
        weights = bias.new_empty(len(q), *bias.shape)

        def work(b: int) -> Tensor:
            weighted = q.new_empty(*index.shape, q.shape[-1])
            arrays = (q[b], k[b], v[b], index, bias, weights[b], weighted)
            weighing_loops.forward(*(array.numpy() for array in arrays))
            return weighted.flatten(1) @ weight.T

        hidden = torch.stack(list(parallel_map(work, range(len(q)))))
        ctx.save_for_backward(q, k, v, index, weight, weights)
        return hidden

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        from clit.networks import weighing_loops

        q, k, v, index, weight, weights = ctx.saved_tensors
        grads = [torch.zeros_like(tensor) for tensor in (q, k, v, weights)]

        def work(b: int) -> Tensor:
            along = (grad[b] @ weight).view(*index.shape, -1)
            arrays = (q[b], k[b], v[b], index, weights[b], along, *(each[b] for each in grads))
            weighing_loops.backward(*(array.numpy() for array in arrays))
            return grad[b].T @ along.flatten(1)  # which now holds the weighted values

        of_weight = sum(parallel_map(work, range(len(q))))
        grad_q, grad_k, grad_v, grad_bias = grads
        return grad_q, grad_k, grad_v, None, grad_bias.sum(0), of_weight

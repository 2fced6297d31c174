"""The positional bias of local attention: what a neighbour's place alone adds to its logit."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PositionalBias(nn.Module):
    """b = FC(gamma(rel)): a bias per head from the position relative to a latent (CLIT, section 3.3).

    gamma = [sin(f rel_y), sin(f rel_x), cos(f rel_y), cos(f rel_x)] with 16 frequencies, f_j =
    2**(j * octaves / 15) - 1. gamma treats y and x apart and FC is linear, so the bias is a function of rel_y plus one
    of rel_x: `along_y`, which includes the bias of FC, and `along_x`.
    """

    def __init__(self, heads: int, octaves: float, count: int = 16):
        super().__init__()
        self.count = count
        # Not a buffer: a model in half precision still needs the frequencies in float32.
        self.frequencies = 2 ** torch.linspace(0, octaves, count) - 1
        self.proj = nn.Linear(4 * count, heads)
        # Start from what attention replaces, an ensemble by distance. The lowest frequency above 0 makes the first head
        # about as narrow as bilinear interpolation and each next one wider; the last starts without it. From even
        # weights, which say nothing of where the query is, training takes thousands of steps to get here.
        with torch.no_grad():
            narrow = 8 * torch.linspace(1, 0, heads) ** 1.5
            for cosine in (2 * count + 1, 3 * count + 1):
                self.proj.weight[:, cosine : cosine + 1] += narrow[:, None]

    def _along(self, rel: Tensor, axis: int) -> Tensor:
        n = self.count
        weight = self.proj.weight.to(torch.promote_types(self.proj.weight.dtype, torch.float32))
        angle = (rel[..., None] * self.frequencies.to(rel.device)).to(weight)
        sines, cosines = weight[:, axis * n : (axis + 1) * n], weight[:, (axis + 2) * n : (axis + 3) * n]
        return (torch.sin(angle) @ sines.T + torch.cos(angle) @ cosines.T).to(self.proj.weight.dtype)

    def along_y(self, rel: Tensor) -> Tensor:
        """Return the part (..., M) of the bias that depends on rel_y (...)."""
        return self._along(rel, 0) + self.proj.bias

    def along_x(self, rel: Tensor) -> Tensor:
        """Return the part (..., M) of the bias that depends on rel_x (...)."""
        return self._along(rel, 1)

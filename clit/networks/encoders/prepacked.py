"""EDSR's convolutions on a CPU by oneDNN's own operations, quicker than by torch's.

Each weight is laid out as oneDNN wants it for the size at hand, pixels stay channels-last between layers, ReLUs
and sums are made within convolutions. torch.compile makes such networks of the same operations, but needs a compiler.
"""

from __future__ import annotations

import weakref

import torch
from torch import Tensor, nn

_KEPT = 4  # layouts of a weight: the best one depends on the picture's size, by up to 4 times
# Not in the modules: these tensors can be neither copied nor pickled.
_laid_out: weakref.WeakKeyDictionary[nn.Conv2d, dict[tuple, Tensor]] = weakref.WeakKeyDictionary()


def applies(x: Tensor) -> bool:
    """Whether the operations are there, and do what depends on this tensor: float32 on the CPU, without gradients."""
    operations = torch.ops.mkldnn
    there = (
        torch.backends.mkldnn.is_available()
        and all(hasattr(operations, name) for name in ("_convolution_pointwise", "_convolution_pointwise_"))
        and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
    )
    return there and not torch.is_grad_enabled() and x.device.type == "cpu" and x.dtype == torch.float32


def convolve(conv: nn.Conv2d, x: Tensor, activation: str = "none", padding: int = 1) -> Tensor:
    """Apply a 3x3 convolution to a channels-last x (B, C, h, w), padded with zeros. activation: "none" or "relu"."""
    weight, place = _lay_out(conv, x, padding)
    return torch.ops.mkldnn._convolution_pointwise(x, weight, conv.bias, *place, activation, [], "")


def add_convolution(total: Tensor, conv: nn.Conv2d, x: Tensor, padding: int = 1) -> Tensor:
    """Add such a convolution of x to `total`, in place; return `total`."""
    weight, place = _lay_out(conv, x, padding)
    add = torch.ops.mkldnn._convolution_pointwise_.binary
    return add(total, x, weight, conv.bias, *place, "add", 1.0, None, [], "")


def _lay_out(conv: nn.Conv2d, x: Tensor, padding: int) -> tuple[Tensor, tuple]:
    """Return a convolution's weight as oneDNN wants it for pictures of the size of x, and where it is applied."""
    place = (padding, padding), (1, 1), (1, 1), 1  # padding, stride, dilation, groups
    weight = conv.weight.detach()
    version = 0 if weight.is_inference() else weight._version  # anew when the weight changed
    key = weight.data_ptr(), version, x.shape, padding
    kept = _laid_out.setdefault(conv, {})
    found = kept.get(key)
    if found is None:
        found = torch._C._nn.mkldnn_reorder_conv2d_weight(weight.to_mkldnn(), *place, x.shape)
        kept[key] = found
        for old in list(kept)[:-_KEPT]:
            kept.pop(old, None)  # another thread may have been quicker
    return found, place

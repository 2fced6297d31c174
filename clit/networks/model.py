"""SRModel: an encoder, a decoder, and the normalisation between pictures and networks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.config import ModelConfig
from clit.errors import UserError
from clit.geometry import Region, View, Window, scale_chain
from clit.networks.decoders import DECODERS
from clit.networks.decoders.base import Features
from clit.networks.encoders import ENCODERS


class SRModel(nn.Module):
    """Arbitrary-scale super-resolution: RGB in [0, 1] at every public boundary, x * 2 - 1 inside.

    Nothing about an image is stored on the module, so that many visitors can share one.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.encoder = ENCODERS[config.encoder.name](config.encoder)
        self.decoder = DECODERS[config.decoder.name](config.decoder, self.encoder.channels)

    def encode(self, image: Tensor) -> Features:
        """(B, 3, h, w) RGB in [0, 1] -> features, once per image.

        Where the encoder needs sides of a multiple, the image is padded at the bottom and right by reflection
        without repeating the edge, and the features are cropped.
        """
        x = self.normalise(image)
        return Features(self.encode_part(x, Region(0, 0, *x.shape[-2:])), x)

    def encode_part(self, x: Tensor, region: Region) -> Tensor:
        """The feature map (B, C, ., .) of normalised images (B, 3, h, w) over a region inside them.

        As much around the region as the encoder's reach is looked at too, so that the features are the whole's.
        """
        h, w = x.shape[-2:]
        reach = max(h, w) if self.encoder.reach is None else self.encoder.reach
        seen = region.grown(reach).inside((h, w))
        part = x[..., seen.top : seen.bottom, seen.left : seen.right]
        down, right = (-n % self.encoder.multiple for n in part.shape[-2:])
        map = self.encoder(_reflect(part, down, right))
        top, left = region.top - seen.top, region.left - seen.left
        return map[..., top : top + region.bottom - region.top, left : left + region.right - region.left]

    @staticmethod
    def normalise(image: Tensor) -> Tensor:
        """RGB in [0, 1] as the networks see it."""
        return image * 2 - 1

    @property
    def kind(self) -> str:
        """What its pixels blend: "plain" (pixels), "ensemble" (four latents by distance), or "attention"."""
        return self.decoder.kind

    @property
    def heads(self) -> int:
        """Number of attention heads; 0 where nothing attends."""
        return self.decoder.heads

    @property
    def radius(self) -> int:
        """Radius of the window attended to, in latents."""
        return self.decoder.radius

    @property
    def stage_count(self) -> int:
        """Largest number of stages that a scale is split over."""
        return self.decoder.stage_count

    @property
    def place(self) -> tuple[torch.device, torch.dtype]:
        """Device and type of its weights; the CPU and float32 where there are none."""
        weight = next(self.parameters(), torch.empty(0))
        return weight.device, weight.dtype

    def view(
        self,
        lr: tuple[int, int],
        size: tuple[int, int],
        window: Window | None = None,
        chain: str = "published",
        stages: int | None = None,
        wrap: bool = False,
    ) -> View:
        """Describe a window, or all, of the output of `size` (H, W) of a small picture of `lr` (h, w).

        chain: how a cascade splits the scale, "published" or "balanced" (`geometry.scale_chain`). stages: stop it
        after so many. wrap: the picture is periodic. UserError for a wrong window, chain or number of stages, and for
        an encoder that cannot see a picture as periodic.
        """
        if wrap and self.encoder.reach is None:
            raise UserError(
                f'The encoder "{self.config.encoder.name}" sees whole pictures, which have borders: for a periodic '
                "one choose a model whose encoder is made of convolutions."
            )
        window = Window(0, 0, *size) if window is None else window.check(size)
        factors = scale_chain(size, lr, self.stage_count, chain)
        if stages is not None and (not isinstance(stages, int) or not 1 <= stages <= self.stage_count):
            raise UserError(
                f"The number of stages is {stages}, but for this model must be from 1 to {self.stage_count}."
            )
        return View(lr, size, window.lattice(), tuple(factors[:stages]), wrap)

    def prepare(self, features: Features, view: View) -> Any:
        """The decoder's field for one view."""
        return self.decoder.prepare(features, view)

    def query(self, field, positions: Tensor) -> Tensor:
        """RGB (B, Q, 3), unclipped, at whole-output pixels (Q, 2): the plain definition."""
        return self.decoder.query(field, positions) / 2 + 0.5

    def render(self, field, cancel: Callable[[], bool] | None = None) -> Tensor:
        """RGB (B, height, width, 3), unclipped, of the field's window: the fast order. Cancelled once cancel()."""
        return self.decoder.render(field, cancel) / 2 + 0.5

    def multiply_adds(self, view: View) -> float:
        """Multiply-adds of rendering a view, with the features that it reads."""
        encoder = sum(p.numel() for p in self.encoder.parameters())
        return self.decoder.reads(view).area * encoder + self.decoder.multiply_adds(view)

    def encoder_key(self) -> str:
        """A fingerprint of the encoder's configuration, weights and place: equal keys mean equal features."""
        digest = hashlib.sha256(repr(self.config.encoder).encode())
        for name, tensor in self.encoder.state_dict().items():
            digest.update(f"{name}{tensor.dtype}{tensor.device}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def _reflect(x: Tensor, down: int, right: int) -> Tensor:
    """Reflection without the edge, also for images smaller than the padding."""
    if not down and not right:
        return x
    h, w = x.shape[-2:]
    if down < h and right < w:
        return F.pad(x, (0, right, 0, down), mode="reflect")

    def index(n: int, extra: int) -> Tensor:
        i = torch.arange(n + extra, device=x.device) % max(2 * (n - 1), 1)
        return torch.minimum(i, 2 * (n - 1) - i)

    return x[..., index(h, down)[:, None], index(w, right)]

"""SRModel: an encoder and a decoder, and the normalisation between pictures and networks."""

from __future__ import annotations

import hashlib
import reprlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clit.config import ModelConfig
from clit.errors import UserError
from clit.geometry import Region, View, Window, whole_numbers
from clit.networks.decoders import DECODERS
from clit.networks.decoders.base import Features
from clit.networks.encoders import ENCODERS
from clit.scale_chain import scale_chain


class SRModel(nn.Module):
    """Arbitrary-scale super-resolution. RGB goes in and comes out in [0, 1]; the networks work in [-1, 1].

    The module stores nothing about an image, so many visitors can share it.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.encoder = ENCODERS[config.encoder.name](config.encoder)
        self.decoder = DECODERS[config.decoder.name](config.decoder, self.encoder.channels)

    def encode(self, image: Tensor) -> Features:
        """Return the features of images (B, 3, h, w), RGB in [0, 1].

        If the encoder needs sides that are multiples of a number, the images are padded at the bottom and right by
        reflection without repeating the edge, and the features are cropped.
        """
        x = self.normalise(image)
        return Features(self.encode_part(x, Region(0, 0, *x.shape[-2:])), x)

    def encode_part(self, x: Tensor, region: Region) -> Tensor:
        """Return the feature map (B, C, rows, columns) of normalised images (B, 3, h, w) over a region inside them.

        The encoder also sees the pixels within its reach around the region, so the map equals that part of the whole
        image's map, to float rounding.
        """
        h, w = x.shape[-2:]
        reach = max(h, w) if self.encoder.reach is None else self.encoder.reach
        seen = region.grow(reach).clip((h, w))
        part = x[(..., *seen.slices())]
        if self.encoder.drops_spare:
            spare = (
                region.top - seen.top,
                region.left - seen.left,
                seen.bottom - region.bottom,
                seen.right - region.right,
            )
            return self.encoder(part, spare)
        down, right = (-n % self.encoder.multiple for n in part.shape[-2:])
        map = self.encoder(_pad_by_reflection(part, down, right))
        return map[(..., *region.move(-seen.top, -seen.left).slices())]

    @staticmethod
    def normalise(image: Tensor) -> Tensor:
        """Return RGB in [0, 1] as the networks see it, in [-1, 1]."""
        return image * 2 - 1

    @property
    def kind(self) -> str:
        """What its output blends: "plain" (pixels), "ensemble" (four latents by distance), or "attention"."""
        return self.decoder.kind

    @property
    def heads(self) -> int:
        """Number of attention heads; 0 if there is no attention."""
        return self.decoder.heads

    @property
    def radius(self) -> int:
        """Radius of the attention window, in latents."""
        return self.decoder.radius

    @property
    def stage_count(self) -> int:
        """Largest number of stages that the scale is split over."""
        return self.decoder.stage_count

    @property
    def place(self) -> tuple[torch.device, torch.dtype]:
        """Device and dtype of the weights; the CPU and float32 if there are none."""
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
        """Return the view of a window, or of all, of the output of `size` (H, W) of a small picture of `lr` (h, w).

        chain: how a cascade splits the scale, "published" or "balanced" (`clit.scale_chain`). stages: how many
        stages to run at most. wrap: the picture is periodic. UserError for a wrong window, chain or number of stages,
        and if the picture is periodic but the encoder cannot treat it so.
        """
        if wrap and self.encoder.reach is None:
            raise UserError(
                f'The encoder "{self.config.encoder.name}" sees whole pictures, which have borders: for a periodic '
                "one choose a model whose encoder is made of convolutions."
            )
        window = Window(0, 0, *size) if window is None else window.check(size)
        factors = scale_chain(size, lr, self.stage_count, chain)
        if stages is not None:
            (stages,) = whole_numbers([stages], 1) or (0,)
            if not 1 <= stages <= self.stage_count:
                allowed = "1, the only one it has" if self.stage_count == 1 else f"from 1 to {self.stage_count}"
                raise UserError(f"The number of stages to run must, for this model, be {allowed}.")
        return View(lr, size, window.lattice(), tuple(factors[:stages]), wrap)

    def prepare(self, features: Features, view: View) -> Any:
        """Return the decoder's field of one view."""
        return self.decoder.prepare(features, view)

    def query(self, field, positions: Tensor) -> Tensor:
        """Return RGB (B, Q, 3), unclipped, at whole-output pixels (Q, 2), by the plain definition."""
        return self.decoder.query(field, positions) / 2 + 0.5

    def render(self, field, cancel: Callable[[], bool] | None = None) -> Tensor:
        """Return RGB (B, R, S, 3), unclipped, of all the field's pixels, in the fast order.

        Raises Cancelled soon after cancel() has become true.
        """
        return self.decoder.render(field, cancel) / 2 + 0.5

    def render_stages(self, field) -> Iterator[Tensor]:
        """Yield what is predicted after each stage in use, as RGB (B, R, S, 3), unclipped; the last as by `render`."""
        for colours in self.decoder.render_stages(field):
            yield colours / 2 + 0.5

    def sees(self, view: View) -> Region:
        """Return the part of the small picture that the features which a view reads depend on."""
        read = self.decoder.reads(view)
        if self.encoder.reach is None and read.area:
            return Region(0, 0, *view.lr)
        return view.clip(read.grow(self.encoder.reach)) if read.area else read

    def encoder_work(self, view: View) -> float:
        """Return the multiply-adds of encoding what a view reads."""
        return float(self.sees(view).area * sum(p.numel() for p in self.encoder.parameters()))

    def multiply_adds(self, view: View) -> float:
        """Return the multiply-adds of rendering a view, including the features it reads."""
        return self.encoder_work(view) + self.decoder.multiply_adds(view)

    def encoder_key(self) -> str:
        """Return a hash of the encoder's configuration, weights and device: equal keys mean equal features."""
        digest = hashlib.sha256(repr(self.config.encoder).encode())
        for name, tensor in self.encoder.state_dict().items():
            digest.update(f"{name}{tensor.dtype}{tensor.device}".encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def check_model(model: Any) -> None:
    """Raise a UserError unless this is a model."""
    if not isinstance(model, SRModel):
        shown = reprlib.repr(model)
        raise UserError(f"The model is {shown}, but must be what clit.load or clit.import_official returns.")


def _pad_by_reflection(x: Tensor, down: int, right: int) -> Tensor:
    """Pad by reflection without repeating the edge; the image may be smaller than the padding."""
    if not down and not right:
        return x
    h, w = x.shape[-2:]
    if down < h and right < w:
        return F.pad(x, (0, right, 0, down), mode="reflect")

    def reflect(n: int, extra: int) -> Tensor:
        i = torch.arange(n + extra, device=x.device) % max(2 * (n - 1), 1)
        return torch.minimum(i, 2 * (n - 1) - i)

    return x[..., reflect(h, down)[:, None], reflect(w, right)]

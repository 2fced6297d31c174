"""Plain interpolation as a decoder: bilinear, or bicubic. Nothing to train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from clit.config import InterpolationConfig
from clit.geometry import Lattice, Region, View
from clit.networks.decoders.base import Decoder, Features
from clit.networks.decoders.enlarged import Enlarged


@dataclass(frozen=True)
class InterpolationField:
    """The enlarged picture over a lattice of pixels."""

    enlarged: Enlarged
    pixels: Lattice


class Interpolation(Decoder):
    """Enlarges the image itself; reads no features."""

    kind = "plain"

    def __init__(self, config: InterpolationConfig, channels: int):
        super().__init__()
        self.config = config

    def prepare(self, features: Features, view: View) -> InterpolationField:
        enlarged = Enlarged.prepare(features.image, view, self.config.kernel)
        return InterpolationField(enlarged, view.pixels.to(features.image.device))

    def query(self, field: InterpolationField, positions: Tensor) -> Tensor:
        return field.enlarged.query(*field.pixels.find(positions))

    def render(self, field: InterpolationField, cancel: Callable[[], bool] | None = None) -> Tensor:
        return field.enlarged.render()

    def reads(self, view: View) -> Region:
        return Region(0, 0, 0, 0)

    def multiply_adds(self, view: View) -> float:
        return 48.0 * view.count

    def memory(self, view: View) -> int:
        return 24 * len(view.pixels.rows) * view.lr[1] + 24 * view.count

"""What all decoders share: the interface, the features they read, the skip from the input, attention as data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from clit.errors import UserError
from clit.geometry import Region, View, linear_taps, periodic_taps, pixel_centres, to_pixels
from clit.networks.layers import crop, sample_columns, sample_rows

# Legend for shapes: B batch, Q queries, R rows and S columns of a lattice, C channels, M heads, P latents a side.

Maps = tuple[Tensor, ...]


@dataclass(frozen=True)
class Features:
    """What an encoder made of one image: `map` (B, C, ., .), and the `image` (B, 3, h, w) in [-1, 1].

    The map may be a part: its first row and column are `top` and `left` of the image.
    """

    map: Tensor
    image: Tensor
    top: int = 0
    left: int = 0
    remember: Callable[[nn.Module, Region, Callable[[], Maps]], Maps] | None = None
    """A cache of what decoders make of features: called with a module, a region, and a function that makes the
    module's maps (1, h, w, D) over it; returns those maps, new or kept."""

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the image."""
        return tuple(self.image.shape[-2:])

    def crop(self, region: Region) -> Tensor:
        """The map over a region of the image, zero outside the image; the part must have what lies inside."""
        at = Region(region.top - self.top, region.left - self.left, region.bottom - self.top, region.right - self.left)
        return crop(self.map, at)


@dataclass(frozen=True)
class Skip:
    """The bilinear upsampled input (border padding) over one lattice."""

    image: Tensor  # (B, h, w, 3)
    rows: tuple[Tensor, Tensor]  # taps: index (R, 2), weight (R, 2)
    columns: tuple[Tensor, Tensor]

    @staticmethod
    def prepare(image: Tensor, view: View) -> Skip:
        """The skip of images (B, 3, h, w) for a view whose pixels are on the same device."""
        taps = []
        for n, n_out, pixels in zip(view.lr, view.size, (view.pixels.rows, view.pixels.columns), strict=True):
            if view.wrap:
                index, weight = periodic_taps(n_out, n, pixels)
                taps.append((index % n, weight))
            else:
                taps.append(linear_taps(to_pixels(pixel_centres(n_out, pixels), n), n, "border"))
        return Skip(image.permute(0, 2, 3, 1), *taps)

    def query(self, row: Tensor, column: Tensor) -> Tensor:
        """(B, Q, 3) at `row`, `column` (Q,): indices into the lattice."""
        y, wy = self.rows[0][row], self.rows[1][row]
        x, wx = self.columns[0][column], self.columns[1][column]
        corners = self.image[:, y[:, :, None], x[:, None, :]]  # (B, Q, 2, 2, 3)
        return torch.einsum("bqijc,qi,qj->bqc", corners, wy.to(corners), wx.to(corners))

    def render(self) -> Tensor:
        """(B, R, S, 3) over the whole lattice."""
        return sample_columns(sample_rows(self.image, *self.rows), *self.columns)


@dataclass(frozen=True)
class Attended:
    """What one stage blended to answer some queries: P x P latents each, in order (y, x).

    weights: (B, Q, M, P P), each head sums to 1. content, position: the two parts of the logits, of the same shape;
    None where weights come from distance alone. rows, columns: (Q, P) indices of the latents on the stage's `grid`
    (h, w); those beyond it count too.
    """

    weights: Tensor
    content: Tensor | None
    position: Tensor | None
    rows: Tensor
    columns: Tensor
    grid: tuple[int, int]


class Decoder(nn.Module, ABC):
    """Answers "what colour is at this coordinate?" from features. Nothing about an image is stored on the module.

    `prepare` makes a field, whatever depends on the view; `query`, `render`, `attend`, `influence`, `survey` read it.
    Colours are in [-1, 1].
    """

    kind: str  # "plain", "ensemble" or "attention"
    stage_count = 1  # number of stages that a scale is split over, at most
    heads = 0  # number of attention heads
    radius = 0  # of the window attended to, in latents
    efficiency = 0.3  # rate of `render`'s multiply-adds to expect, over that of a large matrix product

    @abstractmethod
    def prepare(self, features: Features, view: View) -> Any:
        """Return the field of a view: everything that depends on the output and on the pixels wanted."""

    @abstractmethod
    def query(self, field: Any, positions: Tensor) -> Tensor:
        """Return colours (B, Q, 3) at whole-output pixels `positions` (Q, 2) of the field's lattice.

        This is the plain definition.
        """

    @abstractmethod
    def render(self, field: Any, cancel: Callable[[], bool] | None = None) -> Tensor:
        """Return colours (B, R, S, 3) of the field's whole lattice, in the fast order: equal to `query` to rounding.

        Raises Cancelled soon after cancel() has become true.
        """

    @abstractmethod
    def reads(self, view: View) -> Region:
        """Return the part of the small picture whose features `prepare` reads."""

    @abstractmethod
    def multiply_adds(self, view: View) -> float:
        """Return the multiply-adds that `render` takes for the view's pixels."""

    @abstractmethod
    def memory(self, view: View) -> int:
        """Return about how many bytes `prepare` and `render` take for the view's pixels."""

    def attend(self, field: Any, positions: Tensor) -> list[Attended]:
        """Return what `query` blended at positions (Q, 2), per stage in use. UserError for plain interpolation."""
        raise UserError("Plain interpolation does not attend: choose LIT, CLIT, LIIF or LTE.")

    def influence(self, field: Any, positions: Tensor, attended: list[Attended]) -> list[Tensor]:
        """Return how far colours move without each latent's value: per stage in use (B, Q, P P, 3), in RGB [-1, 1].

        attended: what `attend` returned for the same positions.
        """
        raise UserError("Plain interpolation does not attend: choose LIT, CLIT, LIIF or LTE.")

    def survey(self, field: Any, cancel: Callable[[], bool] | None = None) -> Tensor:
        """Return each head's entropy in bits and mean offset (dy, dx) in latents, of the last stage: (B, R, S, M, 3).

        UserError if the decoder has no heads.
        """
        raise UserError("Only LIT and CLIT have heads to survey: choose one of them.")

"""What all decoders share: their interface, the features they read, what they attended to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from clit.errors import UserError
from clit.geometry import Region, View
from clit.networks.layers import crop

# Legend for shapes: B batch, Q queries, R rows and S columns of a lattice, C channels, M heads, P latents per side.

Maps = tuple[Tensor, ...]


@dataclass(frozen=True)
class Features:
    """What decoders read: the encoder's `map` (B, C, rows, columns) and the `image` (B, 3, h, w) in [-1, 1].

    The map may cover only a part of the image; its first row and column are then `top` and `left` of the image.
    """

    map: Tensor
    image: Tensor
    top: int = 0
    left: int = 0
    remember: Callable[[nn.Module, Hashable, Region, Callable[[Region], Maps]], Maps] | None = None
    """A cache of the maps that decoders compute from the features. Called with a module, what else the maps depend on,
    a region, and a function that makes them (1, rows, columns, .) over any region; returns them, cached or new."""

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the image."""
        return tuple(self.image.shape[-2:])

    def crop(self, region: Region) -> Tensor:
        """Return the map over a region of the image, zero outside the image. The map must cover what lies inside."""
        return crop(self.map, region.move(-self.top, -self.left))


@dataclass(frozen=True)
class Attended:
    """What one stage blended for some queries: P x P latents each, in order (y, x).

    weights: (B, Q, M, P P), each head sums to 1. content, position: the two parts of the logits, of the same shape;
    None if the weights come from distance alone. rows, columns: (Q, P) indices of the latents on the stage's `grid`
    (h, w); latents outside the grid have weight too.
    """

    weights: Tensor
    content: Tensor | None
    position: Tensor | None
    rows: Tensor
    columns: Tensor
    grid: tuple[int, int]


class Decoder(nn.Module, ABC):
    """Answers "what colour is at this coordinate?" from features. The module stores nothing about an image.

    `prepare` makes the field of a view; `query`, `render`, `attend`, `leave_out`, `influence` and `survey` read it.
    Colours are in [-1, 1].
    """

    kind: str  # "plain", "ensemble" or "attention"
    stage_count = 1  # largest number of stages that the scale is split over
    heads = 0  # number of attention heads
    radius = 0  # of the attention window, in latents

    @abstractmethod
    def prepare(self, features: Features, view: View) -> Any:
        """Return the field of a view: everything that is computed once for all its pixels."""

    @abstractmethod
    def query(self, field: Any, positions: Tensor) -> Tensor:
        """Return colours (B, Q, 3) at whole-output pixels `positions` (Q, 2) of the field's lattice.

        This is the plain definition, which the tests hold `render` to.
        """

    @abstractmethod
    def render(self, field: Any, cancel: Callable[[], bool] | None = None) -> Tensor:
        """Return colours (B, R, S, 3) of the field's whole lattice, in the fast order. Equal to `query`, to rounding.

        Raises Cancelled soon after cancel() has become true.
        """

    def render_stages(self, field: Any, cancel: Callable[[], bool] | None = None) -> Iterator[Tensor]:
        """Yield the colours (B, R, S, 3) predicted after each stage in use; the last ones are what `render` returns.

        Raises Cancelled as `render` does.
        """
        yield self.render(field, cancel)

    @abstractmethod
    def reads(self, view: View) -> Region:
        """Return the part of the small picture whose features `prepare` reads."""

    @abstractmethod
    def multiply_adds(self, view: View) -> float:
        """Return the multiply-adds of `render` for the view's pixels."""

    @abstractmethod
    def memory(self, view: View) -> int:
        """Return about how many bytes `prepare` and `render` need for the view's pixels."""

    def attend(self, field: Any, positions: Tensor) -> list[Attended]:
        """Return what `query` blended at positions (Q, 2), per stage in use. UserError for plain interpolation."""
        raise UserError("Plain interpolation does not attend: choose LIT, CLIT, LIIF or LTE.")

    def leave_out(self, field: Any, positions: Tensor, attended: list[Attended], without: list[Tensor]) -> list[Tensor]:
        """Return how colours change when the values of sets of latents are left out: (B, Q, N, 3) per stage in use.

        attended: what `attend` returned for the same positions. without: per stage, N sets of latents for each query,
        (Q, N, P P) bool, True where one is left out. A set is left out in its stage alone. Attention keeps the weights
        of the other latents; an ensemble makes theirs sum to 1 again, and predicts nothing without any.
        """
        raise NotImplementedError

    def influence(self, field: Any, positions: Tensor, attended: list[Attended]) -> list[Tensor]:
        """Return how colours change when one latent's value is left out: (B, Q, P P, 3) per stage in use.

        attended: what `attend` returned for the same positions.
        """
        counts = [found.weights.shape[-1] for found in attended]
        each = [torch.eye(n, dtype=torch.bool, device=positions.device).expand(len(positions), n, n) for n in counts]
        return self.leave_out(field, positions, attended, each)

    def survey(self, field: Any, cancel: Callable[[], bool] | None = None) -> Tensor:
        """Return, for each head of the last stage in use, its entropy and where it looks: (B, R, S, M, 3).

        The three numbers are the entropy of its weights in bits, and the weighted mean offset (dy, dx) from the query
        to the latents, in latents. Only decoders with heads have this.
        """
        raise NotImplementedError

"""A picture file to be written: what it will hold, and its bands, each of which can be drawn alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from clit.pictures.files import Form

Progress = Callable[[float], None]
Cancel = Callable[[], bool]


@dataclass(frozen=True)
class Output:
    """What `Renderer.save` writes. form: what the file holds. count: number of bands, counted from the top, 0.

    draw(index, progress, cancel): a band as the file holds it, (rows, W, channels) uint8 or uint16.
    """

    form: Form
    count: int
    draw: Callable[[int, Progress | None, Cancel | None], np.ndarray]

    def bands(
        self, indices: range, progress: Progress | None = None, cancel: Cancel | None = None
    ) -> Iterator[np.ndarray]:
        """Draw bands one after another; progress(done) hears the share of them done, 0..1, after each tile."""

        def report(done: int, share: float) -> None:
            if progress:
                progress((done + share) / len(indices))

        for done, index in enumerate(indices):
            yield self.draw(index, partial(report, done), cancel)

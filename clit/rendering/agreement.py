"""How far attention and attribution agree about one output pixel."""

from __future__ import annotations

import numpy as np

from clit.rendering.attribution import Attribution
from clit.rendering.looks import Attention


def correlate_ranks(found: Attribution, seen: Attention) -> float | None:
    """Return Spearman's rank correlation, -1 to 1, of how much each neighbour is weighted and how much it adds.

    Over the neighbours of the first stage inside the picture, which are pixels of the small picture: the mean of the
    heads' weights against the size of what `found` gives the pixel. None where all values of one are alike, and for
    weights that come from distance.
    """
    if seen.kind != "attention":
        return None
    stage = seen.stages[0]
    rows, columns = np.rint(stage.latents[stage.inside]).astype(int).T
    ranks = _rank(stage.weights.mean(0)[stage.inside]), _rank(np.abs(found.map.sum(-1))[rows, columns])
    if any(np.ptp(each) == 0 for each in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def _rank(values: np.ndarray) -> np.ndarray:
    """Return the places of values in their order; equal ones share the mean of theirs."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[at]

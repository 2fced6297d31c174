"""The arrays that compiled kernels read and write. M heads of d = D / M channels, windows of P = S S latents."""

from __future__ import annotations

from typing import Annotated, NamedTuple, get_type_hints

import numpy as np

Floats1, Floats2, Floats3, Floats4 = (Annotated[np.ndarray, np.float32, axes] for axes in (1, 2, 3, 4))
Ints1, Ints2 = (Annotated[np.ndarray, np.int64, axes] for axes in (1, 2))


class Layers(NamedTuple):
    """Layers of an MLP, made by `pack_layers`."""

    table: Ints2  # (layers, 4): inputs; outputs, padding included; where the weights and where the biases begin
    weights: Floats1
    biases: Floats1


class AttentionAxis(NamedTuple):
    """An axis of a view of one stage: R queries."""

    footprints: Ints2  # (., 3): the latent's place in the maps, its first query, the query after its last
    nearest: Ints1  # (R,): places of the nearest latents in the maps
    taps: Ints2  # (R, 2): places in the maps around each query
    shares: Floats2  # (R, 2): their shares in its sample; those of rows are divided by sqrt(d)
    bias: Floats3  # (M, R, row of weights): of the window's latents; so low after them that nothing is left of those
    rel: Floats1  # (R,): coordinates relative to the nearest latent


class AttentionView(NamedTuple):
    """What a stage knows of a view of one picture. Maps are zero outside the picture."""

    q: Floats3  # (h, w, D)
    k: Floats3  # (h, D, w + zeros, so that the last window can be read by whole vectors)
    v: Floats3  # (h, w, D)
    fourier: Floats3  # (h, w, 4F): amplitudes of cosines and of sines, frequencies along y and x
    rows: AttentionAxis
    columns: AttentionAxis
    window: Ints2  # (S, S): where the latents of a window lie in v, from the first one


class AttentionWeights(NamedTuple):
    """The MLP of a stage."""

    first: Floats1  # W1 (M, P, d, H), packed
    layers: Layers  # the Fourier features' part of the first layer, with the cell's part as bias; the other layers


class AttentionScratch(NamedTuple):
    """Room for one part: N footprints with Q queries."""

    queries: Floats2  # (Q, D)
    weights: Floats3  # (M, Q, row)
    sums: Floats3  # (M, Q, 2): the sums of e and of e log(e) of each softmax
    u: Floats1  # (N, P, panel)
    hidden: Floats1  # (Q, widest layer)
    other: Floats1  # the same
    places: Ints2  # (Q, 2): the row and the column of each query in the view
    starts: Ints1  # where the rows that a product reads begin
    corner: Ints1  # (N,): where a footprint's window begins in v
    first: Ints1  # (N + 1,): its first query


class EnsembleAxis(NamedTuple):
    """An axis of a view: R queries, and the latents before and after each."""

    nearest: Ints2  # (2, R): their places in the maps
    rel: Floats2  # (2, R): coordinates relative to them


class EnsembleView(NamedTuple):
    """What LIIF or LTE knows of a view of one picture."""

    map: Floats3  # (h, w, width): the first layer's part that reads the features, or amplitudes
    frequency: Floats3  # (h, w, width): along y, along x; empty for LIIF
    cell: Floats1  # (width,): what the cell adds to the first layer; LTE: (width / 2,), to the phase
    along: Floats2  # (2, width): what relative coordinates are multiplied by in the first layer; empty for LTE
    rows: EnsembleAxis
    columns: EnsembleAxis
    weights: Floats4  # (2, 2, R, C)


class EnsembleScratch(NamedTuple):
    """Room for one block."""

    x: Floats1  # (Q, widest layer)
    y: Floats1  # the same
    blended: Floats1  # the same
    starts: Ints1  # where the rows that a product reads begin


def make_example(kind: type[tuple]) -> tuple:
    """Make arrays of the types that the fields of a NamedTuple have, for the compiler."""
    hints = get_type_hints(kind, include_extras=True).values()
    shapes = [getattr(hint, "__metadata__", None) for hint in hints]
    return kind(
        *(np.zeros((1,) * s[1], s[0]) if s else make_example(hint) for s, hint in zip(shapes, hints, strict=True))
    )

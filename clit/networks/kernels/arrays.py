"""The arrays that kernels read and write. M heads of d = D / M channels, windows of P = S S latents, H, F as there."""

from __future__ import annotations

from typing import Annotated, NamedTuple, get_type_hints

import numpy as np

Floats1, Floats2, Floats3, Floats4 = (Annotated[np.ndarray, np.float32, axes] for axes in (1, 2, 3, 4))
Ints1, Ints2 = (Annotated[np.ndarray, np.int64, axes] for axes in (1, 2))


def make_example(kind: type[tuple]) -> tuple:
    """Make arrays of the types that the fields of a NamedTuple have, for the compiler."""
    hints = get_type_hints(kind, include_extras=True).values()
    return kind(*(np.zeros((1,) * axes, number) for number, axes in (hint.__metadata__ for hint in hints)))


class AttentionView(NamedTuple):
    """What a stage knows of a view of one picture: maps, zero outside it, and R rows times C columns of queries."""

    q: Floats3  # (h, w, D)
    k: Floats3
    v: Floats3
    fourier: Floats3  # (h, w, 4F): amplitudes of cosines and of sines, frequencies along y and x
    rows: Ints2  # (footprints down, 3): the latent's row in the maps, its first query, the query after its last
    columns: Ints2
    tap_y: Ints2  # (R, 2): rows of the maps around each query
    tap_x: Ints2
    share_y: Floats2  # (R, 2): their shares in its sample, divided by sqrt(d)
    share_x: Floats2
    bias_y: Floats3  # (M, S, R)
    bias_x: Floats3
    rel_y: Floats1  # (R,): coordinates relative to the nearest latent
    rel_x: Floats1


class AttentionWeights(NamedTuple):
    """The MLP of a stage, packed."""

    first: Floats1  # W1 (M, P, d, H)
    table: Ints2  # of `pack_layers`: the Fourier features' part of the first layer, then the other layers
    weights: Floats1
    biases: Floats1
    constant: Floats1  # (H,): the bias of the first layer, and the cell's part


class AttentionScratch(NamedTuple):
    """Room for one part: N footprints with Q queries; n at most of one of them."""

    line: Floats1  # (D,)
    queries: Floats1  # (D, n)
    along_y: Floats1  # bias of a footprint's queries (2 of M S n)
    along_x: Floats2  # of each column of footprints
    weights: Floats1
    u: Floats1  # (N, P, panel)
    hidden: Floats1  # (Q, widest layer)
    other: Floats1
    places: Ints2  # (Q, 2): the row and the column of each query in the view
    starts: Ints1  # where the rows that a product reads begin
    window: Ints1  # (P,): where the latents of a window lie in the maps, from the first one
    corner: Ints1  # (N,): where a footprint's window begins
    first: Ints1  # (N + 1,): its first query
    begin: Ints1  # (N,): where its weights begin


class EnsembleView(NamedTuple):
    """What LIIF or LTE knows of a view of one picture."""

    map: Floats3  # (h, w, width): the first layer's part that reads the features, or amplitudes
    frequency: Floats3  # (h, w, width): along y, along x; empty for LIIF
    cell: Floats1  # (width,): what the cell adds to the first layer; or to the phase
    along_y: Floats1  # (width,): what relative coordinates are multiplied by in the first layer; empty for LTE
    along_x: Floats1
    nearest_y: Ints2  # (2, R): rows of the maps
    nearest_x: Ints2
    rel_y: Floats2  # (2, R)
    rel_x: Floats2
    weights: Floats4  # (2, 2, R, C)


class EnsembleWeights(NamedTuple):
    """The layers of LIIF or LTE, packed by `pack_layers`."""

    table: Ints2
    weights: Floats1
    biases: Floats1


class EnsembleScratch(NamedTuple):
    """Room for one block."""

    x: Floats1
    y: Floats1
    blended: Floats1
    starts: Ints1
